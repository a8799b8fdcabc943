"""What the workers of a group have to do with a job that waits: parts of a sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from ..load import GroupLoad, WorkerLoad
from ..status import HEARTBEAT_INTERVAL
from ..text import clock, duration, percent

#: Seconds that runs have lasted, at least, to be called long.
_LONG = 60.0

#: Seconds after which a worker that tells of itself as often as it should has been heard again.
_LATE = 1.5 * HEARTBEAT_INTERVAL

#: Workers that are named; of more, the number is told.
_MOST_NAMED = 3


def alive(group: GroupLoad) -> list[WorkerLoad]:
    """Workers that are heard of, draining ones included."""
    return [worker for worker in group.worker_list if worker.state != "lost"]


def clauses(group: GroupLoad, task: str | None, at: datetime) -> list[str]:
    """Who could take a job of ``task``, and why nobody does: the first part is the reason."""
    said = [_reason(group, task, at)]
    draining = [w.worker for w in alive(group) if w.state == "draining"]
    if draining and len(draining) < len(alive(group)):
        said.append(f"{_named(draining)} {_is(draining)} draining")
    return said + late(alive(group), at) + silent(group, at)


def late(workers: Iterable[WorkerLoad], at: datetime) -> list[str]:
    """Workers that should have been heard of again: what is known of them may be over."""
    ages = {w.worker: (at - w.last_seen).total_seconds() for w in workers if w.last_seen}
    ages = {name: age for name, age in ages.items() if age > _LATE}
    if not ages:
        return []
    if len(ages) > _MOST_NAMED:
        return [
            f"{len(ages)} of them were last heard of {duration(min(ages.values()))} ago or more"
        ]
    return [f"{name} was last heard of {duration(age)} ago" for name, age in ages.items()]


def silent(group: GroupLoad, at: datetime) -> list[str]:
    """Workers that have fallen silent."""
    lost = [worker for worker in group.worker_list if worker.state == "lost"]
    if len(lost) > _MOST_NAMED:
        since = min((w.last_seen for w in lost if w.last_seen), default=None)
        return [f"{len(lost)} workers have fallen silent, the first at {clock(since, at)}"]
    return [f"{w.worker} has been silent since {clock(w.last_seen, at)}" for w in lost]


def _reason(group: GroupLoad, task: str | None, at: datetime) -> str:
    name = group.name
    if group.workers.value is None:
        return f"which workers serve {name} is unknown: no heartbeats can be read"
    here = alive(group)
    if not here:
        return f"no worker serves {name}: nothing in it starts until one does"
    if task is not None and not has(here, task):
        known = ", ".join(sorted({known for worker in here for known in worker.tasks}))
        return f"no worker of {name} has the task {task!r} (they have {known}): it is refused"
    many = "1 worker" if len(here) == 1 else f"{len(here)} workers"
    taking = [worker for worker in here if worker.state == "active"]
    if not taking:
        one = "which is draining and takes" if len(here) == 1 else f"{_all(here)} draining, taking"
        return f"{name} has {many}, {one} no new jobs"
    free = sum(max(0, worker.slots - len(worker.running)) for worker in taking)
    slots = sum(worker.slots for worker in taking)
    if free:
        return f"{name} has {many} with {free} of {slots} slots free"
    return f"{name} has {_slots(taking)}, {_busy(taking, slots, at)}"


def idle(group: GroupLoad) -> list[str]:
    """Why a slot may be free though jobs wait; no worker tells that it asks."""
    if not any(w.state == "active" and len(w.running) < w.slots for w in alive(group)):
        return []
    asks = "A worker that asks whether an earlier attempt of a job still runs elsewhere"
    return [f"{asks} starts nothing in that slot for 5–30 s."]


def has(workers: Iterable[WorkerLoad], task: str) -> bool:
    """Whether one of the workers has a task; workers of earlier versions do not tell theirs."""
    return any(task in worker.tasks or not worker.tasks for worker in workers)


def doing(worker: WorkerLoad, at: datetime, account: str | None = None) -> list[str]:
    """A sentence for each job that a worker runs.

    Args:
        account: of whoever asks; it is not told.
    """
    return [
        f"{worker.worker} runs {run.name or run.task or run.job_id}"
        + (f" of {run.user}" if run.user and run.user != account else "")
        + f" since {clock(run.since, at)}"
        + ("." if run.progress is None else f", {percent(run.progress)} done.")
        for run in worker.running
    ]


def elsewhere(
    group: GroupLoad, task: str | None, succeeded_in: frozenset[str]
) -> tuple[str, str] | None:
    """Environments of the workers, and those in which the task has succeeded, if none is both."""
    there = {worker.environment_of(task) for worker in alive(group)} - {None}
    if not there or not succeeded_in or there & succeeded_in:
        return None
    return ", ".join(sorted(filter(None, there))), ", ".join(sorted(succeeded_in))


def _slots(workers: Sequence[WorkerLoad]) -> str:
    slots = sum(worker.slots for worker in workers)
    many = "1 worker" if len(workers) == 1 else f"{len(workers)} workers"
    return many if slots == len(workers) else f"{many} with {slots} slots"


def _busy(workers: Sequence[WorkerLoad], slots: int, at: datetime) -> str:
    runs = [run for worker in workers for run in worker.running]
    ages = [(at - run.since).total_seconds() for run in runs if run.since is not None]
    everybody = "" if slots == 1 else "both " if slots == 2 else "all "
    if len(ages) < len(runs) or not ages or min(ages) < _LONG:
        return f"{everybody}busy"
    return f"{everybody}on {'a job' if slots == 1 else 'jobs'} over {duration(min(ages))}"


def _all(workers: Sequence[WorkerLoad]) -> str:
    return "both" if len(workers) == 2 else "all"


def _named(names: Sequence[str]) -> str:
    if len(names) > _MOST_NAMED:
        return f"{len(names)} more"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
