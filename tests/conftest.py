"""A real broker for every test that asks: one private node per session, one vhost per test.

With AIQUEUE_TEST_URL and AIQUEUE_TEST_MANAGEMENT_URL (of an administrator) a broker that is there
already is used instead of a private node; tests that start brokers of their own are skipped then.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from brokers import OwnNode, own_node

from jupyter_aiqueue import node as private_node
from jupyter_aiqueue.core.config import Broker, find_broker, parse_url, single_urls
from jupyter_aiqueue.core.errors import RabbitMQNotInstalled
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.node.answer import wait_until_kept
from jupyter_aiqueue.node.find import find_server
from jupyter_aiqueue.worker import lease

pytest_plugins = ["pytest_jupyter.jupyter_server"]

#: Seconds between attempts in tests, instead of minutes.
RETRY_DELAYS = (1, 2, 3)

_TEST_URL, _TEST_MANAGEMENT_URL = "AIQUEUE_TEST_URL", "AIQUEUE_TEST_MANAGEMENT_URL"

_JUPYTER_DIRS = ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """A line for each failure in the summary at the end; some messages have a page of text."""
    outcome = yield
    crash = getattr(outcome.get_result().longrepr, "reprcrash", None)
    if crash is not None:
        crash.message = crash.message.partition("\n")[0]


def _isolate(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Point Jupyter and this package at folders of the test's own."""
    for name in list(os.environ):
        if name.startswith("AIQUEUE_") and name != "AIQUEUE_RABBITMQ_SERVER":
            patch.delenv(name)
    for name in _JUPYTER_DIRS:
        target = folder / name.lower()
        target.mkdir(mode=0o700, parents=True, exist_ok=True)
        patch.setenv(name, str(target))


@pytest.fixture(autouse=True)
def no_wait_for_safety(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers of this process take jobs at once: no test but its own kills a broker that soon."""
    monkeypatch.setattr(lease, "SAFE", 0.0)


@pytest.fixture(scope="session")
def own_rabbitmq() -> None:
    """For tests that start brokers of their own: skips them where they cannot or should not."""
    if _TEST_URL in os.environ:
        pytest.skip(f"starts a broker of its own, and {_TEST_URL} names the one to be tested")
    try:
        find_server()
    except RabbitMQNotInstalled as error:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def node_broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """The broker of this session, with the account that may do everything."""
    if _TEST_URL in os.environ:
        yield parse_url(
            os.environ[_TEST_URL], management_url=os.environ[_TEST_MANAGEMENT_URL], origin=_TEST_URL
        )
        return
    request.getfixturevalue("own_rabbitmq")
    folder = tmp_path_factory.mktemp("node")
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, folder)
        private_node.up(timeout=120)
        broker = find_broker()
    try:
        yield broker
    finally:
        with pytest.MonkeyPatch.context() as patch:
            _isolate(patch, folder)
            private_node.down()


@contextmanager
def _vhost(node_broker: Broker, folder: Path) -> Iterator[Broker]:
    """A virtual host that knows nothing of us; the environment names it, and ``folder``."""
    vhost = f"t{secrets.token_hex(6)}"
    account = (node_broker.username, node_broker.password)
    scheme, _, rest = (node_broker.management_url or "").rpartition("://")
    management = f"{scheme or 'http'}://{rest.rsplit('@', 1)[-1].rstrip('/')}"
    base = f"{single_urls(management)[0]}/api"
    vhost_url = f"{base}/vhosts/{vhost}"
    requests.put(vhost_url, auth=account, timeout=30).raise_for_status()
    requests.put(
        f"{base}/permissions/{vhost}/{node_broker.username}",
        json={"configure": ".*", "write": ".*", "read": ".*"},
        auth=account,
        timeout=30,
    ).raise_for_status()
    hosts = ",".join(f"{host}:{port}" for host, port in node_broker.hosts)
    url = f"amqp://{':'.join(quote(word, safe='') for word in account)}@{hosts}/{vhost}"
    with pytest.MonkeyPatch.context() as patch:
        _isolate(patch, folder)
        patch.setenv("AIQUEUE_URL", url)
        patch.setenv("AIQUEUE_MANAGEMENT_URL", management)
        try:
            yield parse_url(url, management_url=management)
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


@pytest.fixture(scope="session")
def started_cluster(
    own_rabbitmq: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OwnNode]:
    """Three nodes on this machine; the first test that asks pays some 20 s for them."""
    # Where `node.up` would have it with JUPYTER_DATA_DIR at the first folder.
    folder = tmp_path_factory.mktemp("cluster") / "aiqueue" / "cluster"
    with own_node(folder, nodes=3) as cluster:
        yield cluster


@pytest.fixture
def cluster(started_cluster: OwnNode) -> OwnNode:
    """The three nodes, all running; the test may kill and start them."""
    started_cluster.start()
    return started_cluster


@pytest.fixture
def cluster_broker(cluster: OwnNode, tmp_path: Path) -> Iterator[Broker]:
    """Like `broker`, on the three nodes of `cluster`; it names all of them."""
    with _vhost(cluster.broker, tmp_path / "jupyter") as broker:
        catalog = Catalog(retry_delays=RETRY_DELAYS)
        provision(broker, catalog)
        for data in cluster.data:
            wait_until_kept(data, catalog, broker.vhost)
        try:
            yield broker
        finally:
            cluster.start()  # else the virtual host could not be removed
