"""Looking from a notebook: load, jobs, logs, reasons."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import requests
from acting import ActingWorker, kinds
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from waiting import eventually

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerUnreachable, JobNotFound, NoBroker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import JobRecord, Priority, State, now
from jupyter_aiqueue.core.load import Load
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.status import Running
from jupyter_aiqueue.core.topology import Queue
from jupyter_aiqueue.core.transport import connect

MAGICS = [
    "queue_status",
    "submit_train",
    "jobs",
    "job",
    "job_log",
    "job_cancel",
    "job_retry",
    "dead_jobs",
    "queue_why",
    "queue_plan",
    "queue_panel",
    "queue_doctor",
]


def said_by(shell: InteractiveShell, line: str) -> str:
    name, _, rest = line.partition(" ")
    with capture_output() as said:
        shell.run_line_magic(name, rest)
    return said.stdout


def rich(shell: InteractiveShell, shown: Any) -> tuple[str, str]:
    """HTML and text as a front end gets them."""
    data, _ = shell.display_formatter.format(shown)
    return data["text/html"], data["text/plain"]


@pytest.mark.parametrize("name", MAGICS)
def test_every_magic_has_help_that_needs_no_broker(shell: InteractiveShell, name: str) -> None:
    told = said_by(shell, f"{name} --help")

    assert told.splitlines()[0].split()[0] == f"%{name}"
    # The docstring is as wide as the terminal was when the magics were loaded.
    doc = shell.find_line_magic(name).__doc__
    assert " ".join(told.split()) in " ".join(doc.split())


def test_the_record_that_wait_returns_is_shown_as_a_card(shell: InteractiveShell) -> None:
    html, text = rich(shell, JobRecord(job_id="j1", name="first", state=State.SUCCEEDED))

    assert "aiq-card" in html
    assert "first j1: succeeded" in text
    assert "JobRecord(" not in text


# -- the load --------------------------------------------------------------------------------


def test_the_status_shows_what_waits_and_runs_with_source_and_age(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    shell.run_line_magic("submit_train", "--model a --priority high")
    shell.run_line_magic("submit_train", "--model b")
    running = Running(job_id="x", group="train", priority=Priority.NORMAL, name="busy", since=now())
    worker.beat(running, slots=2)

    load = shell.run_line_magic("queue_status", "")

    train = next(group for group in load.groups if group.name == "train")
    assert (train.waiting.value, train.running.value, train.free.value) == (2, 1, 1)
    html, text = rich(shell, load)
    assert "1 high · 1 normal" in html
    assert "1 free / 2" in html
    assert "passive declare" in html
    assert "busy" in html
    assert "1/1/0" in text


def test_what_is_not_known_says_unknown(
    shell: InteractiveShell, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIQUEUE_MANAGEMENT_URL")

    html, _ = rich(shell, shell.run_line_magic("queue_status", ""))

    assert html.count(">unknown<") == 9  # rates in and out of three groups, and starts
    assert "No management API is configured" in html


def test_the_status_as_json_is_the_snapshot(shell: InteractiveShell, broker: Broker) -> None:
    told = said_by(shell, "queue_status --json")

    assert [group.name for group in msgspec.json.decode(told, type=Load).groups] == [
        "train",
        "infer",
        "preprocess",
    ]


def test_any_queue_of_a_broker_that_knows_nothing_of_us_can_be_looked_at(
    shell: InteractiveShell, empty_broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a plain queue, and an account that may only use the management API
    with connect(empty_broker, "test") as session:
        session.declare(Queue("ai_task_queue", {}))
        session.publish("", "ai_task_queue", Message(body=b'{"task_id": "train_001"}'))
    base, account = empty_broker.management_url, (empty_broker.username, empty_broker.password)
    user = f"watcher-{empty_broker.vhost}"
    requests.put(
        f"{base}/api/users/{user}",
        json={"password": "look", "tags": "management"},
        auth=account,
        timeout=30,
    ).raise_for_status()
    requests.put(
        f"{base}/api/permissions/{empty_broker.vhost}/{user}",
        json={"configure": "^$", "write": "^$", "read": "^$"},
        auth=account,
        timeout=30,
    ).raise_for_status()
    host, port = empty_broker.hosts[0]
    monkeypatch.setenv("AIQUEUE_URL", f"amqp://{user}:look@{host}:{port}/{empty_broker.vhost}")
    try:
        # When it looks
        load = shell.run_line_magic("queue_status", "--queue ai_task_queue")
    finally:
        requests.delete(f"{base}/api/users/{user}", auth=account, timeout=30)

    # Then the message that waits is seen, and groups that are not there are not asked for
    html, _ = rich(shell, load)
    assert [(group.queue, group.waiting.value) for group in load.groups] == [("ai_task_queue", 1)]
    assert "ai_task_queue" in html
    assert "provision" not in html


# -- jobs ------------------------------------------------------------------------------------


def test_jobs_are_those_of_this_notebook_newest_first(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["one", "two", "three"]
    for name in names:
        shell.run_line_magic("submit_train", f"--name {name} --lr 0.5")
    worker.finish(worker.take())
    eventually(lambda: "succeeded" in kinds(notebook), message="the end is not recorded")
    other = notebook.with_name("other.ipynb")
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(other))
    shell.run_line_magic("submit_train", "--name elsewhere")
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(notebook))

    jobs = shell.run_line_magic("jobs", "")

    assert [record.name for record in jobs] == ["three", "two", "one"]
    assert [r.name for r in shell.run_line_magic("jobs", "--state succeeded")] == ["one"]
    assert [r.name for r in shell.run_line_magic("jobs", "--all -n 1")] == ["elsewhere"]
    html, text = rich(shell, shell.run_line_magic("jobs", "-n 2"))
    assert "<span>lr=0.5</span>" in html
    assert "2 of 3 jobs" in html
    assert "2 of 3 jobs" in text


def test_a_job_is_found_by_a_part_of_its_id_and_the_newest_without(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    first = shell.run_line_magic("submit_train", "--name one")
    second = shell.run_line_magic("submit_train", "--name two")

    assert shell.run_line_magic("job", first.id[-8:]).id == first.id
    assert shell.run_line_magic("job", "").id == second.id
    with pytest.raises(JobNotFound):
        shell.run_line_magic("job", "nonsense")


def test_without_any_job_the_newest_one_is_a_usage_error(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    with pytest.raises(UsageError, match="No job is recorded"):
        shell.run_line_magic("job", "")


def test_the_log_of_an_ended_job_is_its_last_lines(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    handle = shell.run_line_magic("submit_train", "--name one")
    job = worker.take()
    worker.tell(Kind.STARTED, job)
    worker.tell(Kind.FAILED, job, reason="exit code 1", log="line 1\nline 2\n")
    handle.wait(20)
    eventually(lambda: "failed" in kinds(notebook), message="the end is not recorded")

    assert said_by(shell, f"job_log {handle.id}") == "line 1\nline 2\n"


def test_following_a_log_prints_each_part_once_until_the_job_ends(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, broker: Broker
) -> None:
    handle = shell.run_line_magic("submit_train", "--name one")
    job = worker.take()
    worker.tell(Kind.STARTED, job)
    eventually(lambda: handle.state is State.RUNNING, message="the start is not recorded")
    watched = threading.Event()
    watch = shell.run_line_magic("job", handle.id)._client.watch
    add = watch.add

    def added(*arguments: Any, **options: Any) -> None:
        add(*arguments, **options)
        watched.set()

    watch.add = added

    def act() -> None:
        watched.wait(20)
        with ActingWorker(broker) as second:
            second.tell(Kind.LOG, job, log="epoch 1\nepoch 2\n", log_offset=0)
            second.tell(Kind.LOG, job, log="epoch 2\nepoch 3\n", log_offset=8)
            second.tell(Kind.LOG, job, log="epoch 9\n", log_offset=64)
            second.tell(Kind.SUCCEEDED, job)

    actor = threading.Thread(target=act)
    actor.start()
    printed = said_by(shell, f"job_log -f {handle.id}")
    actor.join()

    assert printed.startswith("epoch 1\nepoch 2\nepoch 3\n── 40 characters before this")
    assert printed.splitlines()[-2:] == ["epoch 9", f"── {handle.id} succeeded"]


def test_dead_letters_tell_their_reason_and_cannot_inject_html(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    with connect(broker, "test") as session:
        session.publish(
            "aiqueue.dead",
            "train.normal",
            Message(
                body=b"<script>alert(1)</script>",
                headers={"aiq-reason": "malformed-json", "aiq-why": "<b>not JSON</b>"},
            ),
        )

    html, text = rich(shell, shell.run_line_magic("dead_jobs", ""))

    assert "malformed-json" in html
    assert "malformed-json" in text
    assert "<script" not in html
    assert "<b>" not in html
    assert len(shell.run_line_magic("dead_jobs", "infer")) == 0


def test_why_tells_what_is_ahead_and_who_works(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    shell.run_line_magic("submit_train", "--priority high")
    handle = shell.run_line_magic("submit_train", "--name mine")

    told = said_by(shell, f"queue_why {handle.id}")
    assert told.startswith("1 ahead of you at high; no worker serves train: nothing in it starts")

    worker.beat(
        Running(job_id="x", group="train", priority=Priority.HIGH, name="busy", user="alice"),
        slots=1,
    )
    told = said_by(shell, f"queue_why {handle.id}")
    assert told.startswith("1 ahead of you at high; train has 1 worker, busy.")
    assert "actor runs busy of alice" in told


def test_the_doctor_finds_what_is_wrong_and_says_what_to_do(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    shell.run_line_magic("submit_train", "--name waits")

    findings = shell.run_line_magic("queue_doctor", "")

    html, text = rich(shell, findings)
    assert "! No worker serves group train; jobs that wait: 1." in text
    assert "jupyter aiqueue worker --group train" in text
    assert ">jupyter aiqueue worker --group train</code>" in html
    assert broker.password not in html + text


def test_lines_in_a_narrow_terminal_are_continued_and_nothing_is_lost(
    shell: InteractiveShell, notebook: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    handle = shell.run_line_magic("submit_train", "--model resnet50 --data /data/train --epochs 10")

    text = shell.display_formatter.format(handle)[0]["text/plain"]

    assert max(len(line) for line in text.splitlines()) <= 40
    assert "resnet50" in text
    assert '"epochs": 10' in " ".join(text.split())


# -- a broker that is away -------------------------------------------------------------------

AWAY = "amqp://someone:hunter2@127.0.0.1:1/lab"


@pytest.mark.parametrize(
    "line", ["%submit_train --epochs 1", "%%submit_train\nepochs: 1", "%dead_jobs"]
)
def test_a_broker_that_is_away_costs_one_sentence(
    shell: InteractiveShell, notebook: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", AWAY)

    with capture_output() as said:
        result = shell.run_cell(line)

    assert isinstance(result.error_in_exec, BrokerUnreachable)
    shown = said.stdout + said.stderr
    assert "Nothing listens at amqp://127.0.0.1:1/lab" in shown
    assert len(shown.strip().splitlines()) == 1
    assert "hunter2" not in shown


def test_a_broker_that_is_away_is_a_status_and_a_finding(
    shell: InteractiveShell, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", AWAY)

    html, text = rich(shell, shell.run_line_magic("queue_status", ""))
    assert "unreachable" in html
    assert "Nothing listens" in text
    assert "Nothing listens" in repr(shell.run_line_magic("queue_doctor", ""))
    assert json.loads(said_by(shell, "queue_status --json"))["broker"]["state"] == "down"
    assert shell.run_line_magic("jobs", "") == []


def test_no_broker_at_all_says_how_to_get_one(
    shell: InteractiveShell,
) -> None:
    with capture_output() as said:
        result = shell.run_cell("%submit_train --epochs 1")

    assert isinstance(result.error_in_exec, NoBroker)
    assert "jupyter aiqueue up" in said.stdout + said.stderr
