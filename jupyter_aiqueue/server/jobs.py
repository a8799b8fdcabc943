"""The jobs of this server's user, as the browser sees them.

Everything here may wait for files or for the broker: it is for threads, not for the loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..core.config import find_broker
from ..core.errors import AlreadySucceeded, BrokerUnreachable, JobNotFound, LedgerError
from ..core.handle import check_over
from ..core.job import JobRecord, State
from ..core.ledger import SUFFIX, ledger_path
from ..core.ledgers import Ledgers
from .histories import LiveSeries, history
from .refusals import JobNotHeld, JobOver, JobRepeated
from .requests import Changes, Selection, Submission

if TYPE_CHECKING:
    from ..core.client import Client
    from ..core.collect.forecaster import Forecaster
    from ..core.collect.foresight import Foresight
    from ..core.handle import JobHandle
    from ..core.recorder import Recorder
    from .announcer import Announcer
    from .root import Root

#: Seconds that the answer to a cancel or a release waits until that has been recorded.
_MOMENT = 1.0

#: Seconds that a worker gets to send the log of a job that runs.
_LOG_PATIENCE = 3.0

#: Moved jobs that are announced one by one; a front end asks for the list after a few.
_MOVES_TOLD = 50

Answer = dict[str, Any]


class Jobs:
    """Lists, foresees, rehearses, submits, cancels, releases, retries, removes; owns the recorder.

    Args:
        inbox: name of this user's inbox; None when there is none, and ``problem`` says why.
    """

    def __init__(
        self, root: Root, announcer: Announcer, inbox: str | None, problem: str | None = None
    ) -> None:
        self._root, self._announcer = root, announcer
        self._inbox, self._problem = inbox, problem
        self._ledgers = Ledgers()
        self._recorder: Recorder | None = None
        self._forecaster: Forecaster | None = None
        self._changed = threading.Condition()
        #: Submitted here, and maybe not recorded yet.
        self._fresh: dict[str, JobHandle] = {}
        self._left_behind: dict[Path, str] = {}
        self._live = LiveSeries()

    # -- recording -----------------------------------------------------------------------

    def record(self) -> None:
        """Start to record; the broker may be away."""
        if self._inbox is None:
            return
        from ..core.recorder import Recorder  # brings the AMQP library with it

        self._recorder = Recorder(
            find_broker, self._inbox, on_change=self._tell, ledgers=self._ledgers
        )
        self._recorder.start()

    def stop(self, timeout: float) -> None:
        """Stop recording, and disconnect."""
        if self._forecaster is not None:
            self._forecaster.close()
        if self._recorder is not None:
            self._recorder.stop(timeout)

    @property
    def troubles(self) -> list[str]:
        """What keeps jobs from being recorded now, one sentence each."""
        found = [self._problem] if self._problem else []
        if self._recorder is not None:
            found += self._recorder.troubles
        self._left_behind = {p: why for p, why in self._left_behind.items() if p.exists()}
        return found + list(self._left_behind.values())

    def _tell(self, record: JobRecord) -> None:
        self._live.take(record)
        self._announcer.job(record, self._root.shown(record.notebook))
        with self._changed:
            self._changed.notify_all()

    # -- looking -------------------------------------------------------------------------

    def page(self, selection: Selection) -> Answer:
        """A page of jobs, newest first, without their logs. Raises `InvalidJob`."""
        place = None
        if selection.notebook is not None:
            place = self._root.on_disk(selection.notebook)
        troubles = self.troubles
        known = {record.job_id: record for record in self._unrecorded(place)}
        try:
            known.update((record.job_id, record) for record in self._ledgers.records(place))
        except LedgerError as error:
            troubles = [*troubles, str(error)]
        records = [known[job_id] for job_id in sorted(known, reverse=True)]
        if selection.ids:
            records = [record for record in records if record.job_id in selection.ids]
        if selection.states:
            records = [record for record in records if record.state in selection.states]
        page = records[selection.offset : selection.offset + selection.limit]
        return {
            # A log may have 64 KB: it is asked for where it is read.
            "jobs": [{**self._shown(record), "log_tail": None} for record in page],
            "total": len(records),
            "troubles": troubles,
        }

    def get(self, job_id: str) -> Answer:
        """One job. Raises `JobNotFound`, `AmbiguousJob`."""
        return {"job": self._shown(self._find(job_id))}

    def history(self, job_id: str) -> Answer:
        """What happened to one job, and how its metrics went. Raises as `get` does."""
        record = self._find(job_id)
        return history(record.job_id, self._ledgers.history(record.job_id), self._live)

    def log(self, job_id: str) -> Answer:
        """The last lines of output: of its worker while it runs, else as recorded.

        Raises:
            JobNotFound, AmbiguousJob, BrokerError.
        """
        record = self._find(job_id)
        if record.state is State.RUNNING:
            with closing(self._client()) as client:
                for event in client.follow(record.job_id, timeout=_LOG_PATIENCE):
                    if event.log is not None and not event.event.is_final:
                        return {"log": event.log, "offset": event.log_offset, "complete": False}
            record = self._ledgers.find(record.job_id)
            if record.state is State.RUNNING:
                raise BrokerUnreachable(
                    f"Worker {record.worker} does not send the log of {record.job_id} now."
                )
        return {
            "log": record.log_tail or "",
            "offset": None if record.log_tail else 0,
            "complete": record.state.is_final,
        }

    def forecast(self, job_id: str) -> Answer:
        """What is expected of a job that waits in line, or why nothing is.

        Not for several threads at once.

        Raises:
            JobNotFound, AmbiguousJob, BrokerError.
        """
        record = self._find(job_id)
        if self._forecaster is None:
            from ..core.collect.forecaster import Forecaster  # brings the AMQP library with it

            self._forecaster = Forecaster(find_broker)
        answer = self._forecaster.ask(record)
        foresight = answer.foresight
        return {
            "job_id": record.job_id,
            "forecast": None if foresight is None else _told(foresight),
            "missing": answer.missing,
        }

    # -- acting --------------------------------------------------------------------------

    def submit(self, wanted: Submission) -> Answer:
        """Submit an experiment; when this returns, the broker has it on disk.

        Raises:
            JobRepeated: exactly this has succeeded before, and it is not wanted ``again``.
            InvalidJob, UnknownGroup, BrokerError.
        """
        with closing(self._client(self._notebook(wanted))) as client:
            try:
                if not wanted.again:
                    client.check_new(wanted.task, wanted.values, **wanted.terms)
            except AlreadySucceeded as error:
                raise JobRepeated(f"{error.before} Nothing was submitted.") from error
            handle = client.submit(wanted.task, wanted.values, **wanted.terms)
        self._fresh[handle.id] = handle
        return {
            "job": self._shown(handle.record),
            "place": handle.place,
            "notes": handle.notes,
        }

    def rehearse(self, wanted: Submission) -> Answer:
        """What would become of a job; nothing is sent.

        Raises:
            InvalidJob, BrokerError.
        """
        with closing(self._client(self._notebook(wanted))) as client:
            found = client.rehearse(wanted.task, wanted.values, **wanted.terms)
        return {
            # (Differences between here and there are the server's, not the notebook's.)
            "sentences": found.outlook,
            "refusals": found.refusals,
            "warnings": found.warnings,
            "repeated": found.is_repeated,
            "config": wanted.values,
        }

    def cancel(self, job_id: str) -> Answer:
        """Stop a job, or keep it from starting.

        Raises:
            JobNotFound, AmbiguousJob, JobOver, BrokerError.
        """
        record = self._find(job_id)
        if record.state.is_final:
            raise JobOver(f"Job {record.job_id} is {record.state.value} already.")
        handle = self._fresh.get(record.job_id)
        if handle is not None:
            message = handle.cancel()
        else:
            with closing(self._client()) as client:
                message = client.cancel(record.job_id)
        done = self._await(record, lambda job: job.cancelling or job.state.is_final)
        return {"job": self._shown(done), "message": message}

    def release(self, job_id: str) -> Answer:
        """Put a held job in line now, whatever it waits for.

        Raises:
            JobNotFound, AmbiguousJob, JobNotHeld, BrokerError.
        """
        record = self._find(job_id)
        if record.state is not State.HELD:
            raise JobNotHeld(f"Job {record.job_id} is {record.state.value}; it is not held.")
        handle = self._fresh.get(record.job_id)
        if handle is not None:
            message = handle.release()
        else:
            with closing(self._client()) as client:
                message = client.release(record.job_id)
        done = self._await(record, lambda job: job.state is not State.HELD)
        return {"job": self._shown(done), "message": message}

    def retry(self, job_id: str, wanted: Changes) -> Answer:
        """Submit a job that has ended again, as a new job of the same notebook.

        One that is recorded nowhere here is looked for among the dead letters.

        Raises:
            JobNotFound, AmbiguousJob, JobNotOver, InvalidJob, UnknownGroup, BrokerError.
        """
        notebook = None
        with suppress(JobNotFound):
            old = self._find(job_id)
            check_over(old)
            job_id, notebook = old.job_id, old.notebook
        with closing(self._client(notebook)) as client:
            handle = client.retry(job_id, wanted.values)
        if handle.is_ours:
            self._fresh[handle.id] = handle
        return {"job": self._shown(handle.record)}

    def remove(self, job_id: str) -> Answer:
        """Take the record of a job that is over out of its ledger.

        Raises:
            JobNotFound, JobNotOver, LedgerError.
        """
        record = self._ledgers.remove(job_id)
        self._fresh.pop(job_id, None)
        # Whoever shows it asks for it again, and finds that it is gone.
        self._announcer.job(record, self._root.shown(record.notebook))
        return {"job_id": job_id}

    def moved(self, old: str, new: str) -> None:
        """The server has renamed ``old`` to ``new``, a notebook or a folder: ledgers follow."""
        source, target = self._root.on_disk(old), self._root.on_disk(new)
        if not (target.is_dir() or target.name.endswith((".ipynb", SUFFIX))):
            return
        try:
            self._ledgers.moved(source, target)
        except LedgerError as error:
            self._left_behind[ledger_path(source)] = str(error)
            raise
        place = str(target)
        moved = [
            record
            for record in self._ledgers.records()
            if record.notebook is not None
            and (record.notebook == place or target in Path(record.notebook).parents)
        ]
        for record in moved[:_MOVES_TOLD]:
            self._tell(record)

    # -- parts ---------------------------------------------------------------------------

    def _client(self, notebook: str | Path | None = None) -> Client:
        """A client for one request: nobody waits for another one's broker."""
        from ..core.client import Client

        return Client(inbox=self._inbox, notebook=notebook, record=False, ledgers=self._ledgers)

    def _notebook(self, wanted: Submission) -> Path | None:
        return None if wanted.notebook is None else self._root.notebook(wanted.notebook)

    def _shown(self, record: JobRecord) -> Answer:
        shown: Answer = msgspec.to_builtins(record)
        shown["path"] = self._root.shown(record.notebook)
        return shown

    def _find(self, job_id: str) -> JobRecord:
        handle = self._fresh.get(job_id)
        try:
            return self._ledgers.find(job_id)
        except JobNotFound:
            if handle is None:
                raise
            return handle.record

    def _unrecorded(self, notebook: Path | None) -> list[JobRecord]:
        """Jobs that were submitted here and are in no ledger yet."""
        found = []
        for job_id, handle in list(self._fresh.items()):
            record = handle.record
            if record.ledger is not None:
                self._fresh.pop(job_id, None)
            elif notebook is None or record.notebook == str(notebook):
                found.append(record)
        return found

    def _await(self, record: JobRecord, is_so: Callable[[JobRecord], bool]) -> JobRecord:
        """The job once it ``is_so``, or as it is after a moment."""
        deadline = time.monotonic() + _MOMENT
        while True:
            now = self._find(record.job_id)
            left = deadline - time.monotonic()
            if left <= 0 or is_so(now):
                return now
            with self._changed:
                # Somebody else may be the one who records: that is seen by looking only.
                self._changed.wait(min(left, 0.05))


def _told(foresight: Foresight) -> Answer:
    """What is expected, with every field, and the sentences about it."""
    return {
        "ahead": foresight.ahead,
        "ahead_of_higher": foresight.ahead_of_higher,
        "start": msgspec.to_builtins(foresight.start),
        "finish": msgspec.to_builtins(foresight.finish),
        "basis": foresight.basis,
        "sentences": foresight.sentences,
    }
