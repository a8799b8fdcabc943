"""Watching single jobs live: their events as they happen, for handles and logs."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress

from . import topology
from .config import Broker
from .errors import AIQueueError, InvalidJob
from .events import Event, decode_event, job_bindings
from .link import Link
from .transport import Delivery, Session

_log = logging.getLogger(__name__)

Listener = Callable[[Event], None]


class Watch:
    """Tells listeners what happens to the jobs they name. Thread-safe.

    Connects when the first job is watched. What happens while the connection is away is not
    told: ledgers are the memory, this is only the news.
    """

    def __init__(self, find: Callable[[], Broker]) -> None:
        self._lock = threading.Lock()
        self._listeners: dict[str, list[Listener]] = defaultdict(list)
        self._queue: str | None = None
        self._find = find
        self._link: Link | None = None

    def add(self, job_id: str, listener: Listener, *, timeout: float = 5.0) -> None:
        """Tell ``listener`` of events of ``job_id``, in a thread of ours, from now on.

        Waits until the broker knows, so that nothing that happens after this is missed;
        when the broker is away it returns at once and tells from the reconnection on.
        """
        with self._lock:
            known = bool(self._listeners[job_id])
            self._listeners[job_id].append(listener)
            if self._link is None:
                self._ready = threading.Event()
                self._link = Link(
                    self._find,
                    "jupyter_aiqueue watch",
                    setup=self._setup,
                    on_up=self._ready.set,
                    on_lost=self._lost,
                )
                self._link.start()
            link = self._link
        self._ready.wait(timeout)
        if not known:
            with suppress(AIQueueError):
                link.call(lambda session: self._bind(session, job_id), timeout)

    def remove(self, job_id: str, listener: Listener) -> None:
        """Stop telling ``listener``. A binding that is left costs nothing once the job ended."""
        with self._lock:
            listeners = self._listeners.get(job_id, [])
            if listener in listeners:
                listeners.remove(listener)
            if not listeners:
                self._listeners.pop(job_id, None)

    def close(self) -> None:
        """Disconnect."""
        with self._lock:
            link, self._link = self._link, None
            self._listeners.clear()
        if link is not None:
            link.close()

    def _setup(self, session: Session) -> None:
        self._queue = session.temporary_queue([], max_length=10_000)
        with self._lock:
            jobs = list(self._listeners)
        for job_id in jobs:
            self._bind(session, job_id)
        session.consume(self._queue, lambda delivery: self._event(session, delivery), prefetch=200)

    def _lost(self, _: AIQueueError) -> None:
        self._ready.set()  # whoever waits for the connection has waited long enough

    def _bind(self, session: Session, job_id: str) -> None:
        if self._queue is not None:
            for key in job_bindings(job_id):
                session.bind(self._queue, topology.EVENTS, key)

    def _event(self, session: Session, delivery: Delivery) -> None:
        session.ack(delivery)
        try:
            event = decode_event(delivery.message.body)
        except InvalidJob:
            return
        with self._lock:
            listeners = list(self._listeners.get(event.job_id, ()))
        for listener in listeners:
            try:
                listener(event)
            except Exception:
                _log.exception("telling of job %s", event.job_id)
