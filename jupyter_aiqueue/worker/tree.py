"""The processes of one run: finding all of them, measuring them, ending them."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError)

#: Linux; elsewhere psutil is asked.
_PROC = Path("/proc")
_ON_LINUX = (_PROC / "self" / "environ").exists()


class Tree:
    """A command and everything that it started.

    A process belongs to the tree if it is in the command's session, descends from it, or
    carries the run's mark in its environment: that also finds one that made a session of its
    own and lost its parent.

    Args:
        root: process id of the command, which leads its session.
        mark: an environment entry that is unique to the run, ``NAME=value``.
    """

    def __init__(self, root: int, mark: str) -> None:
        self.peak_memory: int | None = None
        self._root = root
        self._mark = mark.encode()
        self._known: dict[int, psutil.Process] = {}
        self._cpu: dict[int, float] = {}
        with suppress(*_GONE):
            self._known[root] = psutil.Process(root)

    @property
    def cpu_s(self) -> float | None:
        """User + system seconds of every process that was seen, or None."""
        return sum(self._cpu.values()) if self._cpu else None

    def sample(self, *, whole: bool = True) -> None:
        """Measure memory and CPU; ``whole`` also looks for new descendants."""
        if whole:
            self._look_for_children()
        memory = 0
        for process in list(self._known.values()):
            with suppress(*_GONE):
                times = process.cpu_times()
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    memory += self._memory(process)
                self._cpu[process.pid] = times.user + times.system
        if memory:
            self.peak_memory = max(self.peak_memory or 0, memory)

    def _memory(self, process: psutil.Process) -> int:
        if process.pid == self._root and _ON_LINUX and len(self._known) == 1:
            # The kernel's own high-water mark sees what passed between two samples.
            for line in (_PROC / str(process.pid) / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return int(process.memory_info().rss)

    def members(self) -> list[psutil.Process]:
        """Every living process of the run except the command itself."""
        self._look_for_children()
        for pid in psutil.pids():
            if pid not in self._known and self._belongs(pid):
                with suppress(*_GONE):
                    self._known[pid] = psutil.Process(pid)
        return [p for p in self._living(self._known.values()) if p.pid != self._root]

    def signal(self, number: int) -> None:
        """Send a signal to every living process of the run, the command first."""
        others = self.members()
        root = self._known.get(self._root)
        for process in ([root] if root is not None else []) + others:
            with suppress(*_GONE):
                process.send_signal(number)
                if number == signal.SIGTERM:
                    # A stopped process would only see it when it is continued.
                    process.send_signal(signal.SIGCONT)

    def _look_for_children(self) -> None:
        children: dict[int, list[psutil.Process]] = {}
        for pid in psutil.pids():
            with suppress(*_GONE):
                process = psutil.Process(pid)
                children.setdefault(process.ppid(), []).append(process)
        todo = [p.pid for p in self._living(self._known.values())] + [self._root]
        while todo:
            for child in children.pop(todo.pop(), ()):
                self._known.setdefault(child.pid, child)
                todo.append(child.pid)

    def _belongs(self, pid: int) -> bool:
        try:
            if os.getsid(pid) == self._root:
                return True
            if _ON_LINUX:
                return self._mark in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
            name, _, value = self._mark.decode().partition("=")
            return psutil.Process(pid).environ().get(name) == value
        except _GONE:
            return False

    @staticmethod
    def _living(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
        living = []
        for process in list(processes):
            with suppress(*_GONE):
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    living.append(process)
        return living
