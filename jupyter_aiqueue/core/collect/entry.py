"""A job that is not over, as its events tell."""

from __future__ import annotations

import msgspec

from ..events import Event, Kind
from ..job import DEFAULT_MAX_ATTEMPTS, Priority, State

#: Where a job is after an event; what is not here says nothing about it.
_STATES = {
    Kind.HELD: State.HELD,
    Kind.SUBMITTED: State.QUEUED,
    Kind.STARTED: State.RUNNING,
    Kind.REQUEUED: State.QUEUED,
    Kind.RETRYING: State.RETRYING,
}

#: Within one turn of an attempt, what comes after what.
_RANKS = {
    Kind.HELD: 0,
    Kind.SUBMITTED: 1,
    Kind.STARTED: 2,
    Kind.REQUEUED: 3,
    Kind.RETRYING: 4,
}


class Entry(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One job. Times are seconds since 1970, UTC."""

    job_id: str
    group: str
    priority: Priority = Priority.NORMAL
    task: str | None = None
    #: What equal configs have in common; see `core.forecast.config_key`.
    config: str = ""
    user: str | None = None
    name: str | None = None
    state: State = State.QUEUED
    #: When it came into this state: joined its line, was started, or failed.
    since: float = 0.0
    #: ``retrying``: when it joins its line again.
    due: float | None = None
    #: Of the attempt that runs, or of the next one.
    attempt: int = 1
    max_attempts: int = DEFAULT_MAX_ATTEMPTS
    #: Who runs it, or ran it last.
    worker: str | None = None
    submitted: float | None = None
    #: The place of the last event that counted in the job's history.
    place: tuple[int, int, int] = (-1, 0, 0)
    #: ``held``: what it waits for.
    hold: str | None = None
    #: A cancel was asked for.
    cancelling: bool = False
    #: The batch of which only so many wait in line.
    batch: str | None = None

    def apply(self, event: Event, config: str | None) -> bool:
        """Take in one more event; whether it told of something later than what is known.

        Args:
            config: the key of the event's config, if it has one.
        """
        self.task = self.task or event.task
        self.user, self.name = self.user or event.user, self.name or event.name
        self.batch = self.batch or event.batch
        if event.priority is not None:
            self.priority = event.priority
        if config is not None and not self.config:
            self.config = config
        if event.submitted_at is not None:
            self.submitted = event.submitted_at.timestamp()
        self.max_attempts = event.max_attempts
        if event.event is Kind.CANCELLING:
            self.cancelling = True
        if event.event not in _STATES:
            return False
        place = (event.attempt, event.turn, _RANKS[event.event])
        if place <= self.place:
            return False
        self.hold = event.hold
        self.place, self.state = place, _STATES[event.event]
        self.since, self.due = event.timestamp.timestamp(), None
        self.attempt = max(1, event.attempt)
        self.worker = event.worker or self.worker
        if self.state is State.RETRYING:
            self.attempt += 1
            if event.next_attempt_at is not None:
                self.due = event.next_attempt_at.timestamp()
        return True

    def joins(self, at: float) -> bool:
        """Whether the wait for its next attempt is over by ``at``: then it is in line again."""
        if self.state is not State.RETRYING or (self.due is not None and self.due > at):
            return False
        self.state, self.since, self.due = State.QUEUED, self.due or self.since, None
        return True
