"""Clusters to forecast on: each is another way in which run times and arrivals are unkind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.forecast_suite.cluster import Change, Job
from jupyter_aiqueue.core.forecast import Likeness
from jupyter_aiqueue.core.job import Priority

Cluster = tuple[list[Job], list[int], list[Change]]

_JOBS = 200


def heavy(rng: np.random.Generator) -> Cluster:
    """Log-normal and Pareto run times by config; one job in four reports its progress."""
    likes, centres = _configs(rng, 25, 1.2)
    which = rng.integers(len(likes), size=_JOBS)
    seconds = np.exp(centres[which] + 0.4 * rng.standard_normal(_JOBS))
    seconds *= np.where(rng.random(_JOBS) < 0.1, 1 + rng.pareto(1.5, _JOBS), 1.0)
    return _jobs(rng, likes, which, seconds, load=0.95, slots=4, reports=0.25), [1] * 4, []


def bimodal(rng: np.random.Generator) -> Cluster:
    """Each config runs either for a minute or for an hour, as often as is its own."""
    likes, _ = _configs(rng, 12, 0.0)
    which = rng.integers(len(likes), size=_JOBS)
    long = rng.random(_JOBS) < rng.beta(0.5, 0.7, len(likes))[which]
    seconds = np.where(long, 3600.0, 60.0) * np.exp(0.2 * rng.standard_normal(_JOBS))
    return _jobs(rng, likes, which, seconds, load=0.95, slots=3), [1, 2], []


def bursts(rng: np.random.Generator) -> Cluster:
    """Sweeps of dozens of jobs at once, with configs that are mostly new, and quiet between."""
    likes, centres = _configs(rng, 120, 0.9)
    which = rng.integers(len(likes), size=_JOBS)
    seconds = np.exp(centres[which] + 0.3 * rng.standard_normal(_JOBS))
    jobs = _jobs(rng, likes, which, seconds, load=0.8, slots=4)
    at, number = 0.0, 0
    pause = float(seconds.mean()) / 4 / 0.8
    while number < _JOBS:
        size = int(rng.integers(1, 40))
        for job in jobs[number : number + size]:
            job.submit_s = at + float(rng.uniform(0, 5))
        number, at = number + size, at + size * pause * float(rng.exponential())
    return jobs, [2, 2], []


def priorities(rng: np.random.Generator) -> Cluster:
    """Three priorities, and attempts that fail and are repeated."""
    likes, centres = _configs(rng, 20, 0.8)
    which = rng.integers(len(likes), size=_JOBS)
    seconds = np.exp(centres[which] + 0.3 * rng.standard_normal(_JOBS))
    jobs = _jobs(rng, likes, which, seconds, load=0.85, slots=4)
    for job in jobs:
        job.priority = list(Priority)[int(rng.choice(3, p=[0.2, 0.6, 0.2]))]
        fails = int(rng.choice(3, p=[0.85, 0.1, 0.05]))
        early = tuple(float(part) * job.attempts[0] for part in rng.uniform(0.05, 1, fails))
        job.attempts = (*early, *job.attempts)
    return jobs, [1] * 4, []


def churn(rng: np.random.Generator) -> Cluster:
    """Workers join, drain and die while it runs."""
    likes, centres = _configs(rng, 25, 1.0)
    which = rng.integers(len(likes), size=_JOBS)
    seconds = np.exp(centres[which] + 0.4 * rng.standard_normal(_JOBS))
    jobs = _jobs(rng, likes, which, seconds, load=0.9, slots=5)
    span = max(job.submit_s for job in jobs)
    changes, there = [], 5
    for at in np.sort(rng.uniform(0, span, 16)):
        joins = there < 4 or (there < 7 and rng.random() < 0.5)
        changes.append(Change(float(at), "join" if joins else str(rng.choice(["drain", "die"]))))
        there += 1 if joins else -1
    return jobs, [1] * 5, changes


SCENARIOS: dict[str, Callable[[np.random.Generator], Cluster]] = {
    "heavy tails": heavy,
    "bimodal": bimodal,
    "bursts": bursts,
    "priorities, retries": priorities,
    "workers come and go": churn,
}


def _configs(
    rng: np.random.Generator, count: int, spread: float
) -> tuple[list[Likeness], np.ndarray]:
    """Likenesses of four tasks, and the logarithm of the median run time of each."""
    tasks = rng.integers(4, size=count)
    likes = [Likeness("any", f"task{task}", f"config{n}") for n, task in enumerate(tasks)]
    base = np.log(600) + 0.6 * rng.standard_normal(4)
    return likes, base[tasks] + spread * rng.standard_normal(count)


def _jobs(
    rng: np.random.Generator,
    likes: list[Likeness],
    which: np.ndarray,
    seconds: np.ndarray,
    *,
    load: float,
    slots: int,
    reports: float = 0.0,
) -> list[Job]:
    """Jobs that fill ``load`` of the slots on average, arriving at random."""
    gaps = rng.exponential(float(seconds.mean()) / slots / load, len(which))
    return [
        Job(
            number=number,
            submit_s=float(at),
            like=likes[config],
            priority=Priority.NORMAL,
            attempts=(float(duration),),
            honesty=float(np.exp(0.15 * rng.standard_normal())) if rng.random() < reports else None,
        )
        for number, (at, config, duration) in enumerate(
            zip(np.cumsum(gaps), which, seconds, strict=True)
        )
    ]
