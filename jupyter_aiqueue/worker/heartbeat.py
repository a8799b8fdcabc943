"""Heartbeats: a worker tells every few seconds, and on every change, what it does."""

from __future__ import annotations

import os
import platform
import time
from collections import deque
from typing import TYPE_CHECKING

from ..core import topology
from ..core.environment import environment_name
from ..core.job import now
from ..core.message import APP_ID, Message
from ..core.status import HEARTBEAT_INTERVAL, Heartbeat, encode
from ..core.transport import Session

if TYPE_CHECKING:
    from .app import Worker
    from .desk import Desk

#: Ids of ended jobs that a heartbeat names.
_FINISHED = 50

#: Seconds at least between two heartbeats: a worker of very short jobs changes all the time.
_SHORTEST = 0.5


class Pulse:
    """Publishes the heartbeats of ``worker``."""

    def __init__(self, worker: Worker, desk: Desk) -> None:
        #: The worker has ended: the next heartbeat is the last one and says so.
        self.stopped = False
        self._worker, self._desk = worker, desk
        self._finished: deque[str] = deque(maxlen=_FINISHED)
        self._changed = True
        self._last = float("-inf")
        self._state = ""
        self._started_at = now()
        self._environment = environment_name()
        names = {n: environment_name(task.python) for n, task in worker.tasks.tasks.items()}
        self._task_environments = {k: v for k, v in names.items() if v != self._environment}

    @property
    def state(self) -> str:
        """The worker's state, as heartbeats name it."""
        if self.stopped:
            return "stopped"
        return "draining" if self._desk.closed else "active"

    def changed(self, ended: str | None = None) -> None:
        """Something that heartbeats tell has changed; ``ended`` is a job that ended here."""
        if ended is not None:
            self._finished.append(ended)
        self._changed = True

    def tick(self, session: Session) -> None:
        """Send one if it is time."""
        changed = self._changed or self.state != self._state
        silent = time.monotonic() - self._last
        if silent >= HEARTBEAT_INTERVAL or (changed and silent >= _SHORTEST):
            self.beat(session)

    def beat(self, session: Session) -> None:
        """Send one now."""
        self._changed, self._last = False, time.monotonic()
        beat = self.heartbeat()
        self._state = beat.state
        message = Message(
            body=encode(beat), app_id=APP_ID, content_type="application/json", persistent=False
        )
        session.publish(topology.STATUS, f"worker.{beat.worker}", message)

    def heartbeat(self) -> Heartbeat:
        """The worker as it is now."""
        from .. import __version__

        worker = self._worker
        return Heartbeat(
            worker=worker.name,
            timestamp=now(),
            state=self.state,
            groups=(worker.group,) if worker.group else (),
            queues=worker.queues,
            tasks=tuple(sorted(worker.tasks.tasks)),
            slots=worker.slots,
            running=tuple(execution.running() for execution in self._desk.executions()),
            finished=tuple(self._finished),
            host=platform.node(),
            pid=os.getpid(),
            environment=self._environment,
            task_environments=self._task_environments,
            version=__version__,
            started_at=self._started_at,
        )
