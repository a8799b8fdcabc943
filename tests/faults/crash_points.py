"""Points at which a worker or recorder dies, each as Python to run first in that process.

The product has no switches for this: a process is started as a person does it, after the patch
of the point has been applied in it. At each point it kills itself with SIGKILL, so that nothing
of it can tidy up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from worker.scene import environment, eventually

_DIE = """
import os, signal
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.transport import Session
from jupyter_aiqueue.worker.claim import Claim
from jupyter_aiqueue.worker import lease
from jupyter_aiqueue.worker.desk import Desk
from jupyter_aiqueue.worker.lease import Leases
from jupyter_aiqueue.worker.takeover import Takeover

lease.SAFE = 0.0  # the broker lives

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def die_after(kind, name, when=lambda *a, **k: True):
    work = getattr(kind, name)
    def fatal(*arguments, **named):
        work(*arguments, **named)
        if when(*arguments, **named):
            die()
    setattr(kind, name, fatal)
"""

#: A message was taken, its job not started.
TAKEN = "Desk._execute = die"

#: Its run folder was made, and nothing written into it.
FOLDER_MADE = """
from jupyter_aiqueue.worker.folder import RunFolder
die_after(RunFolder, "make")
"""

#: The child runs, and nobody was told.
CHILD_STARTED = """
from jupyter_aiqueue.worker.run import Run
die_after(Run, "start")
"""

#: A message that is to be leased before its job begins was sent, and is not acknowledged.
SENT_HOME = """
die_after(Leases, "send_home")
"""

#: It has arrived.
CAME_HOME = "Desk._returned = die"

#: Every broker is slow.
SLOW = """
from jupyter_aiqueue.worker import desk
desk.SLOW = -1.0
"""

#: The copy that renews a lease is confirmed, and has not arrived.
RENEWAL_SENT = """
def of_a_lease(self, session, claim):
    return claim.delivery.queue == self._mine.name
die_after(Leases, "renew", of_a_lease)
"""

#: Everything about the end of a run is confirmed (an end event; or an event and a copy for the
#: next attempt), and the message is not acknowledged.
END_SENT = """
flush = Claim.flush
def flush_and_die(self, session):
    real = session.ack
    def ack(delivery):
        # The run may end while this one flushes what was before.
        if self.ended and self.begun and not self._steps:
            die()
        real(delivery)
    session.ack = ack
    try:
        flush(self, session)
    finally:
        session.ack = real
Claim.flush = flush_and_die
"""

#: The event that tells of a retry is confirmed, the copy for it not published.
RETRY_TOLD = """
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.worker import settle
publish = settle.publish_event
def publish_and_die(session, event):
    publish(session, event)
    if event.event is Kind.RETRYING:
        die()
settle.publish_event = publish_and_die
"""

#: The dead letter is confirmed, and nobody was told that the job is dead.
LETTER_KEPT = """
die_after(Session, "publish", lambda self, exchange, *a, **k: exchange == topology.DEAD)
"""

#: Others were asked about a message, and may be answering.
ASKED = 'die_after(Takeover, "_ask")'

#: The message was handed over to the worker that runs its job, and is not acknowledged.
HANDED_OVER = """
def not_itself(self, session, worker, *_):
    return worker != self._worker
die_after(Leases, "send", not_itself)
"""

_WORK = """
import sys
from jupyter_aiqueue.cli import main
sys.exit(main(["worker", "--group", "train", *sys.argv[1:]]))
"""

#: Events are written, not on disk for sure, and not acknowledged.
WRITTEN = """
import os, signal
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
os.fsync = die
"""

#: Events are on disk and not acknowledged.
SYNCED = """
import os, signal
from jupyter_aiqueue.core.recorder import Recorder
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
Recorder._ack = die
"""

_RECORD = """
import time
from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.recorder import Recorder
Recorder(find_broker, "me").start()
time.sleep(60)
"""


class Patched:
    """A process that was patched before anything of ours ran in it."""

    def __init__(self, program: str, arguments: Sequence[str], extra: dict[str, str]) -> None:
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            env=environment(**extra),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def said(self, text: str) -> None:
        """Read its console up to a line that holds ``text``."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            if text in line:
                return
        raise AssertionError(f"it did not say {text!r}; it said {self._lines}")

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait(10)

    def drain(self, timeout: float = 20.0) -> str:
        """Tell it to stop; returns all that it said."""
        self.process.terminate()
        rest, _ = self.process.communicate(timeout=timeout)
        return "".join(self._lines) + rest

    def dies(self, timeout: float = 20.0) -> None:
        """Wait until it has killed itself."""
        try:
            rest, _ = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(
                f"it lives, so it never came to the point; it said {self._lines}"
            ) from None
        code = self.process.returncode
        assert code == -signal.SIGKILL, f"it ended with {code}: {self._lines} {rest}"


@contextmanager
def patched_worker(
    patch: str,
    tasks: Path,
    *,
    name: str = "patched",
    data: Path | None = None,
    broker: str | None = None,
) -> Iterator[Patched]:
    """A worker that is connected, after ``patch`` was run in its process.

    Args:
        data: its data folder, for a worker of another machine; None is that of the test, which
            all workers of one account on one machine share.
        broker: the URL of the broker, if not that of the environment.
    """
    extra = {} if data is None else {"JUPYTER_DATA_DIR": str(data)}
    extra |= {} if broker is None else {"AIQUEUE_URL": broker}
    one = Patched(_DIE + patch + _WORK, ["--tasks", str(tasks), "--name", name], extra)
    try:
        one.said("connected to")
        yield one
    finally:
        _end(one)


@contextmanager
def doomed_worker(
    point: str, tasks: Path, *, name: str = "doomed", data: Path | None = None
) -> Iterator[Patched]:
    """A worker that is connected, and dies at ``point``."""
    with patched_worker(point, tasks, name=name, data=data) as one:
        yield one


@contextmanager
def doomed_recorder(point: str) -> Iterator[Patched]:
    """A recorder of the inbox ``me`` that dies at ``point``."""
    one = Patched(point + _RECORD, [], {})
    try:
        yield one
    finally:
        _end(one)


def _end(one: Patched) -> None:
    with suppress(psutil.NoSuchProcess):
        one.process.kill()
    with suppress(ValueError):  # read to its end before
        one.process.communicate(timeout=20)


def left_behind(job_id: str) -> list[int]:
    """Processes of a job that still live."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get("AIQUEUE_JOB_ID") == job_id:
                found.append(process.pid)
    return found


def nothing_left_behind(job_id: str) -> None:
    """A killed worker's children are gone, too."""
    eventually(lambda: not left_behind(job_id), lambda: f"processes live: {left_behind(job_id)}")


def own_data(folder: Path) -> Path:
    """A data folder as another machine has it."""
    data = folder / f"data{os.urandom(2).hex()}"
    data.mkdir()
    return data
