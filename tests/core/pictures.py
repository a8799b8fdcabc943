"""Events and heartbeats for the tests of what the collector knows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, Priority, Result
from jupyter_aiqueue.core.load import WorkerLoad, worker_load
from jupyter_aiqueue.core.status import Heartbeat, Running

BEGAN = datetime(2026, 1, 1, tzinfo=timezone.utc)
AT = BEGAN.timestamp()
NORMAL, HIGH = Priority.NORMAL, Priority.HIGH


def job(job_id: str, **fields: Any) -> Job:
    config = {"task_id": job_id, "lr": 1}
    defaults = {"config": config, "group": "train", "task": "fit", "user": "ann"}
    return Job(id=job_id, **{**defaults, **fields})


def told(kind: Kind, of: Job, seconds: float = 0.0, **fields: Any) -> Event:
    return make_event(kind, of, timestamp=BEGAN + timedelta(seconds=seconds), **fields)


def ended(of: Job, seconds: float, took: float, kind: Kind = Kind.SUCCEEDED) -> Event:
    return told(kind, of, seconds, result=Result(exit_code=0, duration_s=took))


def beat(worker: str = "w1", seconds: float = 0.0, *running: str, **fields: Any) -> Heartbeat:
    moment = BEGAN + timedelta(seconds=seconds)
    runs = tuple(
        Running(job_id=name, group="train", priority=NORMAL, since=moment, progress=0.5)
        for name in running
    )
    defaults: dict[str, Any] = {"groups": ("train",), "slots": 2}
    return Heartbeat(worker=worker, timestamp=moment, running=runs, **{**defaults, **fields})


def seen(*beats: Heartbeat) -> list[WorkerLoad]:
    return [worker_load(one, BEGAN) for one in beats]


def learn(picture: Picture, count: int = 20, took: float = 100.0) -> None:
    for number in range(count):
        past = job(f"past{number}")
        picture.event(told(Kind.STARTED, past, -1000))
        picture.event(ended(past, -900, took))
