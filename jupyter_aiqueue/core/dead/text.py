"""Dead letters as plain text, for terminals and for notebooks without HTML."""

from __future__ import annotations

import json

from ..job import JobRecord
from ..text import ago, clean, one_line, table
from .letter import UNKNOWN, DeadLetter, Letters

#: Characters of a body that cannot be read, and lines of a log.
_BODY = 400
_LOG_LINES = 20

#: Headers that say what other fields say, too.
_SAID = ("aiq-reason", "aiq-why", "aiq-dead-at", "aiq-worker", "aiq-history")


def letters_text(letters: Letters, rows: int | None = None) -> str:
    """Dead letters: how many for which reason, and one line each.

    Args:
        rows: letters that get a line; all when None.
    """
    if not letters.total:
        return "\n".join(letters.notes or ["No dead letters."])
    counts = [
        (reason or UNKNOWN, str(count), ", ".join(letters.groups(reason)))
        for reason, count in letters.counts
    ]
    cells = [
        (
            letter.reason or UNKNOWN,
            letter.id,
            label(letter),
            letter.group,
            attempts(letter),
            ago(letter.died) or UNKNOWN,
            letter.worker or "",
            one_line(letter.why or "", 100),
        )
        for letter in letters[:rows]
    ]
    header = ("reason", "job", "name", "group", "attempts", "dead for", "worker", "why")
    lines = [*table(("reason", "letters", "groups"), counts), "", *table(header, cells)]
    if letters.total > len(cells):
        lines.append(shown(letters, len(cells)))
    return "\n".join([*lines, *letters.notes])


def letter_text(letter: DeadLetter, record: JobRecord | None) -> str:
    """One dead letter with everything that helps to judge it.

    Args:
        record: what a ledger here knows of the job, if any does.
    """
    lines = [clean(f"✝ {label(letter) or 'dead letter'} {letter.id}: {letter.reason or UNKNOWN}")]

    def add(name: str, value: object) -> None:
        if value not in (None, "", (), {}):
            lines.append(f"  {name:<10} {clean(str(value))}")

    add("why", letter.why)
    add("group", letter.group)
    add("attempts", attempts(letter))
    died = letter.died
    add("dead since", died and f"{died.isoformat(timespec='seconds')} ({ago(died)} ago)")
    add("worker", letter.worker)
    job = letter.job
    if job is not None:
        add("task", job.task)
        add("submitted", job.submitted_at and job.submitted_at.isoformat(timespec="seconds"))
        add("user", job.user)
        add("notebook", job.notebook)
        add("retry of", job.retry_of)
        add("config", json.dumps(job.config, ensure_ascii=False))
    else:
        add("body", body_text(letter))
        add("size", f"{len(letter.body):,} bytes")
    add("headers", headers_text(letter))
    for entry in letter.history:
        add("history", entry)
    lines += ["  log", *(f"    {clean(line)}" for line in log_lines(letter, record))]
    return "\n".join(lines)


def label(letter: DeadLetter) -> str:
    """Its name or its task; nothing for one that is no job."""
    return (letter.job.name or letter.job.task or "") if letter.job else ""


def attempts(letter: DeadLetter) -> str:
    """``3/3``: attempts it had, and that it might have had; nothing when that is not known."""
    if letter.job is None or letter.attempts is None:
        return ""
    return f"{letter.attempts}/{letter.job.max_attempts}"


def shown(letters: Letters, rows: int) -> str:
    """How many of all are shown, when only ``rows`` are."""
    return f"{rows:,} of {letters.total:,} dead letters are shown; `-n 0` shows all."


def body_text(letter: DeadLetter, limit: int = _BODY) -> str:
    """The start of a body, as text whatever it is."""
    return one_line(letter.body[: 4 * limit].decode("utf-8", "backslashreplace"), limit)


def headers_text(letter: DeadLetter) -> str:
    """Headers and properties that no other field tells, as JSON."""
    told = {key: value for key, value in letter.headers.items() if key not in _SAID}
    found = {**told, **{k: v for k, v in letter.properties.items() if k != "message_id"}}
    return one_line(json.dumps(found, ensure_ascii=False), 2000) if found else ""


def log_lines(letter: DeadLetter, record: JobRecord | None) -> list[str]:
    """The last lines of output, or where they are."""
    if record is not None and record.log_tail:
        return record.log_tail.rstrip("\n").splitlines()[-_LOG_LINES:]
    if record is not None and record.result is not None and record.result.log_file:
        return [f"on {record.result.host or record.worker}: {record.result.log_file}"]
    if not letter.attempts:
        return ["It never ran, as far as this letter tells."]
    where = f"the machine of worker {letter.worker}" if letter.worker else "the worker's machine"
    known = "" if record is not None else "No ledger here knows the job. "
    return [f"{known}Its output is on {where}, in the job's run folder."]
