"""`Client`: submit, look, wait, cancel, retry. Used by magics, command line and scripts."""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from . import topology
from .config import Broker, find_broker, find_inbox
from .dead import DeadLetter, list_dead, remove_dead
from .errors import (
    BrokerError,
    BrokerUnreachable,
    InvalidJob,
    JobNotFound,
    NotConfirmed,
    NotProvisioned,
    PermissionRefused,
    UnknownGroup,
)
from .events import Event, Kind, apply, make_event, word
from .handle import JobHandle, check_over
from .job import Job, JobRecord, Priority, State, check_word, new_job_id, now
from .kept import KeptConnection
from .ledgers import Ledgers
from .load import Load
from .measure import measure
from .message import encode_job, plain_config
from .publisher import publish_control, publish_event, publish_job, read_catalog
from .recorder import Recorder, inbox_depth, make_inbox
from .status import AskLog, Cancel
from .transport import Count, Session
from .watch import Watch

if TYPE_CHECKING:
    import pandas as pd

#: Seconds that the first look waits for events that wait in the inbox.
_CATCH_UP = 1.0

#: The notebook that this process works for, where no Jupyter server tells.
NOTEBOOK_VARIABLE = "AIQUEUE_NOTEBOOK"

#: Bytes; with less room than this a ledger cannot be relied on to grow.
_LITTLE = 1_000_000

#: Set for kernels by the server extension, which records.
RECORDER_VARIABLE = "AIQUEUE_RECORDER"


