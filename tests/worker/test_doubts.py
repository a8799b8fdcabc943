"""Messages in doubt: who is asked for how long, and when it is enough."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from scene import Tape, eventually, make_job, make_tasks, marks, playing
from test_leases import QUEUE, place

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerUnreachable
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.message import SENT_AGAIN, Message, encode_job, routing_key
from jupyter_aiqueue.core.status import Answer, Ask, Standing
from jupyter_aiqueue.core.transport import Delivery, Session, connect
from jupyter_aiqueue.worker import intake as intake_module
from jupyter_aiqueue.worker import lease as lease_module
from jupyter_aiqueue.worker import takeover as takeover_module
from jupyter_aiqueue.worker import underway as underway_module
from jupyter_aiqueue.worker.claim import Claim
from jupyter_aiqueue.worker.claims import Claims
from jupyter_aiqueue.worker.end import End
from jupyter_aiqueue.worker.folder import RunFolder
from jupyter_aiqueue.worker.intake import Doubt, Execute, Intake, Refuse, Settle, Verdict
from jupyter_aiqueue.worker.lease import Leases
from jupyter_aiqueue.worker.owner import Owner
from jupyter_aiqueue.worker.take import source_of
from jupyter_aiqueue.worker.takeover import Takeover
from jupyter_aiqueue.worker.tasks import Lease, Tasks
from jupyter_aiqueue.worker.underway import UnderWay

LEASE = Lease(time=3, renew=1, grace=30)


# -- who asks for how long ---------------------------------------------------------------


@pytest.fixture
def under_way() -> UnderWay:
    return UnderWay("w1", Leases("w1", LEASE, 1), silence=60)


@pytest.fixture
def intake(tmp_path: Path, under_way: UnderWay) -> Intake:
    tasks = msgspec.structs.replace(make_tasks(tmp_path), lease=LEASE)
    return Intake(tasks, claims=Claims(), under_way=under_way, cancelled=lambda _: False)


def judged(intake: Intake, job: Job, *, redelivered: bool = False, **headers: Any) -> Verdict:
    message = encode_job(job)
    message.headers |= {key.replace("_", "-"): value for key, value in headers.items()}
    message.redelivered, message.routing_key = redelivered, routing_key(job)
    return intake.judge(message, source_of(message))


@pytest.fixture
def abandoned(monkeypatch: pytest.MonkeyPatch) -> Job:
    """A job with a run folder here, whose worker ``w0`` has died."""
    monkeypatch.setattr(Owner, "alive", False)
    job = make_job()
    folder = RunFolder(job)
    folder.make()
    folder.own("token", "w0")
    return job


def test_who_died_here_is_not_waited_for(broker: Broker, intake: Intake, abandoned: Job) -> None:
    assert isinstance(judged(intake, abandoned, aiq_lease="w0"), Settle)
    once = judged(intake, abandoned, redelivered=True, **{"x-delivery-count": 1})
    assert isinstance(once, Settle)


def test_who_died_here_does_not_speak_for_who_had_the_message_later(
    broker: Broker, intake: Intake, abandoned: Job
) -> None:
    assert isinstance(judged(intake, abandoned, aiq_lease="x"), Doubt)
    twice = judged(intake, abandoned, redelivered=True, **{"x-delivery-count": 2})
    assert isinstance(twice, Doubt)
    assert isinstance(judged(intake, abandoned, redelivered=True), Doubt)


def test_a_message_that_may_have_been_sent_twice_is_asked_about_for_longer_after_a_connection(
    broker: Broker, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = make_job(attempt=2)
    brief = judged(intake, again)
    assert isinstance(brief, Doubt)
    intake.connected()
    wary = judged(intake, again)
    assert isinstance(wary, Doubt)
    assert 1 < brief.patience < wary.patience < LEASE.grace
    later = time.monotonic() + 60
    monkeypatch.setattr(intake_module.time, "monotonic", lambda: later)
    assert judged(intake, again) == brief


def test_what_was_sent_to_itself_and_never_begun_is_no_lost_attempt(
    broker: Broker, intake: Intake, under_way: UnderWay
) -> None:
    job = make_job(attempt=2)
    assert isinstance(judged(intake, job, aiq_lease="w1"), Doubt)
    delivery: Any = _Delivery(encode_job(job), QUEUE)
    under_way.send(Claim(cast(Session, None), delivery, job, rescue=lambda *_: []))
    assert isinstance(judged(intake, job, aiq_lease="w1"), Execute)
    # After a lost connection others may have the message that was in its hands.
    under_way.reconnected()
    assert isinstance(judged(intake, job, aiq_lease="w1"), Doubt)
    message = encode_job(job)
    message.headers[topology.LEASED_BY], message.routing_key = "w1", routing_key(job)
    assert isinstance(intake.nobody(message, source_of(message)), Execute)
    message.headers[topology.LEASED_BY] = "w2"  # which may have begun it
    assert isinstance(intake.nobody(message, source_of(message)), Settle)
    message.headers[topology.LEASED_BY] = "w1"
    under_way.decided(job.id, (2, 0))
    assert isinstance(intake.nobody(message, source_of(message)), Settle)


def test_what_comes_late_is_asked_about_first(
    broker: Broker, intake: Intake, under_way: UnderWay, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(attempt=2)
    delivery: Any = _Delivery(encode_job(job), QUEUE)
    under_way.send(Claim(cast(Session, None), delivery, job, rescue=lambda *_: []))
    later = time.monotonic() + 5  # somebody who was cut off may be back
    monkeypatch.setattr(underway_module.time, "monotonic", lambda: later)
    assert isinstance(judged(intake, job, aiq_lease="w1"), Doubt)
    assert under_way.coming == 1


def test_what_was_never_begun_is_asked_for_where_nobody_else_can_have_begun_it(
    broker: Broker, under_way: UnderWay
) -> None:
    job = make_job(attempt=2)
    delivery: Any = _Delivery(encode_job(job), QUEUE)
    under_way.send(Claim(cast(Session, None), delivery, job, rescue=lambda *_: []))

    def asked(leased_by: str | None, attempt: int = 2) -> tuple[int, int] | None:
        return under_way.version(job.id, (attempt, 0), leased_by)

    assert [asked(None), asked("w1"), asked("w2")] == [(2, 0), (2, 0), None]
    assert [asked(None, 1), asked(None, 3)] == [(2, 0), None]
    under_way.reconnected()
    assert [asked(None), asked("w1"), asked("w2")] == [None, (2, 0), None]


def test_what_this_worker_has_had_itself_and_never_begun_is_no_unsure_start(
    broker: Broker, intake: Intake, under_way: UnderWay
) -> None:
    job = make_job()
    message = encode_job(job)
    message.redelivered, message.routing_key = True, routing_key(job)
    message.headers["x-delivery-count"] = 1
    unsure = intake.nobody(message, source_of(message))
    delivery: Any = _Delivery(message, QUEUE)
    under_way.send(Claim(cast(Session, None), delivery, job, rescue=lambda *_: []))
    sure = intake.nobody(message, source_of(message))
    assert isinstance(unsure, Execute)
    assert isinstance(sure, Execute)
    assert (unsure.unsure, sure.unsure) == (True, False)


def test_an_id_that_is_under_way_is_taken(
    broker: Broker, intake: Intake, under_way: UnderWay
) -> None:
    job = make_job()
    delivery: Any = _Delivery(encode_job(job), QUEUE)
    under_way.send(Claim(cast(Session, None), delivery, job, rescue=lambda *_: []))
    assert isinstance(judged(intake, job), Refuse)
    under_way.reconnected()  # others may have run it by now
    assert isinstance(judged(intake, job), Execute)


# -- when it is enough -------------------------------------------------------------------


class Scene:
    """A takeover without a broker: what it asks, and what it decides."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: list[Ask] = []
        self.decided: list[Verdict] = []
        self.given_back: list[Delivery] = []
        self.claims = Claims()
        self.session = cast(Session, self)
        leases = Leases("w1", LEASE, 1)
        self.under_way = UnderWay("w1", leases, silence=60)
        monkeypatch.setattr(
            takeover_module,
            "publish_control",
            lambda _, key, word: self.questions.append(word) if key.startswith("ask") else None,
        )
        self.takeover = Takeover(
            "w1",
            "me",
            self.claims,
            leases,
            self.under_way,
            cast(Intake, self),
            silence=60,
            decided=lambda session, claim, source, verdict: self.decided.append(verdict),
            over=lambda *_: None,
            say=lambda *_: None,
        )

    def nobody(self, message: Message, source: object) -> Verdict:
        return Settle(make_job(), None)

    def give_back(self, delivery: Delivery) -> None:
        self.given_back.append(delivery)

    def park(self, job: Job, patience: float, queue: str = QUEUE) -> Any:
        message = encode_job(job)
        message.redelivered, message.routing_key = True, routing_key(job)
        delivery: Any = _Delivery(message, queue)
        claim = Claim(self.session, delivery, job, rescue=lambda *_: [])
        self.claims.add(claim)
        doubt = Doubt(job, 0, patience)
        self.takeover.park(self.session, claim, doubt, source_of(message))
        return delivery

    def tick(self, *, leaving: bool = False) -> None:
        self.takeover.tick(self.session, leaving=leaving)


