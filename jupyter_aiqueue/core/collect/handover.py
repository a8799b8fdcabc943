"""Handovers: how long a slot that got free stays empty although somebody is in line."""

from __future__ import annotations

from collections import defaultdict, deque

#: Handovers that a mean is taken of, and seconds beyond which it was something else.
_LAST, _LONGEST = 40, 120.0


class Handovers:
    """Those of one group. A worker's ends and starts are on one clock, its own."""

    def __init__(self) -> None:
        self._free: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_LAST))
        self._took: deque[float] = deque(maxlen=_LAST)

    def ended(self, worker: str, at: float, *, wanted: bool) -> None:
        """An attempt ended.

        Args:
            wanted: somebody was in line for the slot.
        """
        if wanted:
            self._free[worker].append(at)

    def started(self, worker: str, at: float, joined: float) -> None:
        """An attempt began of a job that was in line since ``joined``."""
        free = self._free.get(worker)
        if free:
            since = free.popleft()
            if joined <= since <= at <= since + _LONGEST:
                self._took.append(at - since)
            if not free:
                del self._free[worker]

    @property
    def mean_s(self) -> float:
        """Seconds, lately; 0 when nothing is known."""
        return sum(self._took) / len(self._took) if self._took else 0.0
