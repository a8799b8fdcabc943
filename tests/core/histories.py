"""Jobs and histories as they can really happen, for Hypothesis."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from hypothesis import strategies as st

from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, Priority, Result, new_job_id

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)

words = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=1)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
moments = st.datetimes(
    min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(timezone.utc)
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | names,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
configs = st.dictionaries(names, values, max_size=5)

jobs = st.builds(
    Job,
    id=st.builds(new_job_id),
    config=configs,
    group=words.map(lambda text: text[:64]),
    task=st.none() | names.filter(lambda text: len(text.encode()) <= 255),
    priority=st.sampled_from(Priority),
    attempt=st.integers(1, 1000),
    max_attempts=st.integers(1, 1000),
    timeout=st.none() | st.floats(0.001, 9e8),
    name=st.none() | names,
    inbox=st.none() | words.map(lambda text: text[:64]),
    notebook=st.none() | names,
    user=st.none() | names,
    submitted_at=st.none() | moments,
    retry_of=st.none() | words,
    queue=st.none() | names,
    history=st.lists(names, max_size=4).map(tuple),
)


@st.composite
def histories(draw: st.DrawFn, *, ended: bool | None = None) -> list[Event]:
    """The recorded events of one job, in the order in which they happened.

    Args:
        ended: whether the job has ended; None leaves it open.
    """
    attempts = draw(st.integers(1, 3))
    job = Job(
        id=new_job_id(),
        config={"epochs": draw(st.integers(0, 9))},
        group="train",
        inbox="me",
        notebook="/n/train.ipynb",
        max_attempts=attempts,
        submitted_at=START,
        timeout=draw(st.none() | st.just(60.0)),
    )
    clock = START
    events: list[Event] = []

    def happen(kind: Kind, **fields: object) -> None:
        nonlocal clock
        clock += timedelta(seconds=draw(st.floats(0.001, 100.0)))
        run = fields.pop("run", "")
        if kind in (Kind.SUCCEEDED, Kind.FAILED, Kind.DEAD, Kind.RETRYING):
            fields["metrics"] = {"loss": draw(st.floats(0, 9))}
            fields["result"] = Result(exit_code=draw(st.integers(0, 3)))
            fields["log"] = draw(st.none() | st.just(f"tail {len(events)}"))
        events.append(make_event(kind, job, timestamp=clock, run=str(run), **fields))

    happen(Kind.SUBMITTED)
    runs = turn = 0
    while True:
        if draw(st.integers(0, 7)) == 0:
            happen(Kind.CANCELLING)
            happen(Kind.CANCELLED, reason="cancelled before it started")
            break
        runs += 1
        run, worker = f"run{runs}", f"worker{draw(st.integers(1, 2))}"
        happen(Kind.STARTED, run=run, turn=turn, worker=worker)
        come = draw(st.sampled_from(["given back", "failed", "succeeded", "cancelled"]))
        if come == "given back" and runs < 6:
            happen(Kind.REQUEUED, run=run, turn=turn, worker=worker, reason="given back")
            turn += 1
        elif come == "failed" and job.attempt < attempts:
            next_at = clock + timedelta(seconds=10)
            why = {"reason": "exit code 1", "next_attempt_at": next_at}
            happen(Kind.RETRYING, run=run, turn=turn, worker=worker, **why)
            turn = 0
            job = Job(
                **{f: getattr(job, f) for f in job.__struct_fields__} | {"attempt": job.attempt + 1}
            )
        elif come == "cancelled":
            happen(Kind.CANCELLING)
            happen(Kind.CANCELLED, run=run, worker=worker)
            break
        elif come == "failed":
            kind = Kind.FAILED if attempts == 1 else Kind.DEAD
            happen(kind, run=run, worker=worker, reason="exit code 1")
            break
        else:
            happen(Kind.SUCCEEDED, run=run, worker=worker, progress=1.0)
            break
    if ended is None:
        return events[: draw(st.integers(1, len(events)))]
    return events if ended else events[: draw(st.integers(1, len(events) - 1))]
