"""From the inbox to ledgers: on disk before acknowledged, once, and for everybody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import ledger as ledger_module
from jupyter_aiqueue.core import paths, topology
from jupyter_aiqueue.core import recorder as recorder_module
from jupyter_aiqueue.core.events import Kind, encode_event, make_event, routing_key
from jupyter_aiqueue.core.job import Job, State, new_job_id, now
from jupyter_aiqueue.core.ledger import ledger_path, read_ledger, read_records
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.recorder import Recorder, make_inbox
from jupyter_aiqueue.core.transport import Session

from .wire import closed_port

INBOX = topology.inbox_queue("me")


@pytest.fixture
def inbox(session):
    session.declare(topology.inbox("me"))
    return session


@pytest.fixture
def recorders(broker, monkeypatch):
    monkeypatch.setattr(recorder_module, "_RETRY_INTERVAL", 0.1)
    made = []

    def make(at=broker, **options):
        made.append(Recorder(at if callable(at) else lambda: at, "me", **options))
        made[-1].start()
        return made[-1]

    yield make
    for recorder in made:
        recorder.stop()


@pytest.fixture
def notebook(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.ipynb").write_text("{}")
    return folder / "train.ipynb"


def job_of(notebook=None, **fields):
    return Job(
        **{
            "id": new_job_id(),
            "config": {"epochs": 3},
            "group": "train",
            "inbox": "me",
            "notebook": None if notebook is None else str(notebook),
            "submitted_at": now(),
        }
        | fields
    )


def tell(session, job, *kinds, **fields):
    events = [make_event(kind, job, run="a", **fields) for kind in kinds]
    for event in events:
        publish_event(session, event)
    return events


def quickly(session, event):
    """Publish without waiting for the confirm."""
    channel = session.__dict__.setdefault("_quick", session._connection.channel())
    channel.basic_publish(topology.EVENTS, routing_key(event), encode_event(event))


def recorded(path, number):
    return eventually(
        lambda: path.exists() and len(read_ledger(path)) >= number and read_ledger(path),
        message=f"{path.name} does not get {number} events",
    )


def emptied(session, recorder):
    """Nothing is in the inbox, nor held unacknowledged by the recorder, which is stopped."""
    recorder.stop()
    eventually(lambda: session.count(INBOX).consumers == 0, message="a recorder is still there")
    assert session.count(INBOX).ready == 0


def test_events_are_written_beside_the_notebook_and_leave_the_inbox(inbox, recorders, notebook):
    recorder = recorders()
    job = job_of(notebook)
    events = tell(inbox, job, Kind.SUBMITTED, Kind.STARTED, Kind.SUCCEEDED)
    assert recorded(ledger_path(notebook), 3) == events
    assert recorder.record(job.id).state is State.SUCCEEDED
    assert [r.job_id for r in recorder.records(str(notebook))] == [job.id]
    emptied(inbox, recorder)


def test_an_inbox_that_is_missing_is_made(session, recorders):
    recorders()
    eventually(lambda: session.exists(INBOX), message="no inbox")


def test_what_came_while_nobody_recorded_is_recorded_later(inbox, recorders, notebook):
    tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED, Kind.SUCCEEDED)
    recorders()
    recorded(ledger_path(notebook), 3)


def test_an_event_is_written_and_synced_before_it_is_acknowledged(
    inbox, recorders, notebook, monkeypatch
):
    steps = []
    place = ledger_path(notebook)
    write, fsync, ack = os.write, os.fsync, Session.ack

    def is_ledger(descriptor):
        return place.exists() and os.path.samestat(os.fstat(descriptor), place.stat())

    def seen(name, call, wanted):
        def step(*args):
            result = call(*args)
            if wanted(*args):
                steps.append(name)
            return result

        return step

    monkeypatch.setattr(
        ledger_module.os, "write", seen("write", write, lambda fd, _: is_ledger(fd))
    )
    monkeypatch.setattr(ledger_module.os, "fsync", seen("fsync", fsync, is_ledger))
    monkeypatch.setattr(Session, "ack", seen("ack", ack, lambda *_: True))
    recorders()
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    eventually(lambda: "ack" in steps, message="no acknowledgement")
    assert steps == ["write", "fsync", "ack"]


KILLED = """
import os, signal, sys, time
from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.recorder import Recorder, make_inbox
from jupyter_aiqueue.core.transport import Session

