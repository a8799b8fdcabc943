"""Reading a stream up to now.

A stream has no end to wait for. A reader therefore publishes a probe of its own into it and
reads until the probe comes past: then it has seen everything that was there before, whatever
the delays on the way. (Streams: https://www.rabbitmq.com/docs/streams)
"""

from __future__ import annotations

import secrets
import time

from .errors import BrokerUnreachable, NotConfirmed
from .message import Message
from .transport import Delivery, Session

#: Seconds without a message after which a chunk, which a stream sends at once, has arrived.
_QUIET = 0.1

#: Seconds to wait for the probe.
_PATIENCE = 10.0

_PROBE = "aiq-probe"

#: Header of a message that its writer waits for, and how often it is written at most.
_WRITTEN = "aiq-written"
_WRITES = 3


def replay(session: Session, exchange: str, stream: str, *, since: str = "first") -> list[Message]:
    """Everything that is in ``stream`` now, oldest first, probes of readers left out.

    Args:
        exchange: the exchange that the stream is bound to with the key ``probe.<stream>``.
        since: ``first``, ``last`` (the last chunk), or an age like ``15s``, ``2m``: then a
            little more than asked for may come.

    Raises:
        NotProvisioned: there is no such stream.
        BrokerUnreachable: the probe did not come back.
    """
    token = secrets.token_hex(8)
    found: list[Message] = []
    passed = False

    def arrived(delivery: Delivery) -> None:
        nonlocal passed
        session.ack(delivery)
        probe = delivery.message.headers.get(_PROBE)
        if probe is None and not passed:
            found.append(delivery.message)
        passed = passed or probe == token

    tag = session.consume(stream, arrived, prefetch=500, arguments={"x-stream-offset": since})
    try:
        session.publish(exchange, f"probe.{stream}", Message(body=b"", headers={_PROBE: token}))
        deadline = time.monotonic() + _PATIENCE
        while not passed:
            if time.monotonic() > deadline:
                raise BrokerUnreachable(
                    f"The stream {stream} at {session.broker.location} cannot be read: "
                    f"what was written into it did not come back within {_PATIENCE:.0f} s."
                )
            session.pump(0.2)
    finally:
        session.stop_consuming(tag)
    return found


def write(session: Session, exchange: str, key: str, stream: str, message: Message) -> None:
    """Publish ``message`` and see it come past in ``stream``.

    A broker that is just coming up confirms what it then loses: a confirm says that every queue
    has it which is there, and a stream is there a moment later than the connection.

    Raises:
        NotConfirmed: it is not in the stream.
        NotProvisioned, PermissionRefused, BrokerUnreachable.
    """
    token = secrets.token_hex(8)
    message.headers[_WRITTEN] = token
    came: list[Message] = []

    def arrived(delivery: Delivery) -> None:
        session.ack(delivery)
        if delivery.message.headers.get(_WRITTEN) == token:
            came.append(delivery.message)

    tag = session.consume(stream, arrived, prefetch=500, arguments={"x-stream-offset": "next"})
    try:
        for _ in range(_WRITES):
            session.publish(exchange, key, message, mandatory=True)
            deadline = time.monotonic() + _PATIENCE / _WRITES
            while time.monotonic() < deadline:
                if came:
                    return
                session.pump(0.2)
    finally:
        session.stop_consuming(tag)
    raise NotConfirmed(f"The broker at {session.broker.location} does not keep it.")


def last(session: Session, stream: str, *, patience: float = 2.0) -> Message | None:
    """The newest message of a stream that nobody probes, or None when it is empty.

    Args:
        patience: seconds after which a stream that delivers nothing is taken for empty.

    Raises:
        NotProvisioned: there is no such stream.
    """
    found: list[Message] = []

    def arrived(delivery: Delivery) -> None:
        session.ack(delivery)
        found.append(delivery.message)

    # "last" is the last chunk, which holds more than one message if they came together.
    tag = session.consume(stream, arrived, prefetch=500, arguments={"x-stream-offset": "last"})
    try:
        deadline = time.monotonic() + patience
        while not found and time.monotonic() < deadline:
            session.pump(0.2)
        seen = 0
        while len(found) > seen:
            seen = len(found)
            session.pump(_QUIET)
    finally:
        session.stop_consuming(tag)
    return found[-1] if found else None
