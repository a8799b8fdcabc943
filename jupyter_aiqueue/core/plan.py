"""A plan: when many jobs would be done, if they were submitted now or later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec

from .errors import InvalidJob
from .hold import parse_moment
from .job import Priority
from .load import Expected

#: Jobs of one plan.
MOST_JOBS = 5000

#: When it is "tonight", hours of the day.
_TONIGHT = 22

_HOUR = timedelta(hours=1)

#: What cannot be told while nobody collects.
NOBODY_TELLS = "no worker tells of the load"


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """All jobs of a plan, submitted at one moment. Ranges are seconds from the plan's time on."""

    #: ``now``, ``in an hour``, ``tonight``, or as it was asked for.
    label: str
    at: datetime
    #: The first start, the end of half of the jobs, and of all.
    first: Expected
    half: Expected
    done: Expected
    #: Other jobs, whoever submits them, that are expected to come before.
    before: float = 0.0


class PastLoad(msgspec.Struct, frozen=True, kw_only=True):
    """The load around one moment of the last day, as the mean of five minutes; None: unknown."""

    at: datetime
    waiting: float | None = None
    running: float | None = None
    slots: float | None = None
    free: float | None = None


class LineAhead(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs will wait at one moment without those of the plan: 10, 50 and 90 % points."""

    at: datetime
    low: float
    middle: float
    high: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """When ``jobs`` jobs would be done."""

    timestamp: datetime
    group: str
    priority: Priority
    task: str | None
    jobs: int
    submissions: tuple[Submission, ...]
    #: Moments in which nobody looked are missing.
    past: tuple[PastLoad, ...] = ()
    ahead: tuple[LineAhead, ...] = ()
    #: What keeps jobs of it from running, a sentence each.
    refusals: tuple[str, ...] = ()
    #: None of the jobs has a config.
    bare: bool = False
    #: What the run times are from, for people.
    basis: str = ""
    #: Seconds of the last day that the rate of arrivals is from; None where nobody counted.
    arrivals_from_s: float | None = None
    #: Seconds in which as many jobs are taken to come as came in those.
    arrivals_over_s: float | None = None

    @property
    def missing(self) -> str | None:
        """Why nothing can be told, if that is the same of everything; None otherwise."""
        reasons = {
            None if expected.low is not None else expected.missing
            for one in self.submissions
            for expected in (one.first, one.half, one.done)
        }
        return reasons.pop() if len(reasons) == 1 else None

    def __str__(self) -> str:
        from .plan_text import plan_text

        return plan_text(self)


def moments(more: Iterable[str | datetime], at: datetime) -> list[tuple[str, datetime]]:
    """Now, in an hour, tonight, and ``more``: names and times, ascending.

    Args:
        more: times of day (the next one), or dates and times, in the zone of ``at``.
        at: the time now, with the zone that times are meant in.

    Raises:
        InvalidJob: one of them is no time, or has passed.
    """
    tonight = at.replace(hour=_TONIGHT, minute=0, second=0, microsecond=0)
    label = "tonight"
    if tonight <= at + _HOUR:
        label, tonight = "tomorrow night", tonight + timedelta(days=1)
    found = [("now", at), ("in an hour", at + _HOUR), (label, tonight)]
    for text in more:
        moment = parse_moment(text, at)
        if moment <= at:
            raise InvalidJob("bad-condition", f"The time {text} has passed.")
        if moment not in [known for _, known in found]:
            found.append((str(text), moment))
    return sorted(found, key=lambda one: one[1])


def check_count(jobs: int) -> None:
    """Raises `InvalidJob` for no jobs, or more than can be planned."""
    if jobs < 1:
        raise InvalidJob("too-few", "There is no job to plan.")
    if jobs > MOST_JOBS:
        raise InvalidJob("too-many", f"A plan is for at most {MOST_JOBS:,} jobs, not {jobs:,}.")


def unknown(submissions: Sequence[tuple[str, datetime]], missing: str) -> tuple[Submission, ...]:
    """Of which nothing can be told, and why."""
    nothing = Expected(missing=missing)
    return tuple(
        Submission(label=label, at=at, first=nothing, half=nothing, done=nothing)
        for label, at in submissions
    )
