"""A claim: a message this worker has taken and not yet settled.

A claim owns its delivery from the moment it is taken until it is acknowledged. What has to be
published about it goes through `add`, in order, each step confirmed by the broker before the
next; the acknowledgement is the last one. A step that fails stays, and is tried again: a
broker that is away for an hour delays the end of a job and loses nothing of it. A step that
will never be done is given up: one that the job does not hang on is left out, and instead of
any other the message is kept as a dead letter before it is acknowledged.

A message may come in more than one delivery: again after a lost connection, or as the copy that
renews a lease. `hold` puts the new delivery in the place of the old one.

Running jobs add steps in their own threads; everything else happens in the link's thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeAlias

from ..core.errors import (
    BrokerBlocked,
    BrokerError,
    BrokerUnreachable,
    NotConfirmed,
    NotProvisioned,
)
from ..core.job import Job
from ..core.message import Message
from ..core.transport import Delivery, DeliveryLost, Session

_log = logging.getLogger(__name__)

#: The broker's troubles with everybody's messages, which pass or which somebody ends.
_PASSING = (BrokerUnreachable, BrokerBlocked, NotConfirmed, NotProvisioned)

#: A step that the broker has refused so often, for so many seconds, it will always refuse.
_MOST_REFUSALS, _REFUSED_FOR = 5, 20.0


class Step(NamedTuple):
    """Something to be done about a message before it is acknowledged."""

    do: Callable[[Session], None]
    #: Without it nobody would know what became of the job.
    needed: bool = True


#: What is done about a message instead of a step that failed for ever, with its error.
Rescue: TypeAlias = "Callable[[Message, Job | None, Exception], Sequence[Step]]"


class Claim:
    """One message between taking and acknowledging it.

    Args:
        job: None when the message could not be read as one.
        given_back: how often this attempt had been given back before it came here.
        rescue: keeps the message when what came of it cannot be published.
    """

    def __init__(
        self,
        session: Session,
        delivery: Delivery,
        job: Job | None = None,
        given_back: int = 0,
        *,
        rescue: Rescue,
    ) -> None:
        self.job = job
        self.given_back = given_back
        self.message: Message = delivery.message
        #: Its job was started here.
        self.begun = False
        #: What is published about it is the end of its job.
        self.final = False
        #: Acknowledged: nothing is left to do.
        self.settled = False
        #: As it came last.
        self.delivery = delivery
        self._session = session
        #: When the delivery came, and when a renewal of it was sent last; monotonic seconds.
        self._held_at, self._renewed_at = time.monotonic(), float("-inf")
        #: Sent into the lease queue from memory: another message of the job may be about.
        self.doubled = False
        self._steps: deque[Step] = deque()
        self._ends = self._follows = False
        self._settles: tuple[int, int] | None = None
        self._rescue = rescue
        self._rescuing = False
        #: Refusals of the first step, and when the first of them was; monotonic seconds.
        self._refusals, self._refused_at = 0, 0.0
        self._lock = threading.Lock()

    @property
    def version(self) -> tuple[int, int]:
        """Attempt, and how often it was given back: later messages of a job have higher ones."""
        return (self.job.attempt if self.job else 0, self.given_back)

    @property
    def astray(self) -> bool:
        """Whether the message went back to the broker and is not here again."""
        return self.delivery.lost

    @property
    def settles(self) -> tuple[int, int] | None:
        """The version that is over when this is settled; None when that was not decided here."""
        return self._settles

    @property
    def age(self) -> float:
        """Seconds since the delivery came."""
        return time.monotonic() - self._held_at

    @property
    def sent(self) -> float:
        """Seconds since a renewal was sent that has not arrived yet; infinite if none was."""
        if self._renewed_at < self._held_at:
            return float("inf")
        return time.monotonic() - self._renewed_at

    @property
    def pending(self) -> bool:
        """Whether something is to be published that the broker has not confirmed."""
        return bool(self._steps)

    @property
    def ended(self) -> bool:
        """Whether the acknowledgement has been asked for."""
        return self._ends

    @property
    def waiting(self) -> bool:
        """Whether nothing can be done before the message comes back."""
        return self._ends and self._follows and self.astray

    @property
    def told(self) -> bool:
        """Whether everything about it is published, and its message is not here to be settled.

        When that comes back it is recognised by what is remembered.
        """
        return self._ends and not self._steps and not self._follows and self.astray

    def add(self, *steps: Step) -> None:
        """Have ``steps`` done, after those that are there. From any thread."""
        with self._lock:
            self._steps.extend(steps)

    def end(
        self,
        *steps: Step,
        settles: tuple[int, int] | None = None,
        follows: bool = False,
        final: bool = False,
    ) -> None:
        """Have ``steps`` done and then acknowledge the message. From any thread.

        Args:
            settles: the version of the job's message that is over then; None when the message is
                only passed on or dropped, and what became of the job is known elsewhere.
            follows: the steps publish another message in the place of this one. That is only for
                who holds the message: if it has gone back to the broker, somebody else may have
                published what follows.
            final: the steps publish the end of the job.
        """
        with self._lock:
            self._steps.extend(steps)
            self._settles, self._follows, self.final = settles, follows, final
            self._ends = True

    def rescue(self, error: Exception) -> None:
        """End it with a dead letter instead of what was to be done. From any thread."""
        steps = self._rescue(self.message, self.job, error)
        with self._lock:
            self._steps = deque(steps)
            self._settles, self._follows = self.version, True
            self._rescuing = self._ends = True

    def hold(self, session: Session, delivery: Delivery, job: Job, given_back: int) -> bool:
        """This is the message's delivery now; the one before is acknowledged.

        Returns:
            Whether it is of a higher version, which is the claim's from now on: what follows has
            to be higher than that.
        """
        before, self.delivery = self.delivery, delivery
        same, self._session = self._session is session, session
        self._held_at = time.monotonic()
        higher = (job.attempt, given_back) > self.version
        if higher:
            self.job, self.given_back, self.message = job, given_back, delivery.message
        if same and not before.lost:
            with suppress(DeliveryLost):  # it comes again and is acknowledged then
                session.ack(before)
        return higher

    def renewing(self) -> None:
        """A copy of the message is on its way, which `hold` will get."""
        self._renewed_at = time.monotonic()

    def flush(self, session: Session) -> None:
        """Do what is to be done, in the thread of ``session``.

        Raises:
            BrokerError: the first step that failed; it and what follows stay.
        """
        while (step := self._next()) is not None:
            try:
                step.do(session)
            except _PASSING:
                raise
            except BrokerError as error:
                if not self._refused_for_ever():
                    raise
                self._give_up(step, error)
            except Exception as error:
                self._give_up(step, error)
            else:
                self._done(step)
            self._refusals = 0
        with self._lock:
            over = self._ends and not self._steps
        if over and not self.settled and not self.astray:
            with suppress(DeliveryLost):  # astray now
                session.ack(self.delivery)
                self.settled = True

    def _next(self) -> Step | None:
        with self._lock:
            return self._steps[0] if self._steps and not self.waiting else None

    def _done(self, step: Step) -> None:
        with self._lock:
            # A rescue may have put others in its place meanwhile.
            if self._steps and self._steps[0] is step:
                self._steps.popleft()

    def _refused_for_ever(self) -> bool:
        if not self._refusals:
            self._refused_at = time.monotonic()
        self._refusals += 1
        lasted = time.monotonic() - self._refused_at
        return self._refusals >= _MOST_REFUSALS and lasted >= _REFUSED_FOR

    def _give_up(self, step: Step, error: Exception) -> None:
        # It would fail for ever, and with it everything that comes after it.
        if not step.needed:
            _log.error("a step of %s cannot be done and is left out", self._name, exc_info=error)
            self._done(step)
        elif not self._rescuing:
            _log.error("%s becomes a dead letter", self._name, exc_info=error)
            self.rescue(error)
        elif isinstance(error, BrokerError):
            raise error
        else:
            # Never acknowledged: the next worker has another chance.
            raise BrokerError(
                f"The end of {self._name:.80} cannot be published: {error!r}."
            ) from error

    @property
    def _name(self) -> str:
        return repr(self.message.message_id)
