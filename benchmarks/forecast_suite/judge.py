"""Makes a forecast of each job from what is known at that moment, and judges it at the end."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from benchmarks.forecast_suite.cluster import Change, Cluster, Job
from jupyter_aiqueue.core.forecast import (
    Arrivals,
    Range,
    ReturningJob,
    Run,
    RunningJob,
    RunTimes,
    Situation,
    TrackRecord,
    Turnover,
    WaitingJob,
    WorkerSlots,
    forecast,
)
from jupyter_aiqueue.core.forecast.line import Line
from jupyter_aiqueue.core.job import Priority

_ORDER = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(frozen=True)
class Verdict:
    """One forecast beside its rivals and the truth; seconds from the moment it was made."""

    job: Job
    at: float
    #: 0 to 1: the part of the run's jobs that had been submitted.
    phase: float
    at_once: bool
    start_range: Range
    finish_range: Range
    naive_start: float
    naive_finish: float
    oracle_start: float
    #: What the forecast took to compute.
    cost_s: float

    @property
    def start(self) -> float:
        """When it started."""
        return cast("float", self.job.first_start) - self.at

    @property
    def finish(self) -> float:
        """When it ended."""
        return cast("float", self.job.end) - self.at

    @property
    def oracle_finish(self) -> float:
        """The oracle knows the job's own attempts, too."""
        return self.oracle_start + sum(self.job.attempts)


class Judge:
    """Watches one cluster of one group.

    A job that is submitted before there is any history is looked at again while it waits: at
    each end of a job, one of them, whichever. Each job is forecast once.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: Sequence[int],
        changes: Sequence[Change] = (),
        *,
        seed: int = 0,
    ) -> None:
        self.verdicts: list[Verdict] = []
        self._jobs, self._group = len(jobs), jobs[0].like.group if jobs else ""
        self._history, self._track = RunTimes(), TrackRecord()
        self._arrivals, self._turnover = Arrivals(), Turnover()
        self._later: dict[Job, None] = {}
        self._total, self._runs, self._seen = 0.0, 0, 0
        self._random = random.Random(seed)
        self.cluster = Cluster(
            jobs,
            workers,
            changes,
            submitted=self._submitted,
            joined=lambda job: self._arrivals.add(job.priority, self.cluster.now),
            started=self._started,
            ended=self._ended,
            seed=seed,
        )
        self.cluster.run()

    @property
    def unknown(self) -> int:
        """Jobs that never got a forecast of their start."""
        return self._jobs - len(self.verdicts)

    def _submitted(self, job: Job) -> None:
        self._seen += 1
        if not self._look(job, None):
            self._later[job] = None

    def _started(self, job: Job) -> None:
        self._later.pop(job, None)
        self._track.started(str(job.number), self.cluster.now)

    def _ended(self, job: Job, seconds: float, failed: bool) -> None:
        self._history.add(Run(like=job.like, seconds=seconds, failed=failed))
        self._total, self._runs = self._total + seconds, self._runs + 1
        if job.end is not None:
            self._track.finished(str(job.number), self.cluster.now)
        if self._later:
            chosen = self._random.choice(list(self._later))
            line = self.cluster.lines[chosen.priority]
            if chosen in line and self._look(chosen, line.index(chosen)):
                del self._later[chosen]

    def _look(self, job: Job, place: int | None) -> bool:
        now = self.cluster.now
        situation = self._situation()
        began = time.perf_counter()
        told = forecast(
            situation,
            _waiting(job),
            self._history,
            self._track,
            place=place,
            now=now,
            seed=job.number,
        )
        cost = time.perf_counter() - began
        if told.start is None or told.finish is None:
            return False
        self._track.made(str(job.number), self._group, told, now)
        mean = self._total / self._runs
        slots = sum(worker.slots for worker in situation.workers if not worker.draining)
        naive = told.ahead * mean / slots
        self.verdicts.append(
            Verdict(
                job=job,
                at=now,
                phase=self._seen / self._jobs,
                at_once=told.at_once,
                start_range=told.start,
                finish_range=told.finish,
                naive_start=naive,
                naive_finish=naive + mean,
                oracle_start=self._oracle(job, place),
                cost_s=cost,
            )
        )
        return True

    def _situation(self) -> Situation:
        cluster = self.cluster
        slots = sum(worker.slots for worker in cluster.workers if not worker.draining)
        self._turnover.count(slots, cluster.now)
        joins, leaves = self._turnover.rates(cluster.now)
        return Situation(
            group=self._group,
            workers=tuple(
                WorkerSlots(worker=w.name, slots=w.slots, draining=w.draining)
                for w in cluster.workers
            ),
            running=tuple(
                RunningJob(
                    like=job.like,
                    worker=worker.name,
                    elapsed_s=cluster.now - cast("float", job.begun),
                    progress=job.progress(cluster.now),
                    attempt=job.attempt,
                )
                for worker in cluster.workers
                for job in worker.running
            ),
            waiting={p: tuple(_waiting(job) for job in line) for p, line in cluster.lines.items()},
            returning=tuple(
                ReturningJob(job=_waiting(job), after_s=at - cluster.now)
                for job, at in cluster.returning.items()
            ),
            arrivals=self._arrivals.rates(cluster.now),
            joins=joins,
            leaves=leaves,
            retry_delays=cluster.retry_delays,
        )

    def _oracle(self, job: Job, place: int | None) -> float:
        """The start if nothing more came, from the true run times of all that is there."""
        cluster = self.cluster
        free: list[float] = []
        for worker in cluster.workers:
            if not worker.draining:
                left = [cast("float", j.begun) + j.seconds - cluster.now for j in worker.running]
                free += left + [0.0] * (worker.slots - len(left))
        ready, seconds = [], []
        for priority in _ORDER:
            line = list(cluster.lines[priority])
            if priority is job.priority:
                line = [*line[:place], job]
            ready.append(np.zeros((len(line), 1)))
            seconds.append(np.array([other.seconds for other in line], float).reshape(-1, 1))
        cls = _ORDER.index(job.priority)
        line_ = Line(ready, seconds)
        random = np.random.default_rng(job.number)
        return float(line_.start(np.array([free]), cls, len(seconds[cls]) - 1, random)[0])


def _waiting(job: Job) -> WaitingJob:
    return WaitingJob(
        like=job.like, priority=job.priority, attempt=job.attempt, max_attempts=job.max_attempts
    )
