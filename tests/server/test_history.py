"""The past of a job as the server tells it, and trying it again with values that were typed."""

from __future__ import annotations

from pathlib import Path

import pytest
from browsing import Call, eventually
from happenings import life, make_job, make_notebook, tell
from jupyter_server.serverapp import ServerApp

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, Result
from jupyter_aiqueue.core.series import Series


@pytest.fixture
def notebook(jp_serverapp: ServerApp) -> Path:
    return make_notebook(Path(jp_serverapp.root_dir) / "train.ipynb")


async def recorded(api: Call, job: Job, state: str) -> None:
    async def is_there() -> bool:
        reply = await api("GET", f"jobs/{job.id}")
        return reply.status == 200 and bool(reply.data["job"]["state"] == state)

    await eventually(is_there)


async def test_the_history_has_every_attempt_and_its_curves(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    first = {"run": "r1", "worker": "w1"}
    series = Series(seconds=[1.0, 2.0], metrics={"loss": [0.5, None]})
    submitted, started, _ = life(job)
    retrying = make_event(
        Kind.RETRYING,
        job,
        **first,
        reason="exit code 1",
        result=Result(exit_code=1, host="gpu-1"),
        metrics={"loss": 0.5},
        log="oh no",
        series=series,
    )
    tell(broker, submitted, started, retrying)
    await recorded(api, job, "retrying")

    status, data = await api("GET", f"jobs/{job.id}/history")

    assert status == 200
    assert [event["event"] for event in data["events"]] == ["submitted", "started", "retrying"]
    ended = data["events"][-1]
    assert (ended["worker"], ended["reason"]) == ("w1", "exit code 1")
    assert ended["result"] == {"exit_code": 1, "host": "gpu-1"}
    assert not {"log", "config", "series", "inbox"} & set().union(*data["events"])
    assert data["series"] == [
        {"attempt": 1, "seconds": [1.0, 2.0], "metrics": {"loss": [0.5, None]}, "complete": True}
    ]


async def test_curves_of_a_running_job_are_what_this_server_has_heard(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook)
    submitted, started, _ = life(job)
    tell(broker, submitted, started)
    await recorded(api, job, "running")

    async def series() -> list[dict[str, object]]:
        return list((await api("GET", f"jobs/{job.id}/history")).data["series"])

    def progress(number: int, loss: float) -> Event:
        return make_event(Kind.PROGRESS, job, run=f"r1.{number}", metrics={"loss": loss})

    assert await series() == []
    for number, loss in enumerate((0.5, 0.25), start=1):
        tell(broker, progress(number, loss))

        async def has_come(loss: float = loss) -> bool:
            heard = await series()
            return bool(heard) and heard[0]["metrics"]["loss"][-1] == loss  # type: ignore[index]

        await eventually(has_come)
    (heard,) = await series()
    assert (heard["attempt"], heard["complete"]) == (1, False)
    assert heard["metrics"] == {"loss": [0.5, 0.25]}

    worker = Series(seconds=[0.5, 1.0, 1.5], metrics={"loss": [1.0, 0.5, 0.25]})
    tell(broker, make_event(Kind.SUCCEEDED, job, run="r1", worker="w1", series=worker))
    await recorded(api, job, "succeeded")
    (told,) = await series()
    assert (told["complete"], told["metrics"]) == (True, {"loss": [1.0, 0.5, 0.25]})


async def test_the_history_of_an_unknown_job_gets_a_404(broker: Broker, api: Call) -> None:
    status, data = await api("GET", "jobs/nosuchjob/history")

    assert (status, data["reason"]) == (404, "unknown-job")


async def test_a_retry_takes_values_as_people_write_them(
    broker: Broker, api: Call, notebook: Path
) -> None:
    job = make_job(notebook, config={"epochs": 3, "lr": 0.1, "model": "mlp"})
    tell(broker, *life(job, Kind.FAILED, reason="exit code 1"))
    await recorded(api, job, "failed")
    written = {"epochs": "5", "lr": "1e-3", "model": "no", "layers": "[64, 32]", "tag": '"7"'}

    status, data = await api("POST", f"jobs/{job.id}/retry", {"written": written})

    assert status == 201
    config = {key: value for key, value in data["job"]["config"].items() if key != "task_id"}
    assert config == {"epochs": 5, "lr": 0.001, "model": "no", "layers": [64, 32], "tag": "7"}
    wrong = await api("POST", f"jobs/{job.id}/retry", {"written": {"epochs": 5}})
    assert (wrong.status, wrong.data["reason"]) == (400, "bad-request")
