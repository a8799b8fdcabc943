"""What is said before a job is sent, and that what has succeeded is sent again on purpose only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from browsing import Call, eventually
from happenings import life, lines, make_job, tell

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.ledger import ledger_path
from jupyter_aiqueue.core.transport import connect

CONFIG = {"lr": 0.001, "layers": [64, 32], "label": "10"}
WRITTEN = {"lr": "1e-3", "layers": "[64, 32]", "label": '"10"'}


async def succeeded(broker: Broker, api: Call, notebook: Path) -> str:
    """The id of a job of the notebook that has succeeded, and is recorded."""
    job = make_job(notebook, config=CONFIG)
    tell(broker, *life(job))

    async def recorded() -> bool:
        jobs = (await api("GET", "jobs")).data["jobs"]
        return any(one["state"] == "succeeded" for one in jobs)

    await eventually(recorded)
    return job.id


def in_line(broker: Broker) -> int:
    with connect(broker, "a look") as session:
        return sum(session.count(topology.work_queue("train", one)).ready for one in Priority)


def wanted(**more: Any) -> dict[str, Any]:
    return {"written": WRITTEN, "notebook": "train.ipynb", **more}


async def test_a_rehearsal_says_where_it_would_go_and_sends_nothing(
    broker: Broker, api: Call, notebook: Path
) -> None:
    status, told = await api("POST", "jobs/rehearse", wanted(priority="high"))

    assert (status, told["repeated"]) == (200, False)
    assert told["config"] == CONFIG
    assert "It would go to the queue aiqueue.train.high." in told["sentences"]
    assert told["warnings"][0] in told["sentences"]
    assert "No worker serves train now" in told["warnings"][0]
    assert in_line(broker) == 0
    assert (await api("GET", "jobs")).data["total"] == 0
    assert lines(ledger_path(notebook)) == []


async def test_a_rehearsal_tells_what_would_be_refused(broker: Broker, api: Call) -> None:
    _, told = await api("POST", "jobs/rehearse", {"group": "nobody"})

    assert "no group 'nobody'" in told["refusals"][0]
    assert f"It would not run: {told['refusals'][0]}" in told["sentences"]
    for body, reason in (
        ({"retries": -1}, "bad-retries"),
        ({"when": "soon"}, "bad-condition"),
        ({"notebook": "none.ipynb"}, "bad-path"),
    ):
        reply = await api("POST", "jobs/rehearse", body)
        assert (reply.status, reply.data["reason"]) == (400, reason)


async def test_what_has_succeeded_is_submitted_again_on_purpose_only(
    broker: Broker, api: Call, notebook: Path
) -> None:
    done = await succeeded(broker, api, notebook)

    _, told = await api("POST", "jobs/rehearse", wanted())
    refused = await api("POST", "jobs", wanted(name="another label"))

    assert told["repeated"]
    assert any(f"Job {done} did exactly this" in sentence for sentence in told["sentences"])
    assert (refused.status, refused.data["reason"]) == (409, "already-succeeded")
    assert f"Job {done} did exactly this" in refused.data["message"]
    # (A browser has no options to write.)
    assert "--again" not in f"{told}{refused}"
    assert in_line(broker) == 0

    assert (await api("POST", "jobs", wanted(again=True))).status == 201
    assert (await api("POST", "jobs", wanted(config={"seed": 1}))).status == 201
    assert in_line(broker) == 2


async def test_without_a_broker_nothing_can_be_said(no_broker: None, api: Call) -> None:
    reply = await api("POST", "jobs/rehearse", {})

    assert (reply.status, reply.data["reason"]) == (503, "no-broker")
