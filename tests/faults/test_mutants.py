"""Would anybody notice? Wrong variants of the core, each caught by a check of what it must do.

Every scenario runs twice: with the code as it is, where it must hold, and with one fault patched
in by this file (the product has no switches for it), where it must not. A scenario that holds in
both cases proves nothing and fails here.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pika
import pytest
from waiting import eventually

from jupyter_aiqueue import Client
from jupyter_aiqueue.core import broker_statistics, topology
from jupyter_aiqueue.core import ledger as ledger_module
from jupyter_aiqueue.core import measure as measure_module
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AIQueueError, NotConfirmed, UnknownGroup
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, Priority, State, new_job_id
from jupyter_aiqueue.core.ledger import Ledger, ledger_path, read_ledger, read_records
from jupyter_aiqueue.core.load import Measured
from jupyter_aiqueue.core.measure import measure
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.publisher import publish_event, publish_job
from jupyter_aiqueue.core.recorder import Recorder
from jupyter_aiqueue.core.topology import Queue
from jupyter_aiqueue.core.transport import Session, connect

Patch = pytest.MonkeyPatch


class World(NamedTuple):
    """What a scenario finds."""

    broker: Broker
    session: Session
    folder: Path
    #: Python to run first in processes of the scenario, with the same fault.
    prelude: str


def job_of(folder: Path, **fields: object) -> Job:
    notebook = folder / "train.ipynb"
    notebook.write_text("{}")
    values = {"id": new_job_id(), "config": {"epochs": 3}, "group": "train", "inbox": "me"}
    return Job(**values | {"notebook": str(notebook)} | fields)


def ended(world: World, job: Job, number: int) -> list:
    """The events of ``job`` in its ledger, once there are ``number``."""
    path = ledger_path(world.folder / "train.ipynb")
    return eventually(
        lambda: path.exists() and len(read_ledger(path)) >= number and read_ledger(path),
        message=f"the ledger does not get {number} events",
        timeout=5,
    )


# -- a recorder that dies ----------------------------------------------------------------

RECORD_AND_DIE = """
import os, signal, time
from jupyter_aiqueue.core import ledger
from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.recorder import Recorder

def die(*_):
    time.sleep(0.5)  # what was sent to the broker until now gets there
    os.kill(os.getpid(), signal.SIGKILL)

ledger.Ledger._write = die  # at the moment when it would write
Recorder(find_broker, "me").start()
time.sleep(60)
"""

ACK_BEFORE_WRITING = """
from jupyter_aiqueue.core.recorder import Recorder
from jupyter_aiqueue.core.transport import Session

ack, write = Session.ack, Recorder._write

def write_after_ack(self, session):
    for delivery, _ in self._arrived:
        ack(session, delivery)
    session._connection.process_data_events(0)
    Session.ack = lambda *_: None
    write(self, session)

