"""Talking AMQP to a real broker, over networks and with accounts that are not as they should be."""

from __future__ import annotations

import threading
import time
from urllib.parse import urlsplit

import msgspec
import pytest

from jupyter_aiqueue.core import topology, transport
from jupyter_aiqueue.core.config import TLS
from jupyter_aiqueue.core.errors import (
    AccessRefused,
    BrokerBlocked,
    BrokerError,
    BrokerUnreachable,
    NotConfirmed,
    NotProvisioned,
    PermissionRefused,
    TLSFailed,
)
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.topology import Queue
from jupyter_aiqueue.core.transport import DeliveryLost, Unroutable, connect

from .looks import clear, pump_until
from .wire import Server, blocked_frame, closed_port, silent, speaking_tls

PLAIN = Queue("plain", {"x-queue-type": "classic"})


@pytest.fixture
def plain(session):
    session.declare(PLAIN)
    return PLAIN.name


def at_port(broker, port, host="127.0.0.1", **fields):
    return msgspec.structs.replace(broker, hosts=((host, port),), connect_timeout=1.0, **fields)


def refusal(kind, broker) -> str:
    with pytest.raises(kind) as caught:
        connect(broker, "test").close()
    assert type(caught.value) is kind
    return clear(caught.value, broker.password)


# -- connecting --------------------------------------------------------------------------


def test_a_session_knows_the_brokers_version(session):
    assert session.version[0].isdigit()


def test_a_wrong_password_is_said(broker):
    wrong = msgspec.structs.replace(broker, password="wrong-password")
    assert "password" in refusal(AccessRefused, wrong)


def test_an_unknown_virtual_host_is_said(broker):
    assert "'nowhere'" in refusal(AccessRefused, msgspec.structs.replace(broker, vhost="nowhere"))


def test_a_virtual_host_that_is_not_open_to_the_account_is_said(account):
    assert "virtual host" in refusal(AccessRefused, account())


def test_a_limit_of_connections_is_said_as_such(broker, api):
    api.put(f"vhost-limits/{broker.vhost}/max-connections", value=0)
    try:
        assert "limit" in refusal(AccessRefused, broker)
    finally:
        api.delete(f"vhost-limits/{broker.vhost}/max-connections")


def test_an_unknown_host_is_said(broker):
    text = refusal(BrokerUnreachable, at_port(broker, 5672, "no-such-host.invalid"))
    assert "not known" in text


def test_a_port_on_which_nothing_listens_is_said(broker):
    assert "Nothing listens" in refusal(BrokerUnreachable, at_port(broker, closed_port()))


def test_a_server_that_accepts_and_never_answers_is_given_up(broker):
    with silent() as server:
        began = time.monotonic()
        text = refusal(BrokerUnreachable, at_port(broker, server.port))
    assert "does not answer" in text
    assert time.monotonic() - began < 10 * 1.0  # of the connect timeout


@pytest.mark.parametrize(
    "answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x00" * 100, b"", b"AMQP\x00\x01\x00\x00"]
)
def test_a_server_that_speaks_something_else_is_said(broker, answer):
    def serve(client):
        client.sendall(answer)
        client.close()

    with Server(serve) as server, pytest.raises(BrokerError) as caught:
        connect(at_port(broker, server.port), "test")
    clear(caught.value, broker.password)


def test_the_port_of_the_management_api_is_no_broker(broker):
    port = urlsplit(broker.management_url).port
    with pytest.raises(BrokerError) as caught:  # it hangs up, or waits for more
        connect(at_port(broker, port), "test")
    assert "port" in clear(caught.value, broker.password)


def test_tls_to_a_plain_port_is_said(broker):
    tls = msgspec.structs.replace(broker, tls=TLS(verify=False), connect_timeout=1.0)
    assert "amqps://" in refusal(TLSFailed, tls)


def test_plain_to_a_tls_port_is_said(broker, certificate):
    with speaking_tls(*certificate) as server, pytest.raises(BrokerError) as caught:
        connect(at_port(broker, server.port), "test")
    assert "amqps://" in clear(caught.value, broker.password)


