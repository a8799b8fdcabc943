"""Run times of jobs that ended: what a forecast learns from."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from .situation import Likeness

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

#: Runs that are remembered; older ones say little about a machine that changes.
_PER_CONFIG, _PER_TASK, _PER_GROUP = 64, 256, 512
_MOST_CONFIGS = 20_000

#: Runs of the group without which nothing is said.
NEEDED = 3

#: Seconds added before the logarithm is taken: run times differ by less only by chance.
LEAST = 1e-3

#: What is believed before there is evidence: run times of a group differ by a factor of e or so
#: (variance of the logarithm), as firmly as this many runs would say.
_VARIANCE, _FIRMNESS = 1.0, 2.0
#: The part of a task's variance that is within its configs, until repeats show it.
_WITHIN = 0.5


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that came to its own end (a cancelled one says nothing)."""

    like: Likeness
    seconds: float
    #: It did not succeed, and the job went on with another attempt if it had one left.
    failed: bool = False


class Similar(msgspec.Struct, frozen=True):
    """How many runs are remembered of the same config (and task), of the task, of the group."""

    config: int = 0
    task: int = 0
    group: int = 0

    @property
    def enough(self) -> bool:
        """Whether they say anything; False means "no history yet"."""
        return self.group >= NEEDED


class Level:
    """The runs that are alike in one respect, and how far the next one may be from them.

    ``logs`` holds natural logarithms of seconds (plus `LEAST`), ``failed`` belongs to it; both
    are of shape (runs,).
    ``variance`` is the spread of the logarithms, ``doubt`` how many runs the level above is
    worth against these: the next run is one from above with probability doubt / (runs + doubt).
    """

    __slots__ = ("doubt", "failed", "logs", "variance")

    def __init__(self, logs: Floats, failed: Bools, variance: float, doubt: float) -> None:
        self.logs, self.failed = logs, failed
        self.variance, self.doubt = variance, doubt


class _Pile:
    """The last runs of one likeness, as they came."""

    __slots__ = ("inner", "level", "runs")

    def __init__(self, most: int) -> None:
        self.runs: deque[tuple[float, bool, str]] = deque(maxlen=most)
        self.level: Level | None = None
        #: Variance of the logarithms within what the pile is made of, once `level` is known.
        self.inner = _VARIANCE

    def add(self, log: float, failed: bool, part: str) -> None:
        self.runs.append((log, failed, part))
        self.level = None


class RunTimes:
    """The history of run times, by group, task and config; bounded in memory.

    Not for several threads at once.
    """

    def __init__(self, runs: Iterable[Run] = ()) -> None:
        self._recent: dict[str, deque[Run]] = {}
        self._groups: dict[str, _Pile] = {}
        self._tasks: dict[tuple[str, str | None], _Pile] = {}
        self._configs: OrderedDict[Likeness, _Pile] = OrderedDict()
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Learn from an end. Run times that are no numbers, or negative, are refused.

        Raises:
            ValueError: ``run.seconds`` cannot be a run time.
        """
        if not (math.isfinite(run.seconds) and run.seconds >= 0):
            raise ValueError(f"{run.seconds!r} seconds is no run time.")
        like, log = run.like, math.log(run.seconds + LEAST)
        task = (like.group, like.task)
        self._recent.setdefault(like.group, deque(maxlen=_PER_GROUP)).append(run)
        self._groups.setdefault(like.group, _Pile(_PER_GROUP)).add(log, run.failed, str(like.task))
        self._tasks.setdefault(task, _Pile(_PER_TASK)).add(log, run.failed, like.config)
        self._configs.setdefault(like, _Pile(_PER_CONFIG)).add(log, run.failed, "")
        self._configs.move_to_end(like)
        if len(self._configs) > _MOST_CONFIGS:
            self._configs.popitem(last=False)

    @property
    def runs(self) -> list[Run]:
        """The last runs of each group, to store and to begin with again."""
        return [run for recent in self._recent.values() for run in recent]

    def similar(self, like: Likeness) -> Similar:
        """How much is known of jobs like this one."""
        piles = (
            self._configs.get(like),
            self._tasks.get((like.group, like.task)),
            self._groups.get(like.group),
        )
        return Similar(*(len(pile.runs) if pile else 0 for pile in piles))

    def group(self, like: Likeness) -> Level:
        """All runs of the group; an empty level when there are none."""
        pile = self._groups.get(like.group)
        if pile is None:
            return _EMPTY
        return pile.level or self._measure(pile, _VARIANCE)

    def task(self, like: Likeness) -> Level:
        """The runs of the task; an empty level when there are none."""
        above = self._groups.get(like.group)
        group = self.group(like)
        inner = above.inner if above else _VARIANCE
        pile = self._tasks.get((like.group, like.task))
        if pile is None:
            return _nothing(inner, group.variance)
        level = pile.level or self._measure(pile, inner)
        level.doubt = _doubt(inner, group.variance - inner)
        return level

    def config(self, like: Likeness) -> Level:
        """The runs of the same task and config; an empty level when there are none."""
        above = self._tasks.get((like.group, like.task))
        task = self.task(like)
        inner = above.inner if above else task.variance * _WITHIN
        pile = self._configs.get(like)
        if pile is None:
            return _nothing(inner, task.variance)
        level = pile.level or self._measure(pile, inner)
        level.doubt = _doubt(level.variance, task.variance - inner)
        return level

    @staticmethod
    def _measure(pile: _Pile, variance: float) -> Level:
        logs = np.array([log for log, _, _ in pile.runs])
        failed = np.array([failed for _, failed, _ in pile.runs])
        spread = float(((logs - logs.mean()) ** 2).sum())
        variance = (_FIRMNESS * variance + spread) / (_FIRMNESS + len(logs) - 1)
        parts = np.unique([part for _, _, part in pile.runs], return_inverse=True)[1]
        counts = np.bincount(parts)
        within = logs - (np.bincount(parts, logs) / counts)[parts]
        repeats = len(logs) - len(counts)
        pile.inner = (_FIRMNESS * _WITHIN * variance + float((within**2).sum())) / (
            _FIRMNESS + repeats
        )
        pile.level = Level(logs, failed, variance, doubt=1.0)
        return pile.level


def _doubt(within: float, between: float) -> float:
    """How many runs the level above is worth, from the variances within and between.

    Two draws from a Pólya urn of that many unseen balls correlate as two runs of one config do.
    """
    return min(20.0, max(0.05, within / max(between, 1e-9)))


def _nothing(within: float, total: float) -> Level:
    return Level(np.empty(0), np.empty(0, bool), within, _doubt(within, total - within))


_EMPTY = Level(np.empty(0), np.empty(0, bool), _VARIANCE, 1.0)
