"""Would anybody notice? Wrong variants of the worker, each caught by a check of what it must do.

As in `test_mutants`: every scenario runs with the code as it is, where it must hold, and with one
fault patched into the workers' processes, where it must not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import pytest
from brokers import own_node
from faults import crash_points
from faults.crash_points import (
    Patched,
    doomed_worker,
    left_behind,
    own_data,
    patched_worker,
)
from worker.scene import Proxy, Tape, eventually, make_job, make_tasks, marks

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.node.layout import Layout

QUEUE = "aiqueue.train.normal"

TASKS = """
[limits]
kill_after = 1.0
[lease]
time = 3
renew = 1
grace = 3
[tasks.child]
command = ["python", "child.py"]
"""


class Stage(NamedTuple):
    """What a scenario finds."""

    broker: Broker
    tape: Tape
    folder: Path
    #: Python to run first in the workers of the scenario, with the same fault.
    patch: str

    @property
    def marks(self) -> list[str]:
        """Which attempts were started."""
        return marks(self.folder / "marks")

    @property
    def tasks(self) -> Path:
        return self.folder / "aiqueue.toml"

    def job(self, **fields: object) -> Job:
        """A job that runs until there is a file ``go``."""
        config = {"mark": str(self.folder / "marks"), "wait-for": str(self.folder / "go")}
        return make_job(config, **fields)

    def go(self) -> None:
        (self.folder / "go").touch()

    def worker(self, name: str, proxy: Proxy | None = None) -> AbstractContextManager[Patched]:
        """A worker of a machine of its own."""
        broker = self.broker
        host, port = broker.hosts[0] if proxy is None else proxy.address
        account = f"{broker.username}:{quote(broker.password, safe='')}"
        url = f"amqp://{account}@{host}:{port}/{quote(broker.vhost, safe='')}"
        data = own_data(self.folder)
        return patched_worker(self.patch, self.tasks, name=name, data=data, broker=url)


# -- what is acknowledged before it is done ----------------------------------------------


def a_job_outlives_the_worker_that_runs_it(stage: Stage) -> None:
    job, leased = stage.job(), heard(stage.tape, topology.LEASE, "")
    with stage.worker("w1") as worker:
        stage.tape.submit(job)
        eventually(lambda: stage.marks, "the job does not start")
        # Between two renewals: who acknowledges at once has nothing in any queue then.
        eventually(
            lambda: len(leased) > 1 and time.monotonic() > leased[-1] + 0.3, "it is not leased", 5
        )
        worker.kill()
    stage.go()
    with stage.worker("w2"):
        end = stage.tape.end(job.id, timeout=15)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)


WORKER_THAT_ACKNOWLEDGES_BEFORE_IT_RUNS = """
accept = Desk.accept
def acknowledge_first(self, session, delivery, source):
    session.ack(delivery)
    accept(self, session, delivery, source)
