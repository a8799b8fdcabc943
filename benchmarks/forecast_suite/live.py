"""The same on a live node: real workers, real jobs, and what was forecast of them.

Judged are the forecasts that the collector made for its own track record, and those that
somebody got who asked at random moments (`core.collect.reader.find_job`).
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from benchmarks.forecast_suite.cluster import Job
from benchmarks.forecast_suite.judge import Verdict
from benchmarks.harness import private_node
from jupyter_aiqueue import Client
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.collect.entry import Entry
from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.collect.reader import find_job, read_lore
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerError
from jupyter_aiqueue.core.events import Event, Kind, decode_event
from jupyter_aiqueue.core.forecast import Claim, Likeness, Range
from jupyter_aiqueue.core.forecast.line import Line
from jupyter_aiqueue.core.job import Priority, State
from jupyter_aiqueue.core.load import Expected
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Delivery, Session, connect

_GROUP = "train"

#: Seconds before further attempts: as short, beside the jobs, as in life.
_RETRY_DELAYS = (3, 6)

#: Sleeps: heavy-tailed or bimodal, by its model; one first attempt in eight fails on the way.
_CHILD = """
import argparse, os, random, sys, time
parser = argparse.ArgumentParser()
parser.add_argument("--model", type=int)
model = parser.parse_known_args()[0].model
attempt = int(os.environ["AIQUEUE_ATTEMPT"])
chance = random.Random(f"{os.environ['AIQUEUE_JOB_ID']} {attempt}")
if model % 3:
    seconds = random.Random(model).uniform(0.7, 2.8) * chance.lognormvariate(0, 0.3)
    if chance.random() < 0.1:
        seconds *= chance.paretovariate(1.5)
else:
    seconds = 6.0 if chance.random() < 0.3 else 1.0
seconds = min(seconds, 20.0)
fails = attempt == 1 and chance.random() < 0.125
time.sleep(seconds * chance.random() if fails else seconds)
sys.exit(1 if fails else 0)
"""

_MODELS, _TASKS = 12, 3

#: About what a job takes, and the part of the slots that is filled on average.
_MEAN_S, _LOAD = 2.6, 0.93

#: Seconds between two questions from outside, on average.
_ASKED_EVERY = 0.6

#: Seconds that everything may take once all is submitted, and the collector to keep its record.
_PATIENCE, _KEPT = 300.0, 60.0


@dataclass
class Run:
    """One run: the forecasts with their outcomes, and how many jobs got none."""

    collected: list[Verdict] = field(default_factory=list)
    asked: list[Verdict] = field(default_factory=list)
    #: Jobs that the collector made no forecast for, and questions that got no range.
    not_collected: int = 0
    not_answered: int = 0


def live(jobs: int = 200, workers: int = 4, seed: int = 0) -> Run:
    """Submit ``jobs`` jobs of a few seconds to as many workers of one slot, and judge."""
    with private_node() as (broker, folder), ExitStack() as stack:
        os.environ["AIQUEUE_RECORDER"] = "server"
        provision(broker, Catalog(retry_delays=_RETRY_DELAYS))
        tape = stack.enter_context(_taping(broker))
        for number in range(workers):
            stack.enter_context(_worker(folder, f"w{number}"))
        asker = _Asker(broker, tape, seed)
        with asker.asking():
            _submit(jobs, workers, seed)
            _wait_for_ends(tape, jobs)
        claims = _kept_claims(broker, tape)
    return _judged(tape, workers, jobs, claims, asker)


class Tape:
    """Every event, as it came; read by other threads."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def arrived(self, session: Session, delivery: Delivery) -> None:
        """One more."""
        session.ack(delivery)
        self.events.append(decode_event(delivery.message.body))

    def entries(self, at: float) -> dict[str, Entry]:
        """Every job that was not over at a moment (seconds since 1970)."""
        found: dict[str, Entry] = {}
        for event in sorted(self.events, key=lambda event: event.timestamp):
            if event.timestamp.timestamp() > at:
                break
            if event.event.is_final:
                found.pop(event.job_id, None)
                continue
            entry = found.setdefault(event.job_id, Entry(job_id=event.job_id, group=_GROUP))
            entry.apply(event, None)
        for entry in found.values():
            entry.joins(at)
        return found


