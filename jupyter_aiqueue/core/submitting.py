"""Submitting: from what somebody orders to a job that the broker has on disk."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from . import topology
from .config import Broker
from .errors import (
    BrokerError,
    BrokerUnreachable,
    InvalidJob,
    NotConfirmed,
    NotProvisioned,
    UnknownGroup,
)
from .events import Event, Kind, make_event
from .hold import Hold
from .job import Job, JobRecord, Priority, check_word, new_job_id, now
from .kept import KeptConnection
from .message import encode_job, plain_config
from .pipeline import Post
from .publisher import (
    event_post,
    job_post,
    keeps_no_held_jobs,
    no_such_group,
    publish_event,
    publish_held,
    publish_job,
    read_catalog,
)
from .recorder import make_inbox
from .transport import Count, Session

#: Bytes; with less room than this a ledger cannot be relied on to grow.
_LITTLE = 1_000_000

#: Seconds for which the groups of a broker are taken to be the same.
_KNOWN = 30.0

#: How errors end that are raised before anything was.
_NOTHING = "Nothing was submitted."

#: Jobs that are published before the first of them is announced, when there are many.
_MANY = 200


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for; the fields are the arguments of `Client.submit`."""

    task: str | None
    config: dict[str, Any]
    group: str = "train"
    priority: str | Priority = Priority.NORMAL
    retries: int | None = None
    timeout: float | None = None
    name: str | None = None
    job_id: str | None = None
    retry_of: str | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a retry shall have otherwise than the job that it repeats; None: as that had it."""

    task: str | None = None
    group: str | None = None
    priority: str | Priority | None = None
    retries: int | None = None
    timeout: float | None = None
    name: str | None = None

    @classmethod
    def of(cls, options: object, *, but: str = "") -> Terms:
        """Read them from attributes of the same names, which parsed options have.

        Args:
            but: leave this one out.
        """
        fields = [field for field in cls.__struct_fields__ if field != but]
        return cls(**{field: getattr(options, field) for field in fields})

    @property
    def said(self) -> dict[str, Any]:
        """Those that are not None."""
        found = msgspec.structs.asdict(self)
        return {name: value for name, value in found.items() if value is not None}


class Submitted(NamedTuple):
    """What is known of a job right after its submit."""

    #: Jobs ahead in line; None when not known.
    place: int | None
    #: What the submitter should know, one sentence each.
    notes: list[str]


def make_job(order: Order, *, inbox: str, notebook: str | None, user: str) -> Job:
    """The job that ``order`` asks for. Raises `InvalidJob` for what cannot be sent."""
    try:
        level = Priority(order.priority)
    except ValueError as error:
        raise InvalidJob(
            "bad-priority", f"Priority {order.priority!r} is none of high, normal, low."
        ) from error
    for kind, text in (("task", order.task), ("name", order.name)):
        if text is not None and not isinstance(text, str):
            raise InvalidJob("bad-name", f"The {kind} must be text, not {text!r:.80}.")
    retries, timeout, config = order.retries, order.timeout, order.config
    if retries is not None and not (_is_number(retries, int) and 0 <= retries < 1000):
        raise InvalidJob("bad-retries", f"Retries are 0 to 999, not {retries}.")
    if timeout is not None and not (_is_number(timeout, int, float) and 0 < timeout < 1e9):
        raise InvalidJob("bad-timeout", f"The timeout is seconds above 0, not {timeout}.")
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise InvalidJob("bad-config", "The config must be a dictionary with string keys.")
    config = plain_config(config)
    new_id = order.job_id or new_job_id()
    job = Job(
        id=new_id,
        # A plain consumer finds the id where plain producers put it.
        config={"task_id": new_id, **{k: v for k, v in config.items() if k != "task_id"}},
        task=order.task,
        group=check_word("group", order.group),
        priority=level,
        max_attempts=3 if retries is None else retries + 1,
        timeout=timeout,
        name=order.name,
        inbox=inbox,
        notebook=notebook,
        user=user,
        submitted_at=now(),
        retry_of=order.retry_of,
    )
    encode_job(job)  # refuses what cannot be sent before anything is
    return job


def order_again(
    old: Job | JobRecord,
    old_id: str,
    changes: Mapping[str, Any] | None,
    terms: Terms,
) -> Order:
    """The order that repeats ``old``.

    Args:
        changes: config values that replace or add to the old ones.
    """
    order = Order(
        task=old.task,
        config={**old.config, **(changes or {})},
        group=old.group or "train",
        priority=old.priority or Priority.NORMAL,
        retries=old.max_attempts - 1,
        timeout=old.timeout,
        name=old.name,
        retry_of=old_id,
    )
    return msgspec.structs.replace(order, **terms.said)


def new_keys(changes: Mapping[str, Any] | None, config: Mapping[str, Any]) -> list[str]:
    """A sentence for each change that changes nothing that ``config`` had: it may be misspelt."""
    return [
        f"{key} is new: the config had no such value."
        + (f" The option is `--{key}`." if key in Terms.__struct_fields__ else "")
        for key in changes or {}
        if key not in config
    ]


class Submitter:
    """Publishes jobs and announces them.

    Args:
        connection: where to.
        inbox: of whom the jobs are.
        records_here: whether this process records; else it is looked whether somebody does.
    """

    def __init__(self, connection: KeptConnection, inbox: str, *, records_here: bool) -> None:
        self._connection, self._inbox = connection, inbox
        self._records_here = records_here
        self._inbox_made_at: Broker | None = None
        #: The groups there are: when that was read, and where.
        self._groups: tuple[float, Broker | None, tuple[str, ...]] = (0.0, None, ())
        #: Jobs that were published, and may have got there or not.
        self._unsure: set[str] = set()

    def submit(self, job: Job, hold: Hold | None = None) -> Submitted:
        """Have ``job`` on the broker's disk and announced.

        Args:
            hold: what it waits for before it is put in line.

        Raises:
            UnknownGroup, InvalidJob: nothing was published.
            BrokerError: the broker is away or refuses; if the outcome is not known, the
                message says so.
        """
        place = self._connection.use(partial(self.publish, job=job, hold=hold))
        # A use of its own: a connection lost here is no reason to submit the job again.
        try:
            notes = self._connection.use(partial(self.announce, job=job, hold=hold))
        except BrokerError as error:
            notes = [_not_announced(error)]
        return Submitted(place, [*notes, *self._warnings(job)])

    def submit_many(self, jobs: Sequence[Job], hold: Hold | None = None) -> list[Submitted]:
        """Like `submit` for jobs of one group and priority, in a few round trips.

        Raises:
            What `submit` raises; the message says how many are submitted.
        """
        found: list[int | None] = []
        notes: list[str] = []
        for start in range(0, len(jobs), _MANY):
            some, taken = jobs[start : start + _MANY], set[int]()
            publish = partial(self._publish_many, jobs=some, hold=hold, taken=taken)
            try:
                first = self._connection.use(publish)
            except (BrokerError, UnknownGroup) as error:
                self._announce_many([some[index] for index in sorted(taken)], hold)
                sure = start + len(taken)
                if not sure:
                    raise
                said = str(error).removesuffix(_NOTHING).rstrip()
                raise type(error)(
                    f"{said} {sure:,} of {len(jobs):,} jobs are submitted for sure; `%jobs` or "
                    "`jupyter aiqueue jobs` lists them."
                ) from error
            found += [None if first is None else first + offset for offset in range(len(some))]
            notes = self._announce_many(some, hold) or notes
        if jobs:
            notes += self._warnings(jobs[0])
        return [Submitted(place, notes) for place in found]

    def _announce_many(self, jobs: Sequence[Job], hold: Hold | None) -> list[str]:
        """Tell that they are submitted; returns what the user should know if that fails."""
        told = set[int]()
        posts = [event_post(first_event(job, hold)) for job in jobs]
        try:
            self._connection.use(partial(_publish_events, posts=posts, taken=told))
        except BrokerError as error:
            return [_not_announced(error)]
        return []

    def _publish_many(
        self, session: Session, jobs: Sequence[Job], hold: Hold | None, taken: set[int]
    ) -> int | None:
        """Publish what is not in ``taken``; returns the place in line of the first of ``jobs``."""
        self._make_inbox(session)
        # (Tried again: some of them are in line by now.)
        place = _place(session, jobs[0]) if hold is None and not taken else None
        if hold is not None:
            self._check_group(session, jobs[0])
        posts = [job_post(session, job, hold, again=job.id in self._unsure) for job in jobs]
        try:
            returned = session.publish_many(posts, mandatory=True, taken=taken)
        except (BrokerUnreachable, NotConfirmed) as error:
            left = [job.id for index, job in enumerate(jobs) if index not in taken]
            self._unsure.update(left)
            raise type(error)(
                f"{error} Jobs {left[0]} to {left[-1]} may have been submitted all the same: look "
                "for them before you submit them again."
            ) from error
        if returned:
            if hold is not None:
                raise keeps_no_held_jobs(session)
            raise no_such_group(session, jobs[0].group)
        return place

    def _make_inbox(self, session: Session) -> None:
        if self._inbox_made_at != session.broker:
            make_inbox(session, self._inbox)  # it must be there before any event is
            self._inbox_made_at = session.broker

    def publish(self, session: Session, job: Job, hold: Hold | None = None) -> int | None:
        """Publish ``job``, confirmed; returns its place in line, if it is in one."""
        self._make_inbox(session)
        # Everything else waits until the job is announced: a worker may be idle.
        place = _place(session, job) if hold is None else None
        again = job.id in self._unsure
        try:
            if hold is None:
                publish_job(session, job, again=again)
            else:
                self._check_group(session, job)
                publish_held(session, job, hold, again=again)
        except (BrokerUnreachable, NotConfirmed) as error:
            self._unsure.add(job.id)
            raise type(error)(
                f"{error} Job {job.id} may have been submitted all the same: look for it before "
                "you submit it again."
            ) from error
        return place

    def _check_group(self, session: Session, job: Job) -> None:
        """See that there is such a group: nobody else would, before the job is released."""
        seen_at, broker, groups = self._groups
        if broker != session.broker or time.monotonic() - seen_at > _KNOWN:
            groups = read_catalog(session).groups
            self._groups = time.monotonic(), session.broker, groups
        if job.group not in groups:
            raise UnknownGroup(
                f"The broker at {session.broker.location} has no group {job.group!r}; it has "
                f"{', '.join(groups)}. Nothing was submitted."
            )

    def announce(self, session: Session, job: Job, hold: Hold | None = None) -> list[str]:
        """Tell that ``job`` is submitted; returns what the user should know if that fails.

        Raises:
            BrokerUnreachable, NotConfirmed: it may be tried again.
        """
        try:
            publish_event(session, first_event(job, hold))
        except (BrokerUnreachable, NotConfirmed):
            raise
        except BrokerError as error:
            return [_not_announced(error)]
        return []

    def _warnings(self, job: Job) -> list[str]:
        notes = []
        if not self._records_here:
            with suppress(BrokerError):
                waiting, recorders = self._connection.use(self._look_at_inbox)
                if recorders == 0:
                    notes.append(
                        f"Nobody records your jobs now: {waiting} events wait in the inbox "
                        f"{self._inbox!r}. They are written when the Jupyter server's extension or "
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

    def _look_at_inbox(self, session: Session) -> Count:
        """Events waiting and recorders reading."""
        try:
            return session.count(topology.inbox_queue(self._inbox))
        except NotProvisioned:  # deleted since
            make_inbox(session, self._inbox)
            return Count(0, 0)


def first_event(job: Job, hold: Hold | None) -> Event:
    """That it is submitted, or held."""
    if hold is None:
        return make_event(Kind.SUBMITTED, job, timestamp=job.submitted_at)
    batch = None if hold.batch is None else hold.batch.id
    return make_event(Kind.HELD, job, timestamp=job.submitted_at, hold=hold.said, batch=batch)


def _publish_events(session: Session, posts: Sequence[Post], taken: set[int]) -> None:
    session.publish_many(posts, taken=taken)


def _not_announced(error: BrokerError) -> str:
    # The job is there; every later event of it carries what a ledger needs.
    return f"The job is submitted, but its submission could not be announced: {error}"


def _is_number(value: object, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


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
