"""Making trouble: every kind of fault, as the schedule says, on what runs."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Protocol

from .proxy import Route
from .record import Happening, Record
from .schedule import FaultKind, PlannedFault, Schedule
from .workers import Crew

#: Seconds that everything takes longer on a slow connection, each way and per piece.
_DELAY = 0.15

#: Seconds that a fault may last longer than it should: a broker has to start, others wait.
_OVERTIME = 180.0


class Brokers(Protocol):
    """What is asked of the broker's processes (see ``tests/brokers.py``)."""

    def kill(self) -> None:
        """End all of it with SIGKILL."""

    def start(self) -> object:
        """Start it again; returns when it answers."""

    def kill_member(self, number: int) -> None:
        """End one node with SIGKILL."""

    def start_member(self, number: int) -> object:
        """Start that node again; returns when it answers."""


class Recorders(Protocol):
    """What is asked of who records."""

    def start_server(self) -> None:
        """Start it."""

    def kill_server(self) -> None:
        """SIGKILL."""

    def let_a_recorder_die(self) -> str:
        """Have one die between writing and acknowledging."""


class Injector:
    """Injects the faults of a schedule, each in a thread of its own.

    Args:
        routes: for every worker, its ways to the nodes of the broker.
        recorders: None where nothing of the kind is.
    """

    def __init__(
        self,
        schedule: Schedule,
        record: Record,
        crew: Crew,
        routes: list[list[Route]],
        brokers: Brokers,
        recorders: Recorders | None,
    ) -> None:
        self._schedule, self._record, self._crew = schedule, record, crew
        self._routes, self._brokers, self._recorders = routes, brokers, recorders
        self._network = [threading.Lock() for _ in routes]
        self._everything, self._recording = threading.Lock(), threading.Lock()
        self._threads: list[tuple[PlannedFault, threading.Thread]] = []
        self._errors: list[str] = []
        self._kinds: dict[FaultKind, Callable[[PlannedFault, Happening], None]] = {
            FaultKind.KILL_WORKER: self._kill_worker,
            FaultKind.KILL_CHILD: self._kill_child,
            FaultKind.PAUSE_WORKER: self._pause_worker,
            FaultKind.DRAIN_WORKER: self._drain_worker,
            FaultKind.CUT: self._disturb,
            FaultKind.SILENCE: self._disturb,
            FaultKind.SLOW: self._disturb,
            FaultKind.RESTART_BROKER: self._stop_broker,
            FaultKind.BROKER_AWAY: self._stop_broker,
            FaultKind.LOSE_NODE: self._lose_node,
            FaultKind.KILL_SERVER: self._kill_server,
            FaultKind.KILL_RECORDER: self._kill_recorder,
        }

    def run(self, beginning: float) -> list[str]:
        """Inject all of them, and return when the last one is over.

        Args:
            beginning: when the schedule began; monotonic seconds.

        Returns:
            A sentence for every fault that could not be injected.
        """
        for fault in self._schedule.faults:
            time.sleep(max(0.0, beginning + fault.at - time.monotonic()))
            thread = threading.Thread(target=self._inject, args=(fault,), daemon=True)
            thread.start()
            self._threads.append((fault, thread))
        for fault, thread in self._threads:
            thread.join(fault.seconds + _OVERTIME)
            if thread.is_alive():
                self._errors.append(f"{fault.kind.value} has not come to its end")
        return self._errors

    def _inject(self, fault: PlannedFault) -> None:
        happening = self._record.happens(fault.kind.value, fault.target)
        try:
            self._kinds[fault.kind](fault, happening)
        except Exception as error:
            self._errors.append(f"{fault.kind.value} failed: {error!r}")
        finally:
            happening.ended = time.time()

    def _kill_worker(self, fault: PlannedFault, _: Happening) -> None:
        assert fault.target is not None
        self._crew.kill(fault.target)

    def _kill_child(self, fault: PlannedFault, happening: Happening) -> None:
        assert fault.target is not None
        # Whoever runs something, beginning with the target.
        for step in range(self._schedule.workers):
            worker = (fault.target + step) % self._schedule.workers
            pid = self._crew.kill_child(worker, choice=int(fault.at * 100))
            if pid is not None:
                happening.target, happening.note = worker, f"process {pid}"
                return
        happening.note = "no job was running"

    def _pause_worker(self, fault: PlannedFault, _: Happening) -> None:
        assert fault.target is not None
        outage = self._record.out(fault.target)
        self._crew.signal(fault.target, signal.SIGSTOP)
        time.sleep(fault.seconds)
        # A worker that was started meanwhile is not harmed by it.
        self._crew.signal(fault.target, signal.SIGCONT)
        outage.ended = time.time()

    def _drain_worker(self, fault: PlannedFault, _: Happening) -> None:
        assert fault.target is not None
        self._crew.drain(fault.target)

    def _disturb(self, fault: PlannedFault, happening: Happening) -> None:
        assert fault.target is not None
        with self._network[fault.target]:
            happening.began = time.time()
            outage = None if fault.kind is FaultKind.SLOW else self._record.out(fault.target)
            for route in self._routes[fault.target]:
                if fault.kind is FaultKind.CUT:
                    route.cut()
                elif fault.kind is FaultKind.SILENCE:
                    route.silence()
                else:
                    route.slow(_DELAY)
            time.sleep(fault.seconds)
            for route in self._routes[fault.target]:
                route.heal()
            if outage is not None:
                outage.ended = time.time()

    def _stop_broker(self, fault: PlannedFault, happening: Happening) -> None:
        with self._everything:
            happening.began = time.time()
            outage = self._record.out()
            self._brokers.kill()
            time.sleep(fault.seconds)
            self._brokers.start()
            outage.ended = time.time()

    def _lose_node(self, fault: PlannedFault, happening: Happening) -> None:
        assert fault.target is not None
        with self._everything:
            happening.began = time.time()
            self._brokers.kill_member(fault.target)
            time.sleep(fault.seconds)
            self._brokers.start_member(fault.target)

    def _kill_server(self, _: PlannedFault, happening: Happening) -> None:
        if self._recorders is not None:
            with self._recording:
                happening.began = time.time()
                self._recorders.kill_server()
                self._recorders.start_server()

    def _kill_recorder(self, _: PlannedFault, happening: Happening) -> None:
        if self._recorders is not None:
            with self._recording:
                happening.began = time.time()
                happening.note = self._recorders.let_a_recorder_die()
