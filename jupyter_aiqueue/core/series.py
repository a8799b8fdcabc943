"""How the numbers of one attempt went: its reports, point by point, in a bounded number of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

#: Points that are kept of one attempt, about, and metrics: a series travels with an event.
_MOST_POINTS = 200
_MOST_METRICS = 16


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """Columns of one length: a moment, and what each metric was then."""

    #: Seconds since the attempt started.
    seconds: list[float]
    #: By name; None where the report had no such number.
    metrics: dict[str, list[float | None]]


class Gatherer:
    """Takes in reports as they come and keeps a series of them.

    When there are too many points, every second one is dropped, and of what comes only every
    second one is kept from then on: the curve becomes coarser and stays whole. The newest point
    is always there.
    """

    def __init__(self, most: int = _MOST_POINTS) -> None:
        self._most = most
        self._names: list[str] = []
        self._points: list[tuple[float, dict[str, float]]] = []
        self._last: tuple[float, dict[str, float]] | None = None
        self._count, self._stride = 0, 1

    def add(self, moment: float, metrics: Mapping[str, Any]) -> None:
        """One report; what is no finite number is left out, also the 17th name and those after it.

        Args:
            moment: seconds since 1970.
        """
        numbers = {name: float(value) for name, value in metrics.items() if _is_number(value)}
        for name in numbers:
            if name not in self._names and len(self._names) < _MOST_METRICS:
                self._names.append(name)
        kept = {name: numbers[name] for name in self._names if name in numbers}
        if not kept:
            return
        self._last = moment, kept
        if self._count % self._stride == 0:
            self._points.append(self._last)
        self._count += 1
        if len(self._points) > self._most:
            self._points = self._points[::2]
            self._stride *= 2

    def since(self, begun: float) -> Series | None:
        """What is known so far of an attempt that began then; None before the first number."""
        if self._last is None:
            return None
        points = self._points if self._points[-1] is self._last else [*self._points, self._last]
        return Series(
            seconds=[round(max(0.0, moment - begun), 3) for moment, _ in points],
            metrics={name: [numbers.get(name) for _, numbers in points] for name in self._names},
        )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False
