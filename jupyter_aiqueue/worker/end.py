"""The end of an attempt, as it is published and kept on disk."""

from __future__ import annotations

import msgspec

from ..core.events import Event, Kind
from ..core.job import Job


class End(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an attempt ended and what is to be published of it; also kept on disk."""

    event: Event
    #: The job as it goes on: for its next attempt, or given back.
    next: Job | None = None
    #: Seconds the next attempt waits; None sends it to its queue at once.
    delay: int | None = None
    #: How often this attempt was given back, when it is again.
    given_back: int = 0
    #: For a dead letter: a short stable word; the sentence is the event's reason.
    dead: str | None = None
    history: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """What it comes to."""
        return self.event.event

    @property
    def follows(self) -> bool:
        """Whether another message takes the place of the job's: a copy, or a dead letter."""
        return self.next is not None or self.dead is not None
