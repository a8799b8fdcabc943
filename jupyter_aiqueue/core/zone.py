"""The machine's own time zone, with its changes between summer and winter."""

from __future__ import annotations

from datetime import datetime

from dateutil import tz


def here_now() -> datetime:
    """The time now as clocks on the wall show it; what is reckoned from it stays right after a
    change of daylight saving time, which a fixed offset from UTC does not."""
    return datetime.now(tz.tzlocal())


def here(moment: datetime) -> datetime:
    """An aware ``moment`` as clocks on the wall show it."""
    return moment.astimezone(tz.tzlocal())
