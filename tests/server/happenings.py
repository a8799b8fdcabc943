"""What happens to jobs, as kernels and workers tell it, and what ledgers make of it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, new_job_id, now
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.transport import connect


def make_notebook(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}')
    return path


def make_job(notebook: Path | None = None, **fields: Any) -> Job:
    """A job of this server's user, as a kernel would have submitted it."""
    defaults: dict[str, Any] = {
        "id": new_job_id(),
        "config": {"epochs": 3},
        "group": "train",
        "inbox": os.environ["AIQUEUE_INBOX"],
        "notebook": None if notebook is None else str(notebook),
        "submitted_at": now(),
        "attempt": 1,
    }
    return Job(**{**defaults, **fields})


def tell(broker: Broker, *events: Event) -> None:
    """Publish ``events``, as kernels and workers do."""
    with connect(broker, "test") as session:
        session.declare(topology.inbox(os.environ["AIQUEUE_INBOX"]))  # as a client does first
        for event in events:
            publish_event(session, event)


def life(job: Job, end: Kind = Kind.SUCCEEDED, **fields: Any) -> list[Event]:
    """What is heard of a job that runs once."""
    return [
        make_event(Kind.SUBMITTED, job, timestamp=job.submitted_at),
        make_event(Kind.STARTED, job, run="r1", worker="w1"),
        make_event(end, job, run="r1", worker="w1", **fields),
    ]


def lines(ledger: Path) -> list[dict[str, Any]]:
    """The events of a ledger file as they are written, without its header."""
    if not ledger.is_file():
        return []
    found = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    return [line for line in found if "event" in line]


def kinds(ledger: Path) -> list[str]:
    return [line["event"] for line in lines(ledger)]
