"""What a request may say: its body and its query, checked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from ..core.errors import InvalidJob
from ..core.job import Priority, State
from ..core.parameters import parse_value

#: Jobs in one answer.
DEFAULT_LIMIT, MOST = 200, 1000


class Submission(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """An experiment to submit; what the fields mean is told at `Client.submit`."""

    task: str | None = None
    config: dict[str, Any] = msgspec.field(default_factory=dict)
    #: More of it, as people write values: by YAML rules, see `core.parameters.parse_value`.
    written: dict[str, str] = msgspec.field(default_factory=dict)
    group: str = "train"
    priority: Priority = Priority.NORMAL
    retries: int | None = None
    timeout: float | None = None
    name: str | None = None
    when: str | None = None
    by: str | None = None
    expire: bool = False
    #: The server's path of the notebook that the job belongs to.
    notebook: str | None = None
    #: Whether it is to be submitted though exactly this has succeeded before.
    again: bool = False

    @property
    def values(self) -> dict[str, Any]:
        """The whole config."""
        return self.config | _parsed(self.written)

    @property
    def terms(self) -> dict[str, Any]:
        """What `Client` takes besides task and config."""
        names = ("group", "priority", "retries", "timeout", "name", "when", "by", "expire")
        return {name: getattr(self, name) for name in names}


class Changes(msgspec.Struct, forbid_unknown_fields=True):
    """Config values that a retry replaces or adds."""

    changes: dict[str, Any] = msgspec.field(default_factory=dict)
    #: The same as people write them.
    written: dict[str, str] = msgspec.field(default_factory=dict)

    @property
    def values(self) -> dict[str, Any]:
        """All of them as values."""
        return self.changes | _parsed(self.written)


class Selection(msgspec.Struct, kw_only=True, frozen=True):
    """Which jobs to list."""

    #: The server's path of a notebook; None lists the jobs of all.
    notebook: str | None = None
    #: Empty lists jobs in any state.
    states: frozenset[State] = frozenset()
    #: Empty lists jobs with any id.
    ids: frozenset[str] = frozenset()
    limit: int = DEFAULT_LIMIT
    offset: int = 0


def _parsed(written: dict[str, str]) -> dict[str, Any]:
    return {key: parse_value(text) for key, text in written.items()}


_Body = TypeVar("_Body", Submission, Changes)


def read_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode the body of a request; an empty one has every default.

    Raises:
        InvalidJob: it is no JSON, or has something else than ``kind`` in it.
    """
    try:
        return msgspec.json.decode(body.strip() or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The text of a validation error names the field and its type, and nothing else.
        why = str(error) if isinstance(error, msgspec.ValidationError) else "It is not JSON."
        raise InvalidJob("bad-request", f"The request's body cannot be used. {why}") from error


def read_selection(
    notebook: str | None,
    state: str | None,
    limit: str | None,
    offset: str | None,
    ids: Iterable[str] = (),
) -> Selection:
    """Check the query of a list of jobs; raises `InvalidJob`."""
    known = {one.value: one for one in State}
    words = [word.strip() for word in (state or "").split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise InvalidJob("bad-state", f"No job is {word!r}; states are {', '.join(known)}.")
    return Selection(
        notebook=notebook,
        states=frozenset(known[word] for word in words),
        ids=frozenset(ids),
        limit=_number("limit", limit, DEFAULT_LIMIT, 1, MOST),
        offset=_number("offset", offset, 0, 0, 10**9),
    )


def read_time(name: str, text: str | None) -> datetime | None:
    """Check a time in a query, ISO 8601 with its zone; raises `InvalidJob`."""
    if text is None:
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = datetime.min
    if time.tzinfo is None:
        raise InvalidJob(f"bad-{name}", f"{name} is a time with its zone, such as ISO 8601 has it.")
    return time


def _number(name: str, text: str | None, default: int, least: int, most: int) -> int:
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
        raise InvalidJob(f"bad-{name}", f"{name} is a whole number, {least} to {most}.")
    return int(text)
