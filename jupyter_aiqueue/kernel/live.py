"""Displays of jobs that follow them until they end, also after their cell has."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..core.errors import AIQueueError
from ..core.job import JobRecord, State
from .job_card import card_html, card_text, expectations

if TYPE_CHECKING:
    from ..core.collect.foresight import Foresight
    from ..core.handle import JobHandle

#: Seconds between two updates of one display, at least.
_PACE = 0.5

#: Seconds between two looks into the ledger, in case an event was missed.
_LOOK = 3.0

#: Seconds until the first question what is expected (the collector has to hear of the job),
#: seconds between two rounds of questions, and jobs asked about in one.
_FIRST, _ASK, _AT_ONCE = 2.0, 5.0, 4

#: A job is asked about again after this part of its expected wait.
_PART = 0.05

Bundle = dict[str, str]


def bundle(handle: JobHandle, record: JobRecord, foresight: Foresight | None = None) -> Bundle:
    """A job as HTML and as text."""
    return {
        "text/html": card_html(record, handle.place, handle.notes, foresight),
        "text/plain": card_text(record, handle.place, handle.notes, foresight),
    }


class LiveDisplays:
    """Shows jobs and keeps what is shown up to date, from a thread of its own.

    While some of them wait in line, a second one asks what is expected of them: the broker may
    be slow to answer, and jobs that run do not wait for that.

    Args:
        publish: sends a bundle to the front end: the bundle, the display's id, and whether
            this replaces what has that id.
    """

    def __init__(self, publish: Callable[[Bundle, str, bool], None]) -> None:
        self._publish = publish
        self._displays: list[_Display] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._asker: threading.Thread | None = None

    def show(self, handle: JobHandle) -> None:
        """Show a job now; later changes replace what was shown."""
        display = _Display(handle, f"aiqueue-{secrets.token_hex(8)}", self._wake)
        record = display.newest()
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
            self._changed.notify_all()
        self._ask_about(display)

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
            self._changed.notify_all()
        for display in displays:
            display.end()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

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
            if not display.waits:
                display.foresight = None
            # Of what is expected only what people would see change is news.
            prospects = expectations(display.foresight)
            if record != display.shown or prospects != display.prospects:
                display.shown, display.prospects = record, prospects
                data = bundle(display.handle, record, display.foresight)
                self._publish(data, display.id, True)
        self._ask_about(display)
        if record.state.is_final:
            with self._changed:
                if display in self._displays:
                    self._displays.remove(display)
                    self._changed.notify_all()  # the last one ends the thread
            display.end()

    def _ask_about(self, display: _Display) -> None:
        """See to it that somebody asks what is expected, if the job waits in line."""
        with self._changed:
            if display.waits and display in self._displays and self._asker is None:
                self._asker = threading.Thread(
                    target=self._ask, name="aiqueue forecasts", daemon=True
                )
                self._asker.start()

    def _ask(self) -> None:
        next_round = 0.0
        while True:
            with self._changed:
                waiting = [display for display in self._displays if display.waits]
                if not waiting:
                    self._asker = None
                    return
                waiting.sort(key=lambda display: display.ask_due)
                wait = max(next_round, waiting[0].ask_due) - time.monotonic()
                if wait > 0:
                    self._changed.wait(wait)
                    continue
            for display in waiting[:_AT_ONCE]:
                if display.ask_due <= time.monotonic():
                    display.ask()
                    self._refresh(display)
            next_round = time.monotonic() + _ASK


class _Display:
    """One output that shows one job."""

    def __init__(self, handle: Any, name: str, changed: Callable[[], None]) -> None:
        self.handle: JobHandle = handle
        self.id = name
        self.shown: JobRecord | None = None
        #: What is expected of the job, and what is shown of that.
        self.foresight: Foresight | None = None
        self.prospects: list[str] = []
        #: When to ask for that next, by the monotonic clock.
        self.ask_due = time.monotonic() + _FIRST
        #: Held by whoever shows something: updates must not overtake each other.
        self.lock = threading.Lock()
        self._changed = changed
        self._newest: JobRecord | None = None
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

    @property
    def waits(self) -> bool:
        """Whether its job waits in line, as far as is known."""
        return self._newest is not None and self._newest.state is State.QUEUED

    def ask(self) -> None:
        """Ask what is expected of the job."""
        try:
            self.foresight = self.handle.forecast().foresight
        except AIQueueError:  # it was known a moment ago, and is not any more
            self.foresight = None
        middle = None if self.foresight is None else self.foresight.start.middle
        self.ask_due = time.monotonic() + max(_ASK, _PART * (middle or 0.0))

    def follow(self) -> None:
        """Ask to be told of changes."""
        if self._stop is None and not self._over:
            self._stop = self.handle.on_change(self._tell)

    def newest(self) -> JobRecord:
        """The record now."""
        self._told = False
        self._updated = time.monotonic()
        try:
            self._newest = self.handle.record
        except AIQueueError:  # a ledger that cannot be read now
            self._newest = self.shown or JobRecord(job_id=self.handle.id)
        return self._newest

    def end(self) -> None:
        """Be told no more."""
        self._over = True
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def _tell(self, record: JobRecord) -> None:
        self._told, self._ended = True, record.state.is_final
        self._changed()
