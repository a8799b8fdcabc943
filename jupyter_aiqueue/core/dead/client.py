"""The part of `Client` that deals with dead letters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from ..errors import BrokerError, ConfigError, JobNotFound, NotProvisioned, PermissionRefused
from ..job import Job, JobRecord
from ..kept import KeptConnection
from ..submitting import Order, Submitted, Submitter, Terms, new_keys, order_again
from ..transport import Session
from .files import save_letter
from .letter import LIMIT, DeadLetter, Letters, Selection
from .office import look, settle
from .retry import Retry

if TYPE_CHECKING:
    import pandas as pd

    from ..handle import JobHandle

T = TypeVar("T")


class Done(list[T], Generic[T]):
    """What became of dead letters, one item each.

    Args:
        notes: what was left, and why, one sentence each.
    """

    def __init__(self, items: Iterable[T], notes: Iterable[str] = ()) -> None:
        super().__init__(items)
        self.notes = list(notes)


class DeadLetterClient(ABC):
    """Look at dead letters; send them again, save or discard them.

    Which ones is said everywhere in the same way: ``jobs`` are ids, or parts of ids that fit
    only one; ``group`` and ``reason`` leave the others out; without any of them it is all.
    """

    _connection: KeptConnection
    _submitter: Submitter

    @abstractmethod
    def _job(self, order: Order) -> Job:
        """The job that ``order`` asks for."""

    @abstractmethod
    def _handle(self, job: Job, submitted: Submitted) -> JobHandle:
        """The handle of a job that was published."""

    @abstractmethod
    def groups(self) -> tuple[str, ...]:
        """The worker groups of the broker."""

    def dead(
        self,
        group: str | None = None,
        *,
        jobs: Iterable[str] = (),
        reason: str | None = None,
        limit: int | None = LIMIT,
    ) -> Letters:
        """Dead letters, those of the most frequent reason first.

        Looking removes none. While one looks, others do not see the letters: who comes second
        waits up to two seconds, and `Letters.notes` says what was not seen.

        Args:
            limit: at most so many; `Letters.total` tells how many there are. None: as many as
                memory is good for.

        Raises:
            UnknownGroup, JobNotFound, AmbiguousJob, PermissionRefused, BrokerError.
        """
        selection = _selection(jobs, group, reason)
        return self._connection.use(lambda session: look(session, selection, limit=limit))

    def dead_table(
        self, group: str | None = None, *, reason: str | None = None, limit: int | None = LIMIT
    ) -> pd.DataFrame:
        """Dead letters as a table: one row per letter, in the order of `dead`.

        Columns are ``id`` (the job id, or what stands for it), ``task``, ``name``, ``group``,
        ``reason``, ``why``, ``attempts``, ``dead_at`` (UTC), ``worker``, ``retryable``, and
        ``config.<key>``. Choose rows, and send them again with ``retry_dead(rows["id"])``.
        """
        from ..table import dead_table

        return dead_table(self.dead(group, reason=reason, limit=limit))

    def retry_dead(
        self,
        jobs: Iterable[str] = (),
        *,
        group: str | None = None,
        reason: str | None = None,
        changes: Mapping[str, Any] | None = None,
        terms: Terms | None = None,
    ) -> Done[JobHandle]:
        """Submit the jobs of dead letters again, as new jobs; also those that no ledger knows.

        Each new job is confirmed by the broker first, then its letter is removed: a crash in
        between leaves a letter of a job that runs again already, and never loses one. A new job
        belongs to whom the old one belonged to (inbox and notebook), and names it in
        ``retry_of``. Letters that are no jobs, or whose id belongs to another job
        (``duplicate-job-id``), are left where they are unless they are asked for; the notes of
        the answer tell.

        Args:
            group: only the letters of this one; the new jobs' own is among the terms.
            changes: config values that replace or add to the old ones.
            terms: the task, group, priority and so on of the new jobs, where other than before.

        Raises:
            InvalidJob: the letter cannot be read as a job.
            UnknownGroup, JobNotFound, AmbiguousJob, PermissionRefused, BrokerError.
        """
        said: dict[str, list[str]] = {}
        terms = terms or Terms()

        def again(old: Job) -> Job:
            job = self._job(order_again(old, old.id, changes, terms))
            said[job.id] = new_keys(changes, old.config)
            return msgspec.structs.replace(
                job,
                inbox=old.inbox or job.inbox,
                notebook=old.notebook or job.notebook,
                queue=None if terms.group else old.queue,
            )

        retry = Retry(_selection(jobs, group, reason), again, self._submitter)
        self._connection.use(retry.run)
        notes = retry.notes()
        handles = [
            self._handle(done.job, Submitted(done.place, [*done.notes, *said[done.job.id]]))
            for done in retry.done
        ]
        return Done(handles, notes)

    def discard_dead(
        self, jobs: Iterable[str] = (), *, group: str | None = None, reason: str | None = None
    ) -> Done[str]:
        """Remove dead letters for good; returns their ids.

        Raises:
            UnknownGroup, JobNotFound, AmbiguousJob, PermissionRefused, BrokerError.
        """
        removed: list[str] = []

        def discard(_: Session, letter: DeadLetter, remove: Callable[[], None]) -> None:
            remove()
            removed.append(letter.id)

        selection = _selection(jobs, group, reason)
        notes = self._connection.use(lambda session: settle(session, selection, discard))
        return Done(removed, notes)

    def save_dead(
        self,
        folder: str | Path,
        jobs: Iterable[str] = (),
        *,
        group: str | None = None,
        reason: str | None = None,
        discard: bool = False,
    ) -> Done[Path]:
        """Save dead letters as files, a body and a description each; returns the descriptions.

        Args:
            folder: made if it is missing; nothing in it is overwritten.
            discard: remove each letter once its files are on disk.

        Raises:
            AIQueueError: the folder cannot be written.
            UnknownGroup, JobNotFound, AmbiguousJob, PermissionRefused, BrokerError.
        """
        saved: list[Path] = []

        def save(_: Session, letter: DeadLetter, remove: Callable[[], None]) -> None:
            saved.append(save_letter(letter, Path(folder)))
            if discard:
                remove()

        selection = _selection(jobs, group, reason)
        notes = self._connection.use(lambda session: settle(session, selection, save))
        return Done(saved, notes)

    def which_dead(
        self, words: Sequence[str], group: str | None = None
    ) -> tuple[str | None, tuple[str, ...]]:
        """Read words as people type them: at most one is a group, the others are job ids.

        Args:
            group: the group, where it is said otherwise.

        Raises:
            ConfigError: several groups.
            BrokerError.
        """
        known = self.groups() if words else ()
        groups = [name for name in words if name in known]
        if group is not None and group not in groups:
            groups.append(group)
        if len(groups) > 1:
            raise ConfigError(f"One group at a time, not {' and '.join(groups)}.")
        return next(iter(groups), None), tuple(name for name in words if name not in known)

    def _retry_letter(
        self,
        job_id: str,
        changes: Mapping[str, Any] | None,
        terms: Terms,
        unknown: JobNotFound,
    ) -> JobHandle:
        """Retry a job that is known from its dead letter only, if it is."""
        try:
            done = self.retry_dead([job_id], changes=changes, terms=terms)
        except (JobNotFound, PermissionRefused, NotProvisioned) as error:
            raise unknown from error
        done[0].notes += done.notes
        return done[0]

    def _remove_letters(self, record: JobRecord) -> list[str]:
        """Remove the dead letters of a job that was submitted again; says if one is still there."""
        selection = Selection(group=record.group or "train", jobs=(record.job_id,), whole=True)

        def act(_: Session, letter: DeadLetter, remove: Callable[[], None]) -> None:
            # A message of another job that had the same id is not this job's.
            if not letter.is_duplicate:
                remove()

        try:
            self._connection.use(lambda session: settle(session, selection, act))
        except (JobNotFound, PermissionRefused, NotProvisioned):
            return []  # accounts that may not read the dead queue leave the letter where it is
        except BrokerError as error:
            return [f"The dead letter of {record.job_id} is still there: {error}"]
        return []


def _selection(jobs: Iterable[str], group: str | None, reason: str | None) -> Selection:
    named = (jobs,) if isinstance(jobs, str) else tuple(str(job) for job in jobs)
    return Selection(jobs=named, group=group, reason=reason)
