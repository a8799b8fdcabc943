"""Accounts, certificates and bad networks for tests of the core."""

from __future__ import annotations

import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
import requests

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import URL_VARIABLE, Broker
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Session, connect

from .wire import Proxy


class Api:
    """The management API, as the operator uses it."""

    def __init__(self, broker: Broker) -> None:
        assert broker.management_url is not None
        self._base = f"{broker.management_url.rstrip('/')}/api"
        self._account = (broker.username, broker.password)

    def put(self, path: str, **body: Any) -> None:
        url = f"{self._base}/{path}"
        requests.put(url, json=body, auth=self._account, timeout=30).raise_for_status()

    def delete(self, path: str) -> None:
        requests.delete(f"{self._base}/{path}", auth=self._account, timeout=30)

    def get(self, path: str) -> Any:
        response = requests.get(f"{self._base}/{path}", auth=self._account, timeout=30)
        response.raise_for_status()
        return response.json()


@pytest.fixture(scope="session")
def provisioned(node_broker: Broker) -> Broker:
    """One virtual host for all tests of the core; making one takes a second."""
    api, vhost = Api(node_broker), f"core{secrets.token_hex(4)}"
    api.put(f"vhosts/{vhost}")
    api.put(f"permissions/{vhost}/{node_broker.username}", configure=".*", write=".*", read=".*")
    broker = msgspec.structs.replace(node_broker, vhost=vhost, origin=URL_VARIABLE)
    provision(broker, Catalog(retry_delays=(1, 2, 3)))
    return broker


@pytest.fixture
def broker(
    provisioned: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Broker]:
    """A provisioned broker without messages and without queues of other tests.

    Its streams are kept: who reads heartbeats takes `empty_broker`.
    """
    for name in list(os.environ):
        if name.startswith("AIQUEUE_"):
            monkeypatch.delenv(name)
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / "jupyter" / name.lower()))
    host, port = provisioned.hosts[0]
    account = f"{provisioned.username}:{quote(provisioned.password, safe='')}"
    monkeypatch.setenv("AIQUEUE_URL", f"amqp://{account}@{host}:{port}/{provisioned.vhost}")
    assert provisioned.management_url is not None
    monkeypatch.setenv("AIQUEUE_MANAGEMENT_URL", provisioned.management_url)
    yield provisioned
    _clean(provisioned)


def _clean(broker: Broker) -> None:
    api = Api(broker)
    ours = {queue.name for queue in topology.queues(Catalog(retry_delays=(1, 2, 3)))}
    with connect(broker, "cleaning") as session:
        for queue in api.get(f"queues/{broker.vhost}?columns=name,type"):
            name = f"queues/{broker.vhost}/{quote(queue['name'], safe='')}"
            if queue["name"] not in ours:
                api.delete(name)
            elif queue["type"] != "stream" and session.count(queue["name"]).ready:
                api.delete(f"{name}/contents")


@pytest.fixture
def api(broker: Broker) -> Api:
    return Api(broker)


@pytest.fixture
def account(broker: Broker, api: Api) -> Iterator[Callable[..., Broker]]:
    """Makes accounts: ``account(configure, write, read, tags="")`` is the broker as seen by it.

    With no permissions at all (None) it has no access to the virtual host.
    """
    made: list[str] = []

    def make(
        configure: str | None = None, write: str = "^$", read: str = "^$", *, tags: str = ""
    ) -> Broker:
        name, password = f"u{secrets.token_hex(4)}", f"pw-{secrets.token_hex(8)}"
        api.put(f"users/{name}", password=password, tags=tags)
        made.append(name)
        if configure is not None:
            vhost = quote(broker.vhost, safe="")
            api.put(f"permissions/{vhost}/{name}", configure=configure, write=write, read=read)
        assert broker.management_url is not None
        url = f"http://{broker.management_url.rsplit('@', 1)[-1].removeprefix('http://')}"
        return msgspec.structs.replace(broker, username=name, password=password, management_url=url)

    yield make
    for name in made:
        api.delete(f"users/{name}")


@pytest.fixture
def session(broker: Broker) -> Iterator[Session]:
    with connect(broker, "test") as session:
        yield session


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    with Proxy(broker) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate of its own authority for ``localhost``, and its key: paths of PEM files."""
    folder = tmp_path_factory.mktemp("tls")
    files = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost "
        f"-addext subjectAltName=DNS:localhost -out {files[0]} -keyout {files[1]}".split(),
        check=True,
        capture_output=True,
    )
    return files
