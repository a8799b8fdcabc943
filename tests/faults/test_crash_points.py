"""A worker or a recorder that dies at the worst moments: what exactly comes of the job.

Each point is hit by a process that was patched to kill itself there (`crash_points`). ``same``
and ``another`` machine: workers of one account on one machine share the run folders, in which an
end is kept before anybody is told of it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil
import pytest
from faults import crash_points
from faults.crash_points import doomed_recorder, doomed_worker, nothing_left_behind, own_data
from worker.scene import Proxy, Tape, eventually, make_job, make_tasks, marks, playing

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, new_job_id
from jupyter_aiqueue.core.ledger import ledger_path, read_ledger
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.recorder import Recorder
from jupyter_aiqueue.core.transport import connect
from jupyter_aiqueue.worker.tasks import Tasks

QUEUE = "aiqueue.train.normal"

TASKS = """
[retry]
delays = [1]
[limits]
kill_after = 1.0
[lease]
time = 1.5
renew = 0.4
grace = 1.0
[tasks.child]
command = ["python", "child.py"]
"""

MACHINES = pytest.mark.parametrize("same", [True, False], ids=["same", "another"])


@pytest.fixture
def tape(broker: Broker) -> Iterator[Tape]:
    tape = Tape(broker)
    yield tape
    tape.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return make_tasks(tmp_path, TASKS)


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    proxy = Proxy(broker.hosts[0])
    yield proxy
    proxy.close()


def clear(tape: Tape, *workers: str) -> None:
    """Every message of the job has been dealt with."""
    queues = [QUEUE, "aiqueue.retry.1", *map(topology.lease_queue, workers)]

    def left() -> dict[str, int]:
        found = {}
        for queue in queues:
            if tape.link.call(lambda s, q=queue: s.exists(q)):
                found[queue] = tape.ready(queue)
        return {queue: count for queue, count in found.items() if count}

    eventually(lambda: not left(), lambda: f"messages are left: {left()}", 10)


def file_of(tasks: Tasks) -> Path:
    assert tasks.file is not None
    return tasks.file


def data_of(folder: Path, same: bool) -> Path | None:
    return None if same else own_data(folder)


# -- a worker ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", [crash_points.TAKEN, crash_points.FOLDER_MADE], ids=["taken", "folder"]
)
@MACHINES
def test_what_was_not_started_costs_an_attempt_only_where_a_run_folder_tells_otherwise(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, same: bool, point: str
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")})
    data = data_of(tmp_path, same)
    with doomed_worker(point, file_of(tasks), data=data) as doomed:
        tape.submit(job)
        doomed.dies()
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape)
    lost = same and point == crash_points.FOLDER_MADE
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2 if lost else 1)
    assert tape.kinds(job.id) == ["retrying"] * lost + ["started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} {end.attempt}"]
    assert tape.dead() == []


@pytest.mark.parametrize(("before", "attempt"), [(crash_points.SLOW, 1), ("", 2)])
def test_whom_a_start_ends_has_had_its_attempt_unless_it_is_a_first_one_and_the_broker_quick(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, before: str, attempt: int
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")}, attempt=attempt, max_attempts=attempt)
    point, data = before + crash_points.CHILD_STARTED, own_data(tmp_path)
    with doomed_worker(point, file_of(tasks), data=data) as doomed:
        tape.submit(job)
        doomed.dies()
    nothing_left_behind(job.id)
    begun = marks(tmp_path / "marks")  # or it was ended before it came so far
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape, "doomed")
    assert (end.event, end.attempt) == (Kind.DEAD, attempt)
    assert marks(tmp_path / "marks") == begun
    assert [letter.headers["aiq-reason"] for letter in tape.dead()] == ["worker-lost"]


def test_a_start_that_nobody_counted_counts_when_the_job_ends_another_worker(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")}, max_attempts=3)
    tape.submit(job)
    for _ in range(2):
        data = own_data(tmp_path)
        with doomed_worker(crash_points.CHILD_STARTED, file_of(tasks), data=data) as doomed:
            doomed.dies()
        nothing_left_behind(job.id)
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape, "doomed")
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 3)
    assert tape.kinds(job.id) == ["retrying", "started", "succeeded"]
    assert marks(tmp_path / "marks")[-1] == f"{job.id} 3"
    assert tape.dead() == []


@pytest.mark.parametrize(
    ("point", "attempt"),
    [(crash_points.SENT_HOME, 2), (crash_points.CAME_HOME, 3)],
    ids=["sent", "came"],
)
def test_who_dies_before_it_begins_what_it_leased_starts_nothing_twice(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, point: str, attempt: int
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")}, attempt=2)
    with doomed_worker(point, file_of(tasks), data=own_data(tmp_path)) as doomed:
        tape.submit(job)
        doomed.dies()
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape, "doomed")
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, attempt)
    assert marks(tmp_path / "marks") == [f"{job.id} {attempt}"]
    assert tape.dead() == []


def test_a_child_that_carries_no_mark_ends_with_a_worker_that_dies_right_after_its_start(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    mark = f"61.{secrets.randbelow(10**9):09}"
    command = TASKS.replace('["python", "child.py"]', f'["env", "-i", "sleep", "{mark}"]')
    assert command != TASKS
    with doomed_worker(
        crash_points.CHILD_STARTED, file_of(make_tasks(tmp_path, command))
    ) as doomed:
        tape.submit(make_job())
        doomed.dies()
        eventually(lambda: not running(mark), "the child lives on")


def running(word: str) -> list[int]:
    """Processes with ``word`` in their command lines."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if word in process.cmdline():
                found.append(process.pid)
    return found


