"""Run ids."""

from __future__ import annotations

import datetime
import re

import pytest

import rawsink

ZONE = datetime.timezone(datetime.timedelta(hours=2))


def test_a_run_id_is_the_moment() -> None:
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rawsink.new_run_id())


def test_the_same_time_gives_the_same_run_id() -> None:
    time = datetime.datetime(2024, 6, 2, 2, 0, 0, 123999, tzinfo=ZONE)
    same = time.astimezone(datetime.timezone.utc)
    assert rawsink.new_run_id(at=time) == rawsink.new_run_id(at=same) == "2024-06-02T00:00:00.123Z"


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(rawsink.Invalid, match="2024-06-02T00:00:00\" is not a time with a zone"):
        rawsink.new_run_id(at=datetime.datetime(2024, 6, 2))
