"""Foresight: what is expected of one job, as people are told."""

from __future__ import annotations

import msgspec

from ..load import Expected
from ..text import hits_text, start_text


class Foresight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is expected of a job that waits, or that might be submitted."""

    start: Expected
    finish: Expected
    #: Jobs ahead of it: of its own priority, and of higher ones.
    ahead: int = 0
    ahead_of_higher: int = 0
    #: What the run times are from, for people.
    basis: str = ""

    def __str__(self) -> str:
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """For people: who is ahead, when it starts and ends, and how far that can be trusted."""
        said = [_line(self.ahead, self.ahead_of_higher)]
        if self.start.low is None:
            return [*said, f"When it starts cannot be told: {self.start.missing or 'unknown'}."]
        when = start_text(self.start)
        sentence = f"It starts {when if when == 'at once' else f'in {when}'}"
        said.append(f"{sentence} ({hits_text(self.start)}).")
        if self.finish.low is None:
            why = self.finish.missing or "unknown"
            return [*said, f"When it ends cannot be told: {why}."]
        ends = start_text(msgspec.structs.replace(self.finish, at_once=False))
        said.append(f"It ends in {ends} ({hits_text(self.finish)}), by {self.basis}.")
        return said


def _line(ahead: int, higher: int) -> str:
    if not ahead and not higher:
        return "No other job is ahead of it."
    parts = [f"{higher} of higher priority"] if higher else []
    if ahead:
        parts.append(f"{ahead} of its own")
    return f"Ahead of it: {' and '.join(parts)}."
