"""Orders about held jobs: cancels and releases that people ask for."""

from __future__ import annotations

from contextlib import suppress

from ..core import topology
from ..core.errors import BrokerError, BrokerUnreachable, InvalidJob
from ..core.status import decode_cancel, decode_release
from ..core.stream import replay
from ..core.transport import Delivery, Session
from .console import Console


class Orders:
    """Hears of cancels and releases while its session lasts, those of before included."""

    def __init__(self, session: Session, console: Console) -> None:
        self._session, self._console = session, console
        #: Ids of jobs.
        self.cancelled: set[str] = set()
        self.released: set[str] = set()
        keys = [(topology.CONTROL, key) for key in ("cancel.*", "release.*")]
        queue = session.temporary_queue(keys, max_length=100_000)
        session.consume(queue, self._arrived, prefetch=100)
        self.look_back("first")

    def look_back(self, since: str) -> None:
        """Read what was kept since then: an offset of a stream, such as ``60s``."""
        session = self._session
        try:
            for message in replay(session, topology.CONTROL, topology.CONTROL_LOG, since=since):
                self._told(message.routing_key, message.body)
        except BrokerUnreachable:
            raise
        except BrokerError as error:
            self._console.trouble(f"cancels of held jobs cannot be read. {error}")

    def forget(self, job_id: str) -> None:
        """The job is held no longer."""
        self.cancelled.discard(job_id)
        self.released.discard(job_id)

    def _arrived(self, delivery: Delivery) -> None:
        self._session.ack(delivery)
        self._told(delivery.message.routing_key, delivery.message.body)

    def _told(self, key: str, body: bytes) -> None:
        kind = key.partition(".")[0]
        with suppress(InvalidJob):
            if kind == "cancel":
                self.cancelled.add(decode_cancel(body).job_id)
            elif kind == "release":
                self.released.add(decode_release(body).job_id)
