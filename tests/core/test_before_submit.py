"""What is asked before a submit, and while a job waits: again, dry runs, and the reason."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import eventually

from jupyter_aiqueue import Client
from jupyter_aiqueue.cli import main
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AlreadySucceeded, InvalidJob
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.handle import JobHandle
from jupyter_aiqueue.core.job import Priority, Result, now
from jupyter_aiqueue.core.ledger import ledger_path
from jupyter_aiqueue.core.message import Message, decode_job
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.status import Heartbeat, Running, encode
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Session

from .conftest import Api

CONFIG = {"lr": 1, "layers": [64, 32]}
COMMIT = "a" * 40

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def silence(broker: Broker, api: Api, session: Session) -> None:
    """The heartbeats of other tests are forgotten."""
    log = next(q for q in topology.queues(Catalog()) if q.name == topology.STATUS_LOG)
    api.delete(f"queues/{broker.vhost}/{log.name}")
    session.declare(log)


@pytest.fixture
def client(broker: Broker, tmp_path: Path) -> Iterator[Client]:
    """A client of a notebook, that records its jobs itself."""
    client = Client(inbox="me", notebook=tmp_path / "train.ipynb", record=True)
    yield client
    client.close()


@pytest.fixture
def run(broker: Broker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command: ``run("submit", …)`` is (exit code, standard output, standard error)."""
    monkeypatch.setenv("AIQUEUE_INBOX", "me")

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def done(client: Client, session: Session) -> JobHandle:
    """A job that has succeeded, and is recorded."""
    return work(client, session, Kind.SUCCEEDED)


def work(client: Client, session: Session, end: Kind | None) -> JobHandle:
    handle = client.submit("t", CONFIG, name="baseline")
    queue = topology.work_queue("train", Priority.NORMAL)
    delivery = eventually(lambda: session.get(queue), message="no job came")
    session.ack(delivery)
    job = decode_job(delivery.message, group="train")
    publish_event(session, make_event(Kind.STARTED, job, run="a", worker="w1"))
    if end is not None:
        result = Result(exit_code=0, duration_s=61.0, git_commit=COMMIT, environment="torch")
        more: dict[str, Any] = {"metrics": {"accuracy": 0.97}, "result": result}
        publish_event(session, make_event(end, job, run="a", worker="w1", **more))
        handle.wait(20)
    return handle


def beat(session: Session, *running: Running, **fields: Any) -> None:
    defaults: dict[str, Any] = {"environment": "torch", "tasks": ("t",), "groups": ("train",)}
    heartbeat = Heartbeat(worker="w1", timestamp=now(), running=running, **{**defaults, **fields})
    session.publish(topology.STATUS, "worker.w1", Message(body=encode(heartbeat)), mandatory=True)


def in_line(session: Session) -> int:
    return sum(session.count(topology.work_queue("train", p)).ready for p in Priority)


# -- what has succeeded already ----------------------------------------------------------


@pytest.mark.parametrize("config", [CONFIG, {"layers": [64.0, 32], "lr": 1.0}])
def test_what_has_succeeded_is_refused_with_its_result(
    client: Client, done: JobHandle, config: dict[str, Any]
) -> None:
    with pytest.raises(AlreadySucceeded) as refused:
        client.check_new("t", config, name="another label", priority="high")
    said = str(refused.value)
    ledger = ledger_path(str(client.notebook))
    assert f"Job {done.id} did exactly this" in said
    assert "ago: it succeeded in 61 s, with accuracy 0.97" in said
    assert f"It is recorded in {ledger}, line 4." in said
    assert b"succeeded" in ledger.read_bytes().splitlines()[3]
    assert "Nothing was submitted; `--again` submits it once more." in said


@pytest.mark.parametrize(
    ("task", "config", "group"),
    [
        ("t", {**CONFIG, "lr": 2}, "train"),
        ("t", {**CONFIG, "lr": True}, "train"),
        ("t", {**CONFIG, "lr": "1"}, "train"),
        ("t", {**CONFIG, "layers": [32, 64]}, "train"),
        ("t", {"lr": 1}, "train"),
        ("t", {**CONFIG, "seed": 0}, "train"),
        ("other", CONFIG, "train"),
        ("t", CONFIG, "infer"),
    ],
)
def test_what_is_otherwise_is_new(
    client: Client, done: JobHandle, task: str, config: dict[str, Any], group: str
) -> None:
    client.check_new(task, config, group=group)


@pytest.mark.parametrize("end", [Kind.FAILED, Kind.DEAD, Kind.CANCELLED, None])
def test_what_has_not_succeeded_may_be_tried_again(
    client: Client, session: Session, end: Kind | None
) -> None:
    work(client, session, end)
    client.check_new("t", CONFIG)