def test_a_certificate_of_an_unknown_authority_is_said(broker, certificate):
    with speaking_tls(*certificate) as server:
        text = refusal(TLSFailed, at_port(broker, server.port, "localhost", tls=TLS()))
    assert "cacertfile" in text
    assert "self" in text  # self-signed


def test_a_certificate_for_another_host_is_said(broker, certificate):
    with speaking_tls(*certificate) as server:
        tls = TLS(ca_file=certificate[0])
        text = refusal(TLSFailed, at_port(broker, server.port, "127.0.0.1", tls=tls))
    assert "127.0.0.1" in text


def test_of_several_hosts_one_that_works_is_enough(broker):
    hosts = (("127.0.0.1", closed_port()), *broker.hosts)
    with connect(msgspec.structs.replace(broker, hosts=hosts), "test") as session:
        assert session.exists(topology.work_queue("train", topology.Priority.HIGH))


# -- what an account may do --------------------------------------------------------------


def test_each_missing_permission_is_said_with_what_was_refused(broker, account):
    queue = topology.work_queue("train", topology.Priority.HIGH)
    with connect(account("^$", "^$", "^$"), "test") as session:
        for work, named in (
            (
                lambda: session.publish(topology.JOBS, "train.high", Message(body=b"")),
                "aiqueue.jobs",
            ),
            (lambda: session.get(queue), queue),
            (lambda: session.consume(queue, print), queue),
            (lambda: session.declare(PLAIN), "plain"),
            (lambda: session.declare_exchange(topology.Exchange("new", "topic")), "new"),
            (lambda: session.bind(queue, topology.JOBS, "x"), queue),
            (lambda: session.temporary_queue([]), ""),
        ):
            with pytest.raises(PermissionRefused) as caught:
                work()
            assert named in clear(caught.value, session.broker.password)
            assert session.broker.username in str(caught.value)


def test_a_forged_user_is_refused(session):
    message = Message(body=b"", user_id="somebody")
    with pytest.raises(BrokerError) as caught:
        session.publish(topology.JOBS, "train.high", message)
    assert "somebody" in clear(caught.value, session.broker.password)
    assert not isinstance(caught.value, AccessRefused)


def test_a_queue_of_other_properties_is_refused_with_the_reason(session, plain):
    with pytest.raises(BrokerError) as caught:
        session.declare(Queue("plain", {"x-queue-type": "quorum"}))
    text = clear(caught.value, session.broker.password)
    assert "plain" in text
    assert "x-queue-type" in text
    assert not isinstance(caught.value, (AccessRefused, PermissionRefused))


# -- publishing --------------------------------------------------------------------------


def test_a_message_arrives_as_it_was_sent(session, plain):
    sent = Message(
        body='{"name": "实验"}'.encode(),
        headers={"aiq-name": "实验", "aiq-attempt": 2, "aiq-long": "x" * 50_000},
        message_id="m1",
        type="train_model",
        app_id="jupyter_aiqueue",
        user_id=session.broker.username,
        correlation_id="c",
        content_type="application/json",
        timestamp=1_700_000_000,
    )
    session.publish("", plain, sent, mandatory=True)
    got = session.get(plain)
    session.ack(got)
    assert msgspec.structs.replace(got.message, routing_key="") == sent
    assert got.message.routing_key == plain


def test_a_mandatory_message_that_no_queue_takes_is_an_error(session):
    with pytest.raises(Unroutable):
        session.publish(topology.JOBS, "nobody.high", Message(body=b""), mandatory=True)
    session.publish(topology.JOBS, "nobody.high", Message(body=b""))  # the session goes on


def test_publishing_to_an_exchange_that_is_not_there_names_the_command_to_run(session):
    with pytest.raises(NotProvisioned) as caught:
        session.publish("aiqueue.missing", "x", Message(body=b""))
    assert "provision" in clear(caught.value, session.broker.password)
    session.publish(topology.JOBS, "train.high", Message(body=b""), mandatory=True)


