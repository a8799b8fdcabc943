"""Why a job is where it is: the sentence in each situation, and what stands behind it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest

from jupyter_aiqueue.core.collect.entry import Entry
from jupyter_aiqueue.core.collect.foresight import Foresight, Remaining
from jupyter_aiqueue.core.collect.reader import Found
from jupyter_aiqueue.core.collect.snapshot import BatchPlace, GroupLine
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import JobNotFound
from jupyter_aiqueue.core.job import JobRecord, Priority, Result, State
from jupyter_aiqueue.core.load import (
    HEARTBEATS,
    PASSIVE,
    UNKNOWN,
    BrokerLoad,
    Expected,
    GroupLoad,
    Load,
    Measured,
    WorkerLoad,
)
from jupyter_aiqueue.core.status import Running
from jupyter_aiqueue.core.why import Known, Why, explain
from jupyter_aiqueue.core.why import ask as asking

#: Now, 10:42 for a reader in Shanghai.
AT = datetime(2026, 3, 2, 2, 42, tzinfo=timezone.utc)
JOB = "01m805f9wv4cna3nk2kxtc9agh"


@pytest.fixture(autouse=True)
def reader_in_shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def ago(minutes: float) -> datetime:
    return AT - timedelta(minutes=minutes)


def record(state: State = State.QUEUED, **fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "job_id": JOB,
        "name": "mine",
        "task": "train_model",
        "group": "train",
        "priority": Priority.NORMAL,
        "submitted_at": ago(42),
        "updated_at": ago(42),
    }
    return JobRecord(state=state, **{**defaults, **fields})


def worker(name: str = "gpu-1", *busy: float, **fields: Any) -> WorkerLoad:
    """A worker with a run since each of so many minutes."""
    runs = tuple(
        Running(
            job_id=f"{name}-{minutes:g}",
            group="train",
            priority=Priority.LOW,
            name=f"run{minutes:g}",
            user="alice",
            since=ago(minutes),
            progress=0.5,
        )
        for minutes in busy
    )
    defaults: dict[str, Any] = {
        "state": "active",
        "slots": max(1, len(runs)),
        "last_seen": ago(0.05),
        "age_s": 3.0,
    }
    return WorkerLoad(worker=name, running=runs, **{**defaults, **fields})


def silent(name: str = "gpu-3", minutes: float = 40) -> WorkerLoad:
    return worker(name, state="lost", last_seen=ago(minutes), age_s=60 * minutes)


def load(
    *workers: WorkerLoad,
    high: float | None = 0,
    normal: float | None = 1,
    known: bool = True,
    broker: BrokerLoad | None = None,
    **fields: Any,
) -> Load:
    def beat(value: float) -> Measured:
        return Measured(value, HEARTBEATS, 1.0) if known else UNKNOWN

    def counted(value: float | None) -> Measured:
        return UNKNOWN if value is None else Measured(value, PASSIVE, 0.0)

    alive = [worker for worker in workers if worker.state != "lost"]
    depth = None if high is None or normal is None else high + normal + 7
    group = GroupLoad(
        name="train",
        waiting_by_priority={"high": counted(high), "normal": counted(normal), "low": counted(7)},
        waiting=counted(depth),
        workers=beat(len(alive)),
        slots=beat(sum(worker.slots for worker in alive)),
        free=beat(sum(worker.slots - len(worker.running) for worker in alive)),
        worker_list=workers,
        **fields,
    )
    return Load(timestamp=AT, broker=broker or BrokerLoad(state="up"), groups=(group,))


def foresight(ahead: int = 3, **fields: Any) -> Foresight:
    defaults: dict[str, Any] = {
        "start": Expected(low=720, middle=900, high=1500, inside=33, of=40),
        "finish": Expected(missing="no history yet"),
        "at": AT,
    }
    return Foresight(ahead=ahead, **{**defaults, **fields})


def why(job: JobRecord, snapshot: Load | None = None, **known: Any) -> Why:
    return explain(job, Known(load=snapshot, **known), AT)


def sentence(job: JobRecord, snapshot: Load | None = None, **known: Any) -> str:
    found = why(job, snapshot, **known)
    assert str(found).splitlines()[0] == found.sentence
    assert found.sentence.endswith(".")
    return found.sentence


def details(job: JobRecord, snapshot: Load | None = None, **known: Any) -> str:
    return "\n".join(why(job, snapshot, **known).details)


LONG = (worker("gpu-1", 44), worker("gpu-2", 53))

# -- in line -----------------------------------------------------------------------------


def test_who_is_ahead_and_what_the_workers_do_is_one_sentence() -> None:
    assert sentence(record(), load(*LONG, silent(), normal=9), foresight=foresight(3)) == (
        "3 ahead of you at normal; train has 2 workers, both on jobs over 44 min; "
        "gpu-3 has been silent since 10:02."
    )


@pytest.mark.parametrize(
    ("counts", "foreseen", "said"),
    [
        ({"high": 2, "normal": 4}, 3, "2 ahead of you at high and 3 at normal"),
        ({"high": 2, "normal": 4}, None, "2 ahead of you at high and at most 3 at normal"),
        ({"normal": 4}, None, "At most 3 ahead of you at normal"),
        ({"high": 2}, 0, "2 ahead of you at high"),
        ({}, 0, "Nobody is ahead of you"),
        ({}, None, "Nobody is ahead of you"),
        ({"normal": 0}, None, "No job waits at normal any more: it has just been taken"),
        ({"high": None}, 3, "How many are ahead of it is unknown"),
        ({"normal": None}, None, "How many are ahead of it is unknown"),
    ],
)
def test_what_is_ahead_is_counted_at_each_priority_and_not_what_is_behind(
    counts: dict[str, Any], foreseen: int | None, said: str
) -> None:
    known = None if foreseen is None else foresight(foreseen)
    assert sentence(record(), load(*LONG, **counts), foresight=known).startswith(f"{said}; ")


def test_the_numbers_stand_beside_the_sentence() -> None:
    found = why(record(), load(*LONG, high=2, normal=4), foresight=foresight(3))
    assert (found.ahead, found.exact) == ({"high": 2, "normal": 3}, True)
    assert found.group is not None
    assert found.group.waiting.value == 13
    guess = why(record(priority=Priority.LOW), load(*LONG, high=2, normal=4))
    assert (guess.ahead, guess.exact) == ({"high": 2, "normal": 4, "low": 6}, False)
    assert why(record(), load(*LONG, high=None)).ahead is None
    decoded = msgspec.json.decode(msgspec.json.encode(found), type=Why)
    assert decoded == found


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        ([worker("a", 44)], "train has 1 worker, on a job over 44 min"),
        ([worker("a", 44), worker("b", 0.5)], "train has 2 workers, both busy"),
        ([worker("a", 44, 43, 42)], "train has 1 worker with 3 slots, all on jobs over 42 min"),
        ([worker("a", 44), worker("b", 50), worker("c", 60)], "3 workers, all on jobs over 44"),
        ([worker("a", 44, slots=3)], "train has 1 worker with 2 of 3 slots free"),
        ([silent()], "no worker serves train: nothing in it starts until one does; gpu-3 has"),
        ([], "no worker serves train: nothing in it starts until one does"),
        ([worker("a", 4, state="draining")], "1 worker, which is draining and takes no new jobs"),
        (
            [worker("a", state="draining"), worker("b", state="draining")],
            "train has 2 workers, both draining, taking no new jobs",
        ),
        (
            [worker("a", 44), worker("b", 50, state="draining")],
            "train has 1 worker, on a job over 44 min; b is draining",
        ),
        ([silent(str(n), 30 + n) for n in range(5)], "5 workers have fallen silent, the first at"),
    ],
)
def test_what_the_workers_do_is_said(workers: list[WorkerLoad], said: str) -> None:
    assert f"; {said}" in sentence(record(), load(*workers)) or said in sentence(
        record(), load(*workers)
    )


def test_without_a_worker_the_way_to_one_is_told() -> None:
    assert "jupyter aiqueue worker --group train" in details(record(), load(silent()))
    assert "jupyter aiqueue worker" not in details(record(), load(*LONG))


def test_the_runs_that_fill_the_slots_are_in_the_details() -> None:
    told = details(record(), load(*LONG))
    assert "gpu-1 runs run44 of alice since 09:58, 50 % done." in told
    assert f"mine {JOB}: queued in train at normal, submitted at 10:00." in told


def test_the_account_that_asks_is_not_told_to_itself() -> None:
    told = details(record(), load(*LONG), account="alice")
    assert "gpu-1 runs run44 since 09:58, 50 % done." in told
    assert "of alice" in details(record(), load(*LONG), account="bob")


def test_a_free_slot_beside_a_line_is_explained() -> None:
    said = "A worker that asks whether an earlier attempt"
    assert said in details(record(), load(worker("a", 44, slots=2)))
    assert said not in details(record(), load(*LONG))
    assert said not in details(record(), load(worker("a", slots=2, state="draining")))


def test_a_worker_that_should_have_been_heard_of_again_is_told() -> None:
    quiet = worker("a", 44, slots=2, last_seen=AT - timedelta(seconds=12), age_s=12.0)
    assert sentence(record(), load(quiet)).endswith(
        "train has 1 worker with 1 of 2 slots free; a was last heard of 12 s ago."
    )
    on_time = worker("a", 44, last_seen=AT - timedelta(seconds=7), age_s=7.0)
    assert "heard of" not in sentence(record(), load(on_time))
    many = [msgspec.structs.replace(quiet, worker=f"w{n}") for n in range(4)]
    assert "; 4 of them were last heard of 12 s ago or more." in sentence(record(), load(*many))
    runs = msgspec.structs.replace(runs_it(), last_seen=AT - timedelta(seconds=12))
    assert sentence(running(), load(runs)).endswith("; gpu-1 was last heard of 12 s ago.")
    assert "heard of 12" not in sentence(running(), load(silent("gpu-1")))


def test_a_task_that_no_worker_has_is_the_reason() -> None:
    others = worker("a", 44, tasks=("fit", "eval"))
    said = sentence(record(), load(others))
    assert "no worker of train has the task 'train_model' (they have eval, fit)" in said
    assert "refused" in said
    able = worker("b", 44, tasks=("train_model",))
    assert "refused" not in sentence(record(), load(others, able))
    assert "refused" not in sentence(record(task=None), load(others))
    assert "refused" not in sentence(record(), load(worker("a", 44)))  # does not tell its tasks


def test_a_job_that_was_given_back_says_so() -> None:
    told = details(record(attempt=1, reason="the worker drains"), load(*LONG))
    assert "It was given back after attempt 1 began: the worker drains." in told


def test_another_peoples_job_is_not_yours() -> None:
    assert sentence(record(), load(*LONG, normal=3), own=False).startswith("At most 2 ahead of it")


# -- when it starts ----------------------------------------------------------------------


def test_the_range_comes_with_clock_times_and_its_record() -> None:
    told = details(record(), load(*LONG), foresight=foresight())
    assert (
        "It starts in 12–25 min, between 10:54 and 11:07 "
        "(80 % range; 33 of the last 40 landed inside)."
    ) in told
    assert "When it ends cannot be told: no history yet." in told


def test_a_run_and_an_end_that_can_be_expected_are_told() -> None:
    foreseen = foresight(
        finish=Expected(low=3600, middle=5000, high=90_000),
        run=Expected(low=300, middle=400, high=600),
        basis="runs: 12 of the task",
    )
    told = details(record(), load(*LONG), foresight=foreseen)
    assert "It ends in 60 min – 25 h 00 min, between 11:42 and 2026-03-03 11:42" in told
    assert "by runs: 12 of the task." in told
    assert "A run of it takes 5–10 min (80 % range)." in told


def test_what_cannot_be_foreseen_is_said_to_be_unknown() -> None:
    nothing = foresight(start=Expected(missing="no history yet"))
    assert "When it starts cannot be told: no history yet." in details(
        record(), load(*LONG), foresight=nothing
    )
    assert "no worker collects the load now" in details(record(), load(*LONG), collected=False)
    assert "unknown" not in details(record(), load(*LONG))


# -- the broker --------------------------------------------------------------------------


def test_an_alarm_is_the_reason_before_all_others() -> None:
    alarmed = BrokerLoad(state="up", alarms="memory alarm on rabbit@mq1.")
    for job in (record(), record(State.HELD, hold="depth < 5"), record(State.RUNNING)):
        said = sentence(job, load(broker=alarmed))
        assert said.startswith("The broker takes no messages now (memory alarm on rabbit@mq1):")
        assert "freed memory or disk" in said
    assert "alarm" not in sentence(record(), load(broker=BrokerLoad(state="up", alarms="none")))


def test_a_broker_that_is_away_is_the_reason() -> None:
    away = Load(timestamp=AT, broker=BrokerLoad(state="down", message="Nothing listens at mq1."))
    assert sentence(record(), away) == (
        "The broker is away (Nothing listens at mq1), and the job was queued at last."
    )


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert "is unknown: no heartbeats" in sentence(record(), load(known=False))
    assert "how busy the system is, is unknown" in sentence(record())
    assert "since 10:00" in sentence(record())
    nothing = Load(timestamp=AT, broker=BrokerLoad(state="up"))
    assert sentence(record(), nothing).startswith("The broker has no group 'train' now")


# -- held --------------------------------------------------------------------------------


def held(hold: str, snapshot: Load | None = None, **known: Any) -> str:
    return sentence(record(State.HELD, hold=hold), snapshot or load(*LONG, normal=2), **known)


def test_a_held_job_tells_its_condition_and_what_that_is_now() -> None:
    assert held("depth < 5") == "It waits for depth < 5; depth is 9 now."
    assert held("free_slots > 0") == "It waits for free_slots > 0; free slots are 0 now."
    start = Expected(low=60, middle=1800, high=9000)
    assert held("wait < 10m", load(*LONG, start=start)) == (
        "It waits for wait < 10 min; the wait is 30 min now."
    )
    assert "the wait is unknown now" in held("wait < 10m")
    both = held("depth < 5 and free_slots > 0")
    assert both.startswith("It waits for depth < 5 and free_slots > 0; depth is 9 now; free slots")


def test_a_held_job_tells_its_deadline_and_what_happens_then() -> None:
    # It was submitted at 10:00.
    assert held("depth < 5, in any case by 10:50").endswith(
        "at 10:50 it is put in line in any case."
    )
    assert held("depth < 5, dropped at 10:50").endswith("at 10:50 it is dropped.")
    assert held("after 22:00").startswith("It waits for 22:00.")
    assert "22:00" in held("after 22:00 and depth < 5, in any case by 2026-03-04 08:00")


def test_a_held_job_of_a_batch_tells_how_many_are_in_line_and_before_it() -> None:
    own = "at most 2 of its batch in line"
    assert held(own, batch=BatchPlace(2, 9)) == (
        "It waits until fewer than 2 of its batch are in line; 2 are now, and 9 of its batch come "
        "before it."
    )
    assert held(own, batch=BatchPlace(1, 0)).endswith(
        "; 1 is now; so it is put in line in a moment."
    )
    assert held(own, batch=BatchPlace(1, 1)).endswith("and 1 of its batch comes before it.")
    assert held(own) == "It waits until fewer than 2 of its batch are in line."
    assert held(f"depth < 5 and {own}, in any case by 10:50", batch=BatchPlace(2, 0)) == (
        "It waits for depth < 5 and until fewer than 2 of its batch are in line; depth is 9 now; "
        "2 of its batch are in line now; at 10:50 it is put in line in any case."
    )
    dropped = held(f"{own}, dropped at 10:50", batch=BatchPlace(2, 0))
    assert dropped.endswith("2 are now; at 10:50 it is dropped.")


def test_the_place_in_a_batch_is_counted_from_the_snapshot() -> None:
    batch = [
        Entry(job_id=f"{name}{n}", group="train", batch=name, state=state)
        for name in "ab"
        for n, state in enumerate((State.RUNNING, State.QUEUED, State.HELD, State.HELD, State.HELD))
    ]
    line = GroupLine(entries=(*batch, Entry(job_id="c", group="train", state=State.HELD)))
    assert [line.place_in_batch(one) for one in batch[2:5]] == [(1, 0), (1, 1), (1, 2)]
    assert line.place_in_batch(line.entries[-1]) is None


def test_a_condition_that_is_met_means_a_moment() -> None:
    assert held("depth < 20").endswith("depth is 9 now; so it is put in line in a moment.")
    assert "in a moment" not in held("depth < 20 and after 22:00")
    assert "in a moment" not in held("depth < 20 and free_slots > 0")


def test_a_held_job_tells_how_to_release_it_and_that_nobody_does() -> None:
    job = record(State.HELD, hold="depth < 5")
    assert f"`%job_release {JOB}`" in details(job, load(*LONG))
    assert "nobody releases it" in sentence(job, load(), collected=False)
    assert "nobody releases it" not in sentence(job, load(*LONG), collected=True)


def test_terms_of_a_later_version_are_repeated_as_they_are() -> None:
    assert held("the moon is full") == "It waits for the moon is full."


def test_the_terms_are_there_as_numbers() -> None:
    terms = why(record(State.HELD, hold="depth < 5, in any case by 10:50"), load(normal=2)).terms
    assert terms is not None
    (condition,) = terms.conditions
    assert (condition.what, condition.now, condition.met) == ("depth", 9, False)
    assert terms.by == AT + timedelta(minutes=8)


# -- retrying ----------------------------------------------------------------------------


def retrying(**fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "attempt": 1,
        "worker": "gpu-1",
        "reason": "exit code 1: out of memory.",
        "updated_at": ago(1),
        "next_attempt_at": AT + timedelta(seconds=48),
    }
    return record(State.RETRYING, **{**defaults, **fields})


def test_a_retrying_job_tells_what_failed_and_when_the_next_attempt_comes() -> None:
    assert sentence(retrying(), load(*LONG)) == (
        "Attempt 1 of 3 failed at 10:41 on gpu-1: exit code 1: out of memory; "
        "attempt 2 joins the line at 10:42 (in 48 s)."
    )
    assert "%job_log" in details(retrying(), load(*LONG))
    assert "no worker serves train" in sentence(retrying(), load())


def test_a_retrying_job_whose_pause_is_over_is_in_line() -> None:
    over = retrying(next_attempt_at=ago(0.1))
    assert sentence(over, load(*LONG), foresight=foresight(3)).startswith(
        "Attempt 1 of 3 failed at 10:41 on gpu-1: exit code 1: out of memory, and attempt 2 is in "
        "line; 3 ahead of you at normal; train has 2 workers"
    )


# -- environments ------------------------------------------------------------------------


def test_workers_in_another_environment_than_the_task_needs_are_the_reason() -> None:
    base = worker("a", 44, environment="base")
    said = sentence(record(), load(base), succeeded_in=frozenset({"torch"}))
    assert said.endswith(
        "its workers are in the environment base, and train_model has succeeded in torch only."
    )
    for fine in (
        worker("b", 44, environment="torch"),
        worker("b", 44, environment="base", task_environments={"train_model": "torch"}),
    ):
        known = {"succeeded_in": frozenset({"torch"})}
        assert "environment" not in sentence(record(), load(base, fine), **known)
    assert "environment" not in sentence(record(), load(base))  # it has succeeded nowhere yet
    nobody_tells = load(worker("b", 44))
    assert "environment" not in sentence(record(), nobody_tells, succeeded_in=frozenset({"torch"}))


def test_an_attempt_that_failed_in_another_environment_says_so() -> None:
    result = Result(exit_code=1, environment="base")
    known = {"succeeded_in": frozenset({"torch"})}
    said = "it ran in the environment base, and train_model has succeeded in torch only."
    assert sentence(retrying(result=result), load(*LONG), **known).endswith(said)
    dead = record(State.DEAD, result=result, reason="exit code 1", ended_at=ago(2))
    assert sentence(dead, **known).endswith(said)
    torch = Result(exit_code=1, environment="torch")
    assert "environment" not in sentence(retrying(result=torch), load(*LONG), **known)
    done = record(State.SUCCEEDED, result=result, ended_at=ago(2))
    assert "environment" not in sentence(done, **known)


def test_that_the_notebook_is_elsewhere_is_only_a_detail() -> None:
    base = load(worker("a", 44, environment="base"))
    said = "Here is the environment torch; the workers of train are in base."
    assert said in details(record(), base, here="torch")
    assert said not in details(record(), base, here="base")
    assert said not in details(record(), base, here="torch", own=False)


# -- running, cancelled, ended -----------------------------------------------------------


def running(**fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "attempt": 2,
        "worker": "gpu-1",
        "progress": 0.25,
        "started_at": ago(30),
    }
    return record(State.RUNNING, **{**defaults, **fields})


def runs_it(**fields: Any) -> WorkerLoad:
    run = Running(job_id=JOB, group="train", priority=Priority.NORMAL, since=ago(30), attempt=2)
    run = msgspec.structs.replace(run, **fields)
    return msgspec.structs.replace(worker("gpu-1"), running=(run,))


def test_a_running_job_tells_where_and_how_far() -> None:
    said = "It runs on gpu-1 since 10:12, for 30 min now, 25 % done (attempt 2 of 3)."
    assert sentence(running(), load(runs_it())) == said
    assert sentence(running(), load(known=False)) == said
    assert "still there is unknown" in details(running(), load(known=False))


def test_progress_is_taken_from_the_worker_where_nobody_watches() -> None:
    assert "40 % done" in sentence(running(progress=None), load(runs_it(progress=0.4)))
    assert "40 % done" in sentence(running(progress=0.4), load(runs_it(progress=0.3)))
    assert "done" not in sentence(running(progress=None), load(runs_it(progress=0.9, attempt=1)))


def test_a_running_job_tells_when_it_ends() -> None:
    ends = Remaining(finish=Expected(low=720, middle=900, high=1500), at=AT, basis="its progress")
    told = details(running(), load(runs_it()), remaining=ends)
    assert (
        "This attempt ends in 12–25 min, between 10:54 and 11:07 (80 % range), by its progress."
        in told
    )
    nothing = Remaining(finish=Expected(missing="no history yet"), at=AT)
    told = details(running(), load(runs_it()), remaining=nothing)
    assert "When it ends cannot be told: no history yet." in told
    assert "ends in" not in details(running(), load(silent("gpu-1")), remaining=ends)


def test_a_worker_that_fell_silent_with_the_job_is_the_reason() -> None:
    assert sentence(running(), load(silent("gpu-1"))) == (
        "Its worker gpu-1 has been silent since 10:02; unless that speaks up, it goes on as "
        "attempt 3 within two minutes or so."
    )
    assert "not been heard of for minutes" in sentence(running(), load(worker("other")))
    assert "becomes a dead letter" in sentence(running(attempt=3), load(silent("gpu-1")))
    assert "It runs on gpu-1 since 10:12" in details(running(), load(silent("gpu-1")))


def test_a_worker_that_runs_it_no_more_is_said() -> None:
    said = "Its worker gpu-1 runs it no more, and its end is not recorded yet."
    assert sentence(running(), load(worker("gpu-1"))) == said
    just_begun = running(started_at=AT)
    assert "It runs on gpu-1" in sentence(just_begun, load(worker("gpu-1")))


def test_a_cancel_that_has_not_taken_effect_is_said() -> None:
    assert "gpu-1 has not stopped it yet" in sentence(running(cancelling=True), load(runs_it()))
    for state in (State.QUEUED, State.HELD, State.RETRYING):
        said = sentence(record(state, cancelling=True), load(*LONG))
        assert said.startswith("Its cancel is sent")
        assert "does not start" in said


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        (State.SUCCEEDED, None, "It succeeded at 10:40."),
        (State.FAILED, "exit code 1.", "It failed at 10:40: exit code 1."),
        (State.CANCELLED, "cancelled by ann", "It was cancelled at 10:40: cancelled by ann."),
        (State.DEAD, "exit code 1", "It is a dead letter since 10:40: exit code 1."),
    ],
)
def test_an_ended_job_needs_no_broker(state: State, reason: str | None, said: str) -> None:
    job = record(
        state,
        attempt=3,
        worker="gpu-1",
        started_at=ago(30),
        ended_at=ago(2),
        reason=reason,
        metrics={"accuracy": 0.97},
        result=Result(exit_code=1, duration_s=61.0),
    )
    assert sentence(job) == said
    told = details(job)
    assert "It ran on gpu-1 for 61 s (attempt 3 of 3)." in told
    assert "It reported accuracy 0.97." in told
    assert ("%job_retry" in told) == (state in (State.FAILED, State.DEAD))
    assert "unknown" not in told


def test_a_run_whose_end_nobody_saw_gets_none_invented() -> None:
    job = record(State.DEAD, attempt=1, worker="box", started_at=ago(30), ended_at=ago(2))
    assert "when it stopped is unknown" in details(job)


# -- joining what is recorded with what is heard -----------------------------------------


@pytest.fixture
def hears(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Why]:
    """Asks about a record, with a load and what the collector tells of the job."""

    def hears(job: JobRecord | None, snapshot: Load, *entries: Entry, known: tuple = ()) -> Why:
        found = Found(entries[0] if entries else None, None)
        monkeypatch.setattr(asking, "measure", lambda broker: snapshot)
        monkeypatch.setattr(asking, "find_job", lambda broker, part: found)
        return asking.ask(lambda: Broker(hosts=(("mq1", 5672),)), JOB, job, known)

    return hears


def entry(state: State, minutes: float, **fields: Any) -> Entry:
    since = ago(minutes).timestamp()
    return Entry(job_id=JOB, group="train", state=state, since=since, **fields)


def test_a_recorder_that_is_behind_does_not_hide_a_start(hears: Callable[..., Why]) -> None:
    started = entry(State.RUNNING, 5, worker="gpu-1")
    found = hears(record(), load(runs_it()), started)
    assert found.state is State.RUNNING
    assert "It runs on gpu-1 since" in found.sentence
    older = entry(State.RUNNING, 50, worker="gpu-1")
    assert hears(record(), load(*LONG), older).state is State.QUEUED


def test_a_worker_that_runs_it_is_believed_without_a_collector(hears: Callable[..., Why]) -> None:
    assert hears(record(), load(runs_it())).sentence.startswith("It runs on gpu-1 since")
    gone = msgspec.structs.replace(runs_it(), state="lost")
    assert hears(record(), load(gone)).state is State.QUEUED


def test_a_pause_that_is_over_keeps_the_reason_of_the_failure(hears: Callable[..., Why]) -> None:
    over = retrying(next_attempt_at=ago(0.5))
    found = hears(over, load(*LONG), entry(State.QUEUED, 0.5, attempt=2))
    assert "exit code 1: out of memory, and attempt 2 is in line" in found.sentence


def test_another_peoples_job_is_told_from_its_events(hears: Callable[..., Why]) -> None:
    waits = entry(State.RETRYING, 5, attempt=2, due=AT.timestamp() + 1e9, worker="gpu-1")
    assert hears(None, load(*LONG), waits).sentence.startswith("Attempt 1 of 3 failed at ")
    holds = entry(State.HELD, 5, hold="depth < 5")
    assert "depth is 8 now" in hears(None, load(*LONG), holds).sentence
    with pytest.raises(JobNotFound, match="None that waits or runs now"):
        hears(None, load(*LONG))
    away = Load(timestamp=AT, broker=BrokerLoad(state="down", message="Nothing listens."))
    with pytest.raises(JobNotFound, match="cannot be seen: Nothing listens"):
        hears(None, away)


def test_where_its_task_has_succeeded_is_learnt_from_the_ledgers(hears: Callable[..., Why]) -> None:
    torch = Result(exit_code=0, environment="torch")
    done = record(State.SUCCEEDED, job_id="old", result=torch)
    base = load(worker("a", 44, environment="base"))
    assert "has succeeded in torch only" in hears(record(), base, known=(done,)).sentence
    for other in ({"task": "other"}, {"group": "infer"}, {"state": State.FAILED}):
        unlike = (msgspec.structs.replace(done, **other),)
        assert "succeeded" not in hears(record(), base, known=unlike).sentence
