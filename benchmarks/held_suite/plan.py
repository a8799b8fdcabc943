"""What is held and for what, drawn from a seed and from nothing else."""

from __future__ import annotations

from enum import Enum
from random import Random

import msgspec


class Wait(str, Enum):
    """What a job waits for."""

    TIME = "time"
    DEPTH = "depth"
    FREE_SLOT = "free slot"
    #: For what never comes; it is released at its deadline.
    DEADLINE = "deadline"
    #: The same, and it is dropped then.
    EXPIRY = "expiry"
    BATCH = "batch"
    #: For tomorrow; it is cancelled before.
    CANCEL = "cancel"
    #: For tomorrow; it is released by hand before.
    HAND = "hand"


#: How many of a hundred wait for what.
_SHARES = {
    Wait.TIME: 20,
    Wait.DEPTH: 15,
    Wait.FREE_SLOT: 12,
    Wait.DEADLINE: 10,
    Wait.EXPIRY: 10,
    Wait.BATCH: 23,
    Wait.CANCEL: 5,
    Wait.HAND: 5,
}

#: What waits for the load has a group of its own, so that events tell what the load was.
GROUPS = {Wait.DEPTH: "depth", Wait.FREE_SLOT: "slots", Wait.BATCH: "batch"}
OTHERS = "timed"

#: A job that waits for the depth is released when less than so many are in line.
SHALLOW = 3

#: So many of the batch are in line at most.
AT_MOST = 4

#: Workers of each group, and slots of each worker.
WORKERS = {"timed": 2, "depth": 1, "slots": 1, "batch": 2}
SLOTS = 3


#: Different times within the horizon.
_MOMENTS = 40


class HeldJob(msgspec.Struct, frozen=True):
    """One job. Times are seconds after the beginning."""

    number: int
    wait: Wait
    #: Its time, its deadline, or when somebody does something about it.
    at: float = 0.0

    @property
    def group(self) -> str:
        """Whose workers run it."""
        return GROUPS.get(self.wait, OTHERS)


class Plan(msgspec.Struct, frozen=True):
    """One trial."""

    seed: int
    jobs: tuple[HeldJob, ...]
    #: Seconds after the beginning at which whoever collects is killed.
    kills: tuple[float, ...]
    #: When the broker is killed, and for how long it is away.
    outage: tuple[float, float] | None
    #: Seconds within which everything is due.
    horizon: float
    #: Seconds before the beginning in which everything is submitted.
    lead: float = 5.0
    #: Workers of each group.
    workers: dict[str, int] = msgspec.field(default_factory=WORKERS.copy)


def small_plan(seed: int, jobs: int, horizon: float) -> Plan:
    """Draw a plan in which nobody is killed, and few work."""
    return Plan(
        seed=seed,
        jobs=_jobs(Random(seed), jobs, horizon),
        kills=(),
        outage=None,
        horizon=horizon,
        lead=3.0,
        # Two where two may run the same.
        workers={**dict.fromkeys(WORKERS, 1), GROUPS[Wait.BATCH]: 2},
    )


def make_plan(seed: int, jobs: int, horizon: float) -> Plan:
    """Draw a plan in which two collectors and the broker are killed.

    Args:
        horizon: seconds.
    """
    random = Random(seed)
    made = _jobs(random, jobs, horizon)
    kills = random.uniform(0.1, 0.3) * horizon, random.uniform(0.7, 0.9) * horizon
    outage = random.uniform(0.4, 0.55) * horizon, random.uniform(0.5, 3.0)
    return Plan(seed, made, kills, outage, horizon)


def _jobs(random: Random, jobs: int, horizon: float) -> tuple[HeldJob, ...]:
    waits = [wait for wait, share in _SHARES.items() for _ in range(share)]
    drawn = [waits[number * len(waits) // jobs] for number in range(jobs)]
    random.shuffle(drawn)
    return tuple(
        # Some are due together.
        HeldJob(number, wait, random.randint(2, _MOMENTS - 1) / _MOMENTS * horizon)
        for number, wait in enumerate(drawn)
    )
