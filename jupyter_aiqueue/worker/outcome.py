"""What becomes of a job when a run of it ends: the one place that decides."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from ..core.events import Event, Kind, make_event
from ..core.job import Job, Result, now
from ..core.series import Series
from .end import End
from .run import Ended, Stop

#: History entries that travel with a job, and the length of one.
_MOST_HISTORY = 50
_LONGEST_ENTRY = 300


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run told and left."""

    progress: float | None = None
    metrics: dict[str, Any] | None = None
    series: Series | None = None
    log: str | None = None
    #: Where ``log`` begins in the whole output, characters.
    log_offset: int | None = None
    #: The last line that it printed.
    last_line: str | None = None
    result: Result | None = None


def decide(
    job: Job,
    ended: Ended,
    report: Report,
    *,
    worker: str,
    run: str,
    delays: Sequence[int],
    given_back: int = 0,
) -> End:
    """What a run that ``ended`` means for its ``job``.

    Args:
        run: token of the run, part of the event's id.
        delays: seconds before the second, third, … attempt; the last for all further ones.
        given_back: how often this attempt had been given back before.
    """
    at = now()
    if ended.stopped is Stop.ELSEWHERE:
        return End(event=make_event(Kind.DUPLICATE, job, run=run, worker=worker, turn=given_back))
    if ended.stopped is Stop.CANCEL:
        kind, why = Kind.CANCELLED, None
    elif ended.stopped is Stop.GIVE_BACK:
        kind, why = Kind.REQUEUED, f"given back by {worker}, which was told to stop"
    elif ended.exit_code == 0 and ended.stopped is None:
        kind, why = Kind.SUCCEEDED, None
    else:
        return _failed(
            job, ended, report, worker=worker, run=run, delays=delays, given_back=given_back
        )
    went_on = kind is Kind.REQUEUED
    if went_on:
        report = Report(log=report.log, log_offset=report.log_offset)  # it has not come to a result
    return End(
        event=_event(kind, job, report, run, at, turn=given_back, worker=worker, reason=why),
        next=_with(job, why, worker, at, job.attempt) if went_on and why else None,
        given_back=given_back + 1 if went_on else 0,
    )


def lost(job: Job, *, worker: str | None, given_back: int = 0, report: Report | None = None) -> End:
    """The end of an attempt whose worker is gone: it counts, and the job goes on at once.

    Args:
        worker: the one that is gone, if it is known.
        report: what it has left on this machine.
    """
    return _failed(
        job,
        Ended(exit_code=None, error="the worker that ran it is gone"),
        report or Report(),
        worker=worker,
        run="lost",
        delays=(),
        given_back=given_back,
        word="worker-lost",
    )


def not_begun(job: Job, worker: str, what: str, *, given_back: int) -> End:
    """The end of an attempt that ``worker`` was about to begin, when something kept it from it.

    Args:
        what: that the worker "was told to stop", for example.
    """
    at, why = now(), f"given back by {worker}, which {what}"
    event = make_event(
        Kind.REQUEUED,
        job,
        run=f"not-begun.{given_back}",
        timestamp=at,
        turn=given_back,
        worker=worker,
        reason=why,
    )
    following = _with(job, why, worker, at, job.attempt)
    return End(event=event, next=following, given_back=given_back + 1)


def _failed(
    job: Job,
    ended: Ended,
    report: Report,
    *,
    worker: str | None,
    run: str,
    delays: Sequence[int],
    given_back: int,
    word: str | None = None,
) -> End:
    at, turn = now(), given_back
    why = explain(ended, report.last_line)
    after = _with(job, why, worker, at, job.attempt + 1)
    if job.attempt < job.max_attempts:
        delay = delays[min(job.attempt, len(delays)) - 1] if delays else None
        event = _event(
            Kind.RETRYING,
            job,
            report,
            run,
            at,
            turn=turn,
            worker=worker,
            reason=why,
            next_attempt_at=at + timedelta(seconds=delay or 0),
        )
        return End(event=event, next=after, delay=delay)
    if job.max_attempts == 1 and word is None:
        event = _event(Kind.FAILED, job, report, run, at, turn=turn, worker=worker, reason=why)
        return End(event=event)
    sentence = f"attempt {job.attempt} of {job.max_attempts} failed: {why}"
    return End(
        event=_event(Kind.DEAD, job, report, run, at, turn=turn, worker=worker, reason=sentence),
        dead=word or short_reason(ended),
        history=after.history,
    )


def explain(ended: Ended, last_line: str | None = None) -> str:
    """Why a run failed, for people; no full stop."""
    if ended.error is not None:
        return ended.error
    if ended.stopped is Stop.TIMEOUT:
        limit = "its time limit" if ended.duration_s is None else f"{ended.duration_s:.0f} s"
        return f"stopped after {limit}: it took longer than it may"
    code = ended.exit_code
    how = f"exit code {code}" if (code or 0) >= 0 else f"killed by {_signal_name(-(code or 0))}"
    # Programs say last what was wrong.
    return f"{how}: {last_line}" if last_line else how


def short_reason(ended: Ended) -> str:
    """Why a run failed, one word for grouping dead letters."""
    if ended.error is not None:
        return "cannot-start"
    if ended.stopped is Stop.TIMEOUT:
        return "timeout"
    return "signal" if (ended.exit_code or 0) < 0 else "exit-code"


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _event(kind: Kind, job: Job, report: Report, run: str, at: datetime, **fields: Any) -> Event:
    return make_event(
        kind,
        job,
        run=run,
        timestamp=at,
        progress=report.progress,
        metrics=report.metrics or None,
        series=report.series,
        log=report.log or None,
        log_offset=report.log_offset if report.log else None,
        result=report.result,
        **fields,
    )


def _with(job: Job, why: str, worker: str | None, at: datetime, attempt: int) -> Job:
    moment = at.strftime("%Y-%m-%d %H:%M:%S UTC")
    where = f" on {worker}" if worker else ""
    entry = f"attempt {job.attempt}{where}, {moment}: {why}"
    history = (*(e[:_LONGEST_ENTRY] for e in job.history), entry[:_LONGEST_ENTRY])
    return msgspec.structs.replace(job, attempt=attempt, history=history[-_MOST_HISTORY:])
