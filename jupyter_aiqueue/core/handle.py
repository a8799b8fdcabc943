"""The handle of one job: what `Client.submit` returns. It survives the kernel (`Client.job`)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from .errors import AIQueueError, BrokerUnreachable, JobNotFound, JobNotOver
from .events import Event, Kind, apply
from .job import JobRecord, Result, State

if TYPE_CHECKING:
    from .client import Client
    from .collect.forecaster import Answer

#: Seconds between two looks into the ledger while waiting, in case an event was missed.
_LOOK_INTERVAL = 1.0

#: Seconds that the recorder gets to write an end that is known here, and between two looks.
_RECORD_PATIENCE = 2.0
_RECORD_INTERVAL = 0.02

#: Seconds to wait for the broker before watching; it goes on in the background.
_WATCH_PATIENCE = 5.0

#: Seconds to wait for a worker to send a running job's log.
_LOG_PATIENCE = 3.0


class JobHandle:
    """One job: its state, results and what can be done with it.

    Everything it tells is from the ledger, and from live events while somebody waits or
    watches.
    """

    def __init__(
        self,
        client: Client,
        record: JobRecord,
        *,
        place: int | None = None,
        notes: list[str] | None = None,
        is_ours: bool = True,
    ) -> None:
        self._client = client
        self._record = record
        self._changed = threading.Condition()
        self._callbacks: list[Callable[[JobRecord], None]] = []
        self._watching = False
        #: Jobs ahead in line when it was submitted; None when not known.
        self.place = place
        #: What the submitter should know, one sentence each.
        self.notes = notes or []
        #: Whether it is recorded here; False for somebody else's job that was sent again.
        self.is_ours = is_ours

    def __repr__(self) -> str:
        record = self._record
        name = record.name or record.task or "job"
        return f"<{name} {self.id}: {self.state.value}>"

    @property
    def id(self) -> str:
        """The job id."""
        return self._record.job_id

    @property
    def record(self) -> JobRecord:
        """All that is known of the job now."""
        try:
            recorded = self._client.ledgers.find(self.id)
        except (JobNotFound, AIQueueError):
            return self._record
        with self._changed:
            self._record = newer(self._record, recorded)
            return self._record

    @property
    def state(self) -> State:
        """Where the job is."""
        return self.record.state

    @property
    def progress(self) -> float | None:
        """0 to 1, as the experiment reported; None when it has not."""
        return self.record.progress

    @property
    def metrics(self) -> dict[str, Any]:
        """The last metrics that the experiment reported."""
        return self.record.metrics

    @property
    def result(self) -> Result | None:
        """What the last attempt came to: exit code, duration, memory; None before."""
        return self.record.result

    def wait(self, timeout: float | None = None) -> JobRecord:
        """Wait until the job has ended.

        Args:
            timeout: seconds; None waits for ever (interrupt the kernel to stop waiting).

        Raises:
            TimeoutError: it has not ended by then; it goes on all the same.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        self._start_watching(_WATCH_PATIENCE if timeout is None else min(timeout, _WATCH_PATIENCE))
        try:
            return self._wait(timeout, deadline)
        finally:
            self._stop_watching()

    def _wait(self, timeout: float | None, deadline: float | None) -> JobRecord:
        while True:
            record = self.record
            if record.state.is_final:
                self._let_the_ledger_catch_up()
                return record
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and timeout is not None and left <= 0:
                raise TimeoutError(
                    f"Job {self.id} is {record.state.value} after {timeout:g} s; it goes on. "
                    f"Look again with `%job {self.id}` or `jupyter aiqueue job {self.id}`."
                )
            with self._changed:
                if not self._record.state.is_final:
                    self._changed.wait(min(_LOOK_INTERVAL, left or _LOOK_INTERVAL))

    def _let_the_ledger_catch_up(self) -> None:
        """The live end may be ahead of the recorder: a table right after `wait` shall have it."""
        deadline = time.monotonic() + _RECORD_PATIENCE
        with suppress(JobNotFound, AIQueueError):
            while not self._client.ledgers.find(self.id).state.is_final:
                if time.monotonic() > deadline:
                    return  # nobody records now, or the ledger cannot be written
                time.sleep(_RECORD_INTERVAL)

    def log(self) -> str:
        """The last lines of output: asked of the worker while it runs, else as recorded.

        Raises:
            BrokerUnreachable: it runs, and its worker does not answer.
        """
        record = self.record
        if record.state is not State.RUNNING:
            return record.log_tail or ""
        for event in self._client.follow(self.id, timeout=_LOG_PATIENCE):
            if event.log is not None:
                return event.log
        record = self.record
        if record.state is not State.RUNNING:
            return record.log_tail or ""
        raise BrokerUnreachable(
            f"Worker {record.worker} does not send the log of {self.id} now; its state was last "
            f"heard of at {record.updated_at}."
        )

    def forecast(self) -> Answer:
        """Its place in line, and when it is expected to start and to end; or what it waits for.

        Printed, it is sentences. It is made anew every few seconds at most, however often
        this is asked.

        Raises:
            BrokerError: the broker is away, or refuses.
        """
        return self._client.forecaster.ask(self.record)

    def cancel(self) -> str:
        """Stop it, or keep it from starting; returns what will happen, as a sentence."""
        return self._client.cancel(self.id)

    def release(self) -> str:
        """Put it in line now, if it is held; returns what will happen, as a sentence."""
        return self._client.release(self.id)

    def retry(self, **changes: Any) -> JobHandle:
        """Submit it again as a new job, with changed config values if given.

        (`Client.retry` takes another task, group, priority and so on, too.)

        Raises:
            JobNotOver: it has not ended yet.
        """
        return self._client.retry(self.id, changes)

    def on_change(self, callback: Callable[[JobRecord], None]) -> Callable[[], None]:
        """Call ``callback`` with every new record, in a thread of ours, until it has ended.

        Returns:
            A function that ends this.
        """
        self._callbacks.append(callback)
        self._start_watching()

        def stop() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)
            self._stop_watching()

        return stop

    def _start_watching(self, patience: float = _WATCH_PATIENCE) -> None:
        if not self._watching and not self._record.state.is_final:
            self._watching = True
            self._client.watch.add(self.id, self._event, timeout=patience)

    def _stop_watching(self) -> None:
        if self._watching and (not self._callbacks or self._record.state.is_final):
            self._watching = False
            self._client.watch.remove(self.id, self._event)

    def _event(self, event: Event) -> None:
        if event.event is Kind.LOG:
            return
        with self._changed:
            record = msgspec.structs.replace(self._record, metrics=dict(self._record.metrics))
            if not apply(record, event):
                return
            self._record = record
            self._changed.notify_all()
        for callback in list(self._callbacks):
            callback(record)
        if record.state.is_final:
            self._callbacks.clear()
            self._stop_watching()


def newer(first: JobRecord, second: JobRecord) -> JobRecord:
    """Whichever of two records of one job knows more; ``second``, the recorded one, on a tie."""
    if second.state.is_final or first.state.is_final:
        return second if second.state.is_final else first

    def knowledge(record: JobRecord) -> tuple[int, float]:
        return record.attempt, record.updated_at.timestamp() if record.updated_at else 0.0

    return first if knowledge(first) > knowledge(second) else second


def check_over(record: JobRecord) -> None:
    """Raise `JobNotOver` unless the job has ended."""
    if not record.state.is_final:
        raise JobNotOver(
            f"Job {record.job_id} is {record.state.value}; only a job that has ended can be "
            "retried. Cancel it first."
        )
