"""From a request to the ledger beside the notebook."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest
from browsing import Call, eventually
from happenings import kinds, life, lines, make_job, make_notebook, tell

from jupyter_aiqueue.core import paths, topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Result
from jupyter_aiqueue.core.message import encode_job
from jupyter_aiqueue.core.stream import replay
from jupyter_aiqueue.core.transport import connect


async def rename(jp_fetch: Any, old: str, new: str) -> None:
    await jp_fetch("api", "contents", old, method="PATCH", body=json.dumps({"path": new}))


async def inbox_empty(broker: Broker) -> None:
    """Wait until everything that was told is recorded."""
    with connect(broker, "test") as session:
        inbox = topology.inbox_queue(os.environ["AIQUEUE_INBOX"])
        await eventually(lambda: session.count(inbox).ready == 0)


async def test_a_submitted_job_is_in_the_list_at_once_and_in_the_ledger_beside_its_notebook(
    broker: Broker, api: Call, notebook: Path
) -> None:
    status, data = await api(
        "POST",
        "jobs",
        {"task": "train_model", "config": {"epochs": 3}, "notebook": "train.ipynb", "name": "one"},
    )

    assert status == 201
    assert data["place"] == 0
    job = data["job"]
    assert (job["state"], job["path"], job["name"]) == ("queued", "train.ipynb", "one")
    assert job["config"]["epochs"] == 3
    listed = (await api("GET", "jobs", notebook="train.ipynb")).data
    assert [one["job_id"] for one in listed["jobs"]] == [job["job_id"]]
    assert listed["troubles"] == []
    await eventually(lambda: kinds(notebook.with_name("train.jobs.jsonl")) == ["submitted"])
    assert [one["job_id"] for one in (await api("GET", "jobs")).data["jobs"]] == [job["job_id"]]
    with connect(broker, "test") as session:
        assert session.count("aiqueue.train.normal").ready == 1


async def test_a_job_without_a_notebook_is_recorded_with_those_of_no_notebook(
    broker: Broker, api: Call
) -> None:
    job = (await api("POST", "jobs", {"config": {}})).data["job"]

    assert job["path"] is None
    (line,) = await eventually(lambda: lines(paths.data_dir() / "unattached.jobs.jsonl"))
    assert line["job_id"] == job["job_id"]


async def test_what_a_worker_tells_is_seen_and_recorded(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    result = Result(exit_code=0, duration_s=1.5)
    tell(broker, *life(job, metrics={"accuracy": 0.97}, result=result, log="epoch 3\n"))

    async def ended() -> Any:
        return [j for j in (await api("GET", "jobs")).data["jobs"] if j["state"] == "succeeded"]

    (listed,) = await eventually(ended)
    assert listed["log_tail"] is None
    data = (await api("GET", f"jobs/{job.id}")).data["job"]
    assert data["metrics"] == {"accuracy": 0.97}
    assert data["result"] == {"exit_code": 0, "duration_s": 1.5}
    assert data["log_tail"] == "epoch 3\n"
    assert (await api("GET", f"jobs/{job.id}/log")).data == {
        "log": "epoch 3\n",
        "offset": None,
        "complete": True,
    }
    assert kinds(notebook.with_name("train.jobs.jsonl")) == ["submitted", "started", "succeeded"]


async def test_an_event_that_comes_twice_is_recorded_once(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    events = life(job)
    other = make_job(notebook)
    tell(broker, *events, *events, make_event(Kind.SUBMITTED, other))
    ledger = notebook.with_name("train.jobs.jsonl")

    await eventually(lambda: any(line["job_id"] == other.id for line in lines(ledger)))

    assert kinds(ledger) == ["submitted", "started", "succeeded", "submitted"]
    assert (await api("GET", f"jobs/{job.id}")).data["job"]["duplicates"] == 0


@pytest.fixture
def unbound_inbox(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As left by somebody who died between the two steps of making it."""
    monkeypatch.setenv("AIQUEUE_INBOX", "alice")
    inbox = msgspec.structs.replace(topology.inbox("alice"), bindings=())
    with connect(broker, "test") as session:
        session.declare(inbox)


