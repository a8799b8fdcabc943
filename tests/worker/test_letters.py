"""Messages that go on: same body, our headers new, other people's kept within bounds."""

from __future__ import annotations

import json
from typing import Any

import pytest
from scene import make_job

from jupyter_aiqueue.core.message import Message, decode_job, encode_job
from jupyter_aiqueue.worker.letters import (
    MOST_FOREIGN,
    copy_of,
    dead_letter,
    given_back,
    reduced_letter,
)


def test_a_copy_is_the_same_job_with_the_same_body() -> None:
    job = make_job({"b": 1, "a": [2]}, name="n", user="alice", timeout=5.0)
    message = encode_job(job, user_id="alice")
    message.body = b'{"b": 1,   "a": [2]}'
    copy = copy_of(message, job, delay=60, given_back=2)
    assert copy.body == message.body
    assert decode_job(copy, group="train") == job
    assert copy.headers["aiq-delay"] == "60"
    assert given_back(copy) == 2
    assert copy.user_id is None, "the broker refuses another account's name"


def test_a_copy_keeps_other_peoples_headers_but_not_the_brokers() -> None:
    message = Message(
        body=b"{}",
        headers={"trace": "1", "x-death": [{"count": 1}], "nested": {"a": 1}, "aiq-name": "old"},
        correlation_id="c",
        app_id="their app",
    )
    copy = copy_of(message, make_job(name="new"))
    assert copy.headers["trace"] == "1"
    assert copy.headers["nested"] == "{'a': 1}"
    assert copy.headers["aiq-name"] == "new"
    assert "x-death" not in copy.headers
    assert (copy.correlation_id, copy.app_id) == ("c", "their app")


def test_a_dead_letter_tells_why_and_keeps_the_message() -> None:
    message = Message(body=b"\xff", headers={"aiq-attempt": 2, "x-death": []}, message_id="m")
    letter = dead_letter(message, reason="r", why="because", worker="w", history=["one"])
    assert letter.body == b"\xff"
    assert letter.message_id == "m"
    assert letter.headers["aiq-reason"] == "r"
    assert letter.headers["aiq-why"] == "because"
    assert letter.headers["aiq-worker"] == "w"
    assert letter.headers["aiq-attempt"] == 2
    assert "aiq-dead-at" in letter.headers
    assert "x-death" not in letter.headers
    assert json.loads(letter.headers["aiq-history"]) == ["one"]


def test_headers_always_fit_into_a_frame() -> None:
    message = Message(
        body=b"{}",
        headers={**{f"h{n}": "x" * 1000 for n in range(120)}, "aiq-name": "y" * 120_000},
    )
    for letter in (
        dead_letter(message, reason="r", why="w" * 9999, worker="w"),
        copy_of(message, make_job()),
    ):
        assert len(str(letter.headers)) < 3 * MOST_FOREIGN


@pytest.mark.parametrize("key", ["CC", "BCC", b"\xff\xfe"])
def test_headers_that_route_or_are_no_text_do_not_travel_on(key: Any) -> None:
    message = Message(body=b"{}", headers={key: "dead.train", "trace": "1", "big": 2**64 - 1})
    for letter in (
        dead_letter(message, reason="r", why="w", worker="w"),
        copy_of(message, make_job()),
    ):
        assert key not in letter.headers
        assert letter.headers["trace"] == "1"
        assert letter.headers["big"] == str(2**64 - 1)


def test_a_reduced_letter_has_only_what_can_be_sent() -> None:
    odd = "\0"
    message = Message(body=b"{}", headers={"CC": "x"}, message_id=odd, type="t", app_id=odd)
    letter = reduced_letter(message, reason="r", why="w", worker="w")
    assert (letter.body, letter.message_id, letter.type) == (b"{}", None, "t")
    assert set(letter.headers) == {"aiq-reason", "aiq-why", "aiq-dead-at", "aiq-worker"}
