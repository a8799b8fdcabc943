"""What to do with a message that was just taken: every check before anything runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from ..core import topology
from ..core.errors import InvalidJob
from ..core.events import Kind, make_event
from ..core.job import Job, Result
from ..core.message import SENT_AGAIN, UNSURE, Message, decode_job
from . import processes
from .claim import Claim
from .claims import Claims
from .end import End
from .folder import RunFolder
from .letters import given_back, header_size
from .outcome import Report, lost
from .owner import Owner
from .take import Source
from .tasks import Task, Tasks
from .underway import UnderWay

#: The group of plain producers' jobs when the worker has none.
DEFAULT_GROUP = "train"

#: Bytes of headers; a message that does not fit into a frame any more, once our own words
#: are added, could never leave a queue.
_MOST_HEADERS = 65_536

#: Seconds at most to listen for somebody who runs a job whose message looks new, but is not its
#: first: whoever sent it on may have died and done so twice. A living worker may be busy for as
#: long with a broker that is slow to confirm.
_BRIEF = 5.0

#: Seconds after a connection in which such a message gets more of them: a broker that was killed
#: may have sent it twice, to workers that are busy with their own return.
_WARY = 15.0

#: Seconds at most to listen for somebody who runs a job that was delivered before, but never
#: leased: a first run is leased right after its start, so that only who was cut off in that
#: moment can have started it, and comes back this soon.
_UNLEASED = 15.0

#: Seconds that ending what a dead worker left behind may take.
_END_ORPHANS = 2.0


class Refuse(msgspec.Struct, frozen=True):
    """A dead letter at once. ``job`` is set if its end is to be published."""

    reason: str
    why: str
    job: Job | None = None


class Adopt(msgspec.Struct, frozen=True):
    """It is of a job that this worker has already: it came back."""

    job: Job
    claim: Claim


class Settle(msgspec.Struct, frozen=True):
    """Nothing runs: publish ``end`` (None: that is done) and acknowledge."""

    job: Job
    end: End | None
    folder: RunFolder | None = None


class Doubt(msgspec.Struct, frozen=True):
    """Somebody else may run it: ask for ``patience`` seconds."""

    job: Job
    given_back: int
    patience: float


class Execute(msgspec.Struct, frozen=True):
    """Run it."""

    job: Job
    given_back: int
    task: Task
    argv: list[str]
    #: Its job has never been delivered to anybody before.
    first: bool = False
    #: It has, and nobody knows whether it was started.
    unsure: bool = False


Verdict: TypeAlias = Refuse | Adopt | Settle | Doubt | Execute


class Intake:
    """Judges messages.

    Args:
        claims: what this worker has, and remembers.
        under_way: what it will have.
        cancelled: whether a job was cancelled.
    """

    def __init__(
        self,
        tasks: Tasks,
        *,
        claims: Claims,
        under_way: UnderWay,
        cancelled: Callable[[str], bool],
    ) -> None:
        self._tasks = tasks
        self._claims, self._under_way, self._cancelled = claims, under_way, cancelled
        self._wary_until = float("-inf")

    def connected(self) -> None:
        """The broker is there; it may have been away."""
        self._wary_until = time.monotonic() + _WARY

    def judge(self, message: Message, source: Source) -> Verdict:
        """Decide on ``message``, which came from ``source``. Raises nothing for bad input."""
        return self._guarded(message, source, self._judge)

    def nobody(self, message: Message, source: Source) -> Verdict:
        """Decide on a message that was in doubt, and that nobody runs."""
        return self._guarded(message, source, self._unclaimed)

    def _guarded(
        self, message: Message, source: Source, judge: Callable[[Message, Job, int], Verdict]
    ) -> Verdict:
        job: Job | None = None
        try:
            job = read_job(message, source, attempts=self._tasks.retry.attempts)
            return judge(message, job, given_back(message))
        except InvalidJob as error:
            return Refuse(error.reason, str(error), job)

    def _judge(self, message: Message, job: Job, turn: int) -> Verdict:
        known = self._known(message, job, turn)
        if known is not None:
            return known
        folder = RunFolder(job, turn)
        if is_doubtful(message):
            end = folder.read_end()
            if end is not None:
                return Settle(job, None if folder.settled else end, folder)
            owner = folder.owner()
            if owner is not None and owner.alive is False and _came_from(owner, message):
                return self._unclaimed(message, job, turn)
            leased = topology.LEASED_BY in message.headers
            alone = self._under_way.ours_alone(message, job.id, (job.attempt, turn))
            if alone and not folder.exists:
                return self._begin(job, turn)
            return Doubt(job, turn, self._tasks.lease.grace if leased else self._patience)
        if _is_new(message, job, turn):
            if folder.exists:
                why = f"attempt {job.attempt} of this id has been run on this machine"
                return _duplicate(why)
            return self._begin(job, turn, first=True)
        if folder.exists:
            # It was sent more than once, and started here: the first message counts, which is
            # held or was settled by who started it.
            return Settle(job, None)
        wary = time.monotonic() < self._wary_until
        return Doubt(job, turn, self._patience if wary else min(self._patience, _BRIEF))

    @property
    def _patience(self) -> float:
        """Seconds for a message that was never leased."""
        # Who lost its connection waits a third of the grace at most between two tries.
        return min(self._tasks.lease.grace / 2, _UNLEASED)

    def _known(self, message: Message, job: Job, turn: int) -> Verdict | None:
        """What to do about a job that this worker runs, or has settled."""
        version = job.attempt, turn
        claim, over = self._claims.of(job.id), self._claims.over(job.id)
        new = _is_new(message, job, turn)
        if new and (claim is not None or self._under_way.holds(job.id)):
            return _duplicate("this worker runs a job of this id now")
        if claim is not None:
            if version > claim.version or (version == claim.version and is_doubtful(message)):
                # It came back; or somebody took us for gone. What runs, runs on.
                return Adopt(job, claim)
            return Settle(job, None)
        if over is not None and over >= version and not new:
            return Settle(job, None)
        return None

    def _unclaimed(self, message: Message, job: Job, turn: int) -> Verdict:
        known = self._known(message, job, turn)
        if known is not None:
            return known
        folder = RunFolder(job, turn)
        owner = folder.owner()
        if owner is not None and owner.alive is False:
            _end_orphans(owner)
        if not self._was_started(message, folder, job, turn):
            # What this worker itself has had and never begun is sure.
            ours = self._under_way.remembers(job.id, (job.attempt, turn))
            unsure = not ours and _may_have_been_started(message, job, turn)
            return self._begin(job, turn, unsure=unsure)
        if self._cancelled(job.id):
            return Settle(job, cancelled_end(job, turn))
        if UNSURE in message.headers:
            job = _counted(job)
        former = message.headers.get(topology.LEASED_BY)
        if not isinstance(former, str):
            former = None if owner is None else owner.worker
        report = self._left_in(folder)
        return Settle(job, lost(job, worker=former, given_back=turn, report=report))

    def _left_in(self, folder: RunFolder) -> Report:
        """What a run whose worker is gone has left on this machine."""
        if not folder.log.exists():
            return Report()
        offset, text = folder.last_output(self._tasks.limits.log_tail)
        result = Result(run_dir=str(folder.path), log_file=str(folder.log))
        return Report(log=text, log_offset=offset, result=result)

    def _was_started(self, message: Message, folder: RunFolder, job: Job, turn: int) -> bool:
        """Whether somebody has started the job of a message that is doubtful, and nobody's.

        That it was delivered before is no proof: people look into queues, workers are told to
        stop, and a classic queue marks everything after a crash of its broker.
        """
        if folder.exists:
            return True
        leased = topology.LEASED_BY in message.headers
        return leased and not self._under_way.sent(message, job.id, (job.attempt, turn))

    def _begin(self, job: Job, turn: int, *, first: bool = False, unsure: bool = False) -> Verdict:
        if self._cancelled(job.id):
            return Settle(job, cancelled_end(job, turn))
        task = self._tasks.find(job.task)
        return Execute(job, turn, task, task.argv(job.config), first, unsure)


def _is_new(message: Message, job: Job, turn: int) -> bool:
    """Whether it is the first message of its job, so that nobody else can have started it."""
    return (job.attempt, turn) == (1, 0) and is_only(message)


def is_doubtful(message: Message) -> bool:
    """Whether somebody else may run it: it was delivered before, or its lease ran out."""
    return message.redelivered or topology.LEASED_BY in message.headers


def _came_from(owner: Owner, message: Message) -> bool:
    """Whether ``owner`` was the last to have a message that is doubtful.

    It may have died before anybody could know that it had started the job; then somebody else
    was given the message, and may run the same attempt.
    """
    if topology.LEASED_BY in message.headers:
        return bool(message.headers[topology.LEASED_BY] == owner.worker)
    return bool(message.headers.get("x-delivery-count") == 1)


def is_only(message: Message) -> bool:
    """Whether there can be no other message of the same attempt, left behind or sent again."""
    return not is_doubtful(message) and SENT_AGAIN not in message.headers


def _may_have_been_started(message: Message, job: Job, turn: int) -> bool:
    """Whether its first run may have ended its worker, before that was leased.

    Every later run is leased first. A queue that does not count deliveries says nothing.
    """
    deliveries = message.headers.get("x-delivery-count")
    return (job.attempt, turn) == (1, 0) and isinstance(deliveries, int) and deliveries > 0


def _counted(job: Job) -> Job:
    """The job with the start counted of which nobody was sure: it has ended one more worker."""
    entry = f"attempt {job.attempt} may have been started before, by a worker that is gone"
    return msgspec.structs.replace(
        job, attempt=min(job.attempt + 1, job.max_attempts), history=(*job.history, entry)
    )


def _end_orphans(owner: Owner) -> None:
    """Make sure that nothing of a run whose worker is dead goes on beside the next attempt.

    Its warden has usually done that already.
    """
    mark = f"{processes.RUN}={owner.token}"
    processes.end_marked(mark, kill_after=0.0, within=_END_ORPHANS)


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
    why = "cancelled before it started" if job.attempt == 1 else "cancelled between two attempts"
    return End(event=make_event(Kind.CANCELLED, last, reason=why))


def _duplicate(why: str) -> Refuse:
    # No event: the job that the id belongs to has an end of its own.
    return Refuse("duplicate-job-id", f"The job id is taken: {why}.")
