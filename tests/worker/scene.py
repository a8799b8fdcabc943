"""What the worker's tests play with: a child with many faces, a worker in a thread, a proxy."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import psutil
import requests

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Event, Kind, decode_event
from jupyter_aiqueue.core.job import Job, new_job_id, now
from jupyter_aiqueue.core.link import Link
from jupyter_aiqueue.core.message import Message, encode_job, routing_key
from jupyter_aiqueue.core.status import Heartbeat, decode_heartbeat
from jupyter_aiqueue.core.transport import Delivery, Session, connect
from jupyter_aiqueue.worker.app import Worker
from jupyter_aiqueue.worker.tasks import Tasks, load_tasks

T = TypeVar("T")

#: A child process that does as its flags say.
CHILD = """
import argparse, json, os, signal, subprocess, sys, time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--say")
parser.add_argument("--mark", type=Path)          # a line is appended at each start
parser.add_argument("--wait-for", type=Path)      # runs until this file is there
parser.add_argument("--sleep", type=float, default=0)
parser.add_argument("--report")
parser.add_argument("--deaf", action="store_true")
parser.add_argument("--spawn", type=Path)         # a grandchild in a session of its own
parser.add_argument("--environment", type=Path)
parser.add_argument("--model")
parser.add_argument("--data")
parser.add_argument("--epochs", type=int)
parser.add_argument("--allocate", type=int, default=0)
parser.add_argument("--exit-code", type=int, default=0)
parser.add_argument("--signal", type=int)
options = parser.parse_args()
if options.deaf:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if options.spawn:
    forever = ["-c", "import time; time.sleep(600)"]
    child = subprocess.Popen([sys.executable, *forever], start_new_session=True)
    options.spawn.write_text(f"{os.getpid()} {child.pid}")
if options.mark:
    with options.mark.open("a") as file:
        file.write(f"{os.environ['AIQUEUE_JOB_ID']} {os.environ['AIQUEUE_ATTEMPT']}\\n")
if options.environment:
    options.environment.write_text(json.dumps(dict(os.environ)))
if options.say:
    print(options.say, flush=True)
if options.report:
    with open(os.environ["AIQUEUE_REPORT"], "a") as file:
        file.write(options.report + "\\n")
block = b"x" * options.allocate
while options.wait_for and not options.wait_for.exists():
    time.sleep(0.02)
time.sleep(options.sleep)
if options.signal:
    os.kill(os.getpid(), options.signal)
sys.exit(options.exit_code)
"""

TASKS = """
default_task = "child"
[limits]
kill_after = 1.0
[lease]
time = 3
grace = 2
[tasks.child]
command = ["python", "child.py"]
[tasks.child.flags]
model_type = "--model"
data_path = "--data"
"""


def eventually(
    condition: Callable[[], T],
    message: str | Callable[[], str] = "it never happened",
    timeout: float = 30.0,
) -> T:
    """The first true value of ``condition``; fails with ``message`` after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            text = message if isinstance(message, str) else message()
            raise AssertionError(f"{text} within {timeout:.0f} s")
        time.sleep(0.02)


def make_tasks(folder: Path, text: str = TASKS) -> Tasks:
    (folder / "child.py").write_text(CHILD)
    file = folder / "aiqueue.toml"
    file.write_text(text)
    return load_tasks(file)


def make_job(config: dict[str, Any] | None = None, **fields: Any) -> Job:
    defaults = {"id": new_job_id(), "config": config or {}, "group": "train", "inbox": "tester"}
    return Job(**{**defaults, "submitted_at": now(), **fields})


