"""Talking AMQP: the one place that uses the client library (pika).

`Session` is one connection, used by one thread. `Link` is a thread that keeps a session and
makes a new one when it is lost; other threads hand it work. Every operation is bounded in
time, and every failure is an error of `jupyter_aiqueue.core.errors`.
"""

from __future__ import annotations

import logging
import random
import struct
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import SimpleNamespace
from typing import Any, NamedTuple

import pika
import pika.compat
import pika.data
import pika.spec
from pika import exceptions as px
from pika.adapters.utils.connection_workflow import AMQPConnectorException

from .config import Broker
from .errors import (
    AIQueueError,
    BrokerError,
    BrokerUnreachable,
    NotConfirmed,
    NotProvisioned,
)
from .explain import TookTooLong, explain
from .message import UNREADABLE, Message
from .pipeline import Post, properties_of, publish_all
from .topology import Exchange, Queue

# The library logs every failed connection with a traceback; the same failure reaches the
# caller as an error with a sentence for people.
_pika_log = logging.getLogger("pika")
if _pika_log.level == logging.NOTSET:
    _pika_log.setLevel(logging.CRITICAL)

#: Seconds between AMQP heartbeats; a dead peer is noticed after about twice that.
HEARTBEAT = 20

#: Seconds an operation may take before the connection is given up.
OPERATION_TIMEOUT = 15.0

#: Seconds after which a broker that says that it takes no messages is given up: sooner, so that
#: the reason is known.
BLOCKED_TIMEOUT = 10.0

#: Publishes refused by the broker are tried this often, each time on a new channel: on 3.10 a
#: channel that met the loss of a queue's leader may refuse for ever, a new one does not.
_PUBLISH_TRIES = 3

#: Messages that are under way at a time when many are published.
_UNDER_WAY = 200


class Unroutable(BrokerError):
    """No queue took a mandatory message."""


class DeliveryLost(BrokerError):
    """The channel of a delivery is gone; the broker has the message back."""


class Count(NamedTuple):
    """What a passive declare tells: messages ready to be delivered, and consumers."""

    ready: int
    consumers: int


class Delivery:
    """A message that was taken from ``queue`` and is not acknowledged yet."""

    __slots__ = ("_channel", "_tag", "message", "queue", "took")

    def __init__(
        self, message: Message, queue: str, channel: Any, tag: int, *, took: float = 0.0
    ) -> None:
        self.message = message
        self.queue = queue
        #: Seconds that the broker took to hand it out when it was asked to.
        self.took = took
        self._channel = channel
        self._tag = tag

    @property
    def lost(self) -> bool:
        """Whether the broker has the message back: its channel or connection is gone."""
        return not self._channel.is_open


def connect(broker: Broker, name: str) -> Session:
    """Open a connection called ``name`` (shown in the management UI).

    Of the nodes of a cluster any may be chosen; those that refuse are passed over at once.

    Raises:
        BrokerUnreachable, AccessRefused, TLSFailed, ConfigError: within about
            ``broker.connect_timeout`` seconds per host.
    """
    options = None
    parameters = []
    for host, port in random.sample(broker.hosts, len(broker.hosts)):  # spreads the clients
        if broker.tls is not None:
            options = pika.SSLOptions(broker.tls.context(), server_hostname=host)
        parameters.append(
            pika.ConnectionParameters(
                host=host,
                port=port,
                virtual_host=broker.vhost,
                credentials=pika.PlainCredentials(broker.username, broker.password),
                ssl_options=options,
                heartbeat=HEARTBEAT,
                socket_timeout=broker.connect_timeout,
                stack_timeout=broker.connect_timeout,
                blocked_connection_timeout=BLOCKED_TIMEOUT,
                connection_attempts=1,
                client_properties={"connection_name": name, "product": "jupyter_aiqueue"},
            )
        )
    try:
        connection = pika.BlockingConnection(parameters)
    except (px.AMQPError, AMQPConnectorException, OSError) as error:
        # The second: what listens there does not speak at all.
        raise explain(error, broker) from error
    return Session(connection, broker)


