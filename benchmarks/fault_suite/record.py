"""What really happened, as far as the suite itself did it or saw it."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import msgspec


class Happening(msgspec.Struct, kw_only=True):
    """A fault as it was injected; Unix times."""

    kind: str
    began: float
    ended: float | None = None
    target: int | None = None
    note: str | None = None


class Life(msgspec.Struct, kw_only=True):
    """One process of a worker."""

    worker: int
    incarnation: int
    pid: int
    began: float
    ended: float | None = None
    exit_code: int | None = None
    #: When it was told to stop.
    drained: float | None = None

    @property
    def name(self) -> str:
        """As jobs write it down."""
        return f"w{self.worker}.{self.incarnation}"


class Outage(msgspec.Struct, kw_only=True):
    """A time in which a worker could not speak; None: all workers."""

    began: float
    ended: float | None = None
    worker: int | None = None


class Record:
    """The record of one run; thread-safe."""

    def __init__(self) -> None:
        self.happenings: list[Happening] = []
        self.lives: list[Life] = []
        self.outages: list[Outage] = []
        #: When jobs' processes were killed, by process id.
        self.killed_children: dict[int, float] = {}
        self._lock = threading.Lock()

    def happens(self, kind: str, target: int | None = None) -> Happening:
        """A fault begins now."""
        happening = Happening(kind=kind, began=time.time(), target=target)
        with self._lock:
            self.happenings.append(happening)
        return happening

    def lives_now(self, worker: int, pid: int) -> Life:
        """A process of ``worker`` was started now."""
        with self._lock:
            incarnation = sum(life.worker == worker for life in self.lives)
            life = Life(worker=worker, incarnation=incarnation, pid=pid, began=time.time())
            self.lives.append(life)
        return life

    def out(self, worker: int | None = None) -> Outage:
        """``worker``, or everybody, is cut off from now on, until ``ended`` is set."""
        outage = Outage(began=time.time(), worker=worker)
        with self._lock:
            self.outages.append(outage)
        return outage

    def life(self, name: str) -> Life | None:
        """The process that jobs called ``name``."""
        return next((life for life in self.lives if life.name == name), None)

    def outages_of(self, worker: int, since: float, until: float) -> list[tuple[float, float]]:
        """The times in between in which ``worker`` could not speak, joined, in order."""
        found: list[tuple[float, float]] = []
        for outage in sorted(self.outages, key=lambda outage: outage.began):
            ended = until if outage.ended is None else outage.ended
            if outage.worker not in (None, worker) or outage.began >= until or ended <= since:
                continue
            began, ended = max(since, outage.began), min(until, ended)
            if found and began <= found[-1][1]:
                began, ended = found[-1][0], max(ended, found.pop()[1])
            found.append((began, ended))
        return found

    def longest_outage(self, worker: int, since: float, until: float) -> float:
        """The longest time in between in which ``worker`` could not speak, seconds."""
        outages = self.outages_of(worker, since, until)
        return max((ended - began for began, ended in outages), default=0.0)

    def longest_reach(self, worker: int, since: float, until: float) -> float:
        """The longest time in between in which ``worker`` could speak, seconds."""
        edges = [(since, since), *self.outages_of(worker, since, until), (until, until)]
        return max(
            (after[0] - before[1] for before, after in pairwise(edges)),
            default=0.0,
        )
