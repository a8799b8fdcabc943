"""What is on a broker after `provision`, and what provision does with what was there before."""

from __future__ import annotations

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import (
    AccessRefused,
    BrokerError,
    ConfigError,
    InvalidJob,
    PermissionRefused,
)
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import policies, provision
from jupyter_aiqueue.core.publisher import read_catalog
from jupyter_aiqueue.core.stream import replay
from jupyter_aiqueue.core.topology import Catalog, Queue
from jupyter_aiqueue.core.transport import connect

from .conftest import Api
from .looks import clear
from .wire import closed_port

CATALOG = Catalog(groups=("train",), retry_delays=(1,))


@pytest.fixture
def api(empty_broker):
    return Api(empty_broker)


def on_broker(api, broker, what):
    return {item["name"]: item for item in api.get(f"{what}/{broker.vhost}")}


def test_everything_of_the_topology_is_there_and_durable(empty_broker, api):
    provision(empty_broker, CATALOG)
    queues = on_broker(api, empty_broker, "queues")
    assert set(queues) == {
        "aiqueue.train.high",
        "aiqueue.train.normal",
        "aiqueue.train.low",
        "aiqueue.dead.train",
        "aiqueue.wake.train",
        "aiqueue.retry.1",
        "aiqueue.status.log",
        "aiqueue.catalog.log",
        "aiqueue.control.log",
        "aiqueue.collector",
        "aiqueue.held",
        "aiqueue.load.log",
        "aiqueue.lore.log",
    }
    assert all(queue["durable"] for queue in queues.values())
    assert set(on_broker(api, empty_broker, "exchanges")) >= {
        exchange.name for exchange in topology.EXCHANGES
    }


def test_provisioning_twice_changes_nothing_and_publishes_no_second_catalog(empty_broker, api):
    assert "catalog of groups: published" in provision(empty_broker, CATALOG)
    before = (
        on_broker(api, empty_broker, "queues").keys(),
        api.get(f"bindings/{empty_broker.vhost}"),
    )
    assert "catalog of groups: published" not in provision(empty_broker, CATALOG)
    after = on_broker(api, empty_broker, "queues").keys(), api.get(f"bindings/{empty_broker.vhost}")
    assert after == before


def test_a_group_can_be_added_and_the_waiting_jobs_stay(empty_broker):
    provision(empty_broker, CATALOG)
    with connect(empty_broker, "test") as session:
        session.publish(topology.JOBS, "train.high", Message(body=b"{}"), mandatory=True)
        provision(empty_broker, Catalog(groups=("train", "gpu-2"), retry_delays=(1,)))
        assert read_catalog(session).groups == ("train", "gpu-2")
        assert session.count("aiqueue.train.high").ready == 1
        session.publish(topology.JOBS, "gpu-2.low", Message(body=b"{}"), mandatory=True)


def test_the_policy_is_applied_to_work_queues_and_to_nothing_else(empty_broker, api):
    provision(empty_broker, CATALOG)
    with connect(empty_broker, "test") as session:
        session.declare(Queue("aiqueue.trainee.high", {"x-queue-type": "quorum"}))
        session.declare(topology.inbox("train"))

    def applied():
        queues = on_broker(api, empty_broker, "queues")
        return {name: queue["policy"] for name, queue in queues.items() if queue.get("policy")}

    eventually(applied, message="no policy is applied")  # told every five seconds
    assert applied() == {f"aiqueue.train.{p.value}": "aiqueue-work" for p in Priority}


def test_a_job_that_is_delivered_too_often_lands_in_the_dead_queue(empty_broker):
    provision(empty_broker, CATALOG)
    api = Api(empty_broker)
    pattern, definition = policies(CATALOG)["aiqueue-work"]
    definition = {**definition, "delivery-limit": 1}
    api.put(
        f"policies/{empty_broker.vhost}/aiqueue-work",
        pattern=pattern,
        definition=definition,
        **{"apply-to": "queues"},
    )
    with connect(empty_broker, "test") as session:
        session.publish(topology.JOBS, "train.high", Message(body=b"{}"), mandatory=True)
        while (delivery := session.get("aiqueue.train.high")) is not None:
            session.give_back(delivery)
        for _ in range(100):
            letter = session.get("aiqueue.dead.train")
            if letter is not None:
                break
            session.pump(0.1)
        assert letter.message.body == b"{}"


def test_a_retry_comes_back_under_its_own_key_after_its_delay(empty_broker):
    provision(empty_broker, CATALOG)
    with connect(empty_broker, "test") as session:
        message = Message(body=b"{}", headers={"aiq-delay": "1"})
        session.publish(topology.RETRY, "train.low", message, mandatory=True)
        assert session.get("aiqueue.train.low") is None
        for _ in range(100):
            back = session.get("aiqueue.train.low")
            if back is not None:
                break
            session.pump(0.1)
        assert back.message.routing_key == "train.low"


