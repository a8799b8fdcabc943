"""Later runs are leased before they begin: what may happen between the two."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from scene import Playing, Proxy, Tape, eventually, make_job, marks, playing
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


class Scene(NamedTuple):
    """What a second attempt finds, and what is to come of it."""

    broker: Broker
    tape: Tape
    tasks: Tasks
    folder: Path
    patch: pytest.MonkeyPatch
    job: Job

    def worker(self, name: str = "w1", **options: Any) -> AbstractContextManager[Playing]:
        return playing(self.broker, **{"tasks": self.tasks, "name": name, **options})

    def submit(self) -> None:
        self.tape.submit(self.job)

    @property
    def marks(self) -> list[str]:
        return marks(self.folder / "marks")

    def ran_once(self) -> None:
        """It has succeeded in one run, and in the attempt that it came with."""
        end = self.tape.end(self.job.id)
        assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
        assert self.tape.kinds(self.job.id) == ["started", "succeeded"]
        assert self.marks == [f"{self.job.id} 2"]

    def nothing_is_left(self) -> None:
        """The slot is free, and no message of anything is anywhere."""
        other = make_job()
        self.tape.submit(other)
        self.tape.end(other.id)
        for queue in (QUEUE, topology.lease_queue("w1")):
            eventually(lambda q=queue: not self.tape.ready(q), f"messages are left in {queue}")
        assert self.tape.dead() == []


@pytest.fixture
def scene(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Scene:
    job = make_job({"mark": str(tmp_path / "marks")}, attempt=2)
    return Scene(broker, tape, tasks, tmp_path, monkeypatch, job)


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


def test_what_arrives_begins_once(scene: Scene) -> None:
    with scene.worker():
        scene.submit()
        scene.ran_once()
        scene.nothing_is_left()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_connection_that_is_lost_on_the_way_costs_no_attempt(
    scene: Scene, proxy: Proxy, when: str
) -> None:
    tasks = place(scene.folder / "w1", grace=1)
    through = msgspec.structs.replace(scene.broker, hosts=(proxy.address,))
    sent = on_sending(scene.patch, **{when: proxy.cut})
    with scene.worker(tasks=tasks, find=lambda: through):
        scene.submit()
        eventually(lambda: sent, "it is not leased")
        proxy.mend()
        scene.ran_once()
        scene.nothing_is_left()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_broker_that_does_not_confirm_delays_a_run_and_no_more(scene: Scene, when: str) -> None:
    def refuse() -> None:
        raise NotConfirmed("no")

    # Whether it has the message nevertheless is not known.
    sent = on_sending(scene.patch, **{when: refuse})
    with scene.worker():
        scene.submit()
        scene.ran_once()
        assert len(sent) > 1, "it was not sent again"
        scene.nothing_is_left()


def test_a_lease_queue_that_is_deleted_delays_a_run_and_no_more(scene: Scene) -> None:
    def delete() -> None:
        scene.tape.link.call(lambda s: s.delete(topology.lease_queue("w1")))

    on_sending(scene.patch, before=delete)
    with scene.worker(tasks=place(scene.folder / "w1", grace=1)) as worker:
        scene.submit()
        worker.said("connected to", 2)
        scene.ran_once()
        scene.nothing_is_left()


def test_who_is_told_to_stop_meanwhile_gives_it_back(scene: Scene) -> None:
    def close(desk: Desk) -> None:
        desk.closed = True

    on_arrival(scene.patch, close)
    with scene.worker() as worker:
        scene.submit()
        assert worker.ended() == 0
    assert scene.tape.kinds(scene.job.id) == ["requeued"]
    with scene.worker("w2"):
        end = scene.tape.end(scene.job.id)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
    assert scene.marks == [f"{scene.job.id} 2"]


def test_a_cancel_meanwhile_is_heeded(scene: Scene) -> None:
    on_arrival(scene.patch, lambda desk: desk._cancelled(scene.job.id))
    with scene.worker():
        scene.submit()
        assert scene.tape.end(scene.job.id).event is Kind.CANCELLED
        scene.nothing_is_left()
    assert scene.marks == []


def test_meanwhile_it_is_answered_for_and_takes_the_slot(scene: Scene) -> None:
    seen: list[Any] = []

    def look(desk: Desk) -> None:
        ask = Ask(job_id=scene.job.id, asker="w2", process="other", attempt=2)
        seen.extend([desk._takeover._standing(ask), desk.free()])

    on_arrival(scene.patch, look)
    with scene.worker(slots=1):
        scene.submit()
        scene.ran_once()
    # Whoever has a message of it sends it here.
    assert seen == [(Standing.RUNNING, (2, 0)), 0]
