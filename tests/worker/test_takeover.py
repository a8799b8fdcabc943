"""Takeover: odd moments in which a job might be lost, run twice, or lose an attempt."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from os import environ
from pathlib import Path
from typing import Any

import pytest
from scene import Playing, Proxy, Tape, environment, eventually, make_job, marks, playing
from test_leases import QUEUE, leased, leases, place, through

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.message import Message, encode_job, routing_key
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.status import Answer, Standing
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Delivery, Session
from jupyter_aiqueue.worker.claim import Claim, Step
from jupyter_aiqueue.worker.tasks import Tasks

#: Of somebody who is not there.
ANSWER = {"worker": "w9", "process": "p"}


def far_worker(folder: Path, name: str) -> subprocess.Popen[bytes]:
    """A worker in a process of its own, with folders of its own, as on another machine."""
    return subprocess.Popen(
        [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--name", name],
        cwd=folder,
        env=environment(JUPYTER_DATA_DIR=str(folder / "data")),
    )


def test_a_job_that_was_handed_back_to_its_worker_goes_on_when_that_one_dies_later(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    """w2 drops what it handed over, and shall not take the job for over."""
    place(tmp_path / "here")
    there = place(tmp_path / "there", grace=5)
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    first = far_worker(tmp_path / "here", "w1")
    try:
        sent = leases(tape)
        tape.submit(job)
        leased(sent, 1)
        with playing(broker, there, name="w2") as other:
            # The same message comes to another worker, as after a cut of w1's connection.
            again = encode_job(job)
            again.headers[topology.LEASED_BY] = "w1"
            tape.publish(topology.JOBS, routing_key(job), again)
            other.said("still runs on w1")
            (tmp_path / "there" / "go").touch()
            first.send_signal(signal.SIGKILL)
            first.wait()
            end = tape.end(job.id, timeout=40)
    finally:
        first.kill()
        first.wait()
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)


def test_two_messages_of_a_dead_workers_job_are_not_both_dropped(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    """As after the death of a worker between the renewal of a lease and its acknowledgement."""
    far, here = place(tmp_path / "far", grace=4), place(tmp_path / "here", grace=4)
    job = make_job({"mark": str(tmp_path / "marks")})
    with playing(broker, far, name="w1") as one, playing(broker, here, name="w2") as two:
        message = encode_job(job)
        message.headers[topology.LEASED_BY] = "gone"
        for _ in range(2):
            tape.publish(topology.JOBS, routing_key(job), message)
        one.said("was with another worker")
        two.said("was with another worker")
        end = tape.end(job.id, timeout=20)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)


def test_a_worker_that_is_told_to_stop_while_it_asks_costs_no_attempt(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    """A job that was given back once, and is in the hands of a worker that stops in its turn."""
    here, there = place(tmp_path / "here"), place(tmp_path / "there")
    job = make_job({"mark": str(tmp_path / "marks")}, max_attempts=1)
    message = encode_job(job)
    message.headers["aiq-given-back"] = 1
    with playing(broker, here, name="w1") as one:
        desk = one.worker._desk
        tape.publish(topology.JOBS, routing_key(job), message)
        deadline = time.monotonic() + 20
        while not len(desk._takeover) and time.monotonic() < deadline:
            time.sleep(0.005)
        assert len(desk._takeover)
        one.worker.stop_now()
        one.ended()
    with playing(broker, there, name="w2"):
        end = tape.end(job.id)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 1), end.reason


def test_a_job_that_ended_while_somebody_asks_for_it_is_not_run_again(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    """Its worker tells its end, and stops, before it hears the next question."""
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=6)
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    (tmp_path / "there" / "go").touch()
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)) as first:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "far"))
            with playing(broker, there, name="w2") as other:
                proxy.cut()
                other.said("was with another worker")
                (tmp_path / "here" / "go").touch()
                first.said("succeeded")
                # It answers nobody: as if it stopped right after it had told the end.
                first.worker._desk._takeover.asked = lambda *_: None  # type: ignore[method-assign]
                proxy.mend()
                tape.end(job.id)
                first.worker.stop_now()
                first.ended()
                eventually(lambda: not len(other.worker._desk._takeover), "it asks on")
                eventually(lambda: not other.worker._desk._claims, "a claim is left")
                # Whatever else there was of it would be taken before this one.
                last = make_job()
                tape.submit(last)
                tape.end(last.id)
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]


def test_a_worker_does_not_overlook_the_questions_of_its_namesake(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=4)
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    sent = leases(tape)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)):
        tape.submit(job)
        leased(sent)
        second = Playing(broker, there, name="w1")
        try:
            second.said("already")  # it waits for the name
            proxy.cut()
            second.said("connected to")
            proxy.mend()
            second.said("was with another worker")
            time.sleep(8)
        finally:
            (tmp_path / "here" / "go").touch()
            (tmp_path / "there" / "go").touch()
            second.worker.stop_now()
            second.ended()
        tape.end(job.id)
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]
    assert tape.kinds(job.id) == ["started", "succeeded"]


def test_a_lease_that_cannot_be_renewed_does_not_hold_up_what_else_is_due(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    """A history that is longer when it is written than when it was read."""
    far = place(tmp_path / "far")
    odd = make_job({"wait-for": "go"})
    message = encode_job(odd)
    message.headers["aiq-history"] = '["' + "é" * 25_000 + '"]'
    job = make_job({"mark": str(tmp_path / "marks")})
    with playing(broker, far, name="w1", slots=2) as one:
        tape.publish(topology.JOBS, routing_key(odd), message)
        tape.wait(odd.id, Kind.STARTED)
        one.said("a fault of its own")
        lapsed = encode_job(job)
        lapsed.headers[topology.LEASED_BY] = "gone"
        tape.publish(topology.JOBS, routing_key(job), lapsed)
        try:
            tape.end(job.id, timeout=15)
        finally:
            (tmp_path / "far" / "go").touch()


def test_hostile_numbers_in_control_messages_do_not_end_the_connection(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    with playing(broker, tasks, name="w1") as one:
        for size in (30, 300, 4000, 5000, 100_000):
            body = (
                b'{"job_id":"x","asker":"t","process":"p","attempt":1,"turn":' + b"9" * size + b"}"
            )
            m = Message(body=body)
            tape.link.call(lambda s, m=m: s.publish(topology.CONTROL, "ask.x", m, mandatory=True))
        for body in (
            b'{"job_id":"\\u0000/..","asker":"t","process":"p","attempt":1,"turn":1}',
            b'{"job_id":"\\ud800","asker":"t","process":"p","attempt":1,"turn":1}',
            b'{"job_id":"' + b"x" * 500_000 + b'","asker":"t","process":"p","attempt":1}',
        ):
            m = Message(body=body)
            tape.link.call(lambda s, m=m: s.publish(topology.CONTROL, "ask.x", m, mandatory=True))
        job = make_job()
        tape.submit(job)
        tape.end(job.id)
        assert not [line for line in one.lines if "Trying again" in line or "failed" in line]


def test_an_answer_that_is_none_does_not_drop_a_job(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    here = place(tmp_path / "here", grace=3)
    job = make_job({"mark": str(tmp_path / "marks")})
    message = encode_job(job)
    message.headers[topology.LEASED_BY] = "gone"
    with playing(broker, here, name="w1") as one:
        tape.publish(topology.JOBS, routing_key(job), message)
        one.said("was with another worker")
        tape.control("answer.w1", {**ANSWER, "job_id": job.id, "standing": "?", "attempt": 99})
        assert tape.end(job.id).event is Kind.SUCCEEDED


def test_a_job_that_nobody_has_run_yet_loses_no_attempt_by_a_lost_connection(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    """Taken and given back by somebody who only looked, or who was cut off as he took it."""
    here = place(tmp_path / "here", grace=1)
    job = make_job({"mark": str(tmp_path / "marks")}, max_attempts=1)
    tape.submit(job)

    def look(session):  # type: ignore[no-untyped-def]
        session.give_back(session.get(QUEUE))

    tape.link.call(look)
    with playing(broker, here, name="w1"):
        end = tape.end(job.id)
    assert end.event is Kind.SUCCEEDED, end.reason


def test_a_lease_is_renewed_under_the_version_that_was_adopted(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    """w1 was taken for gone, comes back and takes its job's next message: that one it holds."""
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=1)
    job = make_job({"wait-for": "go"})
    filler = make_job({"wait-for": "go2"}, priority=Priority.HIGH)
    with playing(broker, here, name="w1", slots=2, find=lambda: through(broker, proxy)) as one:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        with playing(broker, there, name="w2") as two:
            proxy.cut()
            two.said("was with another worker")
            tape.submit(filler)  # so that w2 does not take the next attempt itself
            tape.wait(job.id, Kind.RETRYING)
            of_all = tape.hear(
                topology.LEASE, "", lambda m: (m.message_id, m.headers["aiq-attempt"])
            )

            def attempts() -> list[object]:
                return [attempt for job_id, attempt in of_all if job_id == job.id]

            proxy.mend()
            one.said("connected to", 2)
            eventually(lambda: len(attempts()) >= 3, "leases are not sent and renewed")
            (tmp_path / "here" / "go").touch()
            (tmp_path / "there" / "go2").touch()
            (tmp_path / "here" / "go2").touch()
            tape.end(job.id)
            over = two.worker._desk._claims.over(job.id)
    assert over is None or set(attempts()) == {2}, (attempts(), over)


