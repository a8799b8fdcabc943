"""Printing a job's output as it grows."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

from ..core.events import Event, Kind
from .magic import without_traceback

if TYPE_CHECKING:
    from ..core.client import Client
    from ..core.handle import JobHandle


def follow(client: Client, handle: JobHandle, out: TextIO | None = None) -> None:
    """Print the log so far and what follows, until the job ends or the user interrupts."""
    printer = LogPrinter(out or sys.stdout)
    try:
        for event in client.follow(handle.id):
            printer.take(event)
    except KeyboardInterrupt as interrupt:
        without_traceback(interrupt, f"Stopped following; job {handle.id} goes on.")
        raise
    record = handle.record
    # The end that was heard of may not be recorded yet.
    end = printer.end
    tail, reason = (end.log, end.reason) if end else (record.log_tail, record.reason)
    if printer.position == 0 and tail:
        printer.write(tail)
    state = end.event.value if end else record.state.value
    printer.say(f"{handle.id} {state}" + (f": {reason}" if reason else ""))


class LogPrinter:
    """Prints each part of a log once, though workers send parts again to whoever asks."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        #: Characters of the whole output that have been printed or passed over.
        self.position = 0
        #: The event that ended the job, once it has come.
        self.end: Event | None = None
        self._at_line_start = True

    def take(self, event: Event) -> None:
        """Print what is new in ``event``."""
        if event.event is Kind.LOG and event.log:
            self._part(event.log, event.log_offset)
        elif event.event is Kind.STARTED:
            self.position = 0
            self.say(f"attempt {event.attempt} started on {event.worker}")
        elif event.event is Kind.RETRYING:
            self._rest(event)
            self.say(f"attempt {event.attempt} ended: {event.reason}")
        elif event.event.is_final:
            self.end = event
            self._rest(event)

    def say(self, text: str) -> None:
        """Print a line of ours among the output."""
        self.write(f"{'' if self._at_line_start else chr(10)}── {text}\n")

    def write(self, text: str) -> None:
        """Print ``text`` as it is."""
        self._out.write(text)
        self._out.flush()
        self._at_line_start = text.endswith("\n")

    def _rest(self, event: Event) -> None:
        """What an attempt printed last comes with its end only."""
        if event.log and (event.log_offset is not None or self.position == 0):
            self._part(event.log, event.log_offset or 0)

    def _part(self, text: str, offset: int | None) -> None:
        start = self.position if offset is None else offset
        if start > self.position:
            self.say(f"{start - self.position} characters before this are in the log file")
        new = text[max(0, self.position - start) :]
        self.position = max(self.position, start + len(text))
        if new:
            self.write(new)
