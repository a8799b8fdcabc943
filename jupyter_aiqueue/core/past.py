"""The last hour of a load: the newest minutes as they were seen, older ones more coarsely."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, NamedTuple

#: How far back it reaches, how long every point is kept, and how far apart older ones are.
_SPAN, _FINE, _STEP = timedelta(hours=1), timedelta(minutes=5), timedelta(seconds=30)


class Point(NamedTuple):
    """One moment; None where it was not known."""

    at: datetime
    waiting: float | None
    running: float | None


class Past:
    """What was seen of one group, oldest first. Times in which nobody looked have no points."""

    def __init__(self) -> None:
        self._coarse: deque[Point] = deque()
        self._fine: deque[Point] = deque()

    def add(self, point: Point) -> None:
        """Take in a point that is newer than all others."""
        self._fine.append(point)
        while self._fine[0].at < point.at - _FINE:
            old = self._fine.popleft()
            if not self._coarse or old.at >= self._coarse[-1].at + _STEP:
                self._coarse.append(old)
        while self._coarse and self._coarse[0].at < point.at - _SPAN:
            self._coarse.popleft()

    def points(self, since: datetime | None = None) -> Iterator[dict[str, Any]]:
        """All points, or those after ``since``: ``timestamp``, ``waiting`` and ``running``."""
        for point in (*self._coarse, *self._fine):
            if since is None or point.at > since:
                yield {
                    "timestamp": point.at.isoformat(),
                    "waiting": point.waiting,
                    "running": point.running,
                }
