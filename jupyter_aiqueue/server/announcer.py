"""Tells the browsers through the server's event stream that jobs and load have changed."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

if TYPE_CHECKING:
    from logging import Logger

    from jupyter_events import EventLogger

    from ..core.job import JobRecord
    from ..core.load import Load

JOB_SCHEMA = "https://events.jupyter-aiqueue.org/job/v1"
LOAD_SCHEMA = "https://events.jupyter-aiqueue.org/load/v1"

#: Events emitted before the loop gets a turn: a server that was away for a night has
#: thousands to tell.
_AT_ONCE = 20


class Announcer:
    """Emits events on the server's loop for whoever calls, in any thread.

    What happens to one job faster than the loop turns becomes one event. Events hold ids,
    states and numbers, and nothing of what a job was asked to do: every subscriber of the
    server's stream receives them.
    """

    def __init__(self, logger: EventLogger, log: Logger) -> None:
        self._logger, self._log = logger, log
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, tuple[str, dict[str, Any]]] = {}
        self._last_load: dict[str, Any] = {}
        for schema_id in (JOB_SCHEMA, LOAD_SCHEMA):
            self._logger.register_event_schema(_read_schema(schema_id))

    def open(self) -> None:
        """Begin to emit on the running loop."""
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Emit nothing more."""
        self._loop = None

    def job(self, record: JobRecord, path: str | None) -> None:
        """A job has changed; ``path`` is what the server calls its notebook."""
        event = {
            "job_id": record.job_id,
            "state": record.state.value,
            "cancelling": record.cancelling,
            "attempt": record.attempt,
            "progress": record.progress,
            "path": path,
            "updated_at": msgspec.to_builtins(record.updated_at),
        }
        self._put(record.job_id, JOB_SCHEMA, event)

    def load(self, load: Load) -> None:
        """There is a new snapshot; it is told if its numbers are others than before."""
        numbers = {
            "broker_state": load.broker.state,
            "groups": [
                {
                    "name": group.name,
                    "waiting": group.waiting.value,
                    "waiting_by_priority": {
                        name: count.value for name, count in group.waiting_by_priority.items()
                    },
                    "running": group.running.value,
                    "workers": group.workers.value,
                    "slots": group.slots.value,
                    "retrying": group.retrying.value,
                    "held": group.held.value,
                }
                for group in load.groups
            ],
        }
        if numbers != self._last_load:
            self._last_load = numbers
            event = {"timestamp": msgspec.to_builtins(load.timestamp), **numbers}
            self._put(LOAD_SCHEMA, LOAD_SCHEMA, event)

    def _put(self, key: str, schema_id: str, event: dict[str, Any]) -> None:
        loop = self._loop
        if loop is None:
            return
        with self._lock:
            is_scheduled = bool(self._waiting)
            self._waiting.pop(key, None)  # the newest goes last
            self._waiting[key] = schema_id, event
        if not is_scheduled:
            with suppress(RuntimeError):  # the loop is closed: the server is ending
                loop.call_soon_threadsafe(self._emit)

    def _emit(self) -> None:
        with self._lock:
            batch = [self._waiting.pop(key) for key in list(self._waiting)[:_AT_ONCE]]
            is_more = bool(self._waiting)
        for schema_id, event in batch:
            try:
                self._logger.emit(schema_id=schema_id, data=event)
            except Exception:
                self._log.exception("An event of %s could not be emitted.", schema_id)
        if is_more and self._loop is not None:
            self._loop.call_soon(self._emit)


def _read_schema(schema_id: str) -> dict[str, Any]:
    name, version = schema_id.split("/")[-2:]
    file = files(__package__) / "event_schemas" / name / f"{version}.yaml"
    schema: dict[str, Any] = yaml.safe_load(file.read_text("utf-8"))
    return schema
