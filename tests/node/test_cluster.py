"""Three nodes on one machine: what the loss of one costs, and what `up` and `down` do with them."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import psutil
import pytest
from brokers import OwnNode
from waiting import eventually

from jupyter_aiqueue import cli, node
from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.client import Client
from jupyter_aiqueue.core.config import Broker, find_broker
from jupyter_aiqueue.core.errors import NodeError
from jupyter_aiqueue.core.inventory import Inventory
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.link import Link
from jupyter_aiqueue.core.management import Management
from jupyter_aiqueue.core.measure import measure
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.topology import work_queue
from jupyter_aiqueue.core.transport import Session, connect
from jupyter_aiqueue.node.gather import Gathering
from jupyter_aiqueue.node.process import belonging, is_alive
from jupyter_aiqueue.node.record import Node
from jupyter_aiqueue.node.trouble import StartLogs

QUEUE = work_queue("train", Priority.NORMAL)


@pytest.fixture
def in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections try the nodes in their order, so that a test knows which one it has."""
    monkeypatch.setattr(random, "sample", lambda population, k: list(population)[:k])


@pytest.fixture
def as_private(cluster: OwnNode, monkeypatch: pytest.MonkeyPatch) -> OwnNode:
    """The cluster as the private one of a user, whose folders the environment names."""
    base = Path(cluster.node.data_dir).parents[1]
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(base))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(base / "runtime"))
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(base / "config"))
    for name in ("AIQUEUE_URL", "AIQUEUE_MANAGEMENT_URL"):
        monkeypatch.delenv(name, raising=False)
    return cluster


def node_of(session: Session) -> int:
    """Which of its broker's hosts a session is connected to."""
    (peer,) = {
        connection.raddr.port
        for connection in psutil.Process().net_connections("tcp")
        if connection.status == psutil.CONN_ESTABLISHED
        and connection.raddr.port in [port for _, port in session.broker.hosts]
    }
    return [port for _, port in session.broker.hosts].index(peer)


def test_every_quorum_queue_has_a_member_on_each_node(cluster_broker: Broker) -> None:
    inventory = Inventory(cluster_broker)
    queues = [queue for queue in inventory.queues("^aiqueue[.]") if queue.type == "quorum"]
    inventory.close()
    assert len(queues) > 10
    assert [queue.name for queue in queues if len(queue.members) != 3] == []
    assert [queue.name for queue in queues if len(queue.online) != 3] == []


def test_connections_are_spread_over_the_nodes(cluster: OwnNode) -> None:
    found = set()
    for _ in range(100):
        with connect(cluster.broker, "test") as session:
            found.add(node_of(session))
        if found == {0, 1, 2}:
            return
    raise AssertionError(f"100 connections went to {found}")


def test_who_is_connected_to_a_node_that_is_killed_goes_on_with_another(
    cluster: OwnNode, cluster_broker: Broker, in_order: None
) -> None:
    # Given a client and a link that are connected to the first node
    client = Client(record=False)
    first = client.submit("train_model", {"epochs": 1})
    lost: list[str] = []
    link = Link(lambda: cluster_broker, "test", on_lost=lambda error: lost.append(str(error)))
    link.start()
    eventually(lambda: link.connected, message="the link does not connect")

    # When that node is killed
    cluster.kill_member(0)

    # Then the same client submits, and the same link takes both jobs
    second = client.submit("train_model", {"epochs": 2})
    client.close()
    eventually(lambda: lost and link.connected, message="the link does not come back")
    taken = [link.call(lambda session: session.get(QUEUE)) for _ in range(2)]
    link.close()
    assert [one.message.message_id for one in taken if one is not None] == [first.id, second.id]

    # And what is asked of the management API is asked of a node that lives
    management = Management(cluster_broker)
    assert management.overview().version
    assert str(cluster.members[0].ports.management) not in management.location
    management.close()
    assert measure(cluster_broker).broker.state == "up"

    # And the node can be started again alone
    cluster.start_member(0)
    with connect(cluster.members[0].broker(), "test"):
        pass


