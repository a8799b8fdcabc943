"""Curves that stay small however much is reported."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.series import Gatherer


def test_points_are_kept_with_the_seconds_since_the_start() -> None:
    gatherer = Gatherer()
    gatherer.add(1000.5, {"loss": 0.5})
    gatherer.add(1002.0, {"loss": 0.25, "accuracy": 0.75})

    series = gatherer.since(1000.0)

    assert series is not None
    assert series.seconds == [0.5, 2.0]
    assert series.metrics == {"loss": [0.5, 0.25], "accuracy": [None, 0.75]}


def test_what_is_no_finite_number_is_left_out() -> None:
    gatherer = Gatherer()
    gatherer.add(1, {"note": "warm", "flag": True, "worst": float("nan"), "huge": 10**400})
    assert gatherer.since(0) is None

    gatherer.add(2, {"note": "warm", "loss": 1})

    series = gatherer.since(0)
    assert series is not None
    assert (series.seconds, series.metrics) == ([2], {"loss": [1]})


def test_names_beyond_the_bound_are_left_out() -> None:
    gatherer = Gatherer()
    gatherer.add(1, {f"m{i}": i for i in range(100)})

    series = gatherer.since(0)
    assert series is not None
    assert list(series.metrics) == [f"m{i}" for i in range(16)]


@given(st.integers(1, 300), st.integers(4, 20))
def test_a_long_series_becomes_coarser_and_keeps_its_ends(count: int, most: int) -> None:
    gatherer = Gatherer(most)
    for i in range(count):
        gatherer.add(i, {"step": i})

    series = gatherer.since(0)

    assert series is not None
    steps = series.metrics["step"]
    assert steps == series.seconds
    assert (steps[0], steps[-1]) == (0, count - 1)
    assert min(count, most // 2) <= len(steps) <= most + 1
    gaps = {b - a for a, b in pairwise(steps[:-1])}
    assert len(gaps) <= 1, "points are spread evenly, but for the last one"