@pytest.mark.parametrize("others", [1, 2])
def test_two_messages_of_one_attempt_after_half_a_renewal_are_one_next_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, others: int
) -> None:
    go, mark = tmp_path / "go", tmp_path / "marks"
    job = make_job({"wait-for": str(go), "mark": str(mark)})
    data = own_data(tmp_path)
    with doomed_worker(crash_points.RENEWAL_SENT, file_of(tasks), data=data) as doomed:
        tape.submit(job)
        doomed.dies()
    nothing_left_behind(job.id)
    go.touch()
    with playing(broker, tasks, name="w1"):
        if others == 2:
            with playing(broker, tasks, name="w2"):
                end = tape.end(job.id)
                clear(tape, "doomed")
        else:
            end = tape.end(job.id)
            clear(tape, "doomed")
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 2)
    assert tape.kinds(job.id) == ["started", "retrying", "started", "succeeded"]
    assert marks(mark) == [f"{job.id} 1", f"{job.id} 2"]
    assert tape.dead() == []


def test_the_end_told_and_not_acknowledged_is_not_run_again_on_the_same_machine(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")})
    with doomed_worker(crash_points.END_SENT, file_of(tasks)) as doomed:
        tape.submit(job)
        doomed.dies()
    with playing(broker, tasks):
        clear(tape)
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]


def test_the_end_told_and_not_acknowledged_elsewhere_is_recorded_once(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    # Nobody who is left knows that it had ended: it runs again, at least once is what is
    # promised, and the ledger has one end and says what happened.
    notebook = tmp_path / "train.ipynb"
    notebook.write_text("{}")
    job = make_job({"mark": str(tmp_path / "marks")}, notebook=str(notebook))
    recorder = Recorder(lambda: broker, "tester")
    recorder.start()
    try:
        eventually(lambda: recorder.connected, "the recorder does not connect")
        data = own_data(tmp_path)
        with doomed_worker(crash_points.END_SENT, file_of(tasks), data=data) as doomed:
            tape.submit(job)
            doomed.dies()
        with playing(broker, tasks):
            tape.wait(job.id, Kind.SUCCEEDED, 2)
            clear(tape)
        ledger = ledger_path(notebook)
        eventually(
            lambda: [e for e in read_ledger(ledger) if e.event is Kind.DUPLICATE],
            "the ledger does not tell of the second end",
        )
    finally:
        recorder.stop()
    assert [e.attempt for e in read_ledger(ledger) if e.event.is_final] == [1]
    (record,) = recorder.records(str(notebook))
    assert (record.state.value, record.duplicates) == ("succeeded", 1)


@pytest.mark.parametrize(
    "point", [crash_points.RETRY_TOLD, crash_points.END_SENT], ids=["told", "sent"]
)
@MACHINES
def test_a_retry_that_is_told_or_sent_and_not_acknowledged_is_one_next_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, same: bool, point: str
) -> None:
    config = {"mark": str(tmp_path / "marks"), "exit-code": 5, "sleep": 1.0}
    job = make_job(config, max_attempts=2)
    data = data_of(tmp_path, same)
    with doomed_worker(point, file_of(tasks), data=data) as doomed:
        tape.submit(job)
        doomed.dies()
    with playing(broker, tasks, name="w1"), playing(broker, tasks, name="w2"):
        end = tape.end(job.id)
        clear(tape)
    assert (end.event, end.attempt) == (Kind.DEAD, 2)
    assert marks(tmp_path / "marks") == [f"{job.id} 1", f"{job.id} 2"]
    reasons = [letter.headers["aiq-reason"] for letter in tape.dead()]
    assert reasons.count("exit-code") == 1


