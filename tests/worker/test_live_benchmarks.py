"""The benchmarks on live nodes, in small: that they run, and what has to hold at any size."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from scene import environment

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


#: Most of the time they wait, so that they run side by side.
_RUNS = {
    "forecast": ["forecast.py", "--live", "--jobs", "30", "--workers", "2"],
    "scale": [
        *("scale.py", "--servers", "10", "--looking", "0", "--workers", "10"),
        *("--collector", "30", "--seconds", "2"),
    ],
}


@pytest.fixture(scope="module")
def running(own_rabbitmq: None) -> Iterator[dict[str, subprocess.Popen[str]]]:
    """Both benchmarks, at work."""
    began = {
        name: subprocess.Popen(
            [sys.executable, str(_BENCHMARKS / script), "--json", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        for name, (script, *arguments) in _RUNS.items()
    }
    try:
        yield began
    finally:
        for process in began.values():
            process.send_signal(signal.SIGINT)  # it stops its broker then
        for process in began.values():
            process.wait(60)


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    """The object that a benchmark prints."""
    printed, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    found: dict[str, Any] = json.loads(printed)
    return found


def test_forecasts_are_made_and_judged_on_a_live_node(
    running: dict[str, subprocess.Popen[str]],
) -> None:
    found = told(running["forecast"])
    assert set(found["parts"]) == {"of the collector", "by asking"}
    assert found["forecasts"] > 0
    assert 0 <= found["coverage_finish"] <= 1
    # Those of the collector are judged as it judges them itself: every one has its outcome.
    assert found["parts"]["by asking"]["forecasts"] > 0


def test_what_servers_and_workers_cost_is_measured(
    running: dict[str, subprocess.Popen[str]],
) -> None:
    found = told(running["scale"])
    rows = {(row["kind"], row["count"]): row for row in found["rows"]}
    assert set(rows) == {("idle", 0), ("idle", 10), ("workers", 0), ("workers", 10)}
    # One connection for each, and none for collecting but the collector's.
    for kind in ("idle", "workers"):
        assert rows[kind, 10]["connections"] - rows[kind, 0]["connections"] == 10
    assert found["collector"]["snapshot_bytes"] > 0
    assert found["collector"]["turn_max_ms"] > 0