def test_the_command_refuses_what_has_succeeded_and_publishes_nothing(
    run: Run, done: JobHandle, session: Session
) -> None:
    words = "submit", "t", "lr=1.0", "layers=[64, 32]"
    code, out, err = run(*words, "--json")
    assert code == 1
    assert json.loads(out)["error"] == "AlreadySucceeded"
    assert done.id in err
    assert in_line(session) == 0
    assert run(*words, "--again")[0] == 0
    assert in_line(session) == 1
    assert run("submit", "t", "lr=true", "layers=[64, 32]")[0] == 0
    assert in_line(session) == 2


# -- dry runs ----------------------------------------------------------------------------


def test_a_dry_run_says_everything_and_sends_nothing(
    run: Run, done: JobHandle, session: Session, tmp_path: Path
) -> None:
    beat(session, tasks=("t", "u"))
    words = "submit", "t", "lr=1", "layers=[64, 32]", "--dry-run", "--priority", "high"
    code, out, err = run(*words, "--when", "depth > 9", "--by", "2099-01-01 08:00")
    assert (code, err) == (0, "")
    assert out.startswith("Nothing was sent.\nIt would go to the queue aiqueue.train.high.\n")
    assert "waits for depth > 9; depth is 0 now; at 2099-01-01 08:00 it is put in line" in out
    assert f"Job {done.id} did exactly this" in out
    assert "(as the workers)" in out
    assert "line 4." in out
    assert "its workers are in torch" in out
    _, out, _ = run(*words, "--json")
    told = json.loads(out)
    (before,) = told["done_before"]
    assert told["sentences"][0] == "Nothing was sent."
    assert (told["queue"], told["foresight"], told["terms"]) == ("aiqueue.train.high", None, None)
    assert before["record"]["job_id"] == done.id
    assert (before["line"], before["same_environment"]) == (4, True)
    assert in_line(session) == 0
    _, out, _ = run("submit", "unheard", "--dry-run")
    assert "It would not run: No worker of train has a task 'unheard'; they have t, u." in out


def test_the_commit_of_the_notebooks_folder_is_compared(
    client: Client, done: JobHandle, tmp_path: Path
) -> None:
    (before,) = client.rehearse("t", CONFIG).done_before
    assert before.same_commit is None, "there is no git here"
    for command in ("init -q", "commit -q --allow-empty -m one"):
        identity = ["-c", "user.name=ann", "-c", "user.email=ann@example.org"]
        subprocess.run(["git", *identity, *command.split()], cwd=tmp_path, check=True)
    (before,) = client.rehearse("t", CONFIG).done_before
    assert before.same_commit is False


@pytest.mark.parametrize(
    ("config", "more", "reason"),
    [
        ({"x": "y" * 2_000_000}, {}, "too-large"),
        ({"x": object()}, {}, "bad-config"),
        ({}, {"when": "the moon is full"}, "bad-condition"),
        ({}, {"expire": True}, "bad-condition"),
        ({}, {"retries": -1}, "bad-retries"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_dry_run_too(
    client: Client, config: dict[str, Any], more: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InvalidJob) as refused:
        client.rehearse("t", config, **more)
    assert refused.value.reason == reason


# -- the reason --------------------------------------------------------------------------


def test_why_tells_the_reason_first_and_the_numbers_as_json(run: Run, session: Session) -> None:
    _, out, _ = run("submit", "t", "--priority", "high", "--json")
    _, out, _ = run("submit", "t", "--json")
    job_id = json.loads(out)["job_id"]
    beat(session, Running(job_id="x", group="train", priority=Priority.LOW, user="ann"), slots=1)
    code, out, _ = run("why", job_id[-8:])
    assert code == 0
    assert out.startswith("1 ahead of you at high; train has 1 worker, busy.\n")
    _, out, _ = run("why", job_id, "--json")
    told = json.loads(out)
    assert told["sentence"] == "1 ahead of you at high; train has 1 worker, busy."
    assert (told["state"], told["exact"]) == ("queued", False)
    assert told["ahead"] == {"high": 1, "normal": 0}
    assert told["group"]["slots"]["value"] == 1
    assert told["broker"]["state"] == "up"
    assert told["details"]


def test_why_of_a_job_that_nobody_knows_says_where_it_was_looked_for(run: Run) -> None:
    code, out, err = run("why", "nonsense", "--json")
    assert code == 1
    assert json.loads(out)["error"] == "JobNotFound"
    assert "is recorded here" in err
    assert "no worker collects the load" in err
