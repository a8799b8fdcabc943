"""A run for people, and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from .run import Outcome

_COLUMNS = (
    "jobs",
    "lost",
    "completed_twice",
    "ran_twice",
    "wrong_state",
    "over_budget",
    "stuck",
    "unsettled",
    "orphans",
)


def as_object(outcome: Outcome) -> dict[str, Any]:
    """One JSON object."""
    found: dict[str, Any] = {"seed": outcome.seed, "contender": outcome.contender}
    found |= msgspec.structs.asdict(outcome.counts)
    found |= {
        "executions": outcome.executions,
        "submitted_again": outcome.submitted_again,
        "worn_out": outcome.worn_out,
        "seconds": outcome.seconds,
        "sentences": outcome.sentences,
        "troubles": outcome.troubles,
        "broken_queues": outcome.broken,
        "versions": outcome.settings,
        "faults": [
            {
                key: round(value, 3) if isinstance(value, float) else value
                for key, value in msgspec.structs.asdict(fault).items()
                if value is not None
            }
            for fault in outcome.faults
        ],
    }
    return found


def as_json(outcome: Outcome) -> str:
    """The same as one line."""
    return json.dumps(as_object(outcome))


def table(outcomes: Sequence[Outcome]) -> str:
    """One row per outcome."""
    head = ["contender", "seed", *_COLUMNS, "executions", "seconds"]
    rows = [
        [
            outcome.contender,
            str(outcome.seed),
            *(str(getattr(outcome.counts, column)) for column in _COLUMNS),
            str(outcome.executions),
            f"{outcome.seconds:.0f}",
        ]
        for outcome in outcomes
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return "\n".join(
        "  ".join(word.rjust(width) for word, width in zip(row, widths, strict=True))
        for row in [head, *rows]
    )


def injected(outcome: Outcome) -> str:
    """How many faults of which kind there were."""
    counted = Counter(fault.kind for fault in outcome.faults)
    return ", ".join(f"{number} {kind}" for kind, number in sorted(counted.items()))


def settings(outcomes: Sequence[Outcome]) -> list[str]:
    """A line per contender: versions and settings."""
    found = {outcome.contender: outcome.settings for outcome in outcomes}
    return [
        f"{name}: " + "; ".join(f"{key} {value}" for key, value in values.items())
        for name, values in found.items()
    ]


def complaints(outcome: Outcome, most: int = 20) -> str:
    """What was not as it should be."""
    broken = [f"the broker has lost {queue}" for queue in outcome.broken]
    found = [*outcome.sentences, *outcome.troubles, *broken]
    more = [f"… and {len(found) - most} more"] if len(found) > most else []
    return "\n".join(f"  {line}" for line in [*found[:most], *more])
