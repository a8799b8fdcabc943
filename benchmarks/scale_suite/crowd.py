"""Many Jupyter servers or workers in one process, each with the product's own connections.

    python -m benchmarks.scale_suite.crowd KIND FIRST COUNT FOLDER

They are started a few at a time; then ``ready`` is printed, and they go on until standard input
ends. What is left out is what never reaches the broker: HTTP, and a worker's warden process.
"""

from __future__ import annotations

import os
import resource
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from jupyter_aiqueue.core import transport
from jupyter_aiqueue.core.config import Broker, find_broker
from jupyter_aiqueue.core.errors import BrokerError
from jupyter_aiqueue.core.load import Load
from jupyter_aiqueue.core.monitor import Monitor
from jupyter_aiqueue.core.recorder import Recorder
from jupyter_aiqueue.core.transport import Session, connect
from jupyter_aiqueue.worker import app
from jupyter_aiqueue.worker.tasks import load_tasks
from jupyter_aiqueue.worker.warden import Warden

#: Of what is not served by any worker that has something to do.
GROUP = "infer"

#: So many of one process connect at a time.
_AT_ONCE = 10

#: Seconds between two looks at a connection in the pool, and how many of them connect between
#: two: well within their heartbeat.
_SERVED, _KEPT_ALIVE = 5.0, 40

#: Seconds for each to connect, for one answer of a broker that thousands ask at once, and between
#: two looks of an open panel.
_PATIENCE, _ANSWER, _LOOKS = 300.0, 60.0, 5.0


def _find() -> Broker:
    return msgspec.structs.replace(find_broker(), connect_timeout=_ANSWER)


class _NoWarden(Warden):
    """Nothing is run here, so that nothing outlives it."""

    def start(self) -> None:
        pass

    def check(self) -> None:
        pass


def idle(first: int, count: int) -> list[Callable[[], bool]]:
    """Jupyter servers at which nobody looks: recorders."""
    found: list[Callable[[], bool]] = []
    for number in range(first, first + count):
        recorder = Recorder(_find, f"crowd{number}")
        recorder.start()
        found.append(partial(getattr, recorder, "connected"))
        if number % _AT_ONCE == 0:
            _wait(found[-1:])
    return found


def pooled(first: int, count: int) -> list[Callable[[], bool]]:
    """The same connections with one thread for all: thousands of threads are no measurement."""
    broker = _find()
    sessions = []
    for number in range(first, first + count):
        sessions.append(_session(broker, f"crowd{number}"))
        if number % _KEPT_ALIVE == 0:
            _serve(sessions)

    def serve() -> None:
        while True:
            _serve(sessions)
            time.sleep(_SERVED)

    threading.Thread(target=serve, daemon=True).start()
    return []


def _session(broker: Broker, inbox: str) -> Session:
    """The connection of a recorder; one that is given up is made anew, as its link does."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            session = connect(broker, f"jupyter_aiqueue recorder {inbox}")
            Recorder(_find, inbox)._setup(session)
            return session
        except BrokerError as error:
            if time.monotonic() > deadline:
                sys.exit(f"crowd: {inbox} could not connect. {error}")


def _serve(sessions: list[Session]) -> None:
    for session in sessions:
        session.pump(0.0)


def looking(first: int, count: int) -> list[Callable[[], bool]]:
    """Jupyter servers with an open panel: a recorder and a monitor each."""
    found = idle(first, count)
    monitors = []
    seen: set[int] = set()
    for number in range(count):

        def told(load: Load, number: int = number) -> None:
            msgspec.json.encode(load)  # as it goes to the browser
            seen.add(number)

        monitor = Monitor(_find, on_load=told)
        monitor.start()
        monitors.append(monitor)
        found.append(partial(seen.__contains__, number))

    def look() -> None:
        while True:
            for monitor in monitors:
                monitor.look(0.0)
            time.sleep(_LOOKS)

    threading.Thread(target=look, daemon=True).start()
    return found


def workers(first: int, count: int, folder: Path) -> list[Callable[[], bool]]:
    """Idle workers of a group for which nothing is submitted."""
    setattr(app, "Warden", _NoWarden)  # noqa: B010
    tasks = load_tasks(folder / "aiqueue.toml")
    found: list[Callable[[], bool]] = []
    for number in range(first, first + count):
        connected = threading.Event()

        def say(line: str, connected: threading.Event = connected) -> None:
            if "connected" in line:
                connected.set()

        worker = app.Worker(_find, tasks, group=GROUP, slots=1, name=f"crowd{number}", say=say)
        threading.Thread(target=worker.run, daemon=True).start()
        found.append(connected.is_set)
        if number % _AT_ONCE == 0:
            _wait(found[-1:])
    return found


def _wait(connected: list[Callable[[], bool]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    for one in connected:
        while not one():
            if time.monotonic() > deadline:
                sys.exit("crowd: not everybody could connect")
            time.sleep(0.02)


def main() -> None:
    """Start them, say so, and wait."""
    kind, first, count, folder = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    threading.stack_size(256 * 1024)
    transport.OPERATION_TIMEOUT = _ANSWER
    if kind == "workers":
        _wait(workers(first, count, Path(folder)))
    else:
        _wait({"idle": idle, "pooled": pooled, "looking": looking}[kind](first, count))
    print("ready", flush=True)
    with suppress(KeyboardInterrupt):
        sys.stdin.read()
    os._exit(0)  # a thousand polite farewells take minutes


if __name__ == "__main__":
    main()
