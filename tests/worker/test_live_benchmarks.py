"""The benchmarks on live nodes, in small: that they run, and what has to hold at any size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scene import environment

_BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def told(name: str, *arguments: str) -> dict[str, Any]:
    """The object that a benchmark prints."""
    command = [sys.executable, str(_BENCHMARKS / name), "--json", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.usefixtures("own_rabbitmq")
def test_forecasts_are_made_and_judged_on_a_live_node() -> None:
    found = told("forecast.py", "--live", "--jobs", "30", "--workers", "2")
    assert set(found["parts"]) == {"of the collector", "by asking"}
    assert found["forecasts"] > 0
    assert 0 <= found["coverage_finish"] <= 1
    # Those of the collector are judged as it judges them itself: every one has its outcome.
    assert found["parts"]["by asking"]["forecasts"] > 0


@pytest.mark.usefixtures("own_rabbitmq")
def test_what_servers_and_workers_cost_is_measured() -> None:
    small = ["--servers", "10", "--looking", "0", "--workers", "10", "--collector", "30"]
    found = told("scale.py", *small, "--seconds", "2")
    rows = {(row["kind"], row["count"]): row for row in found["rows"]}
    assert set(rows) == {("idle", 0), ("idle", 10), ("workers", 0), ("workers", 10)}
    # One connection for each, and none for collecting but the collector's.
    for kind in ("idle", "workers"):
        assert rows[kind, 10]["connections"] - rows[kind, 0]["connections"] == 10
    assert found["collector"]["snapshot_bytes"] > 0
    assert found["collector"]["turn_max_ms"] > 0
