"""Why a job waits, asked of a real broker with real workers: the sentence as a person gets it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from brokers import OwnNode, own_node
from scene import environment, eventually, playing

from jupyter_aiqueue import Client
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AmbiguousJob, JobNotFound
from jupyter_aiqueue.core.job import State
from jupyter_aiqueue.core.ledgers import Ledgers
from jupyter_aiqueue.core.why import Why
from jupyter_aiqueue.node.find import find_server
from jupyter_aiqueue.worker import collection
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture(autouse=True)
def keep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_LORE", 1.0)


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    client = Client(inbox="tester", record=True)
    yield client
    client.close()


@pytest.fixture
def stranger(broker: Broker, tmp_path: Path) -> Iterator[Client]:
    """Somebody else, with ledgers of her own."""
    client = Client(inbox="other", record=False, ledgers=Ledgers(tmp_path / "other"))
    yield client
    client.close()


def told(client: Client, job_id: str, fits: Callable[[Why], object], timeout: float = 30) -> Why:
    """The first explanation that fits."""
    seen: list[Why] = []

    def look() -> bool:
        seen.append(client.why(job_id))
        return bool(fits(seen[-1]))

    eventually(look, lambda: f"no such reason; the last was {seen[-1]}", timeout)
    return seen[-1]


def test_nobody_works_until_somebody_does(client: Client, broker: Broker, tasks: Tasks) -> None:
    first = client.submit("child", {})
    second = client.submit("child", {})
    found = client.why(second.id)
    assert found.sentence == (
        "At most 1 ahead of you at normal; no worker serves train: nothing in it starts until "
        "one does."
    )
    assert (found.ahead, found.exact) == ({"high": 0, "normal": 1}, False)
    assert "no worker collects the load now" in str(found)
    with playing(broker, tasks, name="w1"):
        first.wait(30)
        second.wait(30)
    assert client.why(second.id).sentence.startswith("It succeeded at ")


def test_who_waits_behind_a_long_run_knows_its_place_and_its_start(
    client: Client, stranger: Client, broker: Broker, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    with playing(broker, tasks, name="w1", slots=1):
        for _ in range(4):
            client.submit("child", {}).wait(30)
        running = client.submit("child", {"wait-for": str(go)})
        eventually(lambda: running.state is State.RUNNING, "it does not start")
        behind, last = (client.submit("child", {"epochs": n}, name=f"n{n}") for n in range(2))
        found = told(client, last.id, lambda w: "It starts in " in str(w))
        assert found.sentence == "1 ahead of you at normal; train has 1 worker, busy."
        assert found.ahead == {"high": 0, "normal": 1}
        assert found.exact
        assert "w1 runs child since" in str(found)  # by the account that asks
        assert "(80 % range" in str(found)
        assert "A run of it takes" in str(found)

        # Somebody else sees the same, and that it is not hers.
        theirs = stranger.why(last.id[-10:])
        assert theirs.sentence == "1 ahead of it at normal; train has 1 worker, busy."
        assert theirs.job_id == last.id
        runs = stranger.why(running.id)
        assert runs.sentence.startswith("It runs on w1 since")
        assert "This attempt ends in" in str(runs)
        with pytest.raises(AmbiguousJob, match="3 jobs fit"):
            stranger.why(last.id[:4])
        with pytest.raises(JobNotFound, match="None that waits or runs now"):
            stranger.why("nonsense")
        go.touch()
        last.wait(30)
        assert behind.state is State.SUCCEEDED

    def is_unknown() -> bool:  # when nobody believes the collector any more, which has ended
        try:
            stranger.why(last.id)
        except JobNotFound as error:
            return "is recorded here" in str(error)
        return False

    eventually(is_unknown, "somebody else's job is still known", 30)


def test_a_held_job_and_what_is_now(client: Client, broker: Broker, tasks: Tasks) -> None:
    held = client.submit("child", {}, when="depth > 50", by="2099-01-01 08:00")
    nobody = client.why(held.id)
    assert "nobody releases it" in nobody.sentence
    with playing(broker, tasks, name="w1"):
        found = told(client, held.id, lambda w: "nobody" not in w.sentence)
        assert found.sentence == (
            "It waits for depth > 50; depth is 0 now; at 2099-01-01 08:00 it is put in line in any "
            "case."
        )
        assert "%job_release" in str(found)
        client.release(held.id)
        held.wait(30)


def test_a_failed_attempt_tells_why_and_when_the_next_one_comes(
    client: Client, broker: Broker, tasks: Tasks
) -> None:
    with playing(broker, tasks, name="w1"):
        job = client.submit("child", {"exit-code": 3})
        found = told(client, job.id, lambda w: w.state is State.RETRYING)
        assert found.sentence.startswith("Attempt 1 of 3 failed at ")
        assert "on w1: exit code 3" in found.sentence
        assert "attempt 2" in found.sentence
        job.wait(60)
    over = client.why(job.id)
    assert over.sentence.startswith("It is a dead letter since ")
    assert "exit code 3" in over.sentence


def test_a_worker_that_is_stopped_is_silent_and_its_job_lost(
    client: Client, broker: Broker, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", "train"]
    worker = subprocess.Popen(
        [*command, "--tasks", str(tasks.file), "--name", "gpu-3"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        running = client.submit("child", {"wait-for": str(go)})
        eventually(lambda: running.state is State.RUNNING, "it does not start")
        waiting = client.submit("child", {})
        worker.send_signal(signal.SIGSTOP)
        found = told(client, waiting.id, lambda w: "silent" in w.sentence, timeout=60)
        assert "no worker serves train: nothing in it starts until one does; gpu-3 has been " in (
            found.sentence
        )
        lost = client.why(running.id).sentence
        assert lost.startswith("Its worker gpu-3 has been silent since ")
        assert "it goes on as attempt 2" in lost
    finally:
        go.touch()
        worker.kill()
        worker.wait()


# -- an alarm ----------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Jupyter's folders below the test's own, and no other broker."""
    for name in [name for name in os.environ if name.startswith("AIQUEUE_")]:
        if name != "AIQUEUE_RABBITMQ_SERVER":
            monkeypatch.delenv(name)
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / "jupyter" / name.lower()))


