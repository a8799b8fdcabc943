"""A connection kept for the next call, for callers that come now and then."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .config import Broker
from .errors import AIQueueError, BrokerUnreachable, NotConfirmed
from .transport import Session, connect

#: Seconds that an unused connection is kept. Nobody serves it in between, so it must be
#: closed before the broker misses its heartbeats.
KEEP = 15.0

#: What fails because the connection is lost is tried this often, unless it took too long
#: (seconds) already.
_TRIES, _PATIENCE = 3, 5.0

T = TypeVar("T")


class KeptConnection:
    """Opens a session when it is used, and closes it when it has not been for a while.

    Thread-safe: one use at a time.

    Args:
        find: tells the broker, asked anew for every connection.
        name: of the connection, shown in the management UI.
    """

    def __init__(self, find: Callable[[], Broker], name: str) -> None:
        self._find, self._name = find, name
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._closer: threading.Timer | None = None

    def use(self, work: Callable[[Session], T]) -> T:
        """Do ``work`` with a session: the last one, or a new one.

        When the connection turns out to be lost, the work is repeated on a new one: what is
        published carries ids, so that a repeat is recognised.

        Raises:
            BrokerError: the broker is away or refuses; and whatever the work raises.
        """
        with self._lock:
            began = time.monotonic()
            for tries_left in range(_TRIES - 1, -1, -1):
                session = self._open()
                try:
                    return work(session)
                except (BrokerUnreachable, NotConfirmed):
                    self.drop()
                    if not tries_left or time.monotonic() - began > _PATIENCE:
                        raise
                except BaseException as error:
                    if not isinstance(error, AIQueueError):
                        self.drop()  # interrupted in the middle of an answer
                    raise
                finally:
                    self._close_later()
        raise AssertionError("the last try returns or raises")

    def drop(self) -> None:
        """Close the session; the next use opens another."""
        if self._session is not None:
            self._session.close()
        self._session = None

    def close(self) -> None:
        """Close for good, as far as this thread is concerned."""
        with self._lock:
            if self._closer is not None:
                self._closer.cancel()
            self.drop()

    def _open(self) -> Session:
        if self._closer is not None:
            self._closer.cancel()
        if self._session is None:
            self._session = connect(self._find(), self._name)
        return self._session

    def _close_later(self) -> None:
        if self._session is None:
            return

        def close() -> None:
            with self._lock:
                if self._closer is timer:
                    self.drop()

        timer = self._closer = threading.Timer(KEEP, close)
        timer.daemon = True
        timer.start()
