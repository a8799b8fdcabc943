"""A thread that keeps a connection, whatever happens to it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import (
    AIQueueError,
    BrokerUnreachable,
    NoBroker,
    NotProvisioned,
)
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.link import Link
from jupyter_aiqueue.core.message import Message

from .looks import clear
from .wire import closed_port, silent

QUEUE = topology.work_queue("train", Priority.HIGH)


@pytest.fixture
def links():
    made = []

    def make(broker, **options):
        find = broker if callable(broker) else lambda: broker
        made.append(Link(find, "test link", **options))
        made[-1].start()
        return made[-1]

    yield make
    for link in made:
        link.close()


def up(link):
    eventually(lambda: link.connected, message="the link does not connect")
    return link


def own_threads():
    return [thread for thread in threading.enumerate() if thread.name == "test link"]


def test_call_runs_in_the_links_thread_and_returns_the_result(broker, links):
    link = up(links(broker))
    thread, count = link.call(lambda s: (threading.current_thread().name, s.count(QUEUE)))
    assert thread == "test link"
    assert count == (0, 0)
    assert link.version is not None


def test_an_error_of_the_work_comes_out_of_call_and_the_connection_stays(broker, links):
    lost = []
    link = up(links(broker, on_lost=lost.append))
    with pytest.raises(NotProvisioned):
        link.call(lambda session: session.count("missing"))
    with pytest.raises(ZeroDivisionError):
        link.call(lambda _: 1 / 0)
    with pytest.raises(TimeoutError, match="of the work"):
        link.call(lambda _: raise_(TimeoutError("of the work")))
    assert link.call(lambda session: session.count(QUEUE)).ready == 0
    assert lost == []


def raise_(error):
    raise error


def test_post_runs_soon_also_from_the_links_own_thread(broker, links):
    done = threading.Event()
    link = up(links(broker))

    def first(_):
        assert link.post(lambda _: done.set())

    assert link.post(first)
    assert done.wait(5)


def test_call_from_the_links_own_thread_does_not_wait_for_itself(broker, links):
    link = up(links(broker))
    assert link.call(lambda _: link.call(lambda session: session.count(QUEUE).ready)) == 0


def test_work_that_hands_over_work_for_ever_does_not_keep_messages_from_coming(broker, links):
    arrived = threading.Event()

    def setup(session):
        session.consume(QUEUE, lambda delivery: (session.ack(delivery), arrived.set()))

    link = up(links(broker, setup=setup))

    def again(_):
        if not arrived.is_set():
            link.post(again)

    link.post(again)
    link.call(lambda s: s.publish(topology.JOBS, "train.high", Message(body=b"")))
    assert arrived.wait(10)


def test_without_a_connection_call_says_why_and_post_says_no(broker, links):
    away = msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))
    link = links(away)
    eventually(lambda: link.error, message="no error")
    with pytest.raises(BrokerUnreachable) as caught:
        link.call(lambda session: session.count(QUEUE))
    assert "Nothing listens" in clear(caught.value, broker.password)
    assert link.post(lambda _: None) is False


def test_a_call_that_takes_too_long_is_given_up_and_never_runs_later(broker, links):
    link = up(links(broker))
    going_on, ran = threading.Event(), []
    link.post(lambda _: going_on.wait(10))
    with pytest.raises(BrokerUnreachable, match=r"0\.1 s"):
        link.call(ran.append, timeout=0.1)
    going_on.set()
    link.call(lambda _: None)
    assert ran == []


def test_a_cut_connection_is_made_again_and_set_up_again(proxy, links):
    setups, lost = [], []
    link = up(links(proxy.broker, setup=setups.append, on_lost=lost.append))
    proxy.cut()
    eventually(lambda: len(setups) == 2 and link.connected, message="no second connection")
    assert isinstance(lost[0], BrokerUnreachable)
    assert link.call(lambda session: session.count(QUEUE)).ready == 0
    assert link.error is None
    assert len(own_threads()) == 1


def test_work_in_flight_when_the_connection_is_cut_is_an_error_for_its_caller(proxy, links):
    link = up(links(proxy.broker))

    def work(session):
        proxy.cut()
        return session.count(QUEUE)

    with pytest.raises(BrokerUnreachable):
        link.call(work)
    eventually(lambda: link.connected, message="no second connection")


def test_work_that_waits_when_the_connection_is_cut_is_an_error_for_its_caller(proxy, links):
    link = up(links(proxy.broker))
    begun, errors = threading.Event(), []

    def first(session):
        begun.set()
        eventually(lambda: link._work, message="nothing waits")
        proxy.cut()
        session.count(QUEUE)

    def caller():
        try:
            link.call(lambda session: session.count(QUEUE))
        except AIQueueError as error:
            errors.append(error)

    link.post(first)
    begun.wait(5)
    thread = threading.Thread(target=caller)
    thread.start()
    thread.join(10)
    assert [type(error) for error in errors] == [BrokerUnreachable]


def test_it_goes_on_looking_for_a_broker_that_is_not_there_yet(broker, links):
    found = iter([NoBroker("none yet"), NoBroker("none yet")])

    def find():
        for error in found:
            raise error
        return broker

    lost = []
    link = up(links(find, on_lost=lost.append))
    assert [type(error) for error in lost] == [NoBroker, NoBroker]
    assert link.error is None


def test_a_setup_that_fails_is_tried_again(broker, links):
    tries = []

    def setup(session):
        tries.append(session)
        if len(tries) < 3:
            session.count("missing")

    up(links(broker, setup=setup))
    assert len(tries) == 3


@pytest.mark.parametrize("where", ["setup", "on_up", "on_lost", "callback"])
def test_a_fault_in_a_callback_does_not_end_the_link(proxy, links, where, caplog):
    faults = []

    def fault(*_):
        if not faults:
            faults.append(1)
            raise ZeroDivisionError(where)

    def setup(session):
        if where == "callback":
            session.consume(QUEUE, fault)
            session.publish(topology.JOBS, "train.high", Message(body=b""))

    options = {"setup": setup} | ({where: fault} if where != "callback" else {})
    link = links(proxy.broker, **options)
    if where == "on_lost":
        up(link)
        proxy.cut()
    eventually(lambda: faults, message="no fault")

    def works():
        with suppress(AIQueueError):  # the first session may not have ended yet
            return link.call(lambda session: session.exists(QUEUE))

    assert eventually(works, message="the link did not come back")
    assert "ZeroDivisionError" in caplog.text


def test_close_is_quick_and_leaves_no_thread(broker, links):
    link = up(links(broker))
    began = time.monotonic()
    link.close()
    assert time.monotonic() - began < 4
    assert own_threads() == []
    assert not link.connected
    with pytest.raises(AIQueueError):
        link.call(lambda _: None)


def test_close_is_quick_while_the_broker_is_away(broker, links):
    away = msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))
    link = links(away)
    eventually(lambda: link.error, message="no error")
    link.close()
    assert own_threads() == []


def test_close_does_not_wait_for_a_server_that_never_answers(broker, links):
    with silent() as server:
        stuck = msgspec.structs.replace(
            broker, hosts=(("127.0.0.1", server.port),), connect_timeout=20.0
        )
        link = links(stuck)
        began = time.monotonic()
        link.close(timeout=0.5)
        assert time.monotonic() - began < 5


def test_a_link_that_was_never_started_can_be_closed(broker):
    Link(lambda: broker, "test link").close()


def test_many_connections_leave_no_threads_behind(proxy, links):
    ups = []
    link = links(proxy.broker, on_up=lambda: ups.append(1))
    for number in range(1, 4):
        eventually(lambda number=number: len(ups) >= number, message="no connection")
        proxy.cut()
    eventually(lambda: len(ups) >= 4, message="no connection")
    assert len(own_threads()) == 1
    link.close()
    assert own_threads() == []
