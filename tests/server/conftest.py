"""A Jupyter server with the extension, in this process, and its interface checked on the way."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from browsing import Call, Reply, Stream, check
from happenings import make_notebook
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from jupyter_aiqueue.server.app import AIQueueExtension


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment names no broker."""
    for name in list(os.environ):
        if name.startswith("AIQUEUE_") and name != "AIQUEUE_RABBITMQ_SERVER":
            monkeypatch.delenv(name)


@pytest.fixture
def jp_server_config() -> Config:
    return Config(
        {
            "ServerApp": {
                "jpserver_extensions": {"jupyter_aiqueue": True},
                "reraise_server_extension_failures": True,
                "allow_unauthenticated_access": False,
            },
            "AIQueueExtension": {"interval": 0.2, "minimum_interval": 0.2},
        }
    )


@pytest.fixture
def extension(
    jp_serverapp: ServerApp, jp_asyncio_loop: asyncio.AbstractEventLoop
) -> Iterator[AIQueueExtension]:
    """The running extension. Ask for `broker` or `no_broker` before it."""
    manager = jp_serverapp.extension_manager
    (app,) = manager.extension_apps["jupyter_aiqueue"]
    jp_asyncio_loop.run_until_complete(manager.start_all_extensions())
    yield app
    jp_asyncio_loop.run_until_complete(app.stop_extension())


@pytest.fixture
def api(extension: AIQueueExtension, jp_fetch: Any) -> Call:
    """Call the interface: ``await api("POST", "jobs", body={...})``.

    Every answer is held against `openapi.yaml`.
    """

    async def call(
        method: str, path: str, body: Any = None, *, raw: bytes | None = None, **query: str
    ) -> Reply:
        if method == "POST":
            raw = json.dumps(body or {}).encode() if raw is None else raw
        response = await jp_fetch(
            "aiqueue", "api", path, method=method, body=raw, params=query, raise_error=False
        )
        data = json.loads(response.body)
        check(method, path, response.code, data)
        return Reply(response.code, data)

    return call


@pytest.fixture
def notebook(jp_root_dir: Path) -> Path:
    return make_notebook(jp_root_dir / "train.ipynb")


@pytest.fixture
def tab(extension: AIQueueExtension, jp_ws_fetch: Any) -> Any:
    """``async with tab() as stream``: a browser that listens to the server's events."""

    @asynccontextmanager
    async def listen() -> AsyncIterator[Stream]:
        stream = Stream(await jp_ws_fetch("api", "events", "subscribe"))
        try:
            yield stream
        finally:
            stream.close()

    return listen
