"""Leases: the messages of running jobs, in the queues of the workers that run them."""

from __future__ import annotations

from collections.abc import Iterator

from .. import topology
from ..errors import NotProvisioned
from .case import Case, Unseen
from .finding import NOTE, OK, WARNING, Finding
from .groups import is_alive

_PREFIX = topology.lease_queue("")


def leases(case: Case) -> Iterator[Finding]:
    """Lease queues that nobody reads: with jobs in them, or left by workers that are gone."""
    read, empty = 0, []
    for worker in _workers(case):
        try:
            count = case.session.count(topology.lease_queue(worker))
        except NotProvisioned:
            continue  # it has ended, and its queue with it
        if count.consumers:
            read += 1
        elif count.ready:
            yield _away(case, worker, count.ready)
        elif not is_alive(case, worker):
            empty.append(worker)
    if read:
        yield Finding(OK, f"Workers that hold their leases: {read}.")
    if empty:
        yield Finding(
            NOTE,
            f"Empty lease queues of workers that are gone: {', '.join(empty)}.",
            "They cost next to nothing; the operator's `provision` removes them.",
            case.provision(),
        )


def _workers(case: Case) -> list[str]:
    """Workers that may have a lease queue: all, or those that were heard lately."""
    try:
        return sorted(
            name.removeprefix(_PREFIX) for name in case.queues if name.startswith(_PREFIX)
        )
    except Unseen:
        return sorted(case.beats)


def _away(case: Case, worker: str, jobs: int) -> Finding:
    try:
        heard = worker in case.beats
    except Unseen:
        heard = True
    if heard:
        return Finding(
            NOTE,
            f"Worker {worker} is away from its lease queue, with jobs in it: {jobs}.",
            "Nothing, for now: it goes on when it is back, and otherwise its jobs return to their "
            "queues when their leases end.",
        )
    return Finding(
        WARNING,
        f"Worker {worker} has been silent for minutes, and jobs are still in its lease queue: "
        f"{jobs}. They should have returned to their queues.",
        f"Their way back is {topology.JOBS}: see what is said of exchanges, queues and bindings. "
        "A worker of the same name takes them up, too.",
        f"jupyter aiqueue worker --name {worker}",
    )