async def test_an_inbox_that_somebody_left_half_made_receives_its_events(
    broker: Broker, unbound_inbox: None, api: Call, notebook: Path
) -> None:
    await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})

    await eventually(lambda: kinds(notebook.with_name("train.jobs.jsonl")) == ["submitted"])


async def test_pages_and_states_choose_jobs(broker: Broker, api: Call, notebook: Path) -> None:
    jobs = [make_job(notebook) for _ in range(5)]
    tell(broker, *(event for job in jobs[:3] for event in life(job)))
    tell(broker, *(make_event(Kind.SUBMITTED, job) for job in jobs[3:]))

    async def all_there() -> bool:
        states = [job["state"] for job in (await api("GET", "jobs")).data["jobs"]]
        return states == ["queued"] * 2 + ["succeeded"] * 3

    await eventually(all_there)
    page = (await api("GET", "jobs", state="succeeded,failed", limit="2", offset="1")).data
    assert page["total"] == 3
    assert [job["job_id"] for job in page["jobs"]] == [jobs[1].id, jobs[0].id]
    assert (await api("GET", "jobs", notebook="other.ipynb")).data["total"] == 0


async def test_the_record_of_a_job_is_removed_when_it_is_over(
    broker: Broker, api: Call, notebook: Path, tab: Any
) -> None:
    job, other = make_job(notebook), make_job(notebook)
    told = life(job)
    tell(broker, *told[:2], *life(other))

    async def states() -> list[str]:
        listed = (await api("GET", "jobs", id=job.id)).data
        return [one["state"] for one in listed["jobs"]]

    await eventually(lambda: is_now(states, ["running"]))
    refused = await api("DELETE", f"jobs/{job.id}")
    assert (refused.status, refused.data["reason"]) == (409, "job-not-over")
    assert "only the record of a job that is over can be removed" in refused.data["message"]
    tell(broker, told[2])
    await eventually(lambda: is_now(states, ["succeeded"]))
    assert (await api("DELETE", f"jobs/{job.id[:-1]}")).status == 404

    async with tab() as stream:
        assert await api("DELETE", f"jobs/{job.id}") == (200, {"job_id": job.id})
        await stream.until(lambda event: event.get("job_id") == job.id, "no tab was told")

    assert await states() == []
    assert (await api("GET", f"jobs/{job.id}")).status == 404
    assert (await api("DELETE", f"jobs/{job.id}")).status == 404
    tell(broker, told[2], make_event(Kind.CANCELLED, job))
    await inbox_empty(broker)
    assert [one["job_id"] for one in (await api("GET", "jobs")).data["jobs"]] == [other.id]
    text = notebook.with_name("train.jobs.jsonl").read_text("utf-8")
    assert f'{{"removed":"{job.id}"' in text
    assert text.count(f'"job_id":"{job.id}"') == 4  # with the late end


async def is_now(look: Any, wanted: Any) -> bool:
    return bool(await look() == wanted)


async def test_a_waiting_job_can_be_cancelled_once(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = (await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})).data["job"]
    ledger = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: kinds(ledger) == ["submitted"])
    await inbox_empty(broker)

    status, data = await api("POST", f"jobs/{job['job_id']}/cancel")

    assert status == 202
    assert data["job"]["state"] == "cancelled"
    assert "will not start" in data["message"]
    again = await api("POST", f"jobs/{job['job_id']}/cancel")
    assert (again.status, again.data["reason"]) == (409, "job-over")
    assert kinds(ledger) == ["submitted", "cancelled"]


async def test_a_job_can_be_cancelled_before_it_is_recorded(
    broker: Broker, api: Call, notebook: Path
) -> None:
    notebook.with_name("train.jobs.jsonl").mkdir()
    job = (await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})).data["job"]

    reply = await api("POST", f"jobs/{job['job_id']}/cancel")

    assert reply.status == 202
    with connect(broker, "test") as session:
        cancels = replay(session, topology.CONTROL, topology.CONTROL_LOG)
    assert [message.routing_key for message in cancels] == [f"cancel.{job['job_id']}"]


