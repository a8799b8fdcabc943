"""A cluster that is not there: one group's lines and workers, event by event."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from jupyter_aiqueue.core.forecast import Likeness
from jupyter_aiqueue.core.job import Priority

#: As in `jupyter_aiqueue.worker.take`.
_FAIRNESS = 10

#: Seconds until the job of a worker that is gone is back in line: its lease.
_LEASE = 60.0

_ORDER = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


@dataclass(eq=False)
class Job:
    """One job with everything that will be true of it, and what has become of it."""

    number: int
    submit_s: float
    like: Likeness
    priority: Priority
    #: Seconds of each attempt; all but the last fail.
    attempts: tuple[float, ...]
    max_attempts: int = 3
    #: How true its reports of progress are: it reports ``(elapsed / total) ** honesty``; None
    #: for one that reports nothing.
    honesty: float | None = None
    attempt: int = 1
    begun: float | None = None
    first_start: float | None = None
    end: float | None = None

    @property
    def seconds(self) -> float:
        """How long the attempt takes that is next or runs now."""
        return self.attempts[min(self.attempt, len(self.attempts)) - 1]

    def progress(self, at: float) -> float | None:
        """What it has reported by now."""
        if self.honesty is None or self.begun is None or self.seconds <= 0:
            return None
        return float(min(0.99, (at - self.begun) / self.seconds) ** self.honesty)


@dataclass(eq=False)
class Worker:
    """One worker, from when it joins to when it drains or dies."""

    name: str
    slots: int
    draining: bool = False
    takes: int = 0
    running: list[Job] = field(default_factory=list)


@dataclass(frozen=True)
class Change:
    """A worker joins, drains or dies (the oldest that is still there)."""

    at: float
    what: str
    slots: int = 1


class Cluster:
    """Plays submissions and changes of workers through to the end.

    Args:
        submitted: called before a job joins its line for the first time.
        joined: called when a job joins its line, each time.
        started: called when an attempt begins.
        ended: called when an attempt came to its own end; whether it failed; before the slot
            is filled again.
    """

    def __init__(
        self,
        jobs: Sequence[Job],
        workers: Sequence[int],
        changes: Sequence[Change] = (),
        *,
        retry_delays: Sequence[float] = (10.0, 60.0, 300.0),
        submitted: Callable[[Job], None],
        joined: Callable[[Job], None],
        started: Callable[[Job], None],
        ended: Callable[[Job, float, bool], None],
        seed: int = 0,
    ) -> None:
        self.now = 0.0
        self.lines: dict[Priority, deque[Job]] = {priority: deque() for priority in _ORDER}
        self.workers = [Worker(f"w{number}", slots) for number, slots in enumerate(workers)]
        #: Jobs that will be back in line, and when.
        self.returning: dict[Job, float] = {}
        self.retry_delays = tuple(retry_delays)
        self._submitted, self._joined = submitted, joined
        self._started, self._ended = started, ended
        self._random = random.Random(seed)
        for worker in self.workers:
            worker.takes = self._random.randrange(_FAIRNESS)
        self._named = len(self.workers)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        for job in jobs:
            self._at(job.submit_s, lambda job=job: self._submit(job))  # type: ignore[misc]
        for change in changes:
            self._at(change.at, lambda change=change: self._change(change))  # type: ignore[misc]

    def run(self) -> None:
        """Play until nothing is left to happen."""
        while self._events:
            self.now, _, happen = heapq.heappop(self._events)
            happen()
            self._take()

    def _at(self, time: float, happen: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, happen))

    def _submit(self, job: Job) -> None:
        self._submitted(job)
        self._join(job)

    def _join(self, job: Job) -> None:
        self.returning.pop(job, None)
        self.lines[job.priority].append(job)
        self._joined(job)

    def _return(self, job: Job, after: float) -> None:
        self.returning[job] = self.now + after
        self._at(self.now + after, lambda: self._join(job))

    def _take(self) -> None:
        while any(self.lines.values()):
            idle = [w for w in self.workers if not w.draining and len(w.running) < w.slots]
            if not idle:
                return
            self._start(self._random.choice(idle))

    def _start(self, worker: Worker) -> None:
        order = _ORDER if worker.takes % _FAIRNESS != _FAIRNESS - 1 else _ORDER[::-1]
        worker.takes += 1
        job = next(self.lines[p] for p in order if self.lines[p]).popleft()
        job.begun = self.now
        job.first_start = self.now if job.first_start is None else job.first_start
        worker.running.append(job)
        self._started(job)
        begun = self.now
        self._at(self.now + job.seconds, lambda: self._end(worker, job, begun))

    def _end(self, worker: Worker, job: Job, begun: float) -> None:
        if job not in worker.running or job.begun != begun:
            return  # the worker died before
        worker.running.remove(job)
        if worker.draining and not worker.running:
            self.workers.remove(worker)
        failed = job.attempt < len(job.attempts)
        seconds = self.now - begun
        if failed:
            job.attempt += 1
            self._return(job, self.retry_delays[min(job.attempt - 1, len(self.retry_delays)) - 1])
        else:
            job.end = self.now
        self._ended(job, seconds, failed)

    def _change(self, change: Change) -> None:
        if change.what == "join":
            self.workers.append(Worker(f"w{self._named}", change.slots))
            self._named += 1
            return
        staying = [worker for worker in self.workers if not worker.draining]
        if len(staying) < 2:
            return  # somebody has to finish the work
        worker = staying[0]
        if change.what == "drain" and worker.running:
            worker.draining = True
            return
        self.workers.remove(worker)
        lost, worker.running = worker.running, []
        for job in lost:
            self._return(job, _LEASE)
