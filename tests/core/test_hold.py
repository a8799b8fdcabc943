"""What a held job waits for, as people write it, and when that is so."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from dateutil import tz

from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.hold import (
    HOLD,
    Comparison,
    Decision,
    Hold,
    View,
    decide,
    held_message,
    parse_hold,
    parse_said,
    read_hold,
)
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.zone import here

ZONE = timezone(timedelta(hours=8))
AT = datetime(2026, 1, 1, 21, 0, tzinfo=ZONE)


def parsed(when: str | None = None, by: str | None = None, *, expires: bool = False) -> Hold:
    hold = parse_hold(when, by, expires=expires, at=AT)
    assert hold is not None
    return hold


@pytest.mark.parametrize(
    ("text", "comparison"),
    [
        ("wait < 10m", Comparison("wait", "<", 600)),
        ("wait<=90s", Comparison("wait", "<=", 90)),
        ("wait < 1.5 h", Comparison("wait", "<", 5400)),
        ("depth < 5", Comparison("depth", "<", 5)),
        ("free_slots >= 2", Comparison("free_slots", ">=", 2)),
    ],
)
def test_conditions_are_read(text: str, comparison: Comparison) -> None:
    assert parsed(text).comparisons == (comparison,)


def test_conditions_are_joined() -> None:
    text = "depth < 5 and  free_slots > 0 and after 22:00"
    hold = parsed(text, "08:00")
    assert len(hold.comparisons) == 2
    assert hold.after == AT.replace(hour=22)
    assert hold.by == AT.replace(hour=8) + timedelta(days=1)
    assert hold.said == "depth < 5 and free_slots > 0 and after 22:00, in any case by 08:00"
    dropped = parsed(text, "08:00", expires=True)
    assert dropped.said == "depth < 5 and free_slots > 0 and after 22:00, dropped at 08:00"
    for one in (hold, dropped, parsed("wait < 10m")):
        assert parse_said(one.said, AT) == one


def test_a_batch_says_its_bound_and_is_one_of_its_own() -> None:
    one, two = (parse_hold(None, "08:00", expires=False, at=AT, at_most=2) for _ in range(2))
    assert one is not None
    assert two is not None
    assert one.said == "at most 2 of its batch in line, in any case by 08:00"
    assert one.batch is not None
    assert one.batch.at_most == 2
    assert one.batch != two.batch
    again = parse_said(one.said, AT)
    assert again is not None
    assert again.batch is not None
    assert (again.by, again.batch.at_most, again.said) == (one.by, 2, one.said)
    both = parse_hold("depth < 5", None, expires=False, at=AT, at_most=3)
    assert both is not None
    assert both.said == "depth < 5 and at most 3 of its batch in line"
    again = parse_said(both.said, AT)
    assert again is not None
    assert again.comparisons == both.comparisons
    for wrong in (0, True, 1.5):
        with pytest.raises(InvalidJob, match="whole number"):
            parse_hold(None, None, expires=False, at=AT, at_most=wrong)  # type: ignore[arg-type]


def test_times_are_the_next_ones_in_the_zone_of_who_asks() -> None:
    assert parsed("after 20:59").after == AT.replace(minute=59, hour=20) + timedelta(days=1)
    assert parsed("after 2026-02-01 08:00").after == datetime(2026, 2, 1, 8, tzinfo=ZONE)
    assert parsed("after 2026-02-01T08:00+00:00").after == datetime(
        2026, 2, 1, 8, tzinfo=timezone.utc
    )


def test_nothing_said_is_nothing_held() -> None:
    assert parse_hold(None, None, expires=False, at=AT) is None


@pytest.mark.parametrize(
    ("when", "by", "expires", "complaint"),
    [
        ("quiet", None, False, "none of"),
        ("depth < 5 or depth > 9", None, False, "none of"),
        ("wait < 10", None, False, "a time like 10m"),
        ("depth < 5m", None, False, "a number"),
        ("after noon", None, False, "no time"),
        ("after 25:00", None, False, "no time"),
        ("depth < 5", "2025-01-01 08:00", False, "has passed"),
        ("after 23:00", "22:00", False, "may not start before"),
        (None, None, True, "--by"),
        ("depth < 5", None, True, "--by"),
        (None, "08:00", False, "until when"),
        (None, "08:00", True, "until when"),
        (" ", None, False, "is empty"),
        ("depth < 0", None, False, "never so"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    when: str | None, by: str | None, expires: bool, complaint: str
) -> None:
    with pytest.raises(InvalidJob, match=complaint) as caught:
        parse_hold(when, by, expires=expires, at=AT)
    assert caught.value.reason == "bad-condition"


QUIET = View(wait=60, depth=1, free_slots=2)


@pytest.mark.parametrize(
    ("text", "view", "decision"),
    [
        ("wait < 10m", QUIET, Decision.RELEASE),
        ("wait < 10m", QUIET._replace(wait=600), Decision.WAIT),
        ("wait < 10m", View(), Decision.WAIT),
        ("depth < 5 and free_slots > 0", QUIET, Decision.RELEASE),
        ("depth < 5 and free_slots > 0", QUIET._replace(free_slots=0), Decision.WAIT),
        ("after 22:00 and depth < 5", QUIET, Decision.WAIT),
    ],
)
def test_a_job_is_released_when_all_of_it_is_so(text: str, view: View, decision: Decision) -> None:
    assert decide(parsed(text), view, AT) is decision


def test_a_deadline_releases_or_expires() -> None:
    later = AT + timedelta(hours=12)
    busy = View(depth=9)
    assert decide(parsed("depth < 5", "08:00"), busy, AT) is Decision.WAIT
    assert decide(parsed("depth < 5", "08:00"), busy, later) is Decision.RELEASE
    assert decide(parsed("depth < 5", "08:00", expires=True), busy, later) is Decision.EXPIRE
    assert decide(parsed("after 22:00"), View(), AT + timedelta(hours=1)) is Decision.RELEASE


def test_terms_travel_with_the_job() -> None:
    hold = parsed("depth < 5", "08:00", expires=True)
    message = held_message(Job(id="a", config={}, group="train"), hold)
    assert read_hold(message) == hold
    message.headers[HOLD] = 5
    with pytest.raises(InvalidJob):
        read_hold(message)


def test_times_are_those_of_the_wall_across_a_change_of_daylight_saving_time() -> None:
    zone = tz.gettz("Europe/Berlin")
    evening = datetime(2026, 10, 24, 21, 0, tzinfo=zone)  # the clocks go back that night
    hold = parse_hold("after 07:00", "08:00", expires=False, at=evening)
    assert hold is not None
    assert hold.after is not None
    assert hold.by is not None
    assert hold.after.astimezone(timezone.utc).hour == 6
    assert hold.by.astimezone(timezone.utc).hour == 7


def test_the_zone_of_this_machine_knows_its_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        summer, winter = (datetime(2026, month, 15, 12, tzinfo=timezone.utc) for month in (7, 12))
        assert (here(summer).hour, here(winter).hour) == (14, 13)
        moment = here(summer).replace(month=12, hour=8)
        assert moment.astimezone(timezone.utc).hour == 7
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["depth < " + 400 * "9", "wait < 99999999999d"])
def test_a_number_that_nobody_can_read_again_is_refused(text: str) -> None:
    with pytest.raises(InvalidJob, match="too large"):
        parsed(text)


def test_a_date_that_no_calendar_reaches_is_refused() -> None:
    with pytest.raises(InvalidJob, match="no time"):
        parsed("depth < 5", "9999-12-31 23:59")