async def test_a_running_job_is_shown_as_being_cancelled(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    tell(broker, *life(job)[:2])

    async def running() -> bool:
        reply = await api("GET", f"jobs/{job.id}")
        return reply.status == 200 and bool(reply.data["job"]["state"] == "running")

    await eventually(running)
    status, data = await api("POST", f"jobs/{job.id}/cancel")

    assert (status, data["job"]["state"], data["job"]["cancelling"]) == (202, "running", True)


async def test_a_retry_is_a_new_job_of_the_same_notebook(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook, config={"epochs": 3, "lr": 0.1}, name="one")
    tell(broker, *life(job, Kind.FAILED, reason="exit code 1"))

    async def failed() -> bool:
        reply = await api("GET", f"jobs/{job.id}")
        return reply.status == 200 and bool(reply.data["job"]["state"] == "failed")

    await eventually(failed)
    status, data = await api("POST", f"jobs/{job.id}/retry", {"changes": {"lr": 0.01}})

    assert status == 201
    new = data["job"]
    assert new["job_id"] != job.id
    assert (new["retry_of"], new["path"], new["name"]) == (job.id, "train.ipynb", "one")
    assert (new["config"]["epochs"], new["config"]["lr"]) == (3, 0.01)
    early = await api("POST", f"jobs/{new['job_id']}/retry")
    assert (early.status, early.data["reason"]) == (409, "job-not-over")
    ledger = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: lines(ledger)[-1]["job_id"] == new["job_id"])


async def test_a_job_that_only_its_dead_letter_knows_is_retried(broker: Broker, api: Call) -> None:
    message = encode_job(make_job(id="train_001", config={"epochs": 3}, inbox=None))
    with connect(broker, "test") as session:
        session.publish(topology.DEAD, "train.normal", message, mandatory=True)
        status, data = await api("POST", "jobs/train_001/retry", {"changes": {"epochs": 5}})
        assert (status, data["job"]["retry_of"]) == (201, "train_001")
        assert data["job"]["config"]["epochs"] == 5
        assert session.count(topology.dead_queue("train")).ready == 0
    again = await api("POST", "jobs/train_001/retry")
    assert (again.status, again.data["reason"]) == (404, "unknown-job")


async def test_the_ledger_of_a_renamed_and_moved_notebook_goes_with_it_while_a_job_runs(
    broker: Broker, api: Call, jp_fetch: Any, notebook: Path
) -> None:
    job = make_job(notebook)
    submitted, started, succeeded = life(job)
    tell(broker, submitted, started)
    old = notebook.with_name("train.jobs.jsonl")
    new = notebook.parent / "lab" / "better.jobs.jsonl"
    new.parent.mkdir()
    await eventually(lambda: kinds(old) == ["submitted", "started"])

    await rename(jp_fetch, "train.ipynb", "lab/better.ipynb")
    await eventually(new.exists)
    tell(broker, succeeded)  # it names the notebook as it was called when it was submitted

    await eventually(lambda: kinds(new) == ["submitted", "started", "succeeded"])
    assert not old.exists()
    (listed,) = (await api("GET", "jobs", notebook="lab/better.ipynb")).data["jobs"]
    assert listed["path"] == "lab/better.ipynb"


async def test_jobs_of_a_notebook_in_a_renamed_folder_are_recorded_in_the_new_folder(
    broker: Broker, api: Call, jp_fetch: Any, jp_root_dir: Path
) -> None:
    notebook = make_notebook(jp_root_dir / "old lab" / "deep" / "train.ipynb")
    recorded, unrecorded = make_job(notebook), make_job(notebook)
    tell(broker, *life(recorded)[:2])
    old = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: kinds(old) == ["submitted", "started"])

    await rename(jp_fetch, "old lab", "lab")
    new = jp_root_dir / "lab" / "deep" / "train.jobs.jsonl"

    async def listed() -> bool:
        jobs = (await api("GET", "jobs")).data["jobs"]
        return [job["path"] for job in jobs] == ["lab/deep/train.ipynb"]

    await eventually(listed)
    tell(broker, life(recorded)[2], *life(unrecorded))

    await eventually(lambda: len(lines(new)) == 6)
    assert not (jp_root_dir / "old lab").exists()
    assert {job["path"] for job in (await api("GET", "jobs")).data["jobs"]} == {
        "lab/deep/train.ipynb"
    }


