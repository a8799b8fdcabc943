"""What is under way: messages sent into our own lease queue, whose jobs begin when they arrive.

The first run of a job starts at once and is leased right after that: it waits for nothing. But
whoever it kills before, and before the broker has confirmed the lease, leaves no trace of the
start. So every later run goes the other way round, and a first one, too, while the broker is
slow: its message is sent into the lease queue, confirmed and acknowledged, and judged again when
it arrives. What came out of a lease queue has been started, or may have been: it counts.

This worker knows better. What it has sent and never begun, it begins when it arrives, however
late; if the connection was lost meanwhile, not before everybody was asked.
"""

from __future__ import annotations

import time
from functools import partial

from ..core.errors import NotConfirmed
from ..core.transport import Session, Unroutable
from .claim import Claim, Step
from .lease import Leases

#: Seconds that a broker takes at most to hand out a message, if it is not slow.
SLOW = 0.02


class _Sent:
    """One message that was sent, or is to be."""

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        #: Monotonic seconds of the last try; then the broker's time begins to run.
        self.at = time.monotonic()
        self.confirmed = False
        #: On the connection that there is now.
        self.here = True

    @property
    def safe(self) -> bool:
        """Whether it is in our queue or in our hands, as far as that can be known."""
        return self.here and (self.confirmed or not self.claim.astray)


class UnderWay:
    """A collection for use in the link's thread.

    Args:
        time: seconds of a lease: what has not arrived by then is in its work queue again.
        silence: seconds after which what does not arrive is forgotten.
    """

    def __init__(self, leases: Leases, *, time: float, silence: float) -> None:
        self._leases, self._time, self._silence = leases, time, silence
        self._sent: dict[tuple[str, tuple[int, int]], _Sent] = {}

    def __len__(self) -> int:
        """How many will need a slot."""
        self._forget()
        return sum(sent.safe for sent in self._sent.values())

    def __contains__(self, job_id: str) -> bool:
        """Whether a message of the job is."""
        return any(key[0] == job_id for key in self._sent)

    @property
    def empty(self) -> bool:
        """Whether nothing can arrive any more."""
        self._forget()
        return not self._sent

    def send(self, claim: Claim) -> None:
        """Have the claim's message sent, and the claim end with that."""
        assert claim.job is not None
        sent = self._sent[claim.job.id, claim.version] = _Sent(claim)
        claim.end(Step(partial(self._send, sent=sent)), follows=True)

    def _send(self, session: Session, sent: _Sent) -> None:
        sent.at = time.monotonic()
        try:
            self._leases.send_home(session, sent.claim)
        except Unroutable as error:
            # Our queue is gone, and is there again after the next connection.
            raise NotConfirmed(f"{error} The job begins when it is there again.") from error
        sent.confirmed = True

    def reconnected(self) -> None:
        """The broker has back what was not confirmed: others may have it by now."""
        for sent in self._sent.values():
            sent.here = False

    def sent(self, job_id: str, version: tuple[int, int]) -> bool:
        """Whether this worker has sent it, and never begun its job."""
        return (job_id, version) in self._sent

    def ours_alone(self, job_id: str, version: tuple[int, int]) -> bool:
        """Whether nobody else can have been given it since."""
        sent = self._sent.get((job_id, version))
        return sent is not None and sent.safe

    def waiting(self, job_id: str) -> tuple[int, int] | None:
        """The version of a job's message that is certainly here, and not in anybody's hands."""
        for (found, version), sent in self._sent.items():
            if found == job_id and sent.safe and time.monotonic() < sent.at + self._time:
                return version
        return None

    def decided(self, job_id: str, version: tuple[int, int]) -> None:
        """It has arrived, and something became of it."""
        self._sent.pop((job_id, version), None)

    def _forget(self) -> None:
        oldest = time.monotonic() - self._silence
        for key in [key for key, sent in self._sent.items() if sent.at < oldest]:
            del self._sent[key]
