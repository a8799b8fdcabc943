"""What a held job waits for, and how far that is from now."""

from __future__ import annotations

from datetime import datetime

import msgspec

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

    def clauses(self, at: datetime) -> list[str]:
        """The parts of a sentence: what is waited for, what that is now, and until when."""
        waits = [one.said for one in self.conditions]
        if self.after is not None and at < self.after:
            waits.append(f"{clock(self.after, at)}")
        said = [f"waits for {' and '.join(waits)}"] if waits else []
        said += [_now(one) for one in self.conditions]
        if waits and all(one.met for one in self.conditions) and not self._early(at):
            said.append("so it is put in line in a moment")
        if self.by is not None:
            then = "dropped" if self.expires else "put in line"
            in_any_case = " in any case" if waits and not self.expires else ""
            said.append(f"at {clock(self.by, at)} it is {then}{in_any_case}")
        return said or [f"waits for {self.said}"]

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
    )


def read_terms(said: str, since: datetime, group: GroupLoad | None) -> Terms:
    """The same from the words that a job's events carry.

    Args:
        since: when they were written: times of day are meant from then on.
    """
    hold = parse_said(said, here(since))
    return Terms(said=said) if hold is None else terms(hold, group)


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
