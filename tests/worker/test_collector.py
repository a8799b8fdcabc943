"""The collector among the workers: one tells, another one goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from scene import Playing, Tape, eventually, make_job, playing

from jupyter_aiqueue.core import stream, topology
from jupyter_aiqueue.core.collect.reader import read_lore, read_snapshot
from jupyter_aiqueue.core.collect.snapshot import Lore, Snapshot
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority, State
from jupyter_aiqueue.core.load import EVENTS
from jupyter_aiqueue.worker import collector as collector_module
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture(autouse=True)
def keep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collector_module, "_LORE", 1.0)
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
    monkeypatch.setattr(collector_module, "_LORE", 3600.0)
    done = make_job()
    with playing(broker, tasks, name="w1") as one:
        eventually(lambda: collects(one), "nobody collects")
        tape.submit(done)
        tape.end(done.id)
        snapshot(tape, lambda s: s.collector == "w1")
    assert tape.link.call(read_lore) is None
    monkeypatch.setattr(collector_module, "_LORE", 1.0)
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
