"""Looking: what this process knows of jobs, and their events as they happen."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from .config import Broker
from .errors import BrokerError, JobNotFound
from .events import Event, word
from .handle import JobHandle
from .job import JobRecord, names
from .kept import KeptConnection
from .ledgers import Ledgers
from .publisher import publish_control
from .recorder import Recorder
from .status import AskLog
from .watch import Watch

#: Seconds that a look waits for events that wait in the inbox.
_CATCH_UP = 1.0

#: Seconds between two looks whether there is a reason to stop following.
_FOLLOW_INTERVAL = 0.25


class KnownJobs:
    """The jobs in ledgers, and those submitted here that no ledger has yet.

    Args:
        ledgers: where jobs are recorded.
        find: tells the broker.
        inbox: whose events to record.
        records_here: whether to record in this process, from the first look or submit on.
    """

    def __init__(
        self,
        ledgers: Ledgers,
        find: Callable[[], Broker],
        inbox: str,
        *,
        records_here: bool,
    ) -> None:
        self._ledgers, self._find, self._inbox = ledgers, find, inbox
        self._records_here = records_here
        self._recorder: Recorder | None = None
        #: Jobs submitted here that no ledger is known to have yet.
        self._submitted: dict[str, JobHandle] = {}

    def add(self, handle: JobHandle) -> None:
        """Know a job that was submitted just now."""
        self._submitted[handle.id] = handle

    def record(self, patience: float = 0.0) -> None:
        """Have somebody record, and wait up to ``patience`` s for what is in the inbox already."""
        if self._records_here and self._recorder is None:
            self._recorder = Recorder(self._find, self._inbox, ledgers=self._ledgers)
            self._recorder.start()
        if patience and self._recorder is not None:
            self._recorder.catch_up(patience)

    def find(self, job_id: str) -> JobRecord:
        """A recorded job by its id, or a part of it that fits only one.

        Raises:
            JobNotFound, AmbiguousJob.
        """
        self.record(_CATCH_UP)
        return self._ledgers.find(job_id)

    def submitted(self, job_id: str) -> JobHandle | None:
        """One that was submitted here a moment ago, and that nobody may have recorded yet."""
        for name, handle in list(self._submitted.items()):
            if names(job_id, name):
                return handle
        return None

    def records(self, notebook: str | Path | None, limit: int | None) -> list[JobRecord]:
        """Newest first; of one notebook if given."""
        self.record(_CATCH_UP)
        found = {record.job_id: record for record in self._ledgers.records(notebook)}
        home = None if notebook is None else str(Path(notebook).absolute())
        for name, handle in list(self._submitted.items()):
            record = handle.record
            if record.ledger is not None:
                self._submitted.pop(name, None)
            elif home is None or record.notebook == home:
                found.setdefault(name, record)
        return sorted(found.values(), key=lambda record: record.job_id, reverse=True)[:limit]

    def stop(self) -> None:
        """Stop recording."""
        if self._recorder is not None:
            self._recorder.stop()
            self._recorder = None


def follow(
    job_id: str,
    *,
    watch: Watch,
    connection: KeptConnection,
    ledgers: Ledgers,
    timeout: float | None = None,
    stop: threading.Event | None = None,
) -> Iterator[Event]:
    """Events of a job as they happen: see `Client.follow`."""
    news: queue.Queue[Event] = queue.Queue()
    watch.add(job_id, news.put)
    try:
        with suppress(BrokerError):
            # Whoever runs it sends the log so far; then the rest comes as it grows.
            connection.use(
                lambda s: publish_control(s, f"log.{word(job_id)}", AskLog(job_id=job_id))
            )
        silent_since = time.monotonic()
        while stop is None or not stop.is_set():
            try:
                event = news.get(timeout=_FOLLOW_INTERVAL)
            except queue.Empty:
                if timeout is not None and time.monotonic() - silent_since > timeout:
                    return
                with suppress(JobNotFound):
                    if ledgers.find(job_id).state.is_final:
                        return
                continue
            silent_since = time.monotonic()
            yield event
            if event.event.is_final:
                return
    finally:
        watch.remove(job_id, news.put)
