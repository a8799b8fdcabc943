"""The steps that settle a claim: what is published, in which order, before it is acknowledged.

A worker that dies between two steps leaves a message that comes back. The order makes sure
that what came before is then repeated or continued, and never missing: the event that tells
of a retry goes before the copy, so that a death in between does not leave two copies; a dead
letter is kept before anybody is told that the job is dead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial

from ..core import topology
from ..core.events import Event, Kind, make_event, word
from ..core.job import Job, Priority
from ..core.message import Message, routing_key
from ..core.publisher import publish_control, publish_event
from ..core.status import Over
from ..core.transport import Session, Unroutable
from .claim import Claim, Step
from .end import End
from .folder import RunFolder
from .intake import Refuse, is_only
from .letters import copy_of, dead_letter, reduced_letter


def event_step(event: Event) -> Step:
    """Publish one event."""
    return Step(partial(_publish_event, event=event), needed=False)


def _publish_event(session: Session, event: Event) -> None:
    publish_event(session, event)


def over_step(claim: Claim, worker: str, process: str) -> Step:
    """Tell whoever runs the job, too, or will be given a message of it, that it has ended.

    Nobody has to be told of a first attempt that ran here and held its only message all the time.
    Plain producers may use an id again: of theirs nothing is said that is kept.
    """

    def tell(session: Session) -> None:
        job = claim.job
        if job is None or job.inbox is None:
            return
        held = claim.begun and not claim.astray and not claim.doubled
        if not held or job.attempt > 1 or not is_only(claim.message):
            over = Over(job_id=job.id, worker=worker, process=process)
            publish_control(session, f"over.{word(job.id)}", over)

    return Step(tell, needed=False)


def end_steps(
    end: End,
    message: Message,
    job: Job,
    *,
    groups: Callable[[], Iterable[str]],
    folder: RunFolder | None = None,
) -> list[Step]:
    """What has to be published about ``end``.

    Args:
        message: as it was taken.
        groups: the groups that have a dead queue; the first one takes strays.
    """
    # Where nothing else goes on from here, the event is all that tells of the end.
    alone = end.next is None and end.dead is None
    steps = [event_step(end.event)._replace(needed=alone)]
    if end.next is not None:
        copy = copy_of(message, end.next, delay=end.delay, given_back=end.given_back)
        exchange = topology.JOBS if end.delay is None else topology.RETRY
        key = routing_key(end.next)
        steps.append(Step(lambda s: s.publish(exchange, key, copy, mandatory=True)))
    if end.dead is not None:
        letter = dead_letter(
            message,
            reason=end.dead,
            why=end.event.reason or "",
            worker=end.event.worker,
            history=end.history,
            queue=job.queue,
        )
        steps.insert(0, _bury(letter, job.group, job.priority, groups))
    if folder is not None:
        steps.append(Step(lambda _: _mark(folder), needed=False))
    return steps


def rescue_steps(
    message: Message,
    job: Job | None,
    error: Exception,
    *,
    worker: str,
    groups: Callable[[], Iterable[str]],
) -> list[Step]:
    """Keep a message whose end cannot be published, with nothing of what may be the cause."""
    why = f"The worker could not publish what became of it: {type(error).__name__}."
    letter = reduced_letter(message, reason="worker-fault", why=why, worker=worker)
    # To our own group: the one that the message names may be why it was refused.
    steps = [_bury(letter, None, job.priority if job else Priority.NORMAL, groups)]
    if job is not None:
        with suppress(Exception):  # an event of this job may be what cannot be made
            steps.append(event_step(make_event(Kind.DEAD, job, worker=worker, reason=why)))
    return steps


def refuse_steps(
    refusal: Refuse, message: Message, *, worker: str, groups: Callable[[], Iterable[str]]
) -> list[Step]:
    """Keep a message that cannot be worked as a dead letter, and tell of it."""
    job = refusal.job
    letter = dead_letter(
        message,
        reason=refusal.reason,
        why=refusal.why,
        worker=worker,
        history=job.history if job else (),
        queue=job.queue if job else None,
    )
    priority = job.priority if job else Priority.NORMAL
    steps = [_bury(letter, job.group if job else None, priority, groups)]
    if job is not None:
        event = make_event(Kind.DEAD, job, worker=worker, reason=refusal.why)
        steps.append(event_step(event))
    return steps


def _bury(
    letter: Message, group: str | None, priority: Priority, groups: Callable[[], Iterable[str]]
) -> Step:
    def bury(session: Session) -> None:
        # A header may name any group: one without a dead queue goes to ours.
        for name in dict.fromkeys([group, *groups()]):
            if name is not None:
                with suppress(Unroutable):
                    session.publish(
                        topology.DEAD, f"{name}.{priority.value}", letter, mandatory=True
                    )
                    return
        raise Unroutable("No dead queue takes the message; `jupyter aiqueue provision` makes them.")

    return Step(bury)


def _mark(folder: RunFolder) -> None:
    with suppress(OSError):  # worst case it is published again: events have ids
        folder.mark_settled()
