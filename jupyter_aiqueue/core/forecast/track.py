"""The track record: every forecast made, what became of it, and what is learnt from that."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from statistics import NormalDist
from typing import Literal, NamedTuple, Protocol

import msgspec
import numpy as np

from .outlook import Forecast, Range
from .spread import score

#: What is forecast.
What = Literal["start", "finish"]

#: Forecasts that are remembered of each group.
_MOST = 400

#: An outcome counts half as much as one that was forecast so many forecasts later.
_HALF_LIFE = 150.0

#: Forecasts far back in one line share their errors, so that many of them are not many: one with
#: so many jobs ahead counts half.
_ALONE = 16

#: The model is believed as if it had been right so many times.
_BELIEF = 24

#: The part of outcomes that shall land on each side of the range, what it is changed by for each
#: outcome too many or too few on that side lately, and the bounds of that. It begins a little
#: lower: quantiles of a few outcomes hold fewer of the next ones.
_OUTSIDE, _FIRST, _GAIN, _BOUNDS = 0.1, 0.085, 0.02, (0.015, 0.2)

#: The median is left alone until it is off by this many deviates.
_STILL = 0.5


class Levels(NamedTuple):
    """Where the 10, 50 and 90 % points are in fact, in standard normal deviates of a spread."""

    low: float
    middle: float
    high: float


class Claim(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One forecast and its outcome."""

    job_id: str
    group: str
    #: When it was made, seconds.
    at: float
    at_once: bool = False
    ahead: int = 0
    start: Range | None = None
    finish: Range | None = None
    start_spread: tuple[float, ...] = ()
    finish_spread: tuple[float, ...] = ()
    #: Seconds from `at` to the outcome, None while it is open; and its level in the spread.
    started_s: float | None = None
    finished_s: float | None = None
    start_score: float | None = None
    finish_score: float | None = None


class Hits(NamedTuple):
    """How many of the last ``of`` outcomes landed inside their 80 % range."""

    inside: int
    of: int

    def __str__(self) -> str:
        return f"{self.inside} of the last {self.of} landed inside"


class Levelled(Protocol):
    """Whatever knows where forecasts have been in fact; see `TrackRecord.levels`."""

    def levels(self, group: str, what: What, *, at_once: bool, now: float) -> Levels:
        """The levels of a group's spreads."""
        ...


class TrackRecord:
    """Forecasts and outcomes by group, bounded in memory, and the recalibration by them.

    All times are seconds of one clock of the caller's choice. Not for several threads at once.
    """

    def __init__(self, claims: Iterable[Claim] = ()) -> None:
        self._groups: dict[str, deque[Claim]] = {}
        self._open: dict[str, list[Claim]] = {}
        for claim in claims:
            self._keep(claim)

    @property
    def claims(self) -> list[Claim]:
        """What is remembered, to store and to begin with again."""
        return [claim for claims in self._groups.values() for claim in claims]

    def made(self, job_id: str, group: str, forecast: Forecast, at: float) -> None:
        """Remember a forecast of a job that was submitted (what says nothing is not kept)."""
        if forecast.start is None and forecast.finish is None:
            return
        self._keep(
            Claim(
                job_id=job_id,
                group=group,
                at=at,
                at_once=forecast.at_once,
                ahead=forecast.ahead,
                start=forecast.start,
                finish=forecast.finish,
                start_spread=forecast.start_spread,
                finish_spread=forecast.finish_spread,
            )
        )

    def started(self, job_id: str, at: float) -> None:
        """The job's first attempt after its forecasts began."""
        for claim in self._open.get(job_id, ()):
            if claim.started_s is None:
                claim.started_s = max(0.0, at - claim.at)
                if claim.start_spread:
                    claim.start_score = score(claim.start_spread, claim.started_s)

    def finished(self, job_id: str, at: float) -> None:
        """The job came to its end by itself: it succeeded, failed or is dead."""
        for claim in self._open.pop(job_id, ()):
            claim.finished_s = max(0.0, at - claim.at)
            if claim.finish_spread:
                claim.finish_score = score(claim.finish_spread, claim.finished_s)

    def dropped(self, job_id: str) -> None:
        """The job was cancelled or expired: what it would have done is never known."""
        for claim in self._open.pop(job_id, ()):
            if claim.started_s is None:
                self._groups[claim.group].remove(claim)
            else:
                claim.finish, claim.finish_spread = None, ()

    def hits(self, what: What = "start", group: str | None = None, last: int = 40) -> Hits:
        """The hit rate of the last outcomes; of starts, only of jobs that had to wait.

        Args:
            group: only this group's; None for all.
        """
        claims = self.claims if group is None else self._groups.get(group, ())
        inside = []
        for claim in sorted(claims, key=lambda claim: claim.at, reverse=True):
            range_, _, seconds, _ = _of(claim, what)
            trivial = what == "start" and claim.at_once
            if range_ is not None and seconds is not None and not trivial:
                inside.append(range_.holds(seconds))
            if len(inside) == last:
                break
        return Hits(sum(inside), len(inside))

    def levels(self, group: str, what: What, *, at_once: bool, now: float) -> Levels:
        """The levels of a group's spreads that held 10, 50 and 90 % of the outcomes lately.

        Forecasts that are still open count, too: one made an hour ago says that it took longer
        than an hour. (Without them, the quick outcomes of a long line would be heard first.)

        Args:
            at_once: learn from jobs that found a free slot, or from those that did not.
        """
        seen = _Outcomes()
        for number, claim in enumerate(reversed(self._groups.get(group, ()))):
            range_, spread, seconds, known = _of(claim, what)
            if claim.at_once is not at_once or range_ is None or not spread:
                continue
            weight = 0.5 ** (number / _HALF_LIFE) / (1 + claim.ahead / _ALONE)
            if known is not None and seconds is not None:
                seen.add(known, weight, below=seconds < range_.low, above=seconds > range_.high)
            elif now - claim.at > range_.low:
                seen.add_open(
                    score(spread, now - claim.at), weight, above=now - claim.at > range_.high
                )
        return seen.levels()

    def _keep(self, claim: Claim) -> None:
        kept = self._groups.setdefault(claim.group, deque())
        kept.append(claim)
        if claim.finished_s is None:
            self._open.setdefault(claim.job_id, []).append(claim)
        if len(kept) > _MOST:
            old = kept.popleft()
            if old.job_id in self._open:
                left = [claim for claim in self._open.pop(old.job_id) if claim is not old]
                if left:
                    self._open[old.job_id] = left


