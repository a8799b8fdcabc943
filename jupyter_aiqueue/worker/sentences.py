"""What the console says of a job: how it ended, how far it is."""

from __future__ import annotations

from ..core.events import Event, Kind
from .console import duration
from .end import End
from .run import Ended


def told(end: End, ended: Ended | None = None) -> str:
    """An end as a line of the console."""
    event = end.event
    after = f" after {duration(ended.duration_s)}" if ended and ended.duration_s else ""
    if event.event is Kind.RETRYING:
        when = f"in {end.delay} s" if end.delay else "now"
        attempt = end.next.attempt if end.next else event.attempt + 1
        return f"failed{after}: {event.reason}; attempt {attempt} {when}"
    if event.event is Kind.REQUEUED:
        return f"given back{after}, without losing an attempt"
    if event.event is Kind.DEAD:
        return f"is a dead letter{after}: {event.reason}"
    reason = f": {event.reason}" if event.reason else ""
    return f"{event.event.value}{after}{reason}"


def progress(event: Event) -> str:
    """Progress and the first metrics as a line of the console."""
    done = [] if event.progress is None else [f"{event.progress:.0%}"]
    metrics = list((event.metrics or {}).items())[:5]
    return "  ".join(done + [f"{name} {_short(value)}" for name, value in metrics])


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else f"{value!s:.20}"
