"""Dead letters as files: the body as it came, and beside it what is known of the letter."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from ..errors import AIQueueError
from .letter import DeadLetter

_NOT_IN_NAME = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST_NAME = 100


def save_letter(letter: DeadLetter, folder: Path) -> Path:
    """Write ``<id>.body`` and ``<id>.json`` into ``folder``; returns the second.

    Both are readable by this user only, overwrite nothing (``<id>-2.json``), and are on disk
    when this returns.

    Raises:
        AIQueueError: the folder cannot be written.
    """
    name = _NOT_IN_NAME.sub("_", letter.id)[:_LONGEST_NAME]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The body first: where there is a description, there is a body.
        body = _write_new(folder, name, ".body", letter.body)
        told = json.dumps(_told(letter, body), indent=2, ensure_ascii=False)
        description = _write_new(folder, body.stem, ".json", told.encode(errors="replace"))
        _sync(folder)
    except OSError as error:
        raise AIQueueError(
            f"Dead letter {letter.id} cannot be saved in {folder}: {error.strerror}."
        ) from error
    return description


def _told(letter: DeadLetter, body: Path) -> dict[str, Any]:
    return {
        "job_id": letter.job_id,
        "group": letter.group,
        "reason": letter.reason,
        "why": letter.why,
        "dead_at": letter.dead_at,
        "worker": letter.worker,
        "history": letter.history,
        "properties": letter.properties,
        "headers": letter.headers,
        "body": body.name,
        "size": len(letter.body),
        "sha256": letter.digest,
    }


def _write_new(folder: Path, name: str, suffix: str, content: bytes) -> Path:
    """A new file with ``content``, on disk."""
    number = 1
    while True:
        path = folder / (f"{name}{suffix}" if number == 1 else f"{name}-{number}{suffix}")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return path


def _sync(folder: Path) -> None:
    """Have the names of new files on disk, where a folder can be synced (not on Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
