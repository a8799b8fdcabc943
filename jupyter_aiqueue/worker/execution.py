"""One slot at work: a thread that runs a claimed job and decides what became of it."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import msgspec

from ..core.environment import environment_name
from ..core.events import Event, Kind, make_event
from ..core.job import Job, Result, now
from ..core.status import Running
from .claim import Claim
from .end import End
from .folder import FolderTaken, RunFolder
from .intake import Execute
from .outcome import Report, decide
from .provenance import Provenance
from .run import CannotStart, Ended, Run, Stop, child_environment
from .tasks import Limits
from .warden import Warden

_log = logging.getLogger(__name__)

#: Seconds after its start when a child is announced, and when git is asked for the commit:
#: until then the machine is the child's.
_ANNOUNCE, _ASK_COMMIT = 0.05, 0.3


class Surroundings(msgspec.Struct, frozen=True):
    """What all executions of a worker share, and whom they tell. Calls come in their threads."""

    worker: str
    limits: Limits
    warden: Warden
    provenance: Provenance
    delays: Callable[[Execute], Sequence[int]]
    on_started: Callable[[Execution, Event], None]
    on_live: Callable[[Execution, Event], None]
    #: The end is None when the job turned out to be run already (its folder is taken), or with
    #: an error when a fault of ours leaves none to tell.
    on_ended: Callable[[Execution, End | None, Ended], None]
    #: A trouble of this machine, one sentence.
    on_trouble: Callable[[str], None]


class Execution:
    """Runs one job, once."""

    def __init__(self, claim: Claim, order: Execute, surroundings: Surroundings) -> None:
        self.claim = claim
        self.task = order.task
        self.folder = RunFolder(order.job, order.given_back)
        #: What people call it.
        self.label = order.job.name or order.task.name
        self.token = secrets.token_hex(6)
        self._order = order
        self._around = surroundings
        #: When its progress was last said on the console; monotonic seconds.
        self.said_progress_at = time.monotonic()
        self._live = 0
        self._announced = False
        self._begun = threading.Event()
        self._commit: Future[str | None] | None = None
        timeout = order.job.timeout if order.job.timeout is not None else order.task.timeout
        self.run = Run(
            order.argv,
            folder=self.folder,
            directory=order.task.directory,
            environment=child_environment(
                self.folder, order.job.id, order.job.attempt, order.task.environment
            ),
            token=self.token,
            limits=surroundings.limits,
            warden=surroundings.warden,
            timeout=timeout,
            on_report=self._reported,
            on_output=self._printed,
            later=((_ANNOUNCE, self._announce), (_ASK_COMMIT, self._ask_commit)),
        )

    @property
    def job(self) -> Job:
        """As its message says now: a worker that was taken for gone may be handed a later one."""
        return self.claim.job or self._order.job

    def start(self, wait: float = 0.05) -> None:
        """Start the thread, and wait a moment for it to have started the child.

        Without this the child would wait instead: starting a process holds the interpreter,
        and whatever the calling thread does next competes for it.
        """
        threading.Thread(target=self._main, name=f"aiqueue run {self.job.id}").start()
        self._begun.wait(wait)

    def stop(self, why: Stop) -> None:
        """Have it ended; from any thread."""
        self.run.stop(why)

    def running(self) -> Running:
        """Itself as a line of a heartbeat."""
        job = self.job
        return Running(
            job_id=job.id,
            group=job.group,
            priority=job.priority,
            task=self.task.name,
            name=job.name,
            user=job.user,
            attempt=job.attempt,
            since=self.run.started_at,
            progress=self.run.reports.progress,
        )

    def started_event(self) -> Event:
        """That it runs, and since when."""
        return self._event(Kind.STARTED, timestamp=self.run.started_at)

    def log_event(self) -> Event:
        """The log tail as it is now."""
        offset, text = self.run.output.tail()
        return self._event(Kind.LOG, log=text, log_offset=offset)

    def _main(self) -> None:
        end: End | None = None
        ended = Ended(exit_code=None)
        try:
            self.folder.make()
        except FolderTaken:
            self._around.on_ended(self, None, ended)
            return
        except OSError as error:
            ended = Ended(
                exit_code=None,
                error=f"the run folder {self.folder.path} cannot be made: {error.strerror}",
            )
        try:
            if ended.error is None:
                ended = self._run()
            end = self._decide(ended)
            self.folder.keep_end(end)
        except OSError as error:
            self._around.on_trouble(f"the end of job {self.job.id} cannot be kept on disk: {error}")
        except Exception as error:
            # A fault of ours is no reason to lose a job, or the worker.
            _log.exception("running job %s", self.job.id)
            ended = Ended(exit_code=None, error=f"the worker failed: {type(error).__name__}")
            end = self._decide_after_fault(ended)
        finally:
            self._begun.set()
        self._around.on_ended(self, end, ended)

    def _run(self) -> Ended:
        try:
            self.folder.config.write_bytes(self.claim.message.body)
            if self.run.stopping is not None:
                return Ended(exit_code=None, stopped=self.run.stopping)
            self.run.start()
            self._begun.set()
            self._own()
        except CannotStart as error:
            return Ended(exit_code=None, error=str(error))
        except OSError as error:
            return Ended(
                exit_code=None,
                error=f"the run folder {self.folder.path} cannot be written: {error.strerror}",
            )
        ended = self.run.wait()
        self._announce()
        if ended.left:
            self._around.on_trouble(
                f"job {self.job.id} left {ended.left} processes that cannot be killed"
            )
        return ended

    def _own(self) -> None:
        # After the start, which does not wait for it: the folder alone tells that it was begun.
        try:
            self.folder.own(self.token, self._around.worker)
        except Exception as error:  # whatever it is: the child runs, and is to be watched
            self._around.on_trouble(f"who runs job {self.job.id} is not kept on disk: {error}")

    def _decide(self, ended: Ended) -> End:
        offset, tail = self.run.output.tail()
        reports = self.run.reports
        report = Report(
            progress=reports.progress,
            metrics=reports.metrics,
            series=reports.series(self.run.started_at.timestamp()),
            log=tail,
            log_offset=offset,
            last_line=self.run.output.last_line(),
            result=None if ended.exit_code is None else self._result(ended),
        )
        return decide(
            self.job,
            ended,
            report,
            worker=self._around.worker,
            run=self.token,
            delays=self._around.delays(self._order),
            given_back=self.claim.given_back,
        )

    def _decide_after_fault(self, ended: Ended) -> End | None:
        try:
            return self._decide(ended)
        except Exception:
            _log.exception("deciding on job %s", self.job.id)
            return None

    def _result(self, ended: Ended) -> Result:
        provenance = self._around.provenance
        return Result(
            exit_code=ended.exit_code,
            duration_s=ended.duration_s,
            cpu_s=ended.cpu_s,
            peak_memory_bytes=ended.peak_memory_bytes,
            host=provenance.host,
            python=provenance.python(self.task),
            environment=environment_name(self.task.python),
            git_commit=self._ask_commit().result(),
            run_dir=str(self.folder.path),
            log_file=str(self.folder.log),
        )

    def _announce(self) -> None:
        if not self._announced:
            self._announced = True
            self._around.on_started(self, self.started_event())

    def _ask_commit(self) -> Future[str | None]:
        # Once: the files may change while it runs.
        if self._commit is None:
            self._commit = self._around.provenance.ask_commit(self.task.directory)
        return self._commit

    def _event(self, kind: Kind, **fields: Any) -> Event:
        run = self.token
        if kind.is_live:
            self._live += 1
            run = f"{self.token}.{self._live}"
        fields.setdefault("timestamp", now())
        turn = self._order.given_back
        return make_event(kind, self.job, run=run, turn=turn, worker=self._around.worker, **fields)

    def _reported(self, progress: float | None, metrics: dict[str, Any]) -> None:
        event = self._event(Kind.PROGRESS, progress=progress, metrics=metrics)
        self._around.on_live(self, event)

    def _printed(self, offset: int, text: str) -> None:
        self._around.on_live(self, self._event(Kind.LOG, log=text, log_offset=offset))
