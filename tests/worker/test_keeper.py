"""Held jobs: released once each, at their moment, whoever dies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

import pytest
from scene import Tape, eventually, make_job, playing

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.hold import HOLD, Hold, View, held_message, parse_hold
from jupyter_aiqueue.core.job import Job, now
from jupyter_aiqueue.core.message import SENT_AGAIN
from jupyter_aiqueue.core.publisher import publish_held
from jupyter_aiqueue.core.status import Cancel, Release
from jupyter_aiqueue.core.transport import Session, connect
from jupyter_aiqueue.worker.console import Console
from jupyter_aiqueue.worker.keeper import Keeper
from jupyter_aiqueue.worker.tasks import Tasks

AT = datetime(2026, 1, 1, 21, 0, tzinfo=timezone.utc)
BUSY, QUIET = View(wait=3600, depth=9, free_slots=0), View(wait=10, depth=0, free_slots=2)
QUEUE = "aiqueue.train.normal"


def terms(when: str | None = "depth < 2", by: str | None = None, *, expires: bool = False) -> Hold:
    hold = parse_hold(when, by, expires=expires, at=AT)
    assert hold is not None
    return hold


class Scene:
    """A keeper whose load and clock are the test's."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.lines: list[str] = []
        self.session = connect(broker, "keeper")
        self.keeper = self._keeper()

    def _keeper(self) -> Keeper:
        console = Console(self.lines.append)
        return Keeper(self.session, "w1", console, lambda: ["train"])

    def hold(self, *jobs: Job, hold: Hold | None = None) -> None:
        with connect(self.broker, "submitter") as session:
            for job in jobs:
                publish_held(session, job, hold or terms())
        eventually(lambda: self._has(jobs), "they do not arrive")

    def _has(self, jobs: tuple[Job, ...]) -> bool:
        self.session.pump(0.05)
        return all(job.id in self.keeper._held for job in jobs)

    def turn(self, view: View = QUIET, at: datetime = AT) -> int:
        return self.keeper.turn(lambda _: view, at)

    def dies(self) -> None:
        """The connection is lost, and somebody else keeps."""
        self.session.close()
        self.session = connect(self.broker, "another keeper")
        self.keeper = self._keeper()


@pytest.fixture
def scene(broker: Broker) -> Iterator[Scene]:
    scene = Scene(broker)
    yield scene
    scene.session.close()


def in_line(tape: Tape) -> int:
    return tape.ready(QUEUE)


def test_a_job_is_held_until_its_moment(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    assert scene.turn(BUSY) == 0
    assert in_line(tape) == 0
    assert scene.turn(QUIET) == 1
    assert in_line(tape) == 1
    tape.wait(job.id, Kind.SUBMITTED)
    assert len(scene.keeper) == 0
    assert tape.ready(topology.HELD) == 0


def test_no_more_are_released_than_there_is_room_for(scene: Scene, tape: Tape) -> None:
    scene.hold(*(make_job() for _ in range(5)))
    assert scene.turn(View(depth=0)) == 2
    assert in_line(tape) == 2


def test_they_are_released_in_the_order_of_their_submission(scene: Scene, tape: Tape) -> None:
    jobs = [make_job() for _ in range(3)]
    scene.hold(*jobs)
    for _ in jobs:
        scene.turn(View(depth=1))
    with connect(scene.broker, "taker") as session:
        taken = [session.get(QUEUE) for _ in jobs]
    assert [one.message.message_id for one in taken if one] == [job.id for job in jobs]


def test_a_deadline_releases_or_ends_it(scene: Scene, tape: Tape) -> None:
    late, gone = make_job(), make_job()
    scene.hold(late, hold=terms(by="22:00"))
    scene.hold(gone, hold=terms(by="22:00", expires=True))
    scene.turn(BUSY, AT + timedelta(hours=1))
    tape.wait(late.id, Kind.SUBMITTED)
    end = tape.end(gone.id)
    assert end.event is Kind.CANCELLED
    assert "depth < 2" in (end.reason or "")
    assert in_line(tape) == 1


@pytest.mark.parametrize("before", [True, False])
def test_a_cancel_or_a_release_is_heeded(scene: Scene, tape: Tape, before: bool) -> None:
    stopped, started = make_job(), make_job()
    if not before:
        scene.hold(stopped, started)
    tape.control(f"cancel.{stopped.id}", Cancel(job_id=stopped.id, timestamp=now()))
    tape.control(f"release.{started.id}", Release(job_id=started.id, timestamp=now()))
    if before:
        scene.hold(stopped, started)
        scene.dies()
        eventually(lambda: scene._has((stopped, started)), "they do not come back")
    eventually(lambda: scene.session.pump(0.05) or scene.turn(BUSY) or not len(scene.keeper))
    tape.wait(started.id, Kind.SUBMITTED)
    assert tape.end(stopped.id).event is Kind.CANCELLED
    assert in_line(tape) == 1


def test_who_keeps_next_sends_again_what_may_have_been_sent(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn()
    with connect(scene.broker, "taker") as session:
        taken = session.get(QUEUE)
    assert taken is not None
    assert SENT_AGAIN in taken.message.headers
    assert HOLD not in taken.message.headers


def test_what_was_here_all_the_time_is_not_sent_again(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    scene.keeper._take()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn()
    with connect(scene.broker, "taker") as session:
        taken = session.get(QUEUE)
    assert taken is not None
    assert SENT_AGAIN not in taken.message.headers


def test_a_group_that_is_gone_keeps_its_jobs_held(scene: Scene, tape: Tape) -> None:
    scene.hold(make_job(group="gone"))
    assert scene.turn() == 0
    assert scene.turn() == 0
    assert len([line for line in scene.lines if "stays held" in line]) == 1
    assert len(scene.keeper) == 1


def test_what_cannot_be_read_is_a_dead_letter(scene: Scene, tape: Tape) -> None:
    message = held_message(make_job(), terms())
    message.headers[HOLD] = "{"
    tape.publish(topology.JOBS, topology.HELD_KEY, message)

    def dead() -> bool:
        scene.session.pump(0.05)
        return tape.ready(topology.dead_queue("train")) == 1

    eventually(dead, "it is no dead letter")


def test_workers_release_and_run_what_was_held(broker: Broker, tape: Tape, tasks: Tasks) -> None:
    job, other = make_job(), make_job()

    def hold(session: Session) -> None:
        publish_held(session, job, terms("free_slots > 0"))
        publish_held(session, other, terms("depth > 1000"))

    tape.link.call(hold)
    with playing(broker, tasks, name="w1"):
        assert tape.end(job.id).event is Kind.SUCCEEDED
        assert tape.kinds(other.id) == []
    assert tape.ready(topology.HELD) == 1
