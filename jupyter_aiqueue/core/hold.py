"""Holding: jobs that wait for a quiet moment before they are put in line.

A held job is a message in `topology.HELD` with its terms in a header: durable, and nobody's
kernel or server has to live. The collector releases it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import Enum
from typing import Annotated, Literal, NamedTuple

import msgspec

from .errors import InvalidJob
from .job import Job, Moment, new_job_id
from .message import Message, encode_job

#: Header of a held job: its terms as JSON.
HOLD = "aiq-hold"

_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}

_COMPARISON = re.compile(
    r"(?P<what>wait|depth|free_slots)\s*(?P<op><=|>=|<|>)\s*(?P<number>\d+(?:\.\d+)?)"
    r"\s*(?P<unit>s|sec|min|m|h|d)?"
)
_AFTER = re.compile(r"after\s+(?P<moment>.+)")
#: In the words of terms, what goes before a deadline.
_IN_ANY_CASE, _DROPPED = ", in any case by ", ", dropped at "
_OF_BATCH = re.compile(r"(?:^| and )at most (\d+) of its batch in line$")
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")

_OPERATIONS: dict[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


class Comparison(msgspec.Struct, frozen=True):
    """One number of the group's load and what it has to be."""

    #: Seconds until a job that was submitted now would start (in the middle of its range); jobs
    #: that wait in the group; free slots.
    what: Literal["wait", "depth", "free_slots"]
    op: Literal["<", "<=", ">", ">="]
    value: float


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together and go into line one after the other."""

    id: str
    #: None is released while so many of them wait in line. Those between two attempts do not wait
    #: there; at a deadline, or released by hand, they go all the same.
    at_most: Annotated[int, msgspec.Meta(ge=1)]


class Hold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a held job waits for: all of it at once."""

    #: As it was written.
    said: str
    comparisons: tuple[Comparison, ...] = ()
    #: Not before.
    after: Moment | None = None
    #: By then it is released in any case, or expires.
    by: Moment | None = None
    expires: bool = False
    batch: Batch | None = None


class View(NamedTuple):
    """A group as conditions see it; None is not known."""

    wait: float | None = None
    depth: float | None = None
    free_slots: float | None = None


class Decision(str, Enum):
    """What is to be done about a held job."""

    WAIT = "wait"
    RELEASE = "release"
    EXPIRE = "expire"


def decide(hold: Hold, view: View, at: datetime, *, in_line: int | None = 0) -> Decision:
    """What to do at ``at``. What is not known is no quiet moment.

    Args:
        in_line: how many of its batch wait in line.
    """
    if hold.by is not None and at >= hold.by:
        return Decision.EXPIRE if hold.expires else Decision.RELEASE
    if hold.after is not None and at < hold.after:
        return Decision.WAIT
    if hold.batch is not None and (in_line is None or in_line >= hold.batch.at_most):
        return Decision.WAIT
    for comparison in hold.comparisons:
        value = getattr(view, comparison.what)
        if value is None or not _OPERATIONS[comparison.op](value, comparison.value):
            return Decision.WAIT
    return Decision.RELEASE


def parse_hold(
    when: str | None,
    by: str | datetime | None,
    *,
    expires: bool,
    at: datetime,
    at_most: int | None = None,
) -> Hold | None:
    """Terms as people write them; None when there are none.

    Args:
        when: ``wait < 10m``, ``depth < 5``, ``free_slots > 0``, ``after 22:00`` or
            ``after 2026-12-01 22:00``, joined by ``and``.
        by: a time of day (the next one), or a date and time, in the zone of ``at``.
        expires: whether the job is dropped at ``by``, instead of released.
        at: the time now, with the zone that times are meant in.
        at_most: it is of a new batch, of which so many wait in line at a time.

    Raises:
        InvalidJob: with reason ``bad-condition``.
    """
    if expires and by is None:
        raise _bad("A job can expire only by a time: add `--by 08:00`.")
    if when is not None and not when.strip():
        raise _bad("The condition is empty: write `wait < 10m`, for example.")
    if when is None and at_most is None:
        if by is not None:
            raise _bad(
                "`--by` tells until when a condition may hold the job back: add one, such as "
                f'`--when "wait < 10m"`. To start it then, write `--when "after {by}"`.'
            )
        return None
    comparisons, after = _conditions(when, at)
    deadline = None if by is None else parse_moment(by, at)
    if deadline is not None and deadline <= at:
        raise _bad(f"The time {by} has passed.")
    if deadline is not None and after is not None and after >= deadline:
        raise _bad(f"The job may not start before {after:%H:%M}, and is due by {deadline:%H:%M}.")
    parts = [" ".join(when.split())] if when else []
    if at_most is not None:
        parts.append(f"at most {_whole(at_most)} of its batch in line")
    said = " and ".join(parts)
    if by is not None:
        said += f"{_DROPPED if expires else _IN_ANY_CASE}{by}"
    return Hold(
        said=said,
        comparisons=comparisons,
        after=after,
        by=deadline,
        expires=expires,
        batch=None if at_most is None else Batch(id=new_job_id(), at_most=at_most),
    )


