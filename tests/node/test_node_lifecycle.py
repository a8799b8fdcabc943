"""The life of a real private node. Each test finds it running and leaves it so."""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from waiting import eventually

import jupyter_aiqueue as package
from jupyter_aiqueue import node
from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.errors import NodeError, RabbitMQNotInstalled
from jupyter_aiqueue.core.management import Management
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.publisher import read_catalog
from jupyter_aiqueue.core.transport import connect
from jupyter_aiqueue.node import Node, start
from jupyter_aiqueue.node.find import SERVER_VARIABLE, find_server
from jupyter_aiqueue.node.layout import Layout, choose_ports
from jupyter_aiqueue.node.process import belonging, is_alive

QUEUE = "aiqueue.train.normal"
GROUPS = ("train", "big")

_UP = "from jupyter_aiqueue import node; print(node.up(timeout=120).pid)"


@pytest.fixture(scope="module", autouse=True)
def _folders(own_rabbitmq: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Folders of this module's own; whatever runs in them at the end is killed."""
    base = tmp_path_factory.mktemp("lifecycle")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("AIQUEUE_") and name != "AIQUEUE_RABBITMQ_SERVER":
                patch.delenv(name)
        for name in ("DATA", "RUNTIME", "CONFIG"):
            patch.setenv(f"JUPYTER_{name}_DIR", str(base / name.lower()))
        try:
            yield
        finally:
            node.down(timeout=0)


@pytest.fixture(scope="module")
def started(_folders: None) -> list[int]:
    """The process ids that two `up` at the same time returned."""
    other = subprocess.Popen([sys.executable, "-c", _UP], stdout=subprocess.PIPE, text=True)
    with other:
        own = node.up(timeout=120, groups=GROUPS)
        printed, _ = other.communicate(timeout=120)
    return [own.pid, int(printed)]


@pytest.fixture
def running(started: list[int]) -> Node:
    """The node of this module, running."""
    return node.up(timeout=120)


def layout_of(running: Node) -> Layout:
    return Layout(Path(running.data_dir))


def traces(running: Node) -> list[str]:
    """Command lines of living processes that have to do with the node."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or not is_alive(process):
                continue
            command = process.cmdline()
            line = " ".join(command)
            epmd = "epmd" in line and str(running.ports.epmd) in command
            if running.data_dir in line or epmd:
                found.append(line)
        except psutil.Error:
            continue
    return found + [str(process) for process in belonging(layout_of(running).home)]


def test_two_starts_at_the_same_time_give_one_node(started: list[int], running: Node) -> None:
    first, second = started
    assert first == second == running.pid
    assert len([p for p in belonging(layout_of(running).home) if "beam" in p.name()]) == 1


def test_it_answers_over_amqp_and_the_management_api_to_whoever_reads_its_file(
    running: Node,
) -> None:
    broker = find_broker()
    assert broker.origin == "private node"
    with connect(broker, "test") as session:
        assert session.version == running.rabbitmq
        assert session.count(QUEUE).ready == 0
    management = Management(broker)
    assert management.overview().version == running.rabbitmq
    management.close()


def test_the_connection_file_is_its_owners_and_says_what_is_promised(running: Node) -> None:
    file = paths.connection_file()
    content = json.loads(file.read_text())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert content["version"] == 1
    assert content["pid"] == running.pid
    assert psutil.Process(content["epmd_pid"]).name() == "epmd"
    assert set(content["ports"]) == {"amqp", "management", "distribution", "epmd"}
    assert content["log_dir"].startswith(content["data_dir"])


def test_every_port_of_its_processes_is_on_loopback(running: Node) -> None:
    owned = {process.pid for process in belonging(layout_of(running).home)}
    listening = [
        connection.laddr
        for connection in psutil.net_connections("inet")
        if connection.pid in owned and connection.status == psutil.CONN_LISTEN
    ]
    ports = running.ports
    assert {address.port for address in listening} == {
        ports.amqp,
        ports.management,
        ports.distribution,
        ports.epmd,
    }
    assert all(ipaddress.ip_address(address.ip).is_loopback for address in listening)


def test_others_can_read_nothing_of_it(running: Node) -> None:
    open_to_others = [
        path
        for path in Path(running.data_dir).rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o077
    ]
    assert stat.S_IMODE(Path(running.data_dir).stat().st_mode) == 0o700
    assert not open_to_others


def test_its_logs_hold_no_password(running: Node) -> None:
    password = running.broker().password
    logs = [file.read_text(errors="replace") for file in Path(running.log_dir).iterdir()]
    assert any(logs)
    assert not any(password in log for log in logs)


def test_up_and_status_return_the_node_that_runs(running: Node) -> None:
    assert node.up(timeout=30).pid == running.pid
    found = node.status()
    assert found is not None
    assert found.pid == running.pid


def test_a_lost_connection_file_is_written_again(running: Node) -> None:
    paths.connection_file().unlink()
    assert node.up(timeout=30).pid == running.pid
    assert find_broker().origin == "private node"


def test_a_damaged_connection_file_is_written_again(running: Node) -> None:
    paths.connection_file().write_text('{"url": "amq')
    assert node.up(timeout=30).pid == running.pid
    assert find_broker().hosts == running.broker().hosts


def test_a_second_node_with_other_data_is_refused(running: Node, tmp_path: Path) -> None:
    with pytest.raises(NodeError, match="jupyter aiqueue down"):
        node.up(data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_cluster_beside_it_is_refused_with_the_way_out(running: Node) -> None:
    with pytest.raises(NodeError, match=r"aiqueue down`.*aiqueue up --nodes 1`") as caught:
        node.up(nodes=3)
    assert running.data_dir in str(caught.value)
    assert node.up(nodes=1).pid == running.pid
    with pytest.raises(NodeError, match="1 node or 3"):
        node.up(nodes=2)


def test_messages_groups_and_account_survive_down_and_up(running: Node) -> None:
    # Given a message in a durable queue
    with connect(running.broker(), "test") as session:
        session.publish("", QUEUE, Message(body=b"kept"))

    # When the node is stopped
    assert node.down() is True

    # Then nothing of it is left
    assert traces(running) == []
    assert not paths.connection_file().exists()
    assert node.status() is None
    assert node.down() is False
    for port in (running.ports.amqp, running.ports.management, running.ports.epmd):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0

    # And when it is started again, everything is as it was
    again = node.up(timeout=120)
    assert again.notes == ()
    assert again.url == running.url
    assert again.node_name == running.node_name
    with connect(again.broker(), "test") as session:
        delivery = session.get(QUEUE)
        assert delivery is not None
        assert delivery.message.body == b"kept"
        session.ack(delivery)
        assert read_catalog(session).groups == GROUPS


def test_a_killed_node_is_started_again_with_what_it_held(
    running: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a confirmed message, a node that was killed, and one of its ports taken meanwhile
    with connect(running.broker(), "test") as session:
        session.publish("", QUEUE, Message(body=b"confirmed"))
    kill(running)
    holders: list[socket.socket] = []

    def choose_and_lose(wish: node.Ports | None = None) -> node.Ports:
        ports = choose_ports(wish)
        if not holders:
            holder = socket.socket()
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", ports.epmd))
            holder.listen()
            holders.append(holder)
        return ports

    monkeypatch.setattr(start, "choose_ports", choose_and_lose)
    try:
        # When it is started
        again = node.up(timeout=120)
    finally:
        holders[0].close()

    # Then both are said, and the message is there
    assert "ended without `down`" in again.notes[0]
    assert "took a port" in again.notes[1]
    assert again.pid != running.pid
    with connect(again.broker(), "test") as session:
        delivery = session.get(QUEUE)
        assert delivery is not None
        assert delivery.message.body == b"confirmed"
        session.ack(delivery)


def test_data_that_cannot_be_read_are_put_aside_and_said_so(running: Node) -> None:
    # Given a killed node whose write-ahead log was overwritten
    layout = layout_of(running)
    kill(running)
    logs = list(layout.data.glob("*/quorum/*/*.wal"))
    assert logs
    for log in logs:
        log.write_bytes(b"this is not a log of Ra" * 100)

    # When it is started
    again = node.up(timeout=120)

    # Then it starts empty, and the old data are kept where it says
    (aside,) = layout.root.parent.glob("node.broken-*")
    assert any(str(aside) in note and "submitted again" in note for note in again.notes)
    assert [log.name for log in aside.glob("*/quorum/*/*.wal")] == [log.name for log in logs]
    with connect(again.broker(), "test") as session:
        assert session.count(QUEUE).ready == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_an_ordinary_user_can_have_one_even_without_an_entry_in_the_list_of_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chosen = os.environ.get(SERVER_VARIABLE)
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    try:
        find_server()
    except RabbitMQNotInstalled:
        if os.environ.get("CI") == "true" and not chosen:
            raise
        pytest.skip("no RabbitMQ is where ordinary users find it")
    # Given a bare user id with a home directory (not below pytest's folder, closed to others)
    uid = 64321
    home = Path(tempfile.mkdtemp(prefix="aiqueue-user-"))
    os.chown(home, uid, uid)
    python = python_of(uid, home)
    try:
        # When it starts, uses and stops a node
        done = as_user(
            uid,
            home,
            python,
            "from jupyter_aiqueue import node\n"
            "from jupyter_aiqueue.core.config import find_broker\n"
            "from jupyter_aiqueue.core.transport import connect\n"
            "node.up(timeout=120)\n"
            "connect(find_broker(), 'test').close()\n"
            "assert node.down(timeout=0.1)\n",
        )

        # Then that works, and nothing of it runs
        assert done is not None
        assert done.returncode == 0, done.stderr
        assert not of_user(uid)
    finally:
        for process in of_user(uid):
            process.kill()
        shutil.rmtree(home, ignore_errors=True)


def of_user(uid: int) -> list[psutil.Process]:
    """The living processes of a user."""
    return [
        process
        for process in psutil.process_iter(["uids"])
        if process.info["uids"] and process.info["uids"].real == uid and is_alive(process)
    ]


def as_user(
    uid: int, home: Path, python: str, program: str
) -> subprocess.CompletedProcess[str] | None:
    """Run ``program`` as another user; None if that user may not run ``python``."""
    ours = [entry for entry in sys.path if "site-packages" in entry]
    try:
        return subprocess.run(
            [python, "-c", program],
            user=uid,
            group=uid,
            extra_groups=[],
            cwd=home,
            env={
                "HOME": str(home),
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "PYTHONPATH": os.pathsep.join([str(Path(package.__file__).parents[1]), *ours]),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=150,
        )
    except PermissionError:
        return None


def python_of(uid: int, home: Path) -> str:
    """An interpreter with our dependencies that the user may run; skips without one.

    Root's own may be below a directory that is closed to others.
    """
    for python in (sys.executable, "/usr/bin/python3"):
        done = as_user(uid, home, python, "import jupyter_aiqueue.node")
        if done is not None and done.returncode == 0:
            return python
    shutil.rmtree(home)
    pytest.skip("no Python here can be run by an ordinary user")


def kill(running: Node) -> None:
    """Kill the Erlang machine as a power failure would; the port mapper stays."""
    process = psutil.Process(running.pid)
    os.kill(running.pid, signal.SIGKILL)
    eventually(lambda: not is_alive(process), message="the killed node is still there")
