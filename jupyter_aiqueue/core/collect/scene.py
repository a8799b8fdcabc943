"""From a group's line to the situation that a forecast is made of.

It imports NumPy through `core.forecast`: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..forecast import (
    BatchForecast,
    Forecast,
    Likeness,
    Range,
    ReturningJob,
    RunningJob,
    Situation,
    WaitingJob,
    WorkerSlots,
)
from ..job import Priority, State
from ..load import Expected, WorkerLoad
from ..topology import DEFAULT_RETRY_DELAYS
from .entry import Entry
from .snapshot import GroupLine

#: Seconds until a job whose worker fell silent is in line again: lease and grace, by default.
_LOST_FOR = 90.0


def situation(group: str, line: GroupLine, workers: Sequence[WorkerLoad], at: float) -> Situation:
    """The group at ``at`` (seconds since 1970).

    Args:
        workers: those of the group, lost ones included.
    """
    alive = [worker for worker in workers if worker.state in ("active", "draining")]
    known = {entry.job_id: entry for entry in line.entries}
    running = [
        RunningJob(
            like=_like(known[run.job_id]) if run.job_id in known else Likeness(run.group, run.task),
            worker=worker.worker,
            elapsed_s=max(0.0, at - run.since.timestamp()) if run.since else 0.0,
            progress=run.progress,
            attempt=run.attempt,
        )
        for worker in alive
        for run in worker.running
    ]
    here = {worker.worker for worker in alive}
    last_seen = {worker.worker: worker.last_seen for worker in workers}
    lost = [e for e in line.entries if e.state is State.RUNNING and e.worker not in here]
    returning = [(e, e.due or e.since) for e in line.entries if e.state is State.RETRYING]
    returning += [(e, _silent_since(last_seen.get(e.worker or ""), e) + _LOST_FOR) for e in lost]
    return Situation(
        group=group,
        workers=tuple(
            WorkerSlots(worker=w.worker, slots=w.slots, draining=w.state != "active") for w in alive
        ),
        running=tuple(running),
        waiting={
            priority: (
                # Older than everything that was told of, or it would have been.
                *(WaitingJob(like=Likeness(group), priority=priority),)
                * line.strangers.get(priority, 0),
                *(_waiting(entry) for entry in line.line(priority)),
            )
            for priority in Priority
        },
        returning=tuple(
            ReturningJob(job=_waiting(entry), after_s=max(0.0, back - at))
            for entry, back in returning
        ),
        arrivals=line.arrivals,
        joins=line.joins,
        leaves=line.leaves,
        retry_delays=line.retry_delays or DEFAULT_RETRY_DELAYS,
        handover_s=line.handover_s,
        handover_again_s=line.handover_again_s,
    )


def expected(
    made: Forecast | BatchForecast, points: Range | None, record: tuple[int, int]
) -> Expected:
    """One of a forecast's ranges as everybody reads it.

    Args:
        points: the range; None when there is none, and ``made`` tells why.
        record: how many of the last ones were inside, and of how many.
    """
    inside, of = record
    if points is None:
        return Expected(inside=inside, of=of, missing=made.missing)
    return Expected(
        low=points.low,
        middle=points.middle,
        high=points.high,
        inside=inside,
        of=of,
        at_once=made.at_once,
    )


def _silent_since(last_seen: datetime | None, entry: Entry) -> float:
    return entry.since if last_seen is None else max(entry.since, last_seen.timestamp())


def _like(entry: Entry) -> Likeness:
    return Likeness(entry.group, entry.task, entry.config)


def _waiting(entry: Entry) -> WaitingJob:
    return WaitingJob(
        like=_like(entry),
        priority=entry.priority,
        attempt=entry.attempt,
        max_attempts=entry.max_attempts,
    )
