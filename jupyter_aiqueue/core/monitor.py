"""The one poller of a server, shared by all who look; it sleeps when nobody does."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from .config import Broker
from .errors import AIQueueError
from .load import Load
from .measure import Meter, down
from .past import Past, Point
from .transport import Session, connect

_log = logging.getLogger(__name__)

#: Seconds after the last look when polling stops.
_ATTENTION = 30.0

#: Longest time between two attempts to reach a broker that is away, seconds.
_LONGEST_WAIT = 15.0


class Monitor:
    """Polls the broker while somebody looks.

    Args:
        find: tells the broker, asked anew for every connection.
        queues: plain queues to show beside the groups.
        on_load: called with every snapshot, in the monitor's thread.
        interval: seconds between two snapshots.
        pace: seconds between two counts of the lines, which cost a fraction of a snapshot; as
            ``interval`` if not given.
    """

    def __init__(
        self,
        find: Callable[[], Broker],
        *,
        queues: Sequence[str] = (),
        on_load: Callable[[Load], None] | None = None,
        interval: float = 2.0,
        pace: float | None = None,
    ) -> None:
        self._find, self._queues = find, tuple(queues)
        self._on_load, self._interval = on_load, interval
        self._pace = interval if pace is None else min(pace, interval)
        self._looked = threading.Event()
        self._last_look = float("-inf")
        self._stopping = False
        self._load: Load | None = None
        self._fresh = threading.Condition()
        self._history: dict[str, Past] = defaultdict(Past)
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)

    def start(self) -> None:
        """Start the thread; it polls nothing until somebody looks."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop and disconnect."""
        self._stopping = True
        self._looked.set()
        if self._thread.ident is not None:
            self._thread.join(timeout)

    def look(self, timeout: float = 10.0) -> Load:
        """The newest snapshot; after a sleep, waits for a new one, at most ``timeout`` s."""
        asleep = time.monotonic() - self._last_look > _ATTENTION
        self._last_look = time.monotonic()
        with self._fresh:
            if asleep:
                self._load = None
            self._looked.set()
            if self._load is None:
                self._fresh.wait_for(lambda: self._load is not None, timeout)
            return self._load or down(AIQueueError("The broker has not answered yet."))

    def history(self, since: datetime | None = None) -> dict[str, list[dict[str, Any]]]:
        """The last hour of each group, or what came after ``since``; see `core.past`."""
        with self._fresh:
            return {name: list(past.points(since)) for name, past in self._history.items()}

    def _run(self) -> None:
        wait = self._interval
        while not self._stopping:
            self._looked.clear()
            if time.monotonic() - self._last_look > _ATTENTION:
                if not self._stopping:
                    self._looked.wait()
                continue
            broker = None
            meter = None
            try:
                broker = self._find()
                meter = Meter(broker, self._queues)
                with connect(broker, "jupyter_aiqueue monitor") as session:
                    wait = self._interval
                    self._poll(session, meter)
            except AIQueueError as error:
                load = meter.measure_without_amqp(error) if meter else down(error, broker)
                self._publish(load)
                # Somebody who looks again does not wait for a broker that is away.
                self._pause(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
            except Exception as error:
                # A fault of ours: said, and not the end of this thread.
                _log.exception("measuring the load")
                name = type(error).__name__
                self._publish(down(AIQueueError(f"Measuring the load failed: {name}."), broker))
                self._pause(_LONGEST_WAIT)
            finally:
                if meter is not None:
                    meter.close()

    def _poll(self, session: Session, meter: Meter) -> None:
        while not self._stopping and time.monotonic() - self._last_look <= _ATTENTION:
            load = meter.measure(session)
            self._publish(load)
            due = time.monotonic() + self._interval
            while self._wait(session, min(due, time.monotonic() + self._pace)):
                if time.monotonic() >= due:
                    break
                self._publish(meter.recount(session, load), keep=False)

    def _wait(self, session: Session, until: float) -> bool:
        """Wait, and keep AMQP heartbeats; returns whether to go on."""
        while not self._stopping and (left := until - time.monotonic()) > 0:
            session.pump(min(left, 0.5))
        return not self._stopping

    def _pause(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._stopping and time.monotonic() < deadline:
            time.sleep(0.1)

    def _publish(self, load: Load, *, keep: bool = True) -> None:
        """Tell ``load``; ``keep`` it in the history, too."""
        with self._fresh:
            self._load = load
            for group in load.groups if keep else ():
                point = Point(load.timestamp, group.waiting.value, group.running.value)
                self._history[group.name].add(point)
            self._fresh.notify_all()
        if self._on_load is not None:
            try:
                self._on_load(load)
            except Exception:
                _log.exception("telling of the load")
