"""Networks that misbehave, for tests: a proxy before the broker, and servers that are none."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

import msgspec

from jupyter_aiqueue.core.config import Broker


class Proxy:
    """A TCP proxy before a broker that can cut, swallow and invent. A context manager."""

    def __init__(self, broker: Broker) -> None:
        self._target = broker.hosts[0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._marker: bytes | None = None
        #: Drop what the broker says.
        self.swallowing = False
        #: Connections accepted so far.
        self.accepted = 0
        #: The broker as seen through this proxy.
        self.broker = msgspec.structs.replace(
            broker, hosts=(("127.0.0.1", self._listener.getsockname()[1]),)
        )
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()
        self.cut()

    @property
    def open(self) -> int:
        """Connections open now."""
        with self._lock:
            return len(self._pairs)

    def cut(self) -> None:
        """End all connections, as a broken network does."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                _reset(end)

    def cut_after(self, marker: bytes) -> None:
        """Cut when the broker has answered what holds ``marker``, and keep the answer. Once."""
        self._marker = marker

    def tell_clients(self, data: bytes) -> None:
        """Send ``data`` to the clients, as if the broker had."""
        with self._lock:
            for client, _ in self._pairs:
                client.sendall(data)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:
                _reset(client)
                continue
            self.accepted += 1
            pair = (client, server)
            with self._lock:
                self._pairs.append(pair)
            answering = threading.Event()
            threading.Thread(target=self._up, args=(pair, answering), daemon=True).start()
            threading.Thread(target=self._down, args=(pair, answering), daemon=True).start()

    def _up(self, pair: tuple[socket.socket, socket.socket], answering: threading.Event) -> None:
        client, server = pair
        with suppress(OSError):
            while data := client.recv(65_536):
                if self._marker is not None and self._marker in data:
                    self._marker = None
                    answering.set()
                server.sendall(data)
        self._end(pair)

    def _down(self, pair: tuple[socket.socket, socket.socket], answering: threading.Event) -> None:
        client, server = pair
        with suppress(OSError):
            while data := server.recv(65_536):
                if answering.is_set():
                    break
                if not self.swallowing:
                    client.sendall(data)
        self._end(pair)

    def _end(self, pair: tuple[socket.socket, socket.socket]) -> None:
        with self._lock:
            if pair in self._pairs:
                self._pairs.remove(pair)
        for end in pair:
            _reset(end)


class Server:
    """Something that listens and is no broker. A context manager; ``serve`` gets each client."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._clients: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()
        for client in self._clients:
            client.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._clients.append(client)
                with suppress(OSError):
                    self._serve(client)


def silent() -> Server:
    """Accepts, and never says a word."""
    return Server(lambda client: None)


def speaking_tls(certificate: str, key: str) -> Server:
    """Speaks TLS, and closes on who does not."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)

    def serve(client: socket.socket) -> None:
        with client, context.wrap_socket(client, server_side=True) as speaking:
            speaking.recv(1000)

    return Server(serve)


def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def blocked_frame(reason: str = "low on memory") -> bytes:
    """The broker's word that it takes no messages now (AMQP's connection.blocked)."""
    text = reason.encode()
    payload = struct.pack(">HHB", 10, 60, len(text)) + text
    return struct.pack(">BHI", 1, 0, len(payload)) + payload + b"\xce"


def _reset(end: socket.socket) -> None:
    with suppress(OSError):
        # Without the good-bye of a proper close.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
