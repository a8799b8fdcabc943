"""What the verdicts come to: coverage, errors, widths, and their ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.forecast_suite.judge import Verdict

Figures = dict[str, float | int | None]

#: Part of a run's jobs after which it is no longer early.
EARLY = 0.33


def figures(verdicts: Sequence[Verdict], unknown: int) -> Figures:
    """All figures of some verdicts; None where there is nothing to take them from.

    Those of starts are of jobs that had to wait, if not said otherwise: that a job starts at
    once when a slot is free is no forecast.
    """
    waited = [v for v in verdicts if not v.at_once]
    once = [v for v in verdicts if v.at_once]
    early = [v for v in waited if v.phase < EARLY]
    late = [v for v in waited if v.phase >= EARLY]
    error = _median(abs(v.start - v.start_range.middle) for v in waited)
    naive = _median(abs(v.start - v.naive_start) for v in waited)
    oracle = _median(abs(v.start - v.oracle_start) for v in waited)
    finish = _median(abs(v.finish - v.finish_range.middle) for v in verdicts)
    naive_finish = _median(abs(v.finish - v.naive_finish) for v in verdicts)
    oracle_finish = _median(abs(v.finish - v.oracle_finish) for v in verdicts)
    return {
        "coverage_start": _part(waited, start_holds),
        "coverage_finish": _part(verdicts, finish_holds),
        "median_abs_error_s": error,
        "naive_median_abs_error_s": naive,
        "median_width_s": _median(v.start_range.high - v.start_range.low for v in waited),
        "forecasts": len(verdicts),
        "waited": len(waited),
        "no_forecast": unknown,
        "error_ratio": _ratio(error, naive),
        "oracle_median_abs_error_s": oracle,
        "coverage_start_early": _part(early, start_holds),
        "coverage_start_late": _part(late, start_holds),
        "coverage_start_at_once": _part(once, start_holds),
        "coverage_finish_waited": _part(waited, finish_holds),
        "coverage_finish_at_once": _part(once, finish_holds),
        "finish_median_abs_error_s": finish,
        "naive_finish_median_abs_error_s": naive_finish,
        "oracle_finish_median_abs_error_s": oracle_finish,
        "finish_error_ratio": _ratio(finish, naive_finish),
        "finish_median_width_s": _median(
            v.finish_range.high - v.finish_range.low for v in verdicts
        ),
        "forecast_ms": _median(1000 * v.cost_s for v in verdicts),
    }


def table(rows: Iterable[tuple[str, Figures]]) -> list[str]:
    """The figures of several scenarios for people."""
    lines = [
        "80 % range of starts (jobs that had to wait) and of finishes (all jobs)",
        (
            f"{'':22}{'forecasts':>10}{'start':>8}{'early':>7}{'late':>7}"
            f"{'finish':>8}{'waited':>8}{'at once':>9}"
        ),
    ]
    rows = list(rows)
    for name, f in rows:
        lines.append(
            f"  {name:20}{f['forecasts']:>10}{_percent(f['coverage_start']):>8}"
            f"{_percent(f['coverage_start_early']):>7}{_percent(f['coverage_start_late']):>7}"
            f"{_percent(f['coverage_finish']):>8}{_percent(f['coverage_finish_waited']):>8}"
            f"{_percent(f['coverage_finish_at_once']):>9}"
        )
    for what, prefix in (("start", ""), ("finish", "finish_")):
        naive, oracle = f"naive_{prefix}", f"oracle_{prefix}"
        lines += [
            "",
            (
                f"Median absolute error of the {what}, seconds; ratio to the naive estimate "
                "(depth x mean / slots), and"
            ),
            "the part of the way from there to the oracle, who knows all run times",
            (
                f"{'':22}{'forecast':>10}{'naive':>9}{'ratio':>7}{'oracle':>9}{'way':>7}"
                f"{'median width':>14}"
            ),
        ]
        for name, f in rows:
            lines.append(
                f"  {name:20}{_seconds(f[f'{prefix}median_abs_error_s']):>10}"
                f"{_seconds(f[f'{naive}median_abs_error_s']):>9}"
                f"{_number(f[f'{prefix}error_ratio']):>7}"
                f"{_seconds(f[f'{oracle}median_abs_error_s']):>9}"
                f"{_number(_gained(f, prefix)):>7}"
                f"{_seconds(f[f'{prefix}median_width_s']):>14}"
            )
    return lines


def start_holds(verdict: Verdict) -> bool:
    """Whether the start landed inside the range."""
    return verdict.start_range.holds(verdict.start)


def finish_holds(verdict: Verdict) -> bool:
    """Whether the finish landed inside the range."""
    return verdict.finish_range.holds(verdict.finish)


def _part(verdicts: Sequence[Verdict], holds: Callable[[Verdict], bool]) -> float | None:
    return round(statistics.mean(map(holds, verdicts)), 4) if verdicts else None


def _median(values: Iterable[float]) -> float | None:
    found = list(values)
    return round(statistics.median(found), 4) if found else None


def _ratio(value: float | None, other: float | None) -> float | None:
    return round(value / other, 3) if value is not None and other else None


def _gained(f: Figures, what: str) -> float | None:
    """How much of the way from the naive estimate to the oracle the forecast comes."""
    ours, naive = f[f"{what}median_abs_error_s"], f[f"naive_{what}median_abs_error_s"]
    oracle = f[f"oracle_{what}median_abs_error_s"]
    if ours is None or naive is None or oracle is None or naive <= oracle:
        return None
    return round((naive - ours) / (naive - oracle), 3)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
