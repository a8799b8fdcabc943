"""Are the forecasts right? Simulated clusters, or a trace of your own.

    python benchmarks/forecast.py [--json] [--seeds 20]
    python benchmarks/forecast.py --trace FILE.csv --slots N [--json]
    python benchmarks/forecast.py --live [--jobs 200] [--workers 4] [--seeds 1] [--json]

Every job gets a forecast when it is submitted, from what is known at that moment: the lines, the
running jobs, and the run times of those that ended before. (One that is submitted before there
is any history gets it later, while it waits.) What became of it is compared with the 80 % range.

``--live`` takes real workers on a private node and jobs of a few seconds instead (three to four
minutes each time). Judged are the forecasts that the collector made for its track record, and
those given to somebody who asked about jobs in line at random moments.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np

from benchmarks.forecast_suite.judge import Judge, Verdict
from benchmarks.forecast_suite.scenarios import SCENARIOS
from benchmarks.forecast_suite.score import Figures, figures, table
from benchmarks.forecast_suite.trace import COLUMNS, BadTrace, read_trace
from jupyter_aiqueue.core.forecast import (
    Likeness,
    Run,
    RunningJob,
    RunTimes,
    Situation,
    WaitingJob,
    WorkerSlots,
    forecast,
)
from jupyter_aiqueue.core.job import Priority


def simulate(seeds: int) -> tuple[Figures, list[tuple[str, Figures]]]:
    """All scenarios with as many seeds: the figures overall and of each."""
    rows, everything, unknown = [], list[Verdict](), 0
    for name, scenario in SCENARIOS.items():
        judges = [Judge(*scenario(np.random.default_rng(seed)), seed=seed) for seed in range(seeds)]
        verdicts = [verdict for judge in judges for verdict in judge.verdicts]
        missing = sum(judge.unknown for judge in judges)
        rows.append((name, figures(verdicts, missing)))
        everything += verdicts
        unknown += missing
    return figures(everything, unknown), rows


def replay(path: Path, slots: int) -> tuple[Figures, list[tuple[str, Figures]]]:
    """A trace, each group on ``slots`` workers of one slot: the figures overall and of each."""
    judges = {group: Judge(jobs, [1] * slots) for group, jobs in read_trace(path).items()}
    rows = [(group, figures(judge.verdicts, judge.unknown)) for group, judge in judges.items()]
    everything = [verdict for judge in judges.values() for verdict in judge.verdicts]
    return figures(everything, sum(judge.unknown for judge in judges.values())), rows


def play(jobs: int, workers: int, seeds: int) -> tuple[Figures, list[tuple[str, Figures]]]:
    """On live nodes: the figures of the collector's own forecasts, and of those by asking."""
    from benchmarks.forecast_suite.live import live

    runs = [live(jobs, workers, seed) for seed in range(seeds)]
    collected = [verdict for run in runs for verdict in run.collected]
    asked = [verdict for run in runs for verdict in run.asked]
    rows = [
        ("of the collector", figures(collected, sum(run.not_collected for run in runs))),
        ("by asking", figures(asked, sum(run.not_answered for run in runs))),
    ]
    return rows[0][1].copy(), rows


def cost(ahead: int = 1000, slots: int = 8) -> float:
    """Median milliseconds of a forecast with so many jobs ahead, of 200 configs."""
    random = np.random.default_rng(0)
    likes = [Likeness("train", f"task{n % 4}", f"config{n}") for n in range(200)]
    history = RunTimes(
        Run(like=likes[n % 200], seconds=float(np.exp(5 + random.standard_normal())))
        for n in range(1000)
    )
    situation = Situation(
        group="train",
        workers=tuple(WorkerSlots(worker=f"w{n}", slots=1) for n in range(slots)),
        running=tuple(
            RunningJob(like=likes[n], worker=f"w{n}", elapsed_s=20.0 * n) for n in range(slots)
        ),
        waiting={Priority.NORMAL: tuple(WaitingJob(like=likes[n % 200]) for n in range(ahead))},
        arrivals={Priority.HIGH: 0.001},
    )
    times = []
    for seed in range(9):
        began = time.perf_counter()
        forecast(situation, WaitingJob(like=likes[0]), history, seed=seed)
        times.append(time.perf_counter() - began)
    return round(1000 * statistics.median(times), 1)


def main() -> None:
    """Simulate or replay, and print the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--seeds", type=int, help="runs of each scenario (20; with --live: 1)")
    parser.add_argument("--live", action="store_true", help="on a private node")
    parser.add_argument("--jobs", type=int, default=200, help="with --live: how many (200)")
    parser.add_argument("--workers", type=int, default=4, help="with --live: of one slot (4)")
    parser.add_argument(
        "--trace", type=Path, metavar="FILE.csv", help=f"columns: {', '.join(COLUMNS)}"
    )
    parser.add_argument(
        "--slots",
        type=int,
        default=4,
        help="with --trace: slots of each group, which shares them with no other (4)",
    )
    arguments = parser.parse_args()
    seeds = (1 if arguments.live else 20) if arguments.seeds is None else arguments.seeds
    if min(arguments.slots, seeds, arguments.jobs, arguments.workers) < 1:
        parser.error("--slots, --seeds, --jobs and --workers are at least 1")
    if arguments.trace is not None:
        try:
            overall, rows = replay(arguments.trace, arguments.slots)
        except BadTrace as error:
            sys.exit(f"forecast.py: {error}")
        if not rows and not arguments.json:
            sys.exit("forecast.py: the trace has no jobs.")
    elif arguments.live:
        overall, rows = play(arguments.jobs, arguments.workers, seeds)
    else:
        overall, rows = simulate(seeds)
    overall["forecast_1000_ahead_ms"] = cost()
    if arguments.json:
        print(json.dumps({**overall, "parts": dict(rows)}))
        return
    print("\n".join(table(rows if arguments.live or len(rows) == 1 else [*rows, ("all", overall)])))
    print(f"\nA forecast with 1,000 jobs ahead: {overall['forecast_1000_ahead_ms']} ms")
    if overall["no_forecast"]:
        print(f"No forecast, for want of history: {overall['no_forecast']} jobs")


if __name__ == "__main__":
    main()