class _Delivery:
    def __init__(self, message: Message, queue: str) -> None:
        self.message, self.queue, self.lost = message, queue, False


@pytest.fixture
def scene(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def test_nobody_decides_before_a_last_question_came_back_behind_all_answers(scene: Scene) -> None:
    scene.park(make_job(), patience=0.2)
    first = scene.questions[0]
    eventually(lambda: scene.tick() or len(scene.questions) > 4, "it does not ask on", 5)
    for question in (first, first):
        scene.takeover.asked(scene.session, question)
    scene.tick()
    assert not scene.decided, "answers may still be waiting for it"
    scene.takeover.asked(scene.session, scene.questions[-1])
    scene.tick()
    assert len(scene.decided) == 1


def test_what_went_back_to_the_broker_is_neither_decided_nor_spoken_for(scene: Scene) -> None:
    job = make_job()
    delivery = scene.park(job, patience=60)
    other = Ask(job_id=job.id, asker="w2", process="other", attempt=1)
    standing = scene.takeover._standing(other)
    assert standing is not None
    assert standing[0] is Standing.WAITING
    delivery.lost = True
    assert scene.takeover._standing(other) is None
    assert not len(scene.takeover)
    assert not len(scene.claims)


def test_who_leaves_gives_back_what_is_in_doubt(scene: Scene) -> None:
    mine = topology.lease_queue("w1")
    deliveries = [scene.park(make_job(), 0.0), scene.park(make_job(), 0.0, mine)]
    scene.tick(leaving=True)
    assert scene.given_back == deliveries[:1], "what is in the own lease queue would come again"
    assert len(scene.takeover) == 1
    assert not scene.decided


def test_who_has_leased_what_was_never_begun_gives_way_to_nobody(scene: Scene) -> None:
    job = make_job()
    delivery = scene.park(job, patience=60, queue=topology.lease_queue("w1"))
    ask = Ask(job_id=job.id, asker="w2", process="a", attempt=1, leased_by="w1")
    waiting = Answer(job_id=job.id, worker="w2", process="a", standing=Standing.WAITING, attempt=1)
    delivery.message.headers[topology.LEASED_BY] = "w1"
    standing = scene.takeover._standing(ask)
    assert standing is not None
    assert standing[0] is Standing.WAITING
    scene.under_way.send(Claim(scene.session, delivery, job, rescue=lambda *_: []))
    scene.under_way.reconnected()
    standing = scene.takeover._standing(ask)
    assert standing is not None
    assert standing[0] is Standing.RUNNING, "nobody sends it here"
    scene.takeover.answered(scene.session, waiting)
    assert not scene.decided, "it is dropped, and nobody knows any more that it was never begun"
    scene.under_way.decided(job.id)
    scene.takeover.answered(scene.session, waiting)
    assert len(scene.decided) == 1


def test_questions_about_one_message_do_not_pass_for_those_about_another(scene: Scene) -> None:
    job = make_job()
    scene.park(job, patience=0.0)
    scene.park(msgspec.structs.replace(job, attempt=2), patience=60)
    scene.tick()
    old, *_, last = scene.questions
    assert (old.attempt, last.attempt) == (1, 1)
    assert len({question.number for question in scene.questions}) == len(scene.questions)


@pytest.mark.parametrize("sent_again", [False, True])
def test_the_end_of_a_job_that_may_have_another_message_is_told_to_whoever_has_it(
    broker: Broker, tape: Tape, tasks: Tasks, sent_again: bool
) -> None:
    over = tape.hear(topology.CONTROL, "over.*", lambda message: message.routing_key)
    job, last = make_job(), make_job(attempt=2)
    message = encode_job(job)
    if sent_again:
        message.headers[SENT_AGAIN] = 1
    with playing(broker, tasks):
        tape.publish(topology.JOBS, routing_key(job), message)
        tape.end(job.id)
        tape.submit(last)
        eventually(lambda: f"over.{last.id}" in over, "nothing is told")
    assert (f"over.{job.id}" in over) is sent_again


def test_a_worker_that_drains_starts_nothing_that_was_in_doubt(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    here = place(tmp_path / "here", grace=3)
    running = make_job({"wait-for": "go", "mark": str(tmp_path / "marks")})
    doubtful = make_job({"mark": str(tmp_path / "marks")})
    with playing(broker, here, name="w1", slots=2) as one:
        tape.submit(running)
        tape.wait(running.id, Kind.STARTED)
        message = encode_job(doubtful)
        message.headers[topology.LEASED_BY] = "w9"
        tape.publish(topology.JOBS, routing_key(doubtful), message)
        one.said("was with another worker")
        one.worker.drain()
        eventually(lambda: tape.ready(QUEUE) == 1, "it keeps what it will not start")
        (tmp_path / "here" / "go").touch()
        assert one.ended() == 0
    assert marks(tmp_path / "marks") == [f"{running.id} 1"]
    assert tape.kinds(doubtful.id) == []


# -- a lease queue that is not safe yet --------------------------------------------------


def test_an_end_that_was_left_behind_is_not_spoken_for_before_the_lease_queue_is_safe(
    scene: Scene,
) -> None:
    job = make_job()
    folder = RunFolder(job)
    folder.make()
    folder.keep_end(End(event=make_event(Kind.SUCCEEDED, job)))
    question = Ask(job_id=job.id, asker="w2", process="other", attempt=1)
    assert scene.takeover._standing(question) is None
    scene.takeover._leases.safe = True
    standing = scene.takeover._standing(question)
    assert standing is not None
    assert standing[0] is Standing.RUNNING


def nothing(_: Delivery) -> None:
    """A reader who leaves everything unread."""


def test_a_lease_queue_in_which_a_namesake_keeps_a_job_is_not_deleted(
    broker: Broker, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease_module, "SAFE", 3600)
    mine, name = Leases("w1", LEASE, 1), topology.lease_queue("w1")
    with connect(broker, "test") as session:
        mine.connect(session, nothing, new=True)
    message = encode_job(make_job())
    message.headers[topology.LEASED_BY] = "w1"
    tape.publish(topology.LEASE, routing_key(make_job()), message)
    with connect(broker, "test") as session:
        mine.connect(session, nothing, new=True)
        assert not mine.safe
    assert eventually(lambda: tape.ready(name)) == 1


def test_a_broker_that_dies_with_the_declaration_leaves_a_queue_that_is_not_safe(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, deleted = Leases("w1", LEASE, 1), []
    with connect(broker, "test") as session, monkeypatch.context() as patch:

        def declare(queue: topology.Queue) -> None:
            Session.declare(session, queue)
            raise BrokerUnreachable("gone")

        patch.setattr(session, "declare", declare)
        with pytest.raises(BrokerUnreachable):
            mine.connect(session, nothing, new=True)
    with connect(broker, "test") as session, monkeypatch.context() as patch:

        def silent(*_: object, **__: object) -> str:
            raise BrokerUnreachable("does not answer")

        patch.setattr(session, "consume", silent)
        with pytest.raises(BrokerUnreachable):
            mine.connect(session, nothing, new=True)
        assert not mine.safe
    with connect(broker, "test") as session:
        monkeypatch.setattr(
            session, "delete", lambda name: (deleted.append(name), Session.delete(session, name))
        )
        mine.connect(session, nothing, new=True)
    assert deleted == [topology.lease_queue("w1")]


def test_a_lease_queue_that_was_there_is_safe_at_once(broker: Broker, tasks: Tasks) -> None:
    mine = Leases("w1", LEASE, 1)
    with connect(broker, "test") as session:
        session.declare(topology.lease("w1"))
        mine.connect(session, nothing, new=True)
    assert mine.safe
