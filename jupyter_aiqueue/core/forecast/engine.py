"""The forecast: the line ahead of a job, played through in many samples."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from ..job import Priority
from .history import LEAST, Bools, Floats, RunTimes
from .line import FAIRNESS, Line
from .outlook import NO_HISTORY, NO_WORKER, Forecast, Range
from .remaining import run_times
from .situation import Likeness, RunningJob, Situation, WaitingJob
from .slots import RATE_SHAPE, free_slots, left_over, taking
from .spread import TEN, at, quantiles
from .track import Levelled, Levels, What
from .urn import draw

#: Samples: the 10 % point of so many is uncertain by 2 %. (3 % in a line that is longer than
#: `LONG`, where errors of single run times average out, and time is short.)
SAMPLES, SAMPLES_LONG, LONG = 256, 96, 250

#: Jobs before the own one that are played: of more, only every second, third, …, and time goes
#: that much faster. (Where run times differ by as much as they take, that is right to 2 %.)
_MOST_WAITING = 2000

#: Future arrivals that are played, of one priority.
_MOST_ARRIVALS = 300

#: A line whose higher priorities fill more than this part of the slots is played as if they
#: filled this much: it would never end.
MOST_LOAD = 0.9

#: Attempts of one job that are played.
MOST_ATTEMPTS = 4

#: Handovers to further attempts take about as long each time: they vary by half of that.
_AGAIN_SHAPE = 4.0

#: Who is served first.
CLASSES = (Priority.HIGH, Priority.NORMAL, Priority.LOW)


def forecast(
    situation: Situation,
    job: WaitingJob,
    history: RunTimes,
    track: Levelled | None = None,
    *,
    place: int | None = None,
    now: float = 0.0,
    seed: int | None = None,
) -> Forecast:
    """When ``job`` would start and finish.

    Args:
        place: its index in ``situation.waiting[job.priority]``; None for a job that is not in
            line: it is forecast as if it joined at the end.
        track: the record of earlier forecasts, by which the ranges are recalibrated.
        now: the time of ``situation`` on the clock of ``track``, seconds.
        seed: for the same answer twice.
    """
    slots, running = taking(situation)
    waiting = [situation.waiting.get(priority, ()) for priority in CLASSES]
    cls = CLASSES.index(job.priority)
    own = waiting[cls][:place]
    waiting[cls] = own
    known = history.similar(job.like)
    ahead = sum(len(line) for line in waiting[: cls + 1])
    at_once = slots - len(running) > ahead + sum(len(line) for line in waiting[cls + 1 :])
    if not slots:
        return Forecast(missing=NO_WORKER, based_on=known, ahead=ahead)
    if not known.enough and not at_once:
        return Forecast(missing=NO_HISTORY, based_on=known, ahead=ahead)
    random = np.random.default_rng(seed)
    if not known.enough:
        start = handover(situation, [job], SAMPLES, random)[0]
        spread = quantiles(start)
        levels = levels_of(track, situation.group, "start", at_once, now)
        return Forecast(
            start=range_of(spread, levels),
            missing=NO_HISTORY,
            based_on=known,
            at_once=True,
            start_spread=spread,
        )
    play = _Play(situation, job, history, random, running, slots, waiting, cls)
    start = play.start()
    finish = play.finish(start)
    spreads = quantiles(start), quantiles(finish)
    begins = range_of(
        spreads[0], levels_of(track, situation.group, "start", at_once, now), play.latest_start
    )
    ends = range_of(
        spreads[1], levels_of(track, situation.group, "finish", at_once, now), play.latest_finish
    )
    return Forecast(
        start=begins,
        finish=Range(*(max(*pair) for pair in zip(_points(begins), _points(ends), strict=True))),
        run=range_of(quantiles(play.attempts[0]), None),
        based_on=known,
        ahead=ahead,
        at_once=at_once,
        start_spread=spreads[0],
        finish_spread=spreads[1],
    )


class _Play:
    """One situation with run times drawn for everything that is in it."""

    def __init__(
        self,
        situation: Situation,
        job: WaitingJob,
        history: RunTimes,
        random: np.random.Generator,
        running: Sequence[RunningJob],
        slots: int,
        waiting: Sequence[Sequence[WaitingJob]],
        cls: int,
    ) -> None:
        self._situation, self._job, self._random = situation, job, random
        self._slots, self._cls = slots, cls
        self._tries = max(1, min(MOST_ATTEMPTS, job.max_attempts - job.attempt + 1))
        lines = list(waiting)
        self._behind = len(situation.waiting.get(job.priority, ())) - len(lines[cls])
        mean, longest = run_time_of(situation, history)
        #: The latest that the line could take if each job took as long as the longest, seconds.
        self.latest_start = self._horizon(mean, lines) * longest / mean
        self.latest_finish = latest(situation, self.latest_start + longest, self._tries)
        #: For how many jobs in line each stands that is played.
        self._each = _each(lines, cls)
        if self._each > 1:
            lines = [line[:: self._each] for line in lines]
            running = ()  # they take a small part of that time
            situation = self._situation = msgspec.structs.replace(
                situation,
                joins=situation.joins * self._each,
                leaves=situation.leaves * self._each,
                returning=(),
            )
        jobs = sum(len(line) for line in lines[: cls + 1])
        self._samples = SAMPLES if jobs < LONG else SAMPLES_LONG
        future = self._arrivals(self._horizon(mean, lines))
        for lower in range(cls + 1, 3):  # they come first in one take of ten
            lines[lower] = lines[lower][: self._reversed(lines, future)]
        self._lines = lines
        anybody = Likeness(situation.group)
        likes = [run.like for run in running]
        parts = [len(likes)]
        for line, times in zip(lines, future, strict=True):
            likes += [other.like for other in line] + [anybody] * len(times)
            parts.append(len(likes))
        likes += [job.like] * self._tries
        given = run_times(history, running, self._samples, random)
        logs, failed = draw(history, likes, self._samples, random, given=given)
        seconds = np.maximum(np.exp(logs) - LEAST, 0.0)
        self._running = running
        self._totals = seconds[: len(running)]
        self._classes = np.split(seconds[: parts[-1]], parts[:-1])[1:]
        self._future = future
        #: Seconds of each further attempt of the job, shape (attempts, samples).
        self.attempts: Floats = seconds[parts[-1] :]
        self._fails: Bools = failed[parts[-1] :]

    def start(self) -> Floats:
        """Seconds until the job starts, shape (samples,)."""
        situation, random, cls = self._situation, self._random, self._cls
        left = left_over(self._running, self._totals)
        free, leaves = free_slots(situation, left, self._slots, random)
        ready, seconds = [], []
        for number, (line, times) in enumerate(zip(self._lines, self._future, strict=True)):
            there = np.concatenate([np.zeros((len(line), self._samples)), times])
            busy = self._classes[number]
            if number == cls:  # the job itself; what comes after it in its own line never matters
                there = np.concatenate([there, np.zeros((1, self._samples))])
                busy = np.concatenate([busy, self.attempts[:1]])
            ready.append(there)
            come = [None] * (len(busy) - len(line))
            seconds.append(busy + handover(situation, [*line, *come], self._samples, random))
        begun = Line(ready, seconds).start(free, cls, len(self._lines[cls]), random, leaves)
        #: When a slot is free for it, seconds.
        self._free: Floats = begun * self._each
        begins: Floats = self._free + handover(situation, [self._job], self._samples, random)[0]
        return begins

    def finish(self, start: Floats) -> Floats:
        """Seconds until the end of its last attempt, shape (samples,)."""
        delays = self._situation.retry_delays
        # A retry stands at the end of the line: as long as now, or longer if it is not there now.
        longer = self._behind * self.attempts[0].mean() / self._slots
        time: Floats = start + self.attempts[0]
        going = np.ones(self._samples, bool)
        for number in range(1, self._tries):
            going = going & self._fails[number - 1]
            pause = delays[min(self._job.attempt + number - 1, len(delays)) - 1] if delays else 0.0
            job = msgspec.structs.replace(self._job, attempt=self._job.attempt + number)
            again = self._random.permutation(self._free) + longer
            again += handover(self._situation, [job], self._samples, self._random)[0]
            time = np.where(going, time + pause + again + self.attempts[number], time)
        return time

    def _horizon(self, mean: float, lines: Sequence[Sequence[WaitingJob]]) -> float:
        """Until when arrivals matter, seconds."""
        rates = [self._situation.arrivals.get(priority, 0.0) for priority in CLASSES]
        ahead = sum(len(line) for line in lines[: self._cls + 1]) + self._slots
        load = min(MOST_LOAD, sum(rates[: self._cls]) * mean / self._slots)
        return ahead * mean / self._slots / (1 - load)

    def _arrivals(self, horizon: float) -> list[Floats]:
        """When jobs will join the lines before this one, for each class (jobs, samples)."""
        situation, random = self._situation, self._random
        rates = [situation.arrivals.get(priority, 0.0) for priority in CLASSES]
        future = []
        for number, rate in enumerate(rates):
            back = sorted(
                other.after_s
                for other in situation.returning
                if CLASSES.index(other.job.priority) == number
            )
            if number >= self._cls or (not back and rate <= 0):
                future.append(np.empty((0, self._samples)))
                continue
            count = min(_MOST_ARRIVALS, int(2 * rate * horizon) + 5) if rate > 0 else 0
            gaps = random.exponential(size=(count, self._samples))
            pace = random.gamma(RATE_SHAPE, 1 / RATE_SHAPE, self._samples) * max(rate, 1e-12)
            times = np.cumsum(gaps, axis=0) / pace
            known = np.repeat(np.array(back, float), self._samples).reshape(-1, self._samples)
            future.append(np.sort(np.concatenate([times, known]), axis=0))
        return future

    def _reversed(self, lines: list[Sequence[WaitingJob]], future: list[Floats]) -> int:
        """How many jobs of lower priority may be taken before this one, at most."""
        ahead = sum(len(line) for line in lines[: self._cls + 1]) + sum(len(f) for f in future)
        return ahead // (FAIRNESS - 1) + 2


def _each(lines: list[Sequence[WaitingJob]], cls: int) -> int:
    """What part of ``lines`` is played; cuts off who is not taken before the last of ``cls``."""
    # One take of ten is of the lowest priority first.
    first = FAIRNESS * (sum(len(line) for line in lines[cls:]) + 1)
    for higher in range(cls):
        lines[higher] = lines[higher][:first]
    return -(-sum(len(line) for line in lines[: cls + 1]) // _MOST_WAITING) or 1


def handover(
    situation: Situation,
    jobs: Sequence[WaitingJob | None],
    samples: int,
    random: np.random.Generator,
) -> Floats:
    """Seconds from a free slot to the start of each job in it, shape (jobs, samples).

    Args:
        jobs: None for one that is not known, and taken for a first attempt.
    """
    took = random.exponential(max(situation.handover_s, 0.0), (len(jobs), samples))
    again = [number for number, job in enumerate(jobs) if job is not None and job.attempt > 1]
    if again:
        mean = max(situation.handover_again_s, situation.handover_s, 0.0)
        shape = len(again), samples
        took[again] = random.gamma(_AGAIN_SHAPE, mean / _AGAIN_SHAPE, shape)
    return took


def levels_of(
    track: Levelled | None, group: str, what: What, at_once: bool, now: float
) -> Levels | None:
    """Where the points of ``what`` have been in fact, if that is known."""
    return track.levels(group, what, at_once=at_once, now=now) if track is not None else None


def range_of(spread: tuple[float, ...], levels: Levels | None, latest: float = np.inf) -> Range:
    """The points of a spread, at the levels that they have in fact.

    Args:
        latest: seconds beyond which a range is not widened by what was learnt.
    """
    if levels is None:
        return Range(*(at(spread, level) for level in (-TEN, 0.0, TEN)))
    most = max(latest, at(spread, TEN))
    return Range(*(min(most, at(spread, level)) for level in levels))


def run_time_of(situation: Situation, history: RunTimes) -> tuple[float, float]:
    """The mean and the longest run of the group, those that still run included, seconds."""
    runs = np.exp(history.group(Likeness(situation.group)).logs)
    elapsed = max((run.elapsed_s for run in situation.running), default=0.0)
    return float(runs.mean()), max(float(runs.max()), elapsed)


def latest(situation: Situation, once: float, attempts: int) -> float:
    """The latest end of a job with so many attempts, each of which ends ``once`` after it joins."""
    pause = max(situation.retry_delays, default=0.0)
    return attempts * once + (attempts - 1) * pause


def _points(times: Range) -> tuple[float, float, float]:
    return times.low, times.middle, times.high
