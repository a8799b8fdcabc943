"""Running jobs: how long they still take, given how long they have run and what they report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .history import LEAST, Bools, Floats, RunTimes
from .situation import RunningJob
from .urn import TAIL, draw

#: Draws that the run times of a running job are chosen from.
_POOL = 512

#: The error of elapsed / progress (standard deviation of its logarithm) for a job that has just
#: begun, and for one that is about to end.
_PROGRESS_ERROR, _PROGRESS_FLOOR = 0.7, 0.03

#: Less progress than this says nothing yet.
_BEGUN = 1e-3


def run_times(
    history: RunTimes,
    running: Sequence[RunningJob],
    samples: int,
    random: np.random.Generator,
) -> tuple[Floats, Bools]:
    """Draw whole run times of jobs that run, each longer than the job has run already.

    A job that outlasts everything seen before has a Pareto law ahead of it: the longer it has
    run, the longer it will. Reported progress is weighed against the history by how exact each
    is, so it counts for more the further the job has come.

    Returns:
        Logarithms of seconds and whether the attempt fails, both of shape (running, samples).
    """
    elapsed = np.array([max(job.elapsed_s, 0.0) + LEAST for job in running])
    pool, fails = draw(history, [job.like for job in running], _POOL, random, share=False)
    if not running:
        return pool[:, :samples], fails[:, :samples]
    order = np.argsort(-pool, axis=1)
    pool, fails = np.take_along_axis(pool, order, 1), np.take_along_axis(fails, order, 1)
    gone = np.log(elapsed)[:, None]
    longer = (pool > gone).sum(axis=1)[:, None]
    # Half a draw stands for what is longer than all that was drawn.
    choice = (random.random((len(running), samples)) * (longer + 0.5)).astype(np.intp)
    beyond = gone + random.exponential(1 / TAIL, choice.shape)
    chosen = np.minimum(choice, _POOL - 1)
    logs = np.where(choice < longer, np.take_along_axis(pool, chosen, 1), beyond)
    failed = np.where(choice < longer, np.take_along_axis(fails, chosen, 1), False)
    for row, job in enumerate(running):
        if job.progress is not None and _BEGUN <= job.progress < 1:
            logs[row] = _sharpen(logs[row], elapsed[row], job.progress, random)
    return logs, failed


def _sharpen(logs: Floats, elapsed: float, progress: float, random: np.random.Generator) -> Floats:
    """Weigh what the history says of the remaining time against elapsed / progress."""
    left = np.log(np.maximum(np.exp(logs) - elapsed, LEAST))
    error = max(_PROGRESS_FLOOR, _PROGRESS_ERROR * (1 - progress))
    weight = left.var() / (left.var() + error**2)
    told = np.log(elapsed * (1 - progress) / progress) + error * random.standard_normal(len(left))
    mixed: Floats = np.log(elapsed + np.exp((1 - weight) * left + weight * told))
    return mixed
