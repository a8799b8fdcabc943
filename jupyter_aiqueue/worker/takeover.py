"""Takeover: a message that may belong to another worker is not run before that is settled.

A message that was delivered before, or whose lease ran out, belongs to a worker that is gone, or
to one that is only cut off and still runs the job. Whoever takes such a message asks all workers,
again and again for the grace period, and holds the message meanwhile. If somebody runs the job,
the message is handed over into that worker's lease queue. If the job is over, the message is
dropped. If nobody speaks up, the attempt is lost.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from ..core.errors import BrokerError
from ..core.events import word
from ..core.job import Job
from ..core.message import Message
from ..core.publisher import publish_control
from ..core.status import Answer, Ask
from ..core.transport import Session, Unroutable
from .claim import Claim
from .claims import FINAL, Claims
from .folder import RunFolder
from .intake import Doubt, Intake, Settle, Verdict, is_doubtful
from .lease import Leases
from .take import Source

_log = logging.getLogger(__name__)

#: Seconds between questions: whoever was cut off hears the next one.
_AGAIN = 1.0


class Parked:
    """A claim in doubt."""

    def __init__(self, claim: Claim, doubt: Doubt, source: Source) -> None:
        self.claim, self.doubt, self.source = claim, doubt, source
        #: Monotonic seconds of the last question, and when it was enough of them; never before
        #: the first one.
        self.asked_at, self.until = float("-inf"), float("inf")

    @property
    def version(self) -> tuple[int, int]:
        """Of the message."""
        return self.doubt.job.attempt, self.doubt.given_back

    @property
    def message(self) -> Message:
        """As it was taken."""
        return self.claim.message


class Takeover:
    """Settles doubts, and answers those of others. For use in the link's thread.

    Args:
        judge: decides when nobody speaks up.
        decided: gets the verdict on a claim that was in doubt.
        say: told what was found out about a job: its id and a phrase.
    """

    def __init__(
        self,
        worker: str,
        claims: Claims,
        leases: Leases,
        judge: Intake,
        *,
        decided: Callable[[Session, Claim, Source, Verdict], None],
        say: Callable[[str, str], None],
    ) -> None:
        self._worker, self._claims, self._leases = worker, claims, leases
        self._judge, self._decided, self._say = judge, decided, say
        self._parked: list[Parked] = []

    def __len__(self) -> int:
        return len(self._parked)

    def reconnected(self) -> None:
        """The broker has the messages in doubt back; whoever takes them begins anew."""
        self._parked.clear()

    def park(self, session: Session, claim: Claim, doubt: Doubt, source: Source) -> None:
        """Begin to ask about a claim."""
        parked = Parked(claim, doubt, source)
        self._parked.append(parked)
        if is_doubtful(parked.message):
            self._say(doubt.job.id, "was with another worker; asking whether it still runs")
        self.tick(session)

    def tick(self, session: Session) -> None:
        """Ask again, and decide where nobody has spoken up."""
        for parked in list(self._parked):
            try:
                self._advance(session, parked)
            except BrokerError:
                raise
            except Exception as error:
                # One message that we trip over does not hold up the others.
                _log.exception("asking about job %s", parked.doubt.job.id)
                parked.claim.rescue(error)
                self._parked = [other for other in self._parked if other is not parked]

    def answered(self, session: Session, answer: Answer) -> None:
        """Somebody has spoken up."""
        for parked in list(self._parked):
            if parked.doubt.job.id == answer.job_id and answer.worker != self._worker:
                self._settle(session, parked, answer)

    def asked(self, session: Session, ask: Ask) -> None:
        """Speak up, if there is something to say."""
        found = self._state(ask)
        if found is None:
            return
        state, (attempt, turn) = found
        answer = Answer(
            job_id=ask.job_id, worker=self._worker, state=state, attempt=attempt, turn=turn
        )
        publish_control(session, f"answer.{ask.asker}", answer)

    def _state(self, ask: Ask) -> tuple[str, tuple[int, int]] | None:
        claim = self._claims.of(ask.job_id)
        if claim is not None:
            if claim.ended and not claim.pending:
                return "over", (FINAL if claim.final else claim.version)
            return "running", claim.version
        for parked in self._parked:
            if parked.doubt.job.id == ask.job_id:
                return "waiting", parked.version
        over = self._claims.over(ask.job_id)
        if over is not None:
            return "over", over
        job = Job(id=ask.job_id, config={}, group="-", attempt=ask.attempt)
        folder = RunFolder(job, ask.turn)
        if folder.read_end() is None:
            return None
        # Left behind by a worker of this machine: then it is ours to tell.
        return "over" if folder.settled else "running", (ask.attempt, ask.turn)

    def _settle(self, session: Session, parked: Parked, answer: Answer) -> None:
        theirs, mine = (answer.attempt, answer.turn), parked.version
        job_id = answer.job_id
        if theirs > mine:
            self._drop(session, parked)
        elif answer.state == "running":
            job, turn = parked.doubt.job, parked.doubt.given_back
            try:
                self._leases.send(session, answer.worker, parked.message, job, turn)
            except Unroutable:
                return  # it has ended meanwhile, or says so with its next answer
            self._say(job_id, f"still runs on {answer.worker}")
            self._drop(session, parked)
        elif theirs == mine and (
            answer.state == "over"
            # Two messages of one attempt: who sent it on died, and it was sent on again.
            or (answer.state == "waiting" and answer.worker < self._worker)
        ):
            self._drop(session, parked)

    def _advance(self, session: Session, parked: Parked) -> None:
        moment = time.monotonic()
        if moment >= parked.until:
            verdict = self._judge.nobody(parked.message, parked.source)
            self._decide(session, parked, verdict)
        elif moment >= parked.asked_at + _AGAIN:
            self._ask(session, parked)

    def _drop(self, session: Session, parked: Parked) -> None:
        self._decide(session, parked, Settle(parked.doubt.job, None))

    def _decide(self, session: Session, parked: Parked, verdict: Verdict) -> None:
        self._parked.remove(parked)
        self._decided(session, parked.claim, parked.source, verdict)

    def _ask(self, session: Session, parked: Parked) -> None:
        job, turn = parked.doubt.job, parked.doubt.given_back
        ask = Ask(job_id=job.id, asker=self._worker, attempt=job.attempt, turn=turn)
        publish_control(session, f"ask.{word(job.id)}", ask)
        parked.asked_at = time.monotonic()
        parked.until = min(parked.until, parked.asked_at + parked.doubt.patience)
