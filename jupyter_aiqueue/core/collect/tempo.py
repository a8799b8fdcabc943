"""Tempo: how many jobs came and ended in the last minutes."""

from __future__ import annotations

from collections import deque

#: Seconds of one bucket, and of the longest window.
_BUCKET, _LONGEST = 10.0, 3600.0

#: The windows that people are shown, seconds.
WINDOWS = (60, 600, 3600)


class Tempo:
    """Counts events of one kind by time."""

    def __init__(self, began: float) -> None:
        #: Since when it counts, seconds since 1970.
        self.began = began
        self._buckets: deque[list[float]] = deque()  # [begin, count]

    def add(self, at: float) -> None:
        """One more, at ``at``."""
        begin = at - at % _BUCKET
        for bucket in reversed(self._buckets):
            if bucket[0] == begin:
                bucket[1] += 1
                return
            if bucket[0] < begin:
                break
        self._buckets.append([begin, 1])
        if len(self._buckets) > 1 and self._buckets[-2][0] > begin:  # it came late
            self._buckets = deque(sorted(self._buckets))

    def rate(self, window: float, at: float) -> float | None:
        """Per second over the last ``window`` seconds; None before it has counted as long."""
        if at - self.began < window:
            return None
        while self._buckets and self._buckets[0][0] < at - _LONGEST - _BUCKET:
            self._buckets.popleft()
        # Of the bucket in which the window begins, as much as is inside.
        inside = (
            count * min(1.0, (begin + _BUCKET - at + window) / _BUCKET)
            for begin, count in self._buckets
            if begin + _BUCKET > at - window
        )
        return sum(inside) / window
