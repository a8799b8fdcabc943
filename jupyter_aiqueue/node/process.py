"""Starting, recognising and ending the processes of a private node.

All of them (Erlang machine, its helpers, the port mapper) have the node's own folder as their
home directory. That tells them apart from everything else, also after a process id was reused.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from ..core.errors import NodeError

#: The shell leaves at once, so the program belongs to nobody and outlives its starter. The
#: limit on open files is set because Erlang closes every possible one, which takes minutes
#: where containers allow a thousand million, and because a desktop's 256 are too few.
_LAUNCH = """\
umask 077
ulimit -n 8192 2>/dev/null || ulimit -n "$(ulimit -H -n)" 2>/dev/null
log=$1; shift
"$@" </dev/null >>"$log" 2>&1 &
echo $!
"""
_LAUNCH_TIMEOUT = 10
_INTERVAL = 0.05
#: Seconds that helpers and killed processes get to disappear.
_GRACE = 5.0


def launch(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    keep_open: Sequence[int] = (),
) -> int:
    """Start ``command`` in a session of its own and return its process id.

    ``keep_open`` are descriptors that it inherits.
    """
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", _LAUNCH, "sh", str(log), *command],
            env=dict(environment),
            cwd=log.parent,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            start_new_session=True,
            pass_fds=keep_open,
            timeout=_LAUNCH_TIMEOUT,
            check=True,
        )
        return int(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise NodeError(
            f"{command[0]} could not be started ({type(error).__name__}). Check that it may be "
            "run, and that the number of processes is not limited too tightly (`ulimit -u`)."
        ) from error


def belonging(*homes: Path) -> list[psutil.Process]:
    """This user's living processes whose home directory is one of ``homes``."""
    return [process for process in psutil.process_iter() if _belongs(process, homes)]


def is_ours(pid: int, home: Path) -> bool:
    """Whether ``pid`` lives and is a process of the node, not a later one with its number."""
    try:
        return _belongs(psutil.Process(pid), (home,))
    except (psutil.NoSuchProcess, ValueError):
        return False


def _belongs(process: psutil.Process, homes: Sequence[Path]) -> bool:
    try:
        if process.uids().real != os.getuid() or not is_alive(process):
            return False
        names = [str(home) for home in homes]
        try:
            return process.environ().get("HOME") in names
        except psutil.AccessDenied:
            return any(name in process.cmdline() for name in names)
    except psutil.Error:
        return False


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; a zombie, which waits for its parent only, does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def stop_all(timeout: float, *homes: Path) -> bool:
    """End every process with one of these home directories; returns whether there was one.

    Erlang machines are asked first and get ``timeout`` seconds to close their files; their
    helpers follow them by themselves, the port mapper does not.
    """
    found = belonging(*homes)
    machines = [process for process in found if _is_machine(process)]
    _end(machines, timeout)
    _end(belonging(*homes), _GRACE)
    return bool(found)


def _is_machine(process: psutil.Process) -> bool:
    try:
        return process.name().startswith("beam")
    except psutil.Error:
        return False


def _end(processes: Iterable[psutil.Process], timeout: float) -> None:
    alive = list(processes)
    for send, seconds in ((psutil.Process.terminate, timeout), (psutil.Process.kill, _GRACE)):
        for process in alive:
            try:
                send(process)
            except psutil.NoSuchProcess:
                continue
        deadline = time.monotonic() + seconds
        while (alive := [one for one in alive if is_alive(one)]) and time.monotonic() < deadline:
            time.sleep(_INTERVAL)
