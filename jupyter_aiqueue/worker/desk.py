"""The desk: every claim of a worker, from the judgement of its message to the acknowledgement."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from functools import partial

from ..core.events import Event, Kind
from ..core.message import UNSURE
from ..core.publisher import publish_event
from ..core.topology import Catalog
from ..core.transport import Delivery, Session
from .cancels import Cancels
from .claim import Claim, Step
from .claims import Claims
from .console import Console
from .control import Hearers, listen
from .end import End
from .execution import Execution, Surroundings
from .guard import guarded
from .intake import DEFAULT_GROUP, Adopt, Doubt, Execute, Intake, Refuse, Settle, Verdict
from .lease import Leases
from .letters import given_back
from .outcome import not_begun
from .provenance import Provenance
from .run import Ended, Stop
from .sentences import progress, told
from .settle import end_steps, event_step, over_step, refuse_steps, rescue_steps
from .take import Source, source_of
from .takeover import Takeover
from .tasks import Tasks
from .underway import SLOW, UnderWay
from .warden import Warden

_log = logging.getLogger(__name__)

#: Seconds between two lines of the console about the progress of one job.
_SAY_PROGRESS = 30.0


class Desk:
    """Accepts deliveries, runs what is to be run, publishes what came of it.

    Methods that take a session are for the link's thread; running jobs report in their own
    threads and only add steps to their claims.

    Args:
        post: hands work to the link's thread; what is lost with a connection is made good by
            the next `flush`.
        on_change: called when what heartbeats tell has changed, with the id of a job that
            ended, or None.
        on_free: work to be done in the link's thread when a slot has become free.
    """

    def __init__(
        self,
        worker: str,
        tasks: Tasks,
        *,
        group: str | None,
        slots: int,
        console: Console,
        warden: Warden,
        post: Callable[[Callable[[Session], None]], object],
        on_change: Callable[[str | None], None],
        on_free: Callable[[Session], None],
    ) -> None:
        #: No more jobs are taken.
        self.closed = False
        self.catalog = Catalog()
        self._worker, self._tasks = worker, tasks
        self._group, self._slots, self._console = group or DEFAULT_GROUP, slots, console
        self._post, self._on_change, self._on_free = post, on_change, on_free
        self._guarded = partial(guarded, console)
        self._claims = Claims()
        self._executions: dict[str, Execution] = {}
        self._cancels = Cancels()
        self._leases = Leases(worker, tasks.lease, slots)
        silence = tasks.lease.time + tasks.lease.grace
        self._under_way = UnderWay(worker, self._leases, silence=silence)
        self._intake = Intake(
            tasks,
            claims=self._claims,
            under_way=self._under_way,
            cancelled=self._cancels.__contains__,
        )
        self._process = warden.token
        self._takeover = Takeover(
            worker,
            self._process,
            self._claims,
            self._leases,
            self._under_way,
            self._intake,
            silence=silence,
            decided=self._decided,
            over=self._over,
            say=lambda job_id, phrase: console.job(job_id, None, phrase),
        )
        #: The connection has been lost: leases may have run out.
        self._was_cut = False
        self._surroundings = Surroundings(
            worker=worker,
            limits=tasks.limits,
            warden=warden,
            provenance=Provenance(),
            delays=self._delays,
            on_started=self._started,
            on_live=self._live,
            on_ended=self._ended,
            on_trouble=console.note,
        )

    # -- from any thread -----------------------------------------------------------------

    def executions(self) -> list[Execution]:
        """What runs now."""
        return list(self._executions.values())

    def free(self) -> int:
        """How many jobs may be taken now."""
        # A broker that does not take what has ended is not asked for more.
        if self.closed or not self._leases.safe:
            return 0
        if any(c.ended and c.pending and not c.waiting for c in self._claims):
            return 0
        return self._slots - len(self._executions) - len(self._takeover) - self._under_way.coming

    @property
    def expects(self) -> bool:
        """Whether a message is here, or on its way, that has to go on before the worker ends."""
        return self._under_way.coming > 0 or self._takeover.owes

    def untold(self) -> int:
        """Claims about which something is still to be published."""
        # Those that wait for their message will be told of by who gets it: the end is on disk.
        return sum(claim.pending and not claim.waiting for claim in self._claims)

    def stop_all(self) -> None:
        """Have everything that runs stopped and given back."""
        for execution in self.executions():
            execution.stop(Stop.GIVE_BACK)

    # -- the link's thread ---------------------------------------------------------------

    def connect(self, session: Session, catalog: Catalog, *, new: bool) -> None:
        """Get to know a new session: the broker has every unacknowledged message back.

        Args:
            new: it is the first one.

        Raises:
            NameTaken: another worker of this name is at work.
        """
        self.catalog = catalog
        self._was_cut = not new
        self._intake.connected()
        self._claims.reconnected()
        self._under_way.reconnected()
        self._takeover.reconnected()
        self._leases.connect(
            session, lambda d: self._guarded(lambda: self._returned(session, d)), new=new
        )
        takeover = self._takeover
        hearers = Hearers(
            cancel=self._cancelled,
            log=lambda s, job_id: self._guarded(lambda: self._send_log(s, job_id)),
            over=lambda s, job_id: self._guarded(lambda: self._over(s, job_id)),
            ask=lambda s, ask: self._guarded(lambda: takeover.asked(s, ask)),
            answer=lambda s, answer: self._guarded(lambda: takeover.answered(s, answer)),
        )
        listen(session, self._worker, self._process, hearers)

    def tick(self, session: Session) -> None:
        """Everything that is due."""
        self.flush(session)
        self._guarded(lambda: self._leases.tick(session))
        self._guarded(lambda: self._takeover.tick(session, leaving=self.closed))
        for claim in self._claims:
            self._guarded(partial(self._lease, session, claim))

    def _lease(self, session: Session, claim: Claim) -> None:
        """Send the claim's lease if it is time."""
        if claim.begun and not claim.ended and not claim.astray and self._leases.due(claim):
            self._leases.renew(session, claim)

    def flush(self, session: Session) -> None:
        """Publish what is to be published, acknowledge what is done."""
        for claim in self._claims:
            self._guarded(partial(claim.flush, session))
        self._claims.sweep()

    def leave(self, session: Session) -> None:
        """Leave nothing behind, if everything is settled.

        A lease that ran out may be stuck in the queue on its way back, where nobody sees it; and
        somebody may be sending us a message. Then the queue stays, for `provision` to delete.
        """
        nothing = not len(self._claims) and not len(self._under_way)
        if nothing and not self._was_cut and not self._takeover.promised:
            self._leases.end(session)

    def accept(self, session: Session, delivery: Delivery, source: Source) -> None:
        """Take charge of a delivery."""
        try:
            verdict = self._intake.judge(delivery.message, source)
        except Exception as error:
            # A message that we trip over would come back again and again.
            _log.exception("judging a message of %s", source.queue)
            verdict = Refuse("worker-fault", f"The worker met a fault of its own: {error!r}.")
        claim = Claim(
            session,
            delivery,
            verdict.job,
            given_back(delivery.message),
            rescue=partial(rescue_steps, worker=self._worker, groups=self._dead_groups),
        )
        self._claims.add(claim)
        self._decided(session, claim, source, verdict)

    def _returned(self, session: Session, delivery: Delivery) -> None:
        """A message has come into our lease queue: renewed, found again or handed over to us."""
        self.accept(session, delivery, source_of(delivery.message))

    def _decided(self, session: Session, claim: Claim, source: Source, verdict: Verdict) -> None:
        if isinstance(verdict, Doubt):
            self._takeover.park(session, claim, verdict, source)
            return
        arrived = self._leases.holds(claim)
        if arrived:
            version = None if claim.job is None else claim.version
            self._under_way.decided(claim.message.message_id or "", version)
        if isinstance(verdict, Adopt):
            if self._claims.join(session, verdict.claim, claim):
                self._renumber(verdict.claim)
            self.flush(session)
            return
        try:
            if isinstance(verdict, Execute):
                full = len(self._executions) >= self._slots
                if (arrived and full) or (self.closed and not verdict.first):
                    why = "was told to stop" if self.closed else "had no free slot any more"
                    end = not_begun(verdict.job, self._worker, why, given_back=verdict.given_back)
                    verdict = Settle(verdict.job, end)
                elif arrived or (verdict.first and claim.delivery.took < SLOW):
                    self._execute(claim, verdict)
                    return
                else:
                    if verdict.unsure:
                        claim.message.headers[UNSURE] = 1
                    self._under_way.send(claim)
            if isinstance(verdict, Refuse):
                self._refuse(claim, verdict, source)
            elif isinstance(verdict, Settle):
                self._settle(claim, verdict)
        except Exception as error:
            _log.exception("deciding on a message of %s", source.queue)
            claim.rescue(error)
        self.flush(session)

    def _renumber(self, claim: Claim) -> None:
        """Somebody took us for gone and sent the job on, and that message came to us."""
        for execution in self.executions():
            if execution.claim is claim:
                claim.add(event_step(execution.started_event()))

    def _execute(self, claim: Claim, order: Execute) -> None:
        execution = Execution(claim, order, self._surroundings)
        self._executions[execution.token] = execution
        self._claims.begin(claim)
        try:
            execution.start()
        except RuntimeError:  # no more threads: nothing runs that would free the slot
            del self._executions[execution.token]
            raise
        self._on_change(None)

    def _refuse(self, claim: Claim, refusal: Refuse, source: Source) -> None:
        shown = claim.message.message_id or "a message"
        self._console.note(f"{shown} from {source.queue} is a dead letter: {refusal.why}")
        claim.end(
            *refuse_steps(refusal, claim.message, worker=self._worker, groups=self._dead_groups),
            settles=claim.version,
            follows=True,
        )

    def _settle(self, claim: Claim, verdict: Settle) -> None:
        if verdict.end is None:
            claim.end()
            return
        self._console.job(verdict.job.id, verdict.job.name or verdict.job.task, told(verdict.end))
        steps = end_steps(
            verdict.end,
            claim.message,
            verdict.job,
            groups=self._dead_groups,
            folder=verdict.folder,
        )
        self._end(claim, verdict.end, steps)

    def _end(self, claim: Claim, end: End, steps: list[Step]) -> None:
        """End a claim as was decided here."""
        final = end.kind.is_final
        if final:
            steps = [*steps, over_step(claim, self._worker, self._process)]
        version = (end.event.attempt, end.event.turn)
        claim.end(*steps, settles=version, follows=end.follows, final=final)

    def _over(self, session: Session, job_id: str) -> None:
        self._claims.is_over(job_id)
        self._under_way.decided(job_id)
        self._takeover.over(session, job_id)
        for execution in self.executions():
            if execution.job.id == job_id:
                self._console.job(job_id, execution.label, "has ended elsewhere; stopped")
                execution.stop(Stop.ELSEWHERE)

    def _cancelled(self, job_id: str) -> None:
        self._cancels.add(job_id)
        for execution in self.executions():
            if execution.job.id == job_id:
                self._console.job(job_id, execution.label, "is being cancelled")
                execution.stop(Stop.CANCEL)

    def _send_log(self, session: Session, job_id: str) -> None:
        for execution in self.executions():
            if execution.job.id == job_id:
                publish_event(session, execution.log_event())

    # -- threads of running jobs ---------------------------------------------------------

    def _started(self, execution: Execution, event: Event) -> None:
        job = execution.job
        attempt = f", attempt {job.attempt} of {job.max_attempts}" if job.attempt > 1 else ""
        self._console.job(job.id, execution.label, f"started ({job.priority.value}{attempt})")
        execution.claim.add(event_step(event))
        self._post(partial(self._announce, claim=execution.claim))

    def _announce(self, session: Session, claim: Claim) -> None:
        self.flush(session)
        self._guarded(partial(self._lease, session, claim))

    def _live(self, execution: Execution, event: Event) -> None:
        self._post(partial(publish_event, event=event))
        if event.event is Kind.PROGRESS:
            self._on_change(None)
            if time.monotonic() - execution.said_progress_at >= _SAY_PROGRESS:
                execution.said_progress_at = time.monotonic()
                self._console.job(event.job_id, execution.label, progress(event))

    def _ended(self, execution: Execution, end: End | None, ended: Ended) -> None:
        claim, job = execution.claim, execution.job
        # The claim first: a worker with neither runs nor ends to tell of is done. The slot in
        # any case: one that is never free again keeps the worker from ending.
        try:
            if end is None and ended.error is None and claim.version > (1, 0):
                # Its folder is taken: a second message of an attempt that is run already.
                claim.end()
            elif end is None:
                steps = self._no_end(execution, ended)
                claim.end(*steps, settles=claim.version, follows=True)
            else:
                self._console.job(job.id, execution.label, told(end, ended))
                self._end(claim, end, self._steps_of(execution, end))
        except Exception as error:
            _log.exception("ending job %s", job.id)
            claim.rescue(error)
        finally:
            del self._executions[execution.token]
            self._on_change(job.id)
            self._post(self._on_free)

    def _steps_of(self, execution: Execution, end: End) -> list[Step]:
        claim, job = execution.claim, execution.job
        return end_steps(
            end,
            claim.message,
            job,
            groups=self._dead_groups,
            folder=execution.folder,
        )

    def _no_end(self, execution: Execution, ended: Ended) -> list[Step]:
        job = execution.job
        if ended.error is not None:
            why = f"How the job ended cannot be told: {ended.error}."
            refusal = Refuse("worker-fault", why, job)
        else:
            refusal = Refuse(
                "duplicate-job-id",
                f"The job id is taken: attempt {job.attempt} of it was run in "
                f"{execution.folder.path}.",
            )
        self._console.job(job.id, execution.label, f"is a dead letter: {refusal.why}")
        return refuse_steps(
            refusal, execution.claim.message, worker=self._worker, groups=self._dead_groups
        )

    def _delays(self, order: Execute) -> Sequence[int]:
        return self._tasks.retry_of(order.task).delays or self.catalog.retry_delays

    def _dead_groups(self) -> list[str]:
        """Groups that have a dead queue, our own first."""
        return sorted(self.catalog.groups, key=lambda name: name != self._group)
