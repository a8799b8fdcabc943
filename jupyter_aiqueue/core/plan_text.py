"""A plan as text: for terminals, and what the chart and the table say in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from .load import Expected
from .plan import LineAhead, Plan, Submission
from .text import UNKNOWN_TEXT, duration, start_text, table

#: A range that is shorter than this, seconds, is told with seconds (if it is one at all).
_SHORT, _NONE = 120.0, 1.0

#: Columns of the last day, half an hour each; what stands for a column in which nobody looked.
_COLUMNS, _WIDTH, _GAP = 48, timedelta(minutes=30), "·"

_BLOCKS = "▁▂▃▄▅▆▇█"


def plan_text(plan: Plan) -> str:
    """Everything that is known of it."""
    if plan.missing:
        unknown = f"When they would be done is unknown: {plan.missing}."
        return "\n".join([title(plan), "", unknown, *notes(plan), *load_lines(plan)])
    header = ("submitted", "first starts", "half are done", "all are done")
    rows = [
        (
            f"{submission.label} ({moment(submission.at, plan.timestamp)})",
            *(point(plan, one) for one in (submission.first, submission.half, submission.done)),
        )
        for submission in plan.submissions
    ]
    return "\n".join([title(plan), "", *table(header, rows), "", *notes(plan), *load_lines(plan)])


def title(plan: Plan) -> str:
    """What is planned."""
    jobs = "1 job" if plan.jobs == 1 else f"{plan.jobs:,} jobs"
    task = f" of {plan.task}" if plan.task else ""
    task += " without a config" if plan.bare else ""
    return f"{jobs}{task} in group {plan.group}, priority {plan.priority.value}. Nothing was sent."


def moment(at: datetime, today: datetime, *, seconds: bool = False) -> str:
    """A time as ``16:30``, with the date if it is not of the same day as ``today``; local."""
    local, clock = at.astimezone(), "%H:%M:%S" if seconds else "%H:%M"
    same = local.date() == today.astimezone().date()
    return local.strftime(clock if same else f"%m-%d {clock}")


def point(plan: Plan, expected: Expected) -> str:
    """When something is expected: ``16:30 (16:00–17:10)``."""
    if expected.low is None or expected.middle is None or expected.high is None:
        return expected.missing or UNKNOWN_TEXT
    if start_text(expected) == "at once":
        return "at once"
    seconds = _NONE <= expected.high - expected.low < _SHORT
    low, middle, high = (
        _whole(plan.timestamp + timedelta(seconds=value))
        for value in (expected.low, expected.middle, expected.high)
    )
    said = moment(middle, plan.timestamp, seconds=seconds)
    begin, end = (moment(side, middle, seconds=seconds) for side in (low, high))
    return said if begin == end else f"{said} ({begin}–{end})"


def _whole(at: datetime) -> datetime:
    """To the nearest second: 21:59:59.9 is 22:00."""
    return (at + timedelta(seconds=0.5)).replace(microsecond=0)


def notes(plan: Plan) -> list[str]:
    """What keeps it from running, and how far it can be trusted, a sentence each."""
    last = plan.submissions[-1]
    said = [f"It would not run: {why}" for why in plan.refusals]
    if all(one.done.low is None for one in plan.submissions):
        return said
    said += [f"In brackets is the 80 % range; {_tried(last.done)}."]
    if plan.basis:
        said.append(f"By {plan.basis}.")
    said.append(f"Further ahead less is known: {_taken_for_granted(plan, last)}.")
    return said


def _tried(expected: Expected) -> str:
    if not expected.of:
        return "no forecast of this group has met its outcome yet"
    return f"when single jobs would end, {expected.inside} of the last {expected.of} landed inside"


def _taken_for_granted(plan: Plan, last: Submission) -> str:
    workers = "workers are taken to come and go as they did"
    watched, over = plan.arrivals_from_s, plan.arrivals_over_s
    if watched is None or over is None:
        return workers
    jobs = "1 more job" if round(last.before) == 1 else f"{round(last.before):,} more jobs"
    until = moment(last.at, plan.timestamp)
    seen = f"the {duration(watched)} that were watched lately"
    pace = f"as fast as in {seen}"
    if over > watched:
        pace = f"as many every {duration(over)} as came in {seen}"
    return f"some {jobs} are taken to come before {until}, {pace}, and {workers}"


def load_lines(plan: Plan) -> list[str]:
    """What the chart shows: the line over the last day, and ahead."""
    said = []
    if plan.past:
        said.append(f"Waiting in the last 24 h, half an hour each: {_sparks(plan)}")
    ahead = _ahead(plan, plan.ahead)
    if ahead:
        said.append(f"Waiting ahead, without these jobs: {ahead}.")
    return said


def _sparks(plan: Plan) -> str:
    begin = plan.timestamp - _WIDTH * _COLUMNS
    columns: list[list[float]] = [[] for _ in range(_COLUMNS)]
    for sample in plan.past:
        column = min(_COLUMNS - 1, (sample.at - begin) // _WIDTH)
        if column >= 0 and sample.waiting is not None:
            columns[column].append(sample.waiting)
    means = [sum(values) / len(values) if values else None for values in columns]
    most = max((mean for mean in means if mean is not None), default=0.0)
    drawn = "".join(_GAP if mean is None else _block(mean, most) for mean in means)
    missing = f"; {_GAP}: nobody looked" if _GAP in drawn else ""
    return f"{drawn} (at most {most:.3g}{missing})"


def _block(value: float, most: float) -> str:
    return _BLOCKS[round(value / most * (len(_BLOCKS) - 1))] if most > 0 else _BLOCKS[0]


def _ahead(plan: Plan, ahead: Sequence[LineAhead]) -> str:
    """The line at the moments of the plan."""
    said = []
    for submission in plan.submissions if ahead else ():
        near = min(ahead, key=lambda one: abs((one.at - submission.at).total_seconds()))
        if submission.at - near.at > timedelta(minutes=30):
            continue  # so far it could not be told
        low, high = f"{near.low:.0f}", f"{near.high:.0f}"
        said.append(
            f"{low if low == high else f'{low}–{high}'} at {moment(submission.at, plan.timestamp)}"
        )
    return ", ".join(said)
