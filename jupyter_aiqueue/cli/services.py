"""What runs until it is told to stop: a worker, a recorder."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from .command import Commands

if TYPE_CHECKING:
    from ..core.job import JobRecord


def add_worker(commands: Commands) -> None:
    """``worker``."""
    worker = commands.add("worker", _worker, "Run jobs of a group, or of a plain producer's queue.")
    worker.add_argument("--group", help="worker group (default: the tasks file's, or train)")
    worker.add_argument(
        "--queue", action="append", default=[], metavar="NAME", help="also serve this plain queue"
    )
    worker.add_argument("--slots", type=int, help="jobs at a time (default: the tasks file's)")
    worker.add_argument(
        "--tasks", metavar="FILE", default="aiqueue.toml", help="tasks file (./aiqueue.toml)"
    )
    worker.add_argument("--name", help="name shown to users (default: host and random digits)")


def add_recorder(commands: Commands) -> None:
    """``recorder``."""
    commands.add(
        "recorder", _recorder, "Record job events beside notebooks, without a Jupyter server."
    )


def _worker(options: argparse.Namespace) -> int:
    from ..core.config import find_broker
    from ..worker.app import Worker, install_signal_handlers
    from ..worker.tasks import load_tasks

    find_broker()  # a broker that is not configured at all is an error now, not later
    tasks = load_tasks(options.tasks)
    group = options.group
    if group is None and tasks.group is None and not options.queue:
        group = "train"
    say: dict[str, Any] = {}
    if options.json:
        say["say"] = lambda line: print(json.dumps({"line": line}), flush=True)
    worker = Worker(
        find_broker,
        tasks,
        group=group,
        queues=options.queue,
        slots=options.slots,
        name=options.name,
        **say,
    )
    # Some supervisors ignore it, and their children inherit that: exit codes would be lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    install_signal_handlers(worker)
    return worker.run()


def _recorder(options: argparse.Namespace) -> int:
    from ..core.config import find_broker, find_inbox
    from ..core.recorder import Recorder

    def tell(record: JobRecord) -> None:
        if options.json:
            print(msgspec.json.encode(record).decode(), flush=True)
        else:
            where = record.ledger or "?"
            print(f"{record.job_id}  {record.state.value:<10} {where}", flush=True)

    stop = threading.Event()
    recorder = Recorder(find_broker, find_inbox(), on_change=tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    recorder.start()
    said, told = False, list[str]()
    while not stop.wait(1.0 if said else 0.05):
        if recorder.connected and not said:
            said = True  # only now is it true
            line = f"Recording the inbox {recorder.inbox!r}; Ctrl-C stops."
            print(line, file=sys.stderr, flush=True)
        for trouble in recorder.troubles:
            if trouble not in told:
                print(trouble, file=sys.stderr)
        told = recorder.troubles
    recorder.stop()
    return 0
