"""What to do with a message that was just taken: every check before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec

from ..core.errors import InvalidJob
from ..core.events import Kind, make_event
from ..core.job import Job
from ..core.message import Message, decode_job
from .claim import Claim
from .end import End
from .folder import RunFolder
from .letters import given_back, header_size
from .outcome import lost
from .take import Source
from .tasks import Task, Tasks

#: The group of plain producers' jobs when the worker has none.
DEFAULT_GROUP = "train"

#: Bytes of headers; a message that does not fit into a frame any more, once our own words
#: are added, could never leave a queue.
_MOST_HEADERS = 65_536


class Refuse(msgspec.Struct, frozen=True):
    """A dead letter at once. ``job`` is set if its end is to be published."""

    reason: str
    why: str
    job: Job | None = None


class Adopt(msgspec.Struct, frozen=True):
    """The delivery of a job that this worker has already: it came back."""

    claim: Any


class Settle(msgspec.Struct, frozen=True):
    """Nothing runs: publish ``end`` (None: that is done) and acknowledge."""

    job: Job
    end: End | None
    folder: RunFolder | None = None


class Execute(msgspec.Struct, frozen=True):
    """Run it."""

    job: Job
    given_back: int
    task: Task
    argv: list[str]


Verdict: TypeAlias = "Refuse | Adopt | Settle | Execute"


class Intake:
    """Judges messages.

    Args:
        claims: every claim of this worker that is not settled.
        cancelled: whether a job's cancel is known.
    """

    def __init__(
        self,
        tasks: Tasks,
        *,
        worker: str,
        claims: Callable[[], Iterable[Claim]],
        cancelled: Callable[[str], bool],
    ) -> None:
        self._tasks, self._worker = tasks, worker
        self._claims, self._cancelled = claims, cancelled

    def judge(self, message: Message, source: Source) -> Verdict:
        """Decide on ``message``, which came from ``source``. Raises nothing for bad input."""
        job: Job | None = None
        try:
            job = read_job(message, source, attempts=self._tasks.retry.attempts)
            return self._judge(message, job)
        except InvalidJob as error:
            return Refuse(error.reason, str(error), job)

    def _judge(self, message: Message, job: Job) -> Verdict:
        turn = given_back(message)
        mine = [c for c in self._claims() if c.job is not None and c.job.id == job.id]
        if message.redelivered:
            same = [claim for claim in mine if claim.key == (job.id, job.attempt, turn)]
            if same:
                return Adopt(min(same, key=lambda claim: not claim.astray))
            folder = RunFolder(job, turn)
            end = folder.read_end()
            if end is not None:
                return Settle(job, None if folder.settled else end, folder)
        if any(not claim.ended for claim in mine):
            return _duplicate("this worker runs a job of this id now")
        if not message.redelivered and RunFolder(job, turn).exists:
            return _duplicate(f"attempt {job.attempt} of this id has been run on this machine")
        if self._cancelled(job.id):
            return Settle(job, cancelled_end(job, turn))
        task = self._tasks.find(job.task)
        argv = task.argv(job.config)
        if message.redelivered:
            return Settle(job, lost(job, worker=self._worker))
        return Execute(job, turn, task, argv)


def read_job(message: Message, source: Source, *, attempts: int) -> Job:
    """The job in ``message``.

    Args:
        attempts: for messages that do not say how many attempts they have.

    Raises:
        InvalidJob: it is none, or it cannot be handled as it is.
    """
    size = header_size(message)
    if size > _MOST_HEADERS:
        raise InvalidJob(
            "too-large", f"The headers have {size:,} bytes; the limit is {_MOST_HEADERS:,}."
        )
    job = decode_job(
        message,
        group=source.group or DEFAULT_GROUP,
        queue=source.queue if source.plain else None,
    )
    if not source.plain:
        # Where it was taken from counts, not what its headers say: it has to find back there.
        job = msgspec.structs.replace(
            job, group=source.group or DEFAULT_GROUP, priority=source.priority, queue=None
        )
    if "aiq-max-attempts" not in message.headers:
        job = msgspec.structs.replace(job, max_attempts=attempts)
    return job


def cancelled_end(job: Job, turn: int = 0) -> End:
    """The end of a job that was cancelled before this attempt started."""
    # Under the last attempt that was started, as whoever cancelled it reports it too: the two
    # events have the same id and count once.
    begun = job.attempt if turn else max(1, job.attempt - 1)
    last = msgspec.structs.replace(job, attempt=begun)
    return End(event=make_event(Kind.CANCELLED, last, reason="cancelled before it started"))


def _duplicate(why: str) -> Refuse:
    # No event: the job that the id belongs to has an end of its own.
    return Refuse("duplicate-job-id", f"The job id is taken: {why}.")