def test_members_that_trip_over_each_other_are_started_once_more(
    cluster: OwnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, tries = Gathering._once, []

    def stumbling(self: Gathering, ports: Any, running: Any) -> Node:
        tries.append(ports)
        if len(tries) == 1:
            raise NodeError("aiqueue2@localhost ended while it was starting. Its logs are there.")
        return once(self, ports, running)

    monkeypatch.setattr(Gathering, "_once", stumbling)
    cluster.kill()
    cluster.start()
    assert len(tries) == 2
    with connect(cluster.broker, "test"):
        pass


def test_nodes_whose_dead_lettering_ended_at_the_start_are_started_once_more(
    cluster: OwnNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[StartLogs] = []

    def failed(self: StartLogs) -> bool:
        asked.append(self)
        return len(asked) == 1

    monkeypatch.setattr(StartLogs, "dead_lettering_failed", failed)
    cluster.kill()
    before = [member.pid for member in cluster.members]
    cluster.start()
    assert len(asked) == 1 + len(before), "each is asked after the second start"
    with connect(cluster.broker, "test"):
        pass


def test_up_heals_the_cluster_and_tells_its_nodes(
    as_private: OwnNode, capsys: pytest.CaptureFixture[str]
) -> None:
    # Given a cluster with a killed node
    as_private.kill_member(1)
    found = node.status()
    assert found is not None
    assert [node.is_running(member) for member in found.members] == [True, False, True]

    # When it is said to be up
    assert cli.main(["up", "--nodes", "3", "--json"]) == 0

    # Then the killed node was started again, and the others were left alone
    printed = capsys.readouterr()
    assert "aiqueue2@localhost had ended; it is started again" in printed.err
    told = json.loads(printed.out)["nodes"]
    assert [(one["name"], one["running"]) for one in told] == [
        (f"aiqueue{number}@localhost", True) for number in (1, 2, 3)
    ]
    now = node.up()
    assert now.notes == ()
    assert [member.pid for member in now.members][::2] == [
        member.pid for member in as_private.members
    ][::2]

    # And clients know all nodes, and people are told of each
    assert [port for _, port in find_broker().hosts] == [m.ports.amqp for m in now.members]
    assert cli.main(["status"]) == 0
    assert capsys.readouterr().out.count("@localhost at amqp://127.0.0.1:") == 3

    # And a single node is not started beside it, but the way to one is said
    with pytest.raises(NodeError, match=r"aiqueue down`.*aiqueue up --nodes 3`"):
        node.up(nodes=1)
    assert node.start_member(2).members == now.members
    with pytest.raises(NodeError, match=r"\[1, 2, 3\]"):
        node.start_member(4)


def test_down_leaves_nothing_and_up_brings_the_cluster_back_with_its_jobs(
    as_private: OwnNode,
) -> None:
    # Given a job in the running cluster
    before = node.up(nodes=3)
    with connect(find_broker(), "test") as session:
        session.publish("", QUEUE, Message(body=b"kept"), mandatory=True)

    # When it is stopped
    assert node.down()

    # Then nothing of it runs
    pids = [*(member.pid for member in before.members), before.epmd_pid]
    assert not any(psutil.pid_exists(pid) and is_alive(psutil.Process(pid)) for pid in pids)
    assert belonging(*as_private.homes) == []
    assert node.status() is None
    assert not paths.connection_file().exists()

    # And it is the cluster that comes back, where it was, with the job
    after = node.up()
    # On a busy machine members may trip over each other, which is mended and said.
    assert [note for note in after.notes if "once more" not in note] == []
    assert after.url == before.url
    with connect(after.broker(), "test") as session:
        delivery = session.get(QUEUE)
        assert delivery is not None
        assert delivery.message.body == b"kept"
        session.ack(delivery)