def _of(
    claim: Claim, what: What
) -> tuple[Range | None, tuple[float, ...], float | None, float | None]:
    if what == "start":
        return claim.start, claim.start_spread, claim.started_s, claim.start_score
    return claim.finish, claim.finish_spread, claim.finished_s, claim.finish_score


#: Scores of a model that is right.
_RIGHT = tuple(NormalDist().inv_cdf((number + 0.5) / _BELIEF) for number in range(_BELIEF))


class _Outcomes:
    """Scores of forecasts, some of them only known to be exceeded, and what lay outside."""

    def __init__(self) -> None:
        self._scores = list(_RIGHT)
        self._weights = [1.0] * _BELIEF
        self._over = [True] * _BELIEF
        #: How many outcomes more than meant landed below the range, and above.
        self._below = self._above = 0.0

    def add(self, score: float, weight: float, *, below: bool, above: bool) -> None:
        """An outcome."""
        self._put(score, weight, True)
        self._below += weight * (below - _OUTSIDE)
        self._above += weight * (above - _OUTSIDE)

    def add_open(self, score: float, weight: float, *, above: bool) -> None:
        """A forecast whose outcome will be beyond ``score``."""
        self._put(score, weight, False)
        if above:
            self._above += weight * (1 - _OUTSIDE)

    def levels(self) -> Levels:
        """Weighted quantiles of the scores, by Kaplan and Meier's estimate.

        What has missed too often lately is widened beyond that, and the other way round (as in
        adaptive conformal inference, Gibbs and Candès 2021): so the hit rate comes back also
        when the past does not repeat itself.
        """
        level, weight, over = (
            np.array(self._scores),
            np.array(self._weights),
            np.array(self._over),
        )
        order = np.lexsort((~over, level))
        level, weight, over = level[order], weight[order], over[order]
        at_risk = np.cumsum(weight[::-1])[::-1]
        left = np.cumprod(np.where(over, 1 - weight / at_risk, 1.0))
        before = np.concatenate([[1.0], left[:-1]])
        chance = 1 - (before + left)[over] / 2
        low, high = (
            min(_BOUNDS[1], max(_BOUNDS[0], _FIRST - _GAIN * missed))
            for missed in (self._below, self._above)
        )
        first, middle, last = np.interp((low, 0.5, 1 - high), chance, level[over]).tolist()
        middle = math.copysign(max(0.0, abs(middle) - _STILL), middle)
        return Levels(first, min(last, max(first, middle)), last)

    def _put(self, score: float, weight: float, over: bool) -> None:
        self._scores.append(score)
        self._weights.append(weight)
        self._over.append(over)
