"""Clocks: of this machine, the broker's and the workers'.

Ages of heartbeats and times in ledgers are compared between machines; a clock that is off makes
workers look lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress

from .. import topology
from ..errors import InvalidJob
from ..job import now
from ..status import Heartbeat, decode_heartbeat
from ..transport import Delivery
from .case import Case
from .finding import OK, WARNING, Finding

#: Seconds that clocks may differ; the broker's date has whole seconds only.
_MOST = 5.0

#: Seconds beyond a worker's interval that its heartbeat is waited for.
_PATIENCE = 1.5

_SYNCHRONISE = "Synchronise the clocks of both machines (NTP)."
_COMMAND = "timedatectl set-ntp true"


def of_broker(case: Case) -> Iterator[Finding]:
    """The broker's clock, by the date of the management API's answers."""
    api = case.management
    api.overview()
    ahead = api.clock_ahead
    if ahead is None:
        return
    if abs(ahead) <= _MOST:
        yield Finding(OK, "The broker's clock agrees with this machine's.")
    else:
        yield Finding(WARNING, f"The broker's clock is {_off(ahead)}.", _SYNCHRONISE, _COMMAND)


def of_workers(case: Case) -> Iterator[Finding]:
    """The workers' clocks, by the times in their heartbeats."""
    alive = {name: beat for name, beat in case.beats.items() if beat.state != "stopped"}
    suspect = {
        name: beat
        for name, beat in alive.items()
        if not -_MOST <= _age(beat) <= beat.interval + _MOST
    }
    # A heartbeat of before may be old because its worker is gone. One that comes now is not.
    off = _listen(case, suspect) if suspect else {}
    for name, ahead in sorted(off.items()):
        if abs(ahead) > _MOST:
            host = alive[name].host or "its machine"
            yield Finding(
                WARNING,
                f"The clock of worker {name} ({host}) is {_off(ahead)}.",
                _SYNCHRONISE,
                _COMMAND,
            )
    agree = len(alive) - len(suspect) + sum(abs(ahead) <= _MOST for ahead in off.values())
    if agree:
        yield Finding(OK, f"Workers whose clocks agree with this machine's: {agree}.")


def _listen(case: Case, suspect: dict[str, Heartbeat]) -> dict[str, float]:
    """Seconds that the clocks of ``suspect`` are ahead, of those that are heard within a beat."""
    session = case.session
    found: dict[str, float] = {}

    def arrived(delivery: Delivery) -> None:
        session.ack(delivery)
        with suppress(InvalidJob):
            beat = decode_heartbeat(delivery.message.body)
            if beat.worker in suspect:
                found[beat.worker] = -_age(beat)

    tag = session.consume(
        topology.STATUS_LOG, arrived, prefetch=100, arguments={"x-stream-offset": "next"}
    )
    try:
        longest = min(max(beat.interval for beat in suspect.values()), 10.0)
        deadline = time.monotonic() + longest + _PATIENCE
        while len(found) < len(suspect) and time.monotonic() < deadline:
            session.pump(0.2)
    finally:
        session.stop_consuming(tag)
    return found


def _age(beat: Heartbeat) -> float:
    return (now() - beat.timestamp).total_seconds()


def _off(ahead: float) -> str:
    way = "ahead of" if ahead > 0 else "behind"
    return f"{abs(ahead):.0f} s {way} this machine's"
