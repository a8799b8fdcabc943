"""What is expected of a batch, from what the collector tells.

It imports NumPy through `core.forecast`: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import msgspec

from ..forecast import (
    BatchForecast,
    Forecast,
    Likeness,
    WaitingJob,
    config_key,
    forecast_batch,
    line_ahead,
)
from ..job import Job, Priority
from ..load import GroupLoad
from ..plan import NOBODY_TELLS, LineAhead, PastLoad, Plan, Submission, unknown
from ..rehearsal import why_not
from ..why.words import sentence
from .day import Sample, arrivals
from .foresee import GroupLevels, run_times
from .scene import expected, situation
from .snapshot import GroupLine, Lore, Snapshot

#: Seconds that a rate of arrivals is measured over, at least; for a moment further ahead, as
#: many as it is away.
_WINDOW = 3600.0

#: A rate that was measured for less than this, seconds, is taken as if none had come before: jobs
#: come in batches.
_LEAST = 1800.0

#: How far ahead the line is shown at most, and at how many moments.
_FAR, _POINTS = 36 * 3600.0, 72


def plan(
    told: Snapshot | None,
    lore: Lore | None,
    jobs: Sequence[Job],
    moments: Sequence[tuple[str, datetime]],
    *,
    at: datetime,
    seed: int | None = None,
) -> Plan:
    """When ``jobs`` would be done.

    Args:
        told: None when nobody collects.
        jobs: of one group and priority.
        moments: when they might be submitted, ascending.
        at: the time now.
    """
    first = jobs[0]
    samples = () if lore is None else lore.day.get(first.group, ())
    made = Plan(
        timestamp=at,
        group=first.group,
        priority=first.priority,
        task=first.task,
        jobs=len(jobs),
        bare=not any(job.config.keys() - {"task_id"} for job in jobs),
        submissions=unknown(moments, NOBODY_TELLS),
        past=_past(samples, at),
    )
    line = None if told is None else told.groups.get(first.group)
    if told is None or line is None:
        return made
    group = next(
        (g for g in told.load.groups if g.name == first.group), GroupLoad(name=first.group)
    )
    moment = told.timestamp.timestamp()
    seen = situation(first.group, line, group.worker_list, moment)
    history, track = run_times(lore), GroupLevels(line)
    waiting = [_waiting(job) for job in jobs]
    # The same dice for every moment: what differs is the moment.
    seed = int(moment) if seed is None else seed
    found, submissions = BatchForecast(), []
    covered = 0.0
    for label, when in moments:
        # What was told a moment ago is taken to be so now: all seconds are the plan's.
        after = max(0.0, (when - at).total_seconds())
        rates, covered = _rates(line, samples, moment, after)
        then = msgspec.structs.replace(seen, arrivals=rates)
        found = forecast_batch(then, waiting, history, track, after_s=after, now=moment, seed=seed)
        submissions.append(
            Submission(
                label=label,
                at=when,
                first=expected(found, found.first, line.record.start),
                half=expected(found, found.half, line.record.finish),
                done=expected(found, found.done, line.record.finish),
                before=sum(rates.values()) * after,
            )
        )
    farthest = max(after, *(s.done.high or 0.0 for s in submissions))
    far = min(_FAR, farthest)
    rates, _ = _rates(line, samples, moment, after)
    ahead = line_ahead(
        msgspec.structs.replace(seen, arrivals=rates),
        history,
        [far * number / _POINTS for number in range(_POINTS + 1)],
        seed=seed,
    )
    reasons = [why for job in jobs for why in why_not(job, told.load, group)]
    return msgspec.structs.replace(
        made,
        refusals=tuple(sentence(why) for why in dict.fromkeys(reasons)),
        submissions=tuple(submissions),
        past=(*made.past, _now(group, at)),
        ahead=tuple(
            LineAhead(
                at=at + timedelta(seconds=one.after_s),
                low=one.waiting.low,
                middle=one.waiting.middle,
                high=one.waiting.high,
            )
            for one in ahead
        ),
        basis=Forecast(based_on=found.based_on).basis,
        arrivals_from_s=covered or None,
        arrivals_over_s=max(covered, _LEAST) if covered else None,
    )


def _waiting(job: Job) -> WaitingJob:
    return WaitingJob(
        like=Likeness(job.group, job.task, config_key(job.config)),
        priority=job.priority,
        max_attempts=job.max_attempts,
    )


def _rates(
    line: GroupLine, samples: Sequence[Sample], at: float, after: float
) -> tuple[dict[Priority, float], float]:
    """Jobs per second that will join each line, and how many seconds that is from."""
    rates, covered = arrivals(samples, at - max(after, _WINDOW))
    if not covered:
        return dict(line.arrivals), 0.0
    known = min(1.0, covered / _LEAST)
    return {priority: rate * known for priority, rate in rates.items()}, covered


def _past(samples: Sequence[Sample], at: datetime) -> tuple[PastLoad, ...]:
    newest = at.timestamp()
    return tuple(
        PastLoad(
            at=datetime.fromtimestamp(min(sample.middle, newest), timezone.utc),
            waiting=sample.waiting,
            running=sample.running,
            slots=sample.slots,
            free=sample.free,
        )
        for sample in samples
    )


def _now(group: GroupLoad, at: datetime) -> PastLoad:
    return PastLoad(
        at=at,
        waiting=group.waiting.value,
        running=group.running.value,
        slots=group.slots.value,
        free=group.free.value,
    )
