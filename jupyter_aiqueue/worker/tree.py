"""The processes of one run: finding all of them, measuring them, ending them."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

import psutil

from . import processes

_GONE = (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess, OSError)


class Tree:
    """A command and everything that it started.

    A process belongs to the tree if it is in the command's session, descends from it, or
    carries the run's mark in its environment: that also finds one that made a session of its
    own and lost its parent.

    Args:
        root: process id of the command, which leads its session.
        token: of the run, unique to it; its processes carry it in their environment.
    """

    def __init__(self, root: int, token: str) -> None:
        #: Bytes, the sum over all processes at the worst moment that was seen.
        self.peak_memory: int | None = None
        self._root = root
        self._mark = f"{processes.RUN}={token}"
        # psutil remembers when a process began, so that a number used again is not mistaken.
        self._known: dict[int, psutil.Process] = {}
        self._cpu: dict[int, float] = {}
        self._know(root)

    @property
    def cpu_s(self) -> float | None:
        """User + system seconds of every process that was seen, or None."""
        return sum(self._cpu.values()) if self._cpu else None

    def sample(self, *, whole: bool = True) -> None:
        """Measure memory and CPU; ``whole`` also looks for new descendants."""
        if whole:
            self._find(marked=False)
        memory = 0
        for pid, process in list(self._known.items()):
            with suppress(*_GONE):
                if not process.is_running():
                    continue
                times = process.cpu_times()
                self._cpu[pid] = times.user + times.system
                memory += self._memory(process)
        if memory:
            self.peak_memory = max(self.peak_memory or 0, memory)

    def members(self) -> list[psutil.Process]:
        """Every living process of the run except the command itself."""
        self._find(marked=True)
        return [
            process for pid, process in self._known.items() if pid != self._root and _lives(process)
        ]

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

    def _memory(self, process: psutil.Process) -> int:
        if processes.ON_LINUX and len(self._known) == 1:
            # The kernel's own high-water mark sees what passed between two samples.
            for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return int(process.memory_info().rss)

    def _find(self, *, marked: bool) -> None:
        """Get to know what belongs to the tree now; ``marked`` also reads environments."""
        rows = list(processes.table())
        mine = {pid for pid, process in self._known.items() if process.is_running()}
        mine.add(self._root)
        mine |= {row.pid for row in rows if row.session == self._root}
        if marked:
            others = (row.pid for row in rows if row.pid not in mine)
            mine |= {pid for pid in others if processes.carries(pid, self._mark)}
        for pid in processes.with_descendants(mine, rows) - self._known.keys():
            self._know(pid)

    def _know(self, pid: int) -> None:
        with suppress(*_GONE):
            self._known[pid] = psutil.Process(pid)


def _lives(process: psutil.Process) -> bool:
    with suppress(*_GONE):
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    return False
