"""Accounts with the rights of a role, and no more, can do what the role does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.client import Client
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.doctor import examine, exit_code, roles
from jupyter_aiqueue.core.errors import PermissionRefused
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.measure import measure
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.publisher import read_catalog
from jupyter_aiqueue.core.topology import Catalog, Queue
from jupyter_aiqueue.core.transport import connect

from .conftest import Api
from .looks import url_of

GROUPS = ("train", "infer", "preprocess")

TASKS = """\
[lease]
time = 3
renew = 1
grace = 2

[tasks.slow]
command = ["sleep", "5"]

[tasks.fails]
command = ["false"]
"""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a worker as ``broker``'s account: ``worker(broker, *arguments)``."""
    (tmp_path / "aiqueue.toml").write_text(TASKS)
    started: list[subprocess.Popen[str]] = []

    def start(broker: Broker, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", *arguments]
        process = subprocess.Popen(
            [*command, "--name", "w1", "--tasks", str(tmp_path / "aiqueue.toml")],
            env={**os.environ, "AIQUEUE_URL": url_of(broker)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.fixture
def notebook(account, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A client with a notebook's account, which records by itself."""
    broker = of_role(account, "notebook")
    monkeypatch.setenv("AIQUEUE_URL", url_of(broker))
    client = Client(inbox="someone")
    yield client
    client.close()


def of_role(account, role: str) -> Broker:
    patterns = dict(roles.roles(GROUPS))[role]
    broker: Broker = account(patterns.configure, patterns.write, patterns.read, tags=patterns.tag)
    return broker


@contextmanager
def leases_of(broker: Broker, worker: str) -> Iterator[Callable[[], int]]:
    """How many leases were taken or renewed by ``worker``, seen by the operator."""
    seen: list[object] = []
    with connect(broker, "tap") as session:
        tap = session.temporary_queue([])
        with session.throwaway("tapping") as channel:
            match = {"x-match": "all", topology.LEASED_BY: worker}
            channel.queue_bind(tap, topology.LEASE, "", match)
        session.consume(tap, seen.append, prefetch=100)

        def count() -> int:
            session.pump(0.1)
            return len(seen)

        yield count


def test_a_job_is_submitted_leased_run_and_recorded_by_accounts_of_their_roles(
    broker, account, notebook, worker
):
    works = of_role(account, "worker")
    with leases_of(broker, "w1") as leases:
        process = worker(works, "--group", "train")
        job = notebook.submit("slow", {}, priority="high", when="free_slots > 0")
        assert job.state.value == "held"  # until the worker, which collects, releases it
        eventually(lambda: leases() >= 2, timeout=30, message="no lease was renewed")
        # Both look while the job runs.
        assert exit_code(examine(lambda: works, "someone")) == 0
        findings = examine(lambda: notebook.broker, "someone")
        assert exit_code(findings) == 0, findings
        assert "Workers that hold their leases: 1." in {finding.what for finding in findings}
        (group, *_) = measure(of_role(account, "monitor")).groups
        assert group.start.missing == "no history yet"  # said by who collects
        record = job.wait(timeout=30)
    assert record.state.value == "succeeded"
    assert notebook.job(job.id).record.ledger
    process.terminate()
    assert process.wait(20) == 0
    with connect(broker, "test") as session:
        assert not session.exists(topology.lease_queue("w1"))  # which it deleted


def test_a_dead_letter_is_looked_at_and_a_waiting_job_cancelled_with_a_notebooks_account(
    broker, account, notebook, worker
):
    worker(of_role(account, "worker"), "--group", "infer")
    job = notebook.submit("no such task", {}, group="infer", retries=0)
    with connect(notebook.broker, "test") as session:
        eventually(
            lambda: session.count("aiqueue.dead.infer").ready, timeout=30, message="it is not dead"
        )
    assert [letter.job_id for letter in notebook.dead("infer")] == [job.id]
    waiting = notebook.submit("fails", {}, group="train")
    waiting.cancel()
    assert waiting.wait(timeout=10).state.value == "cancelled"


def test_a_worker_serves_a_plain_producers_queue_with_three_more_rights(broker, account, worker):
    patterns = roles.worker_patterns(GROUPS)
    more = r"|^ai_task_queue$"
    works = account(
        patterns.configure, patterns.write + more, patterns.read + more + r"|^aiqueue\.jobs$"
    )
    with connect(broker, "plain producer") as session:
        session.declare(Queue("ai_task_queue", {"x-queue-type": "quorum"}))
        with leases_of(broker, "w1") as leases:
            process = worker(works, "--queue", "ai_task_queue")
            session.bind("ai_task_queue", topology.JOBS, "plain")
            message = Message(body=b'{"task_id": "t1"}', type="slow")
            session.publish(topology.JOBS, "plain", message, mandatory=True)
            eventually(lambda: leases() >= 1, timeout=30, message="it does not run")
    process.terminate()
    process.wait(20)


def test_an_operators_account_sets_up_and_sets_policies(empty_broker):
    api, patterns = Api(empty_broker), roles.OPERATOR
    api.put("users/op", password="pw-op", tags=patterns.tag)
    api.put(
        f"permissions/{empty_broker.vhost}/op",
        configure=patterns.configure,
        write=patterns.write,
        read=patterns.read,
    )
    url = f"http://{str(empty_broker.management_url).rsplit('@', 1)[-1].removeprefix('http://')}"
    operates = msgspec.structs.replace(
        empty_broker, username="op", password="pw-op", management_url=url
    )
    try:
        done = provision(operates, Catalog(groups=("train",)))
        assert not [line for line in done if "NOT" in line]
        with connect(operates, "test") as session:
            assert read_catalog(session).groups == ("train",)
        assert exit_code(examine(lambda: operates, "someone")) == 0
    finally:
        api.delete("users/op")


def test_a_monitors_account_sees_the_load_and_changes_nothing(broker, account):
    looks = of_role(account, "monitor")
    load = measure(looks)
    assert load.broker.state == "up"
    assert load.broker.alarms == "none"
    assert [group.waiting.value for group in load.groups] == [0, 0, 0]
    assert all(group.workers.value is not None for group in load.groups)
    with connect(looks, "test") as session, pytest.raises(PermissionRefused):
        session.publish(topology.JOBS, "train.low", Message(body=b"{}"))


@pytest.mark.parametrize(
    ("role", "forbidden"),
    [
        ("notebook", [roles.Right(topology.work_queue("train", Priority.LOW), roles.READ)]),
        ("notebook", [roles.Right(topology.DEAD, roles.WRITE)]),
        ("worker", [roles.Right("aiqueue.inbox.someone", roles.READ)]),
        ("worker", [roles.Right("aiqueue.dead.train", roles.READ)]),
        ("worker", [roles.Right(topology.EVENTS, roles.READ)]),
        ("monitor", [roles.Right("aiqueue.inbox.someone", roles.CONFIGURE)]),
        ("operator", [roles.Right(roles.DEFAULT_EXCHANGE, roles.WRITE)]),
    ],
)
def test_a_role_may_do_no_more_than_it_needs(broker, account, role, forbidden):
    from jupyter_aiqueue.core.doctor.probe import Prober

    with connect(of_role(account, role), "test") as session:
        assert Prober(session).missing(forbidden) == forbidden


def test_the_patterns_of_the_operators_manual_are_these():
    manual = (Path(__file__).parents[2] / "docs" / "operators.md").read_text()
    for role, patterns in roles.roles(GROUPS):
        line = patterns.command(role, "lab")
        assert line in manual, f"docs/operators.md lacks: {line}"
        assert re.search(rf"set_user_tags {role} {patterns.tag}\b", manual) or not patterns.tag
