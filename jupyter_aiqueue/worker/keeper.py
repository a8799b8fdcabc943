"""The keeper: releases held jobs at the moments that they wait for.

It is the collector's: of all workers' processes one keeps. Every held job is in its hands,
unacknowledged, for as long as it is held. To release one is to publish it into its line
(confirmed), to tell that it is submitted, and only then to acknowledge it. Whoever keeps after a
keeper that died in between publishes it once more, marked as sent again, so that it runs once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime

from ..core import topology
from ..core.errors import BrokerError, BrokerUnreachable, InvalidJob, UnknownGroup
from ..core.events import Kind, make_event
from ..core.hold import Decision, Hold, View, decide, read_hold
from ..core.job import Job, now
from ..core.message import decode_job
from ..core.publisher import publish_event, publish_job
from ..core.status import decode_cancel, decode_release
from ..core.stream import replay
from ..core.transport import Delivery, Session
from .console import Console
from .intake import DEFAULT_GROUP, Refuse
from .settle import refuse_steps

#: Held jobs in hand at a time; those behind them wait longer than they have to.
_MOST = 20_000

#: Seconds after which all are taken anew: no delivery timeout is as short.
_ANEW = 600.0

#: Jobs released in one turn: meanwhile nothing else is collected.
_AT_ONCE = 200


class _Held:
    """One job."""

    def __init__(self, delivery: Delivery, job: Job, hold: Hold) -> None:
        self.delivery, self.job, self.hold = delivery, job, hold


class Keeper:
    """Keeps the held jobs of a broker while its session lasts; for use in its thread.

    Args:
        groups: the groups that have a dead queue.
    """

    def __init__(
        self,
        session: Session,
        worker: str,
        console: Console,
        groups: Callable[[], list[str]],
    ) -> None:
        self._session, self._worker = session, worker
        self._console, self._groups = console, groups
        self._held: dict[str, _Held] = {}
        self._cancelled: set[str] = set()
        self._released: set[str] = set()
        #: Jobs of which it is known that nobody has published them: they have been here all
        #: the time.
        self._never: set[str] = set()
        self._said: set[str] = set()
        self._tag: str | None = None
        self._anew_at = 0.0
        self._listen()
        self._take()

    def __len__(self) -> int:
        return len(self._held)

    def turn(self, view: Callable[[str], View], at: datetime) -> int:
        """Release what may be released at ``at``; returns how many were.

        Args:
            view: the load of a group.
        """
        views: dict[str, View] = {}
        done = 0
        for held in list(self._held.values()):
            if done >= _AT_ONCE:
                break
            group = held.job.group
            if group not in views:
                views[group] = view(group)
            decision = self._decide(held, views[group], at)
            if decision is Decision.WAIT:
                continue
            with suppress(UnknownGroup):  # it is said, and kept
                if self._settle(held, decision):
                    views[group] = _after(views[group])
                done += 1
        if time.monotonic() >= self._anew_at:
            self._take()
        return done

    def _decide(self, held: _Held, view: View, at: datetime) -> Decision:
        if held.job.id in self._cancelled:
            return Decision.EXPIRE
        if held.job.id in self._released:
            return Decision.RELEASE
        return decide(held.hold, view, at)

    def _settle(self, held: _Held, decision: Decision) -> bool:
        """Have it released, or ended; whether it is in line now."""
        job, session = held.job, self._session
        release = decision is Decision.RELEASE
        if release:
            try:
                publish_job(session, job, again=job.id not in self._never)
            except UnknownGroup as error:
                if job.id not in self._said:
                    self._said.add(job.id)
                    self._console.note(f"job {job.id} stays held: {error}")
                raise
            publish_event(session, make_event(Kind.SUBMITTED, job, timestamp=now()))
        else:
            why = "cancelled before it started"
            if job.id not in self._cancelled:
                why = f"not released by its deadline; it waited for: {held.hold.said}"
            publish_event(session, make_event(Kind.CANCELLED, job, reason=why))
        session.ack(held.delivery)
        del self._held[job.id]
        for known in (self._never, self._cancelled, self._released, self._said):
            known.discard(job.id)
        return release

    # -- what comes ----------------------------------------------------------------------

    def _take(self) -> None:
        """Have every held job delivered; those in hand go back for it, which loses nothing."""
        if self._tag is not None:
            self._never |= self._held.keys()
            self._session.stop_consuming(self._tag)
        self._held.clear()
        self._anew_at = time.monotonic() + _ANEW
        self._tag = self._session.consume(topology.HELD, self._arrived, prefetch=_MOST)

    def _arrived(self, delivery: Delivery) -> None:
        message = delivery.message
        job: Job | None = None
        try:
            job = decode_job(message, group=DEFAULT_GROUP)
            held = _Held(delivery, job, read_hold(message))
        except InvalidJob as error:
            refusal = Refuse(error.reason, str(error), job)
            for step in refuse_steps(refusal, message, worker=self._worker, groups=self._groups):
                step.do(self._session)
            self._session.ack(delivery)
            return
        if not message.redelivered:
            self._never.add(job.id)
        before = self._held.get(job.id)
        if before is not None:  # whoever sent it was not sure that it got here
            self._session.ack(before.delivery)
        self._held[job.id] = held

    def _listen(self) -> None:
        """Hear of cancels and releases, those of before included."""
        session = self._session
        keys = [(topology.CONTROL, key) for key in ("cancel.*", "release.*")]
        queue = session.temporary_queue(keys, max_length=100_000)

        def arrived(delivery: Delivery) -> None:
            session.ack(delivery)
            self._told(delivery.message.routing_key, delivery.message.body)

        session.consume(queue, arrived, prefetch=100)
        try:
            for message in replay(session, topology.CONTROL, topology.CONTROL_LOG):
                self._told(message.routing_key, message.body)
        except BrokerUnreachable:
            raise
        except BrokerError as error:
            self._console.trouble(f"cancels of held jobs cannot be read. {error}")

    def _told(self, key: str, body: bytes) -> None:
        kind = key.partition(".")[0]
        with suppress(InvalidJob):
            if kind == "cancel":
                self._cancelled.add(decode_cancel(body).job_id)
            elif kind == "release":
                self._released.add(decode_release(body).job_id)


def _after(view: View) -> View:
    """The load when one more job is in line; when that would start is known in a moment."""
    return View(
        wait=None,
        depth=None if view.depth is None else view.depth + 1,
        free_slots=None if view.free_slots is None else max(0, view.free_slots - 1),
    )
