"""A batch: many jobs that join the line together, now or later; and the line without them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from .engine import (
    CLASSES,
    LONG,
    MOST_ATTEMPTS,
    MOST_LOAD,
    SAMPLES,
    SAMPLES_LONG,
    handover,
    latest,
    levels_of,
    range_of,
    run_time_of,
)
from .history import LEAST, Bools, Floats, RunTimes, Similar
from .line import Line
from .outlook import NO_HISTORY, NO_WORKER, Range
from .remaining import run_times
from .situation import Likeness, Situation, WaitingJob
from .slots import RATE_SHAPE, free_slots, left_over, taking
from .spread import quantiles
from .track import Levelled, What
from .urn import draw

#: Jobs to come that are played, twice as many as are expected; some 40 µs each. Of a batch that
#: joins after more than these, the time before them is not played but reckoned.
_MOST_ARRIVALS = 6000

#: Slots that join which are played.
_MOST_JOINS = 64


class BatchForecast(msgspec.Struct, frozen=True, kw_only=True):
    """When a batch would start and be done. What is not known is None; ``missing`` says why."""

    #: The first start, the end of half of the jobs, and of all: seconds from the situation on.
    first: Range | None = None
    half: Range | None = None
    done: Range | None = None
    #: `NO_HISTORY` or `NO_WORKER`.
    missing: str | None = None
    #: Runs like those of the job of which least is known.
    based_on: Similar = Similar()
    #: A slot is free, and nobody waits for it.
    at_once: bool = False


class Ahead(msgspec.Struct, frozen=True):
    """How many jobs wait at one moment."""

    #: Seconds from the situation on.
    after_s: float
    waiting: Range


def forecast_batch(
    situation: Situation,
    jobs: Sequence[WaitingJob],
    history: RunTimes,
    track: Levelled | None = None,
    *,
    after_s: float = 0.0,
    now: float = 0.0,
    seed: int | None = None,
) -> BatchForecast:
    """When ``jobs`` would start and be done if all of them joined their line in ``after_s``.

    Jobs go on coming at the rates of ``situation``, in every line; in its own line, who comes
    later is behind the batch.

    Args:
        jobs: at least one, all of one priority.
        track: the record of earlier forecasts, by which the ranges are recalibrated.
        now: the time of ``situation`` on the clock of ``track``, seconds.
        seed: for the same answer twice, and for two moments that differ by nothing else.
    """
    slots, running = taking(situation)
    known = _least([history.similar(job.like) for job in jobs])
    if not slots:
        return BatchForecast(missing=NO_WORKER, based_on=known)
    if not known.enough:
        return BatchForecast(missing=NO_HISTORY, based_on=known)
    waiting = sum(len(line) for line in situation.waiting.values())
    play = _Play(situation, history, jobs, after_s, np.random.default_rng(seed))
    starts, ends = play.batch()
    free = slots - len(running) - waiting if after_s <= 0 else 0
    in_order = np.sort(ends, axis=0)
    half = in_order[(len(jobs) + 1) // 2 - 1]

    def points(times: Floats, what: What, at_once: bool) -> Range:
        levels = levels_of(track, situation.group, what, at_once, now)
        # What has been learnt of forecasts is how far they go wrong from the submit on.
        found = range_of(quantiles(times - after_s), levels, play.latest)
        return Range(found.low + after_s, found.middle + after_s, found.high + after_s)

    first = points(starts.min(axis=0), "start", free > 0)
    middle, last = (points(times, "finish", free >= len(jobs)) for times in (half, in_order[-1]))
    return BatchForecast(
        first=first,
        half=_not_before(middle, first),
        done=_not_before(last, middle),
        based_on=known,
        at_once=free > 0,
    )


def line_ahead(
    situation: Situation, history: RunTimes, moments: Sequence[float], *, seed: int | None = None
) -> list[Ahead]:
    """How many jobs will wait at each of ``moments`` (seconds, ascending), if nothing is added.

    It ends early where more jobs are to come than can be played; it is empty where nothing is
    known.
    """
    slots, _ = taking(situation)
    if not slots or not history.similar(Likeness(situation.group)).enough:
        return []
    waiting = sum(len(line) for line in situation.waiting.values())
    rate = sum(situation.arrivals.values())
    moments = [at for at in moments if waiting + 2 * rate * at <= _MOST_ARRIVALS]
    if not moments:
        return []
    play = _Play(situation, history, (), moments[-1], np.random.default_rng(seed))
    ready, starts = play.line()
    found = []
    for at in moments:
        counts = (ready <= at).sum(axis=0) - (starts <= at).sum(axis=0)
        low, middle, high = np.quantile(counts, (0.1, 0.5, 0.9)).tolist()
        found.append(Ahead(at, Range(low, middle, high)))
    return found


class _Play:
    """One situation and what comes until ``after_s``, with run times drawn for all of it."""

    def __init__(
        self,
        situation: Situation,
        history: RunTimes,
        jobs: Sequence[WaitingJob],
        after_s: float,
        random: np.random.Generator,
    ) -> None:
        self._situation, self._jobs, self._random = situation, jobs, random
        self._cls = CLASSES.index(jobs[0].priority) if jobs else 0
        slots, running = taking(situation)
        lines = [situation.waiting.get(priority, ()) for priority in CLASSES]
        group = history.group(Likeness(situation.group))
        mean, longest = run_time_of(situation, history)
        rates = np.array([situation.arrivals.get(priority, 0.0) for priority in CLASSES])
        #: Seconds that are not played.
        self._skipped = 0.0
        if jobs and rates.sum() * after_s > _MOST_ARRIVALS / 2:
            self._skipped = after_s - _MOST_ARRIVALS / 2 / rates.sum()
        self._after = after_s - self._skipped
        ahead = sum(len(line) for line in lines[: self._cls + 1])
        if self._skipped:
            lines, running = [(), (), ()], []
        until = self._horizons(lines, rates, slots / mean, slots)
        counts = [
            min(_MOST_ARRIVALS, int(2 * rate * horizon) + 5) if rate > 0 else 0
            for rate, horizon in zip(rates, until, strict=True)
        ]
        rows = sum(counts) + sum(len(line) for line in lines) + len(jobs)
        self._samples = SAMPLES if rows < LONG else SAMPLES_LONG
        most = MOST_ATTEMPTS if group.failed.any() else 1
        tries = max((min(most, job.max_attempts) for job in jobs), default=0)
        #: The latest end after the submit if all took as long as the longest run, seconds.
        self.latest = latest(situation, (max(until) - self._after) * longest / mean, tries)
        likes = [run.like for run in running]
        parts = [len(likes)]
        for line in lines:
            likes += [job.like for job in line]
            parts.append(len(likes))
        likes += [job.like for _ in range(tries) for job in jobs]
        given = run_times(history, running, self._samples, random)
        logs, failed = draw(history, likes, self._samples, random, given=given)
        seconds = np.maximum(np.exp(logs) - LEAST, 0.0)
        shape = (tries, len(jobs), self._samples)
        self._attempts: Floats = seconds[parts[-1] :].reshape(shape)
        self._fails: Bools = failed[parts[-1] :].reshape(shape)
        # How far all that is to come may be off, from so few runs; and how fast it comes.
        off = random.normal(0, np.sqrt(group.variance / len(group.logs)), self._samples)
        pace = rates[:, None] * random.gamma(RATE_SHAPE, 1 / RATE_SHAPE, (3, self._samples))
        left = left_over(running, seconds[: len(running)])
        joins = min(_MOST_JOINS, int(2 * situation.joins * until[0]) + slots + 5)
        self._free, self._leaves = free_slots(situation, left, slots, random, most_joins=joins)
        if self._skipped:
            took = mean * np.exp(off) / slots
            came = ahead + pace[: self._cls + 1].sum(axis=0) * self._skipped
            self._free += np.maximum(came * took - self._skipped, 0.0)[:, None]
        self._ready: list[Floats] = []
        self._busy: list[Floats] = []
        for number, (line, count) in enumerate(zip(lines, counts, strict=True)):
            times = self._arrivals(number, pace[number], count)
            logs = random.choice(group.logs, times.shape) + off
            busy = np.concatenate([seconds[parts[number] : parts[number + 1]], np.exp(logs)])
            self._ready.append(np.concatenate([np.zeros((len(line), self._samples)), times]))
            come = [None] * len(times)
            self._busy.append(busy + handover(situation, [*line, *come], self._samples, random))

    def batch(self) -> tuple[Floats, Floats]:
        """Starts of the batch's jobs, and the ends of their last attempts, (jobs, samples)."""
        cls, count, random = self._cls, len(self._jobs), self._random
        first = self._attempts[0] + handover(self._situation, self._jobs, self._samples, random)
        # Who joins its line later is behind it.
        before = np.where(self._ready[cls] <= self._after, self._ready[cls], np.inf)
        joins = np.full((count, self._samples), self._after)
        ready = np.concatenate([before, joins])
        order = np.argsort(ready, axis=0, kind="stable")
        self._ready[cls] = np.take_along_axis(ready, order, 0)
        self._busy[cls] = np.take_along_axis(np.concatenate([self._busy[cls], first]), order, 0)
        last = np.isfinite(before).sum(axis=0) + count - 1
        begun = self._starts(to=(cls, last))[cls]
        rows = last - count + 1 + np.arange(count)[:, None]
        starts = np.take_along_axis(begun, rows, 0) + handover(
            self._situation, self._jobs, self._samples, random
        )
        ends = self._retried(starts + self._attempts[0])
        return starts + self._skipped, ends + self._skipped

    def line(self) -> tuple[Floats, Floats]:
        """When everybody is in line, and when each starts: both (jobs, samples)."""
        starts = self._starts(until=self._after)
        return np.concatenate(self._ready), np.concatenate(starts)

    def _starts(
        self, to: tuple[int, NDArray[np.intp]] | None = None, until: float = np.inf
    ) -> list[Floats]:
        line = Line(self._ready, self._busy)
        return line.starts(self._free, self._random, self._leaves, to=to, until=until)

    def _retried(self, ends: Floats) -> Floats:
        """The ends of last attempts, from those of the first ones.

        An attempt that failed joins its line again when its pause is over: behind the batch.
        """
        delays = self._situation.retry_delays
        most = np.array([job.max_attempts for job in self._jobs])[:, None]
        going = np.ones(ends.shape, bool)
        for number in range(1, len(self._attempts)):
            going = going & self._fails[number - 1] & (number < most)
            again = int(going.sum(axis=0).max())
            if not again:
                break
            pause = delays[min(number, len(delays)) - 1] if delays else 0.0
            ready = np.where(going, ends + pause, np.inf)
            order = np.argsort(ready, axis=0, kind="stable")[:again]
            ready = np.take_along_axis(ready, order, 0)
            took = np.take_along_axis(self._attempts[number], order, 0)
            later = msgspec.structs.replace(self._jobs[0], attempt=number + 1)
            took = took + handover(self._situation, [later] * again, self._samples, self._random)
            others = np.empty((0, self._samples))
            line = Line([ready, others, others], [took, others, others])
            begun = line.starts(self._free, self._random, self._leaves)[0]
            over = np.where(np.isfinite(ready), begun + took, np.take_along_axis(ends, order, 0))
            np.put_along_axis(ends, order, over, 0)
        return ends

    def _horizons(
        self, lines: Sequence[Sequence[WaitingJob]], rates: Floats, pace: float, slots: int
    ) -> list[float]:
        """Until when arrivals matter, for each class, seconds."""
        if not self._jobs:
            return [self._after] * 3
        cls = self._cls
        load = min(MOST_LOAD, float(rates[:cls].sum()) / pace)
        grown = max(0.0, float(rates[: cls + 1].sum()) - pace) * self._after
        ahead = sum(len(line) for line in lines[: cls + 1]) + grown + len(self._jobs) + slots
        span = ahead / pace / (1 - load)
        return [self._after + (span if number != cls else 0.0) for number in range(3)]

    def _arrivals(self, number: int, pace: Floats, count: int) -> Floats:
        """When jobs join one line, in order, (jobs, samples); those that come back included.

        Args:
            pace: how many a second, of each sample.
        """
        back = [
            max(0.0, other.after_s - self._skipped)
            for other in self._situation.returning
            if CLASSES.index(other.job.priority) == number
        ]
        gaps = self._random.exponential(size=(count, self._samples))
        known = np.repeat(np.array(back, float), self._samples).reshape(-1, self._samples)
        times = np.cumsum(gaps, axis=0) / np.maximum(pace, 1e-12)
        return np.sort(np.concatenate([times, known]), axis=0)


def _least(known: Sequence[Similar]) -> Similar:
    """What is known of the job of which least is."""
    return min(known, key=lambda similar: (similar.group, similar.task, similar.config))


def _not_before(later: Range, earlier: Range) -> Range:
    return Range(*map(max, msgspec.structs.astuple(later), msgspec.structs.astuple(earlier)))
