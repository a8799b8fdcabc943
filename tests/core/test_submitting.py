"""A submit whose confirm is lost: it is sent again, and says so."""

from __future__ import annotations

import pytest

from jupyter_aiqueue import Client
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import BrokerUnreachable
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.message import SENT_AGAIN
from jupyter_aiqueue.core.transport import Session


def test_a_job_whose_confirm_was_lost_is_sent_again_and_marked(
    broker, session, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = Session.publish
    lost = []

    def losing(self, exchange, key, message, *, mandatory=False):
        publish(self, exchange, key, message, mandatory=mandatory)
        if exchange == topology.JOBS and not lost:
            lost.append(message)
            raise BrokerUnreachable("The connection was lost before the confirm came.")

    monkeypatch.setattr(Session, "publish", losing)
    client = Client(inbox="me", record=False)
    try:
        handle = client.submit("t", {})
    finally:
        client.close()
    queue = topology.work_queue("train", Priority.NORMAL)
    found = [session.get(queue) for _ in range(2)]
    assert [delivery.message.message_id for delivery in found] == [handle.id, handle.id]
    assert [SENT_AGAIN in delivery.message.headers for delivery in found] == [False, True]
