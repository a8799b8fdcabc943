"""What is under way: messages sent into our own lease queue, whose jobs begin when they arrive.

The first run of a job starts at once and is leased right after that: it waits for nothing. But
whoever it kills before, and before the broker has confirmed the lease, leaves no trace of the
start. So every later run goes the other way round, and a first one, too, while the broker is
slow: its message is sent into the lease queue, confirmed and acknowledged, and judged again when
it arrives. What came out of a lease queue has been started, or may have been: it counts.

This worker knows better. What it has sent and never begun, it begins when it arrives: if that is
late, or the connection was lost meanwhile, not before everybody was asked. And if a message of
that version turns up elsewhere, it asks for it, as who runs the job would.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TypeAlias

from ..core import topology
from ..core.errors import NotConfirmed
from ..core.message import Message
from ..core.transport import Session, Unroutable
from .claim import Claim, Step
from .lease import Leases

#: Seconds that a broker takes at most to hand out a message, if it is not slow.
SLOW = 0.02

#: Seconds after the decision to run it in which what arrives begins without another question:
#: somebody who was cut off may be back.
_MOMENT = 1.0

#: Messages that are remembered: those that others got hold of never arrive.
_MOST = 1000

Version: TypeAlias = tuple[int, int]


class _Sent:
    """One message that was sent, or is to be."""

    def __init__(self, claim: Claim) -> None:
        #: Until it is sent for sure.
        self.claim: Claim | None = claim
        #: Monotonic seconds of the decision to run it, and of the last try or of the confirm.
        self.decided_at = self.at = time.monotonic()
        #: On the connection that there is now: it was in our hands until it was confirmed.
        self.here = True

    @property
    def safe(self) -> bool:
        """Whether it will arrive, as far as that can be known."""
        claim = self.claim  # the link's thread may take it away meanwhile
        return self.here and (claim is None or not (claim.astray or claim.settled))


class UnderWay:
    """A collection for use in the link's thread, but for `coming`.

    Args:
        worker: our name.
        silence: seconds after which nothing is expected to arrive by itself any more.
    """

    def __init__(self, worker: str, leases: Leases, *, silence: float) -> None:
        self._worker, self._leases, self._silence = worker, leases, silence
        self._sent: dict[tuple[str, Version], _Sent] = {}

    def __len__(self) -> int:
        """How many are remembered."""
        return len(self._sent)

    @property
    def coming(self) -> int:
        """How many will need a slot soon. From any thread."""
        oldest = time.monotonic() - self._silence
        return sum(sent.safe and sent.at > oldest for sent in list(self._sent.values()))

    def send(self, claim: Claim) -> None:
        """Have the claim's message sent, and the claim end with that."""
        assert claim.job is not None
        sent = self._sent[claim.job.id, claim.version] = _Sent(claim)
        for key in list(self._sent)[:-_MOST]:
            del self._sent[key]
        claim.end(Step(partial(self._send, claim=claim, sent=sent)), follows=True)

    def _send(self, session: Session, claim: Claim, sent: _Sent) -> None:
        sent.at = time.monotonic()
        try:
            self._leases.send_home(session, claim)
        except Unroutable as error:
            # Our queue is gone, and is there again after the next connection.
            raise NotConfirmed(f"{error} The job begins when it is there again.") from error
        sent.at, sent.claim = time.monotonic(), None

    def reconnected(self) -> None:
        """The broker has back what was not acknowledged: others may have it by now."""
        for sent in self._sent.values():
            sent.here, sent.claim = False, None

    def holds(self, job_id: str) -> bool:
        """Whether a message of the job will arrive."""
        return any(key[0] == job_id and sent.safe for key, sent in self._sent.items())

    def sent(self, message: Message, job_id: str, version: Version) -> bool:
        """Whether it is one that this worker has sent, and whose job it has never begun."""
        ours = message.headers.get(topology.LEASED_BY) == self._worker
        return ours and self.remembers(job_id, version)

    def remembers(self, job_id: str, version: Version) -> bool:
        """Whether this worker was about to run it, and has never begun it."""
        return (job_id, version) in self._sent

    def ours_alone(self, message: Message, job_id: str, version: Version) -> bool:
        """Whether it may begin without asking: what was known a moment ago is still so."""
        if not self.sent(message, job_id, version):
            return False
        sent = self._sent[job_id, version]
        return sent.safe and time.monotonic() < sent.decided_at + _MOMENT

    def version(self, job_id: str, least: Version, leased_by: str | None) -> Version | None:
        """The version of a job that is to be run here, at least the one that is asked about.

        Args:
            leased_by: who had leased the message that is asked about. What another worker had
                leased, it may have begun; what nobody has, others may run by now, if the
                connection was lost since we had it.
        """
        return max(
            (
                version
                for (found, version), sent in self._sent.items()
                if found == job_id
                and version >= least
                and (leased_by == self._worker or (leased_by is None and sent.here))
            ),
            default=None,
        )

    def decided(self, job_id: str, version: Version | None = None) -> None:
        """It has arrived, and something became of it (None: whichever)."""
        for key in [key for key in self._sent if key[0] == job_id]:
            if version in (None, key[1]):
                del self._sent[key]
