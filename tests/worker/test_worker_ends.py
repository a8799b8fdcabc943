"""How workers end, on purpose and otherwise, and what becomes of their jobs."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest
from scene import (
    Playing,
    Proxy,
    Tape,
    alive,
    environment,
    eventually,
    make_job,
    marks,
    pids,
    playing,
)

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import now
from jupyter_aiqueue.core.status import Cancel
from jupyter_aiqueue.worker.folder import RunFolder
from jupyter_aiqueue.worker.tasks import Tasks


def through(broker: Broker, proxy: Proxy) -> Broker:
    return msgspec.structs.replace(broker, hosts=(proxy.address,))


@contextmanager
def worker_process(tasks: Tasks, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """A worker in a process of its own, started as a person does."""
    command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", "train"]
    process = subprocess.Popen(
        [*command, "--tasks", str(tasks.file), *flags],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "connected to" in line:
                break
        else:
            pytest.fail(f"the worker ended: {said}")
        yield process
    finally:
        process.kill()
        process.communicate(timeout=10)


# -- told to stop ------------------------------------------------------------------------


def test_a_draining_worker_finishes_what_runs_and_takes_nothing_more(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    running, waiting = make_job({"wait-for": str(go)}), make_job()
    with playing(broker, tasks) as scene:
        tape.submit(running)
        tape.wait(running.id, Kind.STARTED)
        scene.worker.drain()
        scene.said("1 running job may finish")
        eventually(lambda: tape.beats[-1].state == "draining")
        tape.submit(waiting)
        go.touch()
        assert scene.ended() == 0
    assert tape.end(running.id).event is Kind.SUCCEEDED
    assert tape.kinds(waiting.id) == []
    assert tape.ready("aiqueue.train.normal") == 1


def test_what_outlasts_the_grace_is_given_back_without_losing_an_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go, mark = tmp_path / "go", tmp_path / "marks"
    job = make_job({"wait-for": str(go), "mark": str(mark), "spawn": str(tmp_path / "pids")})
    with playing(broker, tasks, grace=0.2, name="first") as scene:
        tape.submit(job)
        processes = pids(tmp_path / "pids")
        scene.worker.drain()
        assert scene.ended() == 0
        scene.said("given back")
    assert [alive(pid) for pid in processes] == [False, False]
    assert tape.ready("aiqueue.train.normal") == 1
    go.touch()
    with playing(broker, tasks, name="second"):
        end = tape.end(job.id)
    assert tape.kinds(job.id) == ["started", "requeued", "started", "succeeded"]
    assert marks(mark) == [f"{job.id} 1"] * 2
    assert (end.attempt, end.worker) == (1, "second")
    assert len({event.id for event in tape.of(job.id)}) == 4


def test_a_job_that_is_given_back_twice_still_has_its_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go)})
    tape.submit(job)
    for count in (1, 2):
        with playing(broker, tasks) as scene:
            tape.wait(job.id, Kind.STARTED, count)
            scene.worker.stop_now()
            assert scene.ended() == 0
    go.touch()
    with playing(broker, tasks):
        assert tape.end(job.id).attempt == 1
    assert tape.dead() == []


def test_the_first_sigterm_drains_and_the_second_stops_now(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"sleep": 600, "spawn": str(tmp_path / "pids"), "deaf": True})
    with worker_process(tasks) as process:
        tape.submit(job)
        processes = pids(tmp_path / "pids")
        tape.wait(job.id, Kind.STARTED)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: tape.beats[-1].state == "draining")
        assert all(alive(pid) for pid in processes), "it may finish"
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [alive(pid) for pid in processes] == [False, False]
    tape.wait(job.id, Kind.REQUEUED)
    assert tape.ready("aiqueue.train.normal") == 1
    eventually(lambda: tape.beats[-1].state == "stopped")


def test_an_idle_worker_ends_at_once_on_sigint_and_leaves_nothing_running(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    with worker_process(tasks) as process:
        (warden,) = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert not alive(warden.pid)


# -- killed ------------------------------------------------------------------------------


def test_a_job_whose_worker_was_killed_is_run_again_as_its_next_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "mark": str(tmp_path / "marks")})
    with worker_process(tasks) as process:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        eventually(lambda: marks(tmp_path / "marks"), "its child does nothing")
        process.kill()
        process.wait(10)
    go.touch()
    with playing(broker, tasks):
        end = tape.end(job.id)
    assert tape.kinds(job.id) == ["started", "retrying", "started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} 1", f"{job.id} 2"]
    assert end.attempt == 2
    assert "is gone" in str(tape.of(job.id, Kind.RETRYING)[0].reason)


def test_a_job_that_loses_all_its_workers_is_a_dead_letter(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "say": "these are my last words"}, max_attempts=2)
    tape.submit(job)
    for attempt in (1, 2):
        with worker_process(tasks) as process:
            tape.wait(job.id, Kind.STARTED, attempt)
            log = RunFolder(msgspec.structs.replace(job, attempt=attempt)).log
            eventually(lambda log=log: log.read_text(), "it prints nothing")
            process.kill()
            process.wait(10)
    go.touch()
    with playing(broker, tasks):
        end = tape.end(job.id)
    assert end.event is Kind.DEAD
    (letter,) = tape.dead()
    assert letter.headers["aiq-reason"] == "worker-lost"
    assert letter.headers["aiq-history"].count("is gone") == 2
    # Who ran it, not who buried it; and what it said before is on this machine.
    ran = tape.of(job.id, Kind.STARTED)[-1].worker
    assert letter.headers["aiq-worker"] == end.worker == ran
    assert end.log is not None
    assert end.log.rstrip() == "these are my last words"
    assert end.result is not None
    assert end.result.log_file is not None


# -- the broker is away ------------------------------------------------------------------


def test_a_lost_connection_does_not_stop_a_run_and_does_not_start_it_again(
    broker: Broker, tape: Tape, tasks: Tasks, proxy: Proxy, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "mark": str(tmp_path / "marks")})
    with playing(broker, tasks, find=lambda: through(broker, proxy)) as scene:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        proxy.cut()
        scene.said("1 running job not affected")
        proxy.mend()
        scene.said("connected to", 2)
        go.touch()
        end = tape.end(job.id)
        # The broker delivered it again; the worker knew it, and now it is gone for good.
        eventually(lambda: tape.ready("aiqueue.train.normal") == 0)
        scene.worker.drain()
        assert scene.ended() == 0
    assert end.event is Kind.SUCCEEDED
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]
    assert tape.ready("aiqueue.train.normal") == 0
    assert tape.dead() == []


@pytest.mark.parametrize("code", [0, 5])
def test_a_run_that_ends_while_the_broker_is_away_is_told_of_when_it_is_back(
    broker: Broker, tape: Tape, tasks: Tasks, proxy: Proxy, tmp_path: Path, code: int
) -> None:
    go = tmp_path / "go"
    job = make_job(
        {"wait-for": str(go), "mark": str(tmp_path / "marks"), "exit-code": code}, max_attempts=1
    )
    with playing(broker, tasks, find=lambda: through(broker, proxy)) as scene:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        proxy.cut()
        go.touch()
        scene.said("failed after" if code else "succeeded after")
        proxy.mend()
        end = tape.end(job.id)
        eventually(lambda: tape.ready("aiqueue.train.normal") == 0)
        other = make_job()
        tape.submit(other)
        tape.end(other.id)
    assert end.event is (Kind.FAILED if code else Kind.SUCCEEDED)
    assert tape.kinds(job.id) == ["started", end.event.value]
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]
    assert tape.ready("aiqueue.train.normal") == 0


def test_an_end_that_a_worker_could_not_tell_is_told_by_the_next_on_the_same_machine(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    proxy: Proxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("jupyter_aiqueue.worker.app._LAST_WORDS", 1.0)
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "mark": str(tmp_path / "marks")})
    scene = Playing(broker, tasks, find=lambda: through(broker, proxy), name="first")
    scene.said("connected to")
    tape.submit(job)
    tape.wait(job.id, Kind.STARTED)
    proxy.cut()
    go.touch()
    scene.said("succeeded after")
    scene.worker.drain()
    assert scene.ended() == 1
    scene.said("1 job ended and the broker could not be told")
    with playing(broker, tasks, name="second"):
        end = tape.end(job.id)
        eventually(lambda: tape.ready("aiqueue.train.normal") == 0)
    assert (end.event, end.worker) == (Kind.SUCCEEDED, "first")
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]


def test_a_cancel_that_was_sent_while_the_worker_was_away_takes_effect_when_it_returns(
    broker: Broker, tape: Tape, tasks: Tasks, proxy: Proxy, tmp_path: Path
) -> None:
    job = make_job({"sleep": 600, "spawn": str(tmp_path / "pids")})
    with playing(broker, tasks, find=lambda: through(broker, proxy)) as scene:
        tape.submit(job)
        processes = pids(tmp_path / "pids")
        tape.wait(job.id, Kind.STARTED)
        proxy.cut()
        scene.said("Trying again")
        tape.control("cancel.x", Cancel(job_id=job.id, timestamp=now()))
        proxy.mend()
        assert tape.end(job.id).event is Kind.CANCELLED
    assert [alive(pid) for pid in processes] == [False, False]


def test_a_worker_that_starts_before_the_broker_waits_for_it(
    broker: Broker, tape: Tape, tasks: Tasks, proxy: Proxy
) -> None:
    proxy.cut()
    scene = Playing(broker, tasks, find=lambda: through(broker, proxy))
    scene.said("Trying again")
    proxy.mend()
    job = make_job()
    tape.submit(job)
    assert tape.end(job.id).event is Kind.SUCCEEDED
    scene.worker.drain()
    assert scene.ended() == 0


def test_a_wrong_password_ends_a_worker_with_one_sentence_and_without_the_password(
    broker: Broker, tasks: Tasks
) -> None:
    wrong = msgspec.structs.replace(broker, password="wr0ng")
    scene = Playing(broker, tasks, find=lambda: wrong)
    assert scene.ended() == 1
    scene.said("refused user")
    assert "wr0ng" not in " ".join(scene.lines)
