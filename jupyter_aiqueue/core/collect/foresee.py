"""What is expected of one job, from what the collector tells.

It imports NumPy through `core.forecast`: import it where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from ..forecast import (
    NO_HISTORY,
    Forecast,
    Levels,
    Likeness,
    Run,
    RunTimes,
    WaitingJob,
    What,
    config_key,
    forecast,
)
from ..forecast.remaining import run_times as run_times_of
from ..forecast.urn import draw
from ..job import Priority, State
from ..load import Expected
from .foresight import Foresight, Remaining
from .scene import expected, situation
from .snapshot import GroupLine, Lore, Snapshot, level_key

#: Run times that are drawn where nothing else is to be forecast.
_SAMPLES = 256


class GroupLevels:
    """The levels of the collector's track record."""

    def __init__(self, line: GroupLine) -> None:
        self._line = line

    def levels(self, group: str, what: What, *, at_once: bool, now: float) -> Levels:  # noqa: ARG002
        """As they were told of this one group, at the time of the snapshot."""
        return Levels(*self._line.levels.get(level_key(what, at_once=at_once), (-1.28, 0.0, 1.28)))


def foresee_job(told: Snapshot, lore: Lore | None, job_id: str, group: str) -> Foresight | None:
    """What is expected of a job in line; None when it is in none.

    Args:
        lore: what was learnt; without it there is "no history yet".
    """
    line = told.groups.get(group)
    entry = None if line is None else line.find(job_id)
    if line is None or entry is None or entry.state is not State.QUEUED:
        return None
    own = [one.job_id for one in line.line(entry.priority)]
    job = WaitingJob(
        like=Likeness(group, entry.task, entry.config),
        priority=entry.priority,
        attempt=entry.attempt,
        max_attempts=entry.max_attempts,
    )
    place = line.strangers.get(entry.priority, 0) + own.index(job_id)
    return _foresee(told, lore, line, group, job, place)


def foresee_end(told: Snapshot, lore: Lore | None, job_id: str, group: str) -> Remaining | None:
    """When the attempt of a job ends that runs; None when no worker that is heard of runs it.

    Args:
        lore: what was learnt; without it there is "no history yet".
    """
    line = told.groups.get(group)
    workers = next((g.worker_list for g in told.load.groups if g.name == group), ())
    alone = [
        msgspec.structs.replace(worker, running=(run,))
        for worker in workers
        for run in worker.running
        if run.job_id == job_id
    ]
    if line is None:
        return None
    running = situation(group, line, alone, told.timestamp.timestamp()).running[:1]
    if not running:
        return None
    job, times = running[0], run_times(lore)
    known = times.similar(job.like)
    if not known.enough:
        return Remaining(finish=Expected(missing=NO_HISTORY), at=told.timestamp)
    logs, _ = run_times_of(times, running, _SAMPLES, np.random.default_rng())
    left = np.maximum(np.exp(logs[0]) - job.elapsed_s, 0.0)
    low, middle, high = np.quantile(left, (0.1, 0.5, 0.9))
    basis = Forecast(based_on=known).basis
    return Remaining(
        finish=Expected(low=float(low), middle=float(middle), high=float(high)),
        at=told.timestamp,
        basis=basis if job.progress is None else f"its progress and {basis}",
    )


def foresee(
    told: Snapshot,
    lore: Lore | None,
    *,
    group: str,
    task: str | None,
    config: Mapping[str, Any],
    priority: Priority,
) -> Foresight | None:
    """What would be expected of a job that was submitted now; None without such a group."""
    line = told.groups.get(group)
    if line is None:
        return None
    job = WaitingJob(like=Likeness(group, task, config_key(config)), priority=priority)
    return _foresee(told, lore, line, group, job, None)


def _foresee(
    told: Snapshot,
    lore: Lore | None,
    line: GroupLine,
    group: str,
    job: WaitingJob,
    place: int | None,
) -> Foresight:
    at = told.timestamp.timestamp()
    workers = next((g.worker_list for g in told.load.groups if g.name == group), ())
    seen = situation(group, line, workers, at)
    times = run_times(lore)
    made = forecast(seen, job, times, GroupLevels(line), place=place, now=at)
    lengths = {priority: len(jobs) for priority, jobs in seen.waiting.items()}
    classes = list(Priority)
    higher = sum(lengths[cls] for cls in classes[: classes.index(job.priority)])
    return Foresight(
        start=expected(made, made.start, line.record.start),
        finish=expected(made, made.finish, line.record.finish),
        run=_run(made, job.like, times),
        at=told.timestamp,
        ahead=lengths[job.priority] if place is None else place,
        ahead_of_higher=higher,
        basis=made.basis,
    )


def _run(made: Forecast, like: Likeness, times: RunTimes) -> Expected:
    """How long it takes, which is known also where it cannot be told when it starts."""
    if made.run is not None:
        return expected(made, made.run, (0, 0))
    if not made.based_on.enough:
        return Expected(missing=NO_HISTORY)
    logs, _ = draw(times, [like], _SAMPLES, np.random.default_rng())
    low, middle, high = np.quantile(np.exp(logs[0]), (0.1, 0.5, 0.9))
    return Expected(low=float(low), middle=float(middle), high=float(high))


def run_times(lore: Lore | None) -> RunTimes:
    """What was learnt of run times."""
    if lore is None:
        return RunTimes()
    return RunTimes(
        Run(like=Likeness(run.group, run.task, run.config), seconds=run.seconds, failed=run.failed)
        for run in lore.runs
    )
