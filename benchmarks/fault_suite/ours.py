"""jupyter_aiqueue itself: workers by the command line, a Jupyter server that records."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pika

from jupyter_aiqueue import __version__
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.client import Client
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AIQueueError
from jupyter_aiqueue.core.job import JobRecord, Priority
from jupyter_aiqueue.core.ledger import Ledger, ledger_path, read_ledger
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Session, connect

from .contender import SCRIPT, UNKNOWN, Contender, NotSubmitted
from .count import Final
from .faults import Recorders
from .schedule import PlannedJob, Schedule

GROUP, INBOX = "train", "faults"

#: Seconds before the second, third, … attempt.
RETRY_DELAYS = (1, 2, 3)

_TASKS = """\
[tasks.job]
command = ["python", "-S", {script}]
[limits]
kill_after = 1.0
drain = 3.0
[lease]
time = {lease.time}
renew = {lease.renew}
grace = {lease.grace}
"""

_DYING_RECORDER = Path(__file__).with_name("dying_recorder.py")


class Ours(Contender):
    """Our workers, our recorder, our ledger."""

    name = "jupyter-aiqueue"

    def __init__(self, schedule: Schedule, broker: Broker, folder: Path) -> None:
        super().__init__(schedule, broker, folder)
        self.notebook = folder / "work" / "train.ipynb"
        self._client: Client | None = None
        self._server: subprocess.Popen[bytes] | None = None
        #: Numbers by job id.
        self.ids: dict[str, int] = {}
        self._ledger = Ledger(ledger_path(self.notebook))
        self._rabbitmq = "?"

    def settings(self) -> dict[str, str]:
        """What is set apart from the defaults, too."""
        lease = self.schedule.lease
        return {
            "jupyter-aiqueue": __version__,
            "pika": pika.__version__,
            "RabbitMQ": self._rabbitmq,
            "Python": platform.python_version(),
            "lease": f"time {lease.time:g} s, renewed every {lease.renew:g} s, "
            f"grace {lease.grace:g} s",
            "queues": "quorum",
        }

    def prepare(self) -> None:
        """Provision, write the tasks file, start the server that records."""
        provision(self.broker, Catalog(groups=(GROUP,), retry_delays=RETRY_DELAYS))
        with connect(self.broker, "fault suite") as session:
            self._rabbitmq = session.version or "?"
        self.notebook.parent.mkdir()
        self.notebook.write_text(
            '{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
        )
        (self.folder / "aiqueue.toml").write_text(
            _TASKS.format(script=json.dumps(str(SCRIPT)), lease=self.schedule.lease)
        )
        os.environ.update(self._environment("client", self.broker.hosts))
        self._client = Client(inbox=INBOX, notebook=self.notebook, record=False)
        self.start_server()

    def worker(
        self, worker: int, incarnation: int, hosts: list[tuple[str, int]]
    ) -> tuple[list[str], dict[str, str]]:
        """As a person starts it; some keep their name, some share a data folder."""
        # The last two share a folder, as workers of one account on one machine do.
        home = f"worker-{worker if worker < self.schedule.workers - 2 else 'shared'}"
        name = f"w{worker}" if worker % 2 else f"w{worker}-{incarnation}"
        argv = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", GROUP]
        argv += ["--tasks", str(self.folder / "aiqueue.toml"), "--name", name]
        argv += ["--slots", str(self.schedule.slots)]
        return argv, {**os.environ, **self._environment(home, tuple(hosts))}

    def submit(self, job: PlannedJob) -> None:
        """As a notebook does, and as often as a notebook would: once."""
        assert self._client is not None
        config: dict[str, object] = {
            "number": job.number,
            "kind": job.kind.value,
            "seconds": job.seconds,
        }
        if job.grandchild:
            config["grandchild"] = True
        made = self._client.make_job(
            "job", config, group=GROUP, priority=job.priority, retries=job.max_attempts - 1
        )
        self.ids[made.id] = job.number
        try:
            self._client.submit(
                "job",
                config,
                group=GROUP,
                priority=job.priority,
                retries=job.max_attempts - 1,
                job_id=made.id,
            )
        except AIQueueError as error:
            raise NotSubmitted(str(error)) from error

    def finals(self) -> dict[int, list[Final]]:
        """From the ledger beside the notebook."""
        with suppress(AIQueueError):
            self._ledger.refresh()
        return {
            self.ids[job_id]: [Final(state=record.state.value, attempt=record.attempt)]
            for job_id, record in self._ledger.records.items()
            if record.state.is_final and job_id in self.ids
        }

    def all_finals(self) -> dict[int, list[Final]]:
        """Every end event in any ledger of the run, read as a stranger would."""
        found: dict[int, list[Final]] = {}
        for file in sorted(self.folder.rglob("*.jobs.jsonl")):
            for event in read_ledger(file):
                if event.event.is_final and event.job_id in self.ids:
                    found.setdefault(self.ids[event.job_id], []).append(
                        Final(state=event.event.value, attempt=event.attempt)
                    )
        return found

    def waiting(self) -> int:
        """Messages that nobody holds, in every queue that jobs wait in."""
        with connect(self.broker, "fault suite, counting") as session:
            return sum(session.count(queue).ready for queue in self._queues(session))

    def left(self) -> set[int]:
        """Looks into every queue that jobs wait in."""
        with connect(self.broker, "fault suite, looking for queues") as session:
            queues = self._queues(session)
        return self.look_into(queues, self._number)

    def recorders(self) -> Recorders:
        """Itself: it keeps the server."""
        return self

    def letters(self) -> set[int]:
        """Looks into the dead queue."""
        return self.look_into([topology.dead_queue(GROUP)], self._number)

    def close(self) -> None:
        """Stop the server."""
        if self._client is not None:
            self._client.close()
        self.kill_server()

    # -- the recorder --------------------------------------------------------------------

    def start_server(self) -> None:
        """A Jupyter server with the extension, which records."""
        argv = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"]
        argv += [
            f"--ServerApp.root_dir={self.notebook.parent}",
            "--ServerApp.port=0",
            "--ServerApp.jpserver_extensions={'jupyter_aiqueue': True}",
            f"--AIQueueExtension.inbox={INBOX}",
        ]
        self._server = self._run(argv)

    def kill_server(self) -> None:
        """SIGKILL."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()

    def let_a_recorder_die(self, patience: float = 20.0) -> str:
        """Record in a process that dies after the next write, before it acknowledges."""
        self.kill_server()
        argv = [sys.executable, str(_DYING_RECORDER), INBOX]
        process = self._run(argv)
        try:
            code = process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return "nothing came to be recorded"
        finally:
            self.start_server()
        return f"died with {code}"

    def _run(self, argv: list[str]) -> subprocess.Popen[bytes]:
        with (self.folder / "recorder.log").open("ab") as log:
            environment = {**os.environ, **self._environment("client", self.broker.hosts)}
            return subprocess.Popen(argv, env=environment, stdout=log, stderr=log)

    # -- sending back --------------------------------------------------------------------

    def retry(self, job_id: str, changes: dict[str, Any]) -> JobRecord:
        """Send an ended job back with changed parameters; what came of it."""
        assert self._client is not None
        handle = self._client.retry(job_id, changes)
        return handle.wait(timeout=120)

    # -- small things --------------------------------------------------------------------

    def _environment(self, home: str, hosts: tuple[tuple[str, int], ...]) -> dict[str, str]:
        user = f"{self.broker.username}:{quote(self.broker.password, safe='')}"
        vhost = quote(self.broker.vhost, safe="")
        folder = self.folder / home
        found = {"AIQUEUE_URL": " ".join(f"amqp://{user}@{h}:{p}/{vhost}" for h, p in hosts)}
        for name in ("DATA", "RUNTIME", "CONFIG"):
            target = folder / name.lower()
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            found[f"JUPYTER_{name}_DIR"] = str(target)
        return found

    def _queues(self, session: Session) -> list[str]:
        queues = [topology.work_queue(GROUP, priority) for priority in Priority]
        queues += [topology.retry_queue(delay) for delay in RETRY_DELAYS]
        names = {f"w{worker}" for worker in range(self.schedule.workers)}
        for folder in self.folder.glob("worker-*.log"):
            number = folder.stem.removeprefix("worker-")
            incarnations = folder.read_text(errors="replace").count("--- incarnation ")
            names |= {f"w{number}-{one}" for one in range(incarnations)}
        leases = [topology.lease_queue(name) for name in sorted(names)]
        return queues + [queue for queue in leases if session.exists(queue)]

    def _number(self, message: Message) -> int:
        return self.ids.get(message.message_id or "", UNKNOWN)
