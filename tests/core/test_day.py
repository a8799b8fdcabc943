"""The record of the last day: what was seen, what was not, and how long it is kept."""

from __future__ import annotations

import random

import msgspec
import pytest

from jupyter_aiqueue.core.collect.day import SPAN, Day, Sample, arrivals
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.snapshot import pack, unpack_lore
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.load import UNKNOWN, GroupLoad, Measured

from .pictures import AT, HIGH, NORMAL, ended, job, told


def busy(waiting: float | None, running: float = 1, slots: float = 2) -> GroupLoad:
    return GroupLoad(
        name="train",
        waiting=UNKNOWN if waiting is None else Measured(waiting),
        running=Measured(running),
        slots=Measured(slots),
        free=Measured(slots - running),
    )


def watch(day: Day, waiting: float | None, begin: float, end: float) -> None:
    """A look each second."""
    for second in range(int(end - begin) + 1):
        day.look([busy(waiting)], AT + begin + second)


def test_a_sample_is_the_mean_of_what_was_seen_in_five_minutes() -> None:
    day = Day()
    watch(day, 2, 0, 100)
    watch(day, 5, 101, 299)
    watch(day, 8, 300, 320)
    first, second = day.kept()["train"]
    assert (first.at, first.covered, first.running, first.slots, first.free) == (AT, 299, 1, 2, 1)
    assert first.waiting == pytest.approx((2 * 100 + 5 * 199) / 299, abs=0.1)
    assert (second.at, second.covered, second.waiting) == (AT + SPAN, 20, 8)


def test_a_time_in_which_nobody_looked_is_a_gap() -> None:
    day = Day()
    watch(day, 2, 0, 60)
    watch(day, 4, 3 * SPAN + 100, 3 * SPAN + 160)
    first, second = day.kept()["train"]
    assert (first.at, first.covered) == (AT, 60)
    assert (second.at, second.covered, second.waiting) == (AT + 3 * SPAN, 60, 4)


def test_what_is_unknown_is_not_nothing() -> None:
    day = Day()
    watch(day, None, 0, 60)
    (sample,) = day.kept()["train"]
    assert (sample.waiting, sample.running) == (None, 1)


def test_a_day_is_kept_and_no_more() -> None:
    day = Day()
    for number in range(400):
        watch(day, number, number * SPAN, number * SPAN + 10)
    kept = day.kept()["train"]
    assert len(kept) == 300
    assert kept[-1].waiting == 399
    assert (kept[-1].at - kept[0].at) / 3600 == pytest.approx(25, abs=0.1)


def test_events_are_counted_in_the_time_in_which_somebody_looked() -> None:
    day = Day()
    day.came("train", NORMAL, AT - 5)  # told late, of a time before
    watch(day, 0, 0, 60)
    day.came("train", NORMAL, AT - 5)
    day.came("train", HIGH, AT + 10)
    day.came("train", NORMAL, AT + 20)
    day.ended("train", AT + 30)
    watch(day, 0, 61, 310)
    day.came("train", NORMAL, AT + 299)
    (first, second) = day.kept()["train"]
    assert (first.came, first.ended, second.came) == ((1, 2, 0), 1, (0, 0, 0))


def test_rates_are_those_of_the_time_that_was_seen() -> None:
    samples = [
        Sample(0, 300, came=(0, 30, 0)),
        Sample(300, 150, came=(3, 15, 0)),
        Sample(1200, 300, came=(0, 0, 0)),
    ]
    rates, covered = arrivals(samples, 300)
    assert covered == 450
    assert rates == {
        Priority.HIGH: pytest.approx(3 / 450),
        Priority.NORMAL: pytest.approx(15 / 450),
    }
    assert arrivals(samples, 5000) == ({}, 0.0)


def test_the_next_collector_goes_on_with_the_day() -> None:
    picture = Picture(at=AT)
    for second in range(100):
        picture.look([busy(6)], AT + second)
    picture.event(told(Kind.SUBMITTED, job("j1"), 5))
    picture.event(told(Kind.STARTED, job("j1"), 6))
    picture.event(ended(job("j1"), 9, 3))
    heir = Picture(unpack_lore(pack(picture.lore())), at=AT + 130)
    for second in range(130, 160):
        heir.look([busy(0)], AT + second)
    heir.event(told(Kind.SUBMITTED, job("j2"), 110))  # while nobody looked
    heir.event(told(Kind.SUBMITTED, job("j3"), 140))
    (sample,) = heir.lore().day["train"]
    assert sample.covered == 99 + 29
    assert sample.waiting == pytest.approx(6 * 99 / 128, abs=0.1)
    assert (sample.came, sample.ended) == ((0, 2, 0), 1)


def test_a_day_adds_little_to_what_is_kept() -> None:
    random.seed(1)
    lore = Picture(at=AT).lore()
    samples = tuple(
        Sample(
            int(AT) + number * SPAN,
            random.choice((299, 300)),
            round(random.uniform(0, 50), 1),
            round(random.uniform(0, 8), 1),
            8,
            round(random.uniform(0, 8), 1),
            (random.randrange(3), random.randrange(20), 0),
            random.randrange(20),
        )
        for number in range(300)
    )
    full = msgspec.structs.replace(lore, day={"train": samples})
    added = len(pack(full)) - len(pack(lore))
    assert added < 6000, "bytes of a group in which everything changes all the time"
