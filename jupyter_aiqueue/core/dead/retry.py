"""Dead letters become new jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from ..errors import AIQueueError, BrokerError, InvalidJob, JobError, UnknownGroup
from ..job import Job
from ..submitting import Submitter
from ..transport import Session
from .letter import DeadLetter, Selection
from .office import settle

_Key: TypeAlias = tuple[str, str, str]


class Again(NamedTuple):
    """A job that repeats a dead one, published."""

    job: Job
    place: int | None
    notes: list[str]


class Retry:
    """Publishes the jobs of dead letters again, and then removes the letters.

    In this order: the new job is confirmed by the broker before its letter is acknowledged. A
    crash in between leaves a letter whose job runs again already; it never loses one. When the
    connection is lost in between, `run` may be called again: the new jobs keep their ids.

    Args:
        selection: which letters.
        make: the new job of a letter.
        submitter: publishes it.
    """

    def __init__(
        self, selection: Selection, make: Callable[[Job], Job], submitter: Submitter
    ) -> None:
        self._selection, self._make, self._submitter = selection, make, submitter
        self._jobs: dict[_Key, Job] = {}
        self._done: dict[_Key, Again] = {}
        self._refused: dict[_Key, AIQueueError] = {}
        #: Letters that are left where they are.
        self._poison: set[_Key] = set()
        self._duplicates: set[_Key] = set()
        self._notes: list[str] = []

    def run(self, session: Session) -> None:
        """Retry all that are selected.

        Raises:
            UnknownGroup, PermissionRefused, JobNotFound, AmbiguousJob, BrokerError.
        """
        self._notes = settle(session, self._selection, self._act, wants=self._wants)

    @property
    def done(self) -> list[Again]:
        """The new jobs."""
        return list(self._done.values())

    def notes(self) -> list[str]:
        """What was left, one sentence each.

        Raises:
            InvalidJob, UnknownGroup: nothing was retried, and this is why.
        """
        refused = [error for key, error in self._refused.items() if key not in self._done]
        if refused and not self._done:
            raise refused[0]
        found = [str(error) for error in refused]
        if self._poison:
            found.append(
                f"Not retried, because they cannot be read as jobs: {len(self._poison)}. Save "
                "them with `jupyter aiqueue dead --save FOLDER`."
            )
        if self._duplicates:
            found.append(
                f"Not retried, because their ids belong to other jobs: {len(self._duplicates)}. "
                "`--reason duplicate-job-id` retries them under new ids."
            )
        return found + self._notes

    def _wants(self, letter: DeadLetter) -> bool:
        """Whether a letter is retried without having been asked for by its id."""
        if self._selection.jobs:
            return True
        if letter.job is None:
            self._poison.add(_key(letter))
            return False
        if letter.is_duplicate and self._selection.reason is None:
            # Most often the second copy of a message whose first was worked.
            self._duplicates.add(_key(letter))
            return False
        return _key(letter) not in self._refused

    def _act(self, session: Session, letter: DeadLetter, remove: Callable[[], None]) -> None:
        key = _key(letter)
        if key not in self._done and not self._publish(session, letter, key):
            return
        remove()

    def _publish(self, session: Session, letter: DeadLetter, key: _Key) -> bool:
        try:
            if letter.job is None:
                raise _poison(letter)
            job = self._jobs[key] = self._jobs.get(key) or self._make(letter.job)
            place = self._submitter.publish(session, job)
        except JobError as error:
            self._refused[key] = _explained(error, letter)
            return False
        self._done[key] = Again(job, place, [])
        try:
            self._done[key].notes.extend(self._submitter.announce(session, job))
        except BrokerError as error:
            # If the connection is lost, removing the letter says so.
            self._done[key].notes.append(f"Its submission could not be announced: {error}")
        return True


def _key(letter: DeadLetter) -> _Key:
    # Two letters of one job (its worker died between publishing and acknowledging) are one.
    return letter.group, letter.id, letter.digest


def _explained(error: JobError, letter: DeadLetter) -> JobError:
    """``error`` as it is, or in the words of who owns a plain queue."""
    queue = letter.job.queue if letter.job else None
    if queue is None or not isinstance(error, UnknownGroup):
        return error
    return UnknownGroup(
        f"No worker has served the queue {queue!r} yet, to which the job {letter.id} belongs: "
        f"start `jupyter aiqueue worker --queue {queue}`."
    )


def _poison(letter: DeadLetter) -> InvalidJob:
    return InvalidJob(
        letter.reason or "unreadable",
        f"Dead letter {letter.id} cannot be retried: it cannot be read as a job "
        f"({letter.why or letter.reason or 'no reason is given'}). Save it with "
        f"`jupyter aiqueue dead {letter.id} --save FOLDER`, mend it, and submit it anew.",
    )
