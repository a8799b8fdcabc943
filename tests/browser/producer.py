"""A plain producer: it knows RabbitMQ, a queue's name, and nothing of us."""

from __future__ import annotations

import os
import subprocess
import sys
from types import TracebackType

#: Publishes a job for each line that it reads, and tells when the broker had confirmed it.
_SCRIPT = """
import os, sys, time
import pika

connection = pika.BlockingConnection(pika.URLParameters(os.environ["AIQUEUE_URL"]))
channel = connection.channel()
channel.confirm_delivery()
for line in sys.stdin:
    properties = pika.BasicProperties(delivery_mode=2)
    channel.basic_publish("aiqueue.jobs", line.strip(), b"{}", properties, mandatory=True)
    print(time.time(), flush=True)
"""


class Producer:
    """Submits to the broker that the environment names; a context manager."""

    def __enter__(self) -> Producer:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT],
            env=dict(os.environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=20)

    def submit(self, key: str) -> float:
        """Submit with a routing key; returns when that was confirmed, seconds since 1970."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{key}\n")
        self._process.stdin.flush()
        return float(self._process.stdout.readline())
