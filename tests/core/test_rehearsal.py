"""What is said of a job before it is sent."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.job import Job, JobRecord, Priority, Result, State, now
from jupyter_aiqueue.core.load import BrokerLoad, Expected, GroupLoad, Load, WorkerLoad
from jupyter_aiqueue.core.rehearsal import Rehearsal, did, rehearse

JOB = Job(
    id="new", config={"task_id": "new", "lr": 0.1}, group="train", task="fit", priority=Priority.LOW
)


def record(**fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "job_id": "old",
        "state": State.SUCCEEDED,
        "task": "fit",
        "group": "train",
        "config": {"task_id": "old", "lr": 0.1},
        "ended_at": now() - timedelta(hours=3),
        "metrics": {"accuracy": 0.97},
        "result": Result(duration_s=61.0, git_commit="a" * 40, environment="torch"),
        "ledger": "/n/train.jobs.jsonl",
    }
    return JobRecord(**{**defaults, **fields})


def load(**fields: Any) -> Load:
    defaults: dict[str, Any] = {"environment": "torch", "tasks": ("fit",)}
    worker = WorkerLoad(worker="w1", state="active", slots=1, **{**defaults, **fields})
    return Load(
        timestamp=now(),
        broker=BrokerLoad(state="up"),
        groups=(GroupLoad(name="train", worker_list=(worker,)),),
    )


def rehearsed(at: Load, *records: JobRecord, environment: str = "torch") -> Rehearsal:
    return rehearse(JOB, at, records, None, environment=environment)


def test_where_it_would_go_and_when_it_would_start() -> None:
    foresight = Foresight(
        start=Expected(low=720, middle=900, high=1500), finish=Expected(missing="no history yet")
    )
    said = str(rehearse(JOB, load(), [], foresight, environment="torch"))
    assert said.startswith("Nothing was sent.")
    assert "aiqueue.train.low" in said
    assert "It starts in 12–25 min" in said
    assert "no worker tells of the load" in str(rehearsed(load()))


def test_the_same_that_was_done_before_is_shown_with_its_result() -> None:
    found = rehearsed(load(), record())
    assert len(found.done_before) == 1
    said = str(found)
    assert "Job old did exactly this 3 h 00 min ago" in said
    assert "succeeded in 61 s, with accuracy 0.97, at commit aaaaaaaaaaaa" in said
    assert "in environment torch" in said
    assert "/n/train.jobs.jsonl" in said


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"lr": 0.2}},
        {"task": "other"},
        {"group": "infer"},
        {"state": State.CANCELLED},
        {"state": State.RUNNING},
    ],
)
def test_what_is_otherwise_is_not_the_same(other: dict[str, Any]) -> None:
    assert not did(JOB, record(**other))


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (load(tasks=("other",)), "has a task 'fit'; they have other"),
        (Load(timestamp=now(), broker=BrokerLoad(state="up")), "no group 'train'"),
        (
            Load(timestamp=now(), broker=BrokerLoad(state="down", message="It is away.")),
            "It is away.",
        ),
    ],
)
def test_what_would_keep_it_from_running(at: Load, why: str) -> None:
    assert why in " ".join(rehearsed(at).refusals)


def test_another_environment_here_than_there_is_said() -> None:
    assert rehearsed(load()).differences == []
    (said,) = rehearsed(load(), environment="base").differences
    assert "Here is the environment base" in said
    assert "its workers are in torch" in said
