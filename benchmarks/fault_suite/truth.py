"""What the jobs wrote down about themselves: every execution, and how it ended."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Execution(msgspec.Struct, kw_only=True):
    """One run of the job script."""

    number: int
    job_id: str
    attempt: int
    worker: str
    pid: int
    began: float
    #: Its last line; None when it was killed.
    ended: float | None = None
    #: ``done``, ``fail``, ``crash``, ``murder``, ``term``, or None when it was killed.
    how: str | None = None
    #: Another execution of the same job was alive when it began.
    overlap: bool = False


def read_executions(folder: Path) -> dict[int, list[Execution]]:
    """Every execution, by number of the job, in order of their beginning."""
    found: dict[int, list[Execution]] = {}
    running: dict[tuple[int, int], Execution] = {}
    file = folder / "executions.log"
    lines = file.read_text().splitlines() if file.exists() else []
    for line in lines:
        moment, what, number, job_id, attempt, worker, pid = line.split()
        key = int(number), int(pid)
        if what == "start":
            execution = Execution(
                number=int(number),
                job_id=job_id,
                attempt=int(attempt),
                worker=worker,
                pid=int(pid),
                began=float(moment),
            )
            running[key] = execution
            found.setdefault(int(number), []).append(execution)
        elif what == "overlap":
            running[key].overlap = True
        elif running[key].how is None:  # a murderer is stopped afterwards, which is no news
            running[key].ended, running[key].how = float(moment), what
    return found
