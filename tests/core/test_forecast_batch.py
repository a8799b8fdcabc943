"""Forecasts of batches: small cases that can be computed by hand, and what changes them."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from jupyter_aiqueue.core.forecast import (
    NO_HISTORY,
    NO_WORKER,
    BatchForecast,
    Levels,
    Likeness,
    Range,
    Run,
    RunTimes,
    Situation,
    WaitingJob,
    WorkerSlots,
    batch,
    forecast,
    forecast_batch,
    line_ahead,
)
from jupyter_aiqueue.core.forecast.line import Line
from jupyter_aiqueue.core.job import Priority

from .situations import GROUP, LIKE, busy, steady, varied

JOB = WaitingJob(like=LIKE)
IDLE = Situation(group=GROUP, workers=(WorkerSlots(worker="w0", slots=1),))


def told(
    situation: Situation,
    history: RunTimes | None = None,
    jobs: int = 3,
    job: WaitingJob = JOB,
    **more: float,
) -> BatchForecast:
    history = history or steady(runs=500)
    return forecast_batch(situation, [job] * jobs, history, seed=1, **more)  # type: ignore[arg-type]


def middles(made: BatchForecast) -> list[float]:
    ranges = [made.first, made.half, made.done]
    assert made.missing is None
    return [found.middle for found in ranges if found is not None]


def about(*seconds: float) -> object:
    return pytest.approx(list(seconds), rel=0.05, abs=1)


def test_one_worker_runs_them_one_by_one() -> None:
    made = told(IDLE)
    assert middles(made) == about(0, 200, 300)
    assert made.at_once


def test_the_line_comes_first() -> None:
    # What runs is half done; four wait.
    assert middles(told(busy(1, 4))) == about(450, 650, 750)
    assert middles(told(busy(2, 4), jobs=4)) == about(250, 350, 450)


def test_who_joins_when_the_line_is_over_starts_when_it_joins() -> None:
    made = told(busy(1, 4), after_s=2000)
    assert middles(made) == about(2000, 2200, 2300)
    assert made.done is not None
    assert (made.done.low, made.done.high) == (pytest.approx(2300, abs=80),) * 2


def test_who_joins_while_the_line_lasts_is_done_as_if_it_had_joined_now() -> None:
    assert middles(told(busy(1, 4), after_s=200)) == about(450, 650, 750)


def test_who_comes_before_is_ahead_and_who_comes_after_is_not() -> None:
    line = busy(1, 0, arrivals={Priority.NORMAL: 0.02})  # twice what is worked off
    now, later = told(line), told(line, after_s=1000)
    assert middles(now) == about(50, 250, 350)
    # Some 20 come, and 10 are worked off.
    assert later.first is not None
    assert later.first.low < 1950 < later.first.high
    assert later.first.middle > 1300


def test_higher_priorities_that_come_later_still_overtake() -> None:
    still = told(busy(1, 0), jobs=10)
    overtaken = told(busy(1, 0, arrivals={Priority.HIGH: 0.005}), jobs=10)
    assert middles(overtaken)[2] > 1.4 * middles(still)[2]
    lower = told(busy(1, 0, arrivals={Priority.LOW: 0.5}), jobs=100)
    # One take of ten is the other way round.
    assert middles(lower)[2] == pytest.approx(50 + 100 * 100 / 0.9, rel=0.02)


def test_what_came_at_lower_priority_holds_slots_when_it_joins() -> None:
    full = busy(1, 0, arrivals={Priority.LOW: 0.05})
    made = told(full, after_s=1000)
    assert made.first is not None
    assert made.first.middle > 1010, "a slot is taken by whoever is there"
    assert made.first.high < 1250


def test_attempts_that_fail_go_behind_the_batch() -> None:
    history = RunTimes(Run(like=LIKE, seconds=100.0, failed=True) for _ in range(500))
    line = Situation(group=GROUP, workers=IDLE.workers, retry_delays=(10.0,))
    # 0-100 and 100-200, again 200-300 and 300-400, and 400-500, 500-600.
    assert middles(told(line, history, 2)) == about(0, 500, 600)
    once = WaitingJob(like=LIKE, max_attempts=1)
    assert middles(told(line, history, 2, once)) == about(0, 100, 200)
    mixed = forecast_batch(line, [once, JOB], history, seed=1)
    assert middles(mixed) == about(0, 100, 420)  # 210 after a pause of 10, and 320 after another
    # After a pause that is longer than the batch.
    slow = Situation(group=GROUP, workers=IDLE.workers, retry_delays=(1000.0,))
    twice = WaitingJob(like=LIKE, max_attempts=2)
    assert middles(told(slow, history, 2, twice)) == about(0, 1200, 1300)


@pytest.mark.parametrize("after_s", [0.0, 3600.0, 36_000.0], ids=["now", "in an hour", "tonight"])
def test_retries_do_not_wait_for_what_comes_long_after_the_batch(after_s: float) -> None:
    # The runs fail at once, what is in line with other priorities takes a while.
    other = Likeness(GROUP, "other", "b")
    runs = [Run(like=LIKE, seconds=0.2, failed=True) for _ in range(200)]
    history = RunTimes([*runs, *(Run(like=other, seconds=5.0) for _ in range(20))])
    rates = {Priority.HIGH: 0.02, Priority.NORMAL: 0.02, Priority.LOW: 0.02}
    line = msgspec.structs.replace(IDLE, arrivals=rates, retry_delays=(10.0, 60.0))
    made = told(line, history, 3, WaitingJob(like=LIKE, max_attempts=3), after_s=after_s)
    assert made.first is not None
    assert made.done is not None
    assert made.first.middle - after_s < 10
    assert 70 <= made.done.middle - made.first.middle < 90
    assert made.done.high - made.first.middle < 150


def test_a_batch_of_one_is_the_job_itself() -> None:
    history = varied(200, 0.5)
    line = busy(3, 20, arrivals={Priority.HIGH: 0.005})
    alone = forecast(line, JOB, history, seed=3)
    made = told(line, history, 1)
    assert alone.start is not None
    assert alone.finish is not None
    assert made.first is not None
    assert made.done == made.half
    assert made.done is not None
    for one, other in ((alone.start, made.first), (alone.finish, made.done)):
        assert other.middle == pytest.approx(one.middle, rel=0.1)
        assert other.high - other.low == pytest.approx(one.high - one.low, rel=0.35)


@pytest.mark.parametrize("rate", [0.05, 0.15], ids=["idle", "crowded"])
def test_what_is_reckoned_is_as_if_it_were_played(
    monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    monkeypatch.setattr(batch, "RATE_SHAPE", 1e6)  # the chances of single samples apart
    line = busy(10, 20, arrivals={Priority.NORMAL: rate})
    made = []
    for most in (100_000, 1000):
        monkeypatch.setattr(batch, "_MOST_ARRIVALS", most)
        made.append(told(line, varied(200, 0.3), 20, after_s=20_000).done)
    played, reckoned = made
    assert played is not None
    assert reckoned is not None
    assert reckoned.middle - 20_000 == pytest.approx(played.middle - 20_000, rel=0.15)
    assert reckoned.high - 20_000 == pytest.approx(played.high - 20_000, rel=0.25)


def test_further_ahead_it_knows_less() -> None:
    line = busy(4, 40, arrivals={Priority.NORMAL: 0.03})
    near, far = (told(line, varied(200, 0.5), 20, after_s=at).done for at in (0, 20_000))
    assert near is not None
    assert far is not None
    assert far.high - far.low > 3 * (near.high - near.low)


def test_what_was_learnt_of_earlier_forecasts_widens_these() -> None:
    class Wide:
        def levels(self, group: str, what: str, *, at_once: bool, now: float) -> Levels:
            return Levels(-2.5, 0.0, 2.5)

    made = [
        forecast_batch(busy(2, 10), [JOB] * 5, varied(), track, seed=1).done
        for track in (None, Wide())
    ]
    assert made[0] is not None
    assert made[1] is not None
    assert made[1].low < made[0].low
    assert made[1].high > made[0].high


@pytest.mark.parametrize(
    ("situation", "history", "missing"),
    [
        (IDLE, RunTimes(), NO_HISTORY),
        (Situation(group=GROUP), steady(), NO_WORKER),
    ],
)
def test_what_cannot_be_told_is_not_guessed(
    situation: Situation, history: RunTimes, missing: str
) -> None:
    made = forecast_batch(situation, [JOB], history)
    assert (made.first, made.half, made.done, made.missing) == (None, None, None, missing)


def test_it_is_based_on_the_job_of_which_least_is_known() -> None:
    other = WaitingJob(like=type(LIKE)(GROUP, "train_model", "new"))
    made = forecast_batch(IDLE, [JOB, other], steady(runs=9))
    assert (made.based_on.config, made.based_on.task) == (0, 9)


# -- the line without it -----------------------------------------------------------------


def test_the_line_is_worked_off() -> None:
    # The first of five starts in 50 s, then one every 100 s.
    found = line_ahead(busy(1, 5), steady(runs=500), [0, 100, 200, 300, 1000], seed=1)
    assert [ahead.waiting.middle for ahead in found] == [5, 4, 3, 2, 0]
    assert found[0].waiting == Range(5, 5, 5)


def test_a_line_that_is_joined_faster_than_it_is_worked_off_grows() -> None:
    crowded = busy(1, 5, arrivals={Priority.NORMAL: 0.03})
    found = line_ahead(crowded, steady(runs=500), [0, 1000, 2000], seed=1)
    assert found[2].waiting.middle > found[1].waiting.middle > 10
    assert found[2].waiting.low < found[2].waiting.high


def test_the_line_is_told_as_far_as_it_can_be_played() -> None:
    crowd = busy(1, 5, arrivals={Priority.NORMAL: 1.0})
    assert [a.after_s for a in line_ahead(crowd, steady(), [0, 600, 36_000])] == [0, 600]
    assert line_ahead(crowd, RunTimes(), [0, 600]) == []
    assert line_ahead(Situation(group=GROUP), steady(), [0, 600]) == []


def test_a_slot_that_leaves_while_it_is_idle_takes_nothing() -> None:
    none = np.empty((0, 4))
    ready, seconds = np.full((2, 4), 100.0), np.full((2, 4), 10.0)
    leaves = np.array([[np.inf, 50.0]] * 4)
    line = Line([ready, none, none], [seconds, none, none])
    found = line.starts(np.zeros((4, 2)), np.random.default_rng(0), leaves)[0]
    assert found.tolist() == [[100.0] * 4, [110.0] * 4]


def test_the_slots_are_left_as_they_were_when_the_job_had_been_taken() -> None:
    # In the second sample the job comes late; in the first one nothing goes on meanwhile.
    high = np.arange(50.0)[:, None] * [100.0, 1.0]
    normal, none = np.array([[0.0, 1000.0]]), np.empty((0, 2))
    free = np.zeros((2, 1))
    line = Line([high, normal, none], [np.full((50, 2), 10.0), np.full((1, 2), 10.0), none])
    last = np.zeros(2, np.intp)
    starts = line.starts(free, np.random.default_rng(0), to=(1, last))
    assert free[:, 0] == pytest.approx(starts[1][0] + 10)