def test_a_full_queue_is_an_error_after_a_few_tries_and_the_session_goes_on(session):
    arguments = {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish"}
    session.declare(Queue("full", arguments))
    session.publish("", "full", Message(body=b"1"))
    with pytest.raises(NotConfirmed) as caught:
        session.publish("", "full", Message(body=b"2"))
    assert "full" in clear(caught.value, session.broker.password)
    session.ack(session.get("full"))
    session.publish("", "full", Message(body=b"3"))
    assert session.get("full").message.body == b"3"


def test_a_connection_cut_while_publishing_is_an_error_at_once(proxy):
    with connect(proxy.broker, "test") as session:
        proxy.cut()
        with pytest.raises(BrokerUnreachable) as caught:
            session.publish(topology.JOBS, "train.high", Message(body=b""))
        clear(caught.value, session.broker.password)


def test_a_confirm_that_never_comes_is_waited_for_within_bounds(proxy, monkeypatch):
    monkeypatch.setattr(transport, "OPERATION_TIMEOUT", 0.5)
    with connect(proxy.broker, "test") as session:
        session.publish(topology.JOBS, "train.high", Message(body=b""))
        proxy.swallowing = True
        with pytest.raises(BrokerUnreachable) as caught:
            session.publish(topology.JOBS, "train.high", Message(body=b""))
        assert "does not answer" in clear(caught.value, session.broker.password)


def test_a_broker_with_an_alarm_is_said(proxy, monkeypatch):
    monkeypatch.setattr(transport, "BLOCKED_TIMEOUT", 0.3)
    with connect(proxy.broker, "test") as session:
        session.publish(topology.JOBS, "train.high", Message(body=b""))
        proxy.swallowing = True
        proxy.tell_clients(blocked_frame())
        with pytest.raises(BrokerBlocked) as caught:
            session.publish(topology.JOBS, "train.high", Message(body=b""))
        assert "memory" in clear(caught.value, session.broker.password)


def test_the_word_of_an_alarm_comes_before_our_patience_ends():
    assert transport.BLOCKED_TIMEOUT < transport.OPERATION_TIMEOUT


# -- taking ------------------------------------------------------------------------------


def test_an_empty_queue_gives_nothing(session, plain):
    assert session.get(plain) is None


def test_a_missing_queue_does_not_cost_the_deliveries_of_others(session, plain):
    session.publish("", plain, Message(body=b"mine"))
    mine = session.get(plain)
    for look in (session.get, session.count, lambda queue: session.consume(queue, print)):
        with pytest.raises(NotProvisioned) as caught:
            look("missing")
        assert "missing" in clear(caught.value, session.broker.password)
    session.ack(mine)
    assert session.count(plain).ready == 0


def test_what_is_given_back_comes_again_marked_as_such(session, plain):
    session.publish("", plain, Message(body=b"1"))
    first = session.get(plain)
    assert not first.message.redelivered
    session.give_back(first)
    second = session.get(plain)
    assert second.message.redelivered
    session.ack(second)


def test_what_was_not_acknowledged_comes_back_when_the_session_ends(broker, session, plain):
    session.publish("", plain, Message(body=b"1"))
    with connect(broker, "other") as other:
        assert other.get(plain) is not None
    assert session.get(plain).message.redelivered


def test_acknowledging_over_a_lost_channel_says_that_the_message_is_not_ours(session, plain):
    session.publish("", plain, Message(body=b"1"))
    delivery = session.get(plain)
    session._taking[plain].close()
    for settle in (session.ack, session.give_back):
        with pytest.raises(DeliveryLost):
            settle(delivery)
    assert session.get(plain).message.redelivered


def test_messages_are_delivered_to_a_callback_that_may_use_the_session(session, plain):
    got = []

    def arrived(delivery):
        session.publish(topology.JOBS, "train.high", delivery.message, mandatory=True)
        session.ack(delivery)
        got.append(delivery.message.body)

    session.consume(plain, arrived, prefetch=10)
    for number in range(25):
        session.publish("", plain, Message(body=b"%d" % number))
    pump_until(session, lambda: len(got) == 25)
    assert got == [b"%d" % number for number in range(25)]
    assert session.count(plain).ready == 0
    assert session.count(topology.work_queue("train", topology.Priority.HIGH)).ready == 25


def test_a_consumer_that_was_ended_gets_nothing_more_and_loses_nothing(session, plain):
    got = []
    tag = session.consume(plain, got.append, prefetch=1)
    for number in range(3):
        session.publish("", plain, Message(body=b"%d" % number))
    pump_until(session, lambda: got)
    session.stop_consuming(tag)
    session.pump(0.1)
    assert len(got) == 1
    assert session.count(plain).ready == 3


def test_pump_says_that_the_queue_of_a_consumer_was_deleted(session, plain, api, broker):
    session.consume(plain, print)
    api.delete(f"queues/{broker.vhost}/{plain}")
    with pytest.raises(BrokerUnreachable) as caught:
        pump_until(session, lambda: False)
    assert plain in clear(caught.value, broker.password)


def test_pump_says_that_the_broker_closed_a_consumers_channel(session, plain):
    tag = session.consume(plain, print)
    session.publish("", plain, Message(body=b"1"))
    channel = session._consumers[tag][0]
    channel.basic_ack(4711)  # an unknown delivery: the broker closes the channel
    with pytest.raises(BrokerUnreachable):
        pump_until(session, lambda: False)


def test_pump_says_that_the_connection_was_cut(proxy):
    with connect(proxy.broker, "test") as session:
        session.pump(0)
        proxy.cut()
        with pytest.raises(BrokerUnreachable) as caught:
            pump_until(session, lambda: False)
        clear(caught.value, session.broker.password)


def test_an_operator_finds_a_connection_by_its_name_and_pump_says_that_it_was_closed(broker, api):
    with connect(broker, "jupyter_aiqueue to be closed") as session:
        name = find_connection(api, "jupyter_aiqueue to be closed")
        api.delete(f"connections/{name}")
        with pytest.raises(BrokerUnreachable) as caught:
            pump_until(session, lambda: False)
        clear(caught.value, broker.password)


def test_another_thread_can_wake_pump(session):
    timer = threading.Timer(0.1, session.wake)
    timer.start()
    began = time.monotonic()
    session.pump(20)
    assert time.monotonic() - began < 15


# -- asking and ending -------------------------------------------------------------------


def test_counts_are_exact_and_fresh(session, plain):
    for number in range(1, 4):
        session.publish("", plain, Message(body=b""))
        assert session.count(plain) == (number, 0)
    session.consume(plain, lambda _: None)
    assert session.count(plain).consumers == 1
    assert not session.exists("missing")


def test_a_temporary_queue_gets_what_it_is_bound_to_and_goes_with_its_session(broker, session):
    with connect(broker, "test") as other:
        queue = other.temporary_queue([(topology.EVENTS, "me.#")], max_length=2)
        for number in range(3):
            session.publish(topology.EVENTS, "me.x", Message(body=b"%d" % number))
        assert other.get(queue).message.body == b"1"  # full, it drops the oldest
    assert not session.exists(queue)


def test_a_closed_session_refuses_everything_with_an_error_of_ours(broker):
    session = connect(broker, "test")
    session.declare(PLAIN)
    session.publish("", "plain", Message(body=b""))
    delivery = session.get("plain")
    session.close()
    session.close()
    session.wake()
    refused = (
        lambda: session.publish("", "plain", Message(body=b"")),
        lambda: session.get("plain"),
        lambda: session.count("plain"),
        lambda: session.consume("plain", print),
        lambda: session.pump(0),
        lambda: session.ack(delivery),
        lambda: session.temporary_queue([]),
    )
    for work in refused:
        with pytest.raises(BrokerError):
            work()


def test_closing_does_not_wait_for_a_broker_that_is_silent(proxy):
    session = connect(proxy.broker, "test")
    proxy.swallowing = True
    began = time.monotonic()
    session.close()
    assert time.monotonic() - began < 10


def find_connection(api, name):
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        for connection in api.get("connections"):
            if (connection.get("client_properties") or {}).get("connection_name") == name:
                return connection["name"].replace(" ", "%20").replace(">", "%3E")
        time.sleep(0.2)
    raise AssertionError(f"no connection {name}")
