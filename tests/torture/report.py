"""The results, as the tables of docs/compatibility.md."""

import collections

OUTCOMES = ["sealed", "AlreadySealed", "Conflict", "Unknown", "Unavailable", "killed", "terminated"]


def of(args, runs, tally, lasted):
    return "\n".join([*rounds_table(runs), "", *facts(args, runs, tally, lasted)])


def rounds_table(runs):
    """A row per kind of round: how often one, none or two concurrent writers sealed; and the results of all
    writers of these runs, later ones too."""
    yield f"| round | rounds | one sealed | none | two | {' | '.join(OUTCOMES)} | other |"
    yield f"|---|{'---|' * (len(OUTCOMES) + 5)}"
    by_kind = collections.defaultdict(list)
    for run in runs:
        by_kind[run["kind"] + (", large" if run["large"] else "")].append(run)
    for kind in sorted(by_kind):
        yield row(kind, by_kind[kind])
    yield row("all", runs)


def row(kind, runs):
    winners = collections.Counter()
    outcomes = collections.Counter()
    for run in runs:
        first = [told for told in run["writers"] if told["role"] == "together"]
        winners[sum(told["outcome"] == "sealed" for told in first)] += 1
        outcomes.update(told["outcome"] for told in run["writers"])
    other = outcomes.total() - sum(outcomes[name] for name in OUTCOMES)
    more = winners.total() - winners[0] - winners[1]
    cells = [len(runs), winners[1], winners[0], more, *(outcomes[name] for name in OUTCOMES), other]
    return f"| {kind} | {' | '.join(map(str, cells))} |"


def facts(args, runs, tally, lasted):
    """Lines with the fates, and whether the assumption about the grace held."""
    writers = sum(len(run["writers"]) for run in runs)
    yield f"{len(runs)} runs, {writers} writers, {lasted:.0f} s, seed {args.seed}"
    yield f"grace {args.grace:g} s, seal deadline {args.seal_deadline:g} s, seal timeout {args.seal_timeout:g} s"
    yield from repairs(runs)
    yield "requests: " + counted(tally["requests"])
    yield f"fates: {sum(tally['fates'].values())}: " + counted(tally["fates"])
    slowest = tally["slowest_s"]
    yield "slowest, from arrival to the server's answer: " + ", ".join(
        f"{name} {seconds:.2f} s" for name, seconds in sorted(slowest.items())
    )
    bounds = {"seal": args.grace - args.seal_deadline, "payload": args.grace, "complete": args.grace}
    for name, bound in bounds.items():
        if slowest.get(name, 0) >= bound:
            yield f"NOTE: a {name} took longer than {bound:g} s, so the assumption about the grace was not kept"


def repairs(runs):
    """Lines with the damages, the outcomes of all repairs, and the exit codes of their readers."""
    damaged = [run for run in runs if run["damage"]]
    yield f"damaged runs: {len(damaged)}: " + counted(collections.Counter(run["damage"] for run in damaged))
    told = [repair for run in runs for repair in run["repairs"]]
    yield f"repairs: {len(told)}: " + counted(collections.Counter(repair["outcome"] for repair in told))
    reads = collections.Counter(f"{read['role']} {read['exit']}:" for run in runs for read in run["reads"])
    yield f"readers by exit code: {reads.total()}: " + counted(reads)


def counted(counts):
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items()))