Recorder._write = write_after_ack
"""


def an_event_survives_a_recorder_that_dies_before_it_is_on_disk(world: World) -> None:
    job = job_of(world.folder)
    world.session.declare(topology.inbox("me"))
    publish_event(world.session, make_event(Kind.SUBMITTED, job))
    died = subprocess.run(
        [sys.executable, "-c", world.prelude + RECORD_AND_DIE], timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL
    recorder = Recorder(lambda: world.broker, "me")
    recorder.start()
    try:
        ended(world, job, 1)
    finally:
        recorder.stop()


# -- the ledger --------------------------------------------------------------------------


class _KnowsNothing(set):
    """A set of ids that never has what is asked for."""

    def __contains__(self, _: object) -> bool:
        return False


def ledger_without_memory_of_ids(patch: Patch) -> None:
    forget = Ledger._forget

    def forgetting(self: Ledger) -> None:
        forget(self)
        self._ids = _KnowsNothing()

    patch.setattr(Ledger, "_forget", forgetting)


def an_event_that_comes_twice_is_written_once(world: World) -> None:
    job = job_of(world.folder)
    path = ledger_path(world.folder / "train.ipynb")
    events = [make_event(kind, job, run="a") for kind in (Kind.SUBMITTED, Kind.STARTED)]
    Ledger(path).append(events)
    Ledger(path).append(events)  # as after a crash before the acknowledgement
    assert read_ledger(path) == events


def ledger_that_takes_every_end(patch: Patch) -> None:
    patch.setattr(ledger_module, "_duplicate", lambda event: event)


def a_job_is_recorded_complete_exactly_once(world: World) -> None:
    job = job_of(world.folder)
    path = ledger_path(world.folder / "train.ipynb")
    ledger = Ledger(path)
    ledger.append([make_event(Kind.SUCCEEDED, job, run="a", worker="w1")])
    ledger.append([make_event(Kind.SUCCEEDED, job, run="b", worker="w2")])
    assert sum(event.event.is_final for event in read_ledger(path)) == 1
    record = read_records(path)[job.id]
    assert (record.state, record.worker, record.duplicates) == (State.SUCCEEDED, "w1", 1)


def ledger_that_leaves_half_lines(patch: Patch) -> None:
    patch.setattr(ledger_module.os, "ftruncate", lambda *_: None)
    write = Ledger._write

    def unrepaired(self: Ledger, descriptor: int, events: list) -> None:
        self._read_to = os.fstat(descriptor).st_size
        write(self, descriptor, events)

    patch.setattr(Ledger, "_write", unrepaired)


def an_event_after_a_torn_line_is_readable(world: World) -> None:
    job = job_of(world.folder)
    path = ledger_path(world.folder / "train.ipynb")
    submitted, started = (make_event(k, job, run="a") for k in (Kind.SUBMITTED, Kind.STARTED))
    Ledger(path).append([submitted])
    with path.open("ab") as file:
        file.write(b'{"event":"star')
    Ledger(path).append([started])
    assert read_ledger(path) == [submitted, started]


def ledger_that_believes_the_order_of_arrival(patch: Patch) -> None:
    patch.setattr(ledger_module, "order", lambda event: 0)


def a_record_does_not_depend_on_the_order_of_arrival(world: World) -> None:
    job = job_of(world.folder)
    kinds = (Kind.SUBMITTED, Kind.STARTED, Kind.SUCCEEDED)
    events = [make_event(kind, job, run="a", worker="w1") for kind in kinds]
    paths = [world.folder / "one.jobs.jsonl", world.folder / "two.jobs.jsonl"]
    Ledger(paths[0]).append(events)
    for event in reversed(events):
        Ledger(paths[1]).append([event])
    one, two = (read_records(path)[job.id] for path in paths)
    assert (two.state, two.started_at, two.worker) == (one.state, one.started_at, one.worker)


# -- publishing --------------------------------------------------------------------------


def publisher_without_mandatory(patch: Patch) -> None:
    publish = Session.publish

    def careless(self, exchange, key, message, *, mandatory=False):
        publish(self, exchange, key, message)

    patch.setattr(Session, "publish", careless)


def a_job_for_a_group_that_is_not_there_is_not_lost_in_silence(world: World) -> None:
    try:
        publish_job(world.session, job_of(world.folder, group="trian"))
    except UnknownGroup:
        return
    raise AssertionError("the job is nowhere, and nobody was told")


def publisher_without_confirms(patch: Patch) -> None:
    patch.setattr(pika.adapters.blocking_connection.BlockingChannel, "confirm_delivery", nothing)


def nothing(*_: object) -> None:
    pass


def a_job_that_the_broker_refused_is_not_called_submitted(world: World) -> None:
    full = {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish"}
    queue = f"full{secrets.token_hex(4)}"
    with connect(world.broker, "scenario") as session:
        session.declare(Queue(queue, full, ((topology.JOBS, f"{queue}.high", {}),)))
        accepted = 0
        for _ in range(3):
            try:
                publish_job(session, job_of(world.folder, group=queue, priority=Priority.HIGH))
                accepted += 1
            except NotConfirmed:
                pass
    with connect(world.broker, "scenario") as session:  # all that was sent has arrived
        assert session.count(queue).ready == accepted


def a_job_whose_channel_fails_is_not_called_submitted(world: World) -> None:
    with connect(world.broker, "scenario") as session:
        try:
            session.publish("aiqueue.missing", "x", Message(body=b"{}"))
        except AIQueueError:
            return
    raise AssertionError("the message is nowhere, and nobody was told")


def publisher_with_new_ids(patch: Patch) -> None:
    publish = Session.publish

    def renaming(self, exchange, key, message, *, mandatory=False):
        message = msgspec.structs.replace(message, message_id=new_job_id())
        publish(self, exchange, key, message, mandatory=mandatory)

    patch.setattr(Session, "publish", renaming)


def a_repeated_submit_is_recognisable_by_its_id(world: World) -> None:
    client = Client(inbox="me", record=False)
    try:
        handle = client.submit("t", {})
    finally:
        client.close()
    delivery = world.session.get(topology.work_queue("train", Priority.NORMAL))
    assert delivery is not None
    world.session.ack(delivery)
    assert delivery.message.message_id == handle.id


# -- numbers -----------------------------------------------------------------------------


def meter_that_takes_unknown_for_0(patch: Patch) -> None:
    zero = Measured(0, "guess", 0.0)
    for module in (measure_module, broker_statistics):
        patch.setattr(module, "UNKNOWN", zero)

    def guess(parts, source):
        return Measured(sum(part.value or 0 for part in parts), source, 0.0)

    patch.setattr(measure_module, "total", guess)
    numbers = broker_statistics.Numbers
    patch.setattr(numbers.__new__, "__defaults__", (zero,) * len(numbers._fields))


def what_is_not_known_is_not_told_as_a_number(world: World) -> None:
    alone = msgspec.structs.replace(world.broker, management_url=None)
    load = measure(alone, ["missing"])
    *_, queue = load.groups
    assert queue.waiting.value is None
    assert load.groups[0].arrival_rate.value is None


# -- all of them -------------------------------------------------------------------------

Scenario = Callable[[World], None]
Fault = Callable[[Patch], None]

MUTANTS: list[tuple[Scenario, str, Fault | str]] = [
    (
        an_event_survives_a_recorder_that_dies_before_it_is_on_disk,
        "recorder that acknowledges before it writes",
        ACK_BEFORE_WRITING,
    ),
    (
        an_event_that_comes_twice_is_written_once,
        "ledger without memory of ids",
        ledger_without_memory_of_ids,
    ),
    (
        a_job_is_recorded_complete_exactly_once,
        "ledger that takes every end",
        ledger_that_takes_every_end,
    ),
    (
        an_event_after_a_torn_line_is_readable,
        "ledger that leaves half lines",
        ledger_that_leaves_half_lines,
    ),
    (
        a_record_does_not_depend_on_the_order_of_arrival,
        "ledger that believes the order of arrival",
        ledger_that_believes_the_order_of_arrival,
    ),
    (
        a_job_for_a_group_that_is_not_there_is_not_lost_in_silence,
        "publisher without mandatory",
        publisher_without_mandatory,
    ),
    (
        a_job_that_the_broker_refused_is_not_called_submitted,
        "publisher without confirms, full queue",
        publisher_without_confirms,
    ),
    (
        a_job_whose_channel_fails_is_not_called_submitted,
        "publisher without confirms, lost channel",
        publisher_without_confirms,
    ),
    (
        a_repeated_submit_is_recognisable_by_its_id,
        "publisher with new ids",
        publisher_with_new_ids,
    ),
    (
        what_is_not_known_is_not_told_as_a_number,
        "meter that takes unknown for 0",
        meter_that_takes_unknown_for_0,
    ),
]


@pytest.fixture
def world(broker: Broker, tmp_path: Path) -> Iterator[World]:
    folder = tmp_path / "work"
    folder.mkdir()
    with connect(broker, "scenario") as session:
        yield World(broker, session, folder, "")


@pytest.mark.parametrize("scenario", {row[0]: 0 for row in MUTANTS}, ids=lambda s: s.__name__)
def test_the_real_code_passes(world: World, scenario: Scenario) -> None:
    scenario(world)


@pytest.mark.parametrize(
    ("scenario", "fault"),
    [(scenario, fault) for scenario, _, fault in MUTANTS],
    ids=[name for _, name, _ in MUTANTS],
)
def test_the_fault_is_noticed(
    world: World, scenario: Scenario, fault: Fault | str, monkeypatch: Patch
) -> None:
    if isinstance(fault, str):
        world = world._replace(prelude=textwrap.dedent(fault))
    else:
        fault(monkeypatch)
    with pytest.raises(AssertionError):
        scenario(world)
