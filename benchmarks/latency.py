"""Submit latency, and submit to the child's first line, against plain pika.

    python benchmarks/latency.py [--json] [--submits 100] [--starts 30]

1. ``%submit_train`` in a real IPython shell beside connect, publish, confirm, close with pika.
   *warm*: the kernel submitted something a moment ago; *cold*: it did not.
2. From the submit to the first line of the same Python child, run by our worker and by
   ``raw_loop.py``. Both are idle when the job comes.

Both contenders use the same node, quorum queues, persistent messages, confirms and
``mandatory``; they take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pika

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import median_ms, options, private_node, report, spread_ms

#: Writes when it began to run; otherwise what every training script begins with.
_CHILD = """
import time
began = time.time()
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--first-line")
options, _ = parser.parse_known_args()
with open(options.first_line, "w") as file:
    file.write(repr(began))
"""

_RAW_QUEUE = "raw.loop"


def raw_submit(url: str, queue: str, body: bytes) -> None:
    """What people write: connect, publish, wait for the confirm, close."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    channel = connection.channel()
    channel.confirm_delivery()
    properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
    channel.basic_publish("", queue, body, properties, mandatory=True)
    connection.close()


def measure_submits(url: str, count: int) -> dict[str, list[float]]:
    """Seconds per submit, by contender."""
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_aiqueue.core.client import Client

    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        queue_arguments = {"x-queue-type": "quorum"}
        connection.channel().queue_declare("raw.submits", durable=True, arguments=queue_arguments)
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "jupyter_aiqueue")
    line = "--model resnet50 --data /data/train_set_v2 --epochs 10"
    config = {"model_type": "resnet50", "data_path": "/data/train_set_v2", "epochs": 10}
    body = json.dumps(config).encode()
    times: dict[str, list[float]] = {"raw": [], "warm": [], "cold": []}
    handle = shell.run_line_magic("submit_train", line)
    client: Client = handle._client
    for _ in range(count):
        began = time.perf_counter()
        raw_submit(url, "raw.submits", body)
        times["raw"].append(time.perf_counter() - began)
        began = time.perf_counter()
        shell.run_line_magic("submit_train", line)
        times["warm"].append(time.perf_counter() - began)
        client._connection.drop()
        began = time.perf_counter()
        shell.run_line_magic("submit_train", line)
        times["cold"].append(time.perf_counter() - began)
    return times


@contextmanager
def running(command: list[str], ready: str, log: IO[str]) -> Iterator[None]:
    """A background process, from its line ``ready`` to the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        for output in process.stdout:
            if ready in output:
                break
        else:
            raise SystemExit(f"{command[:4]} ended before it was ready; see {log.name}")
        yield
    finally:
        process.terminate()
        process.wait(30)


def measure_starts(url: str, folder: Path, count: int) -> dict[str, list[float]]:
    """Seconds from submit to the child's first line, by contender."""
    from jupyter_aiqueue import Client

    child = folder / "child.py"
    child.write_text(_CHILD)
    (folder / "aiqueue.toml").write_text(
        f'[tasks.child]\ncommand = ["python", {json.dumps(str(child))}]\n'
    )
    worker = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", "infer"]
    worker += ["--tasks", str(folder / "aiqueue.toml"), "--slots", "1"]
    raw = [sys.executable, str(Path(__file__).parent / "raw_loop.py"), url, _RAW_QUEUE, str(child)]
    times: dict[str, list[float]] = {"raw": [], "ours": []}
    with (
        (folder / "worker.log").open("w") as log,
        running(raw, "ready", log),
        running(worker, "connected", log),
        pika.BlockingConnection(pika.URLParameters(url)) as connection,
    ):
        channel = connection.channel()
        channel.confirm_delivery()
        client = Client(record=True)
        for number in range(count + 2):
            for name in times:
                stamp = folder / f"{name}-{number}"
                config = {"first-line": str(stamp)}
                began = time.time()
                if name == "raw":
                    properties = pika.BasicProperties(delivery_mode=2)
                    body = json.dumps(config).encode()
                    channel.basic_publish("", _RAW_QUEUE, body, properties, mandatory=True)
                else:
                    client.submit("child", config, group="infer", retries=0)
                started = _wait_for(stamp)
                if number >= 2:  # the first rounds warm both up
                    times[name].append(started - began)
                time.sleep(0.15)  # both idle again
        client.close()
    return times


def _wait_for(stamp: Path, patience: float = 30.0) -> float:
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        text = stamp.read_text() if stamp.exists() else ""
        if text:
            return float(text)
        time.sleep(0.002)
    raise SystemExit(f"The child did not start within {patience:.0f} s ({stamp}).")


def main() -> None:
    """Run both measurements and print the ratios."""
    arguments = options(__doc__ or "", submits=100, starts=30)
    with private_node() as (broker, folder):
        host, port = broker.hosts[0]
        vhost = broker.vhost.replace("/", "%2F")
        url = f"amqp://{broker.username}:{broker.password}@{host}:{port}/{vhost}"
        os.environ["AIQUEUE_RECORDER"] = "server"
        submits = measure_submits(url, arguments.submits)
        starts = measure_starts(url, folder, arguments.starts)
    raw, raw_start = median_ms(submits["raw"]), median_ms(starts["raw"])
    figures = {
        "raw_submit_ms": raw,
        "submit_warm_ms": median_ms(submits["warm"]),
        "submit_cold_ms": median_ms(submits["cold"]),
        "submit_warm_ratio": round(median_ms(submits["warm"]) / raw, 2),
        "submit_cold_ratio": round(median_ms(submits["cold"]) / raw, 2),
        "raw_start_ms": raw_start,
        "start_ms": median_ms(starts["ours"]),
        "start_ratio": round(median_ms(starts["ours"]) / raw_start, 2),
    }
    lines = [
        "Submit (median)",
        f"  raw connect-publish-confirm-close  {spread_ms(submits['raw'])}",
        (
            f"  %submit_train, warm                {spread_ms(submits['warm'])}"
            f"   ratio {figures['submit_warm_ratio']}"
        ),
        (
            f"  %submit_train, cold                {spread_ms(submits['cold'])}"
            f"   ratio {figures['submit_cold_ratio']}"
        ),
        "Submit to the child's first line (median)",
        f"  raw loop                           {spread_ms(starts['raw'])}",
        (
            f"  our worker                         {spread_ms(starts['ours'])}"
            f"   ratio {figures['start_ratio']}"
        ),
    ]
    report(arguments, lines, figures)


if __name__ == "__main__":
    main()
