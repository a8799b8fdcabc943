"""A browser's view of the server: answers, events, and waiting for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest


class Reply(NamedTuple):
    status: int
    data: Any


Call = Callable[..., Awaitable[Reply]]


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


