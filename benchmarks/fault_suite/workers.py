"""Worker processes: started, brought to an end in every way, and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil

from .record import Life, Record

#: What the processes of a run carry in their environment.
MARK = "FAULTS_SUITE"

#: Seconds before an ended worker is started again.
_RESTART = 0.5

#: Command and environment of one process of a worker, by its number and incarnation.
Command = Callable[[int, int], tuple[list[str], dict[str, str]]]


class Crew:
    """Keeps a number of workers going until `stop`.

    Args:
        whole: kill a worker with all processes of its own below it, as when its machine goes
            down, instead of that one process.
    """

    def __init__(
        self, count: int, command: Command, record: Record, folder: Path, *, whole: bool = False
    ) -> None:
        self._command, self._record, self._folder = command, record, folder
        self._whole = whole
        self._stopping = threading.Event()
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._lives: dict[int, Life] = {}
        self._lock = threading.Lock()
        self._keepers = [
            threading.Thread(target=self._keep, args=(worker,), daemon=True)
            for worker in range(count)
        ]

    def start(self) -> None:
        """Start every worker."""
        for keeper in self._keepers:
            keeper.start()

    def kill(self, worker: int) -> None:
        """SIGKILL."""
        with self._lock:
            process = self._processes.get(worker)
            if process is None:
                return
            victims: list[psutil.Process] = []
            if self._whole:
                with suppress(psutil.Error):
                    victims = psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for victim in victims:
                with suppress(psutil.Error):
                    victim.kill()

    def signal(self, worker: int, number: int) -> int | None:
        """Send a signal; returns the process it went to."""
        with self._lock:
            process = self._processes.get(worker)
            if process is None or process.poll() is not None:
                return None
            process.send_signal(number)
            return process.pid

    def drain(self, worker: int) -> None:
        """SIGTERM: finish, or give back, and end."""
        with self._lock:
            life = self._lives.get(worker)
        if self.signal(worker, signal.SIGTERM) is not None and life is not None:
            life.drained = life.drained or time.time()

    def kill_child(self, worker: int, choice: int) -> int | None:
        """SIGKILL one of the jobs that a worker runs; returns its process id."""
        with self._lock:
            process = self._processes.get(worker)
        if process is None:
            return None
        jobs = sorted(_jobs_below(process.pid), key=lambda job: job.pid)
        if not jobs:
            return None
        victim = jobs[choice % len(jobs)]
        self._record.killed_children[victim.pid] = time.time()
        with suppress(psutil.Error):
            victim.kill()
        return victim.pid

    def stop(self, patience: float = 60.0) -> list[str]:
        """Have every worker end; returns sentences about those that had to be killed."""
        self._stopping.set()
        told: list[str] = []
        for worker in range(len(self._keepers)):
            self.drain(worker)
        for worker, keeper in enumerate(self._keepers):
            keeper.join(patience)
            if keeper.is_alive():
                told.append(f"worker {worker} did not end within {patience:.0f} s and was killed")
                self.kill(worker)
                keeper.join(10)
        return told

    def _keep(self, worker: int) -> None:
        incarnation = 0
        while not self._stopping.is_set():
            argv, environment = self._command(worker, incarnation)
            environment["FAULTS_WORKER"] = f"w{worker}.{incarnation}"
            with (self._folder / f"worker-{worker}.log").open("ab") as log:
                log.write(f"--- incarnation {incarnation}\n".encode())
                log.flush()
                process = subprocess.Popen(
                    argv,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    start_new_session=True,
                )
            life = self._record.lives_now(worker, process.pid)
            with self._lock:
                self._processes[worker], self._lives[worker] = process, life
            life.exit_code = process.wait()
            life.ended = time.time()
            with self._lock:
                del self._processes[worker], self._lives[worker]
            incarnation += 1
            self._stopping.wait(_RESTART)


def _jobs_below(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.Error):
        for process in psutil.Process(pid).children(recursive=True):
            with suppress(psutil.Error):
                if "--number" in process.cmdline() and process.ppid() != 1:
                    yield process


def marked(token: str) -> list[psutil.Process]:
    """Every living process of this run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get(MARK) == token:
                found.append(process)
    return found
