"""What a Jupyter server more costs, and a worker more: messages, bytes, CPU.

    python benchmarks/scale.py [--json] [--servers 5000] [--looking 300] [--workers 1000]
                               [--collector 1000] [--seconds 12]

On a private node of its own, with a real worker that runs a short job every second. Step by step
as many servers or workers as the options allow join (10, 100, 1,000, 5,000 idle servers; 10, 100,
300 that are looked at; 10, 30, 100, 300, 1,000 workers); after each step everybody is left alone
for some seconds and measured:

* *idle* servers record (one connection each); nobody looks at them;
* *looking* servers have an open panel, and ask for the load;
* *workers* are idle ones, with their heartbeats.

At last the collector itself is measured, with 100 workers that have something to do and 1,000
jobs in three lines: its CPU, how long its turns compute, and how large its snapshots are.

They are simulated in that many of them share a process; what they say to the broker is said by
the product's own recorder, monitor and worker. CPU is in percent of one core. Messages are what
the broker took in and gave out, bytes what went over its sockets.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import options, private_node, report
from benchmarks.scale_suite.busy import busy
from jupyter_aiqueue import Client, node
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerError
from jupyter_aiqueue.core.management import Management
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.node import layout
from jupyter_aiqueue.node import process as node_process

STEPS = {
    "idle": (10, 100, 1000, 5000),
    "looking": (10, 100, 300),
    "workers": (10, 30, 100, 300, 1000),
}

#: Simulated ones of one process.
_PER_PROCESS = {"idle": 500, "pooled": 1000, "looking": 125, "workers": 100}

#: Idle servers with threads of their own; the connections of further ones share a thread.
_THREADS = 1000

#: Open files of the broker for each: its connections, and what its queues write.
_FILES = {"idle": 3, "looking": 4, "workers": 3}

#: The broker's limit of open files: with many more, Erlang takes long to start.
_MOST_FILES = 65_536

#: Seconds in which the collector keeps what it has learnt at least once.
_LORE = 20.0

#: Seconds for the broker's statistics to catch up: it gathers them every five.
_SETTLE = 6.0

_TASKS = '[tasks.nothing]\ncommand = ["true"]\n'


@dataclass
class Row:
    """What was measured with so many; ``None`` where there is nothing to compare with."""

    kind: str
    count: int
    connections: int
    messages_per_s: float
    kbytes_per_s: float
    broker_cpu: float
    #: Of one of the crowd, and of the worker that collects.
    one_cpu: float | None
    collector_cpu: float
    #: Of the broker, megabytes.
    memory_mb: float
    #: More for each one than with none of them.
    messages_each: float | None = None
    bytes_each: float | None = None
    broker_cpu_each: float | None = None
    kbytes_memory_each: float | None = None


@dataclass
class _Counters:
    at: float
    messages: float
    octets: float
    connections: int
    broker: float
    crowd: float
    collector: float
    memory: float


class Scene:
    """A private node with one real worker, and crowds that come and go."""

    def __init__(self, broker: Broker, folder: Path, seconds: float) -> None:
        self._management = Management(broker, timeout=120.0)
        self._folder, self._seconds = folder, seconds
        running = node.status()
        assert running is not None
        self._broker = psutil.Process(running.pid)
        self.collector: psutil.Process | None = None
        self._crowd: list[subprocess.Popen[str]] = []
        self._pools: list[subprocess.Popen[str]] = []
        self._members = 0

    def grow(self, kind: str, count: int) -> bool:
        """Have ``count`` of them; whether the broker bears it."""
        while self._members < count:
            how = "pooled" if kind == "idle" and self._members >= _THREADS else kind
            more = min(_PER_PROCESS[how], count - self._members)
            line = [sys.executable, "-m", "benchmarks.scale_suite.crowd", how]
            line += [str(self._members), str(more), str(self._folder)]
            process = subprocess.Popen(
                line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
            )
            (self._pools if how == "pooled" else self._crowd).append(process)
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                return False
            self._members += more
        return True

    def scatter(self) -> None:
        """Have none."""
        for process in [*self._crowd, *self._pools]:
            process.kill()
            process.wait()
        self._crowd, self._pools, self._members = [], [], 0

    def row(self, kind: str, count: int, before: Row | None) -> Row:
        """Leave everybody alone for a while, and measure."""
        time.sleep(_SETTLE)
        one = self._counters()
        time.sleep(self._seconds)
        two = self._counters()
        span = two.at - one.at
        lively = min(count, _THREADS) if kind == "idle" else count
        row = Row(
            kind=kind,
            count=count,
            connections=two.connections,
            messages_per_s=round((two.messages - one.messages) / span, 2),
            kbytes_per_s=round((two.octets - one.octets) / span / 1000, 2),
            broker_cpu=round(100 * (two.broker - one.broker) / span, 2),
            one_cpu=round(100 * (two.crowd - one.crowd) / span / lively, 4) if lively else None,
            collector_cpu=round(100 * (two.collector - one.collector) / span, 2),
            memory_mb=round(two.memory / 1e6),
        )
        if before is not None and count:
            row.messages_each = round((row.messages_per_s - before.messages_per_s) / count, 3)
            row.bytes_each = round(1000 * (row.kbytes_per_s - before.kbytes_per_s) / count, 1)
            row.broker_cpu_each = round((row.broker_cpu - before.broker_cpu) / count, 4)
            row.kbytes_memory_each = round(1000 * (row.memory_mb - before.memory_mb) / count)
        return row

    def _counters(self) -> _Counters:
        stats = self._management.get("/api/overview").get("message_stats") or {}
        names = "publish", "deliver", "deliver_no_ack", "get", "get_no_ack"
        request = {"columns": "recv_oct,send_oct"}
        found = self._management.request("GET", "/api/connections", params=request).json()
        known = [one for one in found if one]  # one that has told nothing yet is an empty list
        return _Counters(
            at=time.monotonic(),
            messages=sum(stats.get(name, 0) for name in names),
            octets=sum(one.get("recv_oct", 0) + one.get("send_oct", 0) for one in known),
            connections=len(found),
            broker=_cpu(self._broker),
            crowd=sum(_cpu(psutil.Process(process.pid)) for process in self._crowd),
            collector=_cpu(self.collector) if self.collector else 0.0,
            memory=self._broker.memory_info().rss,
        )


def _cpu(process: psutil.Process) -> float:
    """Seconds of CPU that it has used, what it started included."""
    times = process.cpu_times()
    used = times.user + times.system + times.children_user + times.children_system
    return float(used)


@contextmanager
def _worker(folder: Path) -> Iterator[psutil.Process]:
    """The one that collects, and has a job to run every second."""
    line = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", "train"]
    line += ["--tasks", str(folder / "aiqueue.toml"), "--slots", "1", "--name", "collector"]
    process = subprocess.Popen(line, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "connected" not in process.stdout.readline():
        pass
    over = threading.Event()
    threading.Thread(target=process.stdout.read, daemon=True).start()

    def submit() -> None:
        client = Client(record=False)
        while not over.wait(1.0):
            with suppress(BrokerError):  # seen in the table
                client.submit("nothing", {}, group="train")
        client.close()

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield psutil.Process(process.pid)
    finally:
        over.set()
        thread.join()
        process.kill()
        process.wait()


def measure(most: dict[str, int], seconds: float) -> tuple[list[Row], list[str]]:
    """The rows, and what could not be measured."""
    rows, notes = [], list[str]()
    # A private node is meant for one user: it does not take more than it is worth to them.
    layout._MEMORY_LIMIT = psutil.virtual_memory().total
    files = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], _MOST_FILES)
    node_process._LAUNCH = node_process._LAUNCH.replace("8192", str(files))
    for kind, steps in STEPS.items():
        wanted = [count for count in steps if count <= most[kind]]
        if not wanted:
            continue
        # A node for each kind: queues of those before would still be there.
        with private_node() as (broker, folder), ExitStack() as stack:
            os.environ["AIQUEUE_RECORDER"] = "server"
            (folder / "aiqueue.toml").write_text(_TASKS)
            scene = Scene(broker, folder, seconds)
            stack.callback(scene.scatter)
            scene.collector = stack.enter_context(_worker(folder))
            none = scene.row(kind, 0, None)
            rows.append(none)
            for count in wanted:
                if count * _FILES[kind] > files:
                    notes.append(f"{kind} {count:,}: not measured, ulimit -n is {files:,}.")
                    break
                if not scene.grow(kind, count):
                    notes.append(f"{kind} {count:,}: not measured, not all of them could connect.")
                    break
                rows.append(scene.row(kind, count, none))
                print(_line(rows[-1]), file=sys.stderr)
    return rows, notes


def collecting(seconds: float, workers: int, jobs: int) -> dict[str, float]:
    """What it costs to collect a busy system."""
    groups = ("infer", "preprocess", "evaluate")
    with private_node() as (broker, folder):
        os.environ["AIQUEUE_RECORDER"] = "server"
        provision(broker, Catalog(groups=("train", *groups)))
        (folder / "aiqueue.toml").write_text(_TASKS)
        line = [sys.executable, "-m", "benchmarks.scale_suite.collector", str(folder)]
        collector = subprocess.Popen(
            line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        )
        assert collector.stdin is not None
        assert collector.stdout is not None
        try:
            collector.stdout.readline()
            with busy(broker, groups, workers, jobs):
                time.sleep(_SETTLE)
                process = psutil.Process(collector.pid)
                _ask(collector)
                began, used = time.monotonic(), _cpu(process)
                time.sleep(max(seconds, _LORE))
                span, used = time.monotonic() - began, _cpu(process) - used
                told = _ask(collector)
        finally:
            collector.kill()
            collector.wait()
    turns = [1000 * turn for turn in told["turns"]]
    return {
        "workers": workers,
        "jobs": jobs,
        "cpu": round(100 * used / span, 2),
        "turn_median_ms": round(statistics.median(turns), 2),
        "turn_95_ms": round(turns[int(0.95 * len(turns))], 2),
        "turn_max_ms": round(turns[-1], 2),
        "snapshot_bytes": told["sizes"].get("load", 0),
        "lore_bytes": told["sizes"].get("lore", 0),
    }


def _ask(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    told: dict[str, Any] = json.loads(process.stdout.readline())
    return told


def _environment() -> dict[str, str]:
    """For processes that are to find this package."""
    here = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join([here, os.environ.get("PYTHONPATH", "")])}


def _line(row: Row) -> str:
    def number(value: float | None) -> str:
        return "-" if value is None else f"{value:.4g}"

    return (
        f"  {row.kind:8}{row.count:>7,}{row.connections:>9,}{row.messages_per_s:>10.1f}"
        f"{row.kbytes_per_s:>9.1f}{row.broker_cpu:>9.1f}{number(row.one_cpu):>9}"
        f"{row.collector_cpu:>11.1f}{number(row.messages_each):>12}{number(row.bytes_each):>10}"
        f"{number(row.broker_cpu_each):>10}{row.memory_mb:>9,.0f}{number(row.kbytes_memory_each):>8}"
    )


def main() -> None:
    """Measure and print the table."""
    arguments = options(
        __doc__ or "", servers=5000, looking=300, workers=1000, collector=1000, seconds=12
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = {
        "idle": arguments.servers,
        "looking": arguments.looking,
        "workers": arguments.workers,
    }
    rows, notes = measure(most, arguments.seconds)
    own = None
    if arguments.collector:
        own = collecting(arguments.seconds, workers=100, jobs=arguments.collector)
        notes.append(
            f"Collecting {own['workers']} workers and {own['jobs']:,} jobs in 3 lines: CPU "
            f"{own['cpu']} %, a turn computes {own['turn_median_ms']} ms "
            f"(95 %: {own['turn_95_ms']}, longest: {own['turn_max_ms']}), "
            f"snapshot {own['snapshot_bytes']:,} bytes, lore {own['lore_bytes']:,} bytes."
        )
    if hard < 8192:
        notes.append(f"This system allows {hard} open files (ulimit -n); it was {soft}.")
    lines = [
        f"{'':41}{'CPU, % of a core':>20}{'':9}{'more for each one':>25}{'broker memory':>18}",
        (
            f"  {'':8}{'':>7}{'conns':>9}{'msgs/s':>10}{'kB/s':>9}{'broker':>9}{'one':>9}"
            f"{'collector':>11}{'msgs/s':>12}{'bytes/s':>10}{'broker %':>10}"
            f"{'MB':>9}{'kB each':>8}"
        ),
        *map(_line, rows),
        *notes,
    ]
    figures = {"rows": [asdict(row) for row in rows], "collector": own, "notes": notes}
    report(arguments, lines, figures)


if __name__ == "__main__":
    main()
