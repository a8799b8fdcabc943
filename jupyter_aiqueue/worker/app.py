"""`Worker`: one process that takes jobs and runs them until it is told to stop."""

from __future__ import annotations

import platform
import queue
import re
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from ..core.config import Broker
from ..core.errors import (
    AccessRefused,
    AIQueueError,
    ConfigError,
    NoBroker,
    PermissionRefused,
    UnknownGroup,
)
from ..core.job import check_word
from ..core.link import Link
from ..core.publisher import read_catalog
from ..core.topology import Catalog
from ..core.transport import Session
from ..core.versions import band
from .collector import Collector
from .console import Console, duration, write_line
from .desk import Desk
from .guard import guarded
from .heartbeat import Pulse
from .take import Taker
from .tasks import Tasks
from .warden import Warden

#: Seconds between turns of the main loop.
_TICK = 0.25

#: Seconds that a stopping worker tries to tell the broker of what has ended.
_LAST_WORDS = 15.0

#: Troubles that waiting does not cure: a worker that meets one at its start says so and ends.
#: A failed handshake is none: what stands before a broker that restarts may cause it.
_FATAL = (AccessRefused, PermissionRefused, ConfigError, UnknownGroup, NoBroker)


class Worker:
    """Takes jobs of one group, and of plain producers' queues, and runs them.

    Everything about the broker happens in the thread of one `Link`; every running job has
    threads of its own; `run` only keeps time.

    Args:
        find: tells the broker; asked anew for every connection.
        tasks: what may be run.
        group: the worker group; None takes the tasks file's, or none if that names none.
        queues: durable queues of plain producers to serve as well.
        slots: jobs at the same time; None takes the tasks file's.
        name: one word, unique among workers; made from the host's name when None.
        grace: seconds that running jobs may take to finish after `drain`; None takes the
            tasks file's.
        say: gets the lines for the console.

    Raises:
        ConfigError: nothing to serve.
        InvalidJob: the name, or the group's, is not one word.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        tasks: Tasks,
        *,
        group: str | None = None,
        queues: Sequence[str] = (),
        slots: int | None = None,
        name: str | None = None,
        grace: float | None = None,
        say: Callable[[str], None] = write_line,
    ) -> None:
        self.tasks = tasks
        self.group = group if group is not None else tasks.group
        self.queues = tuple(dict.fromkeys(queues))
        self.slots = tasks.slots if slots is None else slots
        self.name = check_word("worker", name) if name else _own_name()
        self.grace = tasks.limits.drain if grace is None else grace
        if self.group is None and not self.queues:
            raise ConfigError("A worker needs something to serve: --group NAME or --queue NAME.")
        if self.group is not None:
            check_word("group", self.group)
        if self.slots < 1:
            raise ConfigError(f"A worker needs at least one slot, not {self.slots}.")
        self._console = Console(say)
        self._orders: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop_at = float("inf")
        self._fatal: AIQueueError | None = None
        self._was_up = self._ticking = False
        self._link = Link(
            find,
            f"jupyter_aiqueue worker {self.name}",
            setup=self._setup,
            on_up=lambda: self._orders.put("look"),
            on_lost=self._lost,
            # Back well within the time for which others ask about our jobs.
            longest_wait=min(10.0, tasks.lease.grace / 3),
        )
        self._warden = Warden()
        self._desk = Desk(
            self.name,
            tasks,
            group=self.group,
            slots=self.slots,
            console=self._console,
            warden=self._warden,
            post=self._link.post,
            on_change=self._changed,
            on_free=self._look,
        )
        self._taker = Taker(
            self.group,
            self.queues,
            free=self._desk.free,
            accept=self._desk.accept,
            say=self._console.note,
        )
        self._pulse = Pulse(self, self._desk)
        self._collector = Collector(
            find, self.name, self._console, post=self._link.post, queues=self.queues
        )

    # -- from outside, any thread --------------------------------------------------------

    def drain(self) -> None:
        """Take no more jobs; end when the running ones have, or after the grace.

        What has not ended by then is stopped and given back, without losing an attempt.
        """
        self._orders.put("drain")

    def stop_now(self) -> None:
        """Like `drain` without grace."""
        self._orders.put("stop")

    def run(self) -> int:
        """Work until told to stop, in the calling thread.

        Returns:
            0, or 1 if the broker cannot be used, or could not be told of everything: what it
            was not told is in the run folders.
        """
        self._console.note(f"worker {self.name} {self._serves()}")
        self._warden.start()
        self._link.start()
        try:
            while self._fatal is None and not (self._desk.closed and self._idle()):
                self._obey()
                self._warden.check()
                if time.monotonic() >= self._stop_at:
                    self._desk.stop_all()
                self._tick()
                self._collector.tick()
        finally:
            untold = self._leave()
        if self._fatal is not None:
            self._console.note(str(self._fatal))
        if untold:
            self._console.note(
                f"{_count(untold, 'job')} ended and the broker could not be told; it will "
                "deliver them again"
            )
        self._console.note(f"worker {self.name} has ended")
        return 1 if untold or self._fatal is not None else 0

    # -- the main thread -----------------------------------------------------------------

    def _obey(self) -> None:
        try:
            order = self._orders.get(timeout=_TICK)
        except queue.Empty:
            return
        if order == "drain" and not self._desk.closed:
            self._stop_at = time.monotonic() + self.grace
            running = len(self._desk.executions())
            goes_on = (
                f"; {_count(running, 'running job')} may finish within {duration(self.grace)}"
                if running
                else ""
            )
            self._console.note(f"taking no more jobs{goes_on}")
            self._desk.closed = True
        elif order == "stop":
            self._stop_at = float("-inf")
            self._desk.closed = True

    def _idle(self) -> bool:
        # A job may be on its way in: once the link's thread has done this, it is here, and no
        # further one follows.
        if not self._desk.executions():
            with suppress(AIQueueError):  # it is away
                self._link.call(lambda _: None, timeout=2.0)
        return not self._desk.executions()

    def _tick(self) -> None:
        if not self._ticking:
            self._ticking = True  # before the turn can take place, which unsets it
            if not self._link.post(self._turn):
                self._ticking = False

    def _leave(self) -> int:
        """Stop everything; return how many ends the broker was not told of."""
        self._desk.closed = True
        while not self._idle():
            self._desk.stop_all()
            time.sleep(_TICK)
        deadline = time.monotonic() + _LAST_WORDS
        while (self._desk.untold() or self._desk.expects) and time.monotonic() < deadline:
            self._tick()
            time.sleep(_TICK)
        self._pulse.stopped = True
        with suppress(AIQueueError):  # it is away
            self._link.call(self._pulse.beat, timeout=5.0)
            self._link.call(self._desk.leave, timeout=5.0)
        self._collector.close()
        self._link.close()
        self._warden.close()
        return self._desk.untold()

    # -- the link's thread ---------------------------------------------------------------

    def _setup(self, session: Session) -> None:
        catalog = read_catalog(session)
        self._check(catalog, session.broker)
        self._desk.connect(session, catalog, new=not self._was_up)
        self._taker.connect(session)
        self._console.over()
        self._console.note(f"connected to {session.broker.location} (RabbitMQ {session.version})")
        if not self._was_up:
            for matter in band(session.version).matters:
                self._console.note(f"  {matter}")
        self._was_up = True

    def _check(self, catalog: Catalog, broker: Broker) -> None:
        if self.group is not None and self.group not in catalog.groups:
            raise UnknownGroup(
                f"The broker at {broker.location} has no group {self.group!r}; it has "
                f"{', '.join(catalog.groups)}."
            )
        missing = sorted(self.tasks.delays() - set(catalog.retry_delays))
        if missing:
            raise ConfigError(
                f"The broker at {broker.location} has no retry queue for a delay of "
                f"{_seconds(missing)}; it has them for {_seconds(catalog.retry_delays)}. Change "
                f"`delays` in {self.tasks.file}, or have `jupyter aiqueue provision` make them."
            )

    def _lost(self, error: AIQueueError) -> None:
        self._ticking = False
        if self._pulse.stopped:
            return
        if not self._was_up and isinstance(error, _FATAL):
            self._fatal = error
            self._orders.put("look")
            return
        running = len(self._desk.executions())
        goes_on = f" {_count(running, 'running job')} not affected." if running else ""
        self._console.trouble(f"{error} Trying again.{goes_on}")

    def _turn(self, session: Session) -> None:
        """Everything that is due, once."""
        self._ticking = False
        guarded(self._console, partial(self._desk.tick, session))
        guarded(self._console, partial(self._taker.tick, session))
        guarded(self._console, partial(self._pulse.tick, session))

    def _look(self, session: Session) -> None:
        """A slot has become free."""
        guarded(self._console, partial(self._desk.flush, session))
        guarded(self._console, partial(self._taker.look_now, session))

    # -- small things --------------------------------------------------------------------

    def _changed(self, ended: str | None) -> None:
        self._pulse.changed(ended)

    def _serves(self) -> str:
        parts = [f"group {self.group}"] if self.group else []
        parts += [f"queue {name}" for name in self.queues]
        names = ", ".join(sorted(self.tasks.tasks))
        return f"serves {' and '.join(parts)} with {_count(self.slots, 'slot')}; tasks: {names}"


def install_signal_handlers(worker: Worker) -> None:
    """Have SIGTERM and SIGINT drain the worker, and a second one stop it now.

    For the main thread of a program only.
    """
    told_before = False

    def told(*_: object) -> None:
        nonlocal told_before
        if told_before:
            worker.stop_now()
        else:
            worker.drain()
        told_before = True

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def _own_name() -> str:
    host = re.sub(r"[^A-Za-z0-9_-]", "-", platform.node().partition(".")[0])[:40] or "worker"
    return f"{host}-{secrets.token_hex(2)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _seconds(delays: Sequence[int]) -> str:
    return ", ".join(f"{delay} s" for delay in delays)
