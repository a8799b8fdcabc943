"""The collector: of all workers' processes one tells everybody how busy the system is.

Every worker reads the queue `topology.COLLECTOR`, and the broker gives what is in it to one of
them, and to the next one when that is gone. Whoever is given something collects (`collection`).

It has a connection and a thread of its own: a worker's jobs do not wait for it. The other workers
have none: they look now and then whether the queue has a consumer. (Several may find that it has
none; then one of them collects, and the others stand by.)
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Sequence

from ..core import topology
from ..core.config import Broker
from ..core.errors import (
    AIQueueError,
    BrokerError,
    BrokerUnreachable,
    NotProvisioned,
    PermissionRefused,
)
from ..core.link import Link
from ..core.transport import Delivery, Session
from .collection import MOST_HELD, Baton, Collection, pass_baton
from .console import Console
from .guard import guarded

#: Seconds between two looks whether somebody collects, at most.
_LOOK = 5.0

#: Seconds for which it is left to others by who may not do all of it.
_LEFT = 300.0


class Collector:
    """Collects if it is this process's turn.

    Args:
        find: tells the broker; asked anew for every connection.
        worker: the name of this process's worker.
        post: has something done with the worker's own connection; whether there is one.
        queues: plain queues to show beside the groups.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        worker: str,
        console: Console,
        *,
        post: Callable[[Callable[[Session], None]], bool],
        queues: Sequence[str] = (),
    ) -> None:
        self._find, self._worker, self._console, self._queues = find, worker, console, queues
        self._post = post
        self._stands_by = False
        self._look_due = float("-inf")
        self._arrived: list[Delivery] = []
        self._collection: Collection | None = None
        #: Of the session.
        self._name = ""
        self._ticking = False
        #: What cannot be helped is said once.
        self._missing = self._refused = False
        self._link = self._new_link()

    def _new_link(self) -> Link:
        name = f"jupyter_aiqueue collector {self._worker}"
        return Link(self._find, name, setup=self._setup, on_lost=self._lost)

    def close(self) -> None:
        """Leave it to the next one."""
        self._link.close()

    def tick(self) -> None:
        """Do what is due, soon, in its own thread."""
        if not self._stands_by:
            if time.monotonic() >= self._look_due and self._post(self._look):
                # Not all in one instant.
                self._look_due = time.monotonic() + _LOOK * random.uniform(0.5, 1.0)  # noqa: S311
        elif not self._ticking:
            self._ticking = True  # before the turn can take place, which unsets it
            if not self._link.post(self._turn):
                self._ticking = False

    @property
    def collects(self) -> bool:
        """Whether it is this process's turn."""
        return self._collection is not None

    # -- the thread of the worker's own link ---------------------------------------------

    def _look(self, session: Session) -> None:
        """Connect to collect if nobody does (those who stand by do not count as consumers)."""
        try:
            collected = session.count(topology.COLLECTOR).consumers > 0
        except (NotProvisioned, PermissionRefused) as error:
            self._say(error)
            return
        if not collected and not self._stands_by:
            self._stands_by = True
            self._link.start()

    # -- the link's thread ---------------------------------------------------------------

    def _setup(self, session: Session) -> None:
        self._lost(None)
        session.consume(topology.COLLECTOR, self._arrived.append, prefetch=MOST_HELD)
        self._name = secrets.token_hex(8)
        pass_baton(session, Baton(self._name))

    def _lost(self, error: AIQueueError | None) -> None:
        self._ticking = False
        self._arrived.clear()
        if self._collection is not None:
            self._collection.close()
        self._collection = None
        if isinstance(error, (NotProvisioned, PermissionRefused)):
            self._leave(error)

    def _leave(self, error: NotProvisioned | PermissionRefused) -> None:
        """Stand by no longer: who holds the baton and may not do it all keeps others from it."""
        self._say(error)
        self._link.close()
        self._link = self._new_link()
        seconds = _LEFT if isinstance(error, PermissionRefused) else _LOOK
        self._look_due = time.monotonic() + seconds
        self._stands_by = False  # last: from now on it may be looked again

    def _say(self, error: NotProvisioned | PermissionRefused) -> None:
        if isinstance(error, PermissionRefused):
            if not self._refused:
                self._console.note(f"this worker cannot collect the load. {error}")
            self._refused = True
        elif not self._missing:
            self._missing = True
            self._console.note(
                "nobody collects the load: this broker was set up by an earlier version; its "
                "operator has to run `jupyter aiqueue provision` again"
            )

    def _turn(self, session: Session) -> None:
        self._ticking = False
        guarded(self._console, lambda: self._collect(session))

    def _collect(self, session: Session) -> None:
        if self._collection is None and not self._arrived:
            return
        arrived = self._arrived[:]
        del self._arrived[: len(arrived)]
        try:
            self._begun(session, arrived).turn(news=bool(arrived))
        except (NotProvisioned, PermissionRefused) as error:
            self._lost(error)

    def _begun(self, session: Session, arrived: Sequence[Delivery]) -> Collection:
        """What collects, with what has arrived folded in."""
        try:
            if self._collection is None:
                self._collection = Collection(
                    session, self._name, self._worker, self._console, self._queues
                )
            self._collection.fold(arrived)
        except (BrokerUnreachable, NotProvisioned, PermissionRefused):
            raise
        except BrokerError as error:
            # Half begun: only the end of the connection takes back what it has declared.
            self._console.trouble(f"{error} Trying again.")
            raise BrokerUnreachable(str(error)) from error
        return self._collection