def parse_said(said: str, at: datetime) -> Hold | None:
    """The terms again from `Hold.said`; None for words of another version.

    A batch gets an id of its own.

    Args:
        at: when they were written, with the zone that their times are meant in.
    """
    expires = _DROPPED in said
    when, _, by = said.partition(_DROPPED if expires else _IN_ANY_CASE)
    batch = _OF_BATCH.search(when)
    at_most = None if batch is None else int(batch[1])
    when = _OF_BATCH.sub("", when)
    try:
        return parse_hold(when or None, by or None, expires=expires, at=at, at_most=at_most)
    except InvalidJob:
        return None


def _conditions(when: str | None, at: datetime) -> tuple[tuple[Comparison, ...], datetime | None]:
    comparisons, after = [], None
    for part in re.split(r"\s+and\s+", when.strip()) if when else []:
        compared, later = _COMPARISON.fullmatch(part), _AFTER.fullmatch(part)
        if compared is not None:
            comparisons.append(_comparison(compared, part))
        elif later is not None and after is None:
            after = parse_moment(later["moment"], at)
        else:
            raise _bad(
                f"The condition {part!r:.80} is none of `wait < 10m`, `depth < 5`, "
                "`free_slots > 0`, `after 22:00`; join several with `and`."
            )
    return tuple(comparisons), after


def _whole(at_most: object) -> int:
    if isinstance(at_most, bool) or not isinstance(at_most, int) or at_most < 1:
        raise _bad(f"`at_most_queued` is a whole number from 1, not {at_most!r:.80}.")
    return at_most


def _comparison(found: re.Match[str], part: str) -> Comparison:
    what, op, unit = found["what"], found["op"], found["unit"]
    value = float(found["number"])
    if value > 1e9:
        raise _bad(f"The number in {part!r:.80} is too large.")
    if (unit is not None) != (what == "wait"):
        wanted = "a time like 10m" if what == "wait" else "a number"
        raise _bad(f"In the condition {part!r:.80} {what} is compared with {wanted}.")
    if unit is not None:
        value *= _SECONDS[unit]
    if op == "<" and value == 0:
        raise _bad(f"{part!r:.80} is never so.")
    return msgspec.convert({"what": what, "op": op, "value": value}, Comparison)


def parse_moment(text: str | datetime, at: datetime) -> datetime:
    """A time of day, the next one after ``at``, or a date and time. Raises `InvalidJob`."""
    if isinstance(text, datetime):
        return text if text.tzinfo else text.replace(tzinfo=at.tzinfo)
    clock = _CLOCK.fullmatch(text.strip())
    try:
        if clock is None:
            moment = datetime.fromisoformat(text.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=at.tzinfo)
            if not 1970 < moment.year < 9000:
                raise ValueError("no year of ours")
            return moment
        moment = at.replace(hour=int(clock[1]), minute=int(clock[2]), second=0, microsecond=0)
    except ValueError as error:
        raise _bad(f"{text!r:.80} is no time: write 22:00, or 2026-12-01 22:00.") from error
    return moment if moment > at else moment + timedelta(days=1)


def held_message(job: Job, hold: Hold, *, user_id: str | None = None) -> Message:
    """The message of a job that is held."""
    message = encode_job(job, user_id=user_id)
    message.headers[HOLD] = msgspec.json.encode(hold).decode()
    return message


def read_hold(message: Message) -> Hold:
    """The terms of a held job. Raises `InvalidJob`."""
    text = message.headers.get(HOLD)
    try:
        return msgspec.json.decode(text if isinstance(text, str) else "", type=Hold)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        raise InvalidJob("wrong-type", f"Header {HOLD} tells no terms: {error}.") from error


def _bad(why: str) -> InvalidJob:
    return InvalidJob("bad-condition", why)