Session.ack = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
Recorder(find_broker, "me").start()
time.sleep(60)
"""


def test_a_recorder_killed_between_writing_and_acknowledging_writes_nothing_twice(
    inbox, recorders, notebook
):
    events = tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED, Kind.SUCCEEDED)
    killed = subprocess.run([sys.executable, "-c", KILLED], timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(read_ledger(ledger_path(notebook))) >= 1
    recorder = recorders()
    events += tell(inbox, job_of(notebook), Kind.SUBMITTED)
    assert recorded(ledger_path(notebook), 4) == events
    emptied(inbox, recorder)


def test_a_connection_cut_between_writing_and_acknowledging_writes_nothing_twice(
    inbox, proxy, recorders, notebook, monkeypatch
):
    ack, cuts = Session.ack, []

    def cut_first(session, delivery):
        if not cuts:
            cuts.append(1)
            proxy.cut()
        ack(session, delivery)

    monkeypatch.setattr(Session, "ack", cut_first)
    recorder = recorders(proxy.broker)
    events = tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED)
    recorded(ledger_path(notebook), 2)
    eventually(lambda: proxy.accepted >= 2, message="no second connection")
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    assert recorded(ledger_path(notebook), 3)[:2] == events
    emptied(inbox, recorder)


class Refusing:
    """A disk that refuses one file for a while."""

    def __init__(self, place):
        self.place, self.refused, self._open = Path(place), 0, os.open
        self.refusing = True

    def open(self, path, *args, **options):
        if self.refusing and Path(path) == self.place:
            self.refused += 1
            raise PermissionError(13, "Permission denied")
        return self._open(path, *args, **options)


@pytest.fixture
def refusing(notebook, monkeypatch):
    disk = Refusing(ledger_path(notebook))
    monkeypatch.setattr(ledger_module.os, "open", disk.open)
    return disk


def test_a_ledger_that_cannot_be_written_is_said_and_written_when_it_can_be(
    inbox, recorders, notebook, refusing
):
    recorder = recorders()
    events = tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED)
    (trouble,) = eventually(lambda: recorder.troubles, message="no trouble is told")
    assert str(ledger_path(notebook)) in trouble
    assert "Permission denied" in trouble
    tell(inbox, job_of(), Kind.SUBMITTED)  # others are recorded meanwhile
    recorded(recorder.ledgers.unattached, 1)
    refusing.refusing = False
    assert recorded(ledger_path(notebook), 2) == events
    eventually(lambda: recorder.troubles == [], message="the trouble that is over is still told")
    emptied(inbox, recorder)


def test_what_could_not_be_written_is_still_in_the_inbox_when_the_recorder_stops(
    inbox, recorders, notebook, refusing
):
    recorder = recorders()
    events = tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED)
    eventually(lambda: refusing.refused, message="nothing was tried")
    recorder.stop()
    eventually(lambda: inbox.count(INBOX).ready == 2, message="the events are not in the inbox")
    refusing.refusing = False
    recorders()
    assert recorded(ledger_path(notebook), 2) == events


def test_very_many_events_of_one_broken_ledger_do_not_hold_up_the_others(
    inbox, recorders, notebook, refusing
):
    job = job_of(notebook)
    for number in range(600):
        quickly(inbox, make_event(Kind.STARTED, job, run=str(number)))
    tell(inbox, job_of(), Kind.SUBMITTED)
    recorder = recorders()
    recorded(recorder.ledgers.unattached, 1)


def test_what_arrives_together_is_synced_together(inbox, recorders, notebook, monkeypatch):
    synced, fsync = [], os.fsync
    monkeypatch.setattr(
        ledger_module.os, "fsync", lambda descriptor: (synced.append(1), fsync(descriptor))
    )
    for _ in range(300):
        quickly(inbox, make_event(Kind.SUBMITTED, job_of(notebook)))
    inbox.count(INBOX)
    recorders()
    recorded(ledger_path(notebook), 300)
    assert len(synced) < 100


def test_of_two_recorders_one_works_and_the_other_takes_over(inbox, broker, recorders, notebook):
    told = {"first": [], "second": []}
    first = recorders(on_change=told["first"].append)
    eventually(lambda: inbox.count(INBOX).consumers == 1, message="the first does not consume")
    second = recorders(on_change=told["second"].append)
    eventually(lambda: second._link.connected, message="the second does not connect")
    for _ in range(20):
        tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 20)
    eventually(
        lambda: len({r.job_id for r in told["first"]}) == 20, message="the first tells too little"
    )
    assert told["second"] == []
    first.stop()
    later = job_of(notebook)
    tell(inbox, later, Kind.SUBMITTED)
    recorded(ledger_path(notebook), 21)
    eventually(lambda: [r.job_id for r in told["second"]] == [later.id], message="nobody took over")


@pytest.mark.parametrize(
    "body",
    [
        b"nothing of ours",
        b"\xff\xfe",
        b"",
        b"[" * 100_000,
        b'{"event": "exploded"}',
        b"x" * 2_000_000,
    ],
    ids=["text", "binary", "empty", "deep", "kind", "large"],
)
def test_what_is_no_event_is_set_aside_and_does_not_stop_anything(inbox, recorders, notebook, body):
    inbox.publish(topology.EVENTS, "me.train.x.y", Message(body=body), mandatory=True)
    recorder = recorders()
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)
    aside = paths.data_dir() / "unreadable-events.jsonl"
    eventually(aside.exists, message="nothing was set aside")
    assert msgspec.json.decode(aside.read_bytes().splitlines()[0])["why"]
    emptied(inbox, recorder)


@pytest.mark.parametrize(
    "path", ["/" + "x" * 5000 + "/a.ipynb", "/\x00/a.ipynb", "//a", ".", "/proc/1/fd/9/a.ipynb"]
)
def test_a_strange_notebook_path_does_not_keep_others_from_being_recorded(
    inbox, recorders, notebook, path
):
    tell(inbox, job_of(path), Kind.SUBMITTED)
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorders()
    recorded(ledger_path(notebook), 1)


def test_a_data_folder_that_cannot_be_made_is_a_trouble_and_not_the_end(inbox, recorders, notebook):
    paths.data_dir().parent.mkdir(parents=True, exist_ok=True)
    paths.data_dir().write_text("a file in the way")
    recorder = recorders()
    tell(inbox, job_of(), Kind.SUBMITTED)
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)
    assert "unattached" in eventually(lambda: recorder.troubles, message="no trouble is told")[0]
    paths.data_dir().unlink()
    recorded(paths.data_dir() / "unattached.jobs.jsonl", 1)


def test_a_second_end_of_a_job_is_recorded_as_a_duplicate(inbox, recorders, notebook):
    job = job_of(notebook)
    tell(inbox, job, Kind.SUBMITTED, Kind.SUCCEEDED)
    publish_event(inbox, make_event(Kind.SUCCEEDED, job, run="another"))
    recorders()
    recorded(ledger_path(notebook), 3)
    assert read_records(ledger_path(notebook))[job.id].duplicates == 1


def test_progress_is_told_live_and_not_written(inbox, recorders, notebook):
    told = []
    recorder = recorders(on_change=told.append)
    job = job_of(notebook)
    tell(inbox, job, Kind.SUBMITTED, Kind.STARTED)
    recorded(ledger_path(notebook), 2)
    tell(inbox, job, Kind.PROGRESS, progress=0.5, metrics={"loss": 0.1})
    eventually(lambda: [r.progress for r in told][-1:] == [0.5], message="no progress is told")
    assert recorder.record(job.id).metrics == {"loss": 0.1}
    assert len(read_ledger(ledger_path(notebook))) == 2


def test_changes_are_told_after_they_are_on_disk(inbox, recorders, notebook):
    seen = []

    def look(record):
        seen.append(read_records(Path(record.ledger))[record.job_id].state is record.state)

    recorders(on_change=look)
    tell(inbox, job_of(notebook), Kind.SUBMITTED, Kind.STARTED)
    eventually(lambda: seen, message="nothing was told")
    assert all(seen)


def test_a_fault_in_a_listener_does_not_stop_recording(inbox, recorders, notebook, caplog):
    def fault(record):
        raise ZeroDivisionError

    recorder = recorders(on_change=fault)
    job = job_of(notebook)
    for kind in (Kind.SUBMITTED, Kind.STARTED, Kind.PROGRESS, Kind.SUCCEEDED):
        tell(inbox, job, kind, progress=0.5)
    recorded(ledger_path(notebook), 3)
    emptied(inbox, recorder)


def test_a_broker_that_is_away_at_the_start_is_said_and_found_later(
    inbox, broker, recorders, notebook
):
    at = [msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))]
    recorder = recorders(lambda: at[-1])
    assert "Nothing listens" in eventually(lambda: recorder.troubles, message="no trouble")[0]
    assert recorder.broker_error is not None
    at.append(broker)
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)
    assert recorder.troubles == []
    assert recorder.broker_error is None


def test_an_inbox_that_is_deleted_is_made_again(inbox, api, broker, recorders, notebook):
    recorders()
    eventually(lambda: inbox.count(INBOX).consumers == 1, message="nobody consumes")
    api.delete(f"queues/{broker.vhost}/{INBOX}")
    eventually(
        lambda: inbox.exists(INBOX) and inbox.count(INBOX).consumers == 1,
        message="the inbox is not made again",
    )
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)


def test_an_account_that_may_only_read_its_inbox_can_record(inbox, account, recorders, notebook):
    recorders(account("^$", "^$", "^aiqueue\\.inbox\\.me$"))
    tell(inbox, job_of(notebook), Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)


def test_events_of_a_notebook_that_was_moved_follow_it(inbox, recorders, notebook):
    recorder = recorders()
    job = job_of(notebook)
    tell(inbox, job, Kind.SUBMITTED)
    recorded(ledger_path(notebook), 1)
    new = notebook.rename(notebook.with_name("final.ipynb"))
    recorder.moved(str(notebook), str(new))
    tell(inbox, job, Kind.STARTED)
    recorded(ledger_path(new), 2)
    assert not ledger_path(notebook).exists()


def test_stopping_leaves_no_thread(broker, recorders):
    before = threading.active_count()
    recorder = recorders()
    eventually(lambda: recorder._link.connected, message="no connection")
    recorder.stop()
    eventually(lambda: threading.active_count() <= before, message="threads are left")


def test_who_catches_up_has_recorded_what_waited(broker, session, tmp_path):
    # Given events in an inbox that nobody reads
    make_inbox(session, "late")
    notebook = tmp_path / "late.ipynb"
    jobs = [
        Job(id=new_job_id(), config={}, group="train", inbox="late", notebook=str(notebook))
        for _ in range(50)
    ]
    for job in jobs:
        publish_event(session, make_event(Kind.SUBMITTED, job))
    # When a recorder has caught up
    recorder = Recorder(lambda: broker, "late")
    recorder.start()
    try:
        assert recorder.catch_up(20)
        # Then all of them are in the ledger
        assert {record.job_id for record in recorder.records(str(notebook))} == {
            job.id for job in jobs
        }
    finally:
        recorder.stop()
