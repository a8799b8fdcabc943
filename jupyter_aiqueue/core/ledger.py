"""The ledger: the file beside the notebook that keeps what happened to its jobs.

JSON Lines: a header line, then one line per event. Append-only. Lines that are not ours are
kept and passed over; a torn last line (power loss, full disk) is closed off with a newline,
and its event comes again, because it was not acknowledged.

A record that somebody removed is a line, too: ``{"removed": "<job id>"}``. What happened stays in
the file, and whoever reads it leaves the job out. It is no event: nobody can send one through the
broker.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from .errors import InvalidJob, LedgerError
from .events import Event, Kind, apply, decode_event, encode_event, fold, order
from .job import JobRecord, Moment, now

try:
    import fcntl
except ImportError:  # Windows: one writer is guaranteed by the broker, the lock is a belt
    fcntl = None  # type: ignore[assignment]

VERSION = 1

SUFFIX = ".jobs.jsonl"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a ledger."""

    ledger: str
    version: int = VERSION
    #: File name of the notebook that it belongs to; None for jobs of no notebook.
    notebook: str | None = None
    created_at: str | None = None


class Removal(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line that takes the record of a job out of what is shown, if the job is over."""

    #: Id of the job.
    removed: str
    timestamp: Moment | None = None


def ledger_path(notebook: str | Path) -> Path:
    """``train.ipynb`` has ``train.jobs.jsonl``."""
    path = Path(notebook)
    return path.with_name(path.stem + SUFFIX)


class Ledger:
    """One ledger file, read as far as it goes and appended to.

    Not thread-safe; its owner locks.
    """

    def __init__(self, path: Path, notebook: str | None = None) -> None:
        self.path = path
        self.header: Header | None = None
        self.records: dict[str, JobRecord] = {}
        #: Of jobs whose record was removed.
        self.removals: dict[str, Removal] = {}
        self._hidden: dict[str, JobRecord] = {}
        self._notebook = notebook
        self._ids: set[str] = set()
        self._finals: dict[str, str] = {}
        self._histories: dict[str, list[Event]] = {}
        self._identity: tuple[int, int] | None = None
        self._read_to = 0

    def refresh(self) -> bool:
        """Read what was appended since the last call; return whether anything was.

        Raises:
            LedgerError: the file is there but cannot be read.
        """
        try:
            stat = self.path.stat()
            identity = (stat.st_dev, stat.st_ino)
            if identity != self._identity or stat.st_size < self._read_to:
                # Replaced or cut by somebody (git, an editor): start over.
                self._forget()
                self._identity = identity
            if stat.st_size == self._read_to:
                return False
            with self.path.open("rb") as file:
                file.seek(self._read_to)
                data = file.read()
        except FileNotFoundError:
            known = bool(self._identity)
            self._forget()
            return known
        except OSError as error:
            raise LedgerError(
                f"The ledger {self.path} cannot be read: {error.strerror}."
            ) from error
        end = data.rfind(b"\n") + 1  # a torn last line is not ours to read yet
        self._read_to += end
        for line in data[:end].splitlines():
            self._take_in(line)
        return end > 0

    def append(self, events: Iterable[Event]) -> list[JobRecord]:
        """Write ``events`` that are not there yet, on disk when this returns.

        A second end event of a job is written as a ``duplicate`` and does not count.

        Returns:
            The records that changed.

        Raises:
            LedgerError: nothing was written.
        """
        with self._locked() as descriptor:
            self.refresh()
            fresh: list[Event] = []
            finals = dict(self._finals)
            ids: set[str] = set()
            for original in events:
                event = original
                first = finals.get(event.job_id)
                if event.event.is_final and first is not None and first != event.id:
                    event = _duplicate(event)
                if event.id in self._ids or event.id in ids:
                    continue
                if event.event.is_final:
                    finals[event.job_id] = event.id
                ids.add(event.id)
                fresh.append(event)
            if fresh:
                self._write(descriptor, [encode_event(event) for event in fresh])
                self.refresh()
        changed = {event.job_id: None for event in fresh}
        return [self.records[job_id] for job_id in changed if job_id in self.records]

    def remove(self, removals: Iterable[Removal]) -> None:
        """Write that records were removed, on disk when this returns.

        Raises:
            LedgerError: nothing was written.
        """
        try:
            with self._locked() as descriptor:
                self.refresh()
                fresh = [one for one in removals if one.removed not in self.removals]
                if fresh:
                    self._write(descriptor, [msgspec.json.encode(one) for one in fresh])
                    self.refresh()
        except LedgerError as error:
            raise LedgerError(f"Nothing was removed. {error}") from error

    def knows(self, job_id: str) -> bool:
        """Whether there are events of a job here, also if its record was removed."""
        return job_id in self._histories

    def history(self, job_id: str) -> list[Event]:
        """The events of a job, in their order; none of one that is not here."""
        if job_id not in self.records:
            return []
        return sorted(self._histories.get(job_id, ()), key=order)

    def _take_in(self, line: bytes) -> None:
        if self.header is None and line.startswith(b'{"ledger"'):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                self.header = msgspec.json.decode(line, type=Header)
                return
        if line.startswith(b'{"removed"'):
            with suppress(msgspec.DecodeError, UnicodeDecodeError):
                removal = msgspec.json.decode(line, type=Removal)
                self.removals.setdefault(removal.removed, removal)
                if removal.removed in self.records:
                    self._keep(self.records[removal.removed])
                return
        try:
            event = decode_event(line)
        except InvalidJob:
            return  # somebody's own line: kept in the file, of no meaning to us
        if event.id in self._ids:
            return
        self._ids.add(event.id)
        if event.event.is_final:
            if event.job_id in self._finals:
                event = _duplicate(event)
            else:
                self._finals[event.job_id] = event.id
        history = self._histories.setdefault(event.job_id, [])
        late = bool(history) and order(event) < order(history[-1])
        history.append(event)
        record = self.records.get(event.job_id) or self._hidden.get(event.job_id)
        if record is None or late:
            history.sort(key=order)
            record = fold(JobRecord(job_id=event.job_id, ledger=str(self.path)), history)
        else:
            apply(record, event)
        record.notebook = self.notebook
        self._keep(record)

    def _keep(self, record: JobRecord) -> None:
        """Have ``record`` where it is seen, or where it is not."""
        is_hidden = record.job_id in self.removals and record.state.is_final
        home, other = self.records, self._hidden
        if is_hidden:
            home, other = other, home
        other.pop(record.job_id, None)
        home[record.job_id] = record

    @property
    def notebook(self) -> str | None:
        """Absolute path of the notebook that this ledger is beside, wherever both moved."""
        name = (self.header and self.header.notebook) or self._notebook
        if name is None:
            return None
        return str(self.path.with_name(self.path.name.removesuffix(SUFFIX) + Path(name).suffix))

    def _forget(self) -> None:
        self.header, self._identity, self._read_to = None, None, 0
        self.records, self._histories, self._ids, self._finals = {}, {}, set(), {}
        self.removals, self._hidden = {}, {}

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = self._open()
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open(self) -> int:
        """The file, open for appending and locked for other writers."""
        while True:
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            except OSError as error:
                raise self._unwritable(error) from error
            if fcntl is not None:
                # A file system may have no locks: the broker keeps the writer single anyway.
                with suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            # While we waited for the lock, somebody may have moved or replaced the file.
            with suppress(OSError):
                if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                    return descriptor
            os.close(descriptor)

    def _write(self, descriptor: int, lines: list[bytes]) -> None:
        size = os.fstat(descriptor).st_size
        if size == 0:
            header = Header(
                ledger=secrets.token_hex(8),
                notebook=self._notebook and Path(self._notebook).name,
                created_at=now().isoformat(timespec="seconds"),
            )
            lines.insert(0, msgspec.json.encode(header))
        data = b"\n".join(lines) + b"\n"
        if size > self._read_to:
            data = b"\n" + data  # close off a torn line
        try:
            written = 0
            while written < len(data):
                written += os.write(descriptor, data[written:])
            os.fsync(descriptor)
            if size == 0:
                self._keep_name()
        except OSError as error:
            with suppress(OSError):  # a torn line is closed off by the next append
                os.ftruncate(descriptor, size)
            raise self._unwritable(error) from error

    def _keep_name(self) -> None:
        """Have the name of a new file on disk too, where that is a thing of its own."""
        with suppress(OSError):
            folder = os.open(self.path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def _unwritable(self, error: OSError) -> LedgerError:
        return LedgerError(
            f"The ledger {self.path} cannot be written: {error.strerror}. Events wait in the "
            "inbox and are written when it can be."
        )


def _duplicate(event: Event) -> Event:
    return msgspec.structs.replace(
        event, event=Kind.DUPLICATE, of=event.event, id=f"{event.id}:duplicate"
    )


def read_ledger(path: str | Path) -> list[Event]:
    """All events of a ledger file, in file order; lines that are not events are passed over.

    Raises:
        LedgerError: there is no such file, or it cannot be read.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise LedgerError(f"The ledger {path} cannot be read: {error.strerror}.") from error
    events = []
    for line in data.splitlines():
        try:
            events.append(decode_event(line))
        except InvalidJob:
            continue
    return events


def end_line(path: str | Path, job_id: str) -> int | None:
    """The number, from 1, of the line that tells of a job's end; None when there is none."""
    try:
        with Path(path).open("rb") as file:
            for number, line in enumerate(file, start=1):
                if job_id.encode() in line:
                    with suppress(InvalidJob):
                        event = decode_event(line)
                        if event.job_id == job_id and event.event.is_final:
                            return number
    except OSError:
        return None  # moved since: whoever asks says where it was
    return None


def read_records(path: str | Path) -> dict[str, JobRecord]:
    """The jobs of a ledger file, by id, in order of first appearance. Raises `LedgerError`."""
    ledger = Ledger(Path(path).absolute())
    if not ledger.refresh() and not ledger.path.exists():
        raise LedgerError(f"There is no ledger {path}.")
    return ledger.records
