"""The folder of one run: who runs it, config, report, log, and how it ended.

``<data>/runs/<job>/<attempt>/``. A folder belongs to one delivery of one attempt: making it
is how a worker learns that the same message is already worked, here or by another worker of
this user.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import msgspec

from ..core import paths
from ..core.job import Job
from .end import End
from .owner import Owner, this_process

_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,100}")


class FolderTaken(Exception):
    """This attempt of this job has a folder already."""


class RunFolder:
    """Paths and the record of the end.

    Args:
        given_back: how often this attempt was given back by a worker that drained; each
            time it starts in a folder of its own.
    """

    def __init__(self, job: Job, given_back: int = 0, *, root: Path | None = None) -> None:
        turn = str(job.attempt) + (f".{given_back}" if given_back else "")
        self.path = (root or paths.run_root()) / folder_name(job.id) / turn
        self.config = self.path / "config.json"
        self.report = self.path / "report.jsonl"
        self.log = self.path / "output.log"
        self._owner = self.path / "owner.json"
        self._end = self.path / "end.json"
        self._settled = self.path / "settled"

    def make(self) -> None:
        """Make it; raises `FolderTaken`, or OSError (a full or read-only disk)."""
        try:
            self.path.mkdir(mode=0o700)
        except FileNotFoundError:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self.path.mkdir(mode=0o700)
            except FileExistsError as error:
                raise FolderTaken(str(self.path)) from error
        except FileExistsError as error:
            raise FolderTaken(str(self.path)) from error

    @property
    def exists(self) -> bool:
        """Whether this attempt was begun on this machine."""
        return self.path.is_dir()

    @property
    def settled(self) -> bool:
        """Whether everything about the end has been published."""
        return self._settled.exists()

    def own(self, token: str, worker: str) -> None:
        """Write down that this process runs it. Raises OSError.

        Args:
            token: of the run; its processes carry it.
            worker: the worker's name.
        """
        # Not forced to the disk: after a crash of the machine nothing of it lives.
        data = msgspec.json.encode(this_process(token, worker))
        temporary = self._owner.with_suffix(".tmp")
        temporary.write_bytes(data)
        temporary.replace(self._owner)

    def owner(self) -> Owner | None:
        """Who ran it last on this machine or one that shares its files; None: not known."""
        try:
            return msgspec.json.decode(self._owner.read_bytes(), type=Owner)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def last_output(self, limit: int) -> tuple[int | None, str]:
        """What was written last of its output: its position in characters, if known, and the text.

        Args:
            limit: bytes.
        """
        try:
            with self.log.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(0, size - limit))
                text = log.read(limit).decode("utf-8", "replace")
        except OSError:
            return None, ""
        return (0 if size <= limit else None), text

    def keep_end(self, end: End) -> None:
        """Write the end to disk, before anybody is told. Raises OSError."""
        paths.write_private(self._end, msgspec.json.encode(end).decode())

    def mark_settled(self) -> None:
        """Remember that the end was published. Raises OSError."""
        self._settled.touch()

    def read_end(self) -> End | None:
        """The end that was kept, or None."""
        try:
            return msgspec.json.decode(self._end.read_bytes(), type=End)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None


def folder_name(job_id: str) -> str:
    """``job_id`` as a folder's name; ids that cannot be one get a digest, so none collide."""
    if _PLAIN.fullmatch(job_id):
        return job_id
    digest = hashlib.sha256(job_id.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return f"{re.sub(r'[^A-Za-z0-9_-]', '_', job_id)[:60]}-{digest}"
