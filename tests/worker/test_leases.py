"""Leases: where the message of a running job is, and who is told what when that worker is away."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from brokers import own_node
from scene import (
    TASKS,
    Playing,
    Proxy,
    Tape,
    environment,
    eventually,
    make_job,
    make_tasks,
    marks,
    playing,
)

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.message import encode_job, routing_key
from jupyter_aiqueue.core.status import Answer, Ask, Standing, decode_answer
from jupyter_aiqueue.worker import lease
from jupyter_aiqueue.worker.tasks import Tasks

QUEUE = "aiqueue.train.normal"


def through(broker: Broker, proxy: Proxy) -> Broker:
    return msgspec.structs.replace(broker, hosts=(proxy.address,))


def place(folder: Path, *, grace: float = 2) -> Tasks:
    """Tasks in a folder of their own, where children find their files."""
    folder.mkdir()
    return make_tasks(folder, TASKS.replace("grace = 2", f"grace = {grace}"))


def leases(tape: Tape) -> list[str]:
    """The ids of the jobs whose leases are sent from now on, renewals included."""
    return tape.hear(topology.LEASE, "", lambda message: message.message_id or "")


def leased(sent: list[str], count: int = 1) -> None:
    eventually(lambda: len(sent) >= count, lambda: f"{len(sent)} of {count} leases were sent")


def test_the_message_of_a_run_that_lasts_stays_in_its_workers_own_queue(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    here = place(tmp_path / "here")
    job = make_job({"wait-for": "go"})
    sent = leases(tape)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)) as scene:
        tape.submit(job)
        # Longer than a lease lasts: it has been renewed, or it would have run out.
        leased(sent, 5)
        assert tape.ready(QUEUE) == 0
        proxy.cut()
        eventually(
            lambda: tape.ready(topology.lease_queue("w1")) == 1, "the lease is not in its queue"
        )
        proxy.mend()
        scene.said("connected to", 2)
        leased(sent, 7)
        (tmp_path / "here" / "go").touch()
        assert tape.end(job.id).event is Kind.SUCCEEDED
        scene.worker.drain()
        assert scene.ended() == 0
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert tape.ready(QUEUE) == 0
    # It was cut off: a lease may be stuck in there on its way back.
    assert tape.link.call(lambda session: session.exists(topology.lease_queue("w1")))


def test_a_worker_that_ends_well_leaves_no_queue_behind(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    job = make_job({"sleep": 4})
    sent = leases(tape)
    with playing(broker, tasks, name="w1") as scene:
        tape.submit(job)
        leased(sent, 2)
        assert tape.end(job.id).event is Kind.SUCCEEDED
        scene.worker.drain()
        assert scene.ended() == 0
    lease = topology.lease_queue("w1")
    assert not tape.link.call(lambda session: session.exists(lease))


@pytest.mark.parametrize("old", [False, True], ids=["young", "leased"])
def test_a_message_that_somebody_else_gets_goes_back_to_the_worker_that_runs_the_job(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, old: bool
) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=20)
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    sent = leases(tape)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)):
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        if old:
            leased(sent)
        with playing(broker, there, name="w2") as other:
            proxy.cut()
            other.said("was with another worker")
            proxy.mend()
            other.said("still runs on w1")
            (tmp_path / "here" / "go").touch()
            end = tape.end(job.id)
    assert (end.event, end.worker, end.attempt) == (Kind.SUCCEEDED, "w1", 1)
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]


def test_the_jobs_of_a_worker_that_is_gone_go_on_as_their_next_attempt(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    place(tmp_path / "here")
    there = place(tmp_path / "there")
    (tmp_path / "there" / "go").touch()
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    # With folders of its own, as on another machine.
    first = subprocess.Popen(
        [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--name", "w1"],
        cwd=tmp_path / "here",
        env=environment(JUPYTER_DATA_DIR=str(tmp_path / "far")),
    )
    try:
        sent = leases(tape)
        tape.submit(job)
        leased(sent, 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        with playing(broker, there, name="w2") as other:
            other.said("was with another worker")
            end = tape.end(job.id)
    finally:
        first.kill()
        first.wait()
    assert (end.event, end.worker, end.attempt) == (Kind.SUCCEEDED, "w2", 2)
    assert tape.kinds(job.id) == ["started", "retrying", "started", "succeeded"]
    assert "gone" in (tape.of(job.id, Kind.RETRYING)[0].reason or "")
    assert marks(tmp_path / "marks") == [f"{job.id} 1", f"{job.id} 2"]


@pytest.mark.parametrize("first_ends", [True, False], ids=["first", "second"])
def test_of_two_runs_the_first_end_counts_and_stops_the_other(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, first_ends: bool
) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=1)
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    sent = leases(tape)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)) as first:
        tape.submit(job)
        leased(sent)
        with playing(broker, there, name="w2") as second:
            proxy.cut()
            tape.wait(job.id, Kind.STARTED, 2)
            proxy.mend()
            first.said("connected to", 2)
            winner, loser = (first, second) if first_ends else (second, first)
            folder = "here" if first_ends else "there"
            (tmp_path / folder / "go").touch()
            end = tape.end(job.id)
            loser.said("has ended elsewhere")
            tape.wait(job.id, Kind.DUPLICATE)
            eventually(lambda: not loser.worker._desk.executions(), "the loser runs on")
    assert end.worker == winner.worker.name
    assert [e.event for e in tape.of(job.id) if e.event.is_final] == [Kind.SUCCEEDED]
    assert tape.ready(QUEUE) == 0


def test_two_messages_of_one_attempt_are_one_run(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    far, here = place(tmp_path / "far"), place(tmp_path / "here")
    job = make_job({"sleep": 1, "mark": str(tmp_path / "marks")}, attempt=2)
    with playing(broker, far, name="w1") as one, playing(broker, here, name="w2") as two:
        message = encode_job(job)
        # As after the death of whoever had sent it on and not acknowledged what was before.
        for _ in range(2):
            tape.publish(topology.JOBS, routing_key(job), message)
        tape.end(job.id)
        eventually(
            lambda: not (one.worker._desk._claims or two.worker._desk._claims),
            "a message is not settled",
        )
    assert marks(tmp_path / "marks") == [f"{job.id} 2"]
    assert tape.ready(QUEUE) == 0
    assert tape.dead() == []


def test_a_worker_says_what_it_knows_of_a_job_when_asked(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    answers = tape.hear(topology.CONTROL, "answer.tester", lambda m: decode_answer(m.body))

    def ask(job: Job) -> Answer:
        before = len(answers)
        question = Ask(job_id=job.id, asker="tester", process="t", attempt=job.attempt)
        tape.control("ask.x", question)
        return eventually(lambda: answers[before:], "no answer")[0]

    go = tmp_path / "go"
    job = make_job({"wait-for": str(go)})
    with playing(broker, tasks, name="w1"):
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        running = ask(job)
        assert (running.standing, running.attempt) == (Standing.RUNNING, 1)
        assert running.worker == "w1"
        go.touch()
        tape.end(job.id)
        eventually(lambda: ask(job).standing is Standing.OVER, "it is not over")
        assert ask(job).attempt > 1  # no attempt whatever is to be run


def test_a_worker_whose_name_is_taken_waits_and_says_so(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    with playing(broker, tasks, name="w1") as first:
        second = Playing(broker, tasks, name="w1")
        try:
            second.said("already")
            first.worker.drain()
            assert first.ended() == 0
            second.said("connected to")
        finally:
            second.worker.stop_now()
            second.ended()


def test_what_a_worker_of_the_same_name_left_behind_is_seen_to_at_once(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    here = place(tmp_path / "here")
    job = make_job({"mark": str(tmp_path / "marks")})
    lease = topology.lease("w1")
    message = encode_job(job)
    message.headers[topology.LEASED_BY] = "w1"
    tape.link.call(lambda session: session.declare(lease))
    tape.publish(topology.LEASE, routing_key(job), message)
    with playing(broker, here, name="w1"):
        end = tape.end(job.id)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
    assert marks(tmp_path / "marks") == [f"{job.id} 2"]


def test_a_hostile_question_does_no_harm(broker: Broker, tape: Tape, tasks: Tasks) -> None:
    job = make_job()
    with playing(broker, tasks, name="w1"):
        for question in (
            Ask(job_id="../../x", asker="t", process="t", attempt=-1, turn=10**18),
            Ask(job_id="x" * 10_000, asker="t", process="t", attempt=1),
            Ask(job_id="x", asker="y" * 300, process="t", attempt=1),
        ):
            tape.control("ask.x", question)
        hostile = {"worker": "#", "process": "t", "standing": Standing.OVER, "attempt": 10**18}
        tape.control("answer.w1", Answer(job_id=job.id, **hostile))
        tape.submit(job)
        assert tape.end(job.id).event is Kind.SUCCEEDED


def test_a_broker_that_dies_right_after_a_worker_has_come_takes_nothing_with_it(
    own_rabbitmq: None, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SAFE", 2.0)
    job = make_job({"wait-for": str(tmp_path / "go")}, max_attempts=1)
    with own_node(tmp_path / "broker") as node, playing(node.broker, tasks, name="w1") as one:
        # Now its queue is younger than the broker can remember.
        node.kill()
        node.start()
        tape = Tape(node.broker)
        tape.submit(job)
        eventually(lambda: one.worker._desk.executions(), "it takes no jobs any more", 60)
        (tmp_path / "go").touch()
        end = tape.end(job.id)
        tape.close()
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 1)


def test_a_worker_takes_no_job_before_its_leases_are_safe(
    broker: Broker, tape: Tape, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "SAFE", 3600)
    first, second = make_job(), make_job()
    with playing(broker, tasks, name="w1") as one:
        tape.submit(first)
        eventually(lambda: len(tape.beats) >= 2, "it has no pulse")
        assert tape.ready(QUEUE) == 1
        with playing(broker, tasks, name="w2") as other:
            other.worker._desk._leases.safe = True
            tape.submit(second)
            assert tape.end(first.id).worker == "w2"
            assert tape.end(second.id).worker == "w2"
        assert not one.worker._desk._leases.safe
