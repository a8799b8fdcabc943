"""What happens to a job, and what is known of it afterwards."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import (
    Kind,
    apply,
    decode_event,
    encode_event,
    fold,
    job_bindings,
    make_event,
    routing_key,
)
from jupyter_aiqueue.core.job import Job, JobRecord, Result, State

from .histories import START, histories

JOB = Job(id="j1", config={"epochs": 3}, group="train", inbox="me", max_attempts=3)


def at(seconds: float) -> dict:
    return {"timestamp": START + timedelta(seconds=seconds)}


def known(*events) -> JobRecord:
    record = JobRecord(job_id=events[0].job_id)
    for event in events:
        apply(record, event)
    return record


@given(histories(), st.randoms())
@settings(max_examples=200)
def test_a_history_in_any_order_gives_the_same_record(history, random):
    expected = known(*history)
    random.shuffle(history)
    assert fold(JobRecord(job_id=history[0].job_id), history) == expected


@given(histories(ended=True), st.randoms(), st.data())
@settings(max_examples=200)
def test_an_end_is_never_left_and_never_changed_by_what_comes_late(history, random, data):
    end = history[-1]
    late = [*history[:-1], *data.draw(histories()), end]
    random.shuffle(late)
    record = known(end)
    before = (record.state, record.ended_at, record.result, record.reason, record.progress)
    for event in late:
        apply(record, msgspec.structs.replace(event, job_id=end.job_id))
        assert (record.state, record.ended_at, record.result, record.reason, record.progress) == (
            before
        )


def test_a_new_attempt_shows_nothing_of_the_one_before():
    result = Result(exit_code=1, duration_s=3.0, peak_memory_bytes=1, log_file="/runs/1")
    second = msgspec.structs.replace(JOB, attempt=2)
    record = known(
        make_event(Kind.STARTED, JOB, run="a", worker="w", **at(0)),
        make_event(Kind.RETRYING, JOB, run="a", result=result, log="it failed\n", **at(3)),
    )
    assert (record.result, record.log_tail) == (result, "it failed\n")
    apply(record, make_event(Kind.STARTED, second, run="b", worker="w", **at(13)))
    assert (record.attempt, record.result, record.log_tail) == (2, None, None)
    apply(record, make_event(Kind.DEAD, second, reason="its worker is gone", **at(99)))
    assert (record.result, record.log_tail) == (None, None)


@given(histories())
@settings(max_examples=100)
def test_telling_the_newest_event_twice_changes_nothing(history):
    record = known(*history)
    before = msgspec.structs.replace(record)
    assert apply(record, history[-1]) is False
    assert record == before


@given(histories())
@settings(max_examples=100)
def test_an_event_comes_back_from_its_line_as_it_was(history):
    for event in history:
        line = encode_event(event)
        assert b"\n" not in line
        assert decode_event(line) == event


def test_submitted_after_started_only_fills_in():
    record = known(
        make_event(Kind.STARTED, JOB, run="a", worker="w", **at(2)),
        make_event(Kind.SUBMITTED, JOB, **at(1)),
    )
    assert record.state is State.RUNNING
    assert record.started_at == START + timedelta(seconds=2)


def test_an_older_attempt_never_overrides_a_newer_one():
    second = msgspec.structs.replace(JOB, attempt=2)
    record = known(
        make_event(Kind.STARTED, second, run="b", worker="w2", **at(20)),
        make_event(Kind.RETRYING, JOB, run="a", worker="w1", reason="exit code 1", **at(10)),
    )
    assert (record.state, record.attempt, record.worker) == (State.RUNNING, 2, "w2")


def test_attempts_go_before_clocks_that_are_wrong():
    second = msgspec.structs.replace(JOB, attempt=2)
    events = [
        make_event(Kind.STARTED, JOB, run="a", worker="w1", **at(100)),
        make_event(Kind.RETRYING, JOB, run="a", worker="w1", reason="exit code 1", **at(110)),
        make_event(Kind.STARTED, second, run="b", worker="w2", **at(5)),
    ]
    assert fold(JobRecord(job_id="j1"), events[::-1]).state is State.RUNNING


def test_progress_that_comes_after_the_attempt_is_over_does_not_revive_it():
    record = known(
        make_event(Kind.STARTED, JOB, run="a", **at(1)),
        make_event(Kind.RETRYING, JOB, run="a", **at(3)),
        make_event(Kind.PROGRESS, JOB, run="a.1", progress=0.9, **at(2)),
    )
    assert record.state is State.RETRYING


def test_progress_that_comes_before_its_start_is_believed():
    record = known(
        make_event(Kind.SUBMITTED, JOB, **at(0)),
        make_event(Kind.PROGRESS, JOB, run="a.1", progress=0.5, metrics={"loss": 1}, **at(2)),
    )
    assert (record.state, record.progress) == (State.RUNNING, 0.5)


def test_a_new_attempt_starts_without_the_progress_of_the_last_one():
    second = msgspec.structs.replace(JOB, attempt=2)
    record = known(
        make_event(Kind.STARTED, JOB, run="a", **at(1)),
        make_event(Kind.PROGRESS, JOB, run="a.1", progress=0.9, metrics={"loss": 1}, **at(2)),
        make_event(Kind.RETRYING, JOB, run="a", next_attempt_at=START, **at(3)),
        make_event(Kind.STARTED, second, run="b", **at(4)),
    )
    assert (record.progress, record.metrics, record.next_attempt_at) == (None, {}, None)


def test_a_cancel_that_was_asked_for_shows_until_the_end():
    record = known(
        make_event(Kind.STARTED, JOB, run="a", **at(1)), make_event(Kind.CANCELLING, JOB, **at(2))
    )
    assert record.cancelling
    apply(record, make_event(Kind.CANCELLED, JOB, run="a", **at(3)))
    assert not record.cancelling


def test_the_time_limit_of_a_job_is_known_of_its_record():
    job = msgspec.structs.replace(JOB, timeout=90.0)
    assert known(make_event(Kind.SUBMITTED, job)).timeout == 90.0


def test_whoever_says_that_a_job_is_cancelled_says_the_same_event():
    later = msgspec.structs.replace(JOB, attempt=2)
    ids = {make_event(Kind.CANCELLED, job, run=run).id for job in (JOB, later) for run in "ab"}
    assert len(ids) == 1


def test_two_runs_of_one_attempt_are_told_apart():
    assert make_event(Kind.STARTED, JOB, run="a").id != make_event(Kind.STARTED, JOB, run="b").id


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'{"event": "exploded"}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"event":"started","job_id":"a","id":"b","timestamp":"2020-01-01T00:00:00Z","config":'
        + b'{"a":' * 5000
        + b"1"
        + b"}" * 5000
        + b"}",
        # Without its zone a time cannot be compared with others.
        b'{"event":"started","job_id":"a","id":"b","timestamp":"2020-01-01T00:00:00"}',
        b'{"event":"dead","job_id":"a","id":"b","timestamp":"%b","submitted_at":"2020-01-01T00:00"}'
        % b"2020-01-01T00:00:00Z",
    ],
    ids=range(9),
)
def test_what_is_no_event_is_refused(line):
    with pytest.raises(InvalidJob) as caught:
        decode_event(line)
    assert caught.value.reason == "malformed-event"


def test_an_event_of_a_later_version_with_more_fields_is_read():
    line = encode_event(make_event(Kind.SUBMITTED, JOB))[:-1] + b',"colour":"red"}'
    assert decode_event(line).event is Kind.SUBMITTED


def test_keys_keep_what_is_live_out_of_inboxes():
    assert routing_key(make_event(Kind.STARTED, JOB)) == "me.train.started.j1"
    assert routing_key(make_event(Kind.PROGRESS, JOB)) == "live.me.train.progress.j1"


def test_an_id_with_dots_and_hashes_is_one_word_of_a_key():
    job = Job(id="run.1 #2", config={}, group="train")
    assert routing_key(make_event(Kind.STARTED, job)) == "-.train.started.run_1__2"
    assert job_bindings(job.id)[0] == "*.*.*.run_1__2"
