"""Traces: what was submitted once, from a CSV file."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

from benchmarks.forecast_suite.cluster import Job
from jupyter_aiqueue.core.forecast import Likeness, config_key
from jupyter_aiqueue.core.job import Priority

COLUMNS = ("submit_s", "group", "priority", "task", "config", "duration_s")


class BadTrace(Exception):
    """The file cannot be replayed; the message says which line and why."""


def read_trace(path: Path) -> dict[str, list[Job]]:
    """The jobs of each group, in the order of submission.

    Raises:
        BadTrace: the file cannot be read, lacks a column, or has a row that makes no sense.
    """
    groups: dict[str, list[Job]] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
            if missing:
                raise BadTrace(f"{path}, line 1: no column {', '.join(missing)}.")
            for number, row in enumerate(rows):
                job = _job(row, number, f"{path}, line {rows.line_num}")
                groups.setdefault(job.like.group, []).append(job)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadTrace(f"{path} cannot be read: {error}") from error
    for jobs in groups.values():
        jobs.sort(key=lambda job: job.submit_s)
    return groups


def _job(row: dict[str, str | None], number: int, where: str) -> Job:
    values = {name: row.get(name) for name in COLUMNS}
    short = [name for name, value in values.items() if value is None]
    if short:
        raise BadTrace(f"{where}: the row has no {', '.join(short)}.")
    text = {name: (value or "").strip() for name, value in values.items()}
    try:
        priority = Priority((text["priority"] or "normal").lower())
    except ValueError as error:
        raise BadTrace(
            f"{where}: priority {text['priority']!r} is none of high, normal, low."
        ) from error
    try:
        config = json.loads(text["config"] or "{}")
    except (ValueError, RecursionError) as error:
        raise BadTrace(f"{where}: config is no JSON: {error}") from error
    if not isinstance(config, dict):
        raise BadTrace(f"{where}: config is no JSON object.")
    if not text["group"]:
        raise BadTrace(f"{where}: group is empty.")
    return Job(
        number=number,
        submit_s=_number(text, "submit_s", where),
        like=Likeness(text["group"], text["task"] or None, config_key(config)),
        priority=priority,
        attempts=(_number(text, "duration_s", where, least=0.0),),
    )


def _number(text: dict[str, str], name: str, where: str, least: float = -math.inf) -> float:
    try:
        value = float(text[name])
    except ValueError as error:
        raise BadTrace(f"{where}: {name} {text[name]!r} is no number.") from error
    if not math.isfinite(value) or value < least:
        raise BadTrace(f"{where}: {name} {text[name]!r} is out of range.")
    return value
