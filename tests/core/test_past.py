"""The last hour: fine where it is young, coarse where it is old, nothing where nobody looked."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from itertools import pairwise

from jupyter_aiqueue.core.past import Past, Point

BEGIN = datetime(2026, 11, 21, 10, tzinfo=timezone.utc)


def seen(seconds: range) -> Past:
    past = Past()
    for second in seconds:
        past.add(Point(BEGIN + timedelta(seconds=second), second, None))
    return past


def ages(past: Past, now: int) -> list[float]:
    return [now - point["waiting"] for point in past.points()]


def test_every_point_of_the_last_minutes_is_there():
    assert ages(seen(range(0, 300, 2)), 298) == list(range(298, -1, -2))


def test_a_day_leaves_an_hour_that_is_coarser_where_it_is_older():
    told = ages(seen(range(0, 86_400, 2)), 86_398)

    assert 3500 < told[0] <= 3600
    assert told == sorted(told, reverse=True)
    assert [one for one in told if one <= 300] == list(range(300, -1, -2))
    old = [one for one in told if one > 300]
    assert {a - b for a, b in pairwise(old)} == {30}


def test_who_knows_the_past_is_told_what_came_after_it():
    past = seen(range(0, 700, 2))
    told = list(past.points())

    assert list(past.points(datetime.fromisoformat(told[-3]["timestamp"]))) == told[-2:]
    assert list(past.points(BEGIN + timedelta(days=1))) == []


def test_what_is_not_known_stays_unknown():
    assert {point["running"] for point in seen(range(0, 700, 2)).points()} == {None}
