"""Later runs are leased before they begin: what may happen between the two."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from scene import Proxy, Tape, eventually, make_job, marks, playing
from test_leases import QUEUE, place

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import NotConfirmed
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.status import Ask, Standing
from jupyter_aiqueue.core.transport import Delivery, Session
from jupyter_aiqueue.worker.claim import Claim
from jupyter_aiqueue.worker.desk import Desk
from jupyter_aiqueue.worker.lease import Leases
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A second attempt."""
    return make_job({"mark": str(tmp_path / "marks")}, attempt=2)


def on_sending(
    monkeypatch: pytest.MonkeyPatch,
    *,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> list[Claim]:
    """Have something happen around the first message that a worker sends itself."""
    sent: list[Claim] = []
    send = Leases.send_home

    def patched(self: Leases, session: Session, claim: Claim) -> None:
        first = not sent
        try:
            if first:
                before()
            send(self, session, claim)
            if first:
                after()
        finally:
            sent.append(claim)

    monkeypatch.setattr(Leases, "send_home", patched)
    return sent


def on_arrival(monkeypatch: pytest.MonkeyPatch, do: Callable[[Desk], object]) -> None:
    """Have something happen just before the first one arrives."""
    arrived: list[Desk] = []
    returned = Desk._returned

    def patched(self: Desk, session: Session, delivery: Delivery) -> None:
        if not arrived:
            arrived.append(self)
            do(self)
        returned(self, session, delivery)

    monkeypatch.setattr(Desk, "_returned", patched)


def ran_once(tape: Tape, job: Job, folder: Path) -> None:
    end = tape.end(job.id)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(folder / "marks") == [f"{job.id} 2"]


def nothing_is_left(tape: Tape, folder: Path) -> None:
    """The slot is free, and no message of anything is anywhere."""
    other = make_job()
    tape.submit(other)
    tape.end(other.id)
    for queue in (QUEUE, topology.lease_queue("w1")):
        eventually(lambda q=queue: not tape.ready(q), f"messages are left in {queue}")
    assert tape.dead() == []


def test_what_arrives_begins_once(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, job: Job
) -> None:
    with playing(broker, tasks, name="w1"):
        tape.submit(job)
        ran_once(tape, job, tmp_path)
        nothing_is_left(tape, tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_on_the_way_costs_no_attempt(
    broker: Broker,
    tape: Tape,
    proxy: Proxy,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    tasks = place(tmp_path / "w1", grace=1)
    through = msgspec.structs.replace(broker, hosts=(proxy.address,))
    sent = on_sending(monkeypatch, **{when: proxy.cut})
    with playing(broker, tasks, name="w1", find=lambda: through):
        tape.submit(job)
        eventually(lambda: sent, "it is not leased")
        proxy.mend()
        ran_once(tape, job, tmp_path)
        nothing_is_left(tape, tmp_path)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_broker_that_does_not_confirm_delays_a_run_and_no_more(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
) -> None:
    def refuse() -> None:
        raise NotConfirmed("no")

    # Whether it has the message nevertheless is not known.
    sent = on_sending(monkeypatch, **{when: refuse})
    with playing(broker, tasks, name="w1"):
        tape.submit(job)
        ran_once(tape, job, tmp_path)
        assert len(sent) > 1, "it was not sent again"
        nothing_is_left(tape, tmp_path)


def test_a_lease_queue_that_is_deleted_delays_a_run_and_no_more(
    broker: Broker,
    tape: Tape,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def delete() -> None:
        tape.link.call(lambda s: s.delete(topology.lease_queue("w1")))

    on_sending(monkeypatch, before=delete)
    with playing(broker, place(tmp_path / "w1", grace=1), name="w1") as worker:
        tape.submit(job)
        worker.said("connected to", 2)
        ran_once(tape, job, tmp_path)
        nothing_is_left(tape, tmp_path)


def test_who_is_told_to_stop_meanwhile_gives_it_back(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def close(desk: Desk) -> None:
        desk.closed = True

    on_arrival(monkeypatch, close)
    with playing(broker, tasks, name="w1") as worker:
        tape.submit(job)
        assert worker.ended() == 0
    assert tape.kinds(job.id) == ["requeued"]
    with playing(broker, tasks, name="w2"):
        end = tape.end(job.id)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
    assert marks(tmp_path / "marks") == [f"{job.id} 2"]


def test_a_cancel_meanwhile_is_heeded(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    on_arrival(monkeypatch, lambda desk: desk._cancelled(job.id))
    with playing(broker, tasks, name="w1"):
        tape.submit(job)
        assert tape.end(job.id).event is Kind.CANCELLED
        nothing_is_left(tape, tmp_path)
    assert marks(tmp_path / "marks") == []


def test_meanwhile_it_is_answered_for_and_takes_the_slot(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    tmp_path: Path,
    job: Job,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def look(desk: Desk) -> None:
        ask = Ask(job_id=job.id, asker="w2", process="other", attempt=2)
        seen.extend([desk._takeover._standing(ask), desk.free()])

    on_arrival(monkeypatch, look)
    with playing(broker, tasks, name="w1", slots=1):
        tape.submit(job)
        ran_once(tape, job, tmp_path)
    # Whoever has a message of it sends it here.
    assert seen == [(Standing.RUNNING, (2, 0)), 0]
