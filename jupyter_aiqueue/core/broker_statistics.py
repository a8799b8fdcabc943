"""The broker's own statistics: what its management API says about queues, alarms and room.

Asked at most every few seconds, and left alone for a while when it does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from .config import Broker
from .errors import ManagementUnavailable
from .load import MANAGEMENT, UNKNOWN, Measured
from .management import AGE_S, Management, Room

#: Seconds between two questions to the management API, whose numbers change every five.
_MANAGEMENT_INTERVAL = 5.0

#: Seconds the management API may take for one answer, and for all of them in one round before it
#: is left alone; for so long.
_MANAGEMENT_TIMEOUT, _MANAGEMENT_MOST, _MANAGEMENT_PAUSE = 2.0, 4.0, 30.0


class Numbers(NamedTuple):
    """What the management API says about one queue."""

    ready: Measured = UNKNOWN
    unacknowledged: Measured = UNKNOWN
    consumers: Measured = UNKNOWN
    arrivals: Measured = UNKNOWN
    completions: Measured = UNKNOWN


class BrokerStatistics:
    """The management API's part: asked at most every few seconds, left alone when it fails."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._management: Management | None = None
        self._due = 0.0
        self._known: dict[str, tuple[float, Numbers]] = {}
        self._usable = False
        self._spent = 0.0
        self._no_rate: float | None = None
        #: One sentence when it cannot be used.
        self.problem: str | None = None
        self.alarms: str | None = None
        self.room = Room()
        self.version: str | None = None

    def begin(self) -> None:
        """Start a measurement: see whether the API answers, and whether an alarm is on."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _MANAGEMENT_INTERVAL
        self._known, self._spent = {}, 0.0
        self._usable, self.problem, self.alarms, self.room = False, None, None, Room()
        try:
            if self._management is None:
                self._management = Management(self._broker, timeout=_MANAGEMENT_TIMEOUT)
            with self._waiting():
                overview = self._management.overview()
            self.version = overview.version
            self._usable = not overview.stats_disabled
            # A queue without traffic has no rate; where rates are kept, that means 0.
            self._no_rate = 0.0 if overview.keeps_rates else None
            if overview.stats_disabled:
                self.problem = "The broker's statistics are switched off; rates stay unknown."
        except ManagementUnavailable as error:
            self._usable, self.problem = False, str(error)
            return
        with suppress(ManagementUnavailable):  # some accounts may see queues, but no alarms
            with self._waiting():
                self.alarms = self._management.alarms()
            with self._waiting():
                self.room = self._management.room()

    def of(self, queue: str) -> Numbers:
        """The numbers of one queue; unknown ones when they cannot be had."""
        if queue not in self._known:
            self._known[queue] = (time.monotonic(), self._ask(queue))
        asked, numbers = self._known[queue]
        late = time.monotonic() - asked
        return Numbers(*(older(number, late) for number in numbers))

    def _ask(self, queue: str) -> Numbers:
        if not self._usable or self._management is None:
            return Numbers()
        try:
            with self._waiting():
                stats = self._management.queue(queue)
        except ManagementUnavailable as error:
            self.problem = f"Queue {queue}: {error}"
            return Numbers()
        return Numbers(
            *(
                stated(value)
                for value in (
                    stats.ready,
                    stats.unacknowledged,
                    stats.consumers,
                    self._no_rate if stats.publish_rate is None else stats.publish_rate,
                    self._no_rate if stats.ack_rate is None else stats.ack_rate,
                )
            )
        )

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        """Whoever measures waits for as long as the answers take; what hangs is left alone."""
        began = time.monotonic()
        try:
            yield
        finally:
            over = time.monotonic()
            self._spent += over - began
            if self._spent >= _MANAGEMENT_MOST:
                self._usable, self._due = False, over + _MANAGEMENT_PAUSE

    def close(self) -> None:
        """Close the HTTP connections."""
        if self._management is not None:
            self._management.close()


def stated(value: float | None) -> Measured:
    """A number of the management API's."""
    return UNKNOWN if value is None else Measured(value, MANAGEMENT, AGE_S)


def older(number: Measured, seconds: float) -> Measured:
    """The same number, so many seconds later."""
    if number.age_s is None:
        return number
    return Measured(number.value, number.source, number.age_s + seconds)
