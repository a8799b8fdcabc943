"""Reading what a run appends to its report file (the protocol of `jupyter_aiqueue.reporting`)."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import msgspec

from ..core.series import Gatherer, Series

#: Bytes: longer lines are skipped, and so are metrics beyond this size in sum.
_LONGEST_LINE = 1_000_000
_MOST_METRICS = 65_536

#: Seconds that a report may be old when it is read, which is done four times a second.
_STALL = 60.0


class Reports:
    """The newest progress and metrics of a report file that is being written, and how they went.

    Broken lines are skipped, an unfinished one is read when it is finished: whatever a script
    writes there, its run goes on.
    """

    def __init__(self, file: Path) -> None:
        #: 0 to 1, or None before the first report.
        self.progress: float | None = None
        self.metrics: dict[str, Any] = {}
        #: Lines that were no reports.
        self.broken = 0
        self._file = file
        self._gatherer = Gatherer()
        self._position = 0
        self._rest = b""

    def read(self, *, final: bool = False) -> bool:
        """Read what is new; return whether anything changed.

        ``final`` takes the last line also without its newline.
        """
        before = self.progress, dict(self.metrics)
        try:
            with self._file.open("rb") as file:
                file.seek(self._position)
                while chunk := file.read(262_144):
                    self._position += len(chunk)
                    self._take(chunk)
        except OSError:
            pass  # not written yet, or removed by the script
        if final and self._rest:
            self._line(self._rest)
            self._rest = b""
        return before != (self.progress, self.metrics)

    def series(self, begun: float) -> Series | None:
        """How the metrics went since the run began, seconds since 1970; None if there are none."""
        return self._gatherer.since(begun)

    def _take(self, chunk: bytes) -> None:
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LONGEST_LINE:
            self._rest, self.broken = b"", self.broken + 1

    def _line(self, line: bytes) -> None:
        if not line.strip():
            return
        try:
            report = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            report = None
        if not isinstance(report, dict):
            self.broken += 1
            return
        progress = report.get("progress")
        if isinstance(progress, (int, float)) and math.isfinite(progress):
            self.progress = min(1.0, max(0.0, float(progress)))
        metrics = report.get("metrics")
        if isinstance(metrics, dict):
            merged = {**self.metrics, **metrics}
            if len(msgspec.json.encode(merged)) <= _MOST_METRICS:
                self.metrics = merged
                self._gatherer.add(_moment(report.get("time")), metrics)
            else:
                self.broken += 1


def _moment(told: object) -> float:
    """When a report was written: as it says itself, if that can be, else now."""
    now = time.time()
    if isinstance(told, (int, float)) and now - _STALL <= told <= now:
        return float(told)
    return now
