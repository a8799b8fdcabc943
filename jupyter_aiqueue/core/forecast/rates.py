"""Rates: how fast lines are joined, and how fast workers come and go."""

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


class Turnover:
    """How often slots joined and left while a group was watched, in any clock's seconds."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._began = self._slot_seconds = 0.0
        self._slots = self._joined = self._left = 0

    def count(self, slots: int, at: float) -> None:
        """So many slots took jobs from ``at`` on (of draining workers: none)."""
        if self._at is None:
            self._began = at
        else:
            self._slot_seconds += self._slots * (at - self._at)
            self._joined += max(0, slots - self._slots)
            self._left += max(0, self._slots - slots)
        self._at, self._slots = at, slots

    def rates(self, now: float) -> tuple[float, float]:
        """`Situation.joins` and `Situation.leaves`."""
        if self._at is None or now <= self._began:
            return 0.0, 0.0
        slot_seconds = self._slot_seconds + self._slots * (now - self._at)
        leaves = self._left / slot_seconds if slot_seconds > 0 else 0.0
        return self._joined / (now - self._began), leaves