class Session:
    """One connection, to be used by one thread at a time. A context manager."""

    def __init__(self, connection: Any, broker: Broker) -> None:
        self.broker = broker
        self._connection = connection
        properties = connection._impl.server_properties or {}
        version = properties.get("version")
        #: The broker's version, for example ``3.10.8``.
        self.version: str | None = version.decode() if isinstance(version, bytes) else version
        self._main: Any = None
        self._taking: dict[str, Any] = {}
        self._consumers: dict[str, tuple[Any, str, Callable[[Delivery], None]]] = {}
        self._arrived: deque[tuple[str, Delivery]] = deque()
        self._broken: BrokerError | None = None

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- publishing ----------------------------------------------------------------------

    def publish(
        self, exchange: str, key: str, message: Message, *, mandatory: bool = False
    ) -> None:
        """Publish and wait until the broker has taken responsibility for the message.

        Raises:
            Unroutable: ``mandatory`` and no queue took it.
            NotConfirmed: the broker refused it several times.
            BrokerBlocked, PermissionRefused, NotProvisioned, BrokerUnreachable.
        """
        properties = properties_of(message)
        with self._operation(f"publishing to {exchange}"):
            for tries_left in range(_PUBLISH_TRIES - 1, -1, -1):
                channel = self._main_channel()
                try:
                    channel.basic_publish(
                        exchange, key, message.body, properties, mandatory=mandatory
                    )
                    return
                except px.UnroutableError as error:
                    raise Unroutable(f"No queue takes {key!r} from {exchange}.") from error
                except px.NackError as error:
                    channel.close()
                    if not tries_left:
                        raise self._refused() from error
                    self._connection.sleep(0.2)

    def publish_many(
        self, posts: Sequence[Post], *, mandatory: bool = False, taken: set[int] | None = None
    ) -> set[int]:
        """Publish all of ``posts`` without waiting for each in turn; then wait for all confirms.

        Args:
            taken: gets the index of every message as soon as the broker has taken
                responsibility for it, so that it is known what was left when an error is
                raised; what is in it already is not published.

        Returns:
            Indexes of those that no queue took, if ``mandatory``. They are not in ``taken``.

        Raises:
            As `publish`, but for `Unroutable`.
        """
        taken = set() if taken is None else taken
        returned: set[int] = set()
        left = [index for index in range(len(posts)) if index not in taken]
        for start in range(0, len(left), _UNDER_WAY):
            now = left[start : start + _UNDER_WAY]
            with self._operation("publishing many messages"):
                for tries_left in range(_PUBLISH_TRIES - 1, -1, -1):
                    # A channel of its own, on which the broker counts from 1.
                    with self._connection.channel() as channel:
                        now = publish_all(channel, posts, now, mandatory, taken, returned)
                    if not now:
                        break
                    if not tries_left:
                        raise self._refused()
                    self._connection.sleep(0.2)
        return returned

    def _refused(self) -> NotConfirmed:
        return NotConfirmed(
            f"The broker at {self.broker.location} refused the message {_PUBLISH_TRIES} times; its "
            "queue may be full or without a leader. Try again in a minute."
        )

    # -- taking --------------------------------------------------------------------------

    def get(self, queue: str) -> Delivery | None:
        """Take one message, or None when none is ready."""
        # A channel of its own per queue: an error closes the channel, and with it would go
        # the deliveries of every other queue.
        with self._operation(f"taking from {queue}"):
            channel = self._taking.get(queue)
            if channel is None or not channel.is_open:
                channel = self._taking[queue] = self._connection.channel()
            asked = time.monotonic()
            method, properties, body = channel.basic_get(queue)
            took = time.monotonic() - asked
        if method is None:
            return None
        message = _message(method, properties, body)
        return Delivery(message, queue, channel, method.delivery_tag, took=took)

    def ack(self, delivery: Delivery) -> None:
        """Acknowledge: the broker forgets the message. Raises `DeliveryLost`."""
        with self._settling(delivery):
            delivery._channel.basic_ack(delivery._tag)

    def ack_up_to(self, delivery: Delivery) -> None:
        """Acknowledge it and all that came before it to the same consumer. `DeliveryLost`."""
        with self._settling(delivery):
            delivery._channel.basic_ack(delivery._tag, multiple=True)

    def give_back(self, delivery: Delivery) -> None:
        """Put the message back into its queue (it counts as delivered). Raises `DeliveryLost`."""
        with self._settling(delivery):
            delivery._channel.basic_reject(delivery._tag, requeue=True)

    @contextmanager
    def _settling(self, delivery: Delivery) -> Iterator[None]:
        if not delivery._channel.is_open:
            raise DeliveryLost(f"The message from {delivery.queue} is no longer ours.")
        with self._operation(f"settling a message of {delivery.queue}"):
            yield

    def consume(
        self,
        queue: str,
        callback: Callable[[Delivery], None],
        *,
        prefetch: int = 1,
        arguments: dict[str, Any] | None = None,
    ) -> str:
        """Have messages delivered to ``callback`` during `pump`; returns the consumer's tag.

        The callback may use this session freely.
        """
        with self._operation(f"consuming from {queue}"):
            channel = self._connection.channel()
            channel.basic_qos(prefetch_count=prefetch)

            def arrived(_: Any, method: Any, properties: Any, body: bytes) -> None:
                delivery = Delivery(
                    _message(method, properties, body), queue, channel, method.delivery_tag
                )
                self._arrived.append((method.consumer_tag, delivery))

            def cancelled(_: Any) -> None:
                self._broken = BrokerUnreachable(f"The broker ended our reading of {queue}.")

            channel.add_on_cancel_callback(cancelled)
            tag: str = channel.basic_consume(queue, arrived, arguments=arguments)
            self._consumers[tag] = (channel, queue, callback)
        return tag

    def stop_consuming(self, tag: str) -> None:
        """End a consumer; messages it holds unacknowledged go back to their queue."""
        channel, queue, _ = self._consumers.pop(tag)
        self._arrived = deque(item for item in self._arrived if item[0] != tag)
        if channel.is_open:
            with self._operation(f"ending the consumer of {queue}"):
                _close(channel)

    def pump(self, seconds: float = 0.0) -> None:
        """Wait up to ``seconds`` for something to happen, and deliver what has arrived.

        Raises:
            BrokerUnreachable: the connection, or the channel of a consumer, is gone.
        """
        if not self._arrived:
            self._check_open("reading")
            try:
                self._connection.process_data_events(time_limit=seconds)
            except (px.AMQPError, OSError) as error:
                raise explain(error, self.broker) from error
        while self._arrived:
            tag, delivery = self._arrived.popleft()
            if tag in self._consumers:
                self._consumers[tag][2](delivery)
        # A channel that the broker closed raises nothing by itself.
        for channel, queue, _ in list(self._consumers.values()):
            if not channel.is_open and self._broken is None:
                self._broken = BrokerUnreachable(f"The broker closed our channel to {queue}.")
        if self._broken is not None:
            raise self._broken

    # -- asking and declaring ------------------------------------------------------------

    def count(self, queue: str) -> Count:
        """Messages ready and consumers, exact and fresh. Raises `NotProvisioned`."""
        with self._operation(f"looking at {queue}"):
            method = self._main_channel().queue_declare(queue, passive=True).method
        return Count(method.message_count, method.consumer_count)

    def exists(self, queue: str) -> bool:
        """Whether the queue is there."""
        try:
            self.count(queue)
        except NotProvisioned:
            return False
        return True

    def declare_exchange(self, exchange: Exchange) -> None:
        """Declare a durable exchange; nothing happens when it is there."""
        with self._operation(f"declaring {exchange.name}"), self._connection.channel() as channel:
            channel.exchange_declare(exchange.name, exchange.type, durable=True)

    def declare(self, queue: Queue) -> None:
        """Declare a durable queue and its bindings; nothing happens when it is there."""
        with self._operation(f"declaring {queue.name}"), self._connection.channel() as channel:
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
            for exchange, key, arguments in queue.bindings:
                channel.queue_bind(queue.name, exchange, key, arguments or None)

    def bind(self, queue: str, exchange: str, key: str) -> None:
        """Bind an existing queue."""
        with self._operation(f"binding {queue}"), self._connection.channel() as channel:
            channel.queue_bind(queue, exchange, key)

    def delete(self, queue: str) -> None:
        """Delete a queue and what is in it; nothing happens when it is not there."""
        with self._operation(f"deleting {queue}"), self._connection.channel() as channel:
            channel.queue_delete(queue)

    def temporary_queue(
        self, bindings: Iterable[tuple[str, str]], *, max_length: int = 1000
    ) -> str:
        """A queue of this connection only, gone with it; full, it drops the oldest."""
        with self._operation("making a temporary queue"), self._connection.channel() as channel:
            # A server-named queue: accounts may be restricted to declaring just those.
            declared = channel.queue_declare(
                "", exclusive=True, auto_delete=False, arguments={"x-max-length": max_length}
            )
            name: str = declared.method.queue
            for exchange, key in bindings:
                channel.queue_bind(name, exchange, key)
        return name

    @contextmanager
    def throwaway(self, what: str) -> Iterator[Any]:
        """A channel of the client library's own, for a question that may close it (`doctor`)."""
        with self._operation(what), self._connection.channel() as channel:
            yield channel

    def close(self) -> None:
        """Close the connection; unacknowledged messages go back. Never raises."""
        # It is closed either way. (pika stumbles over a channel that was just being opened.)
        with suppress(AIQueueError, AttributeError):
            if self._connection.is_open:
                with self._operation("closing", timeout=2.0):
                    self._connection.close()

    def _main_channel(self) -> Any:
        """The channel for publishing and asking; a refusal closes it, and nothing is lost."""
        if self._main is None or not self._main.is_open:
            self._main = self._connection.channel()
            self._main.confirm_delivery()
        return self._main

    def wake(self) -> None:
        """Make `pump` return soon. The one method that any thread may call."""
        with suppress(px.AMQPError):  # closed: `pump` has returned already
            self._connection.add_callback_threadsafe(lambda: None)

    def _check_open(self, what: str) -> None:
        """The library's own error for a closed connection is sometimes a bare ``ValueError``."""
        if not self._connection.is_open:
            raise BrokerUnreachable(
                f"The connection to {self.broker.location} is closed; {what} needs a new one."
            )

    @contextmanager
    def _operation(self, what: str, *, timeout: float | None = None) -> Iterator[None]:
        """Bound what happens inside in time, and translate its errors."""
        self._check_open(what)
        timeout = OPERATION_TIMEOUT if timeout is None else timeout
        impl = self._connection._impl
        error = TookTooLong(f"{what} took more than {timeout:.0f} s")
        # A silent broker would otherwise be waited for until heartbeats fail, and a publish
        # to a queue without a majority for ever.
        timer = impl._adapter_call_later(timeout, lambda: impl._terminate_stream(error))
        try:
            yield
        except (px.AMQPError, OSError) as caught:
            raise explain(caught, self.broker, what) from caught
        finally:
            impl._adapter_remove_timeout(timer)


