"""What forecasts learn from: run times by likeness, and rates."""

from __future__ import annotations

import numpy as np
import pytest

from jupyter_aiqueue.core.forecast import (
    Arrivals,
    Likeness,
    Run,
    RunTimes,
    Turnover,
    config_key,
)
from jupyter_aiqueue.core.forecast.urn import draw
from jupyter_aiqueue.core.job import Priority


def test_a_config_is_the_same_in_whatever_order_it_was_written() -> None:
    assert config_key({"a": 1, "b": {"c": 2, "d": 3}}) == config_key(
        {"b": {"d": 3, "c": 2}, "a": 1}
    )
    assert config_key({"a": 1}) != config_key({"a": 2})


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
def test_what_is_no_run_time_is_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="no run time"):
        RunTimes().add(Run(like=Likeness("g"), seconds=seconds))


def test_a_history_can_be_stored_and_begun_again() -> None:
    history = RunTimes(Run(like=Likeness("g", "t", str(n % 3)), seconds=n) for n in range(700))
    again = RunTimes(history.runs)
    like = Likeness("g", "t", "1")
    assert again.similar(like) == history.similar(like)
    assert len(history.runs) == again.similar(like).group == 512  # bounded


def drawn(history: RunTimes, like: Likeness) -> tuple[float, float, float]:
    logs, _ = draw(history, [like], 4000, np.random.default_rng(0))
    low, middle, high = np.exp(np.quantile(logs[0], (0.1, 0.5, 0.9)))
    return float(low), float(middle), float(high)


def test_the_config_comes_first_then_the_task_then_the_group() -> None:
    random = np.random.default_rng(1)
    runs = []
    for task, centre in (("short", 10.0), ("long", 1000.0)):
        for config in range(8):
            scale = centre * 2.0 ** (config - 4)
            runs += [
                Run(
                    like=Likeness("g", task, str(config)),
                    seconds=scale * float(np.exp(0.1 * random.standard_normal())),
                )
                for _ in range(12)
            ]
    history = RunTimes(runs)
    low, middle, high = drawn(history, Likeness("g", "short", "6"))
    assert middle == pytest.approx(40, rel=0.1)
    assert high / low < 2
    low, _, high = drawn(history, Likeness("g", "short", "new"))
    assert low < 3 < 40 < high < 300
    low, _, high = drawn(history, Likeness("g", "new", "6"))
    assert low < 10 < 1000 < high


def test_where_configs_say_nothing_two_odd_runs_of_one_are_not_taken_for_it() -> None:
    random = np.random.default_rng(2)
    runs = [
        Run(like=Likeness("g", "t", str(n % 60)), seconds=float(np.exp(random.normal(5, 1))))
        for n in range(240)
    ]
    odd = Likeness("g", "t", "odd")
    runs += [Run(like=odd, seconds=5000), Run(like=odd, seconds=5000)]
    _, middle, _ = drawn(RunTimes(runs), odd)
    assert middle < 500


def test_a_long_line_takes_no_longer_because_each_config_was_run_only_twice() -> None:
    random = np.random.default_rng(3)
    runs = [
        Run(
            like=Likeness("g", "t", str(n % 120)), seconds=60.0 if random.random() < 0.5 else 3600.0
        )
        for n in range(240)
    ]
    likes = [run.like for run in runs[:120]]
    logs, _ = draw(RunTimes(runs), likes, 100, np.random.default_rng(0))
    assert np.exp(logs).mean() == pytest.approx(np.mean([run.seconds for run in runs]), rel=0.2)


def test_rates_of_arrivals_do_not_need_a_window_of_minutes() -> None:
    for gap in (0.01, 1.0, 10_000.0):
        arrivals = Arrivals()
        for number in range(200):
            arrivals.add(Priority.HIGH, number * gap)
        assert arrivals.rates(200 * gap)[Priority.HIGH] == pytest.approx(1 / gap, rel=0.05)
        assert arrivals.rates(200 * gap)[Priority.LOW] == 0.0
        # The longer nothing comes, the lower.
        assert arrivals.rates(2000 * gap)[Priority.HIGH] < 0.1 / gap


def test_turnover_counts_slots_that_join_and_leave() -> None:
    turnover = Turnover()
    assert turnover.rates(0.0) == (0.0, 0.0)
    for at, slots in ((0, 4), (50, 6), (100, 3), (200, 3)):
        turnover.count(slots, at)
    joins, leaves = turnover.rates(200.0)
    assert joins == pytest.approx(2 / 200)
    assert leaves == pytest.approx(3 / (4 * 50 + 6 * 50 + 3 * 100))
