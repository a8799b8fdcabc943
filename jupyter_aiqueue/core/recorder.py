"""The recorder: the one consumer of an inbox, which writes ledgers.

The order is append, fsync, acknowledge: an event that is not on disk stays in the inbox.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from . import paths, topology
from .config import Broker
from .errors import AIQueueError, InvalidJob, LedgerError, NotProvisioned, PermissionRefused
from .events import LIVE_WORD, Event, Kind, decode_event
from .job import JobRecord
from .ledgers import Ledgers
from .link import Link
from .transport import Delivery, DeliveryLost, Session

_log = logging.getLogger(__name__)

#: Events held unacknowledged: so many that a ledger which cannot be written for a while does not
#: keep the events of other notebooks from coming.
_HELD = 5000

#: Seconds between attempts to write a ledger that could not be written.
_RETRY_INTERVAL = 5.0


class Recorder:
    """Records the events of one inbox.

    Several may run for one inbox: the broker lets one of them work at a time.

    Args:
        find: tells the broker.
        inbox: name of the inbox; it is declared when missing.
        on_change: called with a record that changed, in the recorder's thread.
        ledgers: where to write; this user's own by default.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        inbox: str,
        *,
        on_change: Callable[[JobRecord], None] | None = None,
        ledgers: Ledgers | None = None,
    ) -> None:
        self.inbox = inbox
        self.ledgers = ledgers or Ledgers()
        self._on_change = on_change
        self._arrived: list[tuple[Delivery, Event]] = []
        self._unwritten: list[tuple[Delivery, Event]] = []
        self._ledger_troubles: list[str] = []
        self._stopping = threading.Event()
        #: Events that waited in the inbox when this connection began, and are not seen to yet.
        self._backlog = 0
        self._caught_up = threading.Event()
        self._link = Link(
            find, f"jupyter_aiqueue recorder {inbox}", setup=self._setup, on_lost=self._lost
        )
        self._retrier = threading.Thread(target=self._retry, name="recorder retry", daemon=True)

    def start(self) -> None:
        """Start recording in the background; the broker may be away."""
        self._link.start()
        self._retrier.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop; what is not written stays in the inbox."""
        self._stopping.set()
        self._link.close(timeout)

    def catch_up(self, timeout: float) -> bool:
        """Wait until what waited in the inbox at first is recorded, or cannot be now.

        Returns:
            Whether it was within ``timeout`` seconds.
        """
        return self._caught_up.wait(timeout)

    @property
    def troubles(self) -> list[str]:
        """What is wrong now, one sentence each."""
        found = list(self._ledger_troubles)
        error = self._link.error
        if error is not None and not self._link.connected:
            found.append(str(error))
        return found

    @property
    def connected(self) -> bool:
        """Whether it reads its inbox now (or waits behind another recorder of it)."""
        return self._link.connected

    @property
    def broker_error(self) -> AIQueueError | None:
        """Why there is no connection now, or None."""
        return None if self._link.connected else self._link.error

    def records(self, notebook: str | None = None) -> list[JobRecord]:
        """Known jobs, newest first; of one notebook (absolute path) if given."""
        return self.ledgers.records(notebook)

    def record(self, job_id: str) -> JobRecord:
        """One job, by its id or a part that fits only it. Raises `JobNotFound`, `AmbiguousJob`."""
        return self.ledgers.find(job_id)

    def moved(self, old: str, new: str) -> None:
        """A notebook or folder was renamed (absolute paths). Raises `LedgerError`."""
        self.ledgers.moved(old, new)

    def _setup(self, session: Session) -> None:
        self.ledgers.refresh()
        self._arrived.clear()
        self._unwritten.clear()
        make_inbox(session, self.inbox)
        self._backlog = session.count(topology.inbox_queue(self.inbox)).ready
        self._seen_to(0)
        with suppress(PermissionRefused):  # then progress is seen when an attempt ends
            live = session.temporary_queue(
                [(topology.EVENTS, f"{LIVE_WORD}.{self.inbox}.*.{Kind.PROGRESS.value}.*")]
            )
            session.consume(live, lambda delivery: self._progress(session, delivery), prefetch=500)
        session.consume(topology.inbox_queue(self.inbox), self._event, prefetch=_HELD)

    def _lost(self, _: AIQueueError) -> None:
        # Unacknowledged events come again; those already written are recognised.
        self._arrived.clear()
        self._unwritten.clear()
        self._caught_up.set()  # nobody waits for a broker that is away

    def _seen_to(self, events: int) -> None:
        self._backlog -= events
        if self._backlog <= 0:
            self._caught_up.set()

    def _event(self, delivery: Delivery) -> None:
        try:
            event = decode_event(delivery.message.body)
        except InvalidJob as error:
            why = str(error)
            self._link.post(lambda session: self._set_aside(session, delivery, why))
            return
        if not self._arrived:
            # Runs when everything that came with this event is here: one fsync for all.
            self._link.post(self._write)
        self._arrived.append((delivery, event))

    def _progress(self, session: Session, delivery: Delivery) -> None:
        session.ack(delivery)
        try:
            event = decode_event(delivery.message.body)
        except InvalidJob:
            return
        record = self.ledgers.apply_live(event)
        if record is not None:
            self._tell(record)

    def _write(self, session: Session) -> None:
        arrived = len(self._arrived)
        todo, self._arrived = self._unwritten + self._arrived, []
        self._unwritten = []
        by_ledger: dict[Path, list[tuple[Delivery, Event]]] = {}
        homes: dict[str, Path] = {}
        for delivery, event in todo:
            try:
                home = homes.setdefault(event.job_id, self.ledgers.place(event))
            except Exception:
                _log.exception("placing an event of job %s", event.job_id)
                home = homes.setdefault(event.job_id, self.ledgers.unattached)
            by_ledger.setdefault(home, []).append((delivery, event))
        # Everything unwritten is tried: what is no trouble now, is none (its notebook may have
        # moved, so that its events go elsewhere).
        troubles: list[str] = []
        changed: list[JobRecord] = []
        for path, items in by_ledger.items():
            try:
                changed += self.ledgers.add(path, [event for _, event in items])
            except LedgerError as error:
                troubles.append(str(error))
                self._unwritten += items
                continue
            except Exception as error:
                # A fault of ours with one ledger is not one with all others.
                _log.exception("writing %s", path)
                troubles.append(f"The ledger {path} is not written: {type(error).__name__}.")
                self._unwritten += items
                continue
            for delivery, _ in items:
                self._ack(session, delivery)
        self._ledger_troubles = troubles
        self._seen_to(arrived)
        for record in changed:
            self._tell(record)

    def _set_aside(self, session: Session, delivery: Delivery, why: str) -> None:
        """Keep what is no event of ours in a file, so that the inbox does not clog."""
        file = paths.data_dir() / "unreadable-events.jsonl"
        line = {"why": why, "body": delivery.message.body.decode("utf-8", "backslashreplace")}
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with file.open("a") as out:
                out.write(json.dumps(line) + "\n")
                out.flush()
                os.fsync(out.fileno())
        except OSError:
            return  # stays in the inbox, comes again with the next connection
        finally:
            self._seen_to(1)
        self._ack(session, delivery)

    def _ack(self, session: Session, delivery: Delivery) -> None:
        with suppress(DeliveryLost):  # comes again and is recognised
            session.ack(delivery)

    def _tell(self, record: JobRecord) -> None:
        if self._on_change is not None:
            try:
                self._on_change(record)
            except Exception:
                _log.exception("telling of job %s", record.job_id)

    def _retry(self) -> None:
        while not self._stopping.wait(_RETRY_INTERVAL):
            if self._unwritten:
                self._link.post(self._write)


def make_inbox(session: Session, name: str) -> None:
    """Have an inbox that receives its events.

    It is declared and bound also when it is there: whoever made it may be between the two steps,
    or may have died there, and events that come before the binding are lost in silence.
    """
    inbox = topology.inbox(name)
    try:
        session.declare(inbox)
    except PermissionRefused:
        # Accounts may be allowed to use it, but not to make it.
        if not session.exists(inbox.name):
            raise


def inbox_depth(session: Session, inbox: str) -> tuple[int, int]:
    """Events waiting in an inbox, and recorders reading it; (0, 0) when there is no inbox.

    Raises:
        BrokerError: it cannot be seen.
    """
    try:
        count = session.count(topology.inbox_queue(inbox))
    except NotProvisioned:
        return 0, 0
    return count.ready, count.consumers
