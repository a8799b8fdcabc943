"""The past of a job as the browser sees it: its events, and curves of its metrics."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import msgspec

from ..core.events import Event
from ..core.job import JobRecord
from ..core.series import Gatherer, Series

#: Attempts whose live series are kept, the newest ones.
_MOST_ATTEMPTS = 500

#: Fields of an event that are shown.
_SHOWN = (
    *("event", "timestamp", "attempt", "worker", "reason", "next_attempt_at", "result", "metrics"),
    *("hold", "of"),
)


class LiveSeries:
    """What was heard of the metrics of running jobs since this server runs. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: OrderedDict[tuple[str, int], _Heard] = OrderedDict()

    def take(self, record: JobRecord) -> None:
        """A job has changed."""
        if not record.metrics or record.started_at is None or record.updated_at is None:
            return
        key = record.job_id, record.attempt
        with self._lock:
            heard = self._attempts.setdefault(key, _Heard(record.started_at.timestamp()))
            if record.metrics != heard.metrics:
                heard.metrics = dict(record.metrics)
                heard.gatherer.add(record.updated_at.timestamp(), heard.metrics)
            self._attempts.move_to_end(key)
            if len(self._attempts) > _MOST_ATTEMPTS:
                self._attempts.popitem(last=False)

    def of(self, job_id: str) -> dict[int, Series]:
        """What was heard of one job, by attempt."""
        with self._lock:
            found = {
                attempt: heard.gatherer.since(heard.begun)
                for (name, attempt), heard in self._attempts.items()
                if name == job_id
            }
        return {attempt: series for attempt, series in found.items() if series is not None}


class _Heard:
    """One attempt."""

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.metrics: dict[str, Any] = {}
        self.gatherer = Gatherer()


def history(job_id: str, events: Iterable[Event], live: LiveSeries) -> dict[str, Any]:
    """The answer that tells the past of a job.

    Where a worker has told how an attempt went, that counts; else what was heard of it.
    """
    events = list(events)
    series = {
        attempt: {"attempt": attempt, **msgspec.to_builtins(heard), "complete": False}
        for attempt, heard in live.of(job_id).items()
    }
    for event in events:
        if event.series is not None:
            told = msgspec.to_builtins(event.series)
            series[event.attempt] = {"attempt": event.attempt, **told, "complete": True}
    return {
        "job_id": job_id,
        "events": [_shown(event) for event in events],
        "series": [series[attempt] for attempt in sorted(series)],
    }


def _shown(event: Event) -> dict[str, Any]:
    fields = msgspec.to_builtins(event)
    return {name: fields[name] for name in _SHOWN if name in fields}
