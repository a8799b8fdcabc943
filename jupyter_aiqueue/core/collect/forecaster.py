"""Forecasts for whoever asks again and again: what the collector tells is read once for many."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import msgspec

from ..config import Broker
from ..errors import BrokerError
from ..job import JobRecord, State, now
from ..kept import KeptConnection
from ..load import age
from ..text import Sentences
from ..why import Known, explain
from .foresight import Foresight, Remaining
from .reader import read_lore, read_snapshot
from .snapshot import Lore, Snapshot

#: Seconds for which an answer of the broker is good enough, also that there is none; and for
#: which what was learnt of run times is.
_FRESH, _LORE = 4.0, 20.0


class Answer(Sentences, msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one job now."""

    #: Of a job in line.
    foresight: Foresight | None = None
    #: Of a job that runs.
    remaining: Remaining | None = None
    #: Where the job is instead of in line, or why nothing is expected of it, in a sentence.
    missing: str | None = None

    def __str__(self) -> str:
        told = (self.missing, self.foresight, self.remaining)
        return " ".join(str(one) for one in told if one is not None)

    def later(self, seconds: float) -> Answer:
        """The same, told so many seconds later."""
        return Answer(
            foresight=self.foresight and self.foresight.later(seconds),
            remaining=self.remaining and self.remaining.later(seconds),
            missing=self.missing,
        )


class Forecaster:
    """Answers what is expected of jobs that are not over. Thread-safe; one question at a time.

    However often it is asked, it reads from the broker once in a few seconds, and makes the
    forecast of a job as often.

    Args:
        find: tells the broker.
    """

    def __init__(self, find: Callable[[], Broker]) -> None:
        self._connection = KeptConnection(find, "jupyter_aiqueue forecast")
        self._lock = threading.Lock()
        self._told: Snapshot | BrokerError | None = None
        self._lore: Lore | None = None
        self._told_until = self._lore_until = float("-inf")
        self._answers: dict[str, Answer] = {}
        self._ends: dict[str, Remaining | None] = {}

    def ask(self, job: JobRecord) -> Answer:
        """What is expected of ``job``: when it starts and ends, or what it waits for.

        Raises:
            BrokerError: the broker is away, or refuses.
            ConfigError: nobody knows which broker.
        """
        if job.state.is_final:
            return Answer(missing=f"Job {job.job_id} is {job.state.value}; it is not in line.")
        with self._lock:
            if time.monotonic() >= self._told_until:
                self._read()
            if isinstance(self._told, BrokerError):
                raise self._told
            if self._told is None:
                nobody = "Nobody collects the load now: no worker is connected."
                return Answer(missing=nobody if job.state is State.QUEUED else _where(job, None))
            if job.state is not State.QUEUED:
                return self._elsewhere(self._told, job)
            if job.job_id not in self._answers:
                self._answers[job.job_id] = self._answer(self._told, job)
            return self._answers[job.job_id].later(age(self._told.timestamp, now()))

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _read(self) -> None:
        self._answers.clear()
        self._ends.clear()
        try:
            self._told = self._connection.use(read_snapshot)
            if self._told is not None and time.monotonic() >= self._lore_until:
                self._lore = self._connection.use(read_lore)
                self._lore_until = time.monotonic() + _LORE
        except BrokerError as error:
            self._told = error
        self._told_until = time.monotonic() + _FRESH

    def _answer(self, told: Snapshot, job: JobRecord) -> Answer:
        from .foresee import foresee_job  # brings NumPy with it

        found = foresee_job(told, self._lore, job.job_id, job.group or "")
        if found is None:
            return Answer(missing="Its place in line is not known yet.")
        if found.start.missing:
            self._lore_until = float("-inf")  # more may have been learnt: look next time
        return Answer(foresight=found)

    def _elsewhere(self, told: Snapshot, job: JobRecord) -> Answer:
        """What is known of a job that is not in line."""
        ends = None
        if job.state is State.RUNNING:
            from .foresee import foresee_end  # brings NumPy with it

            if job.job_id not in self._ends:
                self._ends[job.job_id] = foresee_end(told, self._lore, job.job_id, job.group or "")
            ends = self._ends[job.job_id]
        late = age(told.timestamp, now())
        return Answer(remaining=ends and ends.later(late), missing=_where(job, told))


def _where(job: JobRecord, told: Snapshot | None) -> str:
    """Where a job is that is not in line, and what it waits for."""
    if told is None:
        return explain(job, Known(collected=False)).sentence
    line, batch = told.groups.get(job.group or ""), None
    if line is not None and job.state is State.HELD:
        entry = line.find(job.job_id)
        batch = None if entry is None else line.place_in_batch(entry)
    return explain(job, Known(load=told.load, collected=True, batch=batch)).sentence
