"""Slots: when each gets free, when it is there no longer, and which ones will join."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .history import Floats
from .situation import RunningJob, Situation

#: Nobody knows how fast jobs and workers will come: a rate is taken as uncertain as if measured
#: by so many.
RATE_SHAPE = 3.0

#: Slots of workers that may join which are played, at least.
_LEAST_JOINS = 16


def taking(situation: Situation) -> tuple[int, list[RunningJob]]:
    """Slots of workers that take jobs, and what runs in them."""
    slots = sum(worker.slots for worker in situation.workers if not worker.draining)
    here = {worker.worker for worker in situation.workers if not worker.draining}
    return slots, [run for run in situation.running if run.worker in here][:slots]


def free_slots(
    situation: Situation,
    left: Floats,
    slots: int,
    random: np.random.Generator,
    *,
    most_joins: int = _LEAST_JOINS,
) -> tuple[Floats, Floats | None]:
    """When slots get free, and when they leave; those that will join included.

    Args:
        left: seconds that each running job still takes, shape (running, samples).
        slots: how many there are now.
        most_joins: slots that join which are played, at most.

    Returns:
        Seconds from now, both of shape (samples, slots); None for the second if all stay.
    """
    samples = left.shape[1]
    free = np.zeros((samples, slots))
    free[:, : len(left)] = left.T
    if not situation.joins and not situation.leaves:
        return free, None
    pace = random.gamma(RATE_SHAPE, 1 / RATE_SHAPE, (samples, 1))
    gaps = random.exponential(size=(samples, min(most_joins, slots + 5)))
    joins = np.cumsum(gaps, axis=1) / (pace * max(situation.joins, 1e-12))
    begins = np.concatenate([np.zeros((samples, slots)), joins], axis=1)
    stays = random.exponential(size=begins.shape) / (pace * max(situation.leaves, 1e-12))
    stays[:, 0] = np.inf  # somebody goes on: a line that never ends tells nothing
    leaves = begins + stays
    free = np.concatenate([free, joins], axis=1)
    free[free > leaves] = np.inf
    return free, leaves


def left_over(running: Sequence[RunningJob], totals: Floats) -> Floats:
    """Seconds that each running job still takes, from its whole run times (running, samples)."""
    elapsed = np.array([max(0.0, run.elapsed_s) for run in running])
    left: Floats = np.maximum(totals - elapsed[:, None], 0.0)
    return left
