"""Reading what the collector tells."""

from __future__ import annotations

from contextlib import suppress

from .. import topology
from ..errors import InvalidJob, NotProvisioned
from ..job import now
from ..stream import last
from ..transport import Session
from .snapshot import Lore, Snapshot, unpack_lore, unpack_snapshot

#: Seconds after which a snapshot is too old to be called one: nobody collects any more.
_STALE = 15.0


def read_snapshot(session: Session) -> Snapshot | None:
    """The newest snapshot, or None when nobody collects. Raises `BrokerUnreachable`."""
    with suppress(InvalidJob, NotProvisioned):
        message = last(session, topology.LOAD_LOG, patience=0.5)
        if message is not None:
            snapshot = unpack_snapshot(message.body)
            if (now() - snapshot.timestamp).total_seconds() < _STALE:
                return snapshot
    return None


def read_lore(session: Session) -> Lore | None:
    """What was learnt lately, or None. Raises `BrokerUnreachable`."""
    with suppress(InvalidJob, NotProvisioned):
        message = last(session, topology.LORE_LOG, patience=0.5)
        if message is not None:
            return unpack_lore(message.body)
    return None
