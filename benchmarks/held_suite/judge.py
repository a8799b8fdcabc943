"""What came of held jobs, judged by their events and by what they wrote down themselves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from benchmarks.fault_suite.record import Record
from benchmarks.fault_suite.truth import Execution
from jupyter_aiqueue.core.events import Event, Kind

from .plan import AT_MOST, GROUPS, SHALLOW, SLOTS, HeldJob, Plan, Wait

#: Seconds after the death of a worker in which slots are free though its jobs are not over: their
#: leases run out first.
_LEASED = 15.0

#: Seconds after the end of a run in which its message is acknowledged, on a busy machine.
_ACKNOWLEDGED = 1.5

#: Who is never to run.
_NEVER = (Wait.CANCEL, Wait.EXPIRY)


class Counts(msgspec.Struct, kw_only=True):
    """What is printed; everything below ``sent_again`` has to be 0."""

    jobs: int = 0
    released: int = 0
    expired: int = 0
    cancelled: int = 0
    #: Put in line once more by a keeper that could not know; they ran once.
    sent_again: int = 0
    lost: int = 0
    released_twice: int = 0
    recorded_twice: int = 0
    early: int = 0
    over_bound: int = 0
    out_of_order: int = 0
    #: Cancelled or expired, and put in line all the same.
    released_wrongly: int = 0

    @property
    def clean(self) -> bool:
        """Whether all is as it should be."""
        good = ("jobs", "released", "expired", "cancelled", "sent_again")
        return not any(v for k, v in msgspec.structs.asdict(self).items() if k not in good)


class Findings(msgspec.Struct, kw_only=True):
    """What is known when all is over."""

    plan: Plan
    #: When it began; seconds since 1970.
    began: float
    #: Job ids by number.
    ids: Mapping[int, str]
    #: Every event, live ones left out.
    events: Sequence[Event]
    executions: Mapping[int, Sequence[Execution]]
    record: Record
    #: Ids of which a message is still held, or in line.
    left: frozenset[str] = frozenset()
    #: When jobs were released by hand or cancelled in fact; by number, seconds since 1970.
    done_at: Mapping[int, float] = msgspec.field(default_factory=dict)


class _Story(msgspec.Struct):
    """One job."""

    job: HeldJob
    submitted: list[float] = msgspec.field(default_factory=list)
    started: list[float] = msgspec.field(default_factory=list)
    ended: list[float] = msgspec.field(default_factory=list)
    ends: set[Kind] = msgspec.field(default_factory=set)
    duplicates: int = 0

    def in_line(self, at: float) -> bool:
        """Whether it was released before, and not started nor over."""
        return bool(self.submitted) and self.submitted[0] < at and not self._out(at)

    def _out(self, at: float) -> bool:
        return any(one < at for one in self.started + self.ended)

    def runs(self, at: float) -> bool:
        """Whether it was started before and not over."""
        return any(one < at for one in self.started) and not any(one < at for one in self.ended)


def judge(findings: Findings) -> tuple[Counts, list[str]]:
    """Count, and say in a sentence each what is not as it should be."""
    stories = _stories(findings)
    counts, said = Counts(jobs=len(findings.ids)), []

    def complain(counter: str, story: _Story, what: str) -> None:
        setattr(counts, counter, getattr(counts, counter) + 1)
        said.append(f"job {story.job.number}, which waited for {story.job.wait.value}: {what}")

    lines: dict[str, list[_Story]] = defaultdict(list)
    for story in stories:
        lines[story.job.group].append(story)
    for story in stories:
        job, runs = story.job, findings.executions.get(story.job.number, ())
        counts.released += bool(story.submitted)
        counts.sent_again += len(story.submitted) > 1
        counts.cancelled += job.wait is Wait.CANCEL and Kind.CANCELLED in story.ends
        counts.expired += job.wait is Wait.EXPIRY and Kind.CANCELLED in story.ends
        if not story.ends or findings.ids[job.number] in findings.left:
            complain("lost", story, "is not over")
        done = sum(one.how == "done" and _settled(one, findings.record) for one in runs)
        if done > 1 or any(one.overlap for one in runs):
            complain("released_twice", story, f"ran {done} times")
        if len(story.ends) > 1 or story.duplicates:
            complain("recorded_twice", story, f"ended as {sorted(k.value for k in story.ends)}")
        if job.wait in _NEVER and (story.submitted or runs):
            complain("released_wrongly", story, "was put in line")
        if runs and not story.submitted:
            complain("released_wrongly", story, "ran, and nobody told that it was submitted")
        for why in _too_early(story, lines[job.group], findings):
            complain("early", story, why)
    for what, batch in _over_bound(lines[GROUPS[Wait.BATCH]]):
        complain("over_bound", batch, what)
    for batch in _out_of_order(lines[GROUPS[Wait.BATCH]]):
        complain("out_of_order", batch, "was released after one that came later")
    return counts, said


def _settled(run: Execution, record: Record) -> bool:
    """Whether its worker lived long enough to acknowledge the job: else it rightly runs again."""
    life = record.life(run.worker)
    killed = None if life is None or life.drained else life.ended
    return killed is None or run.ended is None or killed - run.ended > _ACKNOWLEDGED


def _stories(findings: Findings) -> list[_Story]:
    by_id = {
        findings.ids[job.number]: _Story(job)
        for job in findings.plan.jobs
        if job.number in findings.ids
    }
    seen: set[tuple[str, float]] = set()
    for event in sorted(findings.events, key=lambda event: event.timestamp):
        story, moment = by_id.get(event.job_id), event.timestamp.timestamp()
        if story is None or (event.id, moment) in seen:
            continue  # it was delivered twice
        seen.add((event.id, moment))
        if event.event is Kind.SUBMITTED:
            story.submitted.append(moment)
        elif event.event is Kind.STARTED:
            story.started.append(moment)
        elif event.event is Kind.DUPLICATE:
            story.duplicates += event.of is not Kind.CANCELLED
        elif event.event.is_final:
            story.ends.add(event.event)
            story.ended.append(moment)
    return list(by_id.values())


def _too_early(story: _Story, line: Sequence[_Story], findings: Findings) -> Iterable[str]:
    job = story.job
    moments = {Wait.EXPIRY: story.ended}.get(job.wait, story.submitted)
    if not moments:
        return
    first, others = moments[0], [one for one in line if one is not story]
    if job.wait in (Wait.TIME, Wait.DEADLINE, Wait.EXPIRY):
        due = findings.began + job.at
    elif job.wait is Wait.HAND:
        due = findings.done_at.get(job.number, float("inf"))
    else:
        due = 0.0
    if first < due:
        yield f"went {due - first:.3f} s before its time"
    if job.wait is Wait.DEPTH:
        # A worker has taken what its slots hold before it tells of a start.
        ahead = sum(one.in_line(first) for one in others)
        if ahead >= SHALLOW + findings.plan.workers[job.group] * SLOTS:
            yield f"went with {ahead} in line"
    elif job.wait is Wait.FREE_SLOT:
        busy = sum(one.runs(first) for one in others)
        dead = [life.ended for life in findings.record.lives if life.ended is not None]
        shaken = any(ended <= first <= ended + _LEASED for ended in dead)
        if busy >= findings.plan.workers[job.group] * SLOTS and not shaken:
            yield f"went with {busy} running"


def _over_bound(batch: Sequence[_Story]) -> Iterable[tuple[str, _Story]]:
    for story in batch:
        if story.submitted:
            others = [one for one in batch if one is not story]
            waiting = sum(one.in_line(story.submitted[0]) for one in others)
            if waiting >= AT_MOST:
                yield f"went with {waiting} of its batch in line", story


def _out_of_order(batch: Sequence[_Story]) -> Iterable[_Story]:
    latest = 0.0
    for story in batch:
        if story.submitted:
            if story.submitted[0] < latest:
                yield story
            latest = max(latest, story.submitted[0])
