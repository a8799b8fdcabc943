"""Plans: what is expected of a batch, from what the collector tells; and how it is said."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_aiqueue.core.collect.day import SPAN, Sample
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.planning import plan
from jupyter_aiqueue.core.collect.snapshot import Snapshot
from jupyter_aiqueue.core.errors import ConfigError, InvalidJob
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job, Priority
from jupyter_aiqueue.core.load import BrokerLoad, Expected, GroupLoad, Load, Measured
from jupyter_aiqueue.core.parameters import read_configs_file
from jupyter_aiqueue.core.plan import (
    MOST_JOBS,
    LineAhead,
    PastLoad,
    Plan,
    Submission,
    check_count,
    moments,
)
from jupyter_aiqueue.core.plan_text import load_lines, moment, plan_text, point

from .pictures import AT, BEGAN, beat, job, learn, told

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 3, 12, 0, tzinfo=timezone.utc)


def jobs(count: int = 4, **fields: Any) -> list[Job]:
    return [job(f"mine{number}", **fields) for number in range(count)]


@pytest.fixture
def picture() -> Picture:
    """One worker with one slot, whose job of 100 s is half done, and one in line."""
    picture = Picture(at=AT)
    learn(picture, count=200, took=100.0)
    running = job("running")
    picture.event(told(Kind.SUBMITTED, running, -20_000))  # few come
    picture.event(told(Kind.STARTED, running, -50, worker="w1"))
    picture.beat(beat("w1", -50, "running", slots=1, interval=100))
    picture.event(told(Kind.SUBMITTED, job("theirs"), -10))
    return picture


def snapshot(picture: Picture) -> Snapshot:
    group = GroupLoad(
        name="train", waiting=Measured(1), worker_list=tuple(picture.workers("train", AT))
    )
    load = Load(timestamp=BEGAN, broker=BrokerLoad(state="up"), groups=(group,))
    lines = {"train": picture.line("train", AT, (10,))}
    return Snapshot(timestamp=BEGAN, collector="w1", load=load, groups=lines)


def made(picture: Picture, *more: tuple[str, datetime], **fields: Any) -> Plan:
    when = [("now", BEGAN), *more]
    return plan(snapshot(picture), picture.lore(), jobs(**fields), when, at=BEGAN, seed=1)


def test_a_batch_is_done_when_the_line_and_all_of_it_are(picture: Picture) -> None:
    found = made(picture, ("in an hour", BEGAN + HOUR))
    now, later = found.submissions
    # 50 s are left, 100 s are theirs, and each of the four takes 100 s.
    assert now.first.middle == pytest.approx(150, abs=15)
    assert now.half.middle == pytest.approx(350, abs=20)
    assert now.done.middle == pytest.approx(550, abs=30)
    assert later.first.middle == pytest.approx(3600, abs=30)
    assert later.done.middle == pytest.approx(4000, abs=60)
    assert now.done.low is not None
    assert now.done.high is not None
    assert now.done.low < now.done.middle < now.done.high
    assert found.basis.startswith("runs: 64 of the same task and config")


def test_higher_priority_is_done_sooner(picture: Picture) -> None:
    high, low = (made(picture, priority=p).submissions[0] for p in (Priority.HIGH, Priority.LOW))
    assert high.first.middle == pytest.approx(50, abs=10)
    assert low.first.middle == pytest.approx(150, abs=15)


def test_jobs_that_come_before_are_as_many_as_lately(picture: Picture) -> None:
    tonight = ("tonight", BEGAN + 3 * HOUR)
    lore = picture.lore()
    begin = int(AT // SPAN) * SPAN
    busy = tuple(
        Sample(begin - number * SPAN, 300, 3, 1, 1, 0, (0, 6, 0)) for number in range(1, 37)
    )
    still, crowded = (
        plan(
            snapshot(picture),
            msgspec.structs.replace(lore, day={"train": day}),
            jobs(),
            [("now", BEGAN), tonight],
            at=BEGAN,
            seed=1,
        )
        for day in ((Sample(begin - SPAN, 300),), busy)
    )
    # Twice as many as can be worked off.
    assert crowded.submissions[1].before == pytest.approx(3 * 3600 * 6 / 300)
    assert crowded.arrivals_from_s == 36 * 300
    assert still.submissions[1].before == 0
    assert crowded.submissions[1].done.middle is not None
    assert still.submissions[1].done.middle is not None
    assert crowded.submissions[1].done.middle > still.submissions[1].done.middle + 3600
    assert crowded.ahead[-1].middle > crowded.ahead[0].middle
    assert [sample.waiting for sample in crowded.past][:2] == [3, 3]


def test_a_burst_of_minutes_is_not_taken_for_the_usual(picture: Picture) -> None:
    lore = picture.lore()
    burst = (Sample(int(AT // SPAN) * SPAN, 20, 3, 1, 1, 0, (0, 60, 0)),)
    found = plan(
        snapshot(picture),
        msgspec.structs.replace(lore, day={"train": burst}),
        jobs(),
        [("in an hour", BEGAN + HOUR)],
        at=BEGAN,
        seed=1,
    )
    assert found.submissions[0].before == pytest.approx(60 * 2)
    assert found.submissions[0].done.middle is not None


def test_without_history_or_collector_nothing_is_guessed(picture: Picture) -> None:
    when = [("now", BEGAN)]
    lore = Picture(at=AT).lore()
    ignorant = plan(snapshot(picture), lore, jobs(), when, at=BEGAN)
    assert ignorant.submissions[0].done == Expected(missing="no history yet")
    assert ignorant.ahead == ()
    assert "no history yet" in str(ignorant)
    day = {"train": (Sample(int(AT) - 600, 300, 7, 1, 1, 0),)}
    alone = plan(None, msgspec.structs.replace(lore, day=day), jobs(), when, at=BEGAN)
    assert "no worker tells of the load" in str(alone)
    assert [sample.waiting for sample in alone.past] == [7], "the past is known all the same"


# -- moments and files -------------------------------------------------------------------


def test_moments_are_now_in_an_hour_tonight_and_what_is_asked() -> None:
    found = moments(["18:30", "2026-03-05 06:00"], NOON)
    assert [(label, at - NOON) for label, at in found] == [
        ("now", timedelta()),
        ("in an hour", HOUR),
        ("18:30", 6.5 * HOUR),
        ("tonight", 10 * HOUR),
        ("2026-03-05 06:00", 42 * HOUR),
    ]


def test_late_in_the_evening_tonight_is_over() -> None:
    late = NOON.replace(hour=21, minute=30)
    assert [(label, at - late) for label, at in moments([], late)][2] == (
        "tomorrow night",
        24.5 * HOUR,
    )


@pytest.mark.parametrize("text", ["yesterday", "2026-03-01 10:00", "25:00"])
def test_a_moment_that_is_none_or_over_is_refused(text: str) -> None:
    with pytest.raises(InvalidJob):
        moments([text], NOON)


@pytest.mark.parametrize("count", [0, -3, MOST_JOBS + 1])
def test_a_batch_of_nothing_or_too_much_is_refused(count: int) -> None:
    with pytest.raises(InvalidJob):
        check_count(count)


@pytest.mark.parametrize(
    ("name", "text", "configs"),
    [
        ("a.yaml", "lr: 0.1\nepochs: 3", [{"lr": 0.1, "epochs": 3}]),
        ("a.yaml", "- lr: 0.1\n- lr: 0.2", [{"lr": 0.1}, {"lr": 0.2}]),
        ("a.json", '[{"lr": 1}, {}]', [{"lr": 1}, {}]),
        ("a.toml", "lr = 0.1", [{"lr": 0.1}]),
        ("a.yaml", "# nothing", [{}]),
    ],
)
def test_a_file_holds_one_config_or_a_list(
    tmp_path: Path, name: str, text: str, configs: list[dict[str, Any]]
) -> None:
    (tmp_path / name).write_text(text)
    assert read_configs_file(tmp_path / name) == configs


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.yaml", "- lr: 1\n- 3", "Config 2 of"),
        ("a.yaml", "[]", "empty list"),
        ("a.yaml", "a: [", "cannot be read as YAML"),
        ("a.json", "3", "must be a mapping"),
    ],
)
def test_a_file_that_holds_none_says_what_is_wrong(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_configs_file(tmp_path / name)


# -- words -------------------------------------------------------------------------------


@pytest.fixture
def in_zone() -> Iterator[Callable[[str], None]]:
    """Be where another clock is kept."""
    with pytest.MonkeyPatch.context() as patch:

        def move(zone: str) -> None:
            patch.setenv("TZ", zone)
            time.tzset()

        yield move
    time.tzset()


def spoken(**fields: Any) -> Plan:
    return Plan(
        timestamp=NOON,
        group="train",
        priority=Priority.NORMAL,
        task="fit",
        jobs=40,
        submissions=(),
        **fields,
    )


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        (Expected(low=3600, middle=5400, high=7200), "13:30 (13:00–14:00)"),
        (Expected(low=10, middle=20, high=30), "12:00:20 (12:00:10–12:00:30)"),
        (Expected(low=3600, middle=3600, high=3600), "13:00"),
        (Expected(low=36_000, middle=39_600, high=50_000), "23:00 (22:00–03-04 01:53)"),
        (Expected(low=36_000, middle=46_800, high=50_000), "03-04 01:00 (03-03 22:00–01:53)"),
        (Expected(low=0, middle=0, high=1, at_once=True), "at once"),
        (Expected(missing="no history yet"), "no history yet"),
        (Expected(), "unknown"),
    ],
)
def test_a_time_is_told_with_its_range(
    in_zone: Callable[[str], None], expected: Expected, said: str
) -> None:
    in_zone("UTC")
    assert point(spoken(), expected) == said


def test_times_are_those_of_the_reader(in_zone: Callable[[str], None]) -> None:
    in_zone("Asia/Shanghai")
    assert moment(NOON, NOON) == "20:00"
    assert moment(NOON + 6 * HOUR, NOON) == "03-04 02:00"


def test_the_past_is_drawn_in_half_hours_with_its_gaps() -> None:
    past = [
        PastLoad(at=NOON - timedelta(minutes=minutes), waiting=waiting)
        for minutes, waiting in ((25 * 60, 90), (23 * 60 + 50, 0), (80, 4), (75, 8), (5, 16))
    ]
    ahead = [LineAhead(at=NOON, low=1, middle=2, high=3)]
    (waits,) = load_lines(spoken(past=tuple(past)))
    drawn = waits.split(": ")[1]
    assert drawn.startswith("▁" + "·" * 44 + "▄·█ (at most 16; ·")
    assert load_lines(spoken(past=(past[1],)))[0].endswith("(at most 0; ·: nobody looked)")
    assert load_lines(spoken(ahead=tuple(ahead))) == []


def test_the_text_says_how_far_to_trust_it(picture: Picture) -> None:
    text = plan_text(made(picture, ("in an hour", BEGAN + HOUR)))
    assert text.startswith("4 jobs of fit in group train, priority normal. Nothing was sent.")
    assert "all are done" in text
    assert "no forecast of this group has met its outcome yet" in text
    assert "Further ahead less is known" in text
    assert "Waiting ahead, without these jobs: 1 at" in text


def test_no_start_is_told_before_its_submit(
    picture: Picture, in_zone: Callable[[str], None]
) -> None:
    in_zone("UTC")
    # Somebody asked a little before the collector told.
    asked = BEGAN - timedelta(seconds=0.7)
    tonight = BEGAN.replace(second=0, microsecond=0) + 10 * HOUR
    found = plan(
        snapshot(picture), picture.lore(), jobs(), [("tonight", tonight)], at=asked, seed=1
    )
    (one,) = found.submissions
    assert one.first.low is not None
    assert asked + timedelta(seconds=one.first.low) >= tonight - timedelta(milliseconds=1)
    assert point(found, one.first).startswith(moment(tonight, asked))
    cut = Expected(low=35_999.99, middle=35_999.99, high=37_200)
    assert point(spoken(), cut) == "22:00 (22:00–22:20)"


@pytest.mark.parametrize(
    ("over", "said"),
    [
        (1800.0, "some 225 more jobs are taken to come before 22:00, as many every 30 min"),
        (76.0, "some 225 more jobs are taken to come before 22:00, as fast as in the 76 s that"),
    ],
)
def test_it_says_what_is_taken_to_come_and_from_what(
    in_zone: Callable[[str], None], over: float, said: str
) -> None:
    in_zone("UTC")
    sure = Expected(low=1, middle=2, high=3)
    last = Submission(
        label="tonight", at=NOON + 10 * HOUR, first=sure, half=sure, done=sure, before=225
    )
    text = plan_text(
        msgspec.structs.replace(
            spoken(arrivals_from_s=76.0, arrivals_over_s=over), submissions=(last,)
        )
    )
    assert said in text
    assert "76 s that were watched lately" in text


def test_a_task_that_no_worker_has_is_said_like_in_a_dry_run(picture: Picture) -> None:
    picture.beat(beat("w1", 0, "running", slots=1, interval=100, tasks=("fit", "infer")))
    assert made(picture).refusals == ()
    text = plan_text(made(picture, task="nosuchtask"))
    why = "no worker of train has a task 'nosuchtask'; they have fit, infer."
    assert text.count(f"It would not run: {why[0].upper()}{why[1:]}") == 1


def test_jobs_without_a_config_are_called_that(picture: Picture) -> None:
    assert "without a config" not in plan_text(made(picture))
    text = plan_text(made(picture, config={"task_id": "mine"}))
    assert text.startswith("4 jobs of fit without a config in group train")


def test_what_is_unknown_of_everything_is_said_once() -> None:
    text = str(plan(None, None, jobs(), [("now", BEGAN), ("in an hour", BEGAN + HOUR)], at=BEGAN))
    assert text.count("no worker tells of the load") == 1
    assert "When they would be done is unknown" in text