class Tape:
    """Records every event that is published, and sends what the test wants sent."""

    def __init__(self, broker: Broker) -> None:
        self.events: list[Event] = []
        self.beats: list[Heartbeat] = []
        self.broker = broker
        self._up = threading.Event()
        self.link = Link(lambda: broker, "tape", setup=self._setup, on_up=self._up.set)
        self.link.start()
        assert self._up.wait(20), f"no connection: {self.link.error}"

    def _setup(self, session: Session) -> None:
        queue = session.temporary_queue([(topology.EVENTS, "#")], max_length=100_000)
        session.consume(queue, lambda d: self._event(session, d), prefetch=100)
        status = session.temporary_queue([(topology.STATUS, "worker.*")], max_length=100_000)
        session.consume(status, lambda d: self._beat(session, d), prefetch=100)

    def _event(self, session: Session, delivery: Delivery) -> None:
        session.ack(delivery)
        self.events.append(decode_event(delivery.message.body))

    def _beat(self, session: Session, delivery: Delivery) -> None:
        session.ack(delivery)
        self.beats.append(decode_heartbeat(delivery.message.body))

    def of(self, job_id: str, kind: Kind | None = None) -> list[Event]:
        """Events of one job; live ones only when asked for by kind."""
        return [
            event
            for event in self.events
            if event.job_id == job_id and (event.event is kind if kind else not event.event.is_live)
        ]

    def kinds(self, job_id: str) -> list[str]:
        return [event.event.value for event in self.of(job_id)]

    def end(self, job_id: str, timeout: float = 30.0) -> Event:
        """The end event of a job."""
        return eventually(
            lambda: [e for e in self.of(job_id) if e.event.is_final],
            lambda: f"job {job_id} did not end; its events: {self.kinds(job_id)}",
            timeout,
        )[0]

    def wait(self, job_id: str, kind: Kind, count: int = 1, timeout: float = 30.0) -> Event:
        """The ``count``-th event of a kind."""
        return eventually(
            lambda: self.of(job_id, kind)[count - 1 : count],
            lambda: f"no {kind.value} of {job_id}; its events: {self.kinds(job_id)}",
            timeout,
        )[0]

    def hear(self, exchange: str, key: str, read: Callable[[Message], T]) -> list[T]:
        """What ``read`` makes of each message that is published from now on."""
        heard: list[T] = []

        def listen(session: Session) -> None:
            def arrived(delivery: Delivery) -> None:
                session.ack(delivery)
                heard.append(read(delivery.message))

            session.consume(session.temporary_queue([(exchange, key)]), arrived)

        self.link.call(listen)
        return heard

    def submit(self, *jobs: Job) -> None:
        """Put jobs into their queues; no hint goes out, as after a retry."""
        for job in jobs:
            self.publish(topology.JOBS, routing_key(job), encode_job(job))

    def publish(self, exchange: str, key: str, message: Message) -> None:
        self.link.call(lambda s: s.publish(exchange, key, message, mandatory=True))

    def control(self, key: str, body: msgspec.Struct) -> None:
        message = Message(body=msgspec.json.encode(body))
        self.link.call(lambda s: s.publish(topology.CONTROL, key, message, mandatory=True))

    def ready(self, queue: str) -> int:
        return self.link.call(lambda s: s.count(queue)).ready

    def dead(self, group: str = "train") -> list[Message]:
        """Every dead letter, taken for good."""
        found = []
        with connect(self.broker, "dead letters") as session:
            while (delivery := session.get(topology.dead_queue(group))) is not None:
                session.ack(delivery)
                found.append(delivery.message)
        return found

    def close(self) -> None:
        self.link.close()


class Playing:
    """A worker in a thread of this process."""

    def __init__(self, broker: Broker, tasks: Tasks, **options: Any) -> None:
        self.lines: list[str] = []
        options = {"group": "train", "find": lambda: broker, **options}
        self.worker = Worker(tasks=tasks, say=self.lines.append, **options)
        self.code: int | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        self.code = self.worker.run()

    def said(self, text: str, count: int = 1, timeout: float = 30.0) -> str:
        """The ``count``-th line that holds ``text``."""
        return eventually(
            lambda: [line for line in self.lines if text in line][count - 1 : count],
            lambda: f"the worker did not say {text!r}; it said {self.lines}",
            timeout,
        )[0]

    def ended(self, timeout: float = 40.0) -> int:
        """Its exit code."""
        self._thread.join(timeout)
        assert not self._thread.is_alive(), f"the worker goes on; it said {self.lines}"
        assert self.code is not None, f"the worker crashed; it said {self.lines}"
        return self.code


@contextmanager
def playing(broker: Broker, tasks: Tasks, **options: Any) -> Iterator[Playing]:
    """A worker that is connected, and stopped at the end of the block."""
    scene = Playing(broker, tasks, **options)
    try:
        scene.said("connected to")
        yield scene
    finally:
        scene.worker.stop_now()
        scene.ended()


class Proxy:
    """A TCP proxy in front of the broker, to be cut and mended."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._open: list[socket.socket] = []
        self._cut = False
        self._server = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._server.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._cut:
                near.close()
                continue
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65_536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End every connection, take no new ones."""
        self._cut = True
        for one in self._open:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._open.clear()

    def mend(self) -> None:
        self._cut = False

    def close(self) -> None:
        self.cut()
        self._server.close()


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def pids(file: Path) -> list[int]:
    """Process ids that a child wrote with ``--spawn``: its own and the grandchild's."""
    text = eventually(lambda: file.exists() and file.read_text(), f"no {file.name}")
    return [int(word) for word in str(text).split()]


def marks(file: Path) -> list[str]:
    """Lines that children wrote with ``--mark``: job id and attempt, in order of starting."""
    return file.read_text().splitlines() if file.exists() else []


def account(broker: Broker) -> tuple[str, str]:
    return broker.username, broker.password


def management(broker: Broker, path: str) -> Any:
    """Ask the management API."""
    assert broker.management_url is not None
    answer = requests.get(f"{broker.management_url}/api/{path}", auth=account(broker), timeout=10)
    answer.raise_for_status()
    return answer.json()


def environment(**extra: str) -> dict[str, str]:
    """For a worker in a process of its own."""
    here = str(Path(__file__).parents[2])
    return {**os.environ, "PYTHONPATH": here, "PYTHONUNBUFFERED": "1", **extra}


def body(**config: Any) -> bytes:
    return json.dumps(config).encode()
