"""A worker that collects, and how long the turns of its collector take.

    python -m benchmarks.scale_suite.collector FOLDER

Prints ``ready``; for each line of standard input one JSON object about the turns since the last
one: their seconds of computing (the rest is waiting for the broker), and the bytes of what was
published by key.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.transport import Session
from jupyter_aiqueue.worker import app, collection
from jupyter_aiqueue.worker.tasks import load_tasks


def _nothing(line: str) -> None:
    """What a worker says is not asked for."""


def main() -> None:
    """Work, and tell of the turns."""
    turns: list[float] = []
    sizes: dict[str, int] = {}
    turn, publish = collection.Collection.turn, Session.publish

    def timed(self: collection.Collection, **news: Any) -> None:
        began = time.thread_time()
        turn(self, **news)
        turns.append(time.thread_time() - began)

    def sized(self: Session, exchange: str, key: str, message: Any, **options: Any) -> None:
        sizes[key] = len(message.body)
        publish(self, exchange, key, message, **options)

    setattr(collection.Collection, "turn", timed)  # noqa: B010
    setattr(Session, "publish", sized)  # noqa: B010
    tasks = load_tasks(Path(sys.argv[1]) / "aiqueue.toml")
    worker = app.Worker(find_broker, tasks, group="train", slots=1, name="collector", say=_nothing)
    threading.Thread(target=worker.run, daemon=True).start()
    while not turns:
        time.sleep(0.05)
    print("ready", flush=True)
    for _ in sys.stdin:
        told, turns[:] = sorted(turns), []
        told_sizes = {key: size for key, size in sizes.items() if key in ("load", "lore")}
        print(json.dumps({"turns": told, "sizes": told_sizes}), flush=True)
    worker.stop_now()
    os._exit(0)


if __name__ == "__main__":
    main()
