"""The benchmark of forecasts: that it replays traces, refuses bad ones, and simulates honestly."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.forecast_suite.cluster import Change, Cluster, Job
from benchmarks.forecast_suite.judge import Judge
from benchmarks.forecast_suite.score import figures
from benchmarks.forecast_suite.trace import BadTrace, read_trace
from jupyter_aiqueue.core.forecast import Likeness
from jupyter_aiqueue.core.job import Priority

_ROOT = Path(__file__).resolve().parents[2]
_HEAD = "submit_s,group,priority,task,config,duration_s"


def write(path: Path, rows: list[tuple[object, ...]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([_HEAD.split(","), *rows])
    return path


def test_a_trace_is_replayed_and_reported_as_one_object(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = [
        (10 * n, "gb"[n % 2], "normal", "t", json.dumps({"n": n % 7}), 5 + 60 * random.random())
        for n in range(120)
    ]
    random.shuffle(rows)  # type: ignore[arg-type]
    path = write(tmp_path / "trace.csv", rows)
    command = [sys.executable, str(_ROOT / "benchmarks" / "forecast.py"), "--json"]
    command += ["--trace", str(path), "--slots", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    keys = "coverage_start coverage_finish median_abs_error_s naive_median_abs_error_s"
    for key in (*keys.split(), "median_width_s"):
        assert isinstance(told[key], float), key
    assert told["forecasts"] + told["no_forecast"] == 120
    assert set(told["parts"]) == {"g", "b"}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("x,g,normal,t,{},5", "submit_s 'x' is no number"),
        ("0,g,normal,t,{},nan", "duration_s 'nan' is out of range"),
        ("0,g,normal,t,{},-1", "duration_s '-1' is out of range"),
        ("0,g,urgent,t,{},1", "priority 'urgent' is none of"),
        ("0,g,normal,t,{,1", "config is no JSON"),
        ("0,g,normal,t,[],1", "config is no JSON object"),
        ("0,,normal,t,{},1", "group is empty"),
        ("0,g,normal", "the row has no task, config, duration_s"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(f"{_HEAD}\n0,g,normal,t,{{}},1\n{line}\n")
    with pytest.raises(BadTrace, match="line 3") as refused:
        read_trace(path)
    assert why in str(refused.value)


def test_a_file_without_the_columns_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text("submit_s,group\n0,g\n")
    with pytest.raises(BadTrace, match="line 1: no column priority, task, config, duration_s"):
        read_trace(path)
    with pytest.raises(BadTrace, match="cannot be read"):
        read_trace(tmp_path / "none.csv")


def test_unknown_columns_are_ignored_and_rows_are_sorted(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_text(f"note,{_HEAD}\nx,9,g,,t,,1\ny,3,g,HIGH,t,{{}},2\n")
    jobs = read_trace(path)["g"]
    assert [(job.submit_s, job.priority) for job in jobs] == [
        (3.0, Priority.HIGH),
        (9.0, Priority.NORMAL),
    ]


def jobs(durations: list[float], gap: float = 0.0, config: str = "") -> list[Job]:
    return [
        Job(n, n * gap, Likeness("g", "t", config), Priority.NORMAL, (seconds,))
        for n, seconds in enumerate(durations)
    ]


@pytest.mark.parametrize("durations", [[], [5.0], [0.0] * 30, [7.0] * 60, [1e-6, 1e9] * 20])
def test_odd_traces_are_no_trouble(durations: list[float]) -> None:
    for gap in (0.0, 1.0, 1e7):
        judge = Judge(jobs(durations, gap), [1, 1])
        assert len(judge.verdicts) + judge.unknown == len(durations)
        figures(judge.verdicts, judge.unknown)


def test_nothing_is_known_before_it_happened() -> None:
    # With other run times of the jobs that had not ended, the same forecasts were made.
    random = np.random.default_rng(5)
    durations = list(np.exp(random.normal(4, 1, 60)))
    one = Judge(jobs(durations, 20.0), [1, 1]).verdicts
    ended = [v for v in one if v.at < 600]
    running = {
        n
        for n, d in enumerate(durations)
        if not any(v.job.number == n and v.job.end is not None and v.job.end < 600 for v in one)
        and n * 20 + d > 600
    }
    changed = [d * 50 if n in running else d for n, d in enumerate(durations)]
    other = [v for v in Judge(jobs(changed, 20.0), [1, 1]).verdicts if v.at < 600]
    same = [v.job.number for v in ended]
    assert len(same) > 5
    assert [v.job.number for v in other][: len(same)] == same
    assert [v.start_range for v in other][: len(same)] == [v.start_range for v in ended]


def test_a_worker_that_dies_gives_its_job_back() -> None:
    ended: list[tuple[int, float]] = []
    cluster = Cluster(
        jobs([100.0, 100.0]),
        [1, 1],
        [Change(50.0, "die")],
        submitted=lambda job: None,
        joined=lambda job: None,
        started=lambda job: None,
        ended=lambda job, seconds, failed: ended.append((job.number, cluster.now)),
    )
    cluster.run()
    assert len(ended) == 2
    assert max(at for _, at in ended) == 210.0  # lost at 50, back in line at 110