Desk.accept = acknowledge_first
"""

# -- who runs it -------------------------------------------------------------------------


def a_run_that_lost_its_connection_is_not_started_beside_itself(stage: Stage) -> None:
    job, asked = stage.job(), heard(stage.tape, topology.CONTROL, "ask.*")
    proxy = Proxy(stage.broker.hosts[0])
    try:
        with stage.worker("w1", proxy):
            stage.tape.submit(job)
            eventually(lambda: stage.marks, "the job does not start")
            with stage.worker("w2"):
                proxy.cut()
                eventually(lambda: asked or len(stage.marks) > 1, "nobody takes the message")
                proxy.mend()
                eventually(
                    lambda: len(stage.marks) > 1 or answered(asked),
                    "whose it is, is not settled",
                )
                stage.go()
                stage.tape.end(job.id)
    finally:
        proxy.close()
    assert stage.marks == [f"{job.id} 1"], "started beside itself"


def heard(tape: Tape, exchange: str, key: str) -> list[float]:
    """When something like that was published, from now on; monotonic seconds."""
    return tape.hear(exchange, key, lambda _: time.monotonic())


def answered(asked: list[float]) -> bool:
    """Whether nobody asks any more."""
    return time.monotonic() - asked[-1] > 2.0


WORKER_THAT_DOES_NOT_ASK = """
from jupyter_aiqueue.worker import intake
intake.is_doubtful = lambda message: False
"""

WORKER_THAT_DOES_NOT_ANSWER = "Takeover._standing = lambda *_: None"


# -- what is left of a killed worker -----------------------------------------------------


def a_killed_worker_leaves_nothing_running(stage: Stage) -> None:
    job = stage.job()
    with stage.worker("w1") as worker:
        stage.tape.submit(job)
        eventually(lambda: stage.marks, "the job does not start")
        worker.kill()
        try:
            eventually(lambda: not left_behind(job.id), "it still runs", 5)
        finally:
            stage.go()


WORKER_WITHOUT_A_WARDEN = """
from jupyter_aiqueue.worker.warden import Warden
Warden.start = Warden.check = lambda self: None
"""


def a_lost_attempt_counts(stage: Stage) -> None:
    job, leased = stage.job(max_attempts=1), heard(stage.tape, topology.LEASE, "")
    with stage.worker("w1") as worker:
        stage.tape.submit(job)
        eventually(lambda: len(leased) > 1, "it is not leased")
        worker.kill()
    stage.go()
    with stage.worker("w2"):
        assert stage.tape.end(job.id).event is Kind.DEAD, "it had only one attempt"
    assert stage.marks == [f"{job.id} 1"]


WORKER_THAT_FORGIVES = """
import msgspec
from jupyter_aiqueue.worker import intake
lost = intake.lost
def forgiven(job, **named):
    end = lost(msgspec.structs.replace(job, max_attempts=job.max_attempts + 1), **named)
    return msgspec.structs.replace(end, next=job)
