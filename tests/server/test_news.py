"""What browsers hear through the server's event stream, and the output of jobs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from browsing import Call, eventually
from happenings import life, make_job, tell

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.transport import Delivery, Session, connect
from jupyter_aiqueue.server.announcer import JOB_SCHEMA, LOAD_SCHEMA
from jupyter_aiqueue.server.app import AIQueueExtension


def of(job: Job, state: str) -> Callable[[dict[str, Any]], bool]:
    return lambda event: event.get("job_id") == job.id and event["state"] == state


async def test_two_tabs_hear_of_a_job_from_its_start_to_its_end(
    broker: Broker, tab: Any, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    submitted, started, succeeded = life(job)
    async with tab() as one, tab() as other:
        tell(broker, submitted)
        for stream in (one, other):
            event = await stream.until(of(job, "queued"), "nothing of the submit")
            assert (event["schema_id"], event["path"]) == (JOB_SCHEMA, "train.ipynb")
        tell(broker, started)
        for stream in (one, other):
            event = await stream.until(of(job, "running"), "nothing of the start")
            assert (event["attempt"], event["progress"]) == (1, None)
        tell(broker, make_event(Kind.PROGRESS, job, run="r1", worker="w1", progress=0.5))
        for stream in (one, other):
            await stream.until(lambda event: event.get("progress") == 0.5, "nothing of progress")
        running = (await api("GET", f"jobs/{job.id}")).data["job"]
        assert (running["state"], running["progress"]) == ("running", 0.5)
        tell(broker, succeeded)
        for stream in (one, other):
            await stream.until(of(job, "succeeded"), "nothing of the end")


async def test_what_is_heard_holds_nothing_of_what_the_job_was_asked_to_do(
    broker: Broker, tab: Any, notebook: Path
) -> None:
    job = make_job(notebook, config={"api_key": "open-sesame"}, name="sesame", user="alice")
    async with tab() as stream:
        tell(broker, *life(job, metrics={"sesame": 1}, log="sesame", reason="sesame"))
        await stream.until(of(job, "succeeded"), "nothing of the end")

        ours = [event for event in stream.heard if event["schema_id"] == JOB_SCHEMA]
        assert ours
        assert "sesame" not in str(ours)
        assert "alice" not in str(ours)


async def test_a_night_of_events_is_told_without_keeping_the_server_from_answering(
    broker: Broker, tab: Any, notebook: Path, jp_fetch: Any, api: Call
) -> None:
    jobs = [make_job(notebook) for _ in range(300)]
    async with tab() as stream:
        tell(broker, *(make_event(Kind.SUBMITTED, job) for job in jobs))
        missing = {job.id for job in jobs}
        while missing:
            event = await stream.until(lambda e: e["schema_id"] == JOB_SCHEMA, f"{missing}")
            missing.discard(event["job_id"])
            if len(missing) == 150:
                await jp_fetch("api", "status")
    assert (await api("GET", "jobs")).data["total"] == 300


async def test_the_load_is_told_when_its_numbers_change_and_only_then(
    broker: Broker, tab: Any, api: Call
) -> None:
    def train(event: dict[str, Any]) -> Any:
        groups = {group["name"]: group for group in event.get("groups", [])}
        return groups.get("train", {}).get("waiting")

    async with tab() as stream:
        load = (await api("GET", "load")).data
        assert load["broker"]["state"] == "up"
        event = await stream.until(lambda e: train(e) == 0, "nothing of the first load")
        assert event["schema_id"] == LOAD_SCHEMA
        assert event["broker_state"] == "up"
        first = load["timestamp"]

        async def measured_thrice() -> bool:
            return len((await api("GET", "load")).data["history"]["train"]) > 3

        await eventually(measured_thrice)
        await api("POST", "jobs", {"config": {}})
        event = await stream.until(lambda e: train(e) == 1, "nothing of the new load")

        assert event["timestamp"] > first
        loads = [event for event in stream.heard if event["schema_id"] == LOAD_SCHEMA]
        told = [{**event, "timestamp": None} for event in loads]
        assert all(one != other for one, other in pairwise(told))


async def test_two_tabs_share_one_poller(broker: Broker, api: Call) -> None:
    await asyncio.gather(*(api("GET", "load") for _ in range(4)))

    pollers = [thread for thread in threading.enumerate() if thread.name == "monitor"]
    assert len(pollers) == 1


async def test_a_renamed_notebook_s_jobs_are_told_with_their_new_path(
    broker: Broker, tab: Any, notebook: Path, jp_fetch: Any
) -> None:
    job = make_job(notebook)
    async with tab() as stream:
        tell(broker, *life(job))
        await stream.until(of(job, "succeeded"), "nothing of the end")
        await jp_fetch(
            "api", "contents", "train.ipynb", method="PATCH", body='{"path": "better.ipynb"}'
        )
        await stream.until(lambda e: e.get("path") == "better.ipynb" and "job_id" in e, "no news")


class Worker:
    """Answers when it is asked for logs, as a worker does."""

    def __init__(self, broker: Broker, answer: Event) -> None:
        self._broker, self._answer = broker, answer
        self._ready, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Worker:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *exc: object) -> None:
        self._stopping.set()
        self._thread.join(20)

    def _run(self) -> None:
        def asked(session: Session, delivery: Delivery) -> None:
            session.ack(delivery)
            publish_event(session, self._answer)

        with connect(self._broker, "test worker") as session:
            queue = session.temporary_queue([(topology.CONTROL, f"log.{self._answer.job_id}")])
            session.consume(queue, lambda delivery: asked(session, delivery))
            self._ready.set()
            while not self._stopping.is_set():
                session.pump(0.1)


async def test_the_output_of_a_running_job_is_asked_of_its_worker(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    tell(broker, *life(job)[:2])
    await running(api, job)
    answer = make_event(Kind.LOG, job, run="r1", log="epoch 1\n", log_offset=120)

    with Worker(broker, answer):
        status, data = await api("GET", f"jobs/{job.id}/log")

    assert (status, data) == (200, {"log": "epoch 1\n", "offset": 120, "complete": False})


async def test_a_worker_that_does_not_send_the_output_is_told_of(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    tell(broker, *life(job)[:2])
    await running(api, job)

    status, data = await api("GET", f"jobs/{job.id}/log")

    assert (status, data["reason"]) == (503, "broker-unreachable")
    assert "w1" in data["message"]


async def test_a_waiting_job_has_no_output_yet(broker: Broker, api: Call) -> None:
    job = (await api("POST", "jobs", {"config": {}})).data["job"]

    reply = await api("GET", f"jobs/{job['job_id']}/log")

    assert reply.data == {"log": "", "offset": 0, "complete": False}


async def running(api: Call, job: Job) -> None:
    async def is_running() -> bool:
        reply = await api("GET", f"jobs/{job.id}")
        return reply.status == 200 and bool(reply.data["job"]["state"] == "running")

    await eventually(is_running)


async def test_nothing_is_told_after_the_end(
    broker: Broker, extension: AIQueueExtension, notebook: Path
) -> None:
    tell(broker, *life(make_job(notebook)))

    await extension.stop_extension()
    await extension.stop_extension()

    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "recorder " in name or name == "monitor"]
