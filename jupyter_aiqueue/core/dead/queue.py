"""Looking into a dead queue, so that nothing is lost whatever happens meanwhile.

Letters are held unacknowledged while somebody looks: the broker gives them back when the look
ends, or when whoever looks dies. Meanwhile nobody else sees them, so looks are short, and who
comes second waits a moment and then says what was not seen.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from .. import topology
from ..errors import AIQueueError, BrokerError, BrokerUnreachable, PermissionRefused
from ..transport import Delivery, DeliveryLost, Session
from .letter import DeadLetter, read_letter

#: Letters that one consumer may hold; for more there are more consumers.
_HELD = 2000

#: Bytes of bodies that are kept in memory.
_MOST_BYTES = 64_000_000

#: Seconds that all of one queue's letters are read at most.
_READ_PATIENCE = 10.0

#: Seconds without a letter after which those that are missing are taken for hidden.
_ARRIVAL_PATIENCE = 1.0

#: Seconds to wait until somebody else has finished looking.
_OTHERS_PATIENCE = 2.0

#: Seconds to wait until all letters are back.
_RETURN_PATIENCE = 1.0


class Held(NamedTuple):
    """A letter that is ours to settle."""

    letter: DeadLetter
    delivery: Delivery


class Look:
    """One look at the dead letters of a group. A context manager: at its end they are back.

    Raises:
        NotProvisioned: there is no such group.
        PermissionRefused: the account may not read the dead queue.
    """

    def __init__(self, session: Session, group: str) -> None:
        self._session, self.group = session, group
        self._queue = topology.dead_queue(group)
        self._arrived: deque[Delivery] = deque()
        self._consumers: list[str] = []
        #: Letters that are ours, and those that were removed.
        self._ours = self._removed = 0
        self._others = self._wait_for_others()
        #: Letters that could be seen when the look began.
        self.there = session.count(self._queue).ready
        #: Letters that were seen.
        self.seen = 0
        self._slow = False
        #: Whether letters that were wanted are not among those that `read` returned.
        self.more = False
        #: Whether that is so because their bodies are too large to be held together.
        self.full = False
        if self.there:
            self._consume()

    def __enter__(self) -> Look:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is not None and not isinstance(error, AIQueueError):
            return  # interrupted: the session is closed, not used, and that gives them back
        # If the connection is lost, the broker has them back anyway.
        with suppress(BrokerError):
            self._give_back()

    def read(self, wants: Callable[[DeadLetter], bool], *, limit: int | None) -> list[Held]:
        """Read every letter once; return those that ``wants`` answers for, at most ``limit``.

        Fewer are returned when their bodies take more memory than is good: see `more`.
        """
        kept: list[Held] = []
        size = 0
        deadline = time.monotonic() + _READ_PATIENCE
        while self.seen < self.there:
            if time.monotonic() > deadline:
                self._slow = self.more = True
                break
            delivery = self._next()
            if delivery is None:
                break
            self.seen += 1
            letter = read_letter(delivery.message, self.group)
            if not wants(letter):
                continue
            if limit is not None and len(kept) >= limit:
                self.more = True
            elif kept and size > _MOST_BYTES:
                self.more = self.full = True
            else:
                kept.append(Held(letter, delivery))
                size += len(letter.body)
        return kept

    def remove(self, held: Held) -> None:
        """Remove a letter for good. Raises `BrokerUnreachable` if it is no longer ours."""
        try:
            self._session.ack(held.delivery)
        except DeliveryLost as error:
            raise BrokerUnreachable(
                f"The broker took the dead letters of group {self.group} back. Try again."
            ) from error
        self._ours -= 1
        self._removed += 1

    @property
    def notes(self) -> list[str]:
        """What was not seen, one sentence each."""
        missing, group = self.there - self.seen, self.group
        if self._slow:
            within = f"were not read within {_READ_PATIENCE:.0f} s."
            return [f"{missing} of {self.there} dead letters of group {group} {within}"]
        if missing > 0:
            now = "are being looked at by somebody else now."
            return [f"{missing} of {self.there} dead letters of group {group} {now}"]
        if self._others:
            now = "is looking at the dead letters of group"
            return [f"Somebody else {now} {group} now; those that they hold are not seen here."]
        return []

    def _wait_for_others(self) -> bool:
        """Whether somebody else goes on looking."""
        deadline = time.monotonic() + _OTHERS_PATIENCE
        while self._session.count(self._queue).consumers:
            if time.monotonic() > deadline:
                return True
            self._session.pump(0.05)
        return False

    def _next(self) -> Delivery | None:
        """The next letter; None when no more come."""
        deadline = time.monotonic() + _ARRIVAL_PATIENCE
        while not self._arrived:
            if self._ours >= _HELD * len(self._consumers):
                self._consume()
            if time.monotonic() > deadline:
                return None
            self._session.pump(0.1)
        return self._arrived.popleft()

    def _consume(self) -> None:
        def arrived(delivery: Delivery) -> None:
            self._arrived.append(delivery)
            self._ours += 1

        try:
            # A consumer, not single gets: it is quick, and others see that somebody looks.
            tag = self._session.consume(self._queue, arrived, prefetch=_HELD)
        except PermissionRefused as error:
            broker = self._session.broker
            raise PermissionRefused(
                f"User {broker.username!r} may not read the dead letters of group {self.group} "
                f"at {broker.location}: its operator has to grant read on `{self._queue}`."
            ) from error
        self._consumers.append(tag)

    def _give_back(self) -> None:
        for tag in self._consumers:
            self._session.stop_consuming(tag)
        if not self._consumers:
            return
        # Back they are a moment later; the next look, which may come at once, has to see them.
        deadline = time.monotonic() + _RETURN_PATIENCE
        due = self.seen - self._removed
        while self._session.count(self._queue).ready < due and time.monotonic() < deadline:
            self._session.pump(0.01)
