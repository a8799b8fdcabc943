"""Held jobs: released once each, at their moment, whoever dies."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta, timezone

import msgspec
import pytest
from scene import Tape, eventually, make_job, playing

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.hold import HOLD, Batch, Hold, View, held_message, parse_hold
from jupyter_aiqueue.core.job import Job, new_job_id, now
from jupyter_aiqueue.core.message import SENT_AGAIN, Message
from jupyter_aiqueue.core.publisher import publish_held
from jupyter_aiqueue.core.status import Cancel, Release
from jupyter_aiqueue.core.transport import Session, connect
from jupyter_aiqueue.worker import keeper as keeper_module
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
        self.picture = Picture(at=AT.timestamp())
        #: What keepers have left word of, last.
        self.word: list[str] | None = None
        self.keeper = self._keeper()

    def _keeper(self) -> Keeper:
        def leave_word(in_doubt: Iterable[str]) -> None:
            self.word = list(in_doubt)

        console = Console(self.lines.append)
        return Keeper(
            self.session,
            "w1",
            console,
            self.picture,
            lambda: ["train", "infer"],
            self.word,
            leave_word,
        )

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


@pytest.mark.parametrize("kind", [Kind.CANCELLED, Kind.CANCELLING])
def test_a_cancel_that_only_an_event_tells_of_is_heeded(
    scene: Scene, tape: Tape, kind: Kind
) -> None:
    job = make_job()
    scene.picture.event(make_event(Kind.HELD, job))
    scene.hold(job)
    scene.picture.event(make_event(kind, job))
    scene.turn(QUIET)
    assert tape.end(job.id).event is Kind.CANCELLED
    assert in_line(tape) == tape.ready(topology.HELD) == len(scene.keeper) == 0


def taken(scene: Scene, count: int = 1) -> list[Message]:
    """What is in line, taken."""
    with connect(scene.broker, "taker") as session:
        found = [session.get(QUEUE) for _ in range(count)]
    return [one.message for one in found if one]


def test_what_nobody_left_word_of_is_not_sent_again(scene: Scene, tape: Tape) -> None:
    first, other = make_job(), make_job()
    scene.hold(first, other)
    scene.turn(View(depth=1))
    assert scene.word == [first.id], "nobody would know that it may be in line"
    scene.dies()
    eventually(lambda: scene._has((other,)), "it does not come back")
    scene.turn()
    messages = taken(scene, 2)
    assert [m.message_id for m in messages] == [first.id, other.id]
    assert not any(SENT_AGAIN in m.headers or HOLD in m.headers for m in messages)


@pytest.mark.parametrize("word", [True, False])
def test_who_keeps_next_sends_again_what_may_have_been_sent(
    scene: Scene, tape: Tape, word: bool
) -> None:
    job = make_job()
    scene.hold(job)
    scene.word = [job.id] if word else None
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.keeper._take()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn()
    (message,) = taken(scene)
    assert SENT_AGAIN in message.headers


def test_what_was_told_to_be_submitted_is_not_put_in_line_again(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    scene.picture.event(make_event(Kind.SUBMITTED, job))
    scene.word = [job.id]
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn()
    assert in_line(tape) == 0
    assert tape.ready(topology.HELD) == len(scene.keeper) == 0


def test_what_its_submitter_was_not_sure_of_is_put_in_line_once(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    scene.turn()
    with connect(scene.broker, "submitter") as session:
        publish_held(session, job, terms(), again=True)
    eventually(lambda: scene._has((job,)), "it does not arrive")
    scene.turn()
    assert in_line(tape) == 1
    assert len(scene.keeper) == 0


def test_what_was_here_all_the_time_is_not_sent_again(scene: Scene, tape: Tape) -> None:
    job = make_job()
    scene.hold(job)
    scene.keeper._take()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn()
    (message,) = taken(scene)
    assert SENT_AGAIN not in message.headers


def polite(at_most: int = 2, hold: Hold | None = None) -> Hold:
    batch = Batch(id=new_job_id(), at_most=at_most)
    return msgspec.structs.replace(hold or Hold(said=""), batch=batch)


def released(scene: Scene, jobs: list[Job]) -> list[int]:
    """Numbers of those that are not held any more."""
    return [number for number, job in enumerate(jobs) if job.id not in scene.keeper._held]


def test_no_more_of_a_batch_are_in_line_than_was_said(scene: Scene, tape: Tape) -> None:
    jobs, hold = [make_job() for _ in range(6)], polite(2)
    scene.hold(*jobs, hold=hold)
    scene.hold(*(others := [make_job() for _ in range(3)]), hold=polite(1))
    scene.turn(BUSY)
    assert scene.turn(BUSY) == 0
    assert released(scene, jobs) == [0, 1]
    assert released(scene, others) == [0]
    scene.picture.event(make_event(Kind.STARTED, jobs[0], worker="w1"))
    scene.turn(BUSY)
    assert released(scene, jobs) == [0, 1, 2]
    scene.dies()
    eventually(lambda: scene._has(tuple(jobs[3:])), "they do not come back")
    assert scene.turn(BUSY) == 0, "the next keeper does not know the bound"
    for job in jobs[1:3]:
        scene.picture.event(make_event(Kind.CANCELLED, job))
    scene.turn(BUSY)
    assert released(scene, jobs) == [0, 1, 2, 3, 4]
    assert {e.batch for job in jobs for e in tape.of(job.id)} <= {hold.batch and hold.batch.id}


def test_a_batch_goes_on_while_one_of_it_is_between_two_attempts(scene: Scene, tape: Tape) -> None:
    jobs = [make_job() for _ in range(4)]
    scene.hold(*jobs, hold=polite(1))
    scene.turn()
    failed = msgspec.structs.replace(jobs[0], attempt=1)
    scene.picture.event(make_event(Kind.STARTED, failed, worker="w1"))
    soon = now() + timedelta(seconds=60)
    scene.picture.event(make_event(Kind.RETRYING, failed, next_attempt_at=soon))
    scene.turn()
    assert released(scene, jobs) == [0, 1]
    scene.picture.event(make_event(Kind.STARTED, jobs[1], worker="w1"))
    scene.picture.tick(soon.timestamp() + 1, (60,))
    assert scene.turn() == 0, "the first one is in line again"


def test_a_batch_keeps_its_order_whatever_comes_back_first(scene: Scene, tape: Tape) -> None:
    jobs, hold = [make_job() for _ in range(4)], polite(1)
    other = make_job()
    scene.hold(jobs[2], hold=hold)
    scene.hold(other)
    scene.hold(jobs[3], jobs[0], jobs[1], hold=hold)
    for job in jobs:
        scene.turn()
        scene.picture.event(make_event(Kind.STARTED, job, worker="w1"))
    assert [m.message_id for m in taken(scene, 5)] == [
        jobs[0].id,
        other.id,
        *(job.id for job in jobs[1:]),
    ]


def test_a_batch_waits_for_its_moment_too(scene: Scene, tape: Tape) -> None:
    jobs = [make_job() for _ in range(5)]
    scene.hold(*jobs, hold=polite(2, terms("depth < 2", by="22:00")))
    assert scene.turn(BUSY) == 0
    scene.turn(QUIET)
    assert released(scene, jobs) == [0, 1]
    tape.control(f"release.{jobs[4].id}", Release(job_id=jobs[4].id, timestamp=now()))
    tape.control(f"cancel.{jobs[2].id}", Cancel(job_id=jobs[2].id, timestamp=now()))
    eventually(lambda: scene.session.pump(0.05) or scene.turn(BUSY))
    tape.wait(jobs[4].id, Kind.SUBMITTED)
    assert tape.end(jobs[2].id).event is Kind.CANCELLED
    eventually(lambda: released(scene, jobs) == [0, 1, 2, 4])
    scene.turn(BUSY, AT + timedelta(hours=1))
    assert len(scene.keeper) == 0, "it was due"


def test_a_group_that_is_gone_keeps_its_jobs_held(scene: Scene, tape: Tape) -> None:
    scene.hold(make_job(group="gone"))
    assert scene.turn() == 0
    assert scene.turn() == 0
    assert len([line for line in scene.lines if "stays held" in line]) == 1
    assert len(scene.keeper) == 1


def test_a_line_that_does_not_take_jobs_holds_up_no_others(scene: Scene, tape: Tape) -> None:
    tape.link.call(lambda session: session.delete("aiqueue.infer.normal"))
    shut, job = [make_job(group="infer") for _ in range(3)], make_job()
    scene.hold(*shut, job)
    scene.turn()
    tape.wait(job.id, Kind.SUBMITTED)
    assert scene.turn() == 0
    assert len([line for line in scene.lines if "stay held" in line]) == 1
    assert len(scene.keeper) == 3
    assert not any(tape.of(one.id) for one in shut)
    assert scene.keeper.in_doubt == set(), "they are in line for sure not"


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


def test_a_batch_does_not_stand_still_for_a_job_that_left_without_a_word(
    scene: Scene, tape: Tape
) -> None:
    jobs = [make_job() for _ in range(2)]
    scene.hold(*jobs, hold=polite(1))
    scene.turn(at=now())
    assert scene.turn(at=now() + timedelta(hours=5)) == 0
    assert scene.turn(at=now() + timedelta(hours=7)) == 1


def test_no_delivery_timeout_is_as_short_as_a_job_is_in_hand(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_ANEW_PER_JOB", 1000.0)
    scene.hold(make_job())
    scene.keeper._take()
    assert scene.keeper._anew_at <= time.monotonic() + 50, "RabbitMQ's shortest is 60"


def test_it_is_said_that_no_more_can_be_looked_at(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "_MOST", 2)
    scene = Scene(broker)
    try:
        scene.hold(make_job(), make_job())
        assert len([line for line in scene.lines if "those behind them wait" in line]) == 1
    finally:
        scene.session.close()