def test_a_worker_that_comes_back_learns_that_its_job_is_over(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    here, there = place(tmp_path / "here"), place(tmp_path / "there", grace=1)
    job = make_job({"wait-for": "go"}, max_attempts=1)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)) as one:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        with playing(broker, there, name="w2"):
            proxy.cut()
            assert tape.end(job.id).event is Kind.DEAD
            proxy.mend()
            one.said("connected to", 2)
            eventually(lambda: not one.worker._desk.executions(), "it runs on", timeout=8)


def test_a_worker_whose_end_was_told_by_another_stops_at_once(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    """Two workers of one machine: the second finds the end on disk."""
    here, there = place(tmp_path / "here"), place(tmp_path / "there")
    (tmp_path / "there" / "go").touch()
    job = make_job({"wait-for": "go", "exit-code": 3}, max_attempts=2)
    with playing(broker, here, name="w1", find=lambda: through(broker, proxy)) as one:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        proxy.cut()
        (tmp_path / "here" / "go").touch()
        one.said("attempt 2 in")
        with playing(broker, there, name="w2"):
            tape.end(job.id)
            proxy.mend()
            one.said("connected to", 2)
            began = time.monotonic()
            one.worker.drain()
            code = one.ended()
            took = time.monotonic() - began
    assert (code, took < 8) == (0, True), (code, took, one.lines)


def test_a_rescue_from_another_thread_loses_no_step() -> None:
    class Channel:
        is_open = True

    class Fake:
        def ack(self, _: object) -> None:
            done.append("ack")

    done: list[str] = []

    def rescue(*_: object) -> list[Step]:
        return [Step(lambda _: done.append("letter")), Step(lambda _: done.append("event"))]

    delivery = Delivery(Message(body=b"{}", message_id="x"), "q", Channel(), 1)
    session: Session = Fake()  # type: ignore[assignment]
    claim = Claim(session, delivery, make_job(), rescue=rescue)

    def slow(_: Session) -> None:
        # While the start is being told, the run ends in its own thread, with a fault.
        thread = threading.Thread(target=claim.rescue, args=(ValueError("x"),))
        thread.start()
        thread.join()
        done.append("started")

    claim.add(Step(slow, needed=False))
    claim.flush(session)
    assert done == ["started", "letter", "event", "ack"]


def test_a_worker_that_dies_after_it_adopted_a_newer_version_does_not_take_the_job_with_it(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    place(tmp_path / "here")
    there = place(tmp_path / "there", grace=1)
    host, port = proxy.address
    real = f"{broker.hosts[0][0]}:{broker.hosts[0][1]}"
    url = environ["AIQUEUE_URL"].replace(real, f"{host}:{port}")
    assert url != environ["AIQUEUE_URL"]
    first = subprocess.Popen(
        [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--name", "w1", "--slots", "2"],
        cwd=tmp_path / "here",
        env=environment(JUPYTER_DATA_DIR=str(tmp_path / "far"), AIQUEUE_URL=url),
    )
    job = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    filler = make_job({"wait-for": "go2"}, priority=Priority.HIGH)
    (tmp_path / "there" / "go").touch()
    try:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        with playing(broker, there, name="w2") as two:
            proxy.cut()
            two.said("was with another worker")
            tape.submit(filler)
            tape.wait(job.id, Kind.RETRYING)
            tape.wait(filler.id, Kind.STARTED)
            sent = leases(tape)
            proxy.mend()
            eventually(lambda: sent.count(job.id) >= 2, "no lease is sent")
            first.send_signal(signal.SIGKILL)
            first.wait()
            (tmp_path / "there" / "go2").touch()
            tape.end(filler.id)
            end = tape.end(job.id, timeout=25)
    finally:
        first.kill()
        first.wait()
    assert end.event is Kind.SUCCEEDED


def test_a_handover_that_is_refused_does_not_end_the_connection(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    here = place(tmp_path / "here", grace=10)
    job, live = make_job(), make_job({"wait-for": "go"})
    message = encode_job(job)
    message.headers[topology.LEASED_BY] = "gone"
    with playing(broker, here, name="w1", slots=2) as one:

        def delete(session: Session) -> None:
            with session.throwaway("deleting") as channel:
                channel.exchange_delete(topology.LEASE)

        tape.link.call(delete)
        tape.submit(live)
        tape.wait(live.id, Kind.STARTED)
        tape.publish(topology.JOBS, routing_key(job), message)
        one.said("was with another worker")
        desk, refused = one.worker._desk, []
        send = desk._leases.send

        def watched(session: Session, worker: str, *rest: Any) -> None:
            if worker == ANSWER["worker"]:
                refused.append(worker)
            send(session, worker, *rest)

        desk._leases.send = watched  # type: ignore[method-assign]
        tape.control(
            "answer.w1", Answer(**ANSWER, job_id=job.id, standing=Standing.RUNNING, attempt=1)
        )
        eventually(lambda: refused, "it is not handed over")
        desk._leases.send = send  # type: ignore[method-assign]
        (tmp_path / "here" / "go").touch()
        assert not [line for line in one.lines if "not affected" in line], one.lines


def test_a_lease_that_cannot_get_back_to_its_queue_is_not_deleted(
    broker: Broker, tape: Tape
) -> None:
    """The broker keeps it in the lease queue, where a passive declare does not see it."""
    job = make_job(queue="plain")
    queue = topology.lease("w1")
    message = encode_job(job)
    message.headers[topology.LEASED_BY] = "w1"
    message.expiration = 200
    tape.link.call(lambda session: session.declare(queue))
    tape.publish(topology.LEASE, routing_key(job), message)
    empty = topology.lease("w2")
    tape.link.call(lambda session: session.declare(empty))
    eventually(lambda: tape.ready(queue.name) == 0, "it does not lapse")

    def swept() -> bool:
        provision(broker, Catalog(retry_delays=(1, 2, 3)), sweep=True)
        return not tape.link.call(lambda session: session.exists(empty.name))

    eventually(swept, "the empty one stays")
    assert tape.link.call(lambda session: session.exists(queue.name))