@contextmanager
def _taping(broker: Broker) -> Iterator[Tape]:
    tape, over = Tape(), threading.Event()

    def read() -> None:
        with connect(broker, "forecast benchmark") as session:
            name = session.temporary_queue([(topology.EVENTS, "*.*.*.*")], max_length=100_000)
            session.consume(name, lambda found: tape.arrived(session, found), prefetch=500)
            ready.set()
            while not over.is_set():
                session.pump(0.2)

    ready = threading.Event()
    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    ready.wait(30)
    try:
        yield tape
    finally:
        over.set()
        thread.join(10)


@contextmanager
def _worker(folder: Path, name: str) -> Iterator[None]:
    child, tasks = folder / "child.py", folder / "aiqueue.toml"
    child.write_text(_CHILD)
    command = json.dumps(["python", str(child)])
    tasks.write_text("".join(f"[tasks.task{n}]\ncommand = {command}\n" for n in range(_TASKS)))
    line = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", _GROUP]
    line += ["--tasks", str(tasks), "--slots", "1", "--name", name]
    with (folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(line, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def _submit(jobs: int, workers: int, seed: int) -> None:
    """Arrivals at random, now and then several at once."""
    chance = random.Random(seed)
    client = Client(record=False)
    due = time.monotonic() + 3.0  # the workers connect
    for _ in range(jobs):
        if chance.random() > 0.3:
            due += chance.expovariate(0.7 * workers * _LOAD / _MEAN_S)
        time.sleep(max(0.0, due - time.monotonic()))
        model = chance.randrange(_MODELS)
        priority = chance.choices(list(Priority), (0.2, 0.6, 0.2))[0]
        client.submit(f"task{model % _TASKS}", {"model": model}, group=_GROUP, priority=priority)
    client.close()


def _wait_for_ends(tape: Tape, jobs: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while sum(event.event.is_final for event in list(tape.events)) < jobs:
        if time.monotonic() > deadline:
            raise SystemExit("forecast.py: the jobs do not come to an end.")
        time.sleep(0.2)


def _kept_claims(broker: Broker, tape: Tape) -> list[Claim]:
    """The collector's forecasts with their outcomes, once it has kept them."""
    last = max(event.timestamp for event in tape.events)
    deadline = time.monotonic() + _KEPT
    with connect(broker, "forecast benchmark") as session:
        while time.monotonic() < deadline:
            lore = read_lore(session)
            if lore is not None and lore.timestamp > last:
                claims = msgspec.json.decode(lore.claims, type=list[Claim])
                if all(claim.finished_s is not None for claim in claims):
                    return claims
            session.pump(0.5)
    raise SystemExit("forecast.py: the collector does not keep what it has learnt.")


class _Asker:
    """Asks about a job in line, whichever, at random moments."""

    def __init__(self, broker: Broker, tape: Tape, seed: int) -> None:
        self._broker, self._tape, self._chance = broker, tape, random.Random(seed)
        self.answers: list[tuple[float, str, Foresight]] = []
        self._over = threading.Event()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """For as long as the block lasts."""
        thread = threading.Thread(target=self._ask, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join(30)

    def _ask(self) -> None:
        while not self._over.wait(self._chance.expovariate(1 / _ASKED_EVERY)):
            entries = self._tape.entries(time.time()).values()
            queued = [entry.job_id for entry in entries if entry.state is State.QUEUED]
            if not queued:
                continue
            job_id = self._chance.choice(queued)
            with suppress(BrokerError):
                found = find_job(self._broker, job_id)
                if found is not None and found.foresight is not None:
                    self.answers.append((time.time(), job_id, found.foresight))


def _judged(tape: Tape, slots: int, jobs: int, claims: Sequence[Claim], asker: _Asker) -> Run:
    truth = _Truth(tape, slots, jobs)
    run = Run()
    for claim in claims:
        if claim.start is not None and claim.finish is not None:
            ranges = claim.start, claim.finish
            verdict = truth.verdict(claim.job_id, claim.at, claim.at_once, claim.ahead, ranges)
            run.collected += [verdict] if verdict else []
    for at, job_id, told in asker.answers:
        start, finish = _range(told.start), _range(told.finish)
        ahead = told.ahead + told.ahead_of_higher
        if start is None or finish is None:
            run.not_answered += 1
            continue
        found = truth.verdict(job_id, at, told.start.at_once, ahead, (start, finish))
        run.asked += [found] if found else []
    run.not_collected = jobs - len({verdict.job.number for verdict in run.collected})
    return run


class _Truth:
    """What became of the jobs, and what the rivals would have said."""

    def __init__(self, tape: Tape, slots: int, jobs: int) -> None:
        self._tape, self._slots, self._jobs = tape, slots, jobs
        self._starts: dict[str, list[float]] = defaultdict(list)
        self._ends: dict[str, float] = {}
        self._submits: dict[str, float] = {}
        #: When each attempt ended and its seconds, of all jobs and of each.
        self._took: list[tuple[float, float]] = []
        self._attempts: dict[str, dict[int, float]] = defaultdict(dict)
        for event in tape.events:
            moment = event.timestamp.timestamp()
            if event.event is Kind.SUBMITTED:
                self._submits.setdefault(event.job_id, moment)
            elif event.event is Kind.STARTED:
                self._starts[event.job_id].append(moment)
            if event.event.is_final:
                self._ends[event.job_id] = moment
            if event.result is not None and event.result.duration_s is not None:
                self._took.append((moment, event.result.duration_s))
                self._attempts[event.job_id][event.attempt] = event.result.duration_s
        self._numbers = {job_id: number for number, job_id in enumerate(self._submits)}

    def verdict(
        self, job_id: str, at: float, at_once: bool, ahead: int, ranges: tuple[Range, Range]
    ) -> Verdict | None:
        """One forecast; None when the job had started already by ``at``, or nothing had ended."""
        entries = self._tape.entries(at)
        entry = entries.get(job_id)
        took = [seconds for moment, seconds in self._took if moment <= at]
        starts = [start for start in self._starts[job_id] if start > at]
        if entry is None or entry.state is not State.QUEUED or not took or not starts:
            return None
        left = self._attempts[job_id]
        job = Job(
            number=self._numbers[job_id],
            submit_s=self._submits[job_id],
            like=Likeness(_GROUP, entry.task),
            priority=entry.priority,
            attempts=tuple(left[number] for number in sorted(left) if number >= entry.attempt),
        )
        job.first_start, job.end = min(starts), self._ends[job_id]
        mean = sum(took) / len(took)
        naive = ahead * mean / self._slots
        return Verdict(
            job=job,
            at=at,
            phase=sum(moment <= at for moment in self._submits.values()) / self._jobs,
            at_once=at_once,
            start_range=ranges[0],
            finish_range=ranges[1],
            naive_start=naive,
            naive_finish=naive + mean,
            oracle_start=self._oracle(entry, list(entries.values()), at),
            cost_s=0.0,
        )

    def _oracle(self, mine: Entry, entries: Sequence[Entry], at: float) -> float:
        """The start if nothing more came, from the true run times of all that is there."""
        running = [e for e in entries if e.state is State.RUNNING][: self._slots]
        free = [max(0.0, e.since + self._seconds(e) - at) for e in running]
        free += [0.0] * (self._slots - len(free))
        ready, seconds, place = [], [], 0
        for priority in Priority:
            line = [e for e in entries if e.state is State.QUEUED and e.priority is priority]
            line.sort(key=lambda entry: (entry.since, entry.job_id))
            if priority is mine.priority:
                place = line.index(mine)
                line = line[: place + 1]
            ready.append(np.zeros((len(line), 1)))
            seconds.append(np.array([self._seconds(e) for e in line], float).reshape(-1, 1))
        cls = list(Priority).index(mine.priority)
        chance = np.random.default_rng(0)
        return float(Line(ready, seconds).start(np.array([free]), cls, place, chance)[0])

    def _seconds(self, entry: Entry) -> float:
        return self._attempts[entry.job_id].get(entry.attempt, 0.0)


def _range(told: Expected) -> Range | None:
    if told.low is None or told.middle is None or told.high is None:
        return None
    return Range(told.low, told.middle, told.high)
