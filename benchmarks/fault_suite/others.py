"""What Celery and Dramatiq have in common here: the body of their task, and what is looked at.

Their tasks run the same job script as a subprocess. It is killed together with whoever started
it (prctl(2), PR_SET_PDEATHSIG): neither library looks after processes of a killed worker, and
what is compared is the queues. How a job ended, they write down in a file, on disk before the
task returns, with the same care that our recorder takes.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from abc import abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AIQueueError
from jupyter_aiqueue.core.transport import connect

from .contender import SCRIPT, Contender
from .count import Final
from .schedule import PlannedJob

#: Seconds between attempts: what ours have, too.
DELAYS = (1, 2, 3)

_PR_SET_PDEATHSIG = 1

_URL = "FAULTS_URL"


class Failed(Exception):
    """The job script ended with another exit code than 0."""


def config_of(job: PlannedJob) -> dict[str, Any]:
    """The arguments of the task."""
    return {
        "number": job.number,
        "kind": job.kind.value,
        "seconds": job.seconds,
        "grandchild": job.grandchild,
        "retries": job.max_attempts - 1,
    }


def work(config: dict[str, Any], attempt: int) -> None:
    """Run the job script.

    Raises:
        Failed: it failed, and may be tried again; the last time this was written down.
    """
    argv = [sys.executable, "-S", str(SCRIPT), "--number", str(config["number"])]
    argv += ["--kind", config["kind"], "--seconds", str(config["seconds"])]
    argv += ["--grandchild"] if config["grandchild"] else []
    environment = {**os.environ, "FAULTS_ATTEMPT": str(attempt)}
    done = subprocess.run(argv, env=environment, preexec_fn=_die_with_parent, check=False)
    if done.returncode == 0:
        _write_down("succeeded", config["number"], attempt)
        return
    last = attempt > config["retries"]
    if last:
        _write_down("dead", config["number"], attempt)
    raise Failed(f"exit code {done.returncode}")


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _write_down(state: str, number: int, attempt: int) -> None:
    line = f"{time.time():.6f} {state} {number} {attempt}\n"
    path = f"{os.environ['FAULTS_FOLDER']}/outcomes.log"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(file, line.encode())
    os.fsync(file)
    os.close(file)


def broker_url() -> str:
    """Where the worker, or who submits, reaches the broker."""
    return os.environ[_URL]


class Other(Contender):
    """A contender whose tasks are made of `work`."""

    killed_whole = True

    def prepare(self) -> None:
        """Tell this process where the broker is."""
        os.environ[_URL] = self._url(self.broker.hosts[0])

    def environment(self, hosts: list[tuple[str, int]]) -> dict[str, str]:
        """Of a worker."""
        root = str(Path(__file__).parents[2])
        return {**os.environ, _URL: self._url(hosts[0]), "PYTHONPATH": root}

    def finals(self) -> dict[int, list[Final]]:
        """What the tasks wrote down."""
        found: dict[int, list[Final]] = {}
        file = self.folder / "outcomes.log"
        for line in file.read_text().splitlines() if file.exists() else []:
            _, state, number, _ = line.split()
            found.setdefault(int(number), []).append(Final(state=state))
        return found

    def waiting(self) -> int:
        """Messages in the queues that the library made."""
        with connect(self.broker, "fault suite, counting") as session:
            return sum(session.count(queue).ready for queue in self.queues(self.broker))

    def left(self) -> set[int]:
        """Looks into the queues that the library made."""
        return self.look_into(
            self.queues(self.broker), lambda message: self.number_of(json.loads(message.body))
        )

    def queues(self, broker: Broker) -> list[str]:
        """Queues in which jobs wait."""
        names = self.possible_queues()
        with connect(broker, "fault suite, looking for queues") as session:
            return [name for name in names if session.exists(name)]

    @abstractmethod
    def possible_queues(self) -> list[str]:
        """Queues in which jobs may wait."""

    @abstractmethod
    def number_of(self, message: Any) -> int:
        """The number of the job in a message, decoded from JSON."""

    def close(self) -> None:
        """Delete the queues."""
        for queue in self.queues(self.broker):
            with suppress(AIQueueError), connect(self.broker, "fault suite, leaving") as session:
                session.delete(queue)

    def _url(self, host: tuple[str, int]) -> str:
        user = f"{self.broker.username}:{quote(self.broker.password, safe='')}"
        vhost = quote(self.broker.vhost, safe="")
        return f"amqp://{user}@{host[0]}:{host[1]}/{vhost}"
