"""Whatever comes over the wire is read, or refused with an error of ours; and can be sent on."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pika
import pytest
from hostile_input import json_values, moments, objects, patient, written
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.hostile_messages import number, properties, table, text, value
from jupyter_aiqueue.core import status
from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import (
    Event,
    Kind,
    decode_event,
    encode_event,
    fold,
    make_event,
    order,
)
from jupyter_aiqueue.core.events import routing_key as event_key
from jupyter_aiqueue.core.job import JobRecord, Priority
from jupyter_aiqueue.core.message import (
    UNREADABLE,
    Message,
    decode_job,
    encode_job,
    routing_key,
)
from jupyter_aiqueue.core.transport import _message, _tolerant
from jupyter_aiqueue.worker.letters import copy_of, dead_letter, given_back, reduced_letter

#: Bytes: a content header has to fit into one frame of 128 KiB.
LARGEST_HEADER = 131_072 - 8

short = st.binary(max_size=255)

ours = st.sampled_from(
    [
        b"aiq-" + name
        for name in (
            b"group priority attempt max-attempts timeout name inbox notebook user submitted "
            b"retry-of queue history given-back lease delay reason nonsense"
        ).split()
    ]
)

field_values = st.integers(0, 2**32).map(lambda seed: value(random.Random(seed))) | st.sampled_from(
    [
        *("train", "a.b", "high", "3", "1e9", "-1", "nan", "[]", '["a"]', "[" * 9999, "\0", ""),
        *("2026-01-02T03:04:05Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
    ]
).map(text)

#: True is a number to Python, and to nobody who reads JSON.
field_values |= st.sampled_from([b"t\x01", b"b\x01", b"l" + bytes(7) + b"\x02", b"V"])

tables = st.dictionaries(ours | st.binary(max_size=30), field_values, max_size=5).map(table)

raw_properties = st.fixed_dictionaries(
    {},
    optional={
        "content_type": short,
        "content_encoding": short,
        "headers": tables,
        "delivery_mode": st.integers(0, 255),
        "priority": st.integers(0, 255),
        "correlation_id": short,
        "reply_to": short,
        "expiration": short,
        "message_id": short | st.just(b"j1"),
        "timestamp": st.integers(0, 2**64 - 1),
        "type": short | st.just(b"train_model"),
        "user_id": short,
        "app_id": short,
        "cluster_id": short,
    },
).map(lambda fields: properties(**fields))

configs = written(objects({"task_id": st.text(max_size=10), "epochs": st.integers()}))


def received(raw: bytes, body: bytes) -> Message:
    """A message as the transport hands it over."""
    method = SimpleNamespace(exchange=b"\xff", routing_key="train.normal", redelivered=False)
    return _message(method, pika.spec.BasicProperties().decode(raw), body)


def header_frame(message: Message) -> bytes:
    """The content header that the client library would send."""
    fields = pika.BasicProperties(
        headers=message.headers or None,
        message_id=message.message_id,
        type=message.type,
        app_id=message.app_id,
        correlation_id=message.correlation_id,
        content_type=message.content_type,
        timestamp=message.timestamp,
        delivery_mode=2,
    )
    return b"".join(fields.encode())


def job_with(name: bytes, value: bytes) -> bytes:
    return properties(message_id=b"j1", headers=table({name: value}))


@patient
@given(raw_properties, configs)
# A number of 64 bits is of a type of the client library's own.
@example(job_with(b"aiq-attempt", number(2)), b"{}")
@example(job_with(b"aiq-given-back", number(2)), b"{}")
@example(job_with(b"aiq-given-back", b"t\x01"), b"{}")
@example(properties(app_id=b"\xff" * 255, correlation_id=b"\xff" * 255), b'{"task_id": "j1"}')
def test_a_message_is_read_or_refused_and_either_can_be_sent_on(raw: bytes, body: bytes) -> None:
    message = received(raw, body)
    try:
        job = decode_job(message, group="train")
    except InvalidJob:
        job = None
    if job is not None:
        assert routing_key(job).encode()
        assert encode_job(job).message_id == job.id
        event = make_event(Kind.STARTED, job, turn=given_back(message))
        assert decode_event(encode_event(event)) == event
        copy = copy_of(message, job, delay=10, given_back=given_back(message))
        assert len(header_frame(copy)) <= LARGEST_HEADER
        assert copy.body == body
        turn = given_back(message)
        ask = status.Ask(job_id=job.id, asker="w", process="p", attempt=job.attempt, turn=turn)
        assert status.decode_ask(status.encode(ask)) == ask
    for make in (dead_letter, reduced_letter):
        letter = make(message, reason="r", why="w" * 5000, worker="w")
        assert len(header_frame(letter)) <= LARGEST_HEADER
        assert letter.body == body


@patient
@given(st.binary(max_size=200), st.binary(max_size=20))
def test_a_table_that_cannot_be_read_is_passed_over_and_what_follows_is_found(
    content: bytes, before: bytes
) -> None:
    encoded = before + len(content).to_bytes(4, "big") + content + b"after"
    found, end = _tolerant(encoded, len(before))
    if UNREADABLE in found:
        assert encoded[end:] == b"after"


events = objects(
    {
        "event": st.sampled_from([kind.value for kind in Kind]),
        "job_id": st.text(max_size=8),
        "id": st.text(max_size=8),
        "timestamp": moments,
        "group": st.text(max_size=8),
        "attempt": st.integers(-5, 5),
        "turn": st.integers(-5, 5),
        "priority": st.sampled_from([priority.value for priority in Priority]),
        "submitted_at": moments,
        "config": st.dictionaries(st.text(max_size=5), json_values, max_size=2),
        "progress": st.floats(),
        "metrics": st.dictionaries(st.text(max_size=5), json_values, max_size=2),
        "next_attempt_at": moments,
        "log": st.text(max_size=20),
        "of": st.sampled_from([kind.value for kind in Kind]),
    }
)


@patient
@given(written(events))
def test_an_event_is_read_or_refused(data: bytes) -> None:
    try:
        event = decode_event(data)
    except InvalidJob:
        return
    assert encode_event(decode_event(encode_event(event))) == encode_event(event)


#: Enough of an event to be one, so that what follows is reached.
real_events = st.builds(
    lambda head, rest: {**rest, **head},
    st.fixed_dictionaries(
        {
            "event": st.sampled_from([kind.value for kind in Kind]),
            "job_id": st.just("j1"),
            "id": st.text(max_size=3),
            "timestamp": st.sampled_from(
                ["2026-01-02T03:04:05Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]
            ),
            "attempt": st.integers(-(2**70), 2**70),
            "turn": st.integers(-3, 3),
        }
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "metrics": st.dictionaries(st.text(max_size=5), json_values, max_size=2),
            "config": st.dictionaries(st.text(max_size=5), json_values, max_size=2),
            "progress": st.floats(0, 1),
            "group": st.text(max_size=3),
            "inbox": st.text(max_size=3),
        },
    ),
)


def _read_events(found: list[dict[str, Any]]) -> list[Event]:
    events = []
    for one in found:
        try:
            events.append(decode_event(json.dumps(one).encode()))
        except InvalidJob:
            continue
    return events


@patient
@given(st.lists(real_events, max_size=6), st.randoms(use_true_random=False))
def test_events_of_whatever_content_and_order_make_the_same_record(
    found: list[dict[str, Any]], chance: random.Random
) -> None:
    events = _read_events(found)
    shuffled = list(events)
    chance.shuffle(shuffled)
    one, other = (fold(JobRecord(job_id="j1"), some) for some in (events, shuffled))
    for event in events:
        assert event_key(event).encode()
        assert order(event)
    if len({order(event) for event in events}) == len(events):
        assert repr(one) == repr(other)


control = objects(
    {
        "worker": st.text(max_size=5),
        "job_id": st.text(max_size=5),
        "asker": st.text(max_size=5),
        "timestamp": moments,
        "attempt": st.integers(),
        "turn": st.integers(),
        "state": st.sampled_from(["active", "running", "over"]),
        "groups": st.lists(st.text(max_size=3), max_size=2),
        "slots": st.integers(),
        "running": st.lists(json_values, max_size=2),
        "interval": st.floats(),
    }
)


@pytest.mark.parametrize(
    "decode",
    [
        status.decode_heartbeat,
        status.decode_cancel,
        status.decode_ask_log,
        status.decode_ask,
        status.decode_answer,
        status.decode_over,
    ],
)
def test_control_messages_are_read_or_refused(decode: Callable[[bytes], Any]) -> None:
    @patient
    @given(written(control))
    def check(data: bytes) -> None:
        try:
            found = decode(data)
        except InvalidJob:
            return
        assert decode(status.encode(found)) == found

    check()
