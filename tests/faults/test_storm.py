"""A short storm: every kind of fault, on a node of its own.

The long ones are commands of their own: ``benchmarks/faults.py``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from brokers import own_node

from benchmarks.fault_suite.ours import Ours
from benchmarks.fault_suite.report import complaints, table
from benchmarks.fault_suite.run import Run
from benchmarks.fault_suite.schedule import FaultKind, Lease, make_schedule

#: Seconds. The grace is longer than workers wait between two tries to reconnect here.
LEASE = Lease(time=3, renew=1, grace=8)


@pytest.mark.parametrize("seed", [1])
def test_nothing_is_lost_and_nothing_runs_twice_in_a_storm(
    own_rabbitmq: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    schedule = make_schedule(seed, jobs=40, workers=3, slots=4, lease=LEASE, horizon=20)
    kinds = Counter(fault.kind for fault in schedule.faults)
    assert kinds.keys() == set(FaultKind) - {FaultKind.LOSE_NODE}, kinds
    for name in ("AIQUEUE_URL", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        monkeypatch.setenv(name, "")  # the run sets them, and they come back afterwards
    with own_node(tmp_path / "broker") as node:
        run = Run(schedule, Ours, node.broker, node, tmp_path / "run", say=print, patience=90)
        outcome = run.carry_out()
    assert outcome.counts.clean, f"{table([outcome])}\n{complaints(outcome)}"
    assert outcome.troubles == []
    assert outcome.counts.jobs == 40
