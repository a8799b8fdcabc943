"""A claim: a message this worker has taken and not yet settled.

A claim owns its delivery from the moment it is taken until it is acknowledged. What has to be
published about it goes through `add`, in order, each step confirmed by the broker before the
next; the acknowledgement is the last one. A step that fails stays, and is tried again: a
broker that is away for an hour delays the end of a job and loses nothing of it.

When the connection is lost the broker takes its message back and delivers it again; `adopt`
then puts the new delivery in the place of the old one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from ..core.errors import BrokerError
from ..core.job import Job
from ..core.message import Message
from ..core.transport import Delivery, DeliveryLost, Session

_log = logging.getLogger(__name__)

Step = Callable[[Session], None]


class Claim:
    """One message between taking and acknowledging it.

    Args:
        job: None when the message could not be read as one.
        given_back: how often this attempt had been given back before it came here.
    """

    def __init__(
        self, session: Session, delivery: Delivery, job: Job | None = None, given_back: int = 0
    ) -> None:
        self.job = job
        self.given_back = given_back
        self.message: Message = delivery.message
        #: The message was given back to the broker by a lost connection and is not here again.
        self.astray = False
        #: Acknowledged: nothing is left to do.
        self.settled = False
        self._session, self._delivery = session, delivery
        self._steps: deque[Step] = deque()
        self._ends = False
        self._lock = threading.Lock()

    @property
    def key(self) -> tuple[str, int, int] | None:
        """Job id, attempt, and how often it was given back: the same for every delivery."""
        return (self.job.id, self.job.attempt, self.given_back) if self.job else None

    @property
    def pending(self) -> bool:
        """Whether something is to be published that the broker has not confirmed."""
        return bool(self._steps)

    @property
    def ended(self) -> bool:
        """Whether the acknowledgement has been asked for."""
        return self._ends

    def add(self, *steps: Step) -> None:
        """Have ``steps`` done, after those that are there. From any thread."""
        with self._lock:
            self._steps.extend(steps)

    def end(self, *steps: Step) -> None:
        """Have ``steps`` done and then acknowledge the message. From any thread."""
        with self._lock:
            self._steps.extend(steps)
            self._ends = True

    def adopt(self, session: Session, delivery: Delivery) -> None:
        """The message came back: this is its delivery now."""
        self._session, self._delivery = session, delivery
        self.astray = False

    def flush(self, session: Session) -> None:
        """Do what is to be done, in the thread of ``session``.

        Raises:
            BrokerError: the first step that failed; it and what follows stay.
        """
        while self._steps:
            try:
                self._steps[0](session)
            except BrokerError:
                raise
            except Exception:
                # It would fail for ever, and with it everything that comes after it.
                _log.exception("a step of %s cannot be done and is left out", self.key)
            self._steps.popleft()
        if self._ends and not self.settled and not self.astray:
            if self._session is not session:
                self.astray = True
                return
            try:
                session.ack(self._delivery)
            except DeliveryLost:
                self.astray = True
            else:
                self.settled = True
