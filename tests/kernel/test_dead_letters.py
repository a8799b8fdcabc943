"""Dead letters from a notebook: seen, understood, sent again, saved, removed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from acting import ActingWorker, environment, kinds
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import InvalidJob, JobNotFound
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job, Priority, Result, State
from jupyter_aiqueue.core.message import Message, decode_job, encode_job
from jupyter_aiqueue.core.transport import Session, connect


@pytest.fixture
def session(broker: Broker) -> Iterator[Session]:
    with connect(broker, "test") as session:
        yield session


def bury(session: Session, job_id: str, reason: str = "exit-code", **fields: Any) -> None:
    job = Job(**{"id": job_id, "config": {"epochs": 3}, "group": "train"} | fields)
    letter = encode_job(job)
    letter.headers |= {
        "aiq-reason": reason,
        "aiq-why": "attempt 3 of 3 failed: exit code 2: ValueError: bad learning rate",
        "aiq-dead-at": "2026-01-01T00:00:00+00:00",
        "aiq-worker": "w1",
    }
    session.publish(topology.DEAD, f"{job.group}.normal", letter, mandatory=True)


def bury_poison(session: Session, body: bytes = b'{"lr": 0.1,,}') -> None:
    headers = {"aiq-reason": "malformed-json", "aiq-why": "The body is not JSON."}
    letter = Message(body=body, headers=headers, message_id="poison-1")
    session.publish(topology.DEAD, "train.normal", letter, mandatory=True)


def sent_again(session: Session) -> list[Job]:
    """Every job that waits in group train, taken for good."""
    found = []
    queue = topology.work_queue("train", Priority.NORMAL)
    while (delivery := session.get(queue)) is not None:
        session.ack(delivery)
        found.append(decode_job(delivery.message, group="train"))
    return found


def said_by(shell: InteractiveShell, line: str) -> str:
    name, _, rest = line.partition(" ")
    with capture_output() as said:
        shell.run_line_magic(name, rest)
    return str(said.stdout)


def rich(shell: InteractiveShell, shown: Any) -> tuple[str, str]:
    data, _ = shell.display_formatter.format(shown)
    return data["text/html"], data["text/plain"]


# -- looking ---------------------------------------------------------------------------------


def test_dead_jobs_are_counted_by_reason_and_are_a_table(
    shell: InteractiveShell, notebook: Path, session: Session
) -> None:
    bury(session, "a", "timeout", attempt=3, history=("x", "y", "z"))
    bury(session, "b", task="train_model", name="first")
    bury(session, "c")
    bury(session, "d", group="infer")
    bury_poison(session)

    letters = shell.run_line_magic("dead_jobs", "")

    html, text = rich(shell, letters)
    assert text.splitlines()[1].split() == ["exit-code", "3", "train,", "infer"]
    assert [letter.job_id for letter in letters] == ["b", "c", "d", "poison-1", "a"]
    html_of_none, _ = rich(shell, shell.run_line_magic("dead_jobs", "--reason exitcode"))
    assert "The reasons here are exit-code (3)" in html_of_none
    assert "No dead letters." not in html_of_none
    assert html.index("exit-code") < html.index("malformed-json") < html.index("timeout")
    assert "bad learning rate" in html
    assert "3/3" in html
    table = letters.table()
    assert list(table[table["reason"] == "exit-code"]["id"]) == ["b", "c", "d"]
    assert [one.job_id for one in shell.run_line_magic("dead_jobs", "infer")] == ["d"]
    timeouts = shell.run_line_magic("dead_jobs", "train --reason timeout")
    assert [one.job_id for one in timeouts] == ["a"]
    html, text = rich(shell, shell.run_line_magic("dead_jobs", "-n 2"))
    assert "2 of 5 dead letters are shown" in html
    assert "2 of 5 dead letters are shown" in text


def test_one_dead_job_tells_its_history_log_config_and_headers(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, session: Session
) -> None:
    handle = shell.run_line_magic("submit_train", "--name first --lr 3.0")
    job = worker.take()
    worker.tell(Kind.STARTED, job)
    worker.tell(Kind.DEAD, job, reason="exit code 2", log="epoch 1\nValueError: bad <lr>\n")
    eventually(lambda: "dead" in kinds(notebook), message="the end is not recorded")
    history = ("attempt 1 on w1: exit code 2", "attempt 2 on w2: exit code 2")
    bury(session, job.id, config=job.config, name="first", attempt=2, history=history)

    html, text = rich(shell, shell.run_line_magic("dead_jobs", handle.id[-8:]))

    for shown in (html, text):
        assert "attempt 2 on w2: exit code 2" in shown
        assert "epoch 1" in shown
        assert "aiq-max-attempts" in shown
    assert "lr=3.0" in html
    assert '"lr": 3.0' in text
    assert "ValueError: bad &lt;lr&gt;" in html


def test_a_dead_job_that_no_ledger_knows_says_where_its_output_is(
    shell: InteractiveShell, notebook: Path, session: Session
) -> None:
    bury(session, "train_001", attempt=3, history=("attempt 1 on w1: killed",))
    bury_poison(session)

    _, text = rich(shell, shell.run_line_magic("dead_jobs", "train_001"))
    assert "machine of worker w1" in text
    html, text = rich(shell, shell.run_line_magic("dead_jobs", "poison-1"))
    assert '{"lr": 0.1,,}' in text
    assert "%dead_jobs poison-1 --save FOLDER" in html
    with pytest.raises(JobNotFound, match="'nothing'"):
        shell.run_line_magic("dead_jobs", "nothing")


def test_the_log_on_a_workers_disk_is_named(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, session: Session
) -> None:
    shell.run_line_magic("submit_train", "--lr 3.0")
    job = worker.take()
    result = Result(exit_code=2, host="box-1", log_file="/data/runs/x/3/output.log")
    worker.tell(Kind.DEAD, job, reason="exit code 2", result=result)
    eventually(lambda: "dead" in kinds(notebook), message="the end is not recorded")
    bury(session, job.id, history=("x",))

    _, text = rich(shell, shell.run_line_magic("dead_jobs", job.id))

    assert "on box-1: /data/runs/x/3/output.log" in text


# -- acting ----------------------------------------------------------------------------------


def test_several_dead_jobs_are_sent_again_with_changes_written_either_way(
    shell: InteractiveShell, notebook: Path, session: Session
) -> None:
    for name in ("exp-a", "exp-b", "exp-c"):
        bury(session, name)

    with capture_output() as said:
        jobs = shell.run_line_magic("job_retry", "exp-a exp-b epochs=5 --lr 0.1 -o again")

    new = sent_again(session)
    assert [(job.retry_of, job.config["epochs"], job.config["lr"]) for job in new] == [
        ("exp-a", 5, 0.1),
        ("exp-b", 5, 0.1),
    ]
    assert [record.retry_of for record in jobs] == ["exp-a", "exp-b"]
    assert [handle.id for handle in shell.user_ns["again"]] == [job.id for job in new]
    assert f"exp-a is submitted again as {new[0].id}" in said.stdout
    assert [one.job_id for one in shell.run_line_magic("dead_jobs", "")] == ["exp-c"]


def test_one_that_cannot_be_sent_again_does_not_keep_the_others(
    shell: InteractiveShell, notebook: Path, session: Session
) -> None:
    bury(session, "exp-a")
    bury_poison(session)

    with capture_output() as said, pytest.raises(InvalidJob, match="--save"):
        shell.run_line_magic("job_retry", "poison-1 exp-a")

    assert "exp-a is submitted again" in said.stdout
    assert [job.retry_of for job in sent_again(session)] == ["exp-a"]


def test_all_of_a_reason_are_sent_again(
    shell: InteractiveShell, notebook: Path, session: Session
) -> None:
    bury(session, "a")
    bury(session, "b", "timeout")
    bury_poison(session)

    with capture_output() as said:
        jobs = shell.run_line_magic("dead_jobs", "--retry-all --reason exit-code --epochs 9")
    assert [(job.retry_of, job.config["epochs"]) for job in sent_again(session)] == [("a", 9)]
    assert len(jobs) == 1
    with capture_output() as said:
        shell.run_line_magic("dead_jobs", "--retry-all")
    assert "Submitted again: 1 jobs." in said.stdout
    assert "cannot be read as jobs: 1" in said.stdout
    assert [one.job_id for one in shell.run_line_magic("dead_jobs", "")] == ["poison-1"]


def test_a_retry_may_run_another_task_elsewhere_and_says_which_values_are_new(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, session: Session
) -> None:
    bury(session, "exp-a", task="train_model", max_attempts=3)

    again = shell.run_line_magic(
        "job_retry",
        "exp-a --task finetune --group infer --priority high --name second --retries 0 "
        "--timeout 2h --epochs 5 --epocs 6",
    )

    job = worker.take("infer", Priority.HIGH)
    assert (job.task, job.name, job.max_attempts, job.timeout) == ("finetune", "second", 1, 7200.0)
    config = {"task_id": job.id, "epochs": 5, "epocs": 6}
    assert (job.retry_of, job.config) == ("exp-a", config)
    assert [note for note in again.notes if "is new" in note] == [
        "epocs is new: the config had no such value."
    ]
    shell.run_line_magic("job_cancel", again.id)
    eventually(lambda: again.state.is_final, message="the cancel is not recorded")
    last = shell.run_line_magic("job_retry", f"{again.id} --task third")
    job = worker.take("infer", Priority.HIGH)
    assert (job.id, job.task, job.name, job.max_attempts) == (last.id, "third", "second", 1)


def test_all_dead_jobs_of_a_group_may_run_another_task(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, session: Session
) -> None:
    bury(session, "a", "unknown-task", task="train_model")
    bury(session, "b", "unknown-task", group="infer")

    with capture_output() as said:
        shell.run_line_magic("dead_jobs", "--retry-all --group train --task finetune --seed 1")

    assert [(job.retry_of, job.task, job.config["seed"]) for job in sent_again(session)] == [
        ("a", "finetune", 1)
    ]
    assert "seed is new: the config had no such value." in said.stdout
    assert [one.job_id for one in shell.run_line_magic("dead_jobs", "")] == ["b"]


def test_poison_is_saved_and_then_removed(
    shell: InteractiveShell, notebook: Path, session: Session, tmp_path: Path
) -> None:
    bury(session, "a")
    bury_poison(session, b"\xff\x00")
    folder = tmp_path / "letters"

    said = said_by(shell, f"dead_jobs --reason malformed-json --save {folder} --discard")

    assert "and removed: 1" in said
    assert (folder / "poison-1.body").read_bytes() == b"\xff\x00"
    assert json.loads((folder / "poison-1.json").read_text())["reason"] == "malformed-json"
    assert [one.job_id for one in shell.run_line_magic("dead_jobs", "")] == ["a"]
    assert "Removed: 1" in said_by(shell, "dead_jobs a --discard")
    assert shell.run_line_magic("dead_jobs", "") == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("dead_jobs --discard", "Name what to remove"),
        ("dead_jobs --epochs 3", "--epochs is not known here"),
        ("dead_jobs --task finetune", "--task is not known here, except with --retry-all"),
        ("dead_jobs --retry-all --discard", "--retry-all goes alone"),
        ("job_retry epochs=3", "Which job"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(
    shell: InteractiveShell, broker: Broker, line: str, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        said_by(shell, line)


# -- a job that kills its worker -------------------------------------------------------------

TASKS = """
default_task = "wreck"
[lease]
time = 3
renew = 1
grace = 2
[tasks.wreck]
command = ["python", "wreck.py"]
"""

WRECK = """
import os, signal, sys, time
if "--kill" in sys.argv and sys.argv[sys.argv.index("--kill") + 1] == "worker":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
print("survived", flush=True)
"""


@contextmanager
def real_worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", "train"]
    process = subprocess.Popen(
        [*command, "--tasks", str(folder / "aiqueue.toml")],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_a_job_that_killed_three_workers_is_sent_again_with_a_changed_parameter_and_succeeds(
    shell: InteractiveShell, notebook: Path, broker: Broker, tmp_path: Path
) -> None:
    # Given a job that kills every worker that runs it
    (tmp_path / "aiqueue.toml").write_text(TASKS)
    (tmp_path / "wreck.py").write_text(WRECK)
    handle = shell.run_line_magic("submit_train", "--task wreck --kill worker --name wrecker")
    for _ in range(3):
        with real_worker(tmp_path) as process:
            assert process.wait(40) == -9

    # When the next worker comes
    with real_worker(tmp_path) as process:
        assert handle.wait(40).state is State.DEAD

        # Then it does not run again, and its letter says why
        (letter,) = shell.run_line_magic("dead_jobs", "")
        assert (letter.job_id, letter.reason, letter.attempts) == (handle.id, "worker-lost", 3)
        assert len(letter.history) == 3
        html, _ = rich(shell, shell.run_line_magic("dead_jobs", handle.id))
        assert "attempt 1 on" in html

        # And with another parameter it succeeds
        again = shell.run_line_magic("job_retry", f"{handle.id} --kill nobody")
        assert again.wait(40).state is State.SUCCEEDED
        assert process.poll() is None
    assert again.record.retry_of == handle.id
    assert "survived" in again.log()
    assert shell.run_line_magic("dead_jobs", "") == []
