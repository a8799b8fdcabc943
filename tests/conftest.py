"""A real broker for every test that asks: one private node per session, one vhost per test."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from jupyter_aiqueue import node as private_node
from jupyter_aiqueue.core.config import Broker, find_broker, parse_url
from jupyter_aiqueue.core.errors import RabbitMQNotInstalled
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog

pytest_plugins = ["pytest_jupyter.jupyter_server"]

#: Seconds between attempts in tests, instead of minutes.
RETRY_DELAYS = (1, 2, 3)

_JUPYTER_DIRS = ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")


def _isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Point Jupyter and this package at folders of the test's own."""
    for name in list(os.environ):
        if name.startswith("AIQUEUE_") and name != "AIQUEUE_RABBITMQ_SERVER":
            patch.delenv(name)
    for name in _JUPYTER_DIRS:
        target = folder / name.lower()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        patch.setenv(name, str(target))


@pytest.fixture(scope="session")
def node_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """The private node of this session, with the account that may do everything."""
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, tmp_path_factory.mktemp("node"))
        try:
            private_node.up(timeout=120)
        except RabbitMQNotInstalled as error:
            if os.environ.get("CI") == "true":
                raise
            pytest.skip(str(error))
        broker = find_broker()
    try:
        yield broker
    finally:
        with pytest.MonkeyPatch.context() as patch:
            _isolate(patch, tmp_path_factory.getbasetemp() / "node0")
            private_node.down()


@contextmanager
def _vhost(node_broker: Broker, folder: Path) -> Iterator[Broker]:
    """A virtual host that knows nothing of us; the environment names it, and ``folder``."""
    vhost = f"t{secrets.token_hex(6)}"
    api, account = node_broker.management_url, (node_broker.username, node_broker.password)
    assert api is not None
    base = api.rsplit("@", 1)[-1]
    base = base if base.startswith("http") else f"http://{base}"
    vhost_url = f"{base}/api/vhosts/{vhost}"
    requests.put(vhost_url, auth=account, timeout=30).raise_for_status()
    requests.put(
        f"{base}/api/permissions/{vhost}/{node_broker.username}",
        json={"configure": ".*", "write": ".*", "read": ".*"},
        auth=account,
        timeout=30,
    ).raise_for_status()
    host, port = node_broker.hosts[0]
    url = f"amqp://{node_broker.username}:{node_broker.password}@{host}:{port}/{vhost}"
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, folder)
        patch.setenv("AIQUEUE_URL", url)
        patch.setenv("AIQUEUE_MANAGEMENT_URL", base)
        try:
            yield parse_url(url, management_url=base)
        finally:
            requests.delete(vhost_url, auth=account, timeout=60)


@pytest.fixture
def empty_broker(node_broker: Broker, tmp_path: Path) -> Iterator[Broker]:
    """A virtual host of the test's own that knows nothing of us; the environment names it."""
    with _vhost(node_broker, tmp_path / "jupyter") as broker:
        yield broker


@pytest.fixture
def broker(empty_broker: Broker) -> Broker:
    """A virtual host of the test's own, provisioned, with retries after 1, 2 and 3 s."""
    provision(empty_broker, Catalog(retry_delays=RETRY_DELAYS))
    return empty_broker


@pytest.fixture(scope="module")
def module_broker(
    node_broker: Broker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The same for all tests of a module, where what uses it takes long to start."""
    with _vhost(node_broker, tmp_path_factory.mktemp("jupyter")) as broker:
        provision(broker, Catalog(retry_delays=RETRY_DELAYS))
        yield broker
