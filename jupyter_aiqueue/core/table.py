"""Jobs and dead letters as pandas tables. Imported only when somebody asks for one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pandas as pd

from .dead import DeadLetter
from .job import JobRecord

_COLUMNS = (
    "name",
    "task",
    "state",
    "group",
    "priority",
    "attempt",
    "progress",
    "submitted_at",
    "started_at",
    "ended_at",
    "worker",
    "reason",
    "retry_of",
    "notebook",
)


_DEAD_COLUMNS = (
    "id",
    "task",
    "name",
    "group",
    "reason",
    "why",
    "attempts",
    "dead_at",
    "worker",
    "retryable",
)


def jobs_table(records: Iterable[JobRecord]) -> pd.DataFrame:
    """One row per record, indexed by ``job_id``; see `Client.jobs` for the columns."""
    rows: dict[str, dict[str, Any]] = {}
    for record in records:
        row: dict[str, Any] = {column: getattr(record, column) for column in _COLUMNS}
        row["state"] = record.state.value
        row["priority"] = record.priority.value if record.priority else None
        for key, value in record.config.items():
            if key != "task_id":
                row[f"config.{key}"] = value
        for key, value in record.metrics.items():
            row[f"metrics.{key}"] = value
        if record.result is not None:
            for key, value in msgspec.structs.asdict(record.result).items():
                row[f"result.{key}"] = value
        rows[record.job_id] = row
    table = pd.DataFrame.from_dict(rows, orient="index")
    if not rows:
        table = pd.DataFrame(columns=list(_COLUMNS))
    table.index.name = "job_id"
    for column in ("submitted_at", "started_at", "ended_at"):
        table[column] = pd.to_datetime(table[column], utc=True)
    return table


def dead_table(letters: Iterable[DeadLetter]) -> pd.DataFrame:
    """One row per letter; see `Client.dead_table` for the columns."""
    rows: list[dict[str, Any]] = []
    for letter in letters:
        job = letter.job
        row: dict[str, Any] = {
            "id": letter.id,
            "task": job and job.task,
            "name": job and job.name,
            "group": letter.group,
            "reason": letter.reason,
            "why": letter.why,
            "attempts": letter.attempts,
            "dead_at": letter.died,
            "worker": letter.worker,
            "retryable": job is not None,
        }
        for key, value in (job.config if job else {}).items():
            if key != "task_id":
                row[f"config.{key}"] = value
        rows.append(row)
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(_DEAD_COLUMNS))
    table["dead_at"] = pd.to_datetime(table["dead_at"], utc=True)
    table["attempts"] = table["attempts"].astype("Int64")  # unknown stays unknown
    return table
