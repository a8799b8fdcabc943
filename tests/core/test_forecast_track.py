"""The track record: what it counts, and that the ranges come right by it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.forecast import (
    Claim,
    Forecast,
    Levels,
    Likeness,
    Range,
    Run,
    RunTimes,
    TrackRecord,
    WaitingJob,
    forecast,
)
from jupyter_aiqueue.core.forecast.spread import LEVELS, at, quantiles, score

from .situations import GROUP, LIKE, busy

SPREAD = quantiles(100 * np.exp(0.5 * np.random.default_rng(0).standard_normal(4000)))


def told(start: Range, *, at_once: bool = False) -> Forecast:
    finish = Range(start.low + 10, start.middle + 10, start.high + 10)
    return Forecast(
        start=start, finish=finish, at_once=at_once, start_spread=SPREAD, finish_spread=SPREAD
    )


def test_it_counts_what_landed_inside() -> None:
    track = TrackRecord()
    for number in range(50):
        track.made(str(number), GROUP, told(Range(10, 15, 20)), number)
        track.started(str(number), number + (15 if number % 5 else 25))
    hits = track.hits()
    assert hits == (32, 40)
    assert str(hits) == "32 of the last 40 landed inside"
    assert track.hits(group="infer") == (0, 0)
    assert track.hits("finish") == (0, 0)
    track.finished("49", 49 + 28)
    assert track.hits("finish") == (1, 1)


def test_a_start_at_once_is_no_feather_in_the_cap() -> None:
    track = TrackRecord()
    track.made("a", GROUP, told(Range(0, 0, 0), at_once=True), 0)
    track.started("a", 0)
    assert track.hits() == (0, 0)


def test_open_and_cancelled_forecasts_are_no_hits() -> None:
    track = TrackRecord()
    track.made("a", GROUP, told(Range(10, 15, 20)), 0)
    track.made("b", GROUP, told(Range(10, 15, 20)), 0)
    track.dropped("b")
    track.started("b", 15)
    assert track.hits() == (0, 0)
    assert [claim.job_id for claim in track.claims] == ["a"]


def test_only_the_first_attempt_is_the_start() -> None:
    track = TrackRecord()
    track.made("a", GROUP, told(Range(10, 15, 20)), 0)
    track.started("a", 15)
    track.started("a", 500)
    assert track.hits() == (1, 1)


def test_it_survives_being_stored() -> None:
    track = TrackRecord()
    for number in range(30):
        track.made(str(number), GROUP, told(Range(10, 15, 20)), number)
        if number < 20:
            track.started(str(number), number + 200)
    stored = msgspec.json.decode(msgspec.json.encode(track.claims), type=list[Claim])
    again = TrackRecord(stored)
    assert again.hits() == track.hits() == (0, 20)
    assert again.levels(GROUP, "start", at_once=False, now=300) == track.levels(
        GROUP, "start", at_once=False, now=300
    )
    again.started("25", 40)  # what was open is open still
    assert again.hits() == (1, 21)


def test_it_is_bounded() -> None:
    track = TrackRecord()
    for number in range(2000):
        track.made(str(number), GROUP, told(Range(10, 15, 20)), number)
    assert len(track.claims) == 400
    track.started("0", 1)  # forgotten


@given(st.floats(-7.9, 7.9))
def test_levels_and_times_are_two_sides_of_one_spread(level: float) -> None:
    assert score(SPREAD, at(SPREAD, level)) == pytest.approx(level, abs=0.01)


def test_a_spread_goes_on_beyond_what_was_drawn() -> None:
    assert at(SPREAD, 5.0) > 1.5 * SPREAD[-1]
    assert at(SPREAD, LEVELS[0] - 2) < SPREAD[0]
    sure = quantiles(np.full(100, 60.0))
    assert at(sure, 0.0) == pytest.approx(60.0)
    assert at(sure, 8.0) > 60.0 > at(sure, -8.0)


def test_a_spread_says_no_times_that_nobody_can_use() -> None:
    # Most likely at once, maybe in a second: a few outcomes far outside are no reason to say years.
    soon = quantiles(np.concatenate([np.zeros(60), np.linspace(0, 1, 40)]))
    assert at(soon, 30.0) <= 200.0


def replay(truth: Callable[[np.random.Generator], float], forecasts: int = 600) -> float:
    """The hit rate of a model that always says `SPREAD`, in the second half, recalibrated."""
    random = np.random.default_rng(3)
    track, inside = TrackRecord(), []
    for number in range(forecasts):
        now = 1000.0 * number
        levels = track.levels(GROUP, "start", at_once=False, now=now)
        range_ = Range(*(at(SPREAD, level) for level in levels))
        seconds = truth(random)
        track.made(str(number), GROUP, told(range_), now)
        track.started(str(number), now + seconds)
        inside.append(range_.holds(seconds))
    return float(np.mean(inside[forecasts // 2 :]))


@pytest.mark.parametrize(
    ("centre", "spread"),
    [(100, 0.5), (100, 1.5), (100, 0.1), (400, 0.5), (20, 0.5), (1000, 2.0)],
    ids=["right", "too narrow", "too wide", "too early", "too late", "nonsense"],
)
def test_ranges_of_a_wrong_model_come_to_hold_four_of_five(centre: float, spread: float) -> None:
    rate = replay(lambda random: centre * float(np.exp(spread * random.standard_normal())))
    assert 0.74 <= rate <= 0.87
    # And without recalibration they would not (but for the model that is right).
    random = np.random.default_rng(4)
    bare = [
        at(SPREAD, -1.2816)
        <= centre * np.exp(spread * random.standard_normal())
        <= at(SPREAD, 1.2816)
        for _ in range(400)
    ]
    assert (centre, spread) == (100, 0.5) or not 0.7 < np.mean(bare) < 0.9


def test_many_forecasts_of_one_line_are_not_heard_like_many() -> None:
    levels = []
    for ahead in (0, 200):
        track = TrackRecord()
        for number in range(60):
            forecast = msgspec.structs.replace(told(Range(50, 100, 190)), ahead=ahead)
            track.made(str(number), GROUP, forecast, 0)
            track.started(str(number), 160)  # all of them a little late
        levels.append(track.levels(GROUP, "start", at_once=False, now=1000))
    assert levels[0].low > levels[1].low + 0.3


def test_a_long_silence_speaks_before_the_outcome_is_there() -> None:
    track = TrackRecord()
    for number in range(60):
        track.made(str(number), GROUP, told(Range(50, 100, 190)), 0)
    before = track.levels(GROUP, "start", at_once=False, now=10)
    after = track.levels(GROUP, "start", at_once=False, now=1000)
    assert after.high > before.high + 0.2
    # Those that found a free slot are no concern of it.
    assert track.levels(GROUP, "start", at_once=True, now=1000) == before


@pytest.mark.parametrize("level", [2.3, 2.9, 30.0])
def test_a_range_is_not_widened_beyond_what_the_line_could_take(level: float) -> None:
    class Learnt:
        def levels(self, group: str, what: str, *, at_once: bool, now: float) -> Levels:
            return Levels(-1.28, 0.0, level)

    # Runs of 1 to 60 s, each of another config.
    seconds = np.geomspace(1, 60, 40)
    likes = [Likeness(GROUP, "train_model", str(number)) for number in range(40)]
    pairs = zip(likes, seconds, strict=True)
    history = RunTimes(Run(like=like, seconds=float(took)) for like, took in pairs)
    line = busy(1, 3, elapsed_s=5.0, like=Likeness(GROUP, "train_model", "new"))
    job = WaitingJob(like=LIKE)
    for seed in range(5):
        made = forecast(line, job, history, Learnt(), seed=seed)
        alone = forecast(line, job, history, seed=seed)
        assert made.start is not None
        assert made.finish is not None
        assert alone.start is not None
        assert alone.finish is not None
        # What runs, and three: a minute each; and the same again for two more attempts.
        assert made.start.high <= max(4 * 61, alone.start.high)
        assert made.finish.high <= max(3 * 5 * 61 + 2 * 300, alone.finish.high)
