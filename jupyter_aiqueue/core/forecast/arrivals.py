"""Arrivals: how fast each line is joined, measured over as many jobs as it takes."""

from __future__ import annotations

from collections import deque

from ..job import Priority

#: Jobs that a rate is measured over.
_LAST = 40


class Arrivals:
    """The last jobs that joined each line of a group, in any clock's seconds.

    A fixed window of minutes is blind on a machine with a job a day and slow on one with ten a
    second; the last so many jobs are as good a window for both.
    """

    def __init__(self) -> None:
        self._began: float | None = None
        self._times = {priority: deque[float](maxlen=_LAST) for priority in Priority}

    def add(self, priority: Priority, at: float) -> None:
        """A job joined the line of ``priority``, at the first time or for another attempt."""
        self._began = at if self._began is None else self._began
        self._times[priority].append(at)

    def rates(self, now: float) -> dict[Priority, float]:
        """Jobs per second for each priority; 0 where none has come."""
        return {priority: self._rate(times, now) for priority, times in self._times.items()}

    def _rate(self, times: deque[float], now: float) -> float:
        if not times or self._began is None:
            return 0.0
        since, count = self._began, len(times)
        if count == _LAST:  # the window begins with its first job, which is not in it
            since, count = times[0], count - 1
        return count / (now - since) if now > since else 0.0
