"""Forecasts of single jobs: what makes them earlier, later, wider or impossible."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_aiqueue.core.forecast import (
    NO_HISTORY,
    NO_WORKER,
    Forecast,
    Likeness,
    Range,
    ReturningJob,
    Run,
    RunTimes,
    Situation,
    WaitingJob,
    WorkerSlots,
    forecast,
)
from jupyter_aiqueue.core.forecast.line import FAIRNESS, Line
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.worker import take

from .situations import GROUP, LIKE, busy, line, steady, varied

JOB = WaitingJob(like=LIKE)


def start(situation: Situation, history: RunTimes, job: WaitingJob = JOB, **more: int) -> Range:
    told = forecast(situation, job, history, seed=1, **more).start
    assert told is not None
    return told


def finish(situation: Situation, history: RunTimes, job: WaitingJob = JOB) -> Range:
    told = forecast(situation, job, history, seed=1).finish
    assert told is not None
    return told


@settings(max_examples=40, deadline=None)
@given(
    slots=st.integers(1, 6),
    ahead=st.integers(0, 30),
    runs=st.integers(3, 60),
    spread=st.floats(0, 3),
    elapsed=st.floats(0, 1e6),
    rate=st.floats(0, 1),
    progress=st.none() | st.floats(0, 1),
)
def test_points_are_ordered_and_nothing_finishes_before_it_starts(
    slots: int,
    ahead: int,
    runs: int,
    spread: float,
    elapsed: float,
    rate: float,
    progress: float | None,
) -> None:
    situation = busy(
        slots, ahead, elapsed_s=elapsed, progress=progress, arrivals={Priority.HIGH: rate}
    )
    told = forecast(situation, JOB, varied(runs, spread), seed=2)
    assert told.start is not None
    assert told.finish is not None
    begins, ends = told.start, told.finish
    assert 0 <= begins.low <= begins.middle <= begins.high < float("inf")
    assert ends.low <= ends.middle <= ends.high < float("inf")
    assert ends.low >= begins.low
    assert ends.middle >= begins.middle
    assert ends.high >= begins.high


def test_a_line_of_equal_jobs_is_a_sum() -> None:
    # 2 slots, each half way through 100 s; 4 ahead: two rounds of 100 s before it.
    told = start(busy(slots=2, ahead=4), steady(runs=500))
    assert told.middle == pytest.approx(250, rel=0.05)
    assert finish(busy(slots=2, ahead=4), steady(runs=500)).middle == pytest.approx(350, rel=0.05)


@settings(max_examples=20, deadline=None)
@given(slots=st.integers(1, 6), ahead=st.integers(0, 25), spread=st.floats(0, 1.5))
def test_more_slots_are_never_later_and_more_jobs_ahead_never_earlier(
    slots: int, ahead: int, spread: float
) -> None:
    history = varied(60, spread)
    told = start(busy(slots, ahead), history).middle
    noise = 0.15 * told + 1.0
    assert start(busy(slots * 2, ahead), history).middle <= told + noise
    assert start(busy(slots, ahead + 5), history).middle >= told - noise


def test_a_job_that_has_run_longer_than_anything_seen_goes_on_for_a_time_like_that() -> None:
    history = varied(100, 0.3)
    short = start(busy(1, 0, elapsed_s=10.0), history)
    old = start(busy(1, 0, elapsed_s=10_000.0), history)
    assert short.middle < 200
    assert 500 < old.middle < 20_000
    assert old.high > 5_000


def test_elapsed_time_of_runs_that_are_all_alike_leaves_the_rest() -> None:
    assert start(busy(1, 0, elapsed_s=90.0), steady(runs=500)).middle == pytest.approx(10, abs=3)


def test_progress_sharpens_and_counts_for_more_the_further_the_job_has_come() -> None:
    history = varied(100, 1.0)
    blind = start(busy(1, 0, elapsed_s=900.0), history)
    half = start(busy(1, 0, elapsed_s=900.0, progress=0.5), history)
    nearly = start(busy(1, 0, elapsed_s=900.0, progress=0.9), history)
    assert half.high - half.low < blind.high - blind.low
    assert nearly.middle == pytest.approx(100, rel=0.2)
    assert nearly.high / nearly.low < 1.6
    assert (nearly.high / nearly.low) < (half.high / half.low) < (blind.high / blind.low)


@pytest.mark.parametrize("progress", [0.0, 1.0, -3.0, 7.0])
def test_progress_that_says_nothing_changes_nothing(progress: float) -> None:
    history = varied()
    assert start(busy(1, 0, progress=progress), history) == start(busy(1, 0), history)


def test_without_history_it_says_so_instead_of_guessing() -> None:
    told = forecast(busy(), JOB, RunTimes())
    assert (told.start, told.finish, told.missing) == (None, None, NO_HISTORY)
    assert told.basis == NO_HISTORY
    assert told.ahead == 4
    # Runs of other groups are no history of this one.
    assert forecast(busy(), JOB, steady(like=Likeness("infer"))).missing == NO_HISTORY


def test_without_history_a_free_slot_is_still_a_free_slot() -> None:
    situation = Situation(group=GROUP, workers=busy().workers)
    told = forecast(situation, JOB, RunTimes())
    assert told.start == Range(0.0, 0.0, 0.0)
    assert (told.finish, told.missing, told.at_once) == (None, NO_HISTORY, True)


def test_without_workers_nothing_starts() -> None:
    for situation in (Situation(group=GROUP), busy(slots=2, draining=2)):
        told = forecast(situation, JOB, steady())
        assert (told.start, told.missing) == (None, NO_WORKER)


def test_slots_of_draining_workers_do_not_come_back() -> None:
    history = steady(runs=500)
    assert start(busy(slots=2, ahead=4, draining=1), history).middle == pytest.approx(450, rel=0.05)
    assert start(busy(slots=2, ahead=4), history).middle == pytest.approx(250, rel=0.05)


def test_what_runs_on_a_draining_worker_is_waited_for_by_nobody() -> None:
    still = busy(slots=2, ahead=0, draining=1)
    ending = msgspec.structs.replace(still.running[1], elapsed_s=99.0)
    situation = msgspec.structs.replace(still, running=(ending, still.running[0]))
    assert start(situation, steady(runs=500)).middle == pytest.approx(50, rel=0.1)


def test_higher_priorities_go_first_and_lower_ones_only_in_one_take_of_ten() -> None:
    history = steady(runs=500)
    alone = start(busy(1, 0), history).middle
    behind = start(busy(1, 0, waiting=line(9, Priority.HIGH)), history)
    before = start(busy(1, 0, waiting=line(9, Priority.LOW)), history)
    assert alone == pytest.approx(50, rel=0.1)
    # One of ten takes is reversed, and which it is, is not known: any place is as likely.
    assert behind.low < 200
    assert behind.middle == pytest.approx(500, rel=0.3)
    assert behind.high > 800
    assert before.middle == pytest.approx(alone, rel=0.1)
    # A line of nine takes has a reversed one in it, nearly always.
    long = start(busy(1, 9, waiting=line(9, Priority.LOW)), history).middle
    assert long == pytest.approx(start(busy(1, 10), history).middle, rel=0.05)


def test_a_low_job_is_not_starved_by_high_ones() -> None:
    job = WaitingJob(like=LIKE, priority=Priority.LOW)
    told = start(busy(1, 100, priority=Priority.HIGH), steady(runs=500), job)
    assert told.high < FAIRNESS * 110
    assert told.high > told.low  # whose turn it is, is not known


def test_the_fairness_of_the_workers_is_the_one_that_is_played() -> None:
    assert FAIRNESS == take.FAIRNESS


@pytest.mark.parametrize("priority", [Priority.NORMAL, Priority.LOW])
def test_only_arrivals_of_higher_priority_overtake(priority: Priority) -> None:
    history = varied(200, 0.5)
    still = start(busy(2, 10), history).middle
    assert start(busy(2, 10, arrivals={Priority.HIGH: 0.01}), history).middle > 1.3 * still
    assert start(busy(2, 10, arrivals={priority: 0.01}), history).middle == pytest.approx(
        still, rel=0.1
    )


def test_a_job_that_comes_back_after_its_delay_takes_its_turn() -> None:
    history = steady(runs=500)
    back = tuple(
        ReturningJob(job=WaitingJob(like=LIKE, priority=Priority.HIGH), after_s=10.0)
        for _ in range(3)
    )
    later = start(busy(1, 1, returning=back), history).middle
    assert later == pytest.approx(start(busy(1, 4), history).middle, rel=0.05)


def test_attempts_that_fail_put_the_finish_off_but_not_the_start() -> None:
    runs = [Run(like=LIKE, seconds=100.0, failed=number % 2 == 0) for number in range(60)]
    shaky, sound = RunTimes(runs), steady()
    situation = busy(1, 2)
    assert start(situation, shaky).middle == pytest.approx(start(situation, sound).middle, rel=0.1)
    assert finish(situation, shaky).high > finish(situation, sound).high + 100
    last = WaitingJob(like=LIKE, attempt=3, max_attempts=3)
    assert finish(situation, shaky, last).high == pytest.approx(
        finish(situation, sound).high, rel=0.2
    )


def test_workers_that_come_and_go_widen_the_range_each_to_its_side() -> None:
    history = varied(200, 0.3)
    still = start(busy(3, 40), history)
    leaving = start(busy(3, 40, leaves=5e-4), history)
    joining = start(busy(3, 40, joins=1e-3), history)
    assert leaving.high > 1.5 * still.high
    assert joining.low < 0.9 * still.low


def test_a_place_in_line_is_forecast_as_that_place() -> None:
    history = steady(runs=500)
    situation = busy(1, 10)
    assert start(situation, history, place=0).middle == pytest.approx(50, rel=0.1)
    assert start(situation, history, place=5).middle == pytest.approx(550, rel=0.05)
    assert forecast(situation, JOB, history, place=5).ahead == 5


def test_a_handover_takes_its_time_before_every_job() -> None:
    history = steady(runs=500)
    slow = start(busy(1, 10, handover_s=20.0), history).middle
    assert slow == pytest.approx(start(busy(1, 10), history).middle + 220, rel=0.1)


def test_a_further_attempt_has_a_handover_of_its_own() -> None:
    history = steady(runs=500)
    free = Situation(
        group=GROUP, workers=(WorkerSlots(worker="w1", slots=1),), handover_again_s=20.0
    )
    again = msgspec.structs.replace(JOB, attempt=2)
    assert start(free, history).high < 0.1
    found = forecast(free, again, history, seed=0).start
    assert found is not None
    assert found.middle == pytest.approx(20, rel=0.2)
    assert found.low > 8
    # And whoever comes after it waits for that, too.
    behind = msgspec.structs.replace(free, waiting={Priority.NORMAL: (again,)})
    assert start(behind, history).middle == pytest.approx(
        start(free, history).middle + 120, rel=0.1
    )


def test_ten_jobs_of_a_config_that_nobody_has_run_share_their_uncertainty() -> None:
    random = np.random.default_rng(0)
    runs = []
    for config in range(40):  # what a config is decides how long it takes
        centre = 100 * float(np.exp(1.2 * random.standard_normal()))
        like = Likeness(GROUP, "train_model", str(config))
        runs += [Run(like=like, seconds=centre * (1 + 0.01 * n)) for n in range(3)]
    history = RunTimes(runs)
    same = busy(1, 10, elapsed_s=0.1, like=Likeness(GROUP, "train_model", "new"))
    mixed = Situation(
        group=GROUP,
        workers=same.workers,
        running=same.running,
        waiting={
            Priority.NORMAL: tuple(
                WaitingJob(like=Likeness(GROUP, "train_model", f"new{n}")) for n in range(10)
            )
        },
    )
    one, many = start(same, history), start(mixed, history)
    assert (one.high / one.low) > 1.5 * (many.high / many.low)


def test_it_says_what_it_is_based_on() -> None:
    history = steady(runs=4)
    for number in range(3):
        history.add(Run(like=Likeness(GROUP, "train_model", f"b{number}"), seconds=5))
    history.add(Run(like=Likeness(GROUP, "other"), seconds=5))
    assert forecast(busy(), JOB, history).basis == (
        "runs: 4 of the same task and config, 7 of the task, 8 of the group"
    )
    unseen = WaitingJob(like=Likeness(GROUP, "new_task"))
    assert forecast(busy(), unseen, history).basis == "runs: 8 of the group"


def test_the_same_seed_gives_the_same_forecast() -> None:
    def told() -> Forecast:
        return forecast(busy(), JOB, varied(), seed=7)

    assert told() == told()


def test_a_line_takes_in_the_order_of_the_workers() -> None:
    # One slot, jobs of 1 s: high, normal, low; the job is the last of the normal ones.
    def class_of(count: int) -> np.ndarray:
        return np.ones((count, 64))

    ready = [np.zeros((count, 64)) for count in (2, 3, 50)]
    lines = Line(ready, [class_of(2), class_of(3), class_of(50)])
    begun = lines.start(np.zeros((64, 1)), 1, 2, np.random.default_rng(0))
    # Two high, two normal before it: 4 s, and one more where a reversed take came among them.
    assert set(begun) == {4.0, 5.0}
    assert 0.25 < np.mean(begun == 5.0) < 0.75
