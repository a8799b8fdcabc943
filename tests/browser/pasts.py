"""Ledgers of jobs that have run long ago."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from pathlib import Path

from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, Result
from jupyter_aiqueue.core.ledger import Ledger
from jupyter_aiqueue.core.series import Series

BEGIN = datetime(2026, 3, 1, 9, tzinfo=timezone.utc)


def job_id(number: int) -> str:
    return f"01kk{number:022d}"


def past(number: int) -> list[Event]:
    """What happened to the job with this number; every seventh failed."""
    epochs = 10
    begun = BEGIN + timedelta(minutes=number)
    rate = 0.1 * (1 + number % 5)
    job = Job(
        id=job_id(number),
        config={"model_type": ("mlp", "svm")[number % 2], "lr": rate, "epochs": epochs},
        group="train",
        task="train_model",
        name=f"sweep-{number}",
        max_attempts=1,
        submitted_at=begun,
    )
    losses = [round(2 * math.exp(-rate * epoch), 4) for epoch in range(1, epochs + 1)]
    is_failed = number % 7 == 6
    return [
        make_event(Kind.SUBMITTED, job, timestamp=begun),
        make_event(
            Kind.STARTED, job, run="r", worker="gpu-box", timestamp=begun + timedelta(seconds=3)
        ),
        make_event(
            Kind.FAILED if is_failed else Kind.SUCCEEDED,
            job,
            run="r",
            worker="gpu-box",
            timestamp=begun + timedelta(seconds=40 + number % 50),
            reason="exit code 1: CUDA out of memory" if is_failed else None,
            metrics={"loss": losses[-1], "epoch": epochs},
            result=Result(
                exit_code=int(is_failed), duration_s=37.5 + number % 50, host="gpu-box-1"
            ),
            log="epoch 10/10\n",
            series=Series(
                seconds=[3.0 * epoch for epoch in range(1, epochs + 1)],
                metrics={"epoch": [float(e) for e in range(1, epochs + 1)], "loss": [*losses]},
            ),
        ),
    ]


def record(notebook: Path, *numbers: int) -> Path:
    """Write the jobs with these numbers into the ledger beside a notebook."""
    ledger = Ledger(notebook.with_name(f"{notebook.stem}.jobs.jsonl"), str(notebook))
    ledger.append([event for number in numbers for event in past(number)])
    return ledger.path
