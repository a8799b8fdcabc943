"""Ports, files and the account of a private node."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import stat
from pathlib import Path

import pytest

from jupyter_aiqueue.core.config import parse_url
from jupyter_aiqueue.node import layout as layout_module
from jupyter_aiqueue.node.find import Server
from jupyter_aiqueue.node.layout import Account, Layout, choose_ports, is_free, password_hash
from jupyter_aiqueue.node.record import Node, Ports, read_node, write_node

PORTS = Ports(20001, 20002, 20003, 20004)
SERVER = Server(
    Path("/opt/r/sbin/rabbitmq-server"), Path("/opt/r/bin/erl"), Path("/opt/r/bin/epmd")
)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "node")
    layout.make_folders()
    return layout


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_ports_are_free_distinct_and_below_those_of_outgoing_connections() -> None:
    ports = choose_ports()
    numbers = [ports.amqp, ports.management, ports.distribution, ports.epmd]
    assert len(set(numbers)) == 4
    assert all(1024 < port < 32768 for port in numbers)
    assert all(map(is_free, numbers))


def test_the_last_ports_are_kept_where_they_are_free() -> None:
    last = choose_ports()
    with socket.socket() as other:
        other.bind(("127.0.0.1", last.management))
        other.listen()
        ports = choose_ports(last)
    assert ports.management != last.management
    assert (ports.amqp, ports.distribution, ports.epmd) == (
        last.amqp,
        last.distribution,
        last.epmd,
    )


def test_the_account_is_random_kept_and_readable_by_its_owner_only(
    layout: Layout, tmp_path: Path
) -> None:
    account = layout.account()
    assert len(account.password) >= 24
    assert layout.account() == account
    assert Layout(tmp_path / "other").account().password != account.password
    assert mode(layout.account_file) == 0o600
    assert account.password not in repr(account)


def test_a_damaged_account_file_is_replaced(layout: Layout) -> None:
    layout.account_file.write_text('{"username": "aiq')
    assert layout.account() == layout.account()


def test_files_are_closed_to_others_and_hold_no_password(layout: Layout) -> None:
    account = layout.account()
    layout.write_files(PORTS, account)
    for file in (layout.config, layout.definitions, layout.plugins):
        assert mode(file) == 0o600
        assert account.password not in file.read_text()
    assert mode(layout.cookie_file) == 0o400
    assert mode(layout.root) == 0o700


def test_the_cookie_is_kept(layout: Layout) -> None:
    layout.write_files(PORTS, layout.account())
    cookie = layout.cookie()
    layout.write_files(PORTS, layout.account())
    assert cookie
    assert layout.cookie() == cookie


def test_everything_is_configured_for_loopback(layout: Layout) -> None:
    layout.write_files(PORTS, layout.account())
    lines = layout.config.read_text().splitlines()
    assert "listeners.tcp.1 = 127.0.0.1:20001" in lines
    assert "management.tcp.ip = 127.0.0.1" in lines
    assert layout.environment(SERVER, PORTS)["ERL_EPMD_ADDRESS"] == "127.0.0.1"
    command = layout.command(SERVER)
    assert command[command.index("inet_dist_use_interface") + 1] == "{127,0,0,1}"


def test_settings_of_the_caller_do_not_reach_the_node(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CONFIG_FILE", "NODENAME", "RABBITMQ_NODE_PORT", "ERL_FLAGS"):
        monkeypatch.setenv(name, "of somebody else")
    assert "of somebody else" not in layout.environment(SERVER, PORTS).values()


def test_the_definitions_hold_the_account_with_a_hash_that_rabbitmq_can_check(
    layout: Layout,
) -> None:
    account = layout.account()
    layout.write_files(PORTS, account)
    (user,) = json.loads(layout.definitions.read_text())["users"]
    raw = base64.b64decode(user["password_hash"])
    salt, digest = raw[:4], raw[4:]
    assert digest == hashlib.sha256(salt + account.password.encode()).digest()


def test_the_hash_is_the_one_of_rabbitmqs_documentation() -> None:
    # https://www.rabbitmq.com/docs/passwords: "test12" with this salt.
    assert password_hash("test12", bytes.fromhex("908DC60A")) == (
        "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR"
    )


def test_urls_survive_a_password_with_reserved_letters(layout: Layout) -> None:
    url, management = layout.urls(PORTS, Account(username="a@b", password="p:/?#%"))
    broker = parse_url(url, management_url=management)
    assert (broker.username, broker.password, broker.vhost) == ("a@b", "p:/?#%", "aiqueue")
    assert broker.hosts == (("127.0.0.1", 20001),)


def test_data_put_aside_are_kept_each_time(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    places = []
    for text in ("first", "second"):
        layout.data.mkdir()
        (layout.data / "queue").write_text(text)
        places.append(layout.put_aside())
    assert not layout.data.exists()
    assert [(place / "queue").read_text() for place in places] == ["first", "second"]
    assert all(place.name.startswith("node.broken-") for place in places)
    assert all(place.parent == layout.root.parent for place in places)


def test_few_schedulers_are_started_on_a_large_machine(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layout_module.os, "cpu_count", lambda: 96)
    assert "4:4" in layout.command(SERVER)


def make_node(**changes: object) -> Node:
    fields: dict[str, object] = {
        "url": "amqp://aiqueue:secret@127.0.0.1:20001/aiqueue",
        "management_url": "http://aiqueue:secret@127.0.0.1:20002",
        "pid": 1,
        "epmd_pid": 2,
        "node_name": "aiqueue@localhost",
        "data_dir": "/d",
        "log_dir": "/d/log",
        "ports": PORTS,
        "started_at": "2026-01-01T00:00:00+00:00",
    }
    return Node(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_node_shows_its_address_but_no_password() -> None:
    node = make_node()
    assert "secret" not in f"{node!r} {node} {node.location} {node.broker()!r}"
    assert node.location == "amqp://127.0.0.1:20001/aiqueue"


def test_a_record_is_read_as_it_was_written_and_closed_to_others(tmp_path: Path) -> None:
    file = tmp_path / "node.json"
    write_node(file, make_node())
    assert read_node(file) == make_node()
    assert mode(file) == 0o600


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"url": 1}', b"\xff\xfe"])
def test_a_damaged_record_is_none(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "node.json"
    file.write_bytes(content)
    assert read_node(file) is None
    assert read_node(tmp_path / "missing") is None
