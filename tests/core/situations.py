"""Situations and histories for the tests of forecasts."""

from __future__ import annotations

import numpy as np

from jupyter_aiqueue.core.forecast import (
    Likeness,
    Run,
    RunningJob,
    RunTimes,
    Situation,
    WaitingJob,
    WorkerSlots,
)
from jupyter_aiqueue.core.job import Priority

GROUP = "train"
LIKE = Likeness(GROUP, "train_model", "a")


def steady(seconds: float = 100.0, runs: int = 60, like: Likeness = LIKE) -> RunTimes:
    """A history in which every run took as long."""
    return RunTimes(Run(like=like, seconds=seconds) for _ in range(runs))


def varied(runs: int = 60, spread: float = 1.0, seed: int = 0) -> RunTimes:
    """A history of one config whose run times differ, around 100 s."""
    random = np.random.default_rng(seed)
    seconds = 100 * np.exp(spread * random.standard_normal(runs))
    return RunTimes(Run(like=LIKE, seconds=float(value)) for value in seconds)


def busy(
    slots: int = 2,
    ahead: int = 4,
    *,
    priority: Priority = Priority.NORMAL,
    elapsed_s: float = 50.0,
    progress: float | None = None,
    draining: int = 0,
    like: Likeness = LIKE,
    **fields: object,
) -> Situation:
    """Workers of one slot each, all running, the last ``draining`` of them draining; a line."""
    names = [f"w{number}" for number in range(slots)]
    waiting = {priority: tuple(WaitingJob(like=like, priority=priority) for _ in range(ahead))}
    waiting.update(fields.pop("waiting", {}))  # type: ignore[call-overload]
    return Situation(
        group=GROUP,
        workers=tuple(
            WorkerSlots(worker=name, slots=1, draining=number >= slots - draining)
            for number, name in enumerate(names)
        ),
        running=tuple(
            RunningJob(like=like, worker=name, elapsed_s=elapsed_s, progress=progress)
            for name in names
        ),
        waiting=waiting,
        **fields,  # type: ignore[arg-type]
    )


def line(count: int, priority: Priority) -> dict[Priority, tuple[WaitingJob, ...]]:
    """As many jobs waiting at ``priority``."""
    return {priority: tuple(WaitingJob(like=LIKE, priority=priority) for _ in range(count))}
