"""A spread: the distribution of one time, as a few of its quantiles.

Levels are told in standard normal deviates: -1.28, 0 and 1.28 are the 10, 50 and 90 % points of
a distribution that is right. Beyond the outermost quantiles the logarithm of the time goes on
in a straight line for a while, so that a recalibrated range may be wider than everything that
was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from .history import Floats

_CHANCES = (0.005, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)

#: The levels of a spread's quantiles, in standard normal deviates.
LEVELS = np.array([NormalDist().inv_cdf(chance) for chance in _CHANCES])

#: The 10 % and 90 % points are this far from the median.
TEN = float(-LEVELS[3])

#: Scores beyond this say no more than "far outside".
MOST = 30.0

#: Logarithms of times are taken above this part of the median, and this many seconds: that a job
#: starts after 0.1 s instead of 0.01 s is no error by a factor of ten.
_GRAIN, _LEAST = 0.02, 0.5

#: The straight line ends where it is so many times as far beyond the outermost quantile as that
#: is from the median, or later than it by this factor: what it says far beyond everything that
#: was drawn are not times that a person can use.
_BEYOND, _FURTHEST = 3.0, 30.0

#: Least slope of the straight line, in logarithms per deviate: of a time that is surely known.
_STEEP = 1e-3

_MIDDLE = len(_CHANCES) // 2

#: The same in deviates.
_REACH = _BEYOND * float(LEVELS[-1])


def quantiles(seconds: Floats) -> tuple[float, ...]:
    """The spread of samples of any number, shape (samples,)."""
    return tuple(float(value) for value in np.quantile(seconds, _CHANCES))


def at(spread: Sequence[float], level: float) -> float:
    """The time at ``level``, seconds."""
    logs, grain = _logs(spread)
    low, high = _slopes(logs)
    if level < LEVELS[0]:
        log = logs[0] + low * max(level - LEVELS[0], -_REACH)
    elif level > LEVELS[-1]:
        log = logs[-1] + min(high * min(level - LEVELS[-1], _REACH), math.log(_FURTHEST))
    else:
        log = float(np.interp(level, LEVELS, logs))
    return max(0.0, grain * float(np.expm1(log)))


def score(spread: Sequence[float], seconds: float) -> float:
    """The level that turned out to be true: `at` the other way round, within ±`MOST`.

    Where the spread stands still it is the middle of the levels there.
    """
    logs, grain = _logs(spread)
    log = float(np.log1p(max(seconds, 0.0) / grain))
    low, high = _slopes(logs)
    if log < logs[0]:
        level = LEVELS[0] + (log - logs[0]) / low
    elif log > logs[-1]:
        level = LEVELS[-1] + (log - logs[-1]) / high
    else:
        first = np.searchsorted(logs, log, "left")
        last = np.searchsorted(logs, log, "right") - 1
        if first <= last:  # exactly on one or several quantiles
            level = (LEVELS[first] + LEVELS[last]) / 2
        else:
            level = float(np.interp(log, logs, LEVELS))
    return float(min(MOST, max(-MOST, level)))


def _logs(spread: Sequence[float]) -> tuple[Floats, float]:
    grain = _GRAIN * spread[_MIDDLE] + _LEAST
    return np.log1p(np.asarray(spread) / grain), grain


def _slopes(logs: Floats) -> tuple[float, float]:
    span = LEVELS[-1] - LEVELS[_MIDDLE]
    low = (logs[_MIDDLE] - logs[0]) / span
    high = (logs[-1] - logs[_MIDDLE]) / span
    return max(_STEEP, float(low)), max(_STEEP, float(high))
