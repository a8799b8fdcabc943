"""Takeover: a message that may belong to another worker is not run before that is settled.

A message that was delivered before, or whose lease ran out, belongs to a worker that is gone, or
to one that is only cut off and still runs the job. Whoever takes such a message asks all workers,
again and again for the grace period, and holds the message meanwhile. If somebody runs the job,
the message is handed over into that worker's lease queue. If the job is over, the message is
dropped. If nobody speaks up, the attempt is lost.

A worker that was cut off, and does not find the message of what it runs, asks too: whether the
job is over. If nobody has the message, it is sent again from memory.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress

from ..core import topology
from ..core.errors import BrokerError
from ..core.events import word
from ..core.job import Job
from ..core.message import Message
from ..core.publisher import publish_control
from ..core.status import Answer, Ask, Standing
from ..core.transport import DeliveryLost, Session, Unroutable
from .claim import Claim
from .claims import FINAL, Claims
from .folder import RunFolder
from .intake import Doubt, Execute, Intake, Settle, Verdict, is_doubtful
from .lease import Leases
from .take import Source
from .underway import UnderWay

_log = logging.getLogger(__name__)

#: Seconds between questions, at most: whoever was cut off hears the next one, and of two that
#: hold messages of one version each hears of the other.
_AGAIN = 1.0

#: Seconds between questions about a job that runs here and whose message is not here.
_STRAY_AGAIN = 5.0


class Parked:
    """A claim in doubt."""

    def __init__(self, claim: Claim, doubt: Doubt, source: Source) -> None:
        self.claim, self.doubt, self.source = claim, doubt, source
        #: Monotonic seconds of the last question, and when it was enough of them; never before
        #: the first one.
        self.asked_at, self.until = float("-inf"), float("inf")
        #: The number of the first question after it was enough; 0 before.
        self.last_call = 0
        #: That one came back to us, and with it every answer that was given until then.
        self.heard = False

    @property
    def version(self) -> tuple[int, int]:
        """Of the message."""
        return self.doubt.job.attempt, self.doubt.given_back

    @property
    def job_id(self) -> str:
        """Of its job."""
        return self.doubt.job.id

    @property
    def message(self) -> Message:
        """As it was taken."""
        return self.claim.message


class Stray:
    """A job that was started here, and whose message is not here."""

    def __init__(self) -> None:
        self.asked_at = self.silent_since = time.monotonic()


class Takeover:
    """Settles doubts, and answers those of others. For use in the link's thread.

    Args:
        process: tells this worker from all others, also of the same name.
        silence: seconds after which a message that nobody has is sent again.
        judge: decides when nobody speaks up.
        decided: gets the verdict on a claim that was in doubt.
        over: told the id of a job that has ended elsewhere.
        say: told what was found out about a job: its id and a phrase.
    """

    def __init__(
        self,
        worker: str,
        process: str,
        claims: Claims,
        leases: Leases,
        under_way: UnderWay,
        judge: Intake,
        *,
        silence: float,
        decided: Callable[[Session, Claim, Source, Verdict], None],
        over: Callable[[Session, str], None],
        say: Callable[[str, str], None],
    ) -> None:
        #: Somebody may send us a message of a job that we have no claim on.
        self.promised = False
        self._worker, self._process, self._silence = worker, process, silence
        self._claims, self._leases, self._under_way = claims, leases, under_way
        self._judge, self._decided, self._on_over, self._say = judge, decided, over, say
        self._parked: list[Parked] = []
        self._questions = 0
        self._strays: dict[Claim, Stray] = {}

    def __len__(self) -> int:
        return len(self._parked)

    @property
    def owes(self) -> bool:
        """Whether something in doubt was never begun, and nobody else has it. From any thread."""
        return any(self._is_ours(parked) for parked in list(self._parked))

    def reconnected(self) -> None:
        """The broker has the messages in doubt back; whoever takes them begins anew."""
        self._parked.clear()
        self._strays.clear()

    def park(self, session: Session, claim: Claim, doubt: Doubt, source: Source) -> None:
        """Begin to ask about a claim."""
        parked = Parked(claim, doubt, source)
        self._parked.append(parked)
        if is_doubtful(parked.message):
            self._say(doubt.job.id, "was with another worker; asking whether it still runs")
        self._advance(session, parked)

    def tick(self, session: Session, *, leaving: bool) -> None:
        """Ask again, and decide where nobody has spoken up.

        Args:
            leaving: the worker starts nothing any more.
        """
        for parked in self._held():
            try:
                if leaving:
                    self._let_go(session, parked)
                else:
                    self._advance(session, parked)
            except BrokerError:
                raise
            except Exception as error:
                # One message that we trip over does not hold up the others.
                _log.exception("asking about job %s", parked.job_id)
                parked.claim.rescue(error)
                self._parked = [other for other in self._parked if other is not parked]
        self._seek(session)

    def over(self, session: Session, job_id: str) -> None:
        """A job has ended elsewhere."""
        for parked in list(self._parked):
            if parked.job_id == job_id:
                self._drop(session, parked)

    def answered(self, session: Session, answer: Answer) -> None:
        """Somebody has spoken up."""
        for parked in self._held():
            if parked.job_id == answer.job_id:
                self._settle(session, parked, answer)
        for claim, stray in list(self._strays.items()):
            if claim.job is not None and claim.job.id == answer.job_id:
                stray.silent_since = time.monotonic()
                if (answer.attempt, answer.turn) == FINAL:
                    self._on_over(session, answer.job_id)

    def asked(self, session: Session, ask: Ask) -> None:
        """Speak up, if there is something to say; or hear that everybody else was asked."""
        if ask.process == self._process:
            for parked in self._parked:
                if parked.job_id == ask.job_id and 0 < parked.last_call <= ask.number:
                    parked.heard = True
            return
        found = self._standing(ask)
        if found is None:
            return
        standing, (attempt, turn) = found
        answer = Answer(
            job_id=ask.job_id,
            worker=self._worker,
            process=self._process,
            standing=standing,
            attempt=attempt,
            turn=turn,
        )
        publish_control(session, f"answer.{ask.asker}", answer)

    def _standing(self, ask: Ask) -> tuple[Standing, tuple[int, int]] | None:
        claim = self._claims.of(ask.job_id)
        if claim is not None:
            if claim.ended and not claim.pending:
                return Standing.OVER, (FINAL if claim.final else claim.version)
            return Standing.RUNNING, claim.version
        for parked in self._held():
            if parked.job_id == ask.job_id:
                ours = self._is_ours(parked)
                return (Standing.RUNNING if ours else Standing.WAITING), parked.version
        coming = self._coming(ask)
        if coming is not None:
            return Standing.RUNNING, coming
        over = self._claims.over(ask.job_id)
        if over is not None:
            return Standing.OVER, over
        job = Job(id=ask.job_id, config={}, group="-", attempt=ask.attempt)
        folder = RunFolder(job, ask.turn)
        owner = folder.owner()
        if owner is not None and owner.alive is not False:
            return None  # who runs it speaks for itself
        if folder.read_end() is None:
            return None
        if folder.settled:
            return Standing.OVER, (ask.attempt, ask.turn)
        # Left behind by a worker of this machine: then it is ours to tell.
        if not self._leases.safe:
            return None  # the message would not be; we are asked again
        self.promised = True
        return Standing.RUNNING, (ask.attempt, ask.turn)

    def _coming(self, ask: Ask) -> tuple[int, int] | None:
        """The version of a job that will begin here; whoever has its message sends it to us."""
        version = self._under_way.version(ask.job_id, (ask.attempt, ask.turn), ask.leased_by)
        if version is None or not self._leases.safe:
            return None
        self.promised = True
        return version

    def _settle(self, session: Session, parked: Parked, answer: Answer) -> None:
        theirs, mine = (answer.attempt, answer.turn), parked.version
        if theirs > mine:
            self._drop(session, parked)
        elif answer.standing is Standing.RUNNING:
            job, turn = parked.doubt.job, parked.doubt.given_back
            parked.until = time.monotonic() + parked.doubt.patience  # it lives
            parked.last_call, parked.heard = 0, False
            try:
                self._leases.send(session, answer.worker, parked.message, job, turn)
            except Unroutable:
                return  # it has no queue at the moment: it is asked again
            self._say(parked.job_id, f"still runs on {answer.worker}")
            self._drop(session, parked)
        elif theirs == mine and (
            answer.standing is Standing.OVER
            # Two messages of one attempt: who sent it on died, and it was sent on again. Who has
            # leased it and knows that it was never begun gives way to nobody.
            or (answer.process < self._process and not self._is_ours(parked))
        ):
            self._drop(session, parked)

    def _advance(self, session: Session, parked: Parked) -> None:
        if parked.heard:
            verdict = self._judge.nobody(parked.message, parked.source)
            self._decide(session, parked, verdict)
            return
        moment = time.monotonic()
        last_call = not parked.last_call and moment >= parked.until
        if last_call or moment >= parked.asked_at + min(_AGAIN, parked.doubt.patience / 4):
            self._questions += 1
            if last_call:
                # Answers may wait for us, who were busy: this question comes back behind them.
                parked.last_call = self._questions
            self._ask(
                session,
                parked.doubt.job,
                parked.doubt.given_back,
                self._questions,
                parked.message.headers.get(topology.LEASED_BY),
            )
            parked.asked_at = time.monotonic()
            parked.until = min(parked.until, parked.asked_at + parked.doubt.patience)

    def _let_go(self, session: Session, parked: Parked) -> None:
        """Leave it to somebody who does not leave."""
        if self._leases.holds(parked.claim) or self._is_ours(parked):
            # It would come back to us. What was never begun goes on as the next version, of
            # which whoever takes it asks; the rest is given back with the connection.
            if self._is_ours(parked):
                verdict = self._judge.nobody(parked.message, parked.source)
                if isinstance(verdict, Execute):
                    self._decide(session, parked, verdict)
                else:
                    self._under_way.decided(parked.job_id, parked.version)
            return
        self._parked.remove(parked)
        self._claims.drop(parked.claim)
        with suppress(DeliveryLost):
            session.give_back(parked.claim.delivery)

    def _is_ours(self, parked: Parked) -> bool:
        return self._under_way.sent(parked.message, parked.job_id, parked.version)

    def _held(self) -> list[Parked]:
        """What is in doubt, without messages that the broker has back with their channel."""
        for parked in [one for one in self._parked if one.claim.astray]:
            self._parked.remove(parked)
            self._claims.drop(parked.claim)
        return list(self._parked)

    def _seek(self, session: Session) -> None:
        """Ask about what runs here without its message."""
        strays = [c for c in self._claims if c.begun and c.astray and not c.told]
        self._strays = {claim: self._strays.get(claim) or Stray() for claim in strays}
        moment = time.monotonic()
        for claim, stray in self._strays.items():
            if claim.job is None or moment < stray.asked_at + _STRAY_AGAIN:
                continue
            stray.asked_at = moment
            if moment - stray.silent_since >= self._silence and not claim.doubled:
                # Deleted by somebody, or lost by a broker. Should it turn up after all, there
                # are two of one version, which is settled as ever.
                self._leases.renew(session, claim)
                claim.doubled = True
                self._say(claim.job.id, "had lost its message, which is sent again")
            else:
                self._ask(session, claim.job, claim.given_back)

    def _drop(self, session: Session, parked: Parked) -> None:
        self._decide(session, parked, Settle(parked.doubt.job, None))

    def _decide(self, session: Session, parked: Parked, verdict: Verdict) -> None:
        self._parked.remove(parked)
        self._decided(session, parked.claim, parked.source, verdict)

    def _ask(
        self,
        session: Session,
        job: Job,
        given_back: int,
        number: int = 0,
        leased_by: object = None,
    ) -> None:
        ask = Ask(
            job_id=job.id,
            asker=self._worker,
            process=self._process,
            attempt=job.attempt,
            turn=given_back,
            number=number,
            leased_by=leased_by if isinstance(leased_by, str) else None,
        )
        publish_control(session, f"ask.{word(job.id)}", ask)
