"""The collector among the workers: one tells, another one goes on."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import requests
from scene import Playing, Tape, account, eventually, make_job, playing

from jupyter_aiqueue.core import stream, topology
from jupyter_aiqueue.core.collect.reader import read_lore, read_snapshot
from jupyter_aiqueue.core.collect.snapshot import Lore, Snapshot
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerError, PermissionRefused
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.hold import Hold, parse_hold
from jupyter_aiqueue.core.job import Priority, State, now
from jupyter_aiqueue.core.load import EVENTS, PASSIVE, Measured
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.publisher import event_post, publish_event, publish_held
from jupyter_aiqueue.core.submitting import first_event
from jupyter_aiqueue.core.transport import Delivery, Session
from jupyter_aiqueue.worker import collection as collection_module
from jupyter_aiqueue.worker import collector as collector_module
from jupyter_aiqueue.worker.collection import Baton
from jupyter_aiqueue.worker.console import Console
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture(autouse=True)
def keep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection_module, "_LORE", 1.0)
    # Each look into a stream that is empty yet, of which a new broker has some, takes so long.
    monkeypatch.setitem(stream.last.__kwdefaults__, "patience", 0.5)


def snapshot(tape: Tape, fits: Callable[[Snapshot], object]) -> Snapshot:
    """The first snapshot that fits."""
    seen: list[Snapshot] = []

    def look() -> bool:
        found = tape.link.call(read_snapshot)
        if found is not None:
            seen.append(found)
        return found is not None and bool(fits(found))

    eventually(look, lambda: f"no such snapshot; the last was {seen[-1:]}")
    return seen[-1]


def lore(tape: Tape, fits: Callable[[Lore], object]) -> None:
    eventually(
        lambda: (found := tape.link.call(read_lore)) is not None and fits(found),
        "it is not kept",
    )


def collects(*workers: Playing) -> list[str]:
    return [w.worker.name for w in workers if w.worker._collector.collects]


def test_a_snapshot_tells_who_runs_and_who_is_in_line(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first, second = (make_job({"wait-for": str(go)}) for _ in range(2))
    with playing(broker, tasks, name="w1", slots=1):
        tape.submit(first)
        tape.wait(first.id, Kind.STARTED)
        tape.submit(second)
        told = snapshot(
            tape,
            lambda s: s.groups["train"].find(first.id) and s.load.groups[0].waiting.value == 1,
        )
        go.touch()
        tape.end(second.id)
        over = snapshot(tape, lambda s: not s.groups["train"].entries)
    train = next(group for group in told.load.groups if group.name == "train")
    assert told.collector == "w1"
    assert [w.worker for w in train.worker_list] == ["w1"]
    running = told.groups["train"].find(first.id)
    assert running is not None
    assert (running.state, running.worker) == (State.RUNNING, "w1")
    # Nobody has told of the second one: jobs of plain producers come like this.
    assert told.groups["train"].strangers == {Priority.NORMAL: 1}
    assert (train.retrying.value, train.retrying.source) == (0, EVENTS)
    assert train.submitted_rates[3600].value is None, "it has not counted for an hour"
    assert over.load.groups[0].waiting.value == 0


def test_another_worker_goes_on_with_what_was_learnt(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    done = make_job()
    with playing(broker, tasks, name="w1") as one:
        eventually(lambda: collects(one), "nobody collects")
        with playing(broker, tasks, name="w2") as two:
            tape.submit(done)
            tape.end(done.id)
            lore(tape, lambda kept: kept.runs)
            assert collects(one, two) == ["w1"]
            one.worker.stop_now()
            one.ended()
            eventually(lambda: collects(two), "the other one does not go on")
            snapshot(tape, lambda s: s.collector == "w2")
            other = make_job()
            tape.submit(other)
            tape.end(other.id)
            lore(tape, lambda kept: len(kept.runs) == 2)


def test_who_does_not_collect_has_no_connection_for_it(
    broker: Broker, tape: Tape, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector_module, "_LOOK", 0.5)
    with playing(broker, tasks, name="w1") as one:
        eventually(lambda: collects(one), "nobody collects")
        with playing(broker, tasks, name="w2") as two:
            other = two.worker._collector
            looks = [other._look_due]
            for _ in range(3):
                eventually(lambda: other._look_due > looks[-1], "it does not look again")
                looks.append(other._look_due)
            assert not other._link.connected
            one.worker.stop_now()
            one.ended()
            eventually(lambda: collects(two), "it does not go on")


def test_events_that_were_not_kept_are_told_to_the_next_one(
    broker: Broker, tape: Tape, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection_module, "_LORE", 3600.0)
    done = make_job()
    with playing(broker, tasks, name="w1") as one:
        eventually(lambda: collects(one), "nobody collects")
        tape.submit(done)
        tape.end(done.id)
        snapshot(tape, lambda s: s.collector == "w1")
    assert tape.link.call(read_lore) is None
    monkeypatch.setattr(collection_module, "_LORE", 1.0)
    with playing(broker, tasks, name="w2"):
        lore(tape, lambda kept: kept.runs)


def test_a_broker_of_an_earlier_version_is_said_once_and_works(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    tape.link.call(lambda s: s.delete(topology.COLLECTOR))
    job = make_job()
    with playing(broker, tasks, name="w1") as worker:
        worker.said("nobody collects the load")
        tape.submit(job)
        assert tape.end(job.id).event is Kind.SUCCEEDED
        assert not collects(worker)


def test_an_account_that_may_not_do_all_of_it_leaves_it_to_others(
    broker: Broker, tape: Tape, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collector_module, "_LOOK", 0.5)
    job = make_job()
    small = reading(broker, rf"^(?!{re.escape(topology.HELD)}$).*")
    with small as able_to, playing(able_to, tasks, name="small") as one:
        one.said("cannot collect the load")
        with playing(broker, tasks, name="able") as other:
            eventually(lambda: collects(other), "nobody collects")
            tape.link.call(lambda s: publish_held(s, job, terms("free_slots > 0")))
            assert tape.end(job.id).event is Kind.SUCCEEDED
        assert not one.worker._collector._link.connected
        assert len([line for line in one.lines if "cannot collect" in line]) == 1


def test_what_arrives_with_a_baton_that_cannot_be_taken_is_folded_first(
    broker: Broker, tape: Tape, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unable(*args: object) -> None:
        raise PermissionRefused("no")

    monkeypatch.setattr(collection_module, "Keeper", unable)
    job = make_job()
    turn = Baton("mine")

    def fold(session: Session) -> list[str]:
        console = Console(print)
        collection = collection_module.Collection(session, "mine", "w1", console, ())
        arrived = [
            Delivery(message, topology.COLLECTOR, None, tag)
            for tag, message in enumerate(
                (
                    Message(body=msgspec.json.encode(turn), type="baton"),
                    event_post(make_event(Kind.SUBMITTED, job)).message,
                )
            )
        ]
        with pytest.raises(PermissionRefused):
            collection.fold(arrived)
        return [entry.job_id for entry in collection._picture.line("train", 0.0, ()).entries]

    assert tape.link.call(fold) == [job.id]


def test_lore_that_cannot_be_read_once_is_not_learnt_anew(
    broker: Broker, tape: Tape, tasks: Tasks, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = make_job()
    with playing(broker, tasks, name="w1"):
        tape.submit(done)
        tape.end(done.id)
        lore(tape, lambda kept: kept.runs)
    eventually(lambda: tape.ready(topology.LORE_LOG), "it is not counted")
    looks: list[str] = []
    real = collection_module.last

    def fails(session: Session, stream: str) -> Message | None:
        looks.append(stream)
        if len(looks) == 1:
            raise BrokerError("it has no running replica here")
        if len(looks) == 2:
            return None  # it was too slow
        return real(session, stream)

    monkeypatch.setattr(collection_module, "last", fails)
    other = make_job()
    with playing(broker, tasks, name="w2"):
        tape.submit(other)
        tape.end(other.id)
        snapshot(tape, lambda s: s.collector == "w2")
        lore(tape, lambda kept: len(kept.runs) == 2)
    assert len(looks) == 3


def test_held_jobs_are_counted_where_they_are(broker: Broker, tape: Tape, tasks: Tasks) -> None:
    told, untold = make_job(), make_job()
    hold = terms("depth > 1000")
    tape.link.call(lambda s: publish_held(s, untold, hold))
    tape.link.call(lambda s: publish_event(s, first_event(told, hold)))  # of a queue purged since

    def held(found: Snapshot) -> Measured:
        return next(g for g in found.load.groups if g.name == "train").held

    with playing(broker, tasks, name="w1"):
        seen = snapshot(tape, lambda s: held(s).value is not None)
    assert (held(seen).value, held(seen).source) == (1, PASSIVE)


@contextmanager
def reading(broker: Broker, read: str) -> Iterator[Broker]:
    """The broker for an account that may read only what fits ``read``."""
    api = f"{broker.management_url}/api"
    user = f"small-{secrets.token_hex(4)}"
    given = {"configure": ".*", "write": ".*", "read": read}
    for path, body in (
        (f"users/{user}", {"password": "pw", "tags": ""}),
        (f"permissions/{broker.vhost}/{user}", given),
    ):
        requests.put(
            f"{api}/{path}", json=body, auth=account(broker), timeout=10
        ).raise_for_status()
    try:
        yield msgspec.structs.replace(broker, username=user, password="pw")
    finally:
        requests.delete(f"{api}/users/{user}", auth=account(broker), timeout=10)


def terms(when: str) -> Hold:
    hold = parse_hold(when, None, expires=False, at=now())
    assert hold is not None
    return hold