async def test_an_event_that_comes_before_a_rename_is_followed_is_not_lost(
    broker: Broker, api: Call, jp_fetch: Any, jp_root_dir: Path
) -> None:
    notebook = make_notebook(jp_root_dir / "a" / "train.ipynb")
    job = make_job(notebook)
    tell(broker, *life(job)[:2])
    await eventually(lambda: len(lines(notebook.with_name("train.jobs.jsonl"))) == 2)
    # As if the rename were known late: the folder is gone when the event comes.
    (jp_root_dir / "a").rename(jp_root_dir / "b")
    tell(broker, life(job)[2])

    async def troubled() -> Any:
        return (await api("GET", "jobs")).data["troubles"]

    await eventually(troubled)
    (jp_root_dir / "b").rename(jp_root_dir / "a")
    await rename(jp_fetch, "a", "b")

    await eventually(lambda: kinds(jp_root_dir / "b" / "train.jobs.jsonl")[-1:] == ["succeeded"])

    async def no_trouble() -> bool:
        return (await api("GET", "jobs")).data["troubles"] == []

    await eventually(no_trouble, "the trouble is over and still shown")


async def test_a_copied_notebook_has_no_jobs_and_a_deleted_one_leaves_its_ledger(
    broker: Broker, api: Call, jp_fetch: Any, notebook: Path
) -> None:
    tell(broker, *life(make_job(notebook)))
    ledger = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: len(lines(ledger)) == 3)

    copied = await jp_fetch(
        "api", "contents", "/", method="POST", body=json.dumps({"copy_from": "train.ipynb"})
    )
    await jp_fetch("api", "contents", "train.ipynb", method="DELETE")

    copy = json.loads(copied.body)["path"]
    assert (await api("GET", "jobs", notebook=copy)).data["total"] == 0
    assert len(lines(ledger)) == 3
    assert (await api("GET", "jobs", notebook="train.ipynb")).data["total"] == 1


async def test_a_ledger_that_cannot_follow_is_told_of_and_the_rename_is_done(
    broker: Broker, api: Call, jp_fetch: Any, notebook: Path
) -> None:
    tell(broker, *life(make_job(notebook)))
    ledger = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: len(lines(ledger)) == 3)
    in_the_way = notebook.with_name("better.jobs.jsonl")
    in_the_way.mkdir()

    await rename(jp_fetch, "train.ipynb", "better.ipynb")

    async def told() -> Any:
        return (await api("GET", "jobs")).data["troubles"]

    (trouble,) = await eventually(told)
    assert str(ledger) in trouble
    assert notebook.with_name("better.ipynb").exists()
    assert len(lines(ledger)) == 3


async def test_what_cannot_be_written_waits_in_the_inbox_and_is_told_of(
    broker: Broker, api: Call, notebook: Path
) -> None:
    ledger = notebook.with_name("train.jobs.jsonl")
    ledger.mkdir()
    job = make_job(notebook)
    tell(broker, *life(job))

    async def told() -> Any:
        return (await api("GET", "jobs", notebook="train.ipynb")).data["troubles"]

    troubles = await eventually(told)
    assert all(str(ledger) in trouble for trouble in troubles)
    ledger.rmdir()

    await eventually(lambda: kinds(ledger) == ["submitted", "started", "succeeded"])

    async def no_trouble() -> bool:
        return (await api("GET", "jobs")).data["troubles"] == []

    await eventually(no_trouble)
    await inbox_empty(broker)


async def test_a_submit_succeeds_when_its_ledger_cannot_be_written(
    broker: Broker, api: Call, notebook: Path
) -> None:
    notebook.with_name("train.jobs.jsonl").mkdir()

    reply = await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})

    assert reply.status == 201
    listed = (await api("GET", "jobs", notebook="train.ipynb")).data["jobs"]
    assert [job["state"] for job in listed] == ["queued"]
    with connect(broker, "test") as session:
        assert session.count("aiqueue.train.normal").ready == 1
