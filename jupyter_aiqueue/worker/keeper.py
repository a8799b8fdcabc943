"""The keeper: releases held jobs at the moments that they wait for.

It is the collector's: of all workers' processes one keeps. Every held job is in its hands,
unacknowledged, for as long as it is held. To release one is to publish it into its line
(confirmed), to tell that it is submitted, and only then to acknowledge it. Before all that it
leaves word which ones it is about to publish: whoever keeps after a keeper that died in between
is in doubt about those, and about no others. If the picture does not tell that such a job was
submitted, it is published once more, marked as sent again, so that it runs once.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Protocol

from ..core import topology
from ..core.errors import BrokerError, BrokerUnreachable, InvalidJob
from ..core.events import Event, Kind, make_event
from ..core.hold import Decision, View, decide, read_hold
from ..core.job import Job
from ..core.message import SENT_AGAIN, decode_job
from ..core.publisher import event_post, job_post
from ..core.transport import Delivery, Session
from .claim import Step
from .console import Console
from .held import Held, in_order
from .intake import DEFAULT_GROUP, Refuse
from .orders import Orders
from .settle import refuse_steps, rescue_steps

#: Held jobs in hand at a time, as many as AMQP can say; those behind them wait longer than they
#: have to.
_MOST = 65_535

#: Seconds after which all are taken anew: many are taken less often, but no delivery timeout that
#: RabbitMQ supports is as short.
_ANEW, _ANEW_PER_JOB, _ANEW_AT_LEAST = 25.0, 0.003, 45.0

#: Jobs that are released together, and seconds after which no more are begun with in a turn:
#: meanwhile nothing is collected.
_TOGETHER, _BUDGET = 50, 0.1

#: Seconds for which a line is left alone that does not take jobs, and an inbox that does not take
#: events.
_SHUT = 30.0

#: Stands before the id of a job of which no keeper has left word that it publishes it.
_UNSAID = "?"


class Known(Protocol):
    """What is asked of the collector's picture."""

    def event(self, event: Event) -> None:
        """Something happened to a job."""

    def was_submitted(self, job_id: str) -> bool:
        """Whether a job that was held is in line for sure, or was, or is over."""

    def was_cancelled(self, job_id: str) -> bool:
        """Whether a cancel of it was told as an event."""

    def in_line(self, at: float) -> Counter[str]:
        """How many of each batch wait in line at a time, in seconds since 1970."""


