"""The last day of a group's load, a sample every five minutes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from ..job import Priority
from ..load import GroupLoad

#: Seconds of one sample, and samples that are kept: a day and an hour.
SPAN, _MOST = 300, 300

#: Two looks that are further apart than this, seconds, have a gap between them.
_GAP = 10.0

_NUMBERS = ("waiting", "running", "slots", "free")


class Sample(msgspec.Struct, array_like=True, omit_defaults=True):
    """Five minutes. Times in which nobody looked are in no sample, or not in its ``covered``."""

    #: When they began, seconds since 1970, and for how many of them somebody looked.
    at: int
    covered: float = 0.0
    #: Means over that time; None where it is not known.
    waiting: float | None = None
    running: float | None = None
    slots: float | None = None
    free: float | None = None
    #: Jobs that joined the lines (high, normal, low) and attempts that came to an end of their
    #: own, in the time that is covered.
    came: tuple[int, int, int] = (0, 0, 0)
    ended: int = 0

    @property
    def middle(self) -> float:
        """The moment that it stands for."""
        return self.at + SPAN / 2


class Day:
    """The samples of every group.

    Args:
        groups: what was kept.
    """

    def __init__(self, groups: Mapping[str, Sequence[Sample]] | None = None) -> None:
        self._groups = {name: list(samples) for name, samples in (groups or {}).items()}
        self._looked: float | None = None
        #: Since when somebody looks without a gap.
        self._since = float("inf")

    def look(self, groups: Iterable[GroupLoad], at: float) -> None:
        """Take in the load at ``at``; it is taken to have been like this since the last look."""
        since, self._looked = self._looked, at
        if since is None or not 0 < at - since <= _GAP:
            self._since = at
            return
        for group in groups:
            sample = self._sample(group.name, at)
            passed = min(at - since, at - sample.at)
            covered = sample.covered + passed
            for name in _NUMBERS:
                value, mean = getattr(group, name).value, getattr(sample, name)
                if value is not None:
                    mean = value if mean is None else mean + (value - mean) * passed / covered
                    setattr(sample, name, mean)
            sample.covered = covered

    def came(self, group: str, priority: Priority, at: float) -> None:
        """A job joined a line."""
        sample = self._at(group, at)
        if sample is not None:
            counts = list(sample.came)
            counts[list(Priority).index(priority)] += 1
            sample.came = (counts[0], counts[1], counts[2])

    def ended(self, group: str, at: float) -> None:
        """An attempt came to an end of its own."""
        sample = self._at(group, at)
        if sample is not None:
            sample.ended += 1

    def kept(self) -> dict[str, tuple[Sample, ...]]:
        """To begin with again: means to a tenth, which is as much as anybody sees."""
        return {
            name: tuple(_rounded(sample) for sample in samples)
            for name, samples in self._groups.items()
        }

    def _sample(self, group: str, at: float) -> Sample:
        """The newest one, which is a new one when the five minutes are over."""
        samples = self._groups.setdefault(group, [])
        begin = int(at // SPAN) * SPAN
        if not samples or samples[-1].at < begin:
            samples.append(Sample(begin))
            while samples[0].at <= begin - _MOST * SPAN:
                del samples[0]
        return samples[-1]

    def _at(self, group: str, at: float) -> Sample | None:
        """The one that ``at`` is in, if somebody looked then: events may come late."""
        if at < self._since:
            return None
        return next((s for s in reversed(self._groups.get(group, ())) if s.at <= at), None)


def arrivals(samples: Iterable[Sample], since: float) -> tuple[dict[Priority, float], float]:
    """Jobs per second that joined each line since then, and how many seconds that is from."""
    seen = [sample for sample in samples if sample.at + SPAN > since]
    covered = sum(sample.covered for sample in seen)
    if covered <= 0:
        return {}, 0.0
    rates = {
        priority: sum(sample.came[number] for sample in seen) / covered
        for number, priority in enumerate(Priority)
    }
    return {priority: rate for priority, rate in rates.items() if rate}, covered


def _rounded(sample: Sample) -> Sample:
    numbers = {name: _short(getattr(sample, name)) for name in _NUMBERS}
    return msgspec.structs.replace(sample, covered=round(sample.covered), **numbers)


def _short(value: float | None) -> float | None:
    if value is None:
        return None
    return int(value) if value == int(value) else round(value, 1)
