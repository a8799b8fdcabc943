"""Publishing jobs and events: confirmed, mandatory, or an error that says what to do."""

from __future__ import annotations

import json
from datetime import timezone

import msgspec
import pytest

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import InvalidJob, NotConfirmed, NotProvisioned, UnknownGroup
from jupyter_aiqueue.core.events import Kind, decode_event, make_event
from jupyter_aiqueue.core.job import Job, Priority, new_job_id, now
from jupyter_aiqueue.core.message import Message, decode_job
from jupyter_aiqueue.core.publisher import (
    publish_catalog,
    publish_control,
    publish_event,
    publish_job,
    read_catalog,
)
from jupyter_aiqueue.core.status import Cancel, decode_cancel
from jupyter_aiqueue.core.stream import replay
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import connect

from .looks import clear, drain


def job_of(**fields) -> Job:
    return Job(
        **{"id": new_job_id(), "config": {"epochs": 3}, "group": "train", "submitted_at": now()}
        | fields
    )


def waiting(session) -> dict[str, int]:
    queues = [queue.name for queue in topology.queues(Catalog(retry_delays=(1, 2, 3)))]
    streams = (topology.STATUS_LOG, topology.CATALOG_LOG, topology.CONTROL_LOG)
    counts = {name: session.count(name).ready for name in queues if name not in streams}
    return {name: ready for name, ready in counts.items() if ready}


@pytest.mark.parametrize("priority", list(Priority))
def test_a_job_is_in_the_queue_of_its_group_and_priority_when_publishing_returns(session, priority):
    job = job_of(group="infer", priority=priority, name="first", timeout=5.0)
    publish_job(session, job)
    assert waiting(session) == {f"aiqueue.infer.{priority.value}": 1}
    taken = session.get(f"aiqueue.infer.{priority.value}")
    session.ack(taken)
    assert decode_job(taken.message, group="infer") == msgspec.structs.replace(
        job, user=session.broker.username
    )
    assert taken.message.user_id == session.broker.username
    assert taken.message.persistent


def test_a_plain_consumer_reads_the_config_as_json(session):
    publish_job(session, job_of(config={"model_type": "resnet50"}))
    body = session._connection.channel().basic_get("aiqueue.train.normal", auto_ack=True)[2]
    assert json.loads(body)["model_type"] == "resnet50"


def test_an_unknown_group_is_refused_with_the_known_ones_and_nothing_is_published(session):
    with pytest.raises(UnknownGroup) as caught:
        publish_job(session, job_of(group="trian"))
    text = clear(caught.value, session.broker.password)
    assert all(name in text for name in ("'trian'", "train", "infer", "preprocess"))
    assert waiting(session) == {}


def test_a_bad_config_is_refused_and_nothing_is_published(session):
    with pytest.raises(InvalidJob):
        publish_job(session, job_of(config={"lr": float("nan")}))
    assert waiting(session) == {}


def test_a_broker_that_was_not_set_up_is_said(empty_broker):
    with connect(empty_broker, "test") as session:
        for work in (lambda: publish_job(session, job_of()), lambda: read_catalog(session)):
            with pytest.raises(NotProvisioned, match="provision") as caught:
                work()
            clear(caught.value, empty_broker.password)


def test_a_full_work_queue_is_said(session, api, broker):
    api.put(
        f"policies/{broker.vhost}/aiqueue-full",
        pattern="^aiqueue\\.infer\\.low$",
        priority=99,
        definition={"max-length": 1, "overflow": "reject-publish"},
        **{"apply-to": "queues"},
    )

    def overfill():
        for _ in range(20):  # a quorum queue lets a message or two more in
            publish_job(session, job_of(group="infer", priority=Priority.LOW))

    try:
        with pytest.raises(NotConfirmed, match="full"):
            overfill()
    finally:
        api.delete(f"policies/{broker.vhost}/aiqueue-full")


def test_an_event_reaches_the_inbox_that_it_names_and_no_other(session):
    for name in ("mine", "other"):
        session.declare(topology.inbox(name))
    event = make_event(Kind.STARTED, job_of(inbox="mine"), run="a", worker="w")
    publish_event(session, event)
    assert session.count("aiqueue.inbox.other").ready == 0
    assert decode_event(drain(session, "aiqueue.inbox.mine", 1)[0].body) == event


def test_what_is_live_reaches_no_inbox(session):
    session.declare(topology.inbox("mine"))
    watching = session.temporary_queue([(topology.EVENTS, "live.mine.#")])
    for kind in (Kind.PROGRESS, Kind.LOG):
        publish_event(session, make_event(kind, job_of(inbox="mine"), run="a.1"))
    assert session.count("aiqueue.inbox.mine").ready == 0
    assert session.count(watching).ready == 2


def test_an_event_of_a_user_without_an_inbox_is_no_error(session):
    publish_event(session, make_event(Kind.STARTED, job_of(inbox="nobody")))


def test_a_submitted_job_wakes_a_worker_of_its_group(session):
    publish_event(session, make_event(Kind.SUBMITTED, job_of(group="infer")))
    publish_event(session, make_event(Kind.STARTED, job_of(group="infer")))
    assert session.count(topology.wake_queue("infer")).ready == 1
    assert session.count(topology.wake_queue("train")).ready == 0


def test_a_cancel_is_kept_for_workers_that_are_away(session):
    cancel = Cancel(job_id=new_job_id(), timestamp=now(), by="me")
    publish_control(session, f"cancel.{cancel.job_id}", cancel)
    kept = [decode_cancel(m.body) for m in replay(session, topology.CONTROL, topology.CONTROL_LOG)]
    assert cancel in kept


def test_the_catalog_is_what_was_published_last(empty_broker):
    with connect(empty_broker, "test") as session:
        session.declare_exchange(topology.Exchange(topology.STATUS, "topic"))
        session.declare(
            next(q for q in topology.queues(Catalog()) if q.name == topology.CATALOG_LOG)
        )
        for groups in (("a",), ("a", "b")):
            publish_catalog(session, Catalog(groups=groups))
            assert read_catalog(session).groups == groups
        session.publish(topology.STATUS, topology.CATALOG_KEY, Message(body=b'{"version": []}'))
        with pytest.raises(NotProvisioned, match="cannot be read"):
            read_catalog(session)


def test_times_travel_with_their_zone(session):
    session.declare(topology.inbox("mine"))
    publish_event(session, make_event(Kind.SUBMITTED, job_of(inbox="mine")))
    (message,) = drain(session, "aiqueue.inbox.mine", 1)
    assert decode_event(message.body).timestamp.tzinfo == timezone.utc
