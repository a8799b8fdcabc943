"""Why a job is where it is, from what is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.job import JobRecord, Priority, Result, State, now
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
from jupyter_aiqueue.kernel.job_card import card_html
from jupyter_aiqueue.kernel.why import explain


def record(state: State, **fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "job_id": "01m805f9wv4cna3nk2kxtc9agh",
        "name": "mine",
        "group": "train",
        "priority": Priority.NORMAL,
        "submitted_at": now(),
    }
    return JobRecord(state=state, **{**defaults, **fields})


def load(*workers: WorkerLoad, high: int = 0, normal: int = 1, known: bool = True) -> Load:
    def beat(value: float) -> Measured:
        return Measured(value, HEARTBEATS, 1.0) if known else UNKNOWN

    alive = [worker for worker in workers if worker.state != "lost"]
    group = GroupLoad(
        name="train",
        waiting_by_priority={
            "high": Measured(high, PASSIVE, 0.0),
            "normal": Measured(normal, PASSIVE, 0.0),
            "low": Measured(7, PASSIVE, 0.0),
        },
        workers=beat(len(alive)),
        slots=beat(sum(worker.slots for worker in alive)),
        free=beat(sum(worker.slots - len(worker.running) for worker in alive)),
        worker_list=workers,
    )
    return Load(timestamp=now(), broker=BrokerLoad(state="up"), groups=(group,))


def worker(name: str = "box", state: str = "active", busy: int = 0, slots: int = 1) -> WorkerLoad:
    runs = tuple(
        Running(
            job_id=f"job{n}",
            group="train",
            priority=Priority.LOW,
            name=f"run{n}",
            user="alice",
            since=now(),
            progress=0.5,
        )
        for n in range(busy)
    )
    return WorkerLoad(worker=name, state=state, slots=slots, running=runs, age_s=40.0)


def why(job: JobRecord, snapshot: Load | None = None) -> str:
    return " ".join(explain(job, snapshot))


def test_a_queued_job_counts_what_is_ahead_and_not_what_is_behind() -> None:
    told = why(record(State.QUEUED), load(worker(busy=1), high=2, normal=4))

    assert "queued in group train with priority normal" in told
    assert "2 jobs of higher priority and at most 3 jobs of its own" in told
    assert "No slot is free." in told
    assert "Worker box runs run0 of alice since" in told
    assert "50 % done" in told
    assert "7" not in told.partition("Ahead")[2].partition(".")[0]


def test_a_free_slot_is_said() -> None:
    told = why(record(State.QUEUED), load(worker(slots=3, busy=1)))

    assert "No other job is ahead of it." in told
    assert "2 of 3 slots free" in told


def test_no_worker_is_the_reason() -> None:
    told = why(record(State.QUEUED), load())

    assert "No worker serves group train" in told
    assert "jupyter aiqueue worker --group train" in told


def test_a_worker_that_has_fallen_silent_is_no_worker() -> None:
    told = why(record(State.QUEUED), load(worker("box-9", "lost")))

    assert "Worker box-9 has fallen silent." in told
    assert "No worker serves group train" in told


def test_a_draining_worker_takes_nothing() -> None:
    assert "draining" in why(record(State.QUEUED), load(worker(state="draining", busy=1)))


def test_what_is_not_known_is_said_to_be_unknown() -> None:
    assert "unknown: no heartbeats" in why(record(State.QUEUED), load(known=False))
    assert "is unknown" in why(record(State.QUEUED), None)
    away = Load(timestamp=now(), broker=BrokerLoad(state="down", message="Nothing listens."))
    assert "Nothing listens." in why(record(State.QUEUED), away)
    assert "no group 'train'" in why(
        record(State.QUEUED), Load(timestamp=now(), broker=BrokerLoad(state="up"))
    )


def test_a_retrying_job_tells_why_and_until_when() -> None:
    later = now() + timedelta(seconds=60)

    told = why(
        record(
            State.RETRYING, attempt=1, reason="exit code 1: out of memory", next_attempt_at=later
        ),
        load(worker()),
    )

    assert "attempt 1 of 3 did not succeed" in told
    assert later.astimezone().strftime("%H:%M:%S") in told
    assert "Exit code 1: out of memory." in told


def test_a_running_job_tells_its_worker_and_whether_it_is_still_heard_of() -> None:
    job = record(
        State.RUNNING, attempt=2, worker="box", progress=0.25, started_at=now(), cancelling=True
    )

    told = why(job, load(worker("box", busy=1)))
    assert "running on worker box since" in told
    assert "25 % done (attempt 2 of 3)" in told
    assert "cancel is sent" in told
    assert "not been heard of" not in told
    assert "not been heard of for 40 s" in why(job, load(worker("box", "lost")))
    assert "not been heard of" in why(job, load(worker("other")))


def test_an_ended_job_needs_no_broker() -> None:
    at = now()
    told = why(
        record(
            State.DEAD,
            attempt=3,
            worker="box",
            started_at=at,
            ended_at=at,
            reason="exit code 1",
            result=Result(exit_code=1, duration_s=3.0),
        )
    )

    assert "is dead. Exit code 1." in told
    assert "It ran on worker box" in told
    assert "(attempt 3 of 3)" in told
    assert "%job_retry" in told
    assert "unknown" not in told


def test_a_run_whose_end_nobody_saw_gets_none_invented() -> None:
    at = now()
    job = record(State.DEAD, attempt=1, worker="box", started_at=at, ended_at=at)

    assert "when it stopped is unknown" in why(job)
    assert "duration" not in card_html(job)


def test_a_held_job_tells_what_it_waits_for_and_how_to_release_it() -> None:
    held = record(State.HELD, hold="wait < 10m and by 08:00")

    told = why(held, load(worker()))

    assert "mine 01m805f9wv4cna3nk2kxtc9agh is held for group train" in told
    assert "It waits for: wait < 10m and by 08:00." in told
    assert "`%job_release 01m805f9wv4cna3nk2kxtc9agh`" in told


def test_what_is_foreseen_takes_the_place_of_what_can_be_counted() -> None:
    foresight = Foresight(
        start=Expected(low=720, middle=900, high=1500, inside=33, of=40),
        finish=Expected(missing="no history yet"),
        ahead=3,
    )

    told = " ".join(explain(record(State.QUEUED), load(worker(busy=1)), foresight=foresight))

    assert "Ahead of it: 3 of its own. It starts in 12–25 min" in told
    assert "33 of the last 40 landed inside" in told
    assert "at most" not in told
