"""What will happen: jobs and faults, drawn from a seed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from random import Random

import msgspec


class JobKind(str, Enum):
    """What a job does."""

    #: Succeeds within half a second.
    SHORT = "short"
    #: Succeeds after several lease times.
    LONG = "long"
    #: Ends with exit code 3, every time.
    FAILING = "failing"
    #: Fails once, then succeeds.
    FLAKY = "flaky"
    #: Kills itself with SIGKILL, every time.
    CRASHING = "crashing"
    #: Kills the worker that runs it with SIGKILL, every time.
    KILLER = "killer"


class FaultKind(str, Enum):
    """What goes wrong."""

    KILL_WORKER = "kill-worker"
    KILL_CHILD = "kill-child"
    PAUSE_WORKER = "pause-worker"
    DRAIN_WORKER = "drain-worker"
    #: Connections are reset, and none is made for a while.
    CUT = "cut"
    #: Nothing comes through any more, and nobody is told.
    SILENCE = "silence"
    #: Everything comes through late.
    SLOW = "slow"
    RESTART_BROKER = "restart-broker"
    #: Stopped for longer than a lease.
    BROKER_AWAY = "broker-away"
    #: One node of the cluster is killed and comes back.
    LOSE_NODE = "lose-node"
    KILL_SERVER = "kill-server"
    #: The recorder dies between writing and acknowledging.
    KILL_RECORDER = "kill-recorder"


#: Faults that everybody suffers from: they do not overlap each other.
FOR_ALL = frozenset({FaultKind.RESTART_BROKER, FaultKind.BROKER_AWAY, FaultKind.LOSE_NODE})

#: Faults of what others than our workers have no counterpart of.
OURS_ONLY = frozenset({FaultKind.KILL_SERVER, FaultKind.KILL_RECORDER, FaultKind.LOSE_NODE})


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """The lease settings of the workers, seconds (see `jupyter_aiqueue.worker.tasks.Lease`)."""

    time: float = 4.0
    renew: float = 1.0
    #: Longer than the longest wait between two tries to reconnect, as by default.
    grace: float = 12.0


class PlannedJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job: when it is submitted and what it does."""

    number: int
    kind: JobKind
    #: Seconds after the beginning.
    at: float
    #: Seconds that it runs, if it gets to its end.
    seconds: float
    priority: str
    max_attempts: int = 3
    #: Starts a process in a session of its own, which has to go with it.
    grandchild: bool = False


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: when it begins, whom it hits and how long it lasts."""

    at: float
    kind: FaultKind
    #: Number of the worker or node; None where there is only one to hit.
    target: int | None = None
    seconds: float = 0.0


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that will happen. The same seed and parameters give the same schedule."""

    seed: int
    workers: int
    slots: int
    nodes: int
    lease: Lease
    jobs: tuple[PlannedJob, ...]
    faults: tuple[PlannedFault, ...]
    #: Seconds after the beginning when the last fault is over.
    horizon: float


#: Of 1000 jobs, on average; killers are drawn apart.
_MIX = {
    JobKind.SHORT: 720,
    JobKind.LONG: 110,
    JobKind.FAILING: 60,
    JobKind.FLAKY: 60,
    JobKind.CRASHING: 50,
}

#: Faults of one round, in random order; rounds follow each other until the horizon.
_ROUND = (
    FaultKind.KILL_WORKER,
    FaultKind.KILL_WORKER,
    FaultKind.KILL_CHILD,
    FaultKind.KILL_CHILD,
    FaultKind.PAUSE_WORKER,
    FaultKind.DRAIN_WORKER,
    FaultKind.CUT,
    FaultKind.CUT,
    FaultKind.SILENCE,
    FaultKind.SLOW,
    FaultKind.RESTART_BROKER,
    FaultKind.BROKER_AWAY,
    FaultKind.KILL_SERVER,
    FaultKind.KILL_RECORDER,
)

#: Seconds that a broker takes to come back, about; and a node of a cluster, until its queues have
#: caught up. A second node that is lost before is no fault that three nodes are made for.
_BROKER_START = 6.0
_NODE_START = 15.0