@MACHINES
def test_a_dead_letter_kept_and_not_told_is_told_by_the_next_worker(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path, same: bool
) -> None:
    job = make_job({"mark": str(tmp_path / "marks"), "exit-code": 5}, attempt=2, max_attempts=2)
    data = data_of(tmp_path, same)
    with doomed_worker(crash_points.LETTER_KEPT, file_of(tasks), data=data) as doomed:
        tape.submit(job)
        doomed.dies()
    assert tape.ready(topology.dead_queue("train")) == 1
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape)
    assert (end.event, end.attempt) == (Kind.DEAD, 2)
    assert tape.kinds(job.id).count("dead") == 1
    assert marks(tmp_path / "marks") == [f"{job.id} 2"]
    # A letter may come twice, never not at all.
    letters = tape.dead()
    assert [letter.message_id for letter in letters] == [job.id] * 2
    reasons = {letter.headers["aiq-reason"] for letter in letters}
    assert reasons == ({"exit-code"} if same else {"exit-code", "worker-lost"})


def test_who_dies_while_asking_costs_no_attempt(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")})
    with doomed_worker(crash_points.TAKEN, file_of(tasks), data=own_data(tmp_path)) as doomed:
        tape.submit(job)
        doomed.dies()
    data = own_data(tmp_path)
    with doomed_worker(crash_points.ASKED, file_of(tasks), name="asker", data=data) as doomed:
        doomed.dies()
    with playing(broker, tasks):
        end = tape.end(job.id)
        clear(tape)
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, 1)
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(tmp_path / "marks") == [f"{job.id} 1"]


def test_who_dies_after_handing_over_leaves_the_run_alone(
    broker: Broker, tape: Tape, tasks: Tasks, proxy: Proxy, tmp_path: Path
) -> None:
    go, mark = tmp_path / "go", tmp_path / "marks"
    job = make_job({"wait-for": str(go), "mark": str(mark)})
    (tmp_path / "owner").mkdir()
    own = make_tasks(tmp_path / "owner", TASKS)
    patient = make_tasks(tmp_path, TASKS.replace("grace = 1.0", "grace = 15"))
    through = msgspec.structs.replace(broker, hosts=(proxy.address,))
    with playing(broker, own, find=lambda: through, name="owner"):
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        data = own_data(tmp_path)
        with doomed_worker(crash_points.HANDED_OVER, file_of(patient), data=data) as doomed:
            proxy.cut()
            doomed.said("was with another worker")  # the lease has run out
            proxy.mend()
            doomed.dies()
        with playing(broker, patient, name="third") as third:
            # Its own message came back, and is handed over once more.
            third.said("still runs on owner")
            go.touch()
            end = tape.end(job.id)
            clear(tape, "owner", "doomed")
    assert (end.event, end.attempt, end.worker) == (Kind.SUCCEEDED, 1, "owner")
    assert tape.kinds(job.id) == ["started", "succeeded"]
    assert marks(mark) == [f"{job.id} 1"]


# -- a recorder --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "point", [crash_points.WRITTEN, crash_points.SYNCED], ids=["before-fsync", "before-ack"]
)
def test_events_written_and_not_acknowledged_are_in_the_ledger_once(
    broker: Broker, tmp_path: Path, point: str
) -> None:
    notebook = tmp_path / "train.ipynb"
    notebook.write_text("{}")
    job = Job(id=new_job_id(), config={}, group="train", inbox="me", notebook=str(notebook))
    events = [make_event(kind, job, run="a") for kind in (Kind.SUBMITTED, Kind.STARTED)]
    ledger = ledger_path(notebook)
    with connect(broker, "test") as session:
        session.declare(topology.inbox("me"))
        for event in events:
            publish_event(session, event)
        with doomed_recorder(point) as doomed:
            doomed.dies()
        # What is in the ledger now may be lost in a power failure before the fsync: the inbox
        # has it all.
        eventually(
            lambda: session.count(topology.inbox_queue("me")).ready == 2,
            "the events are not in the inbox any more",
        )
        publish_event(session, make_event(Kind.SUCCEEDED, job, run="a"))
    recorder = Recorder(lambda: broker, "me")
    recorder.start()
    try:
        eventually(
            lambda: ledger.exists() and any(e.event.is_final for e in read_ledger(ledger)),
            "the last event is not recorded",
        )
    finally:
        recorder.stop()
    assert [e.event.value for e in read_ledger(ledger)] == ["submitted", "started", "succeeded"]
