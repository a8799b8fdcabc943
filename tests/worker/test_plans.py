"""A plan with everything real: jobs ran, the collector told, and somebody asks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import Tape, eventually, make_job, playing

from jupyter_aiqueue import Client
from jupyter_aiqueue.cli import main
from jupyter_aiqueue.core.collect.reader import read_lore, read_snapshot
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import ConfigError, InvalidJob, UnknownGroup
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.plan import NOBODY_TELLS, Plan
from jupyter_aiqueue.worker import collection
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture(autouse=True)
def keep_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection, "_LORE", 1.0)
    monkeypatch.setattr(collection, "_BATON", 2.0)


@pytest.fixture
def client(broker: Broker) -> Iterator[Client]:
    client = Client(inbox="planner")
    yield client
    client.close()


def test_a_plan_is_made_of_what_has_run_and_what_waits(
    broker: Broker,
    tape: Tape,
    tasks: Tasks,
    tmp_path: Path,
    client: Client,
    capsys: pytest.CaptureFixture[str],
) -> None:
    go = tmp_path / "go"
    past = [make_job({"sleep": 0.2}) for _ in range(4)]
    blocker, waiting = (make_job({"wait-for": str(go)}) for _ in range(2))
    with playing(broker, tasks, name="w1", slots=1):
        tape.submit(*past)
        for job in past:
            tape.end(job.id)
        tape.submit(blocker)
        tape.wait(blocker.id, Kind.STARTED)
        tape.submit(waiting)
        eventually(
            lambda: (
                (told := tape.link.call(read_snapshot)) is not None
                and told.load.groups[0].waiting.value == 1
            ),
            "the collector does not tell of the line",
        )
        eventually(
            lambda: (
                (lore := tape.link.call(read_lore)) is not None
                and len(lore.runs) == 4
                and any(sample.waiting and sample.running for sample in lore.day.get("train", ()))
            ),
            "the collector does not keep the day",
        )

        def planned() -> Plan | None:
            found = client.plan(None, [{"sleep": 0.2}, {"sleep": 0.3}], count=3)
            return found if found.ahead[0].middle == 1 else None

        made: Plan = eventually(planned, "the plan does not know who waits now")
        (tmp_path / "configs.yaml").write_text("- sleep: 0.2\n- sleep: 0.3\n")
        file = str(tmp_path / "configs.yaml")
        code = main(["plan", "child", "x=1", "--config", file, "--count", "3", "--json"])
        printed = json.loads(capsys.readouterr().out)
        assert main(["plan", "child", "--config", file, "--at", "2999-01-01"]) == 0
        said = capsys.readouterr().out
        with pytest.raises(UnknownGroup, match=r"'nowhere'.*train"):
            client.plan(None, [{}], group="nowhere")
        go.touch()
        tape.end(waiting.id)

    assert (made.jobs, made.group) == (6, "train")
    now, later, _ = made.submissions
    assert (now.label, later.label) == ("now", "in an hour")
    for one in (now, later):
        assert one.first.middle is not None
        assert one.half.middle is not None
        assert one.done.middle is not None
        assert 0 < one.first.middle <= one.half.middle <= one.done.middle
    assert later.first.middle is not None
    assert later.first.middle >= 3590
    assert made.past[-1].waiting == 1
    assert any(sample.running for sample in made.past)

    assert code == 0
    assert printed["jobs"] == 6
    assert [one["label"] for one in printed["submissions"][:2]] == ["now", "in an hour"]
    assert printed["submissions"][0]["done"]["middle"] > 0
    assert "2 jobs of child in group train" in said
    assert "2999-01-01 (" in said


def test_without_a_collector_a_plan_says_so(client: Client) -> None:
    made = client.plan("child", [{"lr": 1}])
    assert {one.done.missing for one in made.submissions} == {NOBODY_TELLS}
    assert NOBODY_TELLS in str(made)


def test_what_cannot_be_planned_is_refused(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InvalidJob, match="no job"):
        client.plan("child", [])
    with pytest.raises(InvalidJob, match="has passed"):
        client.plan("child", [{}], at=["2001-01-01"])
    assert main(["plan", "lr=1"]) == 1
    assert "the task comes first" in capsys.readouterr().err
    for command in ("plan", "submit"):
        assert main([command, "sweep.yaml"]) == 1
        assert f"`jupyter aiqueue {command} TASK --config sweep.yaml`" in capsys.readouterr().err
    assert main(["plan", "child", "--config", "nowhere.yaml"]) == 1
    assert ConfigError.__name__ not in capsys.readouterr().err
