"""Leases: the message of a running job is kept in its worker's own queue, and renewed.

A message that is held for hours would be taken away by the broker's delivery timeout, and a
message that goes back to its work queue with a lost connection might be taken by anybody. So a
run that lasts moves: a copy of its message, with a time limit, goes into the queue of the worker
that runs it; when it has arrived there, the message held before is acknowledged. The same again,
every third of the lease time. Then

- nothing is held longer than a renewal, whatever timeout the broker has;
- a worker that lost its connection finds its messages in its own queue;
- the messages of a worker that is gone run out, and return to their work queues (`takeover`).

A queue that was just declared is not safe yet: a broker that is killed within its first second
forgets where its data are, so that confirmed messages are lost and the queue never answers again
(RabbitMQ 3.10.8 and 4.0.5). Therefore a worker takes no job, and is handed none over, before its
queue is older than that; and one that died that young is deleted and declared anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ..core import topology
from ..core.errors import BrokerError
from ..core.job import Job
from ..core.message import Message, routing_key
from ..core.transport import Delivery, Session
from .claim import Claim
from .letters import copy_of
from .tasks import Lease

#: Leases received beyond those of the slots and their renewals: what is handed over, or was left
#: behind by a worker of the same name.
_SPARE = 100

#: Seconds after its start when a run is leased: until then the machine is the child's, and most
#: of the shortest ones are over.
FIRST = 0.05

#: Seconds after which a new queue outlives the death of its broker; 1.2 were enough when tried.
SAFE = 2.0


class NameTaken(BrokerError):
    """Another worker of the same name is connected."""


class Leases:
    """The leases of the worker called ``worker``; for use in the link's thread."""

    def __init__(self, worker: str, lease: Lease, slots: int) -> None:
        self._worker, self._lease, self._slots = worker, lease, slots
        self._mine = topology.lease(worker)
        #: Whether what is leased is safe with the broker: no job is to be taken before.
        self.safe = False
        #: When this worker has made its queue; monotonic seconds, None if somebody else has.
        self._made_at: float | None = None
        #: A queue of ours did not answer, and was never safe.
        self._dead = False

    def connect(self, session: Session, arrived: Callable[[Delivery], None], *, new: bool) -> None:
        """Receive leases: those that are there, and from now on each as it arrives.

        Args:
            new: the worker has not been connected before, so that whoever reads its queue
                cannot be itself.

        Raises:
            NameTaken: a worker of this name is at work.
        """
        self._make(session)
        if new:
            self._check(session, 0)
        self._dead = not self.safe
        session.consume(self._mine.name, arrived, prefetch=2 * self._slots + _SPARE)
        self._dead = False
        if new:
            self._check(session, 1)  # two may have started in the same instant

    def tick(self, session: Session) -> None:
        """See whether the queue is safe by now."""
        if not self.safe and self._made_at is not None and time.monotonic() >= self._made_at + SAFE:
            # The answer tells that the broker has lived since.
            self.safe = session.exists(self._mine.name)

    def renew(self, session: Session, claim: Claim) -> None:
        """Send a fresh copy of the claim's message to ourselves; its arrival completes it."""
        self.send_home(session, claim)
        claim.renewing()

    def send_home(self, session: Session, claim: Claim) -> None:
        """Put a copy of the claim's message into our own queue. Raises `Unroutable`."""
        assert claim.job is not None
        self.send(session, self._worker, claim.message, claim.job, claim.given_back)

    def send(
        self, session: Session, worker: str, message: Message, job: Job, given_back: int
    ) -> None:
        """Put ``message`` into a worker's lease queue.

        Raises:
            Unroutable: that worker has no lease queue (any more).
        """
        copy = copy_of(message, job, given_back=given_back)
        copy.headers[topology.LEASED_BY] = worker
        copy.expiration = round(self._lease.time * 1000)
        session.publish(topology.LEASE, routing_key(job), copy, mandatory=True)

    def holds(self, claim: Claim) -> bool:
        """Whether the claim's message came out of our queue."""
        return claim.delivery.queue == self._mine.name

    def due(self, claim: Claim) -> bool:
        """Whether it is time to send a copy."""
        if not self.safe:
            return False
        after = self._lease.renewal if self.holds(claim) else FIRST
        return claim.age >= after and claim.sent >= self._lease.renewal

    def end(self, session: Session) -> None:
        """Delete the queue; for a worker that has settled everything, and never lost it.

        A copy that was still on its way is of a job that has ended.
        """
        session.delete(self._mine.name)

    def _make(self, session: Session) -> None:
        name = self._mine.name
        if self._dead and not any(session.count(name)):
            session.delete(name)
        if not session.exists(name):
            # First of all: should the broker die now, this is known.
            self.safe, self._made_at = False, time.monotonic()
        elif self._made_at is None:
            self.safe = True
        session.declare(self._mine)

    def _check(self, session: Session, expected: int) -> None:
        if session.count(self._mine.name).consumers > expected:
            raise NameTaken(
                f"A worker called {self._worker} is connected to {session.broker.location} "
                "already. Start this one under another --name, or wait until that one has ended."
            )