class Client:
    """Everything a notebook or script can ask.

    Args:
        url: the broker; found as the magics do when not given (environment, configuration
            file, private node).
        inbox: where events of submitted jobs go.
        notebook: path of the notebook that jobs belong to; by default the one whose kernel this
            is (``AIQUEUE_NOTEBOOK``, or as the Jupyter server told the kernel at its start).
            Without any, jobs are kept in a ledger of jobs without a notebook.
        record: whether to record events in this process when nobody else does. By default:
            unless a Jupyter server with the extension started this kernel.

    Recorded jobs can be read without a broker; what needs one raises `NoBroker` if none is known.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        management_url: str | None = None,
        inbox: str | None = None,
        notebook: str | Path | None = None,
        record: bool | None = None,
    ) -> None:
        self._url, self._management_url = url, management_url
        self._broker: Broker | None = None
        self.inbox = find_inbox(inbox)
        notebook = notebook or _notebook_of_this_kernel()
        self.notebook = None if notebook is None else str(Path(notebook).absolute())
        self.ledgers = Ledgers()
        if self.notebook is not None:
            self.ledgers.watch(self.notebook)
        self.watch = Watch(self._find)
        if record is None:
            record = os.environ.get(RECORDER_VARIABLE) != "server"
        self._records_here = record
        self._recorder: Recorder | None = None
        self._connection = KeptConnection(self._find, "jupyter_aiqueue client")
        self._inbox_made_at: Broker | None = None
        #: Jobs submitted here that no ledger is known to have yet.
        self._submitted: dict[str, JobHandle] = {}

    def __repr__(self) -> str:
        return f"<Client, inbox {self.inbox}>"

    @property
    def broker(self) -> Broker:
        """The broker. Raises `NoBroker`, `ConfigError`: recorded jobs are read without one."""
        if self._broker is None:
            self._broker = self._find()
        return self._broker

    def _find(self) -> Broker:
        return find_broker(self._url, self._management_url)

    # -- submitting ----------------------------------------------------------------------

    def submit(
        self,
        task: str | None,
        config: dict[str, Any],
        *,
        group: str = "train",
        priority: str | Priority = Priority.NORMAL,
        retries: int | None = None,
        timeout: float | None = None,
        name: str | None = None,
        job_id: str | None = None,
        retry_of: str | None = None,
    ) -> JobHandle:
        """Submit one experiment. When this returns, the broker has it on disk.

        Args:
            task: what to run, by the name in the workers' tasks file; None is the workers'
                default.
            config: parameters, as JSON values.
            group: worker group.
            priority: ``high``, ``normal`` or ``low``.
            retries: attempts beyond the first; 2 by default.
            timeout: seconds one attempt may take.
            name: a label for people.

        Raises:
            UnknownGroup, InvalidJob: nothing was published.
            BrokerError: the broker is away or refuses; if the outcome is not known, the
                message says so.
        """
        job = self.make_job(
            task,
            config,
            group=group,
            priority=priority,
            retries=retries,
            timeout=timeout,
            name=name,
            job_id=job_id,
            retry_of=retry_of,
        )
        return self._submit([job])[0]

    def submit_many(
        self, jobs: Iterable[dict[str, Any]], *, task: str | None = None, **common: Any
    ) -> list[JobHandle]:
        """Submit one job per config in ``jobs``, over one connection.

        Args:
            common: what `submit` takes, the same for all.

        Raises:
            What `submit` raises; jobs before the one at fault are submitted.
        """
        return self._submit([self.make_job(task, config, **common) for config in jobs])

    def make_job(
        self,
        task: str | None,
        config: dict[str, Any],
        *,
        group: str = "train",
        priority: str | Priority = Priority.NORMAL,
        retries: int | None = None,
        timeout: float | None = None,
        name: str | None = None,
        job_id: str | None = None,
        retry_of: str | None = None,
    ) -> Job:
        """The job that `submit` would send. Raises `InvalidJob` for what cannot be sent."""
        try:
            level = Priority(priority)
        except ValueError as error:
            raise InvalidJob(
                "bad-priority", f"Priority {priority!r} is none of high, normal, low."
            ) from error
        for kind, text in (("task", task), ("name", name)):
            if text is not None and not isinstance(text, str):
                raise InvalidJob("bad-name", f"The {kind} must be text, not {text!r:.80}.")
        if retries is not None and not (_is_number(retries, int) and 0 <= retries < 1000):
            raise InvalidJob("bad-retries", f"Retries are 0 to 999, not {retries}.")
        if timeout is not None and not (_is_number(timeout, int, float) and 0 < timeout < 1e9):
            raise InvalidJob("bad-timeout", f"The timeout is seconds above 0, not {timeout}.")
        if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
            raise InvalidJob("bad-config", "The config must be a dictionary with string keys.")
        config = plain_config(config)
        new_id = job_id or new_job_id()
        job = Job(
            id=new_id,
            # A plain consumer finds the id where plain producers put it.
            config={"task_id": new_id, **{k: v for k, v in config.items() if k != "task_id"}},
            task=task,
            group=check_word("group", group),
            priority=level,
            max_attempts=3 if retries is None else retries + 1,
            timeout=timeout,
            name=name,
            inbox=self.inbox,
            notebook=self.notebook,
            user=self.broker.username,
            submitted_at=now(),
            retry_of=retry_of,
        )
        encode_job(job)  # refuses what cannot be sent before anything is
        return job

    def _submit(self, jobs: Sequence[Job]) -> list[JobHandle]:
        handles = []
        for job in jobs:
            place = self._connection.use(partial(self._publish, job=job))
            notes = [*self._announce(job), *self._warnings(job)]
            record = JobRecord(job_id=job.id)
            apply(record, make_event(Kind.SUBMITTED, job, timestamp=job.submitted_at))
            handle = self._submitted[job.id] = JobHandle(self, record, place=place, notes=notes)
            handles.append(handle)
        self._record_here()
        return handles

    def _publish(self, session: Session, job: Job) -> int | None:
        """Publish ``job``; return its place in line."""
        if self._inbox_made_at != session.broker:
            make_inbox(session, self.inbox)  # it must be there before any event is
            self._inbox_made_at = session.broker
        # Everything else waits until the job is announced: a worker may be idle.
        place = _place(session, job)
        try:
            publish_job(session, job)
        except (BrokerUnreachable, NotConfirmed) as error:
            raise type(error)(
                f"{error} Job {job.id} may have been submitted all the same: look for it before "
                "you submit it again."
            ) from error
        return place

    def _announce(self, job: Job) -> list[str]:
        """Tell that ``job`` is submitted; returns what the user should know if that fails."""
        event = make_event(Kind.SUBMITTED, job, timestamp=job.submitted_at)
        try:
            # A use of its own: a connection lost here is no reason to submit the job again.
            self._connection.use(lambda session: publish_event(session, event))
        except BrokerError as error:
            # The job is there; every later event of it carries what a ledger needs.
            return [f"The job is submitted, but its submission could not be announced: {error}"]
        return []

    def _look_at_inbox(self, session: Session) -> Count:
        """Events waiting and recorders reading."""
        try:
            return session.count(topology.inbox_queue(self.inbox))
        except NotProvisioned:  # deleted since
            make_inbox(session, self.inbox)
            return Count(0, 0)

    def _warnings(self, job: Job) -> list[str]:
        notes = []
        if not self._records_here:
            with suppress(BrokerError):
                waiting, recorders = self._connection.use(self._look_at_inbox)
                if recorders == 0:
                    notes.append(
                        f"Nobody records your jobs now: {waiting} events wait in the inbox "
                        f"{self.inbox!r}. They are written when the Jupyter server's extension or "
                        "`jupyter aiqueue recorder` runs."
                    )
        if job.notebook is not None:
            trouble = _ledger_trouble(Path(job.notebook).parent)
            if trouble:
                notes.append(
                    f"{trouble}: the ledger stays behind until it can be written. The job itself "
                    "is safe."
                )
        return notes

    def _record_here(self, patience: float = 0.0) -> None:
        """Have somebody record, and wait up to ``patience`` s for what is in the inbox already."""
        if self._records_here and self._recorder is None:
            self._recorder = Recorder(self._find, self.inbox, ledgers=self.ledgers)
            self._recorder.start()
        if patience and self._recorder is not None:
            self._recorder.catch_up(patience)

    # -- looking -------------------------------------------------------------------------

    def job(self, job_id: str) -> JobHandle:
        """The handle of a job by its id, or a part of it that fits only one.

        Raises:
            JobNotFound, AmbiguousJob.
        """
        self._record_here(_CATCH_UP)
        try:
            return JobHandle(self, self.ledgers.find(job_id))
        except JobNotFound:
            # Submitted here a moment ago, and nobody has recorded it yet.
            for name, handle in list(self._submitted.items()):
                if job_id and (name.startswith(job_id) or name.endswith(job_id)):
                    return handle
            raise

    def records(
        self, *, notebook: str | Path | None = None, limit: int | None = None
    ) -> list[JobRecord]:
        """Known jobs, newest first; of one notebook if given.

        Those submitted here are known at once, the others when they are recorded.
        """
        self._record_here(_CATCH_UP)
        found = {record.job_id: record for record in self.ledgers.records(notebook)}
        home = None if notebook is None else str(Path(notebook).absolute())
        for name, handle in list(self._submitted.items()):
            record = handle.record
            if record.ledger is not None:
                self._submitted.pop(name, None)
            elif home is None or record.notebook == home:
                found.setdefault(name, record)
        return sorted(found.values(), key=lambda record: record.job_id, reverse=True)[:limit]

    def jobs(self, *, notebook: str | Path | None = None, limit: int | None = None) -> pd.DataFrame:
        """Recorded jobs as a table, oldest first: one row per job, indexed by job id.

        Config values are in columns ``config.<key>``, metrics in ``metrics.<key>``, the result
        in ``result.<key>``; durations are seconds, memory bytes, times UTC.
        """
        from .table import jobs_table

        return jobs_table(self.records(notebook=notebook, limit=limit)[::-1])

    def load(self, queues: Sequence[str] = ()) -> Load:
        """How busy the system is; a broker that is away gives a load that says so."""
        return measure(self._find(), queues)

    def follow(
        self,
        job_id: str,
        *,
        timeout: float | None = None,
        stop: threading.Event | None = None,
    ) -> Iterator[Event]:
        """Events of a job as they happen, the log included, until it ends.

        Args:
            timeout: seconds of silence after which to stop; None waits for ever.
            stop: ends the iteration when set.
        """
        news: queue.Queue[Event] = queue.Queue()
        self.watch.add(job_id, news.put)
        try:
            with suppress(BrokerError):
                # Whoever runs it sends the log so far; then the rest comes as it grows.
                self._connection.use(
                    lambda s: publish_control(s, f"log.{word(job_id)}", AskLog(job_id=job_id))
                )
            silent_since = time.monotonic()
            while stop is None or not stop.is_set():
                try:
                    event = news.get(timeout=0.25)
                except queue.Empty:
                    if timeout is not None and time.monotonic() - silent_since > timeout:
                        return
                    with suppress(JobNotFound):
                        if self.ledgers.find(job_id).state.is_final:
                            return
                    continue
                silent_since = time.monotonic()
                yield event
                if event.event.is_final:
                    return
        finally:
            self.watch.remove(job_id, news.put)

    # -- acting --------------------------------------------------------------------------

    def cancel(self, job_id: str) -> str:
        """Stop a job, or keep it from starting.

        A running job is stopped by its worker (the whole process tree). A waiting one is
        recorded as cancelled at once; the worker that takes its message drops it.

        Returns:
            What will happen, as a sentence.

        Raises:
            JobNotFound, AmbiguousJob, BrokerError.
        """
        record = self.job(job_id).record
        if record.state.is_final:
            return f"Job {record.job_id} is {record.state.value} already."
        job = _job_of(record, self.inbox)
        waiting = record.state in (State.QUEUED, State.RETRYING, State.HELD)
        cancel = Cancel(job_id=record.job_id, timestamp=now(), by=self.broker.username)

        def send(session: Session) -> bool:
            # Events that nobody has recorded yet may tell of its start, or of its end.
            sure = waiting and _nothing_waits(session, self.inbox)
            publish_control(session, f"cancel.{word(record.job_id)}", cancel)
            if sure:
                publish_event(
                    session, make_event(Kind.CANCELLED, job, reason="cancelled before it started")
                )
            else:
                publish_event(session, make_event(Kind.CANCELLING, job))
            return sure

        if self._connection.use(send):
            return (
                f"Job {record.job_id} is cancelled; it will not start, and is stopped if it "
                "has just started."
            )
        if waiting:
            return (
                f"The cancel of job {record.job_id} is sent; what became of it is not recorded yet."
            )
        return f"Job {record.job_id} is being stopped by worker {record.worker}."

    def retry(self, job_id: str, changes: dict[str, Any] | None = None) -> JobHandle:
        """Submit a job that has ended again, as a new job with a new id.

        Args:
            changes: config values that replace or add to the old ones.

        Raises:
            JobNotOver: it has not ended yet.
            JobNotFound, AmbiguousJob, BrokerError.
        """
        record = self.job(job_id).record
        check_over(record)
        job = self.make_job(
            record.task,
            {**record.config, **(changes or {})},
            group=record.group or "train",
            priority=record.priority or Priority.NORMAL,
            retries=record.max_attempts - 1,
            timeout=record.timeout,
            name=record.name,
            retry_of=record.job_id,
        )
        # Whoever retries it, it belongs beside the same notebook.
        job = msgspec.structs.replace(job, notebook=record.notebook or job.notebook)
        (handle,) = self._submit([job])
        if record.state is State.DEAD:
            group = record.group or "train"
            # Accounts that may not read the dead queue leave the letter where it is.
            with suppress(PermissionRefused, NotProvisioned):
                self._connection.use(lambda session: remove_dead(session, group, record.job_id))
        return handle

    def dead(self, group: str | None = None) -> list[DeadLetter]:
        """Dead letters of one group, or of all.

        Raises:
            UnknownGroup, PermissionRefused, BrokerError.
        """

        def look(session: Session) -> list[DeadLetter]:
            known = read_catalog(session).groups
            if group is not None and group not in known:
                raise UnknownGroup(
                    f"The broker at {session.broker.location} has no group {group!r}; "
                    f"it has {', '.join(known)}."
                )
            groups = known if group is None else (group,)
            return [letter for name in groups for letter in list_dead(session, name)]

        return self._connection.use(look)

    def close(self) -> None:
        """Disconnect; what runs here in the background ends."""
        self.watch.close()
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None
        self._connection.close()


def _nothing_waits(session: Session, inbox: str) -> bool:
    """Whether all events of an inbox are recorded; False when that cannot be seen."""
    try:
        return inbox_depth(session, inbox)[0] == 0
    except BrokerUnreachable:
        raise
    except BrokerError:
        return False


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _notebook_of_this_kernel() -> str | None:
    """As the environment tells; the magics find out more (a rename since the kernel's start)."""
    told = os.environ.get(NOTEBOOK_VARIABLE)
    if told:
        return told
    session = os.environ.get("JPY_SESSION_NAME", "")
    return session if session.endswith(".ipynb") and os.path.isfile(session) else None  # noqa: PTH113


def _ledger_trouble(folder: Path) -> str | None:
    """Why nothing can be written into ``folder`` now, if that is so."""
    # (`Path.is_dir` raises where it may not look.)
    if not os.path.isdir(folder):  # noqa: PTH112
        return None  # on another machine: its recorder says what is wrong
    if not os.access(folder, os.W_OK):
        return f"The folder {folder} cannot be written"
    with suppress(OSError):
        if shutil.disk_usage(folder).free < _LITTLE:
            return f"The disk of {folder} is full"
    return None


def _place(session: Session, job: Job) -> int | None:
    """Jobs ahead of one that is about to be published: of its own priority and higher ones."""
    ahead = 0
    for priority in Priority:
        try:
            ahead += session.count(topology.work_queue(job.group, priority)).ready
        except BrokerError:
            return None
        if priority is job.priority:
            break
    return ahead


def _job_of(record: JobRecord, inbox: str) -> Job:
    return Job(
        id=record.job_id,
        config=record.config,
        group=record.group or "train",
        task=record.task,
        priority=record.priority or Priority.NORMAL,
        attempt=max(1, record.attempt),
        max_attempts=record.max_attempts,
        name=record.name,
        inbox=inbox,
        notebook=record.notebook,
        user=record.user,
        submitted_at=record.submitted_at,
        retry_of=record.retry_of,
    )
