"""Displays of jobs that follow them until they end, also after their cell has."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.errors import AIQueueError
from ..core.job import JobRecord
from .job_card import card_html, card_text

if TYPE_CHECKING:
    from ..core.handle import JobHandle

#: Seconds between two updates of one display, at least.
_PACE = 0.5

#: Seconds between two looks into the ledger, in case an event was missed.
_LOOK = 3.0

Bundle = dict[str, str]


def bundle(handle: JobHandle, record: JobRecord | None = None) -> Bundle:
    """A job as HTML and as text."""
    record = record or handle.record
    return {
        "text/html": card_html(record, handle.place, handle.notes),
        "text/plain": card_text(record, handle.place, handle.notes),
    }


class LiveDisplays:
    """Shows jobs and keeps what is shown up to date, from one thread of its own.

    Args:
        publish: sends a bundle to the front end: the bundle, the display's id, and whether
            this replaces what has that id.
    """

    def __init__(self, publish: Callable[[Bundle, str, bool], None]) -> None:
        self._publish = publish
        self._displays: list[_Display] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def show(self, handle: JobHandle) -> None:
        """Show a job now; later changes replace what was shown."""
        display = _Display(handle, f"aiqueue-{secrets.token_hex(8)}", self._wake)
        record = handle.record
        display.shown = record
        self._publish(bundle(handle, record), display.id, False)
        if record.state.is_final:
            return
        with self._changed:
            self._displays.append(display)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="aiqueue displays", daemon=True
                )
                self._thread.start()
            self._changed.notify()

    def catch_up(self) -> None:
        """Show now what is known now: a cell that has waited for a job shows its end."""
        with self._changed:
            displays = list(self._displays)
        for display in displays:
            self._refresh(display)

    def close(self) -> None:
        """Follow nothing any more; what was shown stays."""
        with self._changed:
            displays, self._displays = self._displays, []
            self._changed.notify()
        for display in displays:
            display.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                if not self._displays:
                    self._thread = None
                    return
                at = time.monotonic()
                wait = min(display.due - at for display in self._displays)
                if wait > 0:
                    self._changed.wait(wait)
                displays = list(self._displays)
            for display in displays:
                if display.due <= time.monotonic():
                    display.follow()  # here, because the first connection takes a moment
                    self._refresh(display)

    def _refresh(self, display: _Display) -> None:
        """Show what has changed; a job that has ended is followed no more."""
        with display.lock:
            record = display.newest()
            if record != display.shown:
                display.shown = record
                self._publish(bundle(display.handle, record), display.id, True)
        if record.state.is_final:
            with self._changed:
                if display in self._displays:
                    self._displays.remove(display)
                    self._changed.notify()  # the last one ends the thread
            display.end()


class _Display:
    """One output that shows one job."""

    def __init__(self, handle: Any, name: str, changed: Callable[[], None]) -> None:
        self.handle: JobHandle = handle
        self.id = name
        self.shown: JobRecord | None = None
        #: Held by whoever shows something: updates must not overtake each other.
        self.lock = threading.Lock()
        self._changed = changed
        self._stop: Callable[[], None] | None = None
        #: A change was told since the last look; the job's end was told; nobody looks any more.
        self._told = self._ended = self._over = False
        self._updated = time.monotonic()

    @property
    def due(self) -> float:
        """When this is to be looked at next, by the monotonic clock."""
        if self._stop is None or self._ended:
            return self._updated
        return self._updated + (_PACE if self._told else _LOOK)

    def follow(self) -> None:
        """Ask to be told of changes."""
        if self._stop is None and not self._over:
            self._stop = self.handle.on_change(self._tell)

    def newest(self) -> JobRecord:
        """The record now."""
        self._told = False
        self._updated = time.monotonic()
        try:
            return self.handle.record
        except AIQueueError:  # a ledger that cannot be read now
            return self.shown or JobRecord(job_id=self.handle.id)

    def end(self) -> None:
        """Be told no more."""
        self._over = True
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def _tell(self, record: JobRecord) -> None:
        self._told, self._ended = True, record.state.is_final
        self._changed()
