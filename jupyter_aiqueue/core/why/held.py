"""What a held job waits for, and how far that is from now."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..collect.snapshot import BatchPlace
from ..hold import Comparison, Decision, Hold, View, decide, parse_said
from ..load import GroupLoad
from ..text import clock, duration
from ..zone import here

#: How a comparison's left side is called for people.
_WHATS = {"wait": "the wait", "depth": "depth", "free_slots": "free slots"}


class Condition(msgspec.Struct, frozen=True):
    """One part of what a job waits for."""

    #: ``wait``, ``depth`` or ``free_slots``.
    what: str
    #: As it was written.
    said: str
    #: Its value now; None when it is not known. A wait is in seconds.
    now: float | None
    #: Whether that is what is waited for.
    met: bool


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a held job waits for, as far as its record tells."""

    said: str
    conditions: tuple[Condition, ...] = ()
    after: datetime | None = None
    by: datetime | None = None
    expires: bool = False
    #: It goes when fewer of its batch than this are in line; None: it is of no batch.
    batch: int | None = None
    #: How many of its batch are in line now, and how many go before it, if that is known.
    batch_in_line: int | None = None
    batch_before: int | None = None

    def clauses(self, at: datetime) -> list[str]:
        """The parts of a sentence: what is waited for, what that is now, and until when."""
        waits = [one.said for one in self.conditions]
        if self.after is not None and at < self.after:
            waits.append(f"{clock(self.after, at)}")
        until = [f"for {' and '.join(waits)}"] if waits else []
        if self.batch is not None:
            until.append(f"until fewer than {self.batch} of its batch are in line")
        said = [f"waits {' and '.join(until)}"] if until else []
        said += [_now(one) for one in self.conditions] + self._batch(alone=not waits)
        met = all(one.met for one in self.conditions) and self._is_next()
        if until and met and not self._early(at):
            said.append("so it is put in line in a moment")
        if self.by is not None:
            then = "dropped" if self.expires else "put in line"
            in_any_case = " in any case" if until and not self.expires else ""
            said.append(f"at {clock(self.by, at)} it is {then}{in_any_case}")
        return said or [f"waits for {self.said}"]

    def _batch(self, *, alone: bool) -> list[str]:
        count, before = self.batch_in_line, self.batch_before
        if self.batch is None or count is None:
            return []
        verb = "is" if count == 1 else "are"
        now = f"{count} {verb} now" if alone else f"{count} of its batch {verb} in line now"
        if before:
            now += f", and {before} of its batch {'comes' if before == 1 else 'come'} before it"
        return [now]

    def _is_next(self) -> bool:
        """Whether its batch lets it go."""
        if self.batch is None:
            return True
        count = self.batch_in_line
        return count is not None and count < self.batch and not self.batch_before

    def _early(self, at: datetime) -> bool:
        return self.after is not None and at < self.after


def view(group: GroupLoad) -> View:
    """A group as conditions see it."""
    return View(
        wait=None if group.start is None else group.start.middle,
        depth=group.waiting.value,
        free_slots=group.free.value,
    )


def terms(hold: Hold, group: GroupLoad | None) -> Terms:
    """What ``hold`` asks for, with what that is now."""
    seen = View() if group is None else view(group)
    return Terms(
        said=hold.said,
        conditions=tuple(_condition(one, seen) for one in hold.comparisons),
        after=hold.after,
        by=hold.by,
        expires=hold.expires,
        batch=None if hold.batch is None else hold.batch.at_most,
    )


def read_terms(
    said: str, since: datetime, group: GroupLoad | None, batch: BatchPlace | None = None
) -> Terms:
    """The same from the words that a job's events carry.

    Args:
        since: when they were written: times of day are meant from then on.
        batch: its place among the held ones of its batch, if that is known.
    """
    hold = parse_said(said, here(since))
    if hold is None:
        return Terms(said=said)
    return msgspec.structs.replace(
        terms(hold, group),
        batch=hold.batch and hold.batch.at_most,
        batch_in_line=batch and batch.in_line,
        batch_before=batch and batch.before,
    )


def _condition(comparison: Comparison, seen: View) -> Condition:
    wanted = _value(comparison.what, comparison.value)
    only = Hold(said="", comparisons=(comparison,))
    return Condition(
        what=comparison.what,
        said=f"{comparison.what} {comparison.op} {wanted}",
        now=getattr(seen, comparison.what),
        met=decide(only, seen, datetime.min) is Decision.RELEASE,
    )


def _now(condition: Condition) -> str:
    verb = "are" if condition.what == "free_slots" else "is"
    name = _WHATS[condition.what]
    if condition.now is None:
        return f"{name} {verb} unknown now"
    return f"{name} {verb} {_value(condition.what, condition.now)} now"


def _value(what: str, value: float) -> str:
    return duration(value) if what == "wait" else f"{value:g}"
