"""Hostile messages through a live worker; the large number is `benchmarks/hostile.py`'s."""

from __future__ import annotations

from pathlib import Path

from benchmarks.hostile import lines, run
from jupyter_aiqueue.core.config import Broker


def test_a_worker_survives_hostile_messages_and_every_one_of_them_is_accounted_for(
    broker: Broker, tmp_path: Path
) -> None:
    outcome = run(broker, tmp_path, count=300, seed=7)
    assert outcome.fine, "\n".join(lines(outcome))
    assert outcome.sent == 300
    assert outcome.dead_letters > 100
    assert outcome.good_succeeded == 30
    assert len(outcome.by_kind) > 20