intake.lost = forgiven
"""


def an_attempt_counts_though_it_ends_its_worker_at_once(stage: Stage) -> None:
    job = stage.job(attempt=2, max_attempts=2)
    stage.go()
    point = stage.patch + crash_points.CHILD_STARTED
    with doomed_worker(point, stage.tasks, data=own_data(stage.folder)) as doomed:
        stage.tape.submit(job)
        doomed.dies()
    with stage.worker("w2"):
        assert stage.tape.end(job.id).event is Kind.DEAD, "it was its last attempt"


WORKER_THAT_BEGINS_BEFORE_IT_LEASES = """
from jupyter_aiqueue.worker import desk, intake
Execute, desk.SLOW = intake.Execute, float("inf")
intake.Execute = lambda job, turn, task, argv, first, unsure: Execute(job, turn, task, argv, True)
"""


def what_was_told_on_this_machine_is_not_run_again_on_it(stage: Stage) -> None:
    job, data = stage.job(), own_data(stage.folder)
    stage.go()
    point = stage.patch + crash_points.END_SENT
    with doomed_worker(point, stage.tasks, data=data) as doomed:
        stage.tape.submit(job)
        doomed.dies()
    with patched_worker(stage.patch, stage.tasks, name="w2", data=data):
        lease = topology.lease_queue("doomed")
        eventually(lambda: not stage.tape.ready(lease), "the lease does not run out")
        # Whoever settles the message has a slot for another job only afterwards.
        other = stage.job()
        stage.tape.submit(other)
        stage.tape.end(other.id)
    assert stage.tape.kinds(job.id) == ["started", "succeeded"], "it was told already"
    assert stage.marks == [f"{job.id} 1", f"{other.id} 1"]


WORKER_THAT_KEEPS_NO_ENDS = """
from jupyter_aiqueue.worker.folder import RunFolder
RunFolder.keep_end = lambda *_: None
RunFolder.mark_settled = lambda *_: None
"""


# -- how long a message is held ----------------------------------------------------------


def no_message_is_held_longer_than_a_renewal(stage: Stage) -> None:
    job = stage.job()
    with stage.worker("w1"):
        stage.tape.submit(job)
        eventually(lambda: stage.marks, "the job does not start")
        began = time.monotonic()
        # The broker takes back what was held for 3 s, and it may be taken again at once.
        seen: list[int] = []

        def taken_back() -> bool:
            seen.append(stage.tape.ready(QUEUE))
            return seen[-1] > 0

        eventually(lambda: taken_back() or time.monotonic() > began + 7, "time stands still")
        stage.go()
        stage.tape.end(job.id)
    assert not any(seen), "the broker took the message back"


WORKER_THAT_DOES_NOT_RENEW = "Leases.due = lambda *_: False"

# -- all of them -------------------------------------------------------------------------

Scenario = Callable[[Stage], None]

#: Scenario, name of the mutant, its patch, and what the scenario complains of then.
MUTANTS: list[tuple[Scenario, str, str, str]] = [
    (
        a_job_outlives_the_worker_that_runs_it,
        "worker that acknowledges before it runs",
        WORKER_THAT_ACKNOWLEDGES_BEFORE_IT_RUNS,
        "did not end",
    ),
    (
        a_run_that_lost_its_connection_is_not_started_beside_itself,
        "worker that does not ask",
        WORKER_THAT_DOES_NOT_ASK,
        "started beside itself",
    ),
    (
        a_run_that_lost_its_connection_is_not_started_beside_itself,
        "worker that does not answer",
        WORKER_THAT_DOES_NOT_ANSWER,
        "started beside itself",
    ),
    (
        a_killed_worker_leaves_nothing_running,
        "worker without a warden",
        WORKER_WITHOUT_A_WARDEN,
        "it still runs",
    ),
    (
        a_lost_attempt_counts,
        "worker that does not count lost attempts",
        WORKER_THAT_FORGIVES,
        "it had only one attempt",
    ),
    (
        an_attempt_counts_though_it_ends_its_worker_at_once,
        "worker that begins before it leases",
        WORKER_THAT_BEGINS_BEFORE_IT_LEASES,
        "it was its last attempt",
    ),
    (
        what_was_told_on_this_machine_is_not_run_again_on_it,
        "worker that keeps no ends",
        WORKER_THAT_KEEPS_NO_ENDS,
        "it was told already",
    ),
    (
        no_message_is_held_longer_than_a_renewal,
        "worker that does not renew its leases",
        WORKER_THAT_DOES_NOT_RENEW,
        "the broker took the message back",
    ),
]


@pytest.fixture(scope="module")
def impatient(own_rabbitmq: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that takes back what is not acknowledged within 3 s, and looks twice a second."""
    command = Layout.command

    def impatient_command(self: Layout, *arguments: object) -> list[str]:
        return [*command(self, *arguments), "-rabbit", "channel_tick_interval", "500"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Layout, "command", impatient_command)
        folder = tmp_path_factory.mktemp("impatient") / "broker"
        with own_node(folder, extra_config="consumer_timeout = 3000") as node:
            provision(node.broker, Catalog(retry_delays=(1, 2, 3)))
            yield node.broker


@pytest.fixture
def stage(scenario: Scenario, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    impatient = scenario is no_message_is_held_longer_than_a_renewal
    broker = request.getfixturevalue("impatient" if impatient else "broker")
    make_tasks(tmp_path, TASKS)
    tape = Tape(broker)
    yield Stage(broker, tape, tmp_path, "")
    tape.close()


@pytest.mark.parametrize("scenario", {row[0]: 0 for row in MUTANTS}, ids=lambda s: s.__name__)
def test_the_real_worker_passes(stage: Stage, scenario: Scenario) -> None:
    scenario(stage)


@pytest.mark.parametrize(
    ("scenario", "patch", "complaint"),
    [(scenario, patch, complaint) for scenario, _, patch, complaint in MUTANTS],
    ids=[name for _, name, _, _ in MUTANTS],
)
def test_the_fault_is_noticed(stage: Stage, scenario: Scenario, patch: str, complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        scenario(stage._replace(patch=patch))
