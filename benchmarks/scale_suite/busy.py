"""A busy system for a collector to collect: heartbeats, lines and run times, all made up."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, Priority, Result, new_job_id, now
from jupyter_aiqueue.core.message import APP_ID, Message
from jupyter_aiqueue.core.publisher import publish_event, publish_job
from jupyter_aiqueue.core.status import HEARTBEAT_INTERVAL, Heartbeat, Running, encode
from jupyter_aiqueue.core.transport import Session, connect

#: Runs of each group that have ended, of so many configs.
_PAST, _CONFIGS = 150, 60

#: Of a job, seconds: median and spread of the logarithm.
_LOG_SECONDS, _SPREAD = 6.0, 1.0


@contextmanager
def busy(broker: Broker, groups: Sequence[str], workers: int, jobs: int) -> Iterator[None]:
    """Workers that have something to do, and jobs in line behind it; one more every second."""
    chance = random.Random(0)
    over = threading.Event()
    with connect(broker, "scale benchmark") as session:
        for group in groups:
            for _ in range(_PAST):
                seconds = chance.lognormvariate(_LOG_SECONDS, _SPREAD)
                result = Result(exit_code=0, duration_s=seconds)
                past = _job(group, chance)
                publish_event(session, make_event(Kind.SUCCEEDED, past, result=result))
        beats = [_beat(groups[n % len(groups)], f"busy{n}", chance) for n in range(workers)]
        for number in range(jobs):
            _submit(session, _job(groups[number % len(groups)], chance))
    thread = threading.Thread(target=_go_on, args=(broker, beats, groups, over, chance))
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _go_on(
    broker: Broker,
    beats: list[Heartbeat],
    groups: Sequence[str],
    over: threading.Event,
    chance: random.Random,
) -> None:
    with connect(broker, "scale benchmark") as session:
        while not over.is_set():
            began = time.monotonic()
            for number, beat in enumerate(beats):
                due = began + HEARTBEAT_INTERVAL * number / len(beats)
                while time.monotonic() < due and not over.is_set():
                    session.pump(min(0.2, max(0.0, due - time.monotonic())))
                if number % max(1, len(beats) // int(HEARTBEAT_INTERVAL)) == 0:
                    _submit(session, _job(chance.choice(groups), chance))
                _tell(session, beat)


def _job(group: str, chance: random.Random) -> Job:
    return Job(
        id=new_job_id(),
        config={"model": chance.randrange(_CONFIGS), "data": "/data/train_set_v2"},
        group=group,
        task=f"task{chance.randrange(4)}",
        priority=chance.choices(list(Priority), (1, 3, 1))[0],
        submitted_at=now(),
    )


def _submit(session: Session, job: Job) -> None:
    publish_job(session, job)
    publish_event(session, make_event(Kind.SUBMITTED, job))


def _beat(group: str, worker: str, chance: random.Random) -> Heartbeat:
    job = _job(group, chance)
    run = Running(job_id=job.id, group=group, priority=job.priority, task=job.task, since=now())
    return Heartbeat(
        worker=worker,
        timestamp=now(),
        groups=(group,),
        tasks=tuple(f"task{n}" for n in range(4)),
        running=(run,),
        finished=tuple(new_job_id() for _ in range(50)),
        host=worker,
        environment="research",
        started_at=now(),
    )


def _tell(session: Session, beat: Heartbeat) -> None:
    beat = msgspec.structs.replace(beat, timestamp=now())
    message = Message(
        body=encode(beat), app_id=APP_ID, content_type="application/json", persistent=False
    )
    session.publish(topology.STATUS, f"worker.{beat.worker}", message)
