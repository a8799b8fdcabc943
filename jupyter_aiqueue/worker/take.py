"""Taking jobs: which queue next, and when to look.

A free slot takes from ``high``, then ``normal``, then ``low``. Queues of plain producers stand
beside ``normal``: which of them and ``normal`` comes first changes with every look, so that none
starves. Every tenth look starts from the lowest, so that ``low`` cannot starve either.

Nothing is taken without a free slot, so no job waits inside a busy worker while another
worker is idle.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from ..core import topology
from ..core.errors import InvalidJob, NotProvisioned
from ..core.events import decode_event
from ..core.job import Priority
from ..core.message import Message
from ..core.topology import work_queue
from ..core.transport import Delivery, Session

#: Every so manieth take starts from the lowest class.
FAIRNESS = 10

#: Seconds between looks of an idle worker, without a hint. Plain producers send no hints.
_LOOK = 2.0
_LOOK_PLAIN = 0.5

#: Seconds that a busy worker keeps the hint that made it busy, before it stops listening.
_HOLD = 5.0

#: Jobs started in one go; meanwhile the worker answers nobody.
_MOST_AT_ONCE = 20

#: Seconds between looks for a plain producer's queue that is not there.
_LOOK_MISSING = 3.0


class Source(msgspec.Struct, frozen=True):
    """A queue that jobs are taken from."""

    queue: str
    group: str | None
    priority: Priority = Priority.NORMAL
    #: The queue of a plain producer.
    plain: bool = False


def source_of(message: Message) -> Source:
    """Where a job belongs that was not taken from there: as its headers say."""
    headers = message.headers
    group, queue = headers.get("aiq-group"), headers.get("aiq-queue")
    if isinstance(queue, str):
        return Source(queue, group if isinstance(group, str) else None, plain=True)
    try:
        priority = Priority(headers.get("aiq-priority"))
    except ValueError:
        priority = Priority.NORMAL
    return Source(message.routing_key, group if isinstance(group, str) else None, priority)


class Taker:
    """Takes deliveries from the queues of one group and of plain producers.

    For use in the link's thread; `connect` comes first with every new session.

    Args:
        free: how many slots are free now; asked before each take.
        accept: gets each delivery and where it came from.
        say: told about queues that are not there.
    """

    def __init__(
        self,
        group: str | None,
        queues: Sequence[str],
        *,
        free: Callable[[], int],
        accept: Callable[[Session, Delivery, Source], None],
        say: Callable[[str], None],
    ) -> None:
        self._free, self._accept, self._say = free, accept, say
        self._group = group
        classes = {p: Source(work_queue(group, p), group, p) for p in Priority} if group else {}
        self._high = [classes[Priority.HIGH]] if group else []
        self._middle = [classes[Priority.NORMAL]] if group else []
        self._middle += [Source(queue, group, plain=True) for queue in queues]
        self._low = [classes[Priority.LOW]] if group else []
        self._plain = tuple(queues)
        self._missing: set[str] = set()
        self._takes = 0
        self._hints: str | None = None
        self._held: Delivery | None = None
        self._hinted_at: Priority | None = None
        self._hold_until = 0.0
        self._next_look = self._next_search = 0.0

    def connect(self, session: Session) -> None:
        """Get to know a new session."""
        self._hints = self._held = None
        self._next_look = 0.0
        self._search(session, set(self._plain))

    def order(self) -> list[Source]:
        """The queues in the order of the next take."""
        turn = self._takes % len(self._middle)
        middle = self._middle[turn:] + self._middle[:turn]
        found = [*self._high, *middle, *self._low]
        if self._takes % FAIRNESS == FAIRNESS - 1:
            found.reverse()
        elif self._hinted_at is not None:
            # A worker that waits for hints has found every queue empty: what comes first is
            # what the hint tells of. (A high one that came before has sent its hint before.)
            found.sort(key=lambda source: source.plain or source.priority is not self._hinted_at)
        return [source for source in found if source.queue not in self._missing]

    def look(self, session: Session, *, quick: bool = False) -> None:
        """Take until no slot is free or no job is there.

        Args:
            quick: there is reason to expect one. Otherwise queues are counted first, which
                costs the broker less than a take from an empty one.
        """
        for _ in range(_MOST_AT_ONCE):
            if self._free() <= 0 or not self._take(session, quick):
                break
        else:
            self._next_look = 0.0  # there may be more, after everything else has had its turn
            return
        seconds = _LOOK_PLAIN if self._plain else _LOOK
        # Jitter, so that idle workers do not look in step.
        self._next_look = time.monotonic() + seconds * random.uniform(0.75, 1.25)  # noqa: S311

    def look_now(self, session: Session) -> None:
        """There is reason to expect a job."""
        self.look(session, quick=True)
        self.listen(session)

    def tick(self, session: Session) -> None:
        """Look when it is time, and listen to hints only while a slot is free."""
        moment = time.monotonic()
        if self._missing and moment >= self._next_search:
            self._search(session, self._missing)
        if self._free() > 0 and moment >= self._next_look:
            self.look(session)
        self.listen(session)

    def listen(self, session: Session) -> None:
        """Consume hints while a slot is free, and leave them to others while none is."""
        if self._group is None:
            return
        idle = self._free() > 0
        if idle and self._hints is None:
            self._hints = session.consume(
                topology.wake_queue(self._group), lambda hint: self._hinted(session, hint)
            )
        elif idle and self._held is not None:
            self._release(session)
        elif not idle and self._hints is not None and time.monotonic() >= self._hold_until:
            self._release(session)
            tag, self._hints = self._hints, None
            session.stop_consuming(tag)

    def _hinted(self, session: Session, hint: Delivery) -> None:
        # Not acknowledged until a slot is free: so the broker gives the next hint to somebody
        # else, and a short job costs no end and new beginning of the consumer.
        self._held, self._hold_until = hint, time.monotonic() + _HOLD
        with suppress(InvalidJob):
            self._hinted_at = decode_event(hint.message.body).priority
        self.look(session, quick=True)
        if self._free() > 0:
            self._release(session)

    def _release(self, session: Session) -> None:
        held, self._held = self._held, None
        if held is not None:
            session.ack(held)

    def _take(self, session: Session, quick: bool) -> bool:
        order, self._hinted_at = self.order(), None
        for source in order:
            try:
                if not quick and not session.count(source.queue).ready:
                    continue
                delivery = session.get(source.queue)
            except NotProvisioned:
                if not source.plain:
                    raise
                self._search(session, {source.queue})
                continue
            if delivery is not None:
                self._takes += 1
                self._accept(session, delivery, source)
                return True
        return False

    def _search(self, session: Session, queues: set[str]) -> None:
        """See which plain queues are there, and have retries come back to them."""
        self._next_search = time.monotonic() + _LOOK_MISSING
        for queue in sorted(queues):
            if not session.exists(queue):
                if queue not in self._missing:
                    self._say(f"there is no queue {queue} yet; looking for it every few seconds")
                    self._missing.add(queue)
                continue
            session.bind(queue, topology.JOBS, f"queue.{queue}")
            if queue in self._missing:
                self._say(f"the queue {queue} is there now")
                self._missing.discard(queue)
