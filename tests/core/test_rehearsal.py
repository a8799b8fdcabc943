"""What is said of a job before it is sent."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.hold import parse_hold
from jupyter_aiqueue.core.job import Job, JobRecord, Priority, Result, State, now
from jupyter_aiqueue.core.ledger import Ledger
from jupyter_aiqueue.core.load import (
    HEARTBEATS,
    PASSIVE,
    BrokerLoad,
    Expected,
    GroupLoad,
    Load,
    Measured,
    WorkerLoad,
)
from jupyter_aiqueue.core.rehearsal import Rehearsal, Surroundings, did, rehearse

JOB = Job(
    id="new", config={"task_id": "new", "lr": 0.1}, group="train", task="fit", priority=Priority.LOW
)


def record(**fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "job_id": "old",
        "state": State.SUCCEEDED,
        "task": "fit",
        "group": "train",
        "config": {"task_id": "old", "lr": 0.1},
        "ended_at": now() - timedelta(hours=3),
        "metrics": {"accuracy": 0.97},
        "result": Result(duration_s=61.0, git_commit="a" * 40, environment="torch"),
        "ledger": "/n/train.jobs.jsonl",
    }
    return JobRecord(**{**defaults, **fields})


def load(*workers: WorkerLoad, broker: BrokerLoad | None = None) -> Load:
    group = GroupLoad(
        name="train",
        waiting=Measured(9, PASSIVE, 0.0),
        workers=Measured(len(workers), HEARTBEATS, 1.0),
        worker_list=workers,
    )
    up = BrokerLoad(state="up")
    return Load(timestamp=now(), broker=broker or up, groups=(group,))


def worker(name: str = "w1", **fields: Any) -> WorkerLoad:
    defaults: dict[str, Any] = {"environment": "torch", "tasks": ("fit",), "state": "active"}
    return WorkerLoad(worker=name, slots=1, **{**defaults, **fields})


READY = load(worker())
AWAY = Load(timestamp=now(), broker=BrokerLoad(state="down", message="It is away."))


def rehearsed(
    *records: JobRecord,
    at: Load = READY,
    environment: str = "torch",
    commit: str | None = None,
    **fields: Any,
) -> Rehearsal:
    job = msgspec.structs.replace(JOB, **fields)
    return rehearse(job, at, records, None, here=Surroundings(environment, commit))


# -- where and when ----------------------------------------------------------------------


def test_where_it_would_go_and_when_it_would_start_and_end() -> None:
    foresight = Foresight(
        start=Expected(low=720, middle=900, high=1500, inside=33, of=40),
        finish=Expected(low=4000, middle=5000, high=9000),
        run=Expected(low=300, middle=400, high=600),
        ahead=2,
        basis="runs: 12 of the task",
    )
    said = str(rehearse(JOB, READY, [], foresight, here=Surroundings("torch")))
    assert said.splitlines()[:2] == [
        "Nothing was sent.",
        "It would go to the queue aiqueue.train.low.",
    ]
    assert "It starts in 12–25 min (80 % range; 33 of the last 40 landed inside)." in said
    assert "It ends in 66 min – 2 h 30 min" in said
    assert "A run of it takes 5–10 min (80 % range)." in said
    assert "no worker tells of the load" in str(rehearsed())


def test_a_job_that_would_be_held_says_for_what() -> None:
    hold = parse_hold("depth < 5", None, expires=False, at=now().astimezone())
    found = rehearse(JOB, READY, [], None, here=Surroundings("torch"), hold=hold)
    assert found.terms is not None
    assert found.terms.conditions[0].now == 9
    assert "held first: waits for depth < 5; depth is 9 now." in str(found)
    assert "held" not in str(rehearsed())


# -- what was done before ----------------------------------------------------------------


def test_the_same_that_was_done_before_is_shown_with_its_result() -> None:
    found = rehearsed(record())
    assert len(found.done_before) == 1
    said = str(found)
    assert "Job old did exactly this 3 h 00 min ago" in said
    assert "succeeded in 61 s, with accuracy 0.97, at commit aaaaaaaaaaaa" in said
    assert "in environment torch" in said
    assert "/n/train.jobs.jsonl" in said
    assert "`--again` submits it once more." in said


def test_the_line_of_the_ledger_that_tells_of_its_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "train.jobs.jsonl"
    old = msgspec.structs.replace(JOB, id="old")
    other = msgspec.structs.replace(JOB, id="older", retry_of="old")
    Ledger(path).append(
        [
            make_event(Kind.SUBMITTED, old),
            make_event(Kind.SUBMITTED, other),
            make_event(Kind.SUCCEEDED, other),
            make_event(Kind.SUCCEEDED, old),
        ]
    )
    (found,) = rehearsed(record(ledger=str(path))).done_before
    assert found.line == 5  # after a header and three events
    assert path.read_bytes().splitlines()[found.line - 1].startswith(b'{"event":"succeeded"')
    assert f"It is recorded in {path}, line 5." in str(found)
    (gone,) = rehearsed(record(ledger=str(tmp_path / "gone"))).done_before
    assert gone.line is None


def test_the_same_commit_and_environment_or_others_are_told_apart() -> None:
    (same,) = rehearsed(record(), commit="a" * 40).done_before
    assert (same.same_commit, same.same_environment) == (True, True)
    assert "at commit aaaaaaaaaaaa (as here), in environment torch (as the workers)" in str(same)
    base = load(worker(environment="base"))
    (other,) = rehearsed(record(), at=base, commit="b" * 40).done_before
    assert (other.same_commit, other.same_environment) == (False, False)
    assert "(another one than here)" in str(other)
    assert "(another one than the workers)" in str(other)
    (changed,) = rehearsed(record(), commit="a" * 40 + "-dirty").done_before
    assert changed.same_commit is False
    (unknown,) = rehearsed(record(), at=AWAY).done_before
    assert (unknown.same_commit, unknown.same_environment) == (None, None)
    assert "as here" not in str(unknown)


def test_an_end_that_was_no_success_is_shown_with_its_reason_and_needs_no_again() -> None:
    for state, verb in ((State.FAILED, "failed"), (State.DEAD, "died")):
        said = str(rehearsed(record(state=state, metrics={}, reason="exit code 1.")))
        assert f"it {verb} in 61 s" in said
        assert ": exit code 1." in said
        assert "--again" not in said


@pytest.mark.parametrize(("more", "said"), [(1, "1 earlier job did"), (2, "2 earlier jobs did")])
def test_of_many_that_did_it_before_the_rest_is_counted(more: int, said: str) -> None:
    assert f"{said} it, too." in str(rehearsed(*(record(job_id=f"o{n}") for n in range(3 + more))))


def test_one_that_is_on_its_way_is_told() -> None:
    found = rehearsed(record(state=State.RUNNING, ended_at=None))
    assert found.under_way == ["old"]
    assert found.done_before == []
    assert "Job old is to do exactly this, too." in str(found)
    assert rehearsed(record()).under_way == []


@pytest.mark.parametrize(
    "other",
    [
        {"config": {"lr": 0.2}},
        {"config": {"lr": 0.1, "seed": 1}},
        {"config": {}},
        {"task": "other"},
        {"group": "infer"},
        {"state": State.CANCELLED},
        {"state": State.RUNNING},
    ],
)
def test_what_is_otherwise_is_not_the_same(other: dict[str, Any]) -> None:
    assert did(JOB, record())
    assert not did(JOB, record(**other))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (1, 1.0, True),
        (0.1, 0.1, True),
        (1, True, False),
        (0, False, False),
        (True, True, True),
        (1, "1", False),
        ("true", True, False),
        (None, False, False),
        ([1, 2.0], [1.0, 2], True),
        ([1, 2], [2, 1], False),
        ([1], [True], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": [2]}, {"b": [2.0], "a": 1}, True),
        ({"a": 1}, {"a": True}, False),
        ({"a": 1}, {"a": 1, "b": None}, False),
    ],
)
def test_values_are_the_same_if_a_person_means_the_same(one: Any, other: Any, same: bool) -> None:
    job = msgspec.structs.replace(JOB, config={"x": one})
    assert did(job, record(config={"x": other})) is same
    job = msgspec.structs.replace(JOB, config={"x": other})
    assert did(job, record(config={"x": one})) is same


# -- what would keep it from running -----------------------------------------------------


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (load(worker(tasks=("other",))), "has a task 'fit'; they have other"),
        (load(broker=BrokerLoad(state="up", alarms="memory alarm")), "takes no messages now"),
        (msgspec.structs.replace(READY, groups=(GroupLoad(name="infer"),)), "there are infer"),
        (msgspec.structs.replace(READY, groups=(), notes=("Not set up.",)), "Not set up."),
        (AWAY, "It is away."),
    ],
)
def test_what_would_keep_it_from_running(at: Load, why: str) -> None:
    found = rehearsed(at=at)
    assert why.lower() in " ".join(found.refusals).lower()
    assert str(found).splitlines()[1].startswith("It would not run: ")
    assert "When it would start" not in str(found)


@pytest.mark.parametrize(
    ("at", "why"),
    [
        (
            load(worker(), worker("w2", tasks=("other",)), worker("w3", tasks=("other",))),
            "It would not run if w2 or w3 takes it, which has no task 'fit' and refuses it.",
        ),
        (load(), "No worker serves train now: it would wait until one does (`jupyter aiqueue"),
        (load(worker(state="lost")), "No worker serves train now"),
    ],
)
def test_what_may_keep_it_from_running_comes_first_but_is_no_refusal(at: Load, why: str) -> None:
    found = rehearsed(at=at)
    assert found.refusals == []
    assert str(found).splitlines()[1].startswith(why)
    assert "It would not run: " not in str(found)


def test_what_would_be_refused_has_no_start() -> None:
    foresight = Foresight(
        start=Expected(low=0, middle=1, high=2), finish=Expected(low=3, middle=4, high=5), ahead=2
    )
    there = Surroundings("torch")
    said = str(rehearse(JOB, load(worker(tasks=("other",))), [], foresight, here=there))
    assert "Ahead of it: 2 of its own priority." in said
    assert "starts" not in said
    assert "It starts" in str(rehearse(JOB, READY, [], foresight, here=there))


def test_numbers_of_two_moments_are_told_apart() -> None:
    hold = parse_hold("depth < 5", None, expires=False, at=now().astimezone())
    foresight = Foresight(
        start=Expected(missing="x"), finish=Expected(missing="x"), at=now() - timedelta(minutes=3)
    )
    said = str(rehearse(JOB, READY, [], foresight, here=Surroundings("torch"), hold=hold))
    assert "depth is 9 now. The rest is as if it were in line, as counted 3 min ago." in said


def test_what_runs_has_nothing_in_its_way() -> None:
    assert rehearsed().refusals == []
    assert rehearsed(at=load(worker(tasks=()))).refusals == []  # of an earlier version
    assert rehearsed(task=None, at=load(worker(tasks=("other",)))).refusals == []


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"a b": 1}, "The config key 'a b' cannot be a flag"),
        ({"note": "x" * 200_000}, "The value of `note` is too long for a command line"),
        ({"name": "a\0b"}, "holds a NUL character"),
        ({"names": ["--rm"]}, "which a command line would take for a flag"),
    ],
)
def test_a_config_that_no_command_line_can_carry_is_told(config: dict[str, Any], why: str) -> None:
    (said,) = rehearsed(config=config).refusals
    assert why in said
    assert "unless the task's `flags` leave it out" in said


# -- what is otherwise here --------------------------------------------------------------


def test_another_environment_here_than_there_is_said() -> None:
    assert rehearsed().differences == []
    (said,) = rehearsed(environment="base").differences
    assert "Here is the environment base" in said
    assert "its workers are in torch" in said
    own = load(worker(environment="base", task_environments={"fit": "torch"}))
    assert rehearsed(at=own).differences == []
    assert rehearsed(at=own, task="other").differences != []
    assert rehearsed(at=load(worker(environment=None))).differences == []
