"""Comparison of what two programs print: today's may print more members than the released one, and nothing else."""

import json


class Different(Exception):
    """The two programs, or a program and what is expected, differ."""


class Number(str):
    """A JSON number with all its digits."""


def parse(line):
    """Reads one JSON text; numbers keep their digits."""
    return json.loads(line, parse_int=Number, parse_float=Number, parse_constant=Number)


def lines(stdout):
    return [parse(line) for line in stdout.decode().splitlines()]


def difference(old, new, varying=(), at="$"):
    """Returns the first difference of `new` from `old`, or None; new members are no difference.

    Members named in `varying` have to be of the same kind alone: they hold time, or text for a person.
    """
    if isinstance(old, dict) and isinstance(new, dict):
        for name, value in old.items():
            inner = f"{at}.{name}"
            if name not in new:
                return f"{inner} is missing"
            if name in varying:
                if kind(value) != kind(new[name]):
                    return f"{inner} is {new[name]!r} instead of {value!r}"
            elif found := difference(value, new[name], varying, inner):
                return found
        return None
    if isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            return f"{at} has {len(new)} elements instead of {len(old)}: {new!r} instead of {old!r}"
        pairs = enumerate(zip(old, new))
        return next((found for n, (a, b) in pairs if (found := difference(a, b, varying, f"{at}[{n}]"))), None)
    return None if type(old) is type(new) and old == new else f"{at} is {new!r} instead of {old!r}"


def kind(value):
    return (type(value), value == []) if isinstance(value, list) else type(value)


def expect(found, expected, what):
    """Raises Different where a value is not what it has to be."""
    if found != expected:
        raise Different(f"{what}: {shortened(found)} instead of {shortened(expected)}")


def shortened(value):
    text = repr(value)
    return text if len(text) <= 600 else f"{text[:600]}... ({len(text)} characters)"
