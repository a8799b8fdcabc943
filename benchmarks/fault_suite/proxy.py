"""A TCP proxy between workers and broker: one route each, to be cut, silenced and slowed down."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

_CHUNK = 65_536

#: SO_LINGER on, 0 seconds: a close then sends RST.
_RESET = struct.pack("ii", 1, 0)


class Route:
    """One listening port in front of one address. Its methods are for any thread."""

    def __init__(self, proxy: Proxy, target: tuple[str, int]) -> None:
        self.target = target
        self.port = 0
        self._proxy = proxy
        self._closed = False
        self._delay = 0.0
        self._pass = asyncio.Event()
        self._pass.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Reset every connection, and every new one, until `heal`."""
        self._proxy.call(self._cut())

    def silence(self) -> None:
        """Let nothing through, and keep the connections open, until `heal`."""
        self._proxy.call(self._set(silent=True))

    def slow(self, delay: float) -> None:
        """Have everything take ``delay`` seconds longer, until `heal`."""
        self._proxy.call(self._set(delay=delay))

    def heal(self) -> None:
        """Be a good connection again. What was held back by a silence arrives now."""
        self._proxy.call(self._set())

    async def open(self) -> None:
        """Listen on a port of the system's choice. In the proxy's thread."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]

    async def _set(self, *, silent: bool = False, delay: float = 0.0) -> None:
        self._closed, self._delay = False, delay
        if silent:
            self._pass.clear()
        else:
            self._pass.set()

    async def _cut(self) -> None:
        self._closed = True
        for writer in list(self._writers):
            _reset(writer)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._closed:
            _reset(writer)
            return
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            _reset(writer)  # as if nobody listened
            return
        ends = {writer, far_writer}
        self._writers |= ends
        pumps = [
            asyncio.create_task(self._pump(reader, far_writer)),
            asyncio.create_task(self._pump(far_reader, writer)),
        ]
        self._tasks |= set(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
            self._tasks.discard(pump)
        self._writers -= ends
        for end in ends:
            end.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._pass.wait()
                if self._delay:
                    await asyncio.sleep(self._delay)
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    plain: socket.socket | None = writer.get_extra_info("socket")
    if plain is not None:
        with suppress(OSError):
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


class Proxy:
    """A thread that carries all routes."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()

    def route(self, target: tuple[str, int]) -> Route:
        """A new route to ``target``."""
        return self.call(self._route(target))

    async def _route(self, target: tuple[str, int]) -> Route:
        route = Route(self, target)
        await route.open()
        return route

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` in the proxy's thread."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    def close(self) -> None:
        """End everything."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
