"""`Worker`: one process that takes jobs and runs them until it is told to stop."""

from __future__ import annotations

import logging
import platform
import queue
import re
import secrets
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial

from ..core.config import Broker
from ..core.errors import (
    AccessRefused,
    AIQueueError,
    BrokerError,
    BrokerUnreachable,
    ConfigError,
    NoBroker,
    PermissionRefused,
    TLSFailed,
    UnknownGroup,
)
from ..core.events import Event, Kind
from ..core.job import check_word
from ..core.link import Link
from ..core.publisher import publish_event, read_catalog
from ..core.topology import Catalog
from ..core.transport import Delivery, Session
from .cancels import Cancels
from .claim import Claim
from .console import Console, duration, write_line
from .end import End
from .execution import Execution, Surroundings
from .heartbeat import Pulse
from .intake import DEFAULT_GROUP, Adopt, Execute, Intake, Refuse, Settle
from .provenance import Provenance
from .run import Ended, Stop
from .settle import end_steps, event_step, refuse_steps
from .take import Source, Taker
from .tasks import Tasks

_log = logging.getLogger(__name__)

#: Seconds between turns of the main loop.
_TICK = 0.25

#: Seconds that a stopping worker tries to tell the broker of what has ended.
_LAST_WORDS = 15.0

#: Troubles that waiting does not cure: a worker that meets one at its start says so and ends.
_FATAL = (AccessRefused, TLSFailed, PermissionRefused, ConfigError, UnknownGroup, NoBroker)


