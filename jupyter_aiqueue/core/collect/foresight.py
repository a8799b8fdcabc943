"""What is expected of one job, as people are told."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec

from ..load import Expected
from ..text import Sentences, clock, hits_text, span, start_text


class Foresight(Sentences, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is expected of a job that waits, or that might be submitted."""

    start: Expected
    finish: Expected
    #: How long one attempt takes.
    run: Expected = Expected(missing="no history yet")
    #: The moment that ranges are counted from.
    at: datetime | None = None
    #: Jobs ahead of it: of its own priority, and of higher ones.
    ahead: int = 0
    ahead_of_higher: int = 0
    #: What the run times are from, for people.
    basis: str = ""

    def __str__(self) -> str:
        return " ".join(self.sentences)

    def later(self, seconds: float) -> Foresight:
        """The same, told so many seconds later of a job that waits since."""
        return msgspec.structs.replace(
            self, start=self.start.later(seconds), finish=self.finish.later(seconds)
        )

    @property
    def sentences(self) -> list[str]:
        """For people: who is ahead, when it starts and ends, and how far that can be trusted."""
        return [_line(self.ahead, self.ahead_of_higher), *self._times(), *self._takes()]

    def _times(self) -> list[str]:
        if self.start.low is None:
            return [f"When it starts cannot be told: {self.start.missing or 'unknown'}."]
        when = start_text(self.start)
        begins = when if when == "at once" else f"in {when}{_between(self.start, self.at)}"
        said = [f"It starts {begins} ({hits_text(self.start)})."]
        if self.finish.low is None:
            return [*said, f"When it ends cannot be told: {self.finish.missing or 'unknown'}."]
        ends = start_text(msgspec.structs.replace(self.finish, at_once=False))
        ends += _between(self.finish, self.at)
        return [*said, f"It ends in {ends} ({hits_text(self.finish)}), by {self.basis}."]

    def _takes(self) -> list[str]:
        if self.run.low is None or self.run.high is None:
            return []
        return [f"A run of it takes {span(self.run.low, self.run.high)} (80 % range)."]


class Remaining(Sentences, msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is expected of a job that runs."""

    #: The end of this attempt.
    finish: Expected
    #: The moment that the range is counted from.
    at: datetime
    #: What the run times are from, for people.
    basis: str = ""

    def __str__(self) -> str:
        if self.finish.low is None or self.finish.high is None:
            return f"When it ends cannot be told: {self.finish.missing or 'unknown'}."
        ends = span(self.finish.low, self.finish.high) + _between(self.finish, self.at)
        return f"This attempt ends in {ends} (80 % range), by {self.basis}."

    def later(self, seconds: float) -> Remaining:
        """The same, told so many seconds later, while it still runs."""
        return msgspec.structs.replace(
            self,
            finish=self.finish.later(seconds),
            at=self.at + timedelta(seconds=seconds),
        )


def _between(expected: Expected, at: datetime | None) -> str:
    """The range on the reader's clock."""
    if at is None or expected.low is None or expected.high is None:
        return ""
    first, last = (
        clock(at + timedelta(seconds=seconds), at) for seconds in (expected.low, expected.high)
    )
    return f", at {first}" if first == last else f", between {first} and {last}"


def _line(ahead: int, higher: int) -> str:
    if not ahead and not higher:
        return "No other job is ahead of it."
    parts = [f"{higher} of higher"] if higher else []
    if ahead:
        parts.append(f"{ahead} of its own")
    return f"Ahead of it: {' and '.join(parts)} priority."
