"""The picture that events and heartbeats give: who is in line, who runs, what was learnt."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

import msgspec
import pytest

from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.scene import situation
from jupyter_aiqueue.core.collect.snapshot import (
    GroupLine,
    Snapshot,
    level_key,
    pack,
    unpack_lore,
    unpack_snapshot,
)
from jupyter_aiqueue.core.collect.tempo import Tempo
from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority, Result, State
from jupyter_aiqueue.core.load import BrokerLoad, Load

from .pictures import AT, BEGAN, HIGH, NORMAL, beat, ended, job, learn, seen, told


@pytest.fixture
def picture() -> Picture:
    return Picture(at=AT)


def line(picture: Picture, seconds: float = 0.0) -> GroupLine:
    return picture.line("train", AT + seconds, (10,))


def ids(picture: Picture, priority: Priority = NORMAL) -> list[str]:
    return [entry.job_id for entry in line(picture).line(priority)]


def test_jobs_are_in_line_in_the_order_in_which_they_joined(picture: Picture) -> None:
    for number, seconds in enumerate((2, 0, 1)):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}"), seconds))
    picture.event(told(Kind.SUBMITTED, job("first", priority=HIGH), 9))
    assert ids(picture) == ["j1", "j2", "j0"]
    assert ids(picture, HIGH) == ["first"]
    entry = line(picture).find("j1")
    assert entry is not None
    assert (entry.task, entry.user, entry.attempt) == ("fit", "ann", 1)
    assert entry.config, "what is alike cannot be told"
    configs = {e.config for e in line(picture).line(NORMAL)}
    assert len(configs) == 1, "their ids are no difference"


def test_a_start_takes_a_job_out_of_line_and_an_end_out_of_the_picture(picture: Picture) -> None:
    one = job("j1")
    picture.event(told(Kind.SUBMITTED, one))
    picture.event(told(Kind.STARTED, one, 5, worker="w1"))
    assert ids(picture) == []
    entry = line(picture).find("j1")
    assert entry is not None
    assert (entry.state, entry.worker, entry.since) == (State.RUNNING, "w1", AT + 5)
    picture.event(ended(one, 9, 4))
    assert line(picture).entries == ()


@pytest.mark.parametrize("late", [Kind.SUBMITTED, Kind.STARTED])
def test_what_comes_late_brings_nothing_back(picture: Picture, late: Kind) -> None:
    one = job("j1")
    picture.event(ended(one, 9, 4))
    picture.event(told(late, one))
    assert line(picture).entries == ()


def test_a_submit_that_comes_after_the_start_only_adds_what_was_not_known(picture: Picture) -> None:
    one = job("j1", name="mine")
    picture.event(told(Kind.STARTED, job("j1", name=None), 5, worker="w1"))
    picture.event(told(Kind.SUBMITTED, one))
    entry = line(picture).find("j1")
    assert entry is not None
    assert (entry.state, entry.name) == (State.RUNNING, "mine")


def test_a_job_between_attempts_is_at_the_end_of_its_line_when_it_is_due(picture: Picture) -> None:
    one, two = job("j1"), job("j2")
    picture.event(told(Kind.SUBMITTED, one))
    picture.event(told(Kind.STARTED, one, 1))
    due = BEGAN + timedelta(seconds=30)
    picture.event(told(Kind.RETRYING, one, 20, next_attempt_at=due))
    picture.event(told(Kind.SUBMITTED, two, 25))
    picture.tick(AT + 29, (10,))
    assert ids(picture) == ["j2"]
    picture.tick(AT + 31, (10,))
    assert ids(picture) == ["j2", "j1"]
    entry = line(picture).find("j1")
    assert entry is not None
    assert entry.attempt == 2
    picture.event(told(Kind.STARTED, job("j1", attempt=2), 40))
    assert ids(picture) == ["j2"]


def test_a_job_that_was_given_back_is_in_line_and_runs_again(picture: Picture) -> None:
    one = job("j1")
    picture.event(told(Kind.STARTED, one, 1))
    picture.event(told(Kind.REQUEUED, one, 2))
    assert ids(picture) == ["j1"]
    picture.event(told(Kind.STARTED, one, 3, turn=1))
    assert ids(picture) == []


def test_a_queue_that_is_longer_than_its_line_holds_strangers(picture: Picture) -> None:
    picture.event(told(Kind.SUBMITTED, job("j1")))
    picture.depth("train", NORMAL, 3, AT)
    assert line(picture).strangers == {NORMAL: 2}
    waiting = situation("train", line(picture), seen(beat()), AT).waiting[NORMAL]
    assert [one.like.task for one in waiting] == [None, None, "fit"]


def test_a_queue_that_stays_shorter_than_its_line_is_believed(picture: Picture) -> None:
    for number in range(3):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}"), number))
    picture.depth("train", NORMAL, 1, AT + 10)
    picture.depth("train", NORMAL, 1, AT + 69)
    assert len(ids(picture)) == 3, "who took one may have to ask before it starts"
    picture.depth("train", NORMAL, 1, AT + 71)
    assert ids(picture) == ["j2"]


def test_nobody_in_line_is_forgotten_while_jobs_are_taken_all_the_time(picture: Picture) -> None:
    # Each take is seen in the queue before it is told of.
    for number in range(20):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}"), number / 100))
    for number in range(12):
        picture.depth("train", NORMAL, 19 - number, AT + 10 * number)
        picture.event(told(Kind.STARTED, job(f"j{number}"), 10 * number + 0.1))
    assert len(ids(picture)) == 8


def test_who_was_believed_to_be_taken_may_still_tell_of_its_start(picture: Picture) -> None:
    picture.event(told(Kind.SUBMITTED, job("j1")))
    picture.depth("train", NORMAL, 0, AT)
    picture.depth("train", NORMAL, 0, AT + 61)
    assert line(picture).find("j1") is None
    picture.event(told(Kind.STARTED, job("j1"), 62))
    entry = line(picture).find("j1")
    assert entry is not None
    assert entry.state is State.RUNNING


def test_how_long_a_slot_stays_empty_is_learnt_while_somebody_is_in_line(picture: Picture) -> None:
    def run(number: int, began: float, ends: float) -> None:
        picture.event(told(Kind.STARTED, job(f"j{number}"), began, worker="w1"))
        picture.event(ended(job(f"j{number}"), ends, 5.0))

    for number in range(3):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}")))
    run(0, 1, 10)
    run(1, 12, 20)
    run(2, 26, 30)
    assert line(picture).handover_s == 4.0
    # Nobody was in line for this one when the slot got free.
    picture.event(told(Kind.SUBMITTED, job("j3"), 40))
    run(3, 41, 50)
    assert line(picture).handover_s == 4.0
    assert situation("train", line(picture), seen(beat()), AT).handover_s == 4.0


def test_a_further_attempt_begins_later_which_is_learnt_apart(picture: Picture) -> None:
    picture.event(told(Kind.SUBMITTED, job("j1")))
    picture.event(told(Kind.STARTED, job("j1"), 1, worker="w1"))
    picture.event(told(Kind.RETRYING, job("j1"), 10, next_attempt_at=BEGAN + timedelta(seconds=15)))
    picture.tick(AT + 20, (5,))
    picture.event(told(Kind.STARTED, job("j1", attempt=2), 23, worker="w1"))
    assert (line(picture).handover_s, line(picture).handover_again_s) == (0.0, 8.0)
    assert situation("train", line(picture), seen(beat()), AT).handover_again_s == 8.0


def test_forecasts_take_a_small_part_of_the_time(picture: Picture) -> None:
    learn(picture)
    picture.beat(beat())
    for number in range(1000):
        picture.event(told(Kind.SUBMITTED, job(f"j{number}"), number / 1000))
    began = time.thread_time()
    for second in range(20):  # which takes no second here
        for number in range(10):
            picture.event(told(Kind.SUBMITTED, job(f"s{second}n{number}"), second))
        picture.tick(AT + 2 + second, (10,))
        picture.start("train", line(picture), AT + 2 + second)
    assert time.thread_time() - began < 1.0, "80 claims and 20 starts of 20 ms or so were due"
    assert msgspec.json.decode(picture.lore().claims), "some were made"


def test_run_times_are_learnt_from_attempts_that_came_to_their_own_end(picture: Picture) -> None:
    one = job("j1")
    picture.event(told(Kind.STARTED, one))
    failed = Result(exit_code=1, duration_s=3.0)
    picture.event(told(Kind.RETRYING, one, 3, result=failed))
    picture.event(told(Kind.RETRYING, job("j1", attempt=2), 9))  # its worker was lost
    picture.event(ended(job("j1", attempt=3), 20, 5.0))
    cancelled = job("j2")
    picture.event(told(Kind.CANCELLED, cancelled, 9, result=Result(exit_code=None, duration_s=1.0)))
    runs = picture.lore().runs
    assert [(run.seconds, run.failed) for run in runs] == [(3.0, True), (5.0, False)]
    assert len({run.config for run in runs}) == 1


def test_forecasts_are_made_for_the_record_and_judged(picture: Picture) -> None:
    learn(picture)
    picture.beat(beat("w1", 0, "past", slots=1))
    picture.event(told(Kind.SUBMITTED, job("j1")))
    picture.tick(AT + 1, (10,))
    assert line(picture, 1).record.start == (0, 0)
    picture.event(told(Kind.STARTED, job("j1"), 60))
    picture.event(ended(job("j1"), 160, 100))
    record = line(picture, 200).record
    assert record.start[1] == record.finish[1] == 1
    assert set(line(picture).levels) == {
        level_key(what, at_once=at_once)
        for what in ("start", "finish")
        for at_once in (True, False)
    }


def test_lore_carries_everything_over(picture: Picture) -> None:
    learn(picture)
    picture.event(told(Kind.SUBMITTED, job("j1")))
    picture.beat(beat("w1", 0, "past", slots=1))
    picture.tick(AT + 1, (10,))
    heir = Picture(unpack_lore(pack(picture.lore())), at=AT + 5)
    assert ids(heir) == ["j1"]
    assert heir.lore().runs == picture.lore().runs
    heir.event(told(Kind.STARTED, job("j1"), 60))
    assert line(heir, 100).record.start[1] == 1, "the forecast was forgotten"


# -- what a forecast is made of ----------------------------------------------------------


def test_workers_that_are_silent_or_leaving_give_no_slots(picture: Picture) -> None:
    beats = [
        beat("taking"),
        beat("draining", state="draining"),
        beat("stopped", state="stopped"),
        beat("silent", -60),
        beat("other", groups=("infer",)),
    ]
    for one in beats:
        picture.beat(one)
    found = situation("train", line(picture), picture.workers("train", AT), AT)
    assert [(w.worker, w.draining) for w in found.workers] == [
        ("taking", False),
        ("draining", True),
    ]


def test_what_runs_is_known_with_its_age_and_progress(picture: Picture) -> None:
    picture.event(told(Kind.STARTED, job("j1"), -30, worker="w1"))
    workers = seen(beat("w1", -30, "j1", interval=60))
    (run,) = situation("train", line(picture), workers, AT).running
    assert (run.elapsed_s, run.progress, run.like.task) == (30.0, 0.5, "fit")


def test_jobs_of_a_worker_that_is_lost_come_back(picture: Picture) -> None:
    picture.event(told(Kind.STARTED, job("j1"), -500, worker="gone"))
    picture.event(told(Kind.STARTED, job("j2"), -500, worker="w1"))
    workers = seen(beat("w1", 0, "j2"), beat("gone", -50, "j1"))
    found = situation("train", line(picture), workers, AT)
    (returning,) = found.returning
    assert 0 < returning.after_s < 90
    assert len(found.running) == 1


# -- small parts -------------------------------------------------------------------------


def test_rates_are_unknown_until_they_have_been_counted_for_as_long() -> None:
    tempo = Tempo(AT)
    for second in range(0, 60, 2):
        tempo.add(AT + second)
    assert tempo.rate(60, AT + 59) is None
    assert tempo.rate(60, AT + 60) == pytest.approx(0.5)
    assert tempo.rate(600, AT + 600) == pytest.approx(0.05)
    assert tempo.rate(60, AT + 600) == 0.0


def test_rates_count_what_comes_late_in_its_time() -> None:
    tempo = Tempo(AT)
    for second in (100, 5, 50):
        tempo.add(AT + second)
    assert tempo.rate(60, AT + 110) == pytest.approx(2 / 60)
    assert tempo.rate(60, AT + 115) == pytest.approx(1.5 / 60), "half of a bucket is out"


@pytest.mark.parametrize("unpack", [unpack_snapshot, unpack_lore])
@pytest.mark.parametrize(
    "body", [b"", b"{}", pack(Picture(at=AT).lore())[:-4]], ids=["nothing", "other", "torn"]
)
def test_what_is_no_snapshot_is_refused(unpack: Callable[[bytes], object], body: bytes) -> None:
    with pytest.raises(InvalidJob):
        unpack(body)


def test_a_snapshot_survives_its_way(picture: Picture) -> None:
    picture.event(told(Kind.SUBMITTED, job("j1")))
    load = Load(timestamp=BEGAN, broker=BrokerLoad(state="up"))
    sent = Snapshot(timestamp=BEGAN, collector="w1", load=load, groups={"train": line(picture)})
    assert unpack_snapshot(pack(sent)) == sent


def test_a_start_that_was_computed_earlier_is_told_with_its_age(picture: Picture) -> None:
    busy(picture, 3000)
    first = picture.start("train", line(picture), AT)
    assert first.middle is not None
    assert picture.start("train", line(picture), AT + 4) == first.later(4)
    assert picture.wait("train", line(picture), AT + 4) == first.middle - 4
    assert picture.wait("train", line(picture), AT + 6) is None, "what is done is not undone"


def test_a_start_is_computed_anew_when_the_line_is_much_shorter(picture: Picture) -> None:
    busy(picture, 3000)
    first = picture.start("train", line(picture), AT)
    assert first.middle is not None
    picture.depth("train", NORMAL, 0, AT + 1)
    emptied = picture.start("train", line(picture), AT + 1)
    assert emptied.middle is not None
    assert emptied.middle < first.middle / 50


def test_a_line_of_any_length_is_forecast(picture: Picture) -> None:
    busy(picture, 1900)
    whole = picture.start("train", line(picture), AT).middle
    longer = Picture(at=AT)
    busy(longer, 190_000)
    began = time.thread_time()
    middle = longer.start("train", line(longer), AT).middle
    assert time.thread_time() - began < 1.5, "all of them were played"
    assert whole is not None
    assert middle is not None
    assert middle == pytest.approx(100 * whole, rel=0.1)


def busy(picture: Picture, strangers: int) -> None:
    """So many wait for a worker; and the time for forecasts is used up by one of them."""
    learn(picture)
    picture.beat(beat())
    picture.depth("train", NORMAL, strangers, AT)


def test_a_worker_that_is_long_gone_is_forgotten(picture: Picture) -> None:
    picture.beat(beat("w1"))
    picture.beat(beat("w2", 800))
    picture.tick(AT + 850, ())
    assert [(w.worker, w.state) for w in picture.workers("train", AT + 850)] == [
        ("w1", "lost"),
        ("w2", "lost"),
    ]
    picture.tick(AT + 950, ())
    assert [w.worker for w in picture.workers("train", AT + 950)] == ["w2"]
