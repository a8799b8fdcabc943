"""Submitting many jobs: in a few round trips, in order, politely."""

from __future__ import annotations

import pytest
from waiting import eventually

from jupyter_aiqueue import Client
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import BrokerUnreachable, InvalidJob, UnknownGroup
from jupyter_aiqueue.core.events import Kind, decode_event
from jupyter_aiqueue.core.hold import read_hold
from jupyter_aiqueue.core.job import Priority, State
from jupyter_aiqueue.core.message import SENT_AGAIN
from jupyter_aiqueue.core.transport import Session

from .looks import url_of

QUEUE = topology.work_queue("train", Priority.NORMAL)


@pytest.fixture
def client(broker):
    """One whose events nobody records."""
    client = Client(url_of(broker), inbox="me", record=False)
    yield client
    client.close()


def read(session, queue, count):
    """What is in a queue that has one active consumer."""
    found = []
    tag = session.consume(queue, found.append, prefetch=count)
    eventually(lambda: session.pump(0.1) or len(found) >= count, message=f"{queue} has less")
    session.stop_consuming(tag)
    return [delivery.message for delivery in found]


def test_many_jobs_have_their_places_in_line(client):
    client.submit("t", {})
    assert [h.place for h in client.submit_many([{}, {}, {}])] == [1, 2, 3]


def test_a_polite_batch_is_held_in_its_order_with_its_bound(client, session):
    handles = client.submit_many(
        [{"seed": n} for n in range(450)], task="t", at_most_queued=3, when="depth < 9", by="08:00"
    )
    assert session.count(topology.HELD).ready == 450
    assert session.count(QUEUE).ready == 0
    assert {h.record.state for h in handles} == {State.HELD}
    assert (
        handles[0].record.hold
        == "depth < 9 and at most 3 of its batch in line, in any case by 08:00"
    )
    messages = read(session, topology.HELD, 450)
    assert [m.message_id for m in messages] == [h.id for h in handles]
    terms = {read_hold(m) for m in messages}
    assert len(terms) == 1
    (hold,) = terms
    assert hold.batch.at_most == 3
    events = [decode_event(m.body) for m in read(session, topology.inbox_queue("me"), 450)]
    assert [event.job_id for event in events] == [h.id for h in handles]
    assert {(e.event, e.hold, e.batch) for e in events} == {(Kind.HELD, hold.said, hold.batch.id)}


@pytest.mark.parametrize("bound", [0, -1, 1.5, True, "2"])
def test_a_bound_that_cannot_be_meant_is_refused(client, session, bound):
    with pytest.raises(InvalidJob, match="at_most_queued"):
        client.submit_many([{}], at_most_queued=bound)
    assert session.count(topology.HELD).ready == 0


def test_many_jobs_of_a_group_that_is_not_there_are_refused(client, session):
    for more in ({}, {"at_most_queued": 2}):
        with pytest.raises(UnknownGroup, match="train, infer, preprocess"):
            client.submit_many([{}, {}], group="trian", **more)
    assert session.count(topology.HELD).ready == 0


def test_many_jobs_that_were_interrupted_say_how_many_are_there(client, session, monkeypatch):
    publish_many, calls = Session.publish_many, []

    def lost(self, posts, **more):
        calls.append(posts)
        if len(calls) > 2:  # jobs and events of the first 200 are sent
            raise BrokerUnreachable("It is gone.")
        return publish_many(self, posts, **more)

    monkeypatch.setattr(Session, "publish_many", lost)
    with pytest.raises(BrokerUnreachable, match="200 of 450 jobs are submitted for sure"):
        client.submit_many([{} for _ in range(450)])
    assert session.count(QUEUE).ready == 200
    again = [posts for posts in calls[2:] if posts]
    assert SENT_AGAIN in again[-1][0].message.headers, "they may have been there"
