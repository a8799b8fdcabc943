"""What a forecast says: ranges for start and finish, and what they are based on."""

from __future__ import annotations

import msgspec

from .history import Similar

#: What is missing for a forecast.
NO_HISTORY = "no history yet"
NO_WORKER = "no worker takes jobs of this group"


class Range(msgspec.Struct, frozen=True):
    """Seconds from the moment of the forecast: the 10, 50 and 90 % points."""

    low: float
    middle: float
    high: float

    def holds(self, seconds: float) -> bool:
        """Whether ``seconds`` landed inside the 80 % range."""
        return self.low <= seconds <= self.high


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """When a job would start and finish. What is not known is None, and ``missing`` says why."""

    start: Range | None = None
    #: The end of its last attempt.
    finish: Range | None = None
    #: Seconds that one attempt takes.
    run: Range | None = None
    #: `NO_HISTORY` or `NO_WORKER`; None when both ranges are there.
    missing: str | None = None
    #: Runs of similar jobs that are remembered.
    based_on: Similar = Similar()
    #: Jobs that wait and come before it, and whether none does and a slot is free.
    ahead: int = 0
    at_once: bool = False
    #: As computed, before recalibration; see `spread`.
    start_spread: tuple[float, ...] = ()
    finish_spread: tuple[float, ...] = ()

    @property
    def basis(self) -> str:
        """For people: "runs: 2 of the same task and config, 40 of the task"."""
        known = self.based_on
        if not known.enough:
            return NO_HISTORY
        counts = {"same task and config": known.config, "task": known.task, "group": known.group}
        said = [f"{runs} of the {what}" for what, runs in counts.items() if runs]
        return "runs: " + ", ".join(said)
