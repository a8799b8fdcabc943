"""Reading a stream up to now."""

from __future__ import annotations

import pytest

from jupyter_aiqueue.core import stream, topology
from jupyter_aiqueue.core.errors import BrokerUnreachable, NotProvisioned
from jupyter_aiqueue.core.job import new_job_id
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.stream import last, replay
from jupyter_aiqueue.core.topology import Queue
from jupyter_aiqueue.core.transport import connect

SOURCE = topology.Exchange("aiqueue.test.source", "topic")


@pytest.fixture
def log(session):
    """An empty stream of the test's own."""
    name = f"log{new_job_id()}"
    session.declare_exchange(SOURCE)
    bindings = ((SOURCE.name, name, {}), (SOURCE.name, f"probe.{name}", {}))
    session.declare(Queue(name, {"x-queue-type": "stream"}, bindings))
    return name


def write(session, log, *bodies):
    for body in bodies:
        session.publish(SOURCE.name, log, Message(body=body), mandatory=True)


def bodies(messages):
    return [message.body for message in messages]


def test_a_replay_holds_everything_in_order(session, log):
    expected = [b"%d" % number for number in range(300)]
    write(session, log, *expected)
    assert bodies(replay(session, SOURCE.name, log)) == expected


def test_an_empty_stream_gives_nothing(session, log):
    assert replay(session, SOURCE.name, log) == []


def test_probes_of_readers_are_not_seen_by_later_readers(session, log):
    for number in range(3):
        assert len(replay(session, SOURCE.name, log)) == number
        write(session, log, b"x")


def test_a_replay_from_an_age_leaves_out_nothing_that_is_younger(session, log):
    write(session, log, b"1", b"2")
    assert bodies(replay(session, SOURCE.name, log, since="1m")) == [b"1", b"2"]


def test_two_readers_at_once_do_not_disturb_each_other(broker, session, log):
    write(session, log, b"1")
    with connect(broker, "other") as other:
        assert bodies(replay(other, SOURCE.name, log)) == [b"1"]
        assert bodies(replay(session, SOURCE.name, log)) == [b"1"]


def test_a_session_consumes_other_queues_after_and_during_a_replay(session, log):
    got = []
    queue = session.temporary_queue([(SOURCE.name, log)])
    session.consume(queue, lambda delivery: (session.ack(delivery), got.append(delivery)))
    write(session, log, b"1")
    assert len(replay(session, SOURCE.name, log)) == 1
    for _ in range(50):
        session.pump(0.1)
        if got:
            break
    assert len(got) == 1
    assert session.count(log).consumers == 0


def test_a_stream_that_gives_back_no_probe_is_an_error_within_bounds(session, log, monkeypatch):
    monkeypatch.setattr(stream, "_PATIENCE", 0.3)
    deaf = f"{log}.deaf"
    session.declare(Queue(deaf, {"x-queue-type": "stream"}, ()))
    with pytest.raises(BrokerUnreachable, match="cannot be read"):
        replay(session, SOURCE.name, deaf)


def test_a_missing_stream_is_said(session):
    for read in (
        lambda: replay(session, topology.STATUS, "missing"),
        lambda: last(session, "missing"),
    ):
        with pytest.raises(NotProvisioned, match="missing"):
            read()


def test_last_is_the_newest_message(session, log):
    for number in range(5):
        write(session, log, b"%d" % number)
        assert last(session, log).body == b"%d" % number


def test_last_is_the_newest_of_messages_written_at_once(broker, log):
    # Without confirms in between they share one chunk.
    with connect(broker, "test") as session:
        channel = session._connection.channel()
        for number in range(200):
            channel.basic_publish(SOURCE.name, log, b"%d" % number)
        channel.confirm_delivery()  # the order counts within a channel only
        channel.basic_publish(SOURCE.name, log, b"end")
        assert last(session, log).body == b"end"


def test_last_of_an_empty_stream_is_none_after_a_moment(session, log):
    assert last(session, log, patience=0.2) is None


def test_a_reader_may_stop_while_more_arrives(session, log):
    write(session, log, b"1")
    tag = session.consume(log, print, prefetch=500, arguments={"x-stream-offset": "first"})
    # Each confirm lets something arrive that is not delivered yet.
    write(session, log, *[b"%d" % number for number in range(30)])

    session.stop_consuming(tag)

    session.pump(0.3)
    assert session.count(log).consumers == 0