def test_without_the_management_api_the_rest_is_done_and_the_command_for_the_rest_is_said(
    empty_broker,
):
    for url in (None, f"http://127.0.0.1:{closed_port()}"):
        done = provision(msgspec.structs.replace(empty_broker, management_url=url), CATALOG)
        text = "\n".join(done)
        assert "NOT set" in text
        assert f"rabbitmqctl set_policy -p '{empty_broker.vhost}'" in text
        assert empty_broker.password not in text
    with connect(empty_broker, "test") as session:
        assert read_catalog(session) == CATALOG


@pytest.mark.parametrize(
    "arguments", [{"x-queue-type": "classic"}, {"x-queue-type": "classic", "x-max-priority": 3}]
)
def test_a_queue_of_our_name_with_other_properties_is_an_error_that_names_it(
    empty_broker, arguments
):
    with connect(empty_broker, "test") as session:
        session.declare(Queue("aiqueue.train.high", arguments))
    with pytest.raises(BrokerError) as caught:
        provision(empty_broker, CATALOG)
    text = clear(caught.value, empty_broker.password)
    assert "aiqueue.train.high" in text
    assert not isinstance(caught.value, AccessRefused)


def test_an_account_that_may_not_configure_is_said(empty_broker, api):
    api.put("users/reader", password="pw-reader-1", tags="management")
    api.put(f"permissions/{empty_broker.vhost}/reader", configure="^$", write="^$", read=".*")
    reader = msgspec.structs.replace(empty_broker, username="reader", password="pw-reader-1")
    try:
        with pytest.raises(PermissionRefused) as caught:
            provision(reader, CATALOG)
        assert "reader" in clear(caught.value, "pw-reader-1")
    finally:
        api.delete("users/reader")


def test_no_argument_is_sent_that_some_version_refuses_or_misreads():
    for queue in topology.queues(Catalog()):
        kind = queue.arguments["x-queue-type"]
        if kind == "quorum":
            assert "x-max-priority" not in queue.arguments, queue.name
        assert queue.arguments.get("x-delivery-limit", 1) > 0, queue.name
        assert "x-consumer-timeout" not in queue.arguments, queue.name


def test_streams_keep_heartbeats_and_cancels_for_who_comes_later(empty_broker):
    provision(empty_broker, CATALOG)
    with connect(empty_broker, "test") as session:
        for exchange, key, stream in (
            (topology.STATUS, "worker.w1", topology.STATUS_LOG),
            (topology.CONTROL, "cancel.j1", topology.CONTROL_LOG),
        ):
            session.publish(exchange, key, Message(body=b"x"), mandatory=True)
            assert [m.body for m in replay(session, exchange, stream)] == [b"x"]


@pytest.mark.parametrize("name", ["dead", "queue", "inbox", "wake"])
def test_groups_cannot_have_names_of_ours(name):
    with pytest.raises(ConfigError, match=name):
        Catalog(groups=(name,))


@pytest.mark.parametrize("fields", [{"groups": ()}, {"retry_delays": ()}, {"retry_delays": (0,)}])
def test_a_catalog_without_groups_or_delays_is_refused(fields):
    with pytest.raises(ConfigError):
        Catalog(**fields)


def test_names_that_would_break_keys_cannot_be_groups_or_inboxes():
    with pytest.raises(InvalidJob):
        Catalog(groups=("a.b",))
    with pytest.raises(InvalidJob):
        topology.inbox("a b")
    with pytest.raises(ConfigError, match="live"):
        topology.inbox("live")
    with pytest.raises(ConfigError, match="'-'"):
        topology.inbox("-")


def test_empty_lease_queues_of_workers_that_are_gone_are_deleted(broker, session):
    gone, full, busy = (topology.lease(name) for name in ("gone", "full", "busy"))
    for queue in (gone, full, busy):
        session.declare(queue)
    message = Message(body=b"{}", headers={topology.LEASED_BY: "full"})
    session.publish(topology.LEASE, "train.normal", message, mandatory=True)
    session.consume(busy.name, lambda _: None)

    def swept():
        lines = provision(broker, Catalog(retry_delays=(1, 2, 3)), sweep=True)
        return [line for line in lines if "lease" in line]

    # The management API knows of queues a moment later.
    (line,) = eventually(swept, message="nothing is deleted")
    assert line.startswith("1 empty lease queue")
    assert [session.exists(queue.name) for queue in (gone, full, busy)] == [False, True, True]
