"""Publishing many messages on one channel without waiting for each confirm in turn.

Below pika's blocking interface, which waits for every one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pika

from .message import Message


class Post(NamedTuple):
    """A message and where it goes."""

    exchange: str
    key: str
    message: Message


def properties_of(message: Message) -> Any:
    """As pika wants them."""
    return pika.BasicProperties(
        headers=message.headers or None,
        message_id=message.message_id,
        type=message.type,
        app_id=message.app_id,
        user_id=message.user_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        timestamp=message.timestamp,
        delivery_mode=2 if message.persistent else 1,
        expiration=None if message.expiration is None else str(message.expiration),
    )


def publish_all(
    channel: Any,
    posts: Sequence[Post],
    indexes: Sequence[int],
    mandatory: bool,
    taken: set[int],
    returned: set[int],
) -> list[int]:
    """Publish on a new channel, below the blocking interface, which waits for every confirm.

    Returns the indexes of those that the broker refused.
    """
    impl = channel._impl
    confirms: list[object] = []
    waiting = dict(enumerate(indexes, start=1))
    refused: list[int] = []

    def came_back(_: Any, method: Any, properties: Any, __: bytes) -> None:
        # It is confirmed afterwards, as if it had been taken.
        for index in waiting.values():
            post = posts[index]
            if (post.key, post.message.message_id) == (method.routing_key, properties.message_id):
                returned.add(index)

    def answered(frame: Any) -> None:
        method = frame.method
        up_to = [tag for tag in waiting if tag <= method.delivery_tag or not method.delivery_tag]
        for tag in up_to if method.multiple else [method.delivery_tag]:
            index = waiting.pop(tag)
            if isinstance(method, pika.spec.Basic.Nack):
                refused.append(index)
            elif index not in returned:
                taken.add(index)

    impl.add_on_return_callback(came_back)
    impl.confirm_delivery(ack_nack_callback=answered, callback=confirms.append)
    channel._flush_output(lambda: bool(confirms))
    for index in indexes:
        exchange, key, message = posts[index]
        impl.basic_publish(exchange, key, message.body, properties_of(message), mandatory)
    channel._flush_output(lambda: not waiting)
    return refused
