"""What the kernel's tests play with: a worker that does as it is told, and free shells."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, Priority, Result, now
from jupyter_aiqueue.core.ledger import ledger_path, read_ledger
from jupyter_aiqueue.core.message import Message, decode_job
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.status import Heartbeat, Running, encode
from jupyter_aiqueue.core.transport import Session, connect


class ActingWorker:
    """Takes jobs and tells what becomes of them, without running anything."""

    def __init__(self, broker: Broker, name: str = "actor") -> None:
        self._session: Session = connect(broker, "acting worker")
        self.name = name
        self.message: Message | None = None

    def __enter__(self) -> ActingWorker:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def take(self, group: str = "train", priority: Priority = Priority.NORMAL) -> Job:
        """The next job, once there is one."""
        queue = topology.work_queue(group, priority)
        delivery = eventually(lambda: self._session.get(queue), message=f"no job came to {queue}")
        self._session.ack(delivery)
        self.message = delivery.message
        return decode_job(delivery.message, group=group)

    def tell(self, kind: Kind, job: Job, **fields: Any) -> None:
        """Publish an event of ``job``."""
        event = make_event(kind, job, worker=self.name, **fields)
        publish_event(self._session, event)

    def finish(self, job: Job, metrics: dict[str, Any] | None = None) -> None:
        """A run that starts, reports and succeeds."""
        self.tell(Kind.STARTED, job)
        self.tell(Kind.PROGRESS, job, progress=0.5, metrics={"loss": 0.5})
        result = Result(exit_code=0, duration_s=1.5)
        self.tell(
            Kind.SUCCEEDED, job, progress=1.0, metrics=metrics or {"loss": 0.1}, result=result
        )

    def beat(self, *running: Running, group: str = "train", slots: int = 2) -> None:
        """A heartbeat."""
        beat = Heartbeat(
            worker=self.name, timestamp=now(), groups=(group,), slots=slots, running=running
        )
        self._session.publish(
            topology.STATUS, f"worker.{self.name}", Message(body=encode(beat)), mandatory=True
        )

    def waiting(self, group: str = "train", priority: Priority = Priority.NORMAL) -> int:
        """Jobs in a queue."""
        return self._session.count(topology.work_queue(group, priority)).ready


def kinds(notebook: Path) -> list[str]:
    """What the ledger beside ``notebook`` has, in its order."""
    path = ledger_path(notebook)
    return [event.event.value for event in read_ledger(path)] if path.exists() else []


def environment(**more: str) -> dict[str, str]:
    """The environment for a kernel of the test's own."""
    return {**os.environ, **more}
