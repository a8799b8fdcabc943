"""A thread that keeps a session with the broker, and makes a new one when it is lost."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout  # not the built-in one on 3.10
from typing import Any, TypeVar

from .config import Broker
from .errors import AIQueueError, BrokerUnreachable
from .transport import Session, connect

_log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds before the first and between later attempts to reconnect, doubling.
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 10.0

#: Seconds after which a connection was a good one: its loss is met by a quick reconnection. One
#: that is lost at once, again and again, is not to wear out the broker.
_PROVEN = 3.0


class Link:
    """One long-lived connection. Its thread owns the session; others hand it work.

    Args:
        find: tells the broker, asked anew for every connection (a private node may have
            moved to other ports).
        name: of the connection, shown in the management UI.
        setup: called in the thread with every new session, to declare and to consume.
        on_up: called in the thread when a session is ready.
        on_lost: called in the thread when a session is lost or none could be made.
        longest_wait: seconds between attempts to connect, at most.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        name: str,
        *,
        setup: Callable[[Session], None] | None = None,
        on_up: Callable[[], None] | None = None,
        on_lost: Callable[[AIQueueError], None] | None = None,
        longest_wait: float = _LONGEST_WAIT,
    ) -> None:
        self.error: AIQueueError | None = None
        self.version: str | None = None
        self._find, self._name = find, name
        self._longest_wait = longest_wait
        self._setup, self._on_up, self._on_lost = setup, on_up, on_lost
        self._session: Session | None = None
        self._work: deque[tuple[Callable[[Session], Any], Future[Any]]] = deque()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def connected(self) -> bool:
        """Whether there is a session now."""
        return self._session is not None

    def start(self) -> None:
        """Start the thread; it connects in the background."""
        self._thread.start()

    def close(self, timeout: float = 5.0) -> None:
        """Stop the thread and close the session."""
        self._stopping.set()
        self._wake()
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def call(self, work: Callable[[Session], T], timeout: float | None = 20.0) -> T:
        """Run ``work`` in the link's thread and return its result.

        Raises:
            BrokerUnreachable: there is no connection now, or it was lost before the work ran,
                or the work did not end within ``timeout`` seconds.
        """
        if threading.current_thread() is self._thread and self._session is not None:
            return work(self._session)
        future = self._hand_over(work)
        if future is None:
            raise self._away()
        try:
            return future.result(timeout)
        except FutureTimeout as error:
            if future.done():
                raise  # of the work itself
            future.cancel()
            raise BrokerUnreachable(f"The broker did not answer within {timeout} s.") from error

    def post(self, work: Callable[[Session], None]) -> bool:
        """Have ``work`` run in the link's thread soon; False when there is no connection.

        An error of the work ends the session if the connection is at fault, and is otherwise
        dropped (a fault of ours is logged): what must be known to have worked belongs into
        `call`.
        """

        def logged(session: Session) -> None:
            try:
                work(session)
            except AIQueueError:
                raise
            except Exception:
                _log.exception("%s: work that nobody waits for", self._name)

        return self._hand_over(logged) is not None

    def _hand_over(self, work: Callable[[Session], T]) -> Future[T] | None:
        future: Future[T] = Future()
        with self._lock:
            if self._session is None:
                return None
            self._work.append((work, future))
        self._wake()
        return future

    def _wake(self) -> None:
        session = self._session
        if session is not None:
            session.wake()

    def _away(self) -> AIQueueError:
        return self.error or BrokerUnreachable("There is no connection to the broker yet.")

    def _run(self) -> None:
        wait = _FIRST_WAIT
        while not self._stopping.is_set():
            session, up_since = None, None
            try:
                session = connect(self._find(), self._name)
                if self._setup is not None:
                    self._setup(session)
                with self._lock:
                    self._session, self.version, self.error = session, session.version, None
                up_since = time.monotonic()
                if self._on_up is not None:
                    self._on_up()
                while not self._stopping.is_set():
                    session.pump(1.0)
                    self._do_work(session)
            except AIQueueError as error:
                self._lose(error)
            except Exception as error:
                # A fault of ours or of a callback: the next connection may do better, and a
                # thread that ended without a word would not.
                _log.exception("%s gives up its connection", self._name)
                self._lose(AIQueueError(f"{self._name} failed: {type(error).__name__}."))
            finally:
                self._lose(None)
                if session is not None:
                    session.close()
            if up_since is not None and time.monotonic() - up_since > _PROVEN:
                wait = _FIRST_WAIT
            # Jitter, so that a restarted broker is not met by everybody in one instant.
            self._stopping.wait(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(wait * 2, self._longest_wait)

    def _do_work(self, session: Session) -> None:
        # Work may hand over more work: that waits until the connection has been served.
        for _ in range(len(self._work)):
            work, future = self._work.popleft()
            if not future.set_running_or_notify_cancel():
                continue
            try:
                future.set_result(work(session))
            except BaseException as error:
                future.set_exception(error)
                if isinstance(error, BrokerUnreachable) or not isinstance(error, Exception):
                    raise

    def _lose(self, error: AIQueueError | None) -> None:
        with self._lock:
            self._session = None
            left, self._work = self._work, deque()
            if error is not None:
                self.error = error
        for _, future in left:
            if future.set_running_or_notify_cancel():
                future.set_exception(self._away())
        if error is not None and self._on_lost is not None:
            try:
                self._on_lost(error)
            except Exception:
                _log.exception("%s: telling of a lost connection failed", self._name)
