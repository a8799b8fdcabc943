"""What becomes of a job when a run of it ends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scene import make_job

from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.worker.end import End
from jupyter_aiqueue.worker.folder import RunFolder
from jupyter_aiqueue.worker.outcome import Report, decide, lost
from jupyter_aiqueue.worker.run import Ended, Stop


def after(job: Job, ended: Ended, **options: Any) -> End:
    options = {"worker": "w1", "run": "r", "delays": (10, 60, 300), **options}
    return decide(job, ended, Report(log="tail", metrics={"loss": 1}), **options)


FAILED = Ended(exit_code=3, duration_s=1.0)


def test_exit_code_0_is_success() -> None:
    end = after(make_job(), Ended(exit_code=0))
    assert end.kind is Kind.SUCCEEDED
    assert (end.event.log, end.event.metrics, end.event.worker) == ("tail", {"loss": 1}, "w1")
    assert end.next is None
    assert end.dead is None


@pytest.mark.parametrize(
    ("ended", "word", "sentence"),
    [
        (FAILED, "exit-code", "exit code 3"),
        (Ended(exit_code=-9), "signal", "killed by signal 9 (SIGKILL)"),
        (Ended(exit_code=-15, stopped=Stop.TIMEOUT, duration_s=60.2), "timeout", "after 60 s"),
        (Ended(exit_code=0, stopped=Stop.TIMEOUT, duration_s=60.2), "timeout", "after 60 s"),
        (Ended(exit_code=None, error="no disk"), "cannot-start", "no disk"),
    ],
)
def test_a_failure_is_retried_and_then_a_dead_letter(
    ended: Ended, word: str, sentence: str
) -> None:
    job = make_job()
    for attempt, delay in ((1, 10), (2, 60)):
        end = after(job, ended)
        assert end.kind is Kind.RETRYING
        assert (end.delay, end.dead) == (delay, None)
        assert sentence in str(end.event.reason)
        assert end.event.next_attempt_at == end.event.timestamp + timedelta(seconds=delay)
        assert end.next is not None
        assert end.next.attempt == attempt + 1
        assert len(end.next.history) == attempt
        assert sentence in end.next.history[-1]
        assert "w1" in end.next.history[-1]
        job = end.next
    end = after(job, ended)
    assert end.kind is Kind.DEAD
    assert end.dead == word
    assert end.next is None
    assert len(end.history) == 3
    assert sentence in str(end.event.reason)


def test_the_last_delay_serves_all_further_attempts() -> None:
    job = make_job(attempt=7, max_attempts=9)
    assert after(job, FAILED).delay == 300


def test_a_job_with_a_single_attempt_fails_without_a_dead_letter() -> None:
    end = after(make_job(max_attempts=1), FAILED)
    assert end.kind is Kind.FAILED
    assert end.dead is None


def test_a_cancelled_run_is_cancelled_whatever_its_exit_code() -> None:
    for code in (0, -15, 1):
        end = after(make_job(), Ended(exit_code=code, stopped=Stop.CANCEL))
        assert (end.kind, end.next, end.dead) == (Kind.CANCELLED, None, None)


def test_a_run_that_is_given_back_keeps_its_attempt() -> None:
    job = make_job(attempt=2)
    end = after(job, Ended(exit_code=-15, stopped=Stop.GIVE_BACK), given_back=1)
    assert end.kind is Kind.REQUEUED
    assert end.next is not None
    assert end.next.attempt == 2
    assert end.given_back == 2
    assert end.delay is None
    assert end.event.result is None


def test_a_lost_worker_costs_an_attempt_and_then_the_job() -> None:
    end = lost(make_job(), worker="w2", report=Report(log="the last words", log_offset=0))
    assert end.event.log == "the last words"
    assert end.kind is Kind.RETRYING
    assert end.delay is None, "it has waited long enough"
    assert end.next is not None
    assert "is gone" in end.next.history[0]
    last = lost(make_job(attempt=3), worker="w2")
    assert (last.kind, last.dead) == (Kind.DEAD, "worker-lost")
    only = lost(make_job(max_attempts=1), worker="w2")
    assert (only.kind, only.dead) == (Kind.DEAD, "worker-lost")


def test_history_stays_bounded() -> None:
    job = make_job(attempt=60, max_attempts=1000, history=tuple("x" * 5000 for _ in range(900)))
    end = after(job, FAILED)
    assert end.next is not None
    assert len(end.next.history) == 50
    assert sum(map(len, end.next.history)) <= 50 * 300


def test_an_end_survives_on_disk(tmp_path: Path) -> None:
    job = make_job({"a": [1, {"b": None}], "big": 10**30})
    folder = RunFolder(job, root=tmp_path)
    folder.make()
    assert folder.read_end() is None
    end = after(job, FAILED)
    folder.keep_end(end)
    assert folder.read_end() == end
    assert not folder.settled
    folder.mark_settled()
    assert folder.settled


def test_half_an_end_is_none(tmp_path: Path) -> None:
    folder = RunFolder(make_job(), root=tmp_path)
    folder.make()
    (folder.path / "end.json").write_bytes(msgspec.json.encode(after(make_job(), FAILED))[:50])
    assert folder.read_end() is None
