"""Jobs through a live worker and a real broker: from their queue to their end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from scene import Tape, alive, body, eventually, make_job, make_tasks, marks, pids, playing

from jupyter_aiqueue.core import paths, topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Priority, now
from jupyter_aiqueue.core.message import Message, encode_job
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.status import AskLog, Cancel
from jupyter_aiqueue.worker.tasks import Tasks


def test_a_job_runs_and_its_result_says_where_and_how(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    report = '{"progress": 1, "metrics": {"loss": 0.5}}'
    job = make_job(
        {"task_id": "x", "model_type": "resnet50", "epochs": 3, "say": "hello", "report": report},
        task="child",
        name="first try",
    )
    with playing(broker, tasks, name="w1") as scene:
        tape.submit(job)
        end = tape.end(job.id)
        scene.said("succeeded after")
    assert tape.kinds(job.id) == ["started", "succeeded"]
    started, _ = tape.of(job.id)
    assert started.config == job.config
    assert started.worker == "w1"
    started_at = started.timestamp
    assert (end.progress, end.metrics, end.log) == (1.0, {"loss": 0.5}, "hello\n")
    assert end.series is not None
    assert end.series.metrics == {"loss": [0.5]}
    assert 0 < end.series.seconds[0] <= (end.timestamp - started_at).total_seconds()
    result = end.result
    assert result is not None
    assert result.exit_code == 0
    assert result.duration_s is not None
    assert result.cpu_s is not None
    assert result.python is not None
    assert result.host is not None
    assert result.environment is not None
    assert result.git_commit is None, "the folder is no git repository"
    assert result.run_dir is not None
    folder = Path(result.run_dir)
    assert json.loads((folder / "config.json").read_text()) == job.config
    assert (folder / "output.log").read_text() == "hello\n"
    eventually(lambda: tape.ready("aiqueue.train.normal") == 0)


def test_a_failing_job_climbs_the_ladder_and_dies_with_its_history(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job(
        {"mark": str(tmp_path / "marks"), "exit-code": 7, "say": "oh"}, priority=Priority.LOW
    )
    with playing(broker, tasks):
        tape.submit(job)
        end = tape.end(job.id, timeout=60)
    retrying = ["started", "retrying"]
    assert tape.kinds(job.id) == [*retrying, *retrying, "started", "dead"]
    delays = [
        round((event.next_attempt_at - event.timestamp).total_seconds())
        for event in tape.of(job.id, Kind.RETRYING)
        if event.next_attempt_at
    ]
    assert delays == [1, 2]
    assert marks(tmp_path / "marks") == [f"{job.id} {attempt}" for attempt in (1, 2, 3)]
    assert end.reason == "attempt 3 of 3 failed: exit code 7: oh"
    assert end.log == "oh\n"
    (letter,) = tape.dead()
    assert letter.headers["aiq-reason"] == "exit-code"
    assert letter.headers["aiq-why"] == end.reason
    assert letter.headers["aiq-attempt"] == 3
    assert [entry[:9] for entry in json.loads(letter.headers["aiq-history"])] == [
        "attempt 1",
        "attempt 2",
        "attempt 3",
    ]
    assert letter.body == encode_job(job).body
    assert letter.routing_key == "train.low"


def test_a_job_that_fails_once_succeeds_in_its_second_attempt(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    tasks = make_tasks(tmp_path, "[tasks.flaky]\ncommand = ['sh', 'flaky.sh']\n")
    (tmp_path / "flaky.sh").write_text('test "$AIQUEUE_ATTEMPT" = 2\n')
    job = make_job()
    with playing(broker, tasks):
        tape.submit(job)
        tape.end(job.id)
    assert tape.kinds(job.id) == ["started", "retrying", "started", "succeeded"]
    assert tape.dead() == []


def test_a_job_with_a_single_attempt_fails_and_is_no_dead_letter(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    job = make_job({"signal": 11}, max_attempts=1)
    with playing(broker, tasks):
        tape.submit(job)
        end = tape.end(job.id)
    assert end.event is Kind.FAILED
    assert end.reason == "killed by signal 11 (SIGSEGV)"
    assert tape.dead() == []


def test_a_time_limit_of_the_job_or_else_of_the_task_ends_the_tree(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    text = "[tasks.child]\ncommand = ['python', 'child.py']\ntimeout = 1.5\n"
    tasks = make_tasks(tmp_path, text)
    files = [tmp_path / "one", tmp_path / "two"]
    jobs = [
        make_job({"sleep": 600, "spawn": str(files[0])}, timeout=1.0, max_attempts=1),
        make_job({"sleep": 600, "spawn": str(files[1])}, max_attempts=1),
    ]
    with playing(broker, tasks, slots=2):
        tape.submit(*jobs)
        ends = [tape.end(job.id) for job in jobs]
    assert [end.event for end in ends] == [Kind.FAILED, Kind.FAILED]
    assert all("longer than it may" in str(end.reason) for end in ends)
    assert not any(alive(pid) for file in files for pid in pids(file))


def _tampered(**headers: Any) -> Message:
    message = encode_job(make_job({"header": str(headers)[:80]}))
    message.headers |= headers
    return message


_BAD: dict[str, tuple[Message, str, bool]] = {
    # what it is: the message, the reason, whether the job can be told of in an event
    "an unknown task": (encode_job(make_job(task="rm -rf")), "unknown-task", True),
    "malformed JSON": (Message(body=b'{"epochs": ', message_id="m1"), "malformed-json", False),
    "NaN": (Message(body=b'{"lr": NaN}', message_id="m2"), "malformed-json", False),
    "a JSON list": (Message(body=b"[1, 2]", message_id="m3"), "wrong-type", False),
    "invalid UTF-8": (Message(body=b'{"a": "\xff"}', message_id="m4"), "invalid-utf8", False),
    "5 MB": (Message(body=body(a="x" * 5_000_000), message_id="m5"), "too-large", False),
    "no id": (Message(body=b'{"epochs": 1}'), "missing-task-id", False),
    "a task_id that is a list": (Message(body=b'{"task_id": [1]}'), "wrong-type", False),
    "attempt as text": (_tampered(**{"aiq-attempt": "2"}), "wrong-type", False),
    "a negative timeout": (_tampered(**{"aiq-timeout": "-1"}), "wrong-type", False),
    "a priority of their own": (_tampered(**{"aiq-priority": "urgent"}), "wrong-type", False),
    "a group with a dot": (_tampered(**{"aiq-group": "a.b"}), "bad-name", False),
    "huge headers": (_tampered(note="x" * 100_000), "too-large", False),
    "a flag as key": (encode_job(make_job({"a b": 1})), "bad-parameter", True),
    "half a character": (Message(body=b'{"a": "\\ud800"}', message_id="m6"), "invalid-utf8", False),
    "deep nesting": (
        Message(body=b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", message_id="m7"),
        "too-deep",
        False,
    ),
}


def test_bad_input_becomes_a_dead_letter_with_a_reason_and_the_worker_goes_on(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    good = make_job()
    with playing(broker, tasks) as scene:
        for message, _, _ in _BAD.values():
            tape.publish(topology.JOBS, "train.normal", message)
        tape.submit(good)
        tape.end(good.id)
        scene.said("is a dead letter", len(_BAD))
        eventually(lambda: tape.ready("aiqueue.train.normal") == 0)
    letters = {bytes(letter.body): letter for letter in tape.dead()}
    got = {name: letters[m.body].headers["aiq-reason"] for name, (m, _, _) in _BAD.items()}
    assert got == {name: reason for name, (_, reason, _) in _BAD.items()}
    assert all(letter.headers["aiq-why"] for letter in letters.values())
    assert all(letter.headers["aiq-worker"] for letter in letters.values())
    told = {event.job_id for event in tape.events if event.event is Kind.DEAD}
    assert told == {str(message.message_id) for message, _, known in _BAD.values() if known}


def test_a_second_message_with_the_same_id_is_a_dead_letter_and_ends_nothing(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "mark": str(tmp_path / "marks")})
    with playing(broker, tasks, slots=2) as scene:
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        tape.submit(job)
        scene.said("this worker runs a job of this id now")
        go.touch()
        tape.end(job.id)
        tape.submit(job)
        scene.said("has been run on this machine")
        eventually(lambda: tape.ready("aiqueue.dead.train") == 2)
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert len(marks(tmp_path / "marks")) == 1
    assert [m.headers["aiq-reason"] for m in tape.dead()] == ["duplicate-job-id"] * 2


def test_a_waiting_job_that_was_cancelled_is_not_run(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")})
    tape.submit(job)
    tape.control("cancel.x", Cancel(job_id=job.id, timestamp=now()))
    with playing(broker, tasks):
        end = tape.end(job.id)
        eventually(lambda: tape.ready("aiqueue.train.normal") == 0)
    assert end.event is Kind.CANCELLED
    assert end.id == make_event(Kind.CANCELLED, job).id, "the canceller's own event is the same"
    assert tape.kinds(job.id) == ["cancelled"]
    assert marks(tmp_path / "marks") == []


@pytest.mark.parametrize("deaf", [False, True])
def test_a_running_job_that_is_cancelled_ends_with_everything_it_started(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, deaf: bool
) -> None:
    job = make_job({"sleep": 600, "spawn": str(tmp_path / "pids"), "say": "hi", "deaf": deaf})
    with playing(broker, tasks):
        tape.submit(job)
        processes = pids(tmp_path / "pids")
        tape.control("cancel.x", Cancel(job_id=job.id, timestamp=now()))
        end = tape.end(job.id)
        assert end.event is Kind.CANCELLED
        assert end.log == "hi\n"
        assert [alive(pid) for pid in processes] == [False, False]
        after = make_job()
        tape.submit(after)
        assert tape.end(after.id).event is Kind.SUCCEEDED


def test_a_cancel_between_attempts_takes_effect(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks"), "exit-code": 1})
    with playing(broker, tasks):
        tape.submit(job)
        tape.wait(job.id, Kind.RETRYING)
        tape.control("cancel.x", Cancel(job_id=job.id, timestamp=now()))
        end = tape.end(job.id)
    assert (end.event, end.attempt) == (Kind.CANCELLED, 1)
    assert len(marks(tmp_path / "marks")) == 1


def test_progress_and_log_are_live_and_the_log_can_be_asked_for(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    report = '{"progress": 0.5, "metrics": {"loss": 2}}'
    job = make_job({"say": "one line", "report": report, "wait-for": str(go)})
    with playing(broker, tasks):
        tape.submit(job)
        progress = tape.wait(job.id, Kind.PROGRESS)
        assert (progress.progress, progress.metrics) == (0.5, {"loss": 2})
        first = tape.wait(job.id, Kind.LOG)
        assert (first.log, first.log_offset) == ("one line\n", 0)
        tape.control("log.x", AskLog(job_id=job.id))
        whole = tape.wait(job.id, Kind.LOG, count=2)
        assert (whole.log, whole.log_offset) == ("one line\n", 0)
        assert whole.id != first.id
        go.touch()
        tape.end(job.id)


def test_a_hint_starts_a_job_without_waiting_for_the_next_look(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    jobs = [make_job() for _ in range(10)]
    with playing(broker, tasks):
        for job in jobs:
            tape.submit(job)
            submitted = make_event(Kind.SUBMITTED, job)
            tape.link.call(lambda s, event=submitted: publish_event(s, event))
            tape.end(job.id)
    waits = sorted(
        (tape.of(job.id, Kind.STARTED)[0].timestamp - tape.of(job.id)[0].timestamp).total_seconds()
        for job in jobs
    )
    # Without hints the median is half of the two seconds between looks.
    assert waits[len(waits) // 2] < 0.5


def test_credentials_do_not_reach_the_child(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    file = tmp_path / "environment.json"
    job = make_job({"environment": str(file)})
    with playing(broker, tasks):
        tape.submit(job)
        tape.end(job.id)
    assert "AIQUEUE_JOB_ID" in file.read_text()
    assert broker.password not in file.read_text()
    assert "AIQUEUE_URL" not in file.read_text()


def test_a_run_folder_that_cannot_be_made_is_a_failed_attempt_and_not_a_lost_job(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    root = paths.run_root()
    root.parent.mkdir(parents=True, exist_ok=True)
    root.write_text("in the way")
    job = make_job()
    with playing(broker, tasks) as scene:
        tape.submit(job)
        retrying = tape.wait(job.id, Kind.RETRYING)
        scene.said("cannot be kept on disk")
        root.unlink()
        end = tape.end(job.id)
    assert "cannot be made: Not a directory" in str(retrying.reason)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
