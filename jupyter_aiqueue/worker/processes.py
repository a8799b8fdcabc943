"""The processes of this machine, and ending those that carry a mark in their environment.

Also a program, which `warden` starts: ``processes.py NAME=value`` waits for the end of its
standard input and then ends every process that carries the mark. Lines that it reads there are
``+PID``, a process that leads a session to be ended too, ``-PID``, one that is no more, and
``.``, the worker ends well. It shall be small and start at once, so there is little here but
the system's own calls.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Iterable, Iterator

#: Environment variables that tell whose a process is: of which run, of which worker.
RUN = "AIQUEUE_RUN"
WORKER = "AIQUEUE_WORKER"

#: Linux tells everything in files; elsewhere psutil is asked, which takes longer.
ON_LINUX = os.path.exists("/proc/self/environ")  # noqa: PTH110 (pathlib is slow to load)

#: Milliseconds between two looks at what the worker has said; its end is seen at once.
_HEAR = 1000

#: Seconds between looks while processes are being ended.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.03, 0.5


class Row:
    """One process. ``started`` tells it from a later one of the same number."""

    __slots__ = ("parent", "pid", "session", "started", "zombie")

    def __init__(self, pid: int, parent: int, session: int, started: float, zombie: bool) -> None:
        self.pid, self.parent, self.session = pid, parent, session
        self.started, self.zombie = started, zombie


def row(pid: int) -> Row | None:
    """The process with this number, or None if there is none that may be looked at.

    ``started`` is in ticks of the kernel's clock on Linux, elsewhere in seconds since 1970.
    """
    if not ON_LINUX:
        return _row_of_psutil(pid)
    data = _read(f"/proc/{pid}/stat")
    if not data:
        return None
    # The name, in parentheses, may hold anything (proc_pid_stat(5)).
    stat = data.rpartition(b")")[2].split()
    return Row(pid, int(stat[1]), int(stat[3]), int(stat[19]), stat[0] in b"ZX")


def table() -> Iterator[Row]:
    """Every process of this machine."""
    if ON_LINUX:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208
    else:
        import psutil

        numbers = psutil.pids()
    return (found for found in map(row, numbers) if found is not None)


def carries(pid: int, mark: str) -> bool:
    """Whether the process has ``mark``, an entry ``NAME=value``, in its environment.

    False also for processes of others, and for a moment for one that is just becoming another
    program (execve(2)).
    """
    if ON_LINUX:
        return mark.encode() in _read(f"/proc/{pid}/environ").split(b"\0")
    import psutil

    name, _, value = mark.partition("=")
    try:
        return bool(psutil.Process(pid).environ().get(name) == value)
    except (psutil.Error, OSError):
        return False


def with_descendants(pids: set[int], rows: list[Row]) -> set[int]:
    """``pids`` and everything that descends from them."""
    children: dict[int, list[int]] = {}
    for found in rows:
        children.setdefault(found.parent, []).append(found.pid)
    family, todo = set(pids), list(pids)
    while todo:
        for child in children.pop(todo.pop(), ()):
            family.add(child)
            todo.append(child)
    return family


def end_marked(
    mark: str,
    leaders: Iterable[Row] = (),
    *,
    kill_after: float = 2.0,
    quiet: float = 0.0,
    within: float = 60.0,
) -> int:
    """End every process that carries ``mark``, their sessions, and what descends from them.

    They are asked first (SIGTERM) and killed after ``kill_after`` seconds. This returns when
    none has been there for ``quiet`` seconds, or after ``within`` seconds.

    Args:
        leaders: processes whose sessions are to be ended too, marked or not: a program that
            changes its own title may overwrite its environment with that.

    Returns:
        How many are left, which cannot be killed.
    """
    begun = seen_at = time.monotonic()
    known = {(leader.pid, leader.started) for leader in leaders}
    sessions = {leader.pid: leader.started for leader in leaders}
    asked: set[tuple[int, float]] = set()
    refused: set[tuple[int, float]] = set()
    pause = _FIRST_PAUSE
    while True:
        family = [f for f in _family(mark, known, sessions) if (f.pid, f.started) not in refused]
        moment = time.monotonic()
        if family:
            seen_at = moment
        if (not family and moment - seen_at >= quiet) or moment - begun > within:
            return len(family)
        for found in family:
            key = (found.pid, found.started)
            known.add(key)
            if moment - begun >= kill_after:
                sent = _send(found.pid, signal.SIGKILL)
            elif key not in asked:
                asked.add(key)
                # A stopped process would only see it when it is continued.
                sent = _send(found.pid, signal.SIGTERM) and _send(found.pid, signal.SIGCONT)
            else:
                continue
            if not sent:
                refused.add(key)
        time.sleep(pause)
        pause = min(_LONGEST_PAUSE, pause * 1.1)


def _family(mark: str, known: set[tuple[int, float]], sessions: dict[int, float]) -> list[Row]:
    rows = list(table())
    us = os.getpid()
    mine = {f.pid for f in rows if (f.pid, f.started) in known}
    marked = [f for f in rows if f.pid != us and not f.zombie and carries(f.pid, mark)]
    mine |= {f.pid for f in marked}
    # The number of a session is not given away while it has members. One that is a process'
    # own again, of another start, is another session.
    others = {f.pid for f in rows if sessions.get(f.pid, f.started) != f.started}
    ours = ({f.session for f in marked} | sessions.keys() - others) - {0, os.getsid(0)}
    mine |= {f.pid for f in rows if f.session in ours}
    mine = with_descendants(mine, rows) - {us, 1}
    return [f for f in rows if f.pid in mine and not f.zombie]


def _send(pid: int, number: int) -> bool:
    """Whether the signal could be sent; a process that is gone counts as such."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    return True


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (pathlib is slow to load)
            return file.read()
    except OSError:
        return b""


def _row_of_psutil(pid: int) -> Row | None:
    import psutil

    try:
        process = psutil.Process(pid)
        zombie = process.status() == psutil.STATUS_ZOMBIE
        return Row(pid, process.ppid(), os.getsid(pid), process.create_time(), zombie)
    except (psutil.Error, OSError):
        return None


def _heard(worker: select.poll) -> bytes:
    """What the worker said next; empty when it is gone and nothing is left."""
    # Not at once: when a run starts, the machine is its child's.
    while not worker.poll(_HEAR) and not select.select([0], [], [], 0)[0]:
        pass
    return os.read(0, 4096)


def main() -> None:
    """Keep watch over the worker that holds the other end of standard input."""
    # What a terminal or a supervisor sends to everybody is meant for the worker.
    for meant_for_worker in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(meant_for_worker, signal.SIG_IGN)
    leaders: dict[int, Row] = {}
    ends_well = False
    rest = b""
    worker = select.poll()
    worker.register(0, 0)  # for its end, not for what it says
    while chunk := _heard(worker):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            word, number = line[:1], int(line[1:] or 0)
            leader = row(number) if word == b"+" else leaders.pop(number, None)
            if word == b"+" and leader is not None:
                leaders[number] = leader
            ends_well = word == b"."
    # A worker that was killed may have been starting a process, which shows no mark before it
    # has become the program that it is to be.
    end_marked(sys.argv[1], leaders.values(), quiet=0.0 if ends_well else 1.0)


if __name__ == "__main__":
    main()
