"""The load, as the browser sees it: one poller for all who look, made by the first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec

from .._version import __version__
from ..core.config import find_broker

if TYPE_CHECKING:
    from ..core.monitor import Monitor
    from .announcer import Announcer

#: Seconds that the first look waits for a broker that does not answer.
_PATIENCE = 3.0


class Loads:
    """Looks at the load. Not for several threads at once.

    Args:
        queues: plain queues to show beside the groups.
        interval: seconds between two measurements.
        pace: seconds between two counts of the lines alone.
        minimum_refresh: seconds that browsers leave between two questions, at least.
    """

    def __init__(
        self,
        announcer: Announcer,
        queues: Sequence[str],
        *,
        interval: float,
        pace: float,
        minimum_refresh: float,
    ) -> None:
        self._announcer, self._queues = announcer, queues
        self._interval, self._pace = interval, pace
        self._minimum_refresh = minimum_refresh
        self._monitor: Monitor | None = None

    def look(self, since: datetime | None = None) -> dict[str, Any]:
        """The newest snapshot with the last hour of each group. May wait a few seconds.

        Args:
            since: the asker knows what was until then.
        """
        if self._monitor is None:
            from ..core.monitor import Monitor  # brings the AMQP and HTTP libraries with it

            self._monitor = Monitor(
                find_broker,
                queues=self._queues,
                on_load=self._announcer.load,
                interval=self._interval,
                pace=self._pace,
            )
            self._monitor.start()
        load = self._monitor.look(_PATIENCE)
        return {
            **msgspec.to_builtins(load),
            "history": self._monitor.history(since),
            "minimum_refresh": self._minimum_refresh,
            "version": __version__,
        }

    def stop(self, timeout: float) -> None:
        """Stop polling."""
        if self._monitor is not None:
            self._monitor.stop(timeout)
