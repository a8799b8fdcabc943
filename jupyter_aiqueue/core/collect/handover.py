"""Handovers: how long a slot that got free stays empty although somebody is in line."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable
from statistics import fmean, median

#: Handovers that a mean is taken of, and seconds beyond which it was something else.
_LAST, _LONGEST = 40, 120.0


class Handovers:
    """Those of one group. A worker's ends and starts are on one clock, its own."""

    def __init__(self) -> None:
        self._free: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=_LAST))
        self._took: deque[float] = deque(maxlen=_LAST)
        self._took_again: deque[float] = deque(maxlen=_LAST)

    def ended(self, worker: str, at: float, *, wanted: bool) -> None:
        """An attempt ended.

        Args:
            wanted: somebody was in line for the slot.
        """
        if wanted:
            self._free[worker].append(at)

    def started(self, worker: str, at: float, joined: float, *, again: bool) -> None:
        """An attempt began of a job that was in line since ``joined``.

        Args:
            again: a further one, before which all workers are asked whether the last one lives.
        """
        free = self._free.get(worker)
        since = free.popleft() if free else None
        if free is not None and not free:
            del self._free[worker]
        if again:
            since = joined if since is None else max(joined, since)
        if since is None or not joined <= since <= at <= since + _LONGEST:
            return
        (self._took_again if again else self._took).append(at - since)

    @property
    def mean_s(self) -> float:
        """Seconds before first attempts, lately; 0 when nothing is known."""
        return _known(fmean, self._took)

    @property
    def again_s(self) -> float:
        """The same of further ones: the median, as a slot may have been free for longer."""
        return _known(median, self._took_again)


def _known(middle: Callable[[Iterable[float]], float], took: deque[float]) -> float:
    return middle(took) if took else 0.0
