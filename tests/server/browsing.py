"""A browser's view of the server: answers, events, and waiting for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any, NamedTuple

import jsonschema
import pytest
import yaml

DESCRIPTION: dict[str, Any] = yaml.safe_load(
    (files("jupyter_aiqueue.server") / "openapi.yaml").read_text("utf-8")
)


class Reply(NamedTuple):
    status: int
    data: Any


Call = Callable[..., Awaitable[Reply]]


def check(method: str, path: str, status: int, data: Any) -> None:
    """Fail unless the description says that this may be answered."""
    words = path.split("/")
    template = "/" + "/".join(["{job_id}" if i == 1 else word for i, word in enumerate(words)])
    template = f"/{path}" if f"/{path}" in DESCRIPTION["paths"] else template
    responses = DESCRIPTION["paths"][template][method.lower()]["responses"]
    assert str(status) in responses, f"{method} {path} answered {status}: {data}"
    response = responses[str(status)]
    if "$ref" in response:
        response = DESCRIPTION["components"]["responses"][response["$ref"].rsplit("/", 1)[-1]]
    schema = response["content"]["application/json"]["schema"]
    validator = jsonschema.Draft202012Validator({**schema, "components": DESCRIPTION["components"]})
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(data)]
    assert not wrong, f"{method} {path} answered {data}"


async def eventually(
    look: Callable[[], Any], message: str = "it did not happen", timeout: float = 20.0
) -> Any:
    """Wait until ``look`` (which may be a coroutine function) returns something true."""
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        found = look()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        if asyncio.get_running_loop().time() > deadline:
            pytest.fail(f"{message}, for {timeout} s; at last: {found!r}")
        await asyncio.sleep(0.05)


class Stream:
    """What a browser tab hears."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.heard: list[dict[str, Any]] = []

    async def until(self, wanted: Callable[[dict[str, Any]], bool], message: str) -> dict[str, Any]:
        """The next event that is ``wanted``."""

        async def listen() -> dict[str, Any]:
            while True:
                event: dict[str, Any] = json.loads(await self._socket.read_message())
                self.heard.append(event)
                if wanted(event):
                    return event

        try:
            return await asyncio.wait_for(listen(), 20)
        except asyncio.TimeoutError:
            pytest.fail(f"{message}; heard {self.heard}")

    def close(self) -> None:
        self._socket.close()
