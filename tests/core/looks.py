"""What tests look at: errors as people read them, queues as brokers keep them."""

from __future__ import annotations

import time
import traceback
from urllib.parse import quote

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.transport import Delivery, Session


def clear(error: BaseException, *passwords: str) -> str:
    """The text of ``error``, found fit for a person: a sentence or two, without passwords."""
    text = str(error)
    whole = "".join(traceback.format_exception(error))
    assert "\n" not in text
    assert text[-1] in ".?`"
    assert 20 < len(text) < 400, text
    for password in passwords:
        assert password not in whole
    return text


def pump_until(session: Session, condition, timeout: float = 10.0) -> None:
    """Serve the session until ``condition`` holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "nothing came"
        session.pump(0.2)


def drain(session: Session, queue: str, number: int) -> list[Message]:
    """Take ``number`` messages out of a queue by consuming, as an inbox demands."""
    found: list[Message] = []

    def arrived(delivery: Delivery) -> None:
        session.ack(delivery)
        found.append(delivery.message)

    tag = session.consume(queue, arrived)
    pump_until(session, lambda: len(found) >= number)
    session.stop_consuming(tag)
    return found


def url_of(broker: Broker) -> str:
    """The URL of a broker, with its account."""
    account = f"{quote(broker.username, safe='')}:{quote(broker.password, safe='')}"
    host, port = broker.hosts[0]
    return f"amqp://{account}@{host}:{port}/{quote(broker.vhost, safe='')}"
