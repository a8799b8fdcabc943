"""The snapshot: one message that tells everybody how busy the system is, and who is in line."""

from __future__ import annotations

import zlib
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec

from ..errors import InvalidJob
from ..job import Priority, State
from ..load import Load
from .day import Sample
from .entry import Entry

#: Bytes of a message once unpacked; a larger one is not ours.
_MOST = 100_000_000


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """How forecasts of a group have fared lately: so many of the last so many were right."""

    start: tuple[int, int] = (0, 0)
    finish: tuple[int, int] = (0, 0)


#: What is forecast of a job.
WHATS: tuple[Literal["start"], Literal["finish"]] = ("start", "finish")


def level_key(what: str, *, at_once: bool) -> str:
    """Under which `GroupLine.levels` are kept."""
    return f"{what} {'at once' if at_once else 'later'}"


class BatchPlace(NamedTuple):
    """Where a held job stands among those of its batch."""

    #: How many of the batch wait in line, and how many held ones go before it.
    in_line: int
    before: int


class GroupLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A group as a forecast needs it."""

    #: Everything that waits, runs or is between two attempts; lines in order.
    entries: tuple[Entry, ...] = ()
    #: Jobs in a queue that no event has told of, by priority.
    strangers: dict[Priority, int] = msgspec.field(default_factory=dict)
    #: Jobs per second that join each line.
    arrivals: dict[Priority, float] = msgspec.field(default_factory=dict)
    #: Slots per second that join, and the chance per second that one leaves.
    joins: float = 0.0
    leaves: float = 0.0
    retry_delays: tuple[int, ...] = ()
    #: Seconds from a free slot to the start of the next job in it: of a first attempt, and of a
    #: further one.
    handover_s: float = 0.0
    handover_again_s: float = 0.0
    #: Where the 10, 50 and 90 % points of forecasts have been in fact; by what was forecast and
    #: whether a slot was free, see `core.forecast.track`.
    levels: dict[str, tuple[float, float, float]] = msgspec.field(default_factory=dict)
    record: Record = Record()

    def line(self, priority: Priority) -> list[Entry]:
        """Who waits in one of its queues, first in line first."""
        return [
            entry
            for entry in self.entries
            if entry.state is State.QUEUED and entry.priority is priority
        ]

    def find(self, job_id: str) -> Entry | None:
        """A job that is not over, or None."""
        return next((entry for entry in self.entries if entry.job_id == job_id), None)

    def place_in_batch(self, held: Entry) -> BatchPlace | None:
        """Where ``held`` stands; None when it is of no batch."""
        if held.batch is None:
            return None
        batch = [entry for entry in self.entries if entry.batch == held.batch]
        return BatchPlace(
            in_line=sum(entry.state is State.QUEUED for entry in batch),
            # Held jobs that were submitted together go in the order of their ids.
            before=sum(e.state is State.HELD and e.job_id < held.job_id for e in batch),
        )


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the collector publishes."""

    timestamp: datetime
    #: The worker whose process collects.
    collector: str
    load: Load
    groups: dict[str, GroupLine] = msgspec.field(default_factory=dict)


class PastRun(msgspec.Struct, frozen=True, array_like=True):
    """One attempt that came to its own end; see `core.forecast.Run`."""

    group: str
    task: str | None
    config: str
    seconds: float
    failed: bool = False


class Lore(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is learnt from ended jobs, and what a new collector begins with."""

    timestamp: datetime
    runs: tuple[PastRun, ...] = ()
    #: Jobs that are not over; those of a snapshot may be newer.
    entries: tuple[Entry, ...] = ()
    #: The `core.forecast.Claim`s of the track record, as they are.
    claims: msgspec.Raw = msgspec.Raw(b"[]")
    #: The load over the last day, by group.
    day: dict[str, tuple[Sample, ...]] = msgspec.field(default_factory=dict)


_T = TypeVar("_T")

_snapshots = msgspec.json.Decoder(Snapshot)
_lore = msgspec.json.Decoder(Lore)


def pack(value: Snapshot | Lore) -> bytes:
    """As a message's body: JSON, compressed (lines of a thousand jobs repeat themselves)."""
    return zlib.compress(msgspec.json.encode(value), 3)


def unpack_snapshot(body: bytes) -> Snapshot:
    """Raises `InvalidJob` when it is none."""
    return _unpack(_snapshots, body)


def unpack_lore(body: bytes) -> Lore:
    """Raises `InvalidJob` when it is none."""
    return _unpack(_lore, body)


def _unpack(decoder: msgspec.json.Decoder[_T], body: bytes) -> _T:
    try:
        unpacker: Any = zlib.decompressobj()
        data = unpacker.decompress(body, _MOST)
        if unpacker.unconsumed_tail:
            raise InvalidJob("too-large", f"A snapshot of more than {_MOST:,} bytes.")
        if not unpacker.eof:
            raise InvalidJob("malformed-snapshot", "A snapshot that was cut off.")
        return decoder.decode(data)
    except (zlib.error, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJob("malformed-snapshot", f"Not a snapshot of ours: {error}") from error
