"""Many jobs at once, of which some get there: what the submitter is told, and everybody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pika.exceptions
import pytest
from scene import Tape, eventually

from jupyter_aiqueue.core import topology, transport
from jupyter_aiqueue.core.client import Client
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerUnreachable, InvalidJob, UnknownGroup
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.transport import Session, connect

LINE = topology.work_queue("train", Priority.NORMAL)


@pytest.fixture
def client(tmp_path: Path) -> Client:
    return Client(record=False, notebook=tmp_path / "n.ipynb", inbox="tester")


def submit(client: Client) -> None:
    client.submit_many([{"n": number} for number in range(450)], task="t")


def announced(tape: Tape) -> int:
    return len({event.job_id for event in tape.events if event.event is Kind.SUBMITTED})


def test_a_line_that_goes_away_in_the_middle(
    broker: Broker, tape: Tape, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, chunks = Session.publish_many, []

    def unbinding(self: Session, posts: Any, **more: Any) -> set[int]:
        if more.get("mandatory"):
            chunks.append(posts)
        if len(chunks) == 2:
            with connect(broker, "operator") as session, session.throwaway("unbind") as channel:
                channel.queue_unbind(LINE, topology.JOBS, "train.normal")
        return real(self, posts, **more)

    monkeypatch.setattr(Session, "publish_many", unbinding)
    with pytest.raises(UnknownGroup, match="200 of 450 jobs are submitted for sure") as caught:
        submit(client)
    assert "Nothing was submitted" not in str(caught.value)
    assert tape.ready(LINE) == 200


def test_what_got_there_before_a_cut_is_announced(
    tape: Tape, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, chunks = transport.publish_all, []

    def cut(channel: Any, posts: Any, indexes: Any, mandatory: bool, *more: Any) -> list[int]:
        if not mandatory:
            return real(channel, posts, indexes, mandatory, *more)
        chunks.append(indexes)
        if len(chunks) == 1:
            return real(channel, posts, indexes, mandatory, *more)
        if len(chunks) == 2:
            real(channel, posts, indexes[:120], mandatory, *more)
        raise pika.exceptions.StreamLostError("cut")

    monkeypatch.setattr(transport, "publish_all", cut)
    with pytest.raises(BrokerUnreachable, match="320 of 450 jobs are submitted for sure"):
        submit(client)
    assert tape.ready(LINE) == 320
    eventually(lambda: announced(tape) == 320, lambda: f"{announced(tape)} are announced")


def test_many_jobs_cannot_have_one_id(tape: Tape, client: Client) -> None:
    with pytest.raises(InvalidJob, match="one id"):
        client.submit_many([{}, {}], task="t", job_id="mine")
    assert tape.ready(LINE) == 0