def _close(channel: Any) -> None:
    """Close a channel and forget what has arrived on it; from a queue, that goes back.

    The library's own ``close`` rejects it, and a stream answers a reject by closing the
    connection.
    """
    channel._impl.close()
    channel._flush_output(lambda: channel.is_closed)
    channel._cleanup()


def _tolerant(encoded: bytes, offset: int) -> tuple[dict[Any, Any], int]:
    """Decode a table; one that the client library cannot decode is passed over, and says so.

    Left alone, an odd header (a time in milliseconds, a table nested thousands deep) would end
    the connection of everybody who is sent the message, again and again.
    """
    size: int = struct.unpack_from(">I", encoded, offset)[0]
    try:
        table, end = pika.data.decode_table(encoded, offset)
    except Exception:
        return {UNREADABLE: True}, offset + 4 + size
    return table, end


# Only where frames are read: inside, the library's own function goes on to be used.
pika.spec.data = SimpleNamespace(**{**vars(pika.data), "decode_table": _tolerant})


def _text(value: Any) -> Any:
    """Text of what the client library could not decode as UTF-8."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _plain(value: Any) -> Any:
    """A header's value; the client library's own number type is one that no encoder knows."""
    return int(value) if isinstance(value, pika.compat.long) else value


def _message(method: Any, properties: Any, body: bytes | None) -> Message:
    timestamp = properties.timestamp
    return Message(
        body=body or b"",
        headers={_text(key): _plain(value) for key, value in (properties.headers or {}).items()},
        message_id=_text(properties.message_id),
        type=_text(properties.type),
        app_id=_text(properties.app_id),
        user_id=_text(properties.user_id),
        correlation_id=_text(properties.correlation_id),
        content_type=_text(properties.content_type),
        timestamp=timestamp if isinstance(timestamp, int) else None,
        persistent=properties.delivery_mode == 2,
        exchange=_text(method.exchange),
        routing_key=_text(method.routing_key),
        redelivered=method.redelivered,
    )
