"""All ledgers of one Jupyter user: where they are, and which job is in which."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import msgspec

from . import paths
from .errors import AmbiguousJob, JobNotFound, JobNotOver, LedgerError
from .events import Event, apply
from .job import JobRecord, State, names, now
from .ledger import SUFFIX, Ledger, Removal, ledger_path, read_ledger

#: Renames remembered; older jobs in flight go to the ledger of their id anyway.
_MOVES_KEPT = 500


#: What has a ledger beside it: notebooks, and the text forms that they are paired with.
_NOTEBOOKS = frozenset({".ipynb", ".py", ".md", ".Rmd", ".qmd"})


class Move(msgspec.Struct, frozen=True):
    """A notebook or folder was renamed, absolute paths."""

    old: str
    new: str
    at: datetime


class _Places(msgspec.Struct):
    """The file ``ledgers.json``: a list to look through, rebuilt as ledgers are written."""

    version: int = 1
    ledgers: list[str] = msgspec.field(default_factory=list)
    moves: list[Move] = msgspec.field(default_factory=list)


class Ledgers:
    """The ledgers that this user's recorder has written. Thread-safe.

    Args:
        root: folder of the list of ledgers and of the ledger of jobs without a notebook.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or paths.data_dir()
        self._lock = threading.RLock()
        self._ledgers: dict[Path, Ledger] = {}
        self._live: dict[str, JobRecord] = {}
        self._places = _Places()
        self._places_stamp: tuple[int, int] | None = None

    @property
    def unattached(self) -> Path:
        """The ledger of jobs that belong to no notebook here."""
        return self._root / f"unattached{SUFFIX}"

    # -- reading -------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what other processes have written since. Unreadable ledgers are passed over."""
        with self._lock:
            self._read_places()
            for name in [*self._places.ledgers, str(self.unattached)]:
                self._open(Path(name))
            for path, ledger in list(self._ledgers.items()):
                try:
                    ledger.refresh()
                except LedgerError:
                    continue
                if not ledger.records and not path.exists():
                    del self._ledgers[path]

    def watch(self, notebook: str | Path) -> None:
        """Also read the ledger beside ``notebook``, whoever wrote it."""
        with self._lock:
            self._open(ledger_path(Path(notebook).absolute()), str(notebook))

    def records(self, notebook: str | Path | None = None) -> list[JobRecord]:
        """What is known of all jobs, or those of one notebook; newest first."""
        self.refresh()
        with self._lock:
            if notebook is None:
                ledgers = list(self._ledgers.values())
            else:
                self.watch(notebook)
                path = ledger_path(Path(notebook).absolute())
                ledgers = [self._ledgers[path]] if path in self._ledgers else []
                for ledger in ledgers:
                    ledger.refresh()
            found = [self._with_live(r) for ledger in ledgers for r in ledger.records.values()]
        return sorted(found, key=lambda record: record.job_id, reverse=True)

    def newest(self, fits: Callable[[JobRecord], bool]) -> JobRecord | None:
        """The newest job of all that ``fits``, which must not change what it is given."""
        self.refresh()
        with self._lock:
            found = [r for ledger in self._ledgers.values() for r in ledger.records.values()]
            found.sort(key=lambda record: record.job_id, reverse=True)
            newest = next(filter(fits, found), None)
            return None if newest is None else self._with_live(newest)

    def find(self, job_id: str) -> JobRecord:
        """The job with this id, or with this part of an id; see `job.names`.

        Raises:
            JobNotFound, AmbiguousJob.
        """
        self.refresh()
        with self._lock:
            for ledger in self._ledgers.values():
                if job_id in ledger.records:
                    return self._with_live(ledger.records[job_id])
            fits = [
                record
                for ledger in self._ledgers.values()
                for name, record in ledger.records.items()
                if names(job_id, name)
            ]
        if not fits:
            raise JobNotFound(
                f"No job with the id {job_id!r}, or with this as a part of its id, is recorded "
                "here. `%jobs --all` or `jupyter aiqueue jobs` lists the known ones."
            )
        if len(fits) > 1:
            raise AmbiguousJob(
                f"{len(fits)} jobs fit {job_id!r}: "
                + ", ".join(sorted(record.job_id for record in fits)[:5])
                + ". Give more of the id."
            )
        return self._with_live(fits[0])

    def history(self, job_id: str) -> list[Event]:
        """The recorded events of the job with this very id, in their order; none if unknown."""
        self.refresh()
        with self._lock:
            found = (ledger.history(job_id) for ledger in self._ledgers.values())
            return next(filter(None, found), [])

    def apply_live(self, event: Event) -> JobRecord | None:
        """Fold a live event (progress) into what is shown; it is not written."""
        with self._lock:
            for ledger in self._ledgers.values():
                if event.job_id in ledger.records:
                    base = ledger.records[event.job_id]
                    break
            else:
                return None
            record = self._live.setdefault(event.job_id, msgspec.structs.replace(base))
            return self._with_live(base) if apply(record, event) else None

    def _with_live(self, record: JobRecord) -> JobRecord:
        """``record`` with the newest progress, unless a written event has overtaken it."""
        live = self._live.get(record.job_id)
        if live is not None and record.attempt == live.attempt and record.state is State.RUNNING:
            return msgspec.structs.replace(
                record,
                progress=live.progress,
                metrics=dict(live.metrics),
                updated_at=live.updated_at,
            )
        if record.state.is_final or (live is not None and record.attempt > live.attempt):
            self._live.pop(record.job_id, None)
        return msgspec.structs.replace(record)

    # -- writing -------------------------------------------------------------------------

    def place(self, event: Event) -> Path:
        """The ledger that ``event`` belongs into."""
        with self._lock:
            for path, ledger in self._ledgers.items():
                if ledger.knows(event.job_id):
                    return path
            if event.notebook is None:
                return self.unattached
            try:
                notebook = self._moved_to(event.notebook, event.submitted_at)
                home = ledger_path(notebook)
            except ValueError:
                return self.unattached  # "/", or not a path at all
            if notebook.suffix not in _NOTEBOOKS or "\0" in str(notebook):
                return self.unattached  # an event may come from anybody who can publish
            # (`Path.is_dir` raises where it may not look.)
            if not notebook.is_absolute() or not os.path.isdir(notebook.parent):  # noqa: PTH112
                return self.unattached  # submitted on a machine with other folders
            return home

    def add(self, path: Path, events: Iterable[Event]) -> list[JobRecord]:
        """Write ``events`` into the ledger ``path``; see `Ledger.append`. Raises `LedgerError`."""
        events = list(events)
        with self._lock:
            notebook = next((e.notebook for e in events if e.notebook), None)
            ledger = self._open(path, None if path == self.unattached else notebook)
            if path == self.unattached:
                with suppress(OSError):  # the ledger says why it cannot be written
                    self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
            changed = ledger.append(events)
            self._remember(path)
            return [self._with_live(record) for record in changed]

    def remove(self, job_id: str) -> JobRecord:
        """Take the record of a job that is over out of what is shown.

        Its ledger then says so; what happened stays written there.

        Args:
            job_id: its whole id; a part of it is not enough.

        Returns:
            The record as it was.

        Raises:
            JobNotFound: there is none, or not any more.
            JobNotOver: the job has not ended.
            LedgerError: nothing was removed.
        """
        self.refresh()
        with self._lock:
            homes = [ledger for ledger in self._ledgers.values() if job_id in ledger.records]
            if not homes:
                raise JobNotFound(f"No job with the id {job_id!r} is recorded here.")
            record = self._with_live(homes[0].records[job_id])
            if not record.state.is_final:
                raise JobNotOver(
                    f"Job {job_id} is {record.state.value}; only the record of a job that is over "
                    "can be removed. Cancel it first."
                )
            for ledger in homes:
                ledger.remove([Removal(job_id, now())])
            return record

    def moved(self, old: str | Path, new: str | Path) -> None:
        """A notebook or a folder was renamed, after the fact: take its ledgers along.

        Raises:
            LedgerError: the ledger could not follow; it is still complete where it was.
        """
        old, new = Path(old), Path(new)
        with self._lock:
            self._read_places()
            if old.suffix == ".ipynb":
                self._move_ledger(ledger_path(old), ledger_path(new), new)
            self._places.moves.append(Move(str(old), str(new), now()))
            del self._places.moves[:-_MOVES_KEPT]
            self._places.ledgers = [
                str(_replaced(Path(name), old, new)) for name in self._places.ledgers
            ]
            for path in list(self._ledgers):
                target = _replaced(path, old, new)
                if target != path:
                    del self._ledgers[path]
                    self._open(target).refresh()
            self._write_places()

    def _move_ledger(self, old: Path, new: Path, notebook: Path) -> None:
        try:
            if not old.exists():
                return
            if new.exists():
                # A ledger of an earlier notebook of that name: both histories are kept.
                source, target = Ledger(old), self._open(new, str(notebook))
                source.refresh()
                target.append(read_ledger(old))
                target.remove(source.removals.values())
                # Lines that are not ours stay there.
                old.rename(old.with_name(f"{old.name}.merged-{secrets.token_hex(4)}"))
            else:
                old.rename(new)
        except (OSError, LedgerError) as error:
            why = f"{error.strerror}." if isinstance(error, OSError) else str(error)
            raise LedgerError(
                f"The ledger {old} could not follow its notebook; move it to {new} by hand. {why}"
            ) from error
        self._ledgers.pop(old, None)
        self._open(new, str(notebook)).refresh()
        if str(old) in self._places.ledgers:
            self._places.ledgers.remove(str(old))
        if str(new) not in self._places.ledgers:
            self._places.ledgers.append(str(new))

    def _moved_to(self, notebook: str, since: datetime | None) -> Path:
        path = Path(notebook)
        for move in self._places.moves:
            # A kernel may not know of a move and go on to name what is no longer there.
            if since is None or move.at >= since or not os.path.exists(path):  # noqa: PTH110
                path = _replaced(path, Path(move.old), Path(move.new))
        return path

    def _open(self, path: Path, notebook: str | None = None) -> Ledger:
        ledger = self._ledgers.get(path)
        if ledger is None:
            ledger = self._ledgers[path] = Ledger(path, notebook)
        return ledger

    def _remember(self, path: Path) -> None:
        if path != self.unattached and str(path) not in self._places.ledgers:
            self._read_places()
            if str(path) not in self._places.ledgers:
                self._places.ledgers.append(str(path))
                self._write_places()

    def _read_places(self) -> None:
        file = self._root / "ledgers.json"
        try:
            stat = file.stat()
            stamp = (stat.st_mtime_ns, stat.st_ino)
            if stamp == self._places_stamp:
                return
            self._places = msgspec.json.decode(file.read_bytes(), type=_Places)
            self._places_stamp = stamp
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return  # the list is a convenience: it is rebuilt as ledgers are written

    def _write_places(self) -> None:
        file = self._root / "ledgers.json"
        try:
            paths.write_private(file, msgspec.json.encode(self._places).decode())
            stat = file.stat()
            self._places_stamp = (stat.st_mtime_ns, stat.st_ino)
        except OSError:
            return  # kept in memory; ledgers themselves are what counts


def _replaced(path: Path, old: Path, new: Path) -> Path:
    """``path`` after ``old`` became ``new``."""
    if path == old:
        return new
    try:
        return new / path.relative_to(old)
    except ValueError:
        return path
