"""A claim whose steps fail: nothing is acknowledged before the message is kept somewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from scene import make_job

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import BrokerError, BrokerUnreachable, PermissionRefused
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.message import Message, encode_job
from jupyter_aiqueue.core.transport import Session
from jupyter_aiqueue.worker import claim as claims
from jupyter_aiqueue.worker.claim import Claim, Step
from jupyter_aiqueue.worker.console import Console
from jupyter_aiqueue.worker.desk import Desk
from jupyter_aiqueue.worker.end import End
from jupyter_aiqueue.worker.run import Ended
from jupyter_aiqueue.worker.settle import end_steps, event_step, rescue_steps


class FakeSession:
    """Remembers what is published and acknowledged; refuses what it is told to."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Message]] = []
        self.acknowledged = 0
        self.refusing: dict[str, Exception] = {}

    def publish(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = False
    ) -> None:
        if exchange in self.refusing:
            raise self.refusing[exchange]
        self.published.append((exchange, message))

    def ack(self, _: object) -> None:
        self.acknowledged += 1

    @property
    def exchanges(self) -> list[str]:
        return [exchange for exchange, _ in self.published]


class FakeDelivery:
    def __init__(self, message: Message) -> None:
        self.message, self.lost = message, False


def rescue(message: Message, job: Job | None, error: Exception) -> Sequence[Step]:
    return rescue_steps(message, job, error, worker="w", groups=lambda: ["train"])


def make_claim(session: FakeSession, job: Job) -> Claim:
    delivery: Any = FakeDelivery(encode_job(job))
    return Claim(cast(Session, session), delivery, job, rescue=rescue)


def flush(claim: Claim, session: FakeSession) -> None:
    claim.flush(cast(Session, session))


def end_of(job: Job, claim: Claim) -> list[Step]:
    end = End(event=make_event(Kind.RETRYING, job, reason="exit code 1"), next=job, delay=10)
    return end_steps(end, claim.message, job, groups=lambda: ["train"])


def test_a_copy_that_cannot_be_published_becomes_a_dead_letter() -> None:
    session, job = FakeSession(), make_job({"a": 1})
    claim = make_claim(session, job)
    claim.end(*end_of(job, claim))
    session.refusing[topology.RETRY] = OverflowError("not a number of ours")
    flush(claim, session)
    assert session.exchanges == [topology.EVENTS, topology.DEAD, topology.EVENTS]
    letter = session.published[1][1]
    assert (letter.body, letter.message_id) == (b'{"a": 1}', job.id)
    assert letter.headers["aiq-reason"] == "worker-fault"
    assert "OverflowError" in letter.headers["aiq-why"]
    assert claim.settled
    assert session.acknowledged == 1


def test_a_message_that_cannot_be_kept_is_not_acknowledged() -> None:
    session, job = FakeSession(), make_job()
    claim = make_claim(session, job)
    claim.end(*end_of(job, claim))
    session.refusing = {topology.RETRY: ValueError("x"), topology.DEAD: ValueError("y")}
    for _ in range(3):
        with pytest.raises(BrokerError):
            flush(claim, session)
    assert not claim.settled
    session.refusing = {}
    flush(claim, session)
    assert session.acknowledged == 1


def test_an_event_on_the_way_may_be_left_out() -> None:
    session, job = FakeSession(), make_job()
    claim = make_claim(session, job)
    claim.add(event_step(make_event(Kind.STARTED, job)))
    session.refusing[topology.EVENTS] = ValueError("x")
    flush(claim, session)
    assert not claim.pending
    assert not claim.ended
    assert not session.published


def test_what_the_broker_always_refuses_becomes_a_dead_letter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "_REFUSED_FOR", 0.0)
    session, job = FakeSession(), make_job()
    claim = make_claim(session, job)
    claim.end(*end_of(job, claim))
    session.refusing[topology.RETRY] = PermissionRefused("no")
    for _ in range(4):
        with pytest.raises(PermissionRefused):
            flush(claim, session)
    flush(claim, session)
    assert topology.DEAD in session.exchanges
    assert claim.settled


def test_a_broker_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "_REFUSED_FOR", 0.0)
    session, job = FakeSession(), make_job()
    claim = make_claim(session, job)
    claim.end(*end_of(job, claim))
    session.refusing[topology.RETRY] = BrokerUnreachable("away")
    for _ in range(20):
        with pytest.raises(BrokerUnreachable):
            flush(claim, session)
    session.refusing = {}
    flush(claim, session)
    assert session.exchanges == [topology.EVENTS, topology.RETRY]


def test_an_end_that_cannot_be_told_frees_its_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    session, job = FakeSession(), make_job()

    class FakeExecution:
        token, label, folder = "t", "l", Path("nowhere")

    def broken(*_: object, **__: object) -> list[Step]:
        raise OSError("a fault")

    monkeypatch.setattr("jupyter_aiqueue.worker.desk.end_steps", broken)
    desk = Desk.__new__(Desk)
    execution: Any = FakeExecution()
    execution.job, execution.claim = job, make_claim(session, job)
    said: list[str] = []
    whole: Any = desk
    whole._console, whole._worker = Console(said.append), "w"
    whole._executions = {"t": execution}
    whole._on_change = whole._post = lambda _: None
    whole._on_free = None
    desk._ended(execution, End(event=make_event(Kind.SUCCEEDED, job)), Ended(exit_code=0))
    assert not desk.executions()
    flush(execution.claim, session)
    assert session.exchanges[0] == topology.DEAD
    assert session.acknowledged == 1