class Worker:
    """Takes jobs of one group, and of plain producers' queues, and runs them.

    Everything about the broker happens in the thread of one `Link`; every running job has
    threads of its own; `run` only keeps time.

    Args:
        find: tells the broker; asked anew for every connection.
        tasks: what may be run.
        group: the worker group; None takes the tasks file's, or none if that names none.
        queues: durable queues of plain producers to serve as well.
        slots: jobs at the same time; None takes the tasks file's.
        name: one word, unique among workers; made from the host's name when None.
        grace: seconds that running jobs may take to finish after `drain`.
        say: gets the lines for the console.

    Raises:
        ConfigError: nothing to serve, or an unusable name.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        tasks: Tasks,
        *,
        group: str | None = None,
        queues: Sequence[str] = (),
        slots: int | None = None,
        name: str | None = None,
        grace: float | None = None,
        say: Callable[[str], None] = write_line,
    ) -> None:
        self.tasks = tasks
        self.group = group if group is not None else tasks.group
        self.queues = tuple(dict.fromkeys(queues))
        self.slots = tasks.slots if slots is None else slots
        self.name = check_word("worker", name) if name else _own_name()
        self.grace = tasks.limits.drain if grace is None else grace
        if self.group is None and not self.queues:
            raise ConfigError("A worker needs something to serve: --group NAME or --queue NAME.")
        if self.group is not None:
            check_word("group", self.group)
        if self.slots < 1:
            raise ConfigError(f"A worker needs at least one slot, not {self.slots}.")
        self.console = Console(say)
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._draining = False
        self._stop_at = float("inf")
        self._stopped_runs = False
        self._fatal: AIQueueError | None = None
        self._was_up = False
        self._ticking = False
        self._catalog = Catalog()
        self._claims: list[Claim] = []
        self._executions: dict[str, Execution] = {}
        self._cancels = Cancels(self._cancelled, self._send_log)
        self._intake = Intake(
            tasks,
            worker=self.name,
            claims=lambda: self._claims,
            cancelled=self._cancels.__contains__,
        )
        self._taker = Taker(
            self.group,
            self.queues,
            free=self._free,
            accept=self._accept,
            say=self.console.note,
        )
        self._surroundings = Surroundings(
            worker=self.name,
            limits=tasks.limits,
            provenance=Provenance(),
            delays=self._delays,
            on_started=self._started,
            on_live=self._live,
            on_ended=self._ended,
            on_trouble=self.console.note,
        )
        self._pulse = Pulse(self)
        self._link = Link(
            find,
            f"jupyter_aiqueue worker {self.name}",
            setup=self._setup,
            on_up=lambda: self._orders.put("tick"),
            on_lost=self._lost,
        )

    # -- from outside --------------------------------------------------------------------

    def drain(self) -> None:
        """Take no more jobs; end when the running ones have, or after the grace.

        What has not ended by then is stopped and given back, without losing an attempt.
        """
        self._orders.put("drain")

    def stop_now(self) -> None:
        """Like `drain` without grace."""
        self._orders.put("stop")

    def run(self) -> int:
        """Work until told to stop, in the calling thread.

        Returns:
            0, or 1 if the broker cannot be used, or could not be told of everything: what it
            was not told is in the run folders.
        """
        self.console.note(f"worker {self.name}: {self._serves()}, {_count(self.slots, 'slot')}")
        self._link.start()
        try:
            while self._fatal is None and not (self._draining and self._idle()):
                self._obey()
                if time.monotonic() >= self._stop_at and not self._stopped_runs:
                    self._stop_runs()
                self._tick()
        finally:
            self._draining = True
            left = self._leave()
        if self._fatal is not None:
            self.console.note(str(self._fatal))
        if left:
            self.console.note(
                f"{_count(left, 'job')} ended, and the broker could not be told; it will deliver "
                "them again"
            )
        self.console.note(f"worker {self.name} has ended")
        return 1 if left or self._fatal is not None else 0

    # -- the main thread -----------------------------------------------------------------

    def _obey(self) -> None:
        try:
            order = self._orders.get(timeout=_TICK)
        except queue.Empty:
            return
        if order == "drain" and not self._draining:
            self._draining = True
            self._stop_at = time.monotonic() + self.grace
            running = len(self._executions)
            self.console.note(
                "taking no more jobs"
                + (
                    f"; {_count(running, 'job')} may finish within {duration(self.grace)}, "
                    "then back into the queue"
                    if running
                    else ""
                )
            )
        elif order == "stop":
            self._draining = True
            self._stop_at = float("-inf")

    def _stop_runs(self) -> None:
        self._stopped_runs = True
        for execution in list(self._executions.values()):
            execution.stop(Stop.GIVE_BACK)

    def _idle(self) -> bool:
        if self._executions:
            return False
        # A job may be on its way in: after this no more are, the link's thread knows of the
        # drain.
        with suppress(BrokerError):
            self._link.call(lambda _: None, timeout=2.0)
        return not self._executions

    def _tick(self) -> None:
        if not self._ticking:
            self._ticking = self._link.post(self._turn)

    def _leave(self) -> int:
        """Stop everything; return how many ends the broker was not told of."""
        while not self._idle():
            self._stop_runs()
            time.sleep(_TICK)
        deadline = time.monotonic() + _LAST_WORDS
        while any(claim.pending for claim in self._claims) and time.monotonic() < deadline:
            self._ticking = False
            self._tick()
            time.sleep(_TICK)
        self._pulse.stopped = True
        with suppress(BrokerError):
            self._link.call(self._pulse.beat, timeout=5.0)
        self._link.close()
        return sum(claim.pending for claim in self._claims)

    # -- the link's thread ---------------------------------------------------------------

    def _setup(self, session: Session) -> None:
        try:
            self._catalog = read_catalog(session)
            self._check(session)
            # The broker has every unacknowledged message back. What runs or has ended here
            # waits for its message to return; what was only looked at is looked at again.
            self._claims = [claim for claim in self._claims if claim.started]
            for claim in self._claims:
                claim.astray = True
            self._cancels.listen(session)
            self._taker.connect(session)
        except _FATAL as error:
            if not self._was_up:
                self._fatal = error
            raise
        self._was_up = True
        self.console.over()
        self.console.note(f"connected to {session.broker.location} (RabbitMQ {session.version})")

    def _check(self, session: Session) -> None:
        where = f"the broker at {session.broker.location}"
        known = self._catalog.groups
        if self.group is not None and self.group not in known:
            raise UnknownGroup(
                f"There is no group {self.group!r} on {where}; it has {', '.join(known)}."
            )
        wanted = {self.tasks.retry, *(task.retry for task in self.tasks.tasks.values())}
        delays = {delay for retry in wanted if retry for delay in retry.delays or ()}
        missing = sorted(delays - set(self._catalog.retry_delays))
        if missing:
            raise ConfigError(
                f"There is no retry queue for a delay of {', '.join(map(str, missing))} s on "
                f"{where}; it has {', '.join(map(str, self._catalog.retry_delays))} s. Change "
                f"`delays` in {self.tasks.file}, or have `jupyter aiqueue provision` make them."
            )

    def _lost(self, error: AIQueueError) -> None:
        self._ticking = False
        if not self._was_up and isinstance(error, _FATAL):
            self._fatal = error
        if self._fatal is None and not self._pulse.stopped:
            running = len(self._executions)
            goes_on = f" ({_count(running, 'running job')} not affected)" if running else ""
            self.console.trouble(f"{error} Trying again.{goes_on}")

    def _turn(self, session: Session) -> None:
        """Everything that is due, once."""
        self._ticking = False
        with self._guard():
            self._flush(session)
            self._taker.tick(session)
            self._pulse.tick(session)

    def _flush(self, session: Session) -> None:
        for claim in list(self._claims):
            try:
                claim.flush(session)
            except BrokerUnreachable:
                raise
            except BrokerError as error:
                self.console.trouble(f"{error} Trying again.")
        self._claims = [claim for claim in self._claims if not claim.settled]
        _forget_strays(self._claims)

    def _look(self, session: Session) -> None:
        with self._guard():
            self._flush(session)
            self._taker.look(session, quick=True)
            self._taker.listen(session)

    def _free(self) -> int:
        # A broker that does not take what has ended is not asked for more.
        if self._draining or any(claim.ended and claim.pending for claim in self._claims):
            return 0
        return self.slots - len(self._executions)

    def _accept(self, session: Session, delivery: Delivery, source: Source) -> None:
        verdict = self._intake.judge(delivery.message, source)
        if isinstance(verdict, Adopt):
            verdict.claim.adopt(session, delivery)
            self._flush(session)
            return
        claim = Claim(session, delivery, verdict.job)
        self._claims.append(claim)
        if isinstance(verdict, Execute):
            claim.given_back = verdict.given_back
            claim.started = True
            execution = Execution(claim, verdict, self._surroundings)
            self._executions[execution.token] = execution
            execution.start()
            self._pulse.changed()
            return
        if isinstance(verdict, Refuse):
            steps = refuse_steps(
                verdict, delivery.message, worker=self.name, groups=self._dead_groups
            )
            shown = delivery.message.message_id or "a message"
            self.console.note(f"{shown} from {source.queue} is a dead letter: {verdict.why}")
            claim.end(*steps)
        else:
            self._settle(claim, verdict)
        self._flush(session)

    def _settle(self, claim: Claim, verdict: Settle) -> None:
        steps = []
        if verdict.end is not None:
            steps = end_steps(
                verdict.end,
                claim.message,
                verdict.job,
                worker=self.name,
                groups=self._dead_groups,
                folder=verdict.folder,
            )
            self.console.job(verdict.job, _told(verdict.end))
        claim.end(*steps)

    def _cancelled(self, job_id: str) -> None:
        for execution in self.running():
            if execution.job.id == job_id:
                self.console.job(execution.job, "is being cancelled")
                execution.stop(Stop.CANCEL)

    def _send_log(self, session: Session, job_id: str) -> None:
        for execution in self.running():
            if execution.job.id == job_id:
                publish_event(session, execution.log_event())

    # -- threads of running jobs ---------------------------------------------------------

    def _started(self, execution: Execution, event: Event) -> None:
        job = execution.job
        attempt = f", attempt {job.attempt} of {job.max_attempts}" if job.attempt > 1 else ""
        self.console.job(job, f"started ({job.priority.value}{attempt})")
        execution.claim.add(event_step(event))
        self._link.post(self._turn)

    def _live(self, event: Event) -> None:
        self._link.post(partial(publish_event, event=event))
        if event.event is Kind.PROGRESS:
            self._pulse.changed()

    def _ended(self, execution: Execution, end: End | None, ended: Ended) -> None:
        claim, job = execution.claim, execution.job
        if end is None:
            refusal = Refuse(
                "duplicate-job-id",
                f"The job id is taken: attempt {job.attempt} of it was run in "
                f"{execution.folder.path}.",
            )
            self.console.job(job, f"is a dead letter: {refusal.why}")
            steps = refuse_steps(refusal, claim.message, worker=self.name, groups=self._dead_groups)
        else:
            self.console.job(job, _told(end, ended))
            steps = end_steps(
                end,
                claim.message,
                job,
                worker=self.name,
                groups=self._dead_groups,
                folder=execution.folder,
            )
        claim.end(*steps)
        self._pulse.finished(job.id)
        del self._executions[execution.token]
        self._link.post(self._look)

    # -- small things --------------------------------------------------------------------

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """Keep a trouble with one message from ending the thread that serves all."""
        try:
            yield
        except BrokerUnreachable:
            raise
        except BrokerError as error:
            self.console.trouble(f"{error} Trying again.")
        except Exception as error:
            _log.exception("in the worker's turn")
            self.console.trouble(f"the worker met a fault of its own: {error!r}")

    def _delays(self, order: Execute) -> Sequence[int]:
        return self.tasks.retry_of(order.task).delays or self._catalog.retry_delays

    def _dead_groups(self) -> list[str]:
        known = list(self._catalog.groups)
        own = self.group or DEFAULT_GROUP
        return [own, *known] if own in known else known

    def running(self) -> list[Execution]:
        """What runs now."""
        return list(self._executions.values())

    @property
    def state(self) -> str:
        """``active`` or ``draining``."""
        return "draining" if self._draining else "active"

    def _serves(self) -> str:
        parts = [f"group {self.group}"] if self.group else []
        parts += [f"queue {name}" for name in self.queues]
        names = ", ".join(sorted(self.tasks.tasks))
        return f"serves {' and '.join(parts)} with the tasks {names}"


def install_signal_handlers(worker: Worker) -> None:
    """Have SIGTERM and SIGINT drain the worker, and a second one stop it now.

    For the main thread of a program only.
    """

    told_before = False

    def told(*_: object) -> None:
        nonlocal told_before
        if told_before:
            worker.stop_now()
        else:
            worker.drain()
        told_before = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0])[:40] or "worker"
    return f"{host}-{secrets.token_hex(2)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


#: Ended jobs whose message has not come back yet, after a lost connection.
_MOST_STRAYS = 1000


def _forget_strays(claims: list[Claim]) -> None:
    strays = [claim for claim in claims if claim.ended and claim.astray and not claim.pending]
    for claim in strays[:-_MOST_STRAYS]:
        claims.remove(claim)


def _told(end: End, ended: Ended | None = None) -> str:
    """An end as a line of the console."""
    event = end.event
    after = f" after {duration(ended.duration_s)}" if ended and ended.duration_s else ""
    if event.event is Kind.RETRYING:
        when = f"in {end.delay} s" if end.delay else "now"
        next_attempt = end.next.attempt if end.next else event.attempt + 1
        return f"failed{after}: {event.reason}; attempt {next_attempt} {when}"
    if event.event is Kind.REQUEUED:
        return f"given back{after}, without losing an attempt"
    if event.event is Kind.DEAD:
        return f"is a dead letter{after}: {event.reason}"
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.event.value}{after}{reason}"