def control(node: OwnNode, *command: str) -> None:
    """``rabbitmqctl`` of a node of the test's own."""
    tool = find_server().script.with_name("rabbitmqctl")
    home = node.homes[0]
    surroundings = {
        **os.environ,
        "HOME": str(home),
        "ERL_EPMD_PORT": str(node.node.ports.epmd),
        "RABBITMQ_NODENAME": node.node.node_name,
    }
    subprocess.run([tool, *command], env=surroundings, check=True, capture_output=True, timeout=60)


@pytest.mark.usefixtures("own_rabbitmq", "folders")
def test_a_memory_alarm_is_the_reason_with_and_without_a_management_api(
    tmp_path: Path,
) -> None:
    with own_node(tmp_path / "node") as node:
        broker = node.broker
        (host, port), password = broker.hosts[0], quote(broker.password, safe="")
        url = f"amqp://{broker.username}:{password}@{host}:{port}/{broker.vhost}"
        seeing = Client(url, management_url=broker.management_url, inbox="tester", record=False)
        blind = Client(url, inbox="tester", record=False)
        try:
            job, other = seeing.submit("child", {}), blind.submit("child", {})
            control(node, "set_vm_memory_high_watermark", "absolute", "1")
            found = told(seeing, job.id, lambda w: "alarm" in w.sentence)
            assert found.sentence.startswith(
                f"The broker takes no messages now (memory alarm on {node.node.node_name}): no job"
            )
            refused = seeing.rehearse("child", {}).refusals
            assert f"memory alarm on {node.node.node_name}" in refused[0]
            assert "(a memory or disk alarm)" in blind.why(other.id).sentence
            control(node, "set_vm_memory_high_watermark", "0.6")
            told(seeing, job.id, lambda w: "no worker serves train" in w.sentence)
        finally:
            seeing.close()
            blind.close()
