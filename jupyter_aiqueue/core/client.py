"""`Client`: submit, look, wait, cancel, retry. Used by magics, command line and scripts."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .cancelling import cancel
from .collect.forecaster import Answer, Forecaster
from .collect.reader import ask_for, ask_plan, is_collected
from .config import Broker, find_broker, find_inbox
from .dead.client import DeadLetterClient
from .environment import environment_name, notebook_of_this_kernel, server_records
from .errors import AlreadySucceeded, AmbiguousJob, BrokerError, InvalidJob, JobNotFound
from .events import Event, apply, word
from .handle import JobHandle, check_over
from .hold import Hold, parse_hold
from .job import Job, JobRecord, Priority, State, now
from .kept import KeptConnection
from .ledger import end_line
from .ledgers import Ledgers
from .load import Load
from .looking import KnownJobs, follow
from .measure import measure
from .plan import Plan, check_count, moments
from .publisher import publish_release, read_catalog
from .rehearsal import Rehearsal, Surroundings, before, did, rehearse
from .revision import git_commit
from .status import Release
from .submitting import (
    Order,
    Submitted,
    Submitter,
    Terms,
    first_event,
    make_job,
    new_keys,
    order_again,
)
from .watch import Watch
from .why import Why
from .why.ask import ask
from .zone import here_now

if TYPE_CHECKING:
    import pandas as pd


class Client(DeadLetterClient):
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
        ledgers: where jobs are recorded; this user's own by default.

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
        ledgers: Ledgers | None = None,
    ) -> None:
        self._url, self._management_url = url, management_url
        self._broker: Broker | None = None
        self.inbox = find_inbox(inbox)
        notebook = notebook or notebook_of_this_kernel()
        self.notebook = None if notebook is None else str(Path(notebook).absolute())
        self.ledgers = ledgers or Ledgers()
        if self.notebook is not None:
            self.ledgers.watch(self.notebook)
        self.watch = Watch(self._find)
        if record is None:
            record = not server_records()
        self._connection = KeptConnection(self._find, "jupyter_aiqueue client")
        self.forecaster = Forecaster(self._find)
        self._known = KnownJobs(self.ledgers, self._find, self.inbox, records_here=record)
        self._submitter = Submitter(self._connection, self.inbox, records_here=record)

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
        when: str | None = None,
        by: str | datetime | None = None,
        expire: bool = False,
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
            when: hold it for a quiet moment: ``wait < 10m``, ``depth < 5``, ``free_slots > 0``,
                ``after 22:00``, joined by ``and``. Neither kernel nor server has to live until
                then.
            by: until this time of day, or date and time, at most; then it is released in any
                case.
            expire: then it is dropped instead.

        Raises:
            UnknownGroup, InvalidJob: nothing was published.
            BrokerError: the broker is away or refuses; if the outcome is not known, the
                message says so.
        """
        hold = parse_hold(when, by, expires=expire, at=here_now())
        order = Order(
            task=task,
            config=config,
            group=group,
            priority=priority,
            retries=retries,
            timeout=timeout,
            name=name,
            job_id=job_id,
            retry_of=retry_of,
        )
        return self._submit(self._job(order), hold)

    def rehearse(
        self,
        task: str | None,
        config: dict[str, Any],
        *,
        when: str | None = None,
        by: str | datetime | None = None,
        expire: bool = False,
        **more: Any,
    ) -> Rehearsal:
        """What would become of a job, without sending anything; takes what `submit` takes.

        Raises:
            InvalidJob: it cannot be sent.
            NoBroker, ConfigError.
        """
        hold = parse_hold(when, by, expires=expire, at=here_now())
        job = self.make_job(task, config, **more)
        load = self.load()
        foresight = None
        if load.broker.state == "up":
            with suppress(BrokerError):
                foresight = ask_for(
                    self._find(),
                    group=job.group,
                    task=job.task,
                    config=job.config,
                    priority=job.priority,
                )
        records = self._known.records(None, None)
        folder = Path.cwd() if self.notebook is None else Path(self.notebook).parent
        here = Surroundings(environment_name(), git_commit(str(folder)))
        return rehearse(job, load, records, foresight, here=here, hold=hold)

    def plan(
        self,
        task: str | None,
        configs: Iterable[dict[str, Any]],
        *,
        count: int = 1,
        at: Iterable[str | datetime] = (),
        **common: Any,
    ) -> Plan:
        """When a batch would be done if it were submitted now, in an hour, tonight.

        Nothing is sent. All jobs are taken to join their line together, ahead of whoever joins
        it later.

        Args:
            configs: one per job, as for `submit_many`.
            count: as many jobs of each config.
            at: further moments: times of day (the next one), or dates and times, local.
            common: what `submit` takes, the same for all.

        Raises:
            InvalidJob: a job cannot be sent; there is none, or too many of them; a moment that
                has passed.
            UnknownGroup: there is no such group.
            BrokerError: the broker is away, or refuses.
        """
        given = list(configs)
        check_count(len(given) * count)
        jobs = [self.make_job(task, config, **common) for config in given] * count
        here = here_now()
        return ask_plan(self._find(), jobs, moments(at, here), here)

    def check_new(self, task: str | None, config: dict[str, Any], **more: Any) -> None:
        """Refuse what has succeeded already: it may be a cell that was run once more.

        Takes what `submit` takes, and looks into the ledgers as they are.

        Raises:
            AlreadySucceeded: exactly this, as the same task and in the same group.
            InvalidJob: it cannot be sent.
        """
        when, by = more.pop("when", None), more.pop("by", None)
        parse_hold(when, by, expires=more.pop("expire", False), at=here_now())
        job = self.make_job(task, config, **more)
        done = self.ledgers.newest(lambda r: r.state is State.SUCCEEDED and did(job, r))
        if done is not None:
            line = None if done.ledger is None else end_line(done.ledger, done.job_id)
            raise AlreadySucceeded(before(done, line))

    def submit_many(
        self,
        jobs: Iterable[dict[str, Any]],
        *,
        task: str | None = None,
        at_most_queued: int | None = None,
        when: str | None = None,
        by: str | datetime | None = None,
        expire: bool = False,
        **common: Any,
    ) -> list[JobHandle]:
        """Submit one job per config in ``jobs``, over one connection, in a few round trips.

        Args:
            at_most_queued: be polite: hold them, and put the next one in line only when fewer
                than so many of them wait there. They keep their order. Neither kernel nor server
                has to live until then. A job that failed and comes back for its next attempt is
                not counted before it is in line again; one that is released by hand, or at its
                deadline, does not wait for the others.
            when, by, expire: as in `submit`, for each of them; with `at_most_queued` both are
                waited for.
            common: what `submit` takes besides, the same for all.

        Raises:
            InvalidJob: one of them cannot be sent; nothing was published.
            UnknownGroup: nothing was published.
            BrokerError: the broker is away or refuses; the message says how many are submitted.
        """
        at = here_now()
        hold = parse_hold(when, by, expires=expire, at=at, at_most=at_most_queued)
        if common.get("job_id") is not None:
            raise InvalidJob("bad-name", "Many jobs cannot have one id: leave out job_id.")
        made = [self.make_job(task, config, **common) for config in jobs]
        submitted = self._submitter.submit_many(made, hold)
        return [self._handle(job, one, hold) for job, one in zip(made, submitted, strict=True)]

    def make_job(self, task: str | None, config: dict[str, Any], **more: Any) -> Job:
        """The job that `submit` would send; takes what `submit` takes.

        Raises:
            InvalidJob: it cannot be sent.
        """
        return self._job(Order(task=task, config=config, **more))

    def _job(self, order: Order) -> Job:
        return make_job(order, inbox=self.inbox, notebook=self.notebook, user=self.broker.username)

    def _submit(self, job: Job, hold: Hold | None = None) -> JobHandle:
        return self._handle(job, self._submitter.submit(job, hold), hold)

    def _handle(self, job: Job, submitted: Submitted, hold: Hold | None = None) -> JobHandle:
        record = JobRecord(job_id=job.id)
        apply(record, first_event(job, hold))
        is_ours = job.inbox == self.inbox
        handle = JobHandle(
            self, record, place=submitted.place, notes=submitted.notes, is_ours=is_ours
        )
        if is_ours:
            self._known.add(handle)
            self._known.record()
        return handle

    # -- looking -------------------------------------------------------------------------

    def job(self, job_id: str) -> JobHandle:
        """The handle of a job by its id, or a part of it that fits only one.

        Raises:
            JobNotFound, AmbiguousJob.
        """
        try:
            return JobHandle(self, self._known.find(job_id))
        except JobNotFound:
            handle = self._known.submitted(job_id)
            if handle is None:
                raise
            return handle

    def why(self, job_id: str) -> Why:
        """Why a job is where it is, in sentences and in numbers; also somebody else's job.

        Raises:
            JobNotFound, AmbiguousJob.
            NoBroker, ConfigError: it has not ended, and no broker is known.
        """
        try:
            record = self.job(job_id).record
        except JobNotFound:
            record = None
        return ask(self._find, job_id, record, self.ledgers.records())

    def recorded(self, job_id: str | None) -> JobRecord | None:
        """What a ledger here knows of a job, by its whole id; None when none does."""
        try:
            record = self.ledgers.find(job_id or "")
        except (JobNotFound, AmbiguousJob):
            return None
        return record if record.job_id == job_id else None

    def records(
        self, *, notebook: str | Path | None = None, limit: int | None = None
    ) -> list[JobRecord]:
        """Known jobs, newest first; of one notebook if given.

        Those submitted here are known at once, the others when they are recorded.
        """
        return self._known.records(notebook, limit)

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

    def forecast(self, job_id: str) -> Answer:
        """What is expected of a job that waits in line or runs, or what it waits for.

        It is made anew every few seconds at most, however often this is asked.

        Raises:
            JobNotFound, AmbiguousJob, BrokerError.
        """
        return self.job(job_id).forecast()

    def groups(self) -> tuple[str, ...]:
        """The worker groups of the broker. Raises `NotProvisioned`, `BrokerError`."""
        return self._connection.use(read_catalog).groups

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
        return follow(
            job_id,
            watch=self.watch,
            connection=self._connection,
            ledgers=self.ledgers,
            timeout=timeout,
            stop=stop,
        )

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
        return cancel(self._connection, self.job(job_id).record, inbox=self.inbox)

    def release(self, job_id: str) -> str:
        """Put a held job in line now, whatever it waits for.

        Returns:
            What will happen, as a sentence.

        Raises:
            JobNotFound, AmbiguousJob, BrokerError.
        """
        record = self.job(job_id).record
        if record.state is not State.HELD:
            return f"Job {record.job_id} is {record.state.value}; it is not held."
        order = Release(job_id=record.job_id, timestamp=now(), by=self.broker.username)
        key = f"release.{word(record.job_id)}"
        self._connection.use(lambda session: publish_release(session, key, order))
        if self._connection.use(is_collected):
            return f"Job {record.job_id} is put in line now."
        return f"Job {record.job_id} is put in line as soon as a worker is connected; none is now."

    def retry(
        self,
        job_id: str,
        changes: Mapping[str, Any] | None = None,
        *,
        task: str | None = None,
        group: str | None = None,
        priority: str | Priority | None = None,
        retries: int | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> JobHandle:
        """Submit a job that has ended again, as a new job with a new id.

        A dead letter of it is removed, after the new job is confirmed. A job that is in no
        ledger here is looked for among the dead letters.

        Args:
            changes: config values that replace or add to the old ones.
            task, group, priority, retries, timeout, name: as `submit` takes them; as the old
                job had them where None.

        Raises:
            JobNotOver: it has not ended yet.
            UnknownGroup: nothing was published.
            InvalidJob: its dead letter cannot be read as a job.
            JobNotFound, AmbiguousJob, BrokerError.
        """
        terms = Terms(
            task=task, group=group, priority=priority, retries=retries, timeout=timeout, name=name
        )
        try:
            record = self.job(job_id).record
        except JobNotFound as unknown:
            return self._retry_letter(job_id, changes, terms, unknown)
        check_over(record)
        job = self._job(order_again(record, record.job_id, changes, terms))
        # Whoever retries it, it belongs beside the same notebook.
        job = msgspec.structs.replace(job, notebook=record.notebook or job.notebook)
        handle = self._submit(job)
        handle.notes += new_keys(changes, record.config)
        if record.state is State.DEAD:
            handle.notes += self._remove_letters(record)
        return handle

    def close(self) -> None:
        """Disconnect; what runs here in the background ends."""
        self.watch.close()
        self.forecaster.close()
        self._known.stop()
        self._connection.close()
