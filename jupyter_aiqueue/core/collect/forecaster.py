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
from .foresight import Foresight
from .reader import read_lore, read_snapshot
from .snapshot import Lore, Snapshot

#: Seconds for which an answer of the broker is good enough, also that there is none; and for
#: which what was learnt of run times is.
_FRESH, _LORE = 4.0, 20.0


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What is expected of one job now."""

    #: None when nothing is, and ``missing`` says why, in a sentence.
    foresight: Foresight | None = None
    missing: str | None = None

    def __str__(self) -> str:
        return self.missing or str(self.foresight)

    def later(self, seconds: float) -> Answer:
        """The same, told so many seconds later."""
        if self.foresight is None:
            return self
        return Answer(foresight=self.foresight.later(seconds))


class Forecaster:
    """Answers what is expected of jobs in line. Thread-safe; one question at a time.

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

    def ask(self, job: JobRecord) -> Answer:
        """What is expected of ``job``, if it waits in line.

        Raises:
            BrokerError: the broker is away, or refuses.
            ConfigError: nobody knows which broker.
        """
        if job.state is not State.QUEUED:
            return Answer(missing=f"Job {job.job_id} is {job.state.value}; it is not in line.")
        with self._lock:
            if time.monotonic() >= self._told_until:
                self._read()
            if isinstance(self._told, BrokerError):
                raise self._told
            if self._told is None:
                return Answer(missing="Nobody collects the load now: no worker is connected.")
            if job.job_id not in self._answers:
                self._answers[job.job_id] = self._answer(self._told, job)
            return self._answers[job.job_id].later(age(self._told.timestamp, now()))

    def close(self) -> None:
        """Disconnect."""
        self._connection.close()

    def _read(self) -> None:
        self._answers.clear()
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
