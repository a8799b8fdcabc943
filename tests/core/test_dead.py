"""Dead letters: looked at without losing any."""

from __future__ import annotations

import json

import pytest

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.dead import list_dead, remove_dead
from jupyter_aiqueue.core.errors import NotProvisioned, PermissionRefused
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.message import Message, encode_job
from jupyter_aiqueue.core.text import dead_text
from jupyter_aiqueue.core.transport import connect

from .wire import Proxy

QUEUE = topology.dead_queue("train")


def bury(session, *ids, **headers):
    for job_id in ids:
        message = encode_job(Job(id=job_id, config={"epochs": 3}, group="train"))
        message.headers |= {"aiq-reason": "exit-code", "aiq-why": "exit code 1"} | headers
        session.publish(topology.DEAD, "train.normal", message, mandatory=True)


def ids(letters):
    return [letter.job_id for letter in letters]


def test_a_letter_tells_the_job_and_why_it_is_dead(session):
    bury(session, "j1", **{"aiq-worker": "w1", "aiq-dead-at": "2026-01-01T00:00:00+00:00"})
    (letter,) = list_dead(session, "train")
    assert (letter.job_id, letter.reason, letter.why) == ("j1", "exit-code", "exit code 1")
    assert (letter.worker, letter.dead_at) == ("w1", "2026-01-01T00:00:00+00:00")
    assert letter.job.config == {"epochs": 3}
    assert "exit code 1" in dead_text([letter])


def test_thirty_looks_lose_nothing_and_keep_the_order(session):
    expected = [f"j{number}" for number in range(12)]
    bury(session, *expected)
    for _ in range(30):
        assert ids(list_dead(session, "train")) == expected
    assert session.count(QUEUE).ready == 12


def test_a_look_that_is_cut_loses_nothing(broker, session, monkeypatch):
    bury(session, "j1", "j2", "j3")
    with Proxy(broker) as proxy, connect(proxy.broker, "test") as other:
        taken = [other.get(QUEUE), other.get(QUEUE)]
        assert None not in taken
    for _ in range(100):
        if session.count(QUEUE).ready == 3:
            break
        session.pump(0.1)
    assert sorted(ids(list_dead(session, "train"))) == ["j1", "j2", "j3"]


def test_a_look_at_the_first_letters_leaves_the_others_in_their_place(session):
    bury(session, "j1", "j2", "j3")
    assert ids(list_dead(session, "train", limit=2)) == ["j1", "j2"]
    assert ids(list_dead(session, "train")) == ["j1", "j2", "j3"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[1]", b"x" * 2_000_000])
def test_a_letter_that_is_no_job_is_shown_as_it_is(session, body):
    message = Message(body=body, headers={"aiq-reason": "malformed-json"}, message_id="m1")
    session.publish(topology.DEAD, "train.normal", message, mandatory=True)
    (letter,) = list_dead(session, "train")
    assert (letter.job, letter.body, letter.job_id) == (None, body, "m1")
    assert letter.reason == "malformed-json"


def test_headers_of_strangers_do_not_disturb(session):
    headers = {"aiq-reason": 5, "aiq-why": {"a": 1}, "x-first-death-reason": "delivery_limit"}
    message = Message(body=json.dumps({"task_id": "a"}).encode(), headers=headers)
    session.publish(topology.DEAD, "train.normal", message, mandatory=True)
    (letter,) = list_dead(session, "train")
    assert (letter.reason, letter.why, letter.job_id) == ("delivery_limit", None, "a")


def test_removing_takes_the_letters_of_one_job_only(session):
    bury(session, "j1", "j2", "j1", "j3")
    assert remove_dead(session, "train", "j1") == 2
    assert ids(list_dead(session, "train")) == ["j2", "j3"]
    assert remove_dead(session, "train", "j1") == 0


def test_an_unknown_group_and_a_missing_permission_are_said(session, account):
    with pytest.raises(NotProvisioned, match="nobody"):
        list_dead(session, "nobody")
    bury(session, "j1")
    with connect(account("^$", "^$", "^$"), "test") as other, pytest.raises(PermissionRefused):
        list_dead(other, "train")


def test_no_letters_is_an_empty_list(session):
    assert list_dead(session, "train") == []
    assert dead_text([]) == "No dead letters."
