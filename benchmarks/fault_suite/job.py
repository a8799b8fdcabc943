"""What the workers of the suite run: a job that does as it is told, and bears witness.

Every execution appends its own lines to one file, on disk before anything else is done, so that
what really ran is known from nobody's messages::

    <time> <what> <number> <job id> <attempt> <worker> <process id>

``what``: ``start``, ``overlap`` (another execution of this job was alive at the start: a lock of
the operating system says so, no clock), ``done``, ``fail``, ``crash``, ``murder``, ``term`` (it was
asked to stop). An execution that was killed has no last line.

Standard library only, and little of it: it is started hundreds of times.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import time


def option(name: str) -> str:
    """The value of ``--name VALUE``."""
    return sys.argv[sys.argv.index(f"--{name}") + 1]


FOLDER = os.environ["FAULTS_FOLDER"]
NUMBER, KIND, SECONDS = option("number"), option("kind"), float(option("seconds"))
ATTEMPT = int(os.environ.get("AIQUEUE_ATTEMPT") or os.environ["FAULTS_ATTEMPT"])
JOB_ID = os.environ.get("AIQUEUE_JOB_ID") or os.environ.get("FAULTS_JOB_ID") or NUMBER


def witness(what: str) -> None:
    """Append one line, on disk when this returns."""
    worker = os.environ["FAULTS_WORKER"]
    line = f"{time.time():.6f} {what} {NUMBER} {JOB_ID} {ATTEMPT} {worker} {os.getpid()}\n"
    file = os.open(f"{FOLDER}/executions.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.fsync(file)
    os.close(file)


def asked_to_stop(*_: object) -> None:
    """Leave as a good program does."""
    witness("term")
    os._exit(143)


def murder() -> None:
    """Kill the worker that runs this job; nobody else, should it be gone already."""
    parent = os.getppid()
    mark = f"FAULTS_SUITE={os.environ['FAULTS_SUITE']}".encode()
    try:
        file = os.open(f"/proc/{parent}/environ", os.O_RDONLY)
        ours = mark in os.read(file, 1_000_000).split(b"\0")
        os.close(file)
    except OSError:
        ours = False
    if ours:
        os.kill(parent, signal.SIGKILL)


def main() -> int:
    """Run the job; returns its exit code."""
    lock = os.open(f"{FOLDER}/locks/{NUMBER}", os.O_RDWR | os.O_CREAT, 0o600)
    signal.signal(signal.SIGTERM, asked_to_stop)
    witness("start")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        witness("overlap")
    if "--grandchild" in sys.argv and os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.close(lock)
        time.sleep(600)
        os._exit(0)
    time.sleep(SECONDS)
    if KIND == "crashing":
        witness("crash")
        os.kill(os.getpid(), signal.SIGKILL)
    if KIND == "killer":
        witness("murder")
        murder()
        time.sleep(600)
    if KIND == "failing" or (KIND == "flaky" and ATTEMPT == 1):
        witness("fail")
        return 3
    witness("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