class Keeper:
    """Keeps the held jobs of a broker while its session lasts; for use in its thread.

    Args:
        known: what is known of jobs: all that was told of them before this session began.
        groups: the groups that there are.
        in_doubt: jobs that may be in line already, as the keeper before has left word; None if
            none has, and any that was delivered before may be.
        leave_word: leaves word of those that may be in line from now on; returns when the broker
            has it.
    """

    def __init__(
        self,
        session: Session,
        worker: str,
        console: Console,
        known: Known,
        groups: Callable[[], list[str]],
        in_doubt: Iterable[str] | None,
        leave_word: Callable[[Iterable[str]], None],
    ) -> None:
        self._session, self._worker = session, worker
        self._leave_word = leave_word
        self._console, self._known, self._groups = console, known, groups
        self._held: dict[str, Held] = {}
        #: Those that were in hand before all were taken anew.
        self._before: dict[str, Held] = {}
        #: The same in the order in which they go; None if that has to be found.
        self._order: list[Held] | None = None
        self._orders = Orders(session, console)
        #: Jobs that may be in line, though nobody told.
        self.in_doubt = set(in_doubt or ())
        #: All that were here before this session may be; else those that have been here.
        self._all_in_doubt = in_doubt is None
        self._seen: set[str] = set()
        self._said: set[object] = set()
        #: Lines and inboxes that did not take something, and until when they are left alone.
        self._shut: dict[tuple[str, ...], float] = {}
        #: What became of jobs that are in line, or over, for sure: they are not decided about any
        #: more, and held until this is told.
        self._untold: dict[str, Event] = {}
        self._tag: str | None = None
        self._anew_at = 0.0
        self._take()

    def __len__(self) -> int:
        return len(self._held)

    def by_group(self) -> Counter[str]:
        """How many of each group are held."""
        return Counter(held.job.group for held in self._held.values())

    def turn(self, view: Callable[[str], View], at: datetime) -> int:
        """Release what may be released at ``at``; returns how many were.

        Args:
            view: the load of a group.
        """
        began = time.monotonic()
        done = 0
        together: list[tuple[Held, Decision | None]] = []
        for chosen in self._choose(view, at):
            together.append(chosen)
            if len(together) >= _TOGETHER:
                done += self._settle(together)
                together = []
                if time.monotonic() - began >= _BUDGET:
                    break
        done += self._settle(together)
        if time.monotonic() >= self._anew_at:
            self._take()
        return done

    # -- what is due ---------------------------------------------------------------------

    def _choose(
        self, view: Callable[[str], View], at: datetime
    ) -> Iterator[tuple[Held, Decision | None]]:
        """What does not wait any longer, as if what was chosen before were in line already.

        There is nothing to decide about what is in line for sure, or was: None.
        """
        views: dict[str, View] = {}
        in_line = self._known.in_line(at.timestamp())
        groups = set(self._groups())
        if self._order is None:
            self._order = in_order(self._held.values())
        for held in self._order:
            job, batch = held.job, held.hold.batch
            if job.id in self._untold:
                continue
            if self._is_doubtful(job.id) and self._known.was_submitted(job.id):
                yield held, None
                continue
            if job.group not in views:
                views[job.group] = view(job.group)
            if job.id in self._orders.cancelled or self._known.was_cancelled(job.id):
                self._orders.cancelled.add(job.id)
                decision = Decision.EXPIRE
            elif job.id in self._orders.released:
                decision = Decision.RELEASE
            else:
                waiting = 0 if batch is None else in_line[batch.id]
                decision = decide(held.hold, views[job.group], at, in_line=waiting)
                if job.id in self.in_doubt and decision is Decision.EXPIRE:
                    # A keeper was about to publish it, and nobody would drop it there.
                    decision = Decision.RELEASE
            if decision is Decision.WAIT:
                continue
            if decision is Decision.RELEASE:
                if not self._takes_jobs(held, groups):
                    continue
                views[job.group] = _after(views[job.group])
                if batch is not None:
                    in_line[batch.id] += 1
            yield held, decision

    def _is_doubtful(self, job_id: str) -> bool:
        return job_id in self.in_doubt or _UNSAID + job_id in self.in_doubt

    def _takes_jobs(self, held: Held, groups: set[str]) -> bool:
        """Whether there is a line for it; if not, it is said, and it stays held."""
        if held.job.group not in groups:
            if groups and held.job.id not in self._said:
                self._said.add(held.job.id)
                self._console.note(
                    f"job {held.job.id} stays held: there is no group {held.job.group!r}"
                )
            return False
        return self._open(held.line)

    def _open(self, where: tuple[str, ...]) -> bool:
        return time.monotonic() >= self._shut.get(where, 0.0)

    def _shut_for_now(self, where: tuple[str, ...], why: str) -> None:
        self._shut[where] = time.monotonic() + _SHUT
        if where not in self._said:
            self._said.add(where)
            self._console.note(why)

    # -- what is done about it -----------------------------------------------------------

    def _settle(self, chosen: list[tuple[Held, Decision | None]]) -> int:
        """Have them released, or ended; returns how many were."""
        in_line = self._publish([held for held, decision in chosen if decision is Decision.RELEASE])
        settled = 0
        for held, decision in chosen:
            job_id = held.job.id
            if decision is Decision.RELEASE and job_id not in in_line:
                continue
            settled += 1
            if decision is None and self._known.was_cancelled(job_id):
                self._drop(held)  # it was told
                continue
            # Of what was in line before, too: who published it may not have come to tell it.
            event = self._ended(held) if decision is Decision.EXPIRE else held.submitted()
            self._untold[job_id] = event
            self._known.event(event)
        self._tell()
        return settled

    def _publish(self, chosen: list[Held]) -> set[str]:
        """Put them in line; returns the ids of those that are there for sure.

        A line that does not take one is left alone for a while; it holds up no others.
        """
        if not chosen:
            return set()
        before = frozenset(self.in_doubt)
        posts = [
            job_post(self._session, held.job, again=self._is_doubtful(held.job.id))
            for held in chosen
        ]
        self.in_doubt.update(held.job.id for held in chosen)
        self._leave_word(self.in_doubt)
        taken, no_queue = set[int](), set[int]()
        why = "no queue takes them"
        try:
            no_queue = self._session.publish_many(posts, mandatory=True, taken=taken)
        except BrokerUnreachable:
            raise
        except BrokerError as error:  # what was refused stays in doubt
            why = str(error)
        for index, held in enumerate(chosen):
            if index in no_queue and held.job.id not in before:
                self.in_doubt.discard(held.job.id)
            if index not in taken:
                line = held.line
                self._shut_for_now(line, f"jobs for {' '.join(line)} stay held: {why}")
        return {chosen[index].job.id for index in taken}

    def _tell(self) -> None:
        """Tell what became of jobs; those of which everybody knows are held no longer."""
        due = [
            (self._held[job_id], event)
            for job_id, event in self._untold.items()
            if job_id in self._held and self._open(_inbox(event))
        ][:_TOGETHER]
        taken = set[int]()
        try:
            self._session.publish_many([event_post(event) for _, event in due], taken=taken)
        except BrokerUnreachable:
            raise
        except BrokerError as error:
            for index, (_, event) in enumerate(due):
                if index not in taken:
                    self._shut_for_now(
                        _inbox(event), f"what became of held jobs is told later. {error}"
                    )
        for index in taken:
            self._drop(due[index][0])

    def _drop(self, held: Held) -> None:
        """It is held no longer."""
        self._session.ack(held.delivery)
        self._forget(held.job.id)

    def _ended(self, held: Held) -> Event:
        why = "cancelled before it started"
        if held.job.id not in self._orders.cancelled:
            why = f"not released by its deadline; it waited for: {held.hold.said}"
        return make_event(Kind.CANCELLED, held.job, reason=why)

    def _forget(self, job_id: str) -> None:
        del self._held[job_id]
        self._untold.pop(job_id, None)
        self._order = None
        self.in_doubt.discard(_UNSAID + job_id)
        for known in (self.in_doubt, self._seen, self._said):
            known.discard(job_id)
        self._orders.forget(job_id)

    # -- what comes ----------------------------------------------------------------------

    def _take(self) -> None:
        """Have every held job delivered; those in hand go back for it, which loses nothing."""
        anew = _ANEW + _ANEW_PER_JOB * len(self._held)
        self._anew_at = time.monotonic() + min(anew, _ANEW_AT_LEAST)
        if self._tag is not None:
            self._session.stop_consuming(self._tag)
            # What was sent while the broker came up may have got into the log after we had read
            # it, and too early for our own queue.
            self._orders.look_back(f"{round(2 * _ANEW_AT_LEAST)}s")
        self._before, self._held = self._held, {}
        self._order = None
        self._tag = self._session.consume(topology.HELD, self._arrived, prefetch=_MOST)

    def _arrived(self, delivery: Delivery) -> None:
        message = delivery.message
        job: Job | None = None
        try:
            same = self._before.pop(message.message_id or "", None)
            if same is not None and same.is_in(message):
                held = Held(delivery, same.job, same.hold)
                job = held.job
            else:
                job = decode_job(message, group=DEFAULT_GROUP)
                held = Held(delivery, job, read_hold(message))
                job_post(self._session, job)  # it can be sent on
        except InvalidJob as error:
            self._refuse(delivery, job, error)
            return
        doubtful = self._all_in_doubt and message.redelivered and job.id not in self._seen
        if doubtful or SENT_AGAIN in message.headers:
            self.in_doubt.add(_UNSAID + job.id)
        self._seen.add(job.id)
        before = self._held.get(job.id)
        if before is not None:  # whoever sent it was not sure that it got here
            self._session.ack(before.delivery)
        self._held[job.id] = held
        self._order = None
        if len(self._held) >= _MOST and "most" not in self._said:
            self._said.add("most")
            self._console.note(
                f"{_MOST:,} jobs are held: those behind them wait until some of these are "
                "released, whatever their terms"
            )

    def _refuse(self, delivery: Delivery, job: Job | None, why: InvalidJob) -> None:
        """Make it a dead letter. One that cannot even be that stays where it is."""
        message, groups = delivery.message, self._groups
        refusal = Refuse(why.reason, str(why), job)
        try:
            self._do(refuse_steps(refusal, message, worker=self._worker, groups=groups))
        except BrokerUnreachable:
            raise
        except Exception as error:
            try:
                self._do(rescue_steps(message, job, error, worker=self._worker, groups=groups))
            except BrokerUnreachable:
                raise
            except Exception as last:
                self._console.trouble(f"a held message is neither a job nor a dead letter: {last}")
                return
        self._session.ack(delivery)

    def _do(self, steps: Iterable[Step]) -> None:
        for step in steps:
            step.do(self._session)


def _inbox(event: Event) -> tuple[str, ...]:
    """Who keeps it, beside those who keep all."""
    return ("inbox", event.inbox or "", "")


def _after(view: View) -> View:
    """The load when one more job is in line; when that would start is known in a moment."""
    return View(
        wait=None,
        depth=None if view.depth is None else view.depth + 1,
        free_slots=None if view.free_slots is None else max(0, view.free_slots - 1),
    )
