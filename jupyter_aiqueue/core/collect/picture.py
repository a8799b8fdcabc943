"""The picture: events and heartbeats folded into what is waiting, running and to be expected.

It imports NumPy through `core.forecast`: import it where it is used.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from typing import NamedTuple

import msgspec

from ..events import Event, Kind
from ..forecast import (
    Arrivals,
    Claim,
    Likeness,
    Run,
    RunTimes,
    TrackRecord,
    Turnover,
    WaitingJob,
    config_key,
    forecast,
)
from ..job import Priority, State, now
from ..load import Expected, GroupLoad, WorkerLoad, worker_load
from ..status import Heartbeat
from .allowance import Allowance
from .day import Day
from .entry import Entry
from .handover import Handovers
from .scene import expected, situation
from .snapshot import WHATS, GroupLine, Lore, PastRun, Record, level_key
from .tempo import Tempo

#: Ended jobs that are remembered, so that a late event does not bring one back.
_MOST_ENDED = 20_000

#: Jobs that are not over of which more is known than their number; the rest are strangers.
_MOST_ENTRIES = 50_000

#: Held jobs of a group that are told of one by one; of the rest the number.
_MOST_HELD = 1000

#: Seconds for which a job has to be missing in its queue before it is believed to have been
#: taken without a word: longer than a worker asks the others about it before it tells of a start.
_SETTLE = 60.0

#: Seconds in line after which a job does not hold back its batch any more: in case it left without
#: a word while the queue never got short enough to show it.
_LONGEST_IN_LINE = 6 * 3600.0

#: Seconds for which a start is not too old to act on.
_FRESH = 5.0

#: Seconds after which a worker that fell silent is not told of any more.
_FORGOTTEN = 900.0

#: Forecasts of a group for the track record in a second: a batch of a thousand teaches no more
#: than a few.
_MOST_CLAIMS = 4

#: Attempts that ended like this came to an end of their own.
_OWN_ENDS = (Kind.SUCCEEDED, Kind.FAILED, Kind.DEAD, Kind.RETRYING)


class _Start(NamedTuple):
    """When a job would start, as it was computed at ``at`` while so many were waiting."""

    expected: Expected
    at: float
    waiting: int


class Picture:
    """What one collector knows. Not for several threads at once.

    Args:
        lore: what the collector before knew.
        at: the time now, seconds since 1970.
    """

    def __init__(self, lore: Lore | None = None, *, at: float) -> None:
        self._entries: dict[str, Entry] = {}
        #: How jobs ended; None if nobody told.
        self._ended: OrderedDict[str, Kind | None] = OrderedDict()
        self._beats: dict[str, Heartbeat] = {}
        self._times = RunTimes()
        self._track = TrackRecord()
        self._day = Day(None if lore is None else lore.day)
        self._began = at
        self._arrivals: dict[str, Arrivals] = defaultdict(Arrivals)
        self._turnover: dict[str, Turnover] = defaultdict(Turnover)
        self._handovers: dict[str, Handovers] = defaultdict(Handovers)
        self._came: dict[str, Tempo] = defaultdict(lambda: Tempo(self._began))
        self._went: dict[str, Tempo] = defaultdict(lambda: Tempo(self._began))
        self._doubtful: dict[tuple[str, Priority], dict[str, float]] = {}
        self._strangers: dict[str, dict[Priority, int]] = defaultdict(dict)
        self._to_claim: dict[str, list[str]] = defaultdict(list)
        self._claimed_at = at
        #: Of each group: for claims, and for the start that people are shown.
        self._for_claims: dict[str, Allowance] = defaultdict(Allowance)
        self._for_start: dict[str, Allowance] = defaultdict(Allowance)
        self._start: dict[str, _Start] = {}
        #: Something has been learnt since `lore` was asked for last.
        self.learnt = False
        if lore is not None:
            self._begin(lore)

    def _begin(self, lore: Lore) -> None:
        self._entries = {entry.job_id: entry for entry in lore.entries}
        for run in lore.runs:
            self._learn(run)
        with suppress(msgspec.DecodeError):  # of another version: it is learnt anew
            self._track = TrackRecord(msgspec.json.decode(lore.claims, type=list[Claim]))

    # -- what happens --------------------------------------------------------------------

    def event(self, event: Event) -> None:
        """A job was submitted, started, ended, …"""
        if event.group is None or event.job_id in self._ended:
            return
        moment = event.timestamp.timestamp()
        config = None if event.config is None else config_key(event.config)
        entry = self._entries.get(event.job_id)
        if entry is None:
            # What the bound of a batch hangs on is known in any case.
            counts = event.event is Kind.SUBMITTED and event.batch is not None
            if len(self._entries) >= _MOST_ENTRIES and not counts:
                return
            entry = Entry(job_id=event.job_id, group=event.group)
        before, joined = entry.state, entry.since
        news = entry.apply(event, config)
        if event.event in _OWN_ENDS:
            self._count(event, entry)
        if event.event.is_final:
            self._end(event, moment)
            return
        if not news:
            return
        self.learnt = True
        if event.job_id not in self._entries:
            self._entries[event.job_id] = entry
        if event.event is Kind.SUBMITTED:
            self._came[event.group].add(moment)
            self._to_claim[event.group].append(event.job_id)
        if entry.state is State.QUEUED:
            self._joined(entry, moment)
        elif entry.state is State.RUNNING and before is not State.RUNNING:
            self._track.started(event.job_id, moment)
            if event.worker is not None:
                self._handovers[event.group].started(
                    event.worker, moment, joined, again=entry.attempt > 1
                )

    def _joined(self, entry: Entry, at: float) -> None:
        self._arrivals[entry.group].add(entry.priority, at)
        self._day.came(entry.group, entry.priority, at)

    def _count(self, event: Event, entry: Entry) -> None:
        """Learn how long an attempt took, if it came to its own end."""
        result = event.result
        if result is not None and result.duration_s is not None and result.duration_s >= 0:
            failed = event.event is not Kind.SUCCEEDED
            run = PastRun(entry.group, entry.task, entry.config, result.duration_s, failed)
            self._learn(run)
            moment = event.timestamp.timestamp()
            self._went[entry.group].add(moment)
            self._day.ended(entry.group, moment)
            if entry.worker is not None:
                wanted = any(
                    other.state is State.QUEUED and other.group == entry.group
                    for other in self._entries.values()
                )
                self._handovers[entry.group].ended(entry.worker, moment, wanted=wanted)

    def _learn(self, run: PastRun) -> None:
        like = Likeness(run.group, run.task, run.config)
        with suppress(ValueError):  # infinite
            self._times.add(Run(like=like, seconds=run.seconds, failed=run.failed))
        self.learnt = True

    def _end(self, event: Event, moment: float) -> None:
        self._forget(event.job_id, event.event)
        self.learnt = True
        if event.event is Kind.CANCELLED:
            self._track.dropped(event.job_id)
        else:
            self._track.finished(event.job_id, moment)

    def _forget(self, job_id: str, kind: Kind | None = None) -> None:
        self._entries.pop(job_id, None)
        self._ended[job_id] = kind
        while len(self._ended) > _MOST_ENDED:
            self._ended.popitem(last=False)

    def beat(self, beat: Heartbeat) -> None:
        """A worker told what it does."""
        self._beats[beat.worker] = beat

    def look(self, groups: Iterable[GroupLoad], at: float) -> None:
        """How busy the groups are at ``at``, for the record of the day."""
        self._day.look(groups, at)

    def depth(self, group: str, priority: Priority, ready: int, at: float) -> None:
        """So many messages are in a queue, counted at ``at``: more or fewer than are known of."""
        line = [
            entry
            for entry in self._entries.values()
            # In this order: what is held may be very many.
            if entry.state is State.QUEUED and entry.priority is priority and entry.group == group
        ]
        self._strangers[group][priority] = max(0, ready - len(line))
        # Whoever takes a job tells of its start a little later than it is missing in the queue;
        # while many are taken, there is always one of those.
        line.sort(key=_order)
        key = group, priority
        before = self._doubtful.get(key, {})
        first = line[: max(0, len(line) - ready)]
        doubtful = {entry.job_id: before.get(entry.job_id, at) for entry in first}
        for job_id, since in list(doubtful.items()):
            if at - since >= _SETTLE:
                # Taken, and nobody told: by a consumer of somebody's own, or it was lost.
                del self._entries[job_id], doubtful[job_id]
                self._track.dropped(job_id)
        self._doubtful[key] = doubtful

    def tick(self, at: float, retry_delays: tuple[int, ...]) -> None:
        """Time has passed: what waited for its next attempt is in line; forecasts are made."""
        for entry in self._entries.values():
            if entry.joins(at):
                self._joined(entry, entry.since)
        self._beats = {
            name: beat
            for name, beat in self._beats.items()
            if at - beat.timestamp.timestamp() < _FORGOTTEN
        }
        for group in {name for beat in self._beats.values() for name in beat.groups}:
            taking = [w.slots for w in self.workers(group, at) if w.state == "active"]
            self._turnover[group].count(sum(taking), at)
        allowed = min(_MOST_CLAIMS, int((at - self._claimed_at) * _MOST_CLAIMS))
        if allowed >= 1:
            self._claimed_at = at
            for group, waiting in self._to_claim.items():
                self._claim(group, waiting[:allowed], at, retry_delays)
                del waiting[:]

    def _claim(
        self, group: str, job_ids: Iterable[str], at: float, retry_delays: tuple[int, ...]
    ) -> None:
        allowance, seen = self._for_claims[group], None
        for job_id in job_ids:
            entry = self._entries.get(job_id)
            if entry is None or entry.state is not State.QUEUED or not allowance.left:
                continue
            with allowance.spent():
                if seen is None:
                    line = self.line(group, at, retry_delays)
                    seen = situation(group, line, self.workers(group, at), at)
                place = [e.job_id for e in line.line(entry.priority)].index(job_id)
                place += line.strangers.get(entry.priority, 0)
                job = WaitingJob(
                    like=Likeness(group, entry.task, entry.config),
                    priority=entry.priority,
                    attempt=entry.attempt,
                    max_attempts=entry.max_attempts,
                )
                made = forecast(seen, job, self._times, self._track, place=place, now=at)
            self._track.made(job_id, group, made, at)

    # -- what is told of it --------------------------------------------------------------

    @property
    def beats(self) -> Mapping[str, Heartbeat]:
        """The last word of every worker."""
        return self._beats

    def workers(self, group: str, at: float) -> list[WorkerLoad]:
        """Those of a group, lost ones included."""
        moment = datetime.fromtimestamp(at, timezone.utc)
        beats = [b for b in self._beats.values() if group in b.groups and b.state != "stopped"]
        return [worker_load(beat, moment) for beat in beats]

    def line(self, group: str, at: float, retry_delays: tuple[int, ...]) -> GroupLine:
        """Everything about a group that a forecast needs."""
        held: list[Entry] = []
        entries: list[Entry] = []
        for entry in self._entries.values():
            if entry.group == group:
                (held if entry.state is State.HELD else entries).append(entry)
        entries += held[:_MOST_HELD]
        joins, leaves = self._turnover[group].rates(at)
        return GroupLine(
            entries=tuple(sorted(entries, key=_order)),
            strangers={p: n for p, n in self._strangers[group].items() if n},
            arrivals={p: r for p, r in self._arrivals[group].rates(at).items() if r},
            joins=joins,
            leaves=leaves,
            retry_delays=retry_delays,
            handover_s=self._handovers[group].mean_s,
            handover_again_s=self._handovers[group].again_s,
            levels={
                level_key(what, at_once=at_once): self._track.levels(
                    group, what, at_once=at_once, now=at
                )
                for what in WHATS
                for at_once in (True, False)
            },
            record=Record(
                start=self._track.hits("start", group), finish=self._track.hits("finish", group)
            ),
        )

    def waiting(self, group: str) -> tuple[int, float | None]:
        """Jobs between attempts, and since when the first in any line is there."""
        retrying = 0
        joined: float | None = None
        for entry in self._entries.values():
            if entry.group == group:
                retrying += entry.state is State.RETRYING
                if entry.state is State.QUEUED:
                    joined = entry.since if joined is None else min(joined, entry.since)
        return retrying, joined

    def was_submitted(self, job_id: str) -> bool:
        """Whether a job that was held is in line for sure, or was, or is over."""
        entry = self._entries.get(job_id)
        return job_id in self._ended if entry is None else entry.state is not State.HELD

    def was_cancelled(self, job_id: str) -> bool:
        """Whether a cancel of it was told as an event, which is sure to be kept."""
        entry = self._entries.get(job_id)
        return self._ended.get(job_id) is Kind.CANCELLED if entry is None else entry.cancelling

    def in_line(self, at: float) -> Counter[str]:
        """How many of each batch wait in line, as far as that can be believed at ``at``."""
        return Counter(
            entry.batch
            for entry in self._entries.values()
            if entry.batch is not None
            and entry.state is State.QUEUED
            and at - entry.since < _LONGEST_IN_LINE
        )

    def start(self, group: str, line: GroupLine, at: float) -> Expected:
        """When a job of normal priority, submitted at ``at``, would start.

        It is computed as often as there is time: in long lines, once in some seconds; and when
        the line is much shorter than it was.
        """
        allowance, before = self._for_start[group], self._start.get(group)
        waiting = sum(line.strangers.values())
        waiting += sum(entry.state is State.QUEUED for entry in line.entries)
        if before is None or allowance.left or waiting < before.waiting / 2:
            with allowance.spent():
                seen = situation(group, line, self.workers(group, at), at)
                job = WaitingJob(like=Likeness(group))
                made = forecast(seen, job, self._times, self._track, now=at)
            start = expected(made, made.start, line.record.start)
            before = self._start[group] = _Start(start, at, waiting)
        return before.expected.later(max(0.0, at - before.at))

    def wait(self, group: str, line: GroupLine, at: float) -> float | None:
        """The middle of `start`, seconds, if it is not an old one: what is done is not undone."""
        start = self.start(group, line, at)
        return start.middle if at - self._start[group].at <= _FRESH else None

    def tempo(self, group: str, window: float, at: float) -> tuple[float | None, float | None]:
        """Jobs per second that were submitted, and attempts that ended, in the last seconds."""
        return self._came[group].rate(window, at), self._went[group].rate(window, at)

    def lore(self) -> Lore:
        """What a new collector begins with."""
        self.learnt = False
        return Lore(
            timestamp=now(),
            runs=tuple(
                PastRun(r.like.group, r.like.task, r.like.config, r.seconds, r.failed)
                for r in self._times.runs
            ),
            entries=tuple(self._entries.values()),
            claims=msgspec.Raw(msgspec.json.encode(self._track.claims)),
            day=self._day.kept(),
        )


def _order(entry: Entry) -> tuple[float, str]:
    return entry.since, entry.job_id
