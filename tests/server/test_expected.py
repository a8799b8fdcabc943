"""What is expected of a job, and held jobs, by REST."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import Call, eventually
from happenings import life, make_job, tell

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.collect import forecaster
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.snapshot import Snapshot, pack
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, Result, now
from jupyter_aiqueue.core.load import BrokerLoad, GroupLoad, Load
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.status import Heartbeat
from jupyter_aiqueue.core.transport import Session, connect


def collect(broker: Broker, *jobs: Job) -> None:
    """Tell, as a collector does, of ``jobs`` in line, of a worker, and of runs that took 100 s."""
    at = now()
    picture = Picture(at=at.timestamp())
    for _ in range(5):
        past = make_job()
        picture.event(make_event(Kind.STARTED, past))
        took = Result(exit_code=0, duration_s=100.0)
        picture.event(make_event(Kind.SUCCEEDED, past, result=took))
    picture.beat(Heartbeat(worker="w1", timestamp=at, groups=("train",), slots=1))
    for job in jobs:
        picture.event(make_event(Kind.SUBMITTED, job, timestamp=job.submitted_at))
    workers = tuple(picture.workers("train", at.timestamp()))
    line = picture.line("train", at.timestamp(), (10,))
    group = GroupLoad(
        name="train",
        worker_list=workers,
        start=picture.start("train", line, at.timestamp()),
    )
    load = Load(timestamp=at, broker=BrokerLoad(state="up"), groups=(group,))
    snapshot = Snapshot(timestamp=at, collector="w1", load=load, groups={"train": line})
    with connect(broker, "collector") as session:
        for key, value in ((topology.LORE_KEY, picture.lore()), (topology.LOAD_KEY, snapshot)):
            message = Message(body=pack(value))  # type: ignore[arg-type]
            session.publish(topology.STATUS, key, message, mandatory=True)


async def recorded(api: Call, count: int) -> None:
    async def are_there() -> bool:
        return bool((await api("GET", "jobs")).data["total"] == count)

    await eventually(are_there, "the jobs are not recorded")


async def test_a_waiting_job_has_a_place_a_range_and_sentences(
    broker: Broker, api: Call, notebook: Path
) -> None:
    first, second = make_job(notebook, attempt=1), make_job(notebook, attempt=1)
    tell(broker, *(make_event(Kind.SUBMITTED, job) for job in (first, second)))
    await recorded(api, 2)
    collect(broker, first, second)

    told = (await api("GET", f"jobs/{second.id}/forecast")).data

    assert (told["job_id"], told["missing"]) == (second.id, None)
    forecast = told["forecast"]
    assert (forecast["ahead"], forecast["ahead_of_higher"]) == (1, 0)
    assert forecast["start"]["low"] <= forecast["start"]["middle"] <= forecast["start"]["high"]
    assert forecast["finish"]["low"] > forecast["start"]["low"]
    assert forecast["sentences"][0] == "Ahead of it: 1 of its own priority."


async def test_what_has_no_forecast_says_why(broker: Broker, api: Call, notebook: Path) -> None:
    done, waiting = make_job(notebook), make_job(notebook)
    tell(broker, *life(done), make_event(Kind.SUBMITTED, waiting))
    await recorded(api, 2)

    over = (await api("GET", f"jobs/{done.id}/forecast")).data
    nobody = (await api("GET", f"jobs/{waiting.id}/forecast")).data

    assert (over["forecast"], nobody["forecast"]) == (None, None)
    assert over["missing"] == f"Job {done.id} is succeeded; it is not in line."
    assert "no worker is connected" in nobody["missing"]


async def test_the_load_tells_when_a_job_would_start(broker: Broker, api: Call) -> None:
    collect(broker)

    async def told() -> Any:
        groups = (await api("GET", "load")).data["groups"]
        return next(group for group in groups if group["name"] == "train")["start"]

    start = await eventually(told)
    assert start["at_once"] is True
    assert start["missing"] is None
    assert start["low"] is not None


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A forecast that does not end before this is set."""
    go = threading.Event()

    def read(session: Session) -> None:
        go.wait(20)

    monkeypatch.setattr(forecaster, "read_snapshot", read)
    yield go
    go.set()


async def test_a_forecast_that_takes_long_keeps_nobody_else_waiting(
    slow: threading.Event, broker: Broker, api: Call, notebook: Path, jp_fetch: Any
) -> None:
    job = make_job(notebook)
    tell(broker, make_event(Kind.SUBMITTED, job))
    await recorded(api, 1)
    asked = [asyncio.create_task(api("GET", f"jobs/{job.id}/forecast")) for _ in range(5)]
    await asyncio.sleep(0)

    await jp_fetch("api", "status")
    assert (await api("GET", f"jobs/{job.id}")).status == 200
    assert (await api("GET", "load")).status == 200
    assert (await api("POST", "jobs", {"config": {}})).status == 201
    assert not any(task.done() for task in asked)
    slow.set()
    assert {reply.status for reply in await asyncio.gather(*asked)} == {200}


async def test_a_held_job_tells_what_it_waits_for_and_can_be_released(
    broker: Broker, api: Call
) -> None:
    reply = await api("POST", "jobs", {"config": {}, "when": "free_slots > 99", "name": "patient"})
    held = reply.data["job"]
    assert (reply.status, held["state"], held["hold"]) == (201, "held", "free_slots > 99")
    with connect(broker, "a worker") as session:
        told = session.temporary_queue([(topology.CONTROL, "release.*")])

        released = await api("POST", f"jobs/{held['job_id']}/release")

        assert released.status == 202
        assert "put in line" in released.data["message"]
        assert session.count(told).ready == 1
    assert (await api("GET", f"jobs/{held['job_id']}/forecast")).data["missing"]


async def test_only_a_held_job_can_be_released(broker: Broker, api: Call, notebook: Path) -> None:
    job = make_job(notebook)
    tell(broker, make_event(Kind.SUBMITTED, job))
    await recorded(api, 1)

    refused = await api("POST", f"jobs/{job.id}/release")

    assert (refused.status, refused.data["reason"]) == (409, "job-not-held")


async def test_a_condition_that_cannot_be_read_is_refused(broker: Broker, api: Call) -> None:
    refused = await api("POST", "jobs", {"config": {}, "when": "soon"})

    assert (refused.status, refused.data["reason"]) == (400, "bad-condition")
