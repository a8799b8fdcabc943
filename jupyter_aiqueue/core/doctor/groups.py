"""Groups, the workers that serve them, and the jobs that wait for nobody."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from .. import topology
from ..job import Priority, now
from ..load import WorkerLoad, worker_load
from .case import Case, Unseen
from .finding import NOTE, OK, WARNING, Finding


def served(case: Case) -> Iterator[Finding]:
    """Which groups have workers, and which have jobs but none."""
    groups = case.catalog.groups
    workers = loads(case)
    alive = [w for _, w in workers if w.state not in ("lost", "stopped")]
    for group in groups:
        here = [load for served, load in workers if group in served and load.state != "stopped"]
        for worker in here:
            if worker.state == "lost":
                yield _silent(worker, group)
        here = [worker for worker in here if worker.state != "lost"]
        waiting = sum(case.session.count(queue).ready for queue in _queues(group))
        if here:
            slots = sum(worker.slots for worker in here)
            yield Finding(OK, f"Workers of {group}: {len(here)}, with slots: {slots}.")
        elif waiting or not alive:
            jobs = f"; jobs that wait: {waiting}" if waiting else ""
            yield Finding(
                WARNING if waiting else NOTE,
                f"No worker serves group {group}{jobs}.",
                "Start one where the experiments shall run.",
                f"jupyter aiqueue worker --group {group}",
            )


def _silent(worker: WorkerLoad, group: str) -> Finding:
    # Of its own process, its machine or its connection: where to look is the same.
    return Finding(
        WARNING,
        f"Worker {worker.worker} of {group} fell silent {worker.age_s or 0:.0f} s ago.",
        f"See whether it still runs on {worker.host or 'its machine'}; the jobs that it ran "
        "return to their queues when their leases end.",
        f"ssh {shlex.quote(worker.host)} pgrep -af aiqueue" if worker.host else None,
    )


def unknown(case: Case) -> Iterator[Finding]:
    """Workers of groups that are not in the catalog, and consumers that are no workers."""
    groups = case.catalog.groups
    strangers: dict[str, list[str]] = {}
    for theirs, worker in loads(case):
        if worker.state not in ("stopped", "lost"):
            for group in theirs:
                if group not in groups:
                    strangers.setdefault(group, []).append(worker.worker)
    for group, names in strangers.items():
        yield Finding(
            WARNING,
            f"Workers serve group {group}, which is not set up any more: {', '.join(names)}.",
            "Set it up again, naming all groups that shall stay, or stop these workers.",
            case.provision(group),
        )
    for group in groups:
        for queue in _queues(group):
            # Workers take one job at a time; they never consume.
            if consumers := case.session.count(queue).consumers:
                yield Finding(
                    NOTE,
                    f"Something else than a worker consumes {queue} ({consumers} consumers): it "
                    "gets jobs, too, and reports nothing of them.",
                    "See who it is.",
                    f"rabbitmqctl list_consumers -p {case.vhost} queue_name channel_pid",
                )


def dead(case: Case) -> Iterator[Finding]:
    """How many dead letters are kept."""
    for group in case.catalog.groups:
        kept = case.session.count(topology.dead_queue(group)).ready
        if kept:
            yield Finding(
                NOTE,
                f"Dead letters in {group}: {kept}.",
                f"`%dead_jobs {group}` tells why, and so does:",
                f"jupyter aiqueue dead {group}",
            )


def _queues(group: str) -> list[str]:
    return [topology.work_queue(group, priority) for priority in Priority]


def loads(case: Case) -> list[tuple[tuple[str, ...], WorkerLoad]]:
    """Groups and state of every worker that was heard lately."""
    at = now()
    beats = sorted(case.beats.values(), key=lambda beat: beat.worker)
    return [(beat.groups, worker_load(beat, at)) for beat in beats]


def is_alive(case: Case, worker: str) -> bool | None:
    """Whether a worker was heard a moment ago; None when that is not known."""
    try:
        found = [load for _, load in loads(case) if load.worker == worker]
    except Unseen:
        return None
    return any(load.state not in ("lost", "stopped") for load in found)
