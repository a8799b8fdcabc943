"""What is expected of one job: its place, when it starts and ends, and the sentence about it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from IPython.core.formatters import DisplayFormatter

from jupyter_aiqueue.core.collect.forecaster import Answer
from jupyter_aiqueue.core.collect.foresee import foresee, foresee_end, foresee_job
from jupyter_aiqueue.core.collect.foresight import Foresight, Remaining
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.snapshot import Snapshot
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.load import BrokerLoad, Expected, GroupLoad, Load, aged
from jupyter_aiqueue.core.text import clock, hits_text, span, start_text

from .pictures import AT, BEGAN, NORMAL, beat, job, learn, told


@pytest.fixture
def picture() -> Picture:
    """One worker with one slot, whose job takes 100 s like all others, and three in line."""
    picture = Picture(at=AT)
    learn(picture, took=100.0)
    running = job("running")
    picture.event(told(Kind.SUBMITTED, running, -20_000))  # few come
    picture.event(told(Kind.STARTED, running, -50, worker="w1"))
    picture.beat(beat("w1", -50, "running", slots=1, interval=100))
    for number, priority in enumerate((NORMAL, NORMAL, Priority.HIGH)):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}", priority=priority), number - 10))
    return picture


def snapshot(picture: Picture) -> Snapshot:
    workers = tuple(picture.workers("train", AT))
    group = GroupLoad(name="train", worker_list=workers)
    load = Load(timestamp=BEGAN, broker=BrokerLoad(state="up"), groups=(group,))
    return Snapshot(
        timestamp=BEGAN,
        collector="w1",
        load=load,
        groups={"train": picture.line("train", AT, (10,))},
    )


def test_a_job_in_line_knows_who_is_ahead_and_when_it_starts(picture: Picture) -> None:
    found = foresee_job(snapshot(picture), picture.lore(), "j1", "train")
    assert found is not None
    assert (found.ahead, found.ahead_of_higher) == (1, 1)
    # What runs is half done, and two jobs come before it.
    assert found.start.low is not None
    assert found.start.high is not None
    assert found.start.low <= 250 <= found.start.high
    assert found.finish.low is not None
    assert found.finish.low > found.start.low
    assert "same task and config" in found.basis


def test_a_job_that_runs_has_an_end_that_its_progress_sharpens(picture: Picture) -> None:
    lore = picture.lore()
    half = foresee_end(snapshot(picture), lore, "running", "train")
    assert half is not None
    # It has run for 50 s, half is done, and others took 100 s.
    assert half.finish.low is not None
    assert half.finish.high is not None
    assert 20 < half.finish.low <= half.finish.high < 60
    assert half.basis.startswith("its progress and runs: 20 of the same task and config")
    assert f"at {clock(BEGAN + timedelta(seconds=50), BEGAN)} (80 % range), by its" in str(half)
    assert half.later(5).at == BEGAN + timedelta(seconds=5)
    unlearnt = foresee_end(snapshot(picture), None, "running", "train")
    assert str(unlearnt) == "When it ends cannot be told: no history yet."


def test_what_no_living_worker_runs_has_no_end(picture: Picture) -> None:
    lore = picture.lore()
    assert foresee_end(snapshot(picture), lore, "j1", "train") is None
    assert foresee_end(snapshot(picture), lore, "running", "infer") is None
    picture.beat(beat("w1", -50, "running", slots=1, interval=5))
    assert foresee_end(snapshot(picture), lore, "running", "train") is None


def test_a_notebook_shows_sentences_and_no_fields() -> None:
    told = Foresight(start=Expected(missing="x"), finish=Expected(missing="x"))
    ends = Remaining(finish=Expected(missing="x"), at=BEGAN)
    for value in (told, ends, Answer(foresight=told), Answer(missing="It is away.")):
        shown = DisplayFormatter().format(value)[0]
        assert shown == {"text/plain": str(value)}


def test_what_is_told_later_is_closer_by_as_much() -> None:
    start, finish = Expected(low=2.0, middle=10.0, high=30.0), Expected(missing="no history yet")
    told_later = Foresight(start=start, finish=finish).later(4.0)
    assert told_later.start == Expected(low=0.0, middle=6.0, high=26.0)
    assert told_later.finish == finish


def test_a_job_that_might_be_submitted_comes_last(picture: Picture) -> None:
    asked = {"group": "train", "task": "fit", "config": {"lr": 1}}
    low, high = (
        foresee(snapshot(picture), picture.lore(), priority=priority, **asked)  # type: ignore[arg-type]
        for priority in (Priority.LOW, Priority.HIGH)
    )
    assert low is not None
    assert high is not None
    assert (low.ahead, low.ahead_of_higher) == (0, 3)
    assert (high.ahead, high.ahead_of_higher) == (1, 0)
    assert high.start.middle is not None
    assert low.start.middle is not None
    assert high.start.middle < low.start.middle


def test_what_is_in_no_line_is_not_foreseen(picture: Picture) -> None:
    assert foresee_job(snapshot(picture), picture.lore(), "running", "train") is None
    assert foresee_job(snapshot(picture), picture.lore(), "j1", "infer") is None


def test_without_history_or_workers_nothing_is_guessed(picture: Picture) -> None:
    unknown = foresee_job(snapshot(picture), None, "j1", "train")
    assert unknown is not None
    assert (unknown.start.low, unknown.start.missing) == (None, "no history yet")
    assert "cannot be told: no history yet" in str(unknown)
    nobody = Picture(picture.lore(), at=AT)
    alone = foresee_job(snapshot(nobody), picture.lore(), "j1", "train")
    assert alone is not None
    assert "no worker takes jobs of this group" in str(alone)
    assert unknown.run.missing == "no history yet"
    assert "A run of it" not in str(unknown)


def test_how_long_a_run_takes_is_known_with_and_without_workers(picture: Picture) -> None:
    for seen in (picture, Picture(picture.lore(), at=AT)):
        found = foresee_job(snapshot(seen), picture.lore(), "j1", "train")
        assert found is not None
        assert found.run.low is not None
        assert found.run.high is not None
        assert 50 < found.run.low <= 100 <= found.run.high < 200
        assert "A run of it takes" in str(found)


# -- words -------------------------------------------------------------------------------


def test_the_sentence_tells_the_range_and_how_far_to_trust_it() -> None:
    found = Foresight(
        start=Expected(low=720, middle=1000, high=1500, inside=33, of=40),
        finish=Expected(low=4000, middle=5000, high=9000),
        ahead=2,
        ahead_of_higher=1,
        basis="runs: 12 of the task",
    )
    assert str(found) == (
        "Ahead of it: 1 of higher and 2 of its own priority. "
        "It starts in 12–25 min (80 % range; 33 of the last 40 landed inside). "
        "It ends in 66 min – 2 h 30 min (80 % range, not tried yet), by runs: 12 of the task."
    )


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (720, 1500, "12–25 min"),
        (40, 200, "40 s – 3 min"),
        (30, 30.2, "30 s"),
        (3700, 9000, "61 min – 2 h 30 min"),
    ],
)
def test_a_range_is_short(low: float, high: float, text: str) -> None:
    assert span(low, high) == text


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        (None, "unknown"),
        (Expected(missing="no history yet"), "no history yet"),
        (Expected(low=0.1, middle=0.2, high=0.5, at_once=True), "at once"),
        (Expected(low=0.1, middle=40, high=90, at_once=True), "0.1–90 s"),
        (Expected(low=60, middle=70, high=80), "60–80 s"),
    ],
)
def test_a_start_is_told_in_a_few_words(expected: Expected | None, text: str) -> None:
    assert start_text(expected) == text


def test_a_record_says_how_many_landed_inside() -> None:
    assert "33 of the last 40" in hits_text(Expected(low=1, inside=33, of=40))


def test_numbers_of_a_snapshot_grow_older() -> None:
    from jupyter_aiqueue.core.load import Measured

    group = GroupLoad(
        name="train",
        workers=Measured(1, "heartbeats", 2.0),
        ended_rates={60: Measured(0.1, "events", 0.0), 600: Measured()},
    )
    later = aged(group, 3.0)
    assert later.workers.age_s == 5.0
    assert (later.ended_rates[60].age_s, later.ended_rates[600].age_s) == (3.0, None)
    assert later.name == "train"
