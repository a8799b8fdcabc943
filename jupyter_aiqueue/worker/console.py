"""What a worker says on its console: a line for each thing that happens, for people."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress


def write_line(line: str) -> None:
    """Write to standard output, at once."""
    # A reader that went away, a closed output or a full disk is no reason to lose a job.
    with suppress(OSError, ValueError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Console:
    """Lines like ``14:03:07  …3kq9xv2m  train_model  succeeded after 12.4 s``. Thread-safe."""

    def __init__(self, say: Callable[[str], None] = write_line) -> None:
        self._say = say
        self._lock = threading.Lock()
        self._last_note: str | None = None

    def job(self, job_id: str, label: str | None, what: str) -> None:
        """Something happened to a job; ``label`` is its name or its task."""
        self._line(f"{short_id(job_id):<9}  {(label or '-')[:30]:<16}  {what}")

    def note(self, what: str) -> None:
        """Something happened to the worker."""
        self._line(what)

    def trouble(self, what: str) -> None:
        """Like `note`; the same trouble is said once until another is."""
        with self._lock:
            repeated, self._last_note = self._last_note == what, what
        if not repeated:
            self._line(what)

    def over(self) -> None:
        """The trouble is over; the next is said even if it is the same."""
        with self._lock:
            self._last_note = None

    def _line(self, text: str) -> None:
        # Names and reasons are other people's: one with control characters could write lines
        # that look like ours, or steer the terminal.
        plain = "".join(c if c.isprintable() else " " for c in text)
        self._say(f"{time.strftime('%H:%M:%S')}  {plain}")


def short_id(job_id: str) -> str:
    """The end of a long id: the beginning is the time, and alike for neighbours."""
    return job_id if len(job_id) <= 12 else f"…{job_id[-8:]}"


def duration(seconds: float | None) -> str:
    """Seconds as people say them."""
    if seconds is None:
        return "an unknown time"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"
