"""A worker's ear: what it is told and asked through the control exchange, while it is connected."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..core import topology
from ..core.errors import InvalidJob
from ..core.job import check_word
from ..core.message import Message
from ..core.status import (
    Answer,
    Ask,
    decode_answer,
    decode_ask,
    decode_ask_log,
    decode_cancel,
    decode_over,
)
from ..core.stream import replay
from ..core.transport import Delivery, Session

#: Messages that wait for a worker which is busy for a moment; then the oldest are dropped.
_MOST_WAITING = 10_000


class Hearers(NamedTuple):
    """Whom to tell what."""

    #: A job was cancelled: its id.
    cancel: Callable[[str], None]
    #: Somebody wants the log of a running job: its id.
    log: Callable[[Session, str], None]
    #: A job has ended: its id.
    over: Callable[[Session, str], None]
    ask: Callable[[Session, Ask], None]
    answer: Callable[[Session, Answer], None]


def listen(session: Session, worker: str, process: str, hearers: Hearers) -> None:
    """Hear from now on, and read the cancels and ends of before.

    In this order, so that none falls between. When it returns, every cancel that the broker
    confirmed earlier is known.

    Args:
        process: tells this process from all others; of what it said itself only its questions
            are heard.
    """
    keys = ("cancel.*", "log.*", "over.*", "ask.*", f"answer.{worker}")
    queue = session.temporary_queue(
        [(topology.CONTROL, key) for key in keys], max_length=_MOST_WAITING
    )

    def arrived(delivery: Delivery) -> None:
        session.ack(delivery)
        _tell(session, delivery.message, process, hearers)

    session.consume(queue, arrived, prefetch=50)
    for message in replay(session, topology.CONTROL, topology.CONTROL_LOG):
        _tell(session, message, process, hearers)


def _tell(session: Session, message: Message, process: str, hearers: Hearers) -> None:
    kind, body = message.routing_key.partition(".")[0], message.body
    try:
        if kind == "cancel":
            hearers.cancel(decode_cancel(body).job_id)
        elif kind == "log":
            hearers.log(session, decode_ask_log(body).job_id)
        elif kind == "over":
            over = decode_over(body)
            if over.process != process:
                hearers.over(session, over.job_id)
        elif kind == "ask":
            ask = decode_ask(body)
            check_word("worker", ask.asker)
            hearers.ask(session, ask)
        elif kind == "answer":
            answer = decode_answer(body)
            check_word("worker", answer.worker)
            if answer.process != process:
                hearers.answer(session, answer)
    except InvalidJob:
        return  # not a message of ours: nothing to obey