def make_schedule(
    seed: int,
    *,
    jobs: int,
    workers: int,
    slots: int = 2,
    nodes: int = 1,
    lease: Lease | None = None,
    kinds: Sequence[FaultKind] = tuple(FaultKind),
    horizon: float | None = None,
    killers: int | None = None,
) -> Schedule:
    """Draw a schedule.

    Args:
        killers: jobs that kill their worker; None is one of 150, at least one.
        kinds: the faults that may happen.
        horizon: seconds until the last fault; None is about as long as the jobs take.
    """
    lease = lease or Lease()
    # A string seeds the same in every version and process (a tuple's hash does not).
    random = Random(f"{seed} {jobs} {workers} {slots} {nodes}")
    if killers is None:
        killers = max(1, jobs // 150)
    if horizon is None:
        horizon = 30.0 + 90.0 * jobs / 300
    drawn = list(_draw_faults(random, horizon, workers, nodes, lease, frozenset(kinds)))
    return Schedule(
        seed=seed,
        workers=workers,
        slots=slots,
        nodes=nodes,
        lease=lease,
        jobs=tuple(_draw_jobs(random, jobs, killers, horizon, lease)),
        faults=tuple(drawn),
        horizon=horizon,
    )


def _draw_jobs(
    random: Random, count: int, killers: int, horizon: float, lease: Lease
) -> Iterator[PlannedJob]:
    kinds = random.choices(list(_MIX), list(_MIX.values()), k=count - killers)
    # The first ones of every kind are certain.
    for place, kind in enumerate(list(_MIX)[: len(kinds)]):
        kinds[place] = kind
    kinds += [JobKind.KILLER] * killers
    random.shuffle(kinds)
    # Half of them wait when the first worker starts, the others come while things go wrong.
    # Killers come early: each of their attempts costs a grace.
    drawn = [
        (max(0.0, random.uniform(-0.8, 0.2 if kind is JobKind.KILLER else 0.8)) * horizon, kind)
        for kind in kinds
    ]
    for number, (at, kind) in enumerate(sorted(drawn, key=lambda one: one[0])):
        yield PlannedJob(
            number=number,
            kind=kind,
            at=round(at, 2),
            seconds=round(_seconds(random, kind, lease), 2),
            priority=random.choices(["high", "normal", "low"], [2, 6, 2])[0],
            max_attempts=1 if kind is JobKind.FAILING and random.random() < 0.3 else 3,
            grandchild=kind in (JobKind.LONG, JobKind.KILLER) and random.random() < 0.5,
        )


def _seconds(random: Random, kind: JobKind, lease: Lease) -> float:
    if kind is JobKind.LONG:
        return random.uniform(1.5, 4.0) * lease.time
    return random.uniform(0.05, 0.4)


def _draw_faults(
    random: Random,
    horizon: float,
    workers: int,
    nodes: int,
    lease: Lease,
    kinds: frozenset[FaultKind],
) -> Iterator[PlannedFault]:
    one_round = [kind for kind in _ROUND if kind in kinds]
    if nodes > 1 and FaultKind.LOSE_NODE in kinds:
        # A whole cluster takes long to come back: mostly, one of its nodes is lost.
        one_round = [kind for kind in one_round if kind is not FaultKind.BROKER_AWAY]
        one_round += [FaultKind.LOSE_NODE] * 3
    moment, quiet_until = 2.0, 0.0
    while one_round:
        random.shuffle(one_round)
        for kind in one_round:
            moment += random.uniform(0.8, 2.6) * horizon / 60
            if kind in FOR_ALL:
                moment = max(moment, quiet_until)
            if moment >= horizon:
                return
            seconds = _lasting(random, kind, lease)
            target = None
            if kind is FaultKind.LOSE_NODE:
                target = random.randrange(nodes)
            elif kind not in FOR_ALL and kind not in OURS_ONLY:
                target = random.randrange(workers)
            yield PlannedFault(
                at=round(moment, 2), kind=kind, target=target, seconds=round(seconds, 2)
            )
            if kind in FOR_ALL:
                start = _NODE_START if nodes > 1 else _BROKER_START
                quiet_until = moment + seconds + start


def _lasting(random: Random, kind: FaultKind, lease: Lease) -> float:
    if kind is FaultKind.PAUSE_WORKER:
        return random.uniform(0.2, 0.7) * lease.time
    if kind in (FaultKind.CUT, FaultKind.SILENCE):
        # Up to longer than the lease, but so that the worker is back within the grace.
        return random.uniform(0.05, 1.4) * lease.time
    if kind is FaultKind.SLOW:
        return random.uniform(1.0, 2.0) * lease.time
    if kind is FaultKind.BROKER_AWAY:
        return random.uniform(1.1, 1.5) * lease.time
    if kind is FaultKind.LOSE_NODE:
        return random.uniform(0.5, 1.5) * lease.time
    return 0.0
