"""A job as a message and back, and what bad messages get."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import Kind, decode_event, encode_event, make_event
from jupyter_aiqueue.core.job import Job, Priority
from jupyter_aiqueue.core.message import MAX_BODY, Message, decode_job, encode_job, routing_key

from .histories import jobs, values


def plain(body: object, **fields: object) -> Message:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message(body=data, **fields)


def refused(message: Message) -> InvalidJob:
    with pytest.raises(InvalidJob) as caught:
        decode_job(message, group="train")
    return caught.value


def job_or_reason(message: Message) -> str:
    try:
        return decode_job(message, group="train").id
    except InvalidJob as error:
        return error.reason


@given(jobs)
@settings(max_examples=150)
def test_a_job_comes_back_from_its_message_as_it_was(job):
    message = encode_job(job)
    assert decode_job(message, group="elsewhere") == job
    assert json.loads(message.body) == job.config


@given(jobs)
@settings(max_examples=50)
def test_the_config_of_every_job_can_be_told_of_in_an_event(job):
    event = make_event(Kind.STARTED, decode_job(encode_job(job), group="g"))
    assert decode_event(encode_event(event)).config == job.config


def test_the_body_is_the_plain_config_and_all_else_rides_outside():
    job = Job(id="1", config={"model_type": "resnet50"}, group="train", name="first", task="t")
    message = encode_job(job)
    assert json.loads(message.body) == {"model_type": "resnet50"}
    assert (message.message_id, message.type) == ("1", "t")
    assert all(name.startswith("aiq-") for name in message.headers)
    assert message.persistent


def test_a_plain_producers_message_is_a_job_with_defaults():
    job = decode_job(
        plain({"task_id": "train_001", "model_type": "resnet50", "epochs": 10}), group="train"
    )
    assert job.id == "train_001"
    assert job.config["epochs"] == 10
    assert (job.group, job.priority, job.attempt, job.max_attempts) == (
        "train",
        Priority.NORMAL,
        1,
        3,
    )


def test_a_number_may_be_the_task_id():
    assert decode_job(plain({"task_id": 7}), group="train").id == "7"


def test_the_message_id_goes_before_the_task_id():
    assert decode_job(plain({"task_id": "a"}, message_id="b"), group="train").id == "b"


def test_a_timestamp_of_a_plain_producer_says_when_it_was_submitted():
    job = decode_job(plain({"task_id": "a"}, timestamp=1_700_000_000), group="train")
    assert job.submitted_at == datetime.fromtimestamp(1_700_000_000, timezone.utc)


def test_a_timestamp_of_the_far_future_is_taken_for_none():
    assert decode_job(plain({"task_id": "a"}, timestamp=2**62), group="g").submitted_at is None


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "malformed-json"),
        (b"{", "malformed-json"),
        (b"epochs: 10", "malformed-json"),
        (b'{"task_id": "a", "lr": NaN}', "malformed-json"),
        (b'{"task_id": "a", "lr": -Infinity}', "malformed-json"),
        (b'{"task_id": "a", "lr": 1e999}', "malformed-json"),
        (b'{"task_id": "a", "n": ' + b"9" * 5000 + b"}", "malformed-json"),
        (b'{"task_id": "a", "text": "\xff"}', "invalid-utf8"),
        ('{"task_id": "a"}'.encode("utf-16"), "invalid-utf8"),
        (b'{"task_id": "a", "text": "\\ud800"}', "invalid-utf8"),
        (b'["task_id"]', "wrong-type"),
        (b"10", "wrong-type"),
        (b"null", "wrong-type"),
        (b'{"task_id": ["a"]}', "wrong-type"),
        (b'{"task_id": true}', "wrong-type"),
        (b'{"task_id": 1.5}', "wrong-type"),
        (b'{"task_id": "a\\u0000b"}', "wrong-type"),
        (b'{"task_id": "' + b"x" * 201 + b'"}', "wrong-type"),
        (b"{}", "missing-task-id"),
        (b'{"task_id": null}', "missing-task-id"),
        (b'{"task_id": ""}', "missing-task-id"),
        (b'{"task_id": "a", "x": "' + b"x" * 5_000_000 + b'"}', "too-large"),
        (b'{"task_id": "a", "x": ' + b"[" * 400_000 + b"]" * 400_000 + b"}", "too-deep"),
        (b'{"task_id": "a", "x": ' + b"[" * 200 + b"]" * 200 + b"}", "too-deep"),
    ],
    ids=lambda value: value[:24].decode("latin1") if isinstance(value, bytes) else value,
)
def test_a_bad_body_is_refused_with_its_reason(body, reason):
    assert refused(plain(body)).reason == reason


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("aiq-group", 7, "wrong-type"),
        ("aiq-group", "a.b", "bad-name"),
        ("aiq-inbox", "#", "bad-name"),
        ("aiq-priority", "urgent", "wrong-type"),
        ("aiq-priority", 1, "wrong-type"),
        ("aiq-attempt", "1", "wrong-type"),
        ("aiq-attempt", 0, "wrong-type"),
        ("aiq-attempt", True, "wrong-type"),
        ("aiq-attempt", 2**40, "wrong-type"),
        ("aiq-max-attempts", -1, "wrong-type"),
        ("aiq-timeout", "soon", "wrong-type"),
        ("aiq-timeout", "nan", "wrong-type"),
        ("aiq-timeout", "-1", "wrong-type"),
        ("aiq-timeout", "1e99", "wrong-type"),
        ("aiq-submitted", "yesterday", "wrong-type"),
        ("aiq-history", "[1]", "wrong-type"),
        ("aiq-history", "{", "wrong-type"),
        ("aiq-history", "[" * 100_000, "wrong-type"),
        ("aiq-name", {"a": 1}, "wrong-type"),
        ("aiq-notebook", b"\xff", "wrong-type"),
    ],
)
def test_a_bad_header_is_refused_with_its_reason_and_its_name(name, value, reason):
    error = refused(plain({"task_id": "a"}, headers={name: value}))
    assert error.reason == reason
    assert name in str(error) or reason == "bad-name" or name == "aiq-priority"


@given(st.binary(max_size=200) | values.map(lambda v: json.dumps(v).encode()))
@settings(max_examples=200)
def test_any_bytes_give_a_job_or_a_reason(body):
    assert job_or_reason(Message(body=body))


@given(
    st.dictionaries(
        st.sampled_from(
            [
                f"aiq-{n}"
                for n in (
                    "group",
                    "priority",
                    "attempt",
                    "max-attempts",
                    "timeout",
                    "name",
                    "inbox",
                    "notebook",
                    "user",
                    "submitted",
                    "retry-of",
                    "queue",
                    "history",
                )
            ]
        ),
        values | st.binary(max_size=5),
    )
)
@settings(max_examples=200)
def test_any_headers_give_a_job_or_a_reason(headers):
    assert job_or_reason(plain({"task_id": "a"}, headers=headers))


def test_an_error_does_not_repeat_a_whole_body():
    body = b'{"task_id": "a", "timeout": ' + b"x" * 100_000 + b"}"
    assert len(str(refused(plain(body)))) < 500


DEEP: dict = {}
for _ in range(5000):
    DEEP = {"x": DEEP}
CIRCLE: dict = {}
CIRCLE["self"] = CIRCLE


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"lr": float("nan")}, "bad-config"),
        ({"lr": float("inf")}, "bad-config"),
        ({"model": object()}, "bad-config"),
        ({"set": {1, 2}}, "bad-config"),
        ({"text": "\ud800"}, "bad-config"),
        (CIRCLE, "bad-config"),
        ({"x": "x" * MAX_BODY}, "too-large"),
        (DEEP, "too-deep"),
    ],
    ids=["nan", "inf", "object", "set", "surrogate", "circle", "large", "deep"],
)
def test_a_config_that_cannot_be_sent_is_refused_before_anything_is(config, reason):
    with pytest.raises(InvalidJob) as caught:
        encode_job(Job(id="1", config=config, group="train"))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "x" * 201}, "wrong-type"),
        ({"task": "t" * 256}, "bad-name"),
        ({"name": "n" * 70_000}, "too-large"),
        ({"notebook": "/home/\udcff.ipynb"}, "bad-name"),
    ],
)
def test_what_would_break_the_connection_is_refused_before(fields, reason):
    with pytest.raises(InvalidJob) as caught:
        encode_job(Job(**{"id": "1", "config": {}, "group": "train"} | fields))
    assert caught.value.reason == reason


def test_jobs_go_to_their_group_and_priority_and_plain_ones_back_to_their_queue():
    job = Job(id="1", config={}, group="train", priority=Priority.HIGH)
    assert routing_key(job) == "train.high"
    assert routing_key(msgspec.structs.replace(job, queue="ai_task_queue")) == "queue.ai_task_queue"
