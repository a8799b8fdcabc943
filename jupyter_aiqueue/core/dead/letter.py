"""One dead letter, several of them, and how some are named."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, NamedTuple

import msgspec

from ..errors import AmbiguousJob, InvalidJob, JobNotFound
from ..job import Job, names
from ..message import Message, decode_job

#: Letters looked at in full at once; the others are counted.
LIMIT = 1000

#: Header in which the worker that buried a message says why.
_REASON = "aiq-reason"

#: The reason of a letter whose id belongs to another job.
_DUPLICATE = "duplicate-job-id"

#: How letters are called whose reason nobody has said.
UNKNOWN = "unknown"

#: Headers in which the broker counts deliveries: of a dead letter, those are looks.
_COUNTS = ("x-delivery-count", "x-acquired-count")

#: Tables in headers are shown as tables to this depth.
_DEEPEST = 20

#: Properties of the message that a person may want to see.
_PROPERTIES = (
    "message_id",
    "type",
    "app_id",
    "user_id",
    "correlation_id",
    "content_type",
    "timestamp",
    "routing_key",
)


class LetterKind(NamedTuple):
    """As what letters are counted."""

    reason: str | None
    group: str


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One message in a dead queue."""

    group: str
    #: A short stable word, for grouping: ``exit-code``, ``malformed-json``, ``worker-lost``, …
    reason: str | None
    #: The sentence behind it.
    why: str | None
    job_id: str | None
    #: None when the message cannot be read as a job.
    job: Job | None
    body: bytes
    #: ISO 8601, UTC.
    dead_at: str | None = None
    worker: str | None = None
    #: Headers as JSON values; without those that count looks.
    headers: dict[str, Any] = {}
    #: Of the message: ``message_id``, ``type``, …; those that are set.
    properties: dict[str, Any] = {}

    @property
    def id(self) -> str:
        """How to name it: its job id; for a message without any, a digest of its body."""
        return self.job_id or f"no-id-{self.digest[:8]}"

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hexadecimal digits."""
        return hashlib.sha256(self.body).hexdigest()

    @property
    def died(self) -> datetime | None:
        """When it became a dead letter, UTC; None when that was not said or not as a time."""
        try:
            moment = datetime.fromisoformat((self.dead_at or "").replace("Z", "+00:00"))
        except ValueError:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

    @property
    def kind(self) -> LetterKind:
        """As what it is counted."""
        return LetterKind(self.reason, self.group)

    @property
    def is_duplicate(self) -> bool:
        """Whether its id belongs to another job, which has an end of its own."""
        return self.reason == _DUPLICATE

    @property
    def attempts(self) -> int | None:
        """Executions that its history tells of; None when nothing is known of any."""
        if self.job is not None and self.job.history:
            return self.job.attempt
        # Who refuses a job says why, and leaves its history as it was.
        return 0 if self.job is not None and _REASON in self.headers else None

    @property
    def history(self) -> tuple[str, ...]:
        """What happened in its attempts, one sentence each."""
        return self.job.history if self.job else ()


def reasons_in(kinds: Mapping[LetterKind, int]) -> Counter[str | None]:
    """How many letters have each reason."""
    reasons: Counter[str | None] = Counter()
    for kind, count in kinds.items():
        reasons[kind.reason] += count
    return reasons


class Letters(list[DeadLetter]):
    """Dead letters that were seen in one look, those of the most frequent reason first.

    Args:
        letters: those that are shown.
        kinds: the kind of every letter that fits, also of those beyond the limit.
        notes: what was not seen, one sentence each.
    """

    def __init__(
        self,
        letters: Iterable[DeadLetter] = (),
        kinds: Counter[LetterKind] | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        found = list(letters)
        self.kinds = Counter(letter.kind for letter in found) if kinds is None else kinds
        self.reasons = reasons_in(self.kinds)
        self.notes = list(notes)

        def place(letter: DeadLetter) -> tuple[int, str, str]:
            return -self.reasons[letter.reason], letter.reason or "", letter.dead_at or ""

        super().__init__(sorted(found, key=place))

    @property
    def counts(self) -> list[tuple[str | None, int]]:
        """Reasons and how many letters have each, in the order of the letters."""
        return sorted(self.reasons.items(), key=lambda item: (-item[1], item[0] or ""))

    def groups(self, reason: str | None) -> list[str]:
        """The groups in which a reason occurs."""
        return [kind.group for kind in self.kinds if kind.reason == reason]

    @property
    def total(self) -> int:
        """How many fit; more than these when there is a limit."""
        return max(len(self), self.reasons.total())


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which dead letters: those that fit everything that is said."""

    #: None: of all groups.
    group: str | None = None
    #: ``unknown`` stands for letters that do not say one.
    reason: str | None = None
    #: Ids, or parts of them that fit only one; none: all.
    jobs: tuple[str, ...] = ()
    #: `jobs` are whole ids only.
    whole: bool = False

    def fits(self, letter: DeadLetter) -> bool:
        """Whether ``letter`` may be one. Its group is not looked at."""
        if self.reason is not None and (letter.reason or UNKNOWN) != self.reason:
            return False
        return self.fits_but_for_reason(letter)

    def fits_but_for_reason(self, letter: DeadLetter) -> bool:
        """Whether ``letter`` may be one if its reason were."""
        return not self.jobs or any(self._names(part, letter.id) for part in self.jobs)

    def no_such_reason(self, others: Mapping[LetterKind, int]) -> list[str]:
        """Says which reasons there are, when there is none like `reason`.

        Args:
            others: the kinds of letters that fit but for their reason.
        """
        if self.reason is None or not others:
            return []
        reasons = reasons_in(others).most_common()
        there = ", ".join(f"{reason or UNKNOWN} ({count})" for reason, count in reasons)
        return [f"No dead letter has the reason {self.reason!r}. The reasons here are {there}."]

    def check(self, letters: Iterable[DeadLetter], notes: Sequence[str] = ()) -> set[str]:
        """The ids that `jobs` name.

        Args:
            letters: all that fit.
            notes: what was not seen, for the error.

        Raises:
            JobNotFound, AmbiguousJob.
        """
        ids = {letter.id for letter in letters}
        chosen = set()
        for part in self.jobs:
            found = [part] if part in ids else [name for name in ids if self._names(part, name)]
            if len(found) > 1:
                shown = ", ".join(sorted(found)[:5]) + (", …" if len(found) > 5 else "")
                raise AmbiguousJob(f"{part!r} fits several dead letters: {shown}.")
            if not found:
                where = f" of group {self.group}" if self.group else ""
                reason = f" with the reason {self.reason!r}" if self.reason else ""
                more = "".join(f" {note}" for note in notes)
                raise JobNotFound(f"No dead letter{where}{reason} is called {part!r}.{more}")
            chosen.update(found)
        return chosen

    def _names(self, part: str, name: str) -> bool:
        if self.whole:
            return part == name
        return names(part, name)


def read_letter(message: Message, group: str) -> DeadLetter:
    """The dead letter in a message; nothing is bad enough to be an error."""
    job: Job | None
    try:
        job = decode_job(message, group=group)
    except InvalidJob:
        job = None

    def text(name: str) -> str | None:
        value: Any = message.headers.get(name)
        return value if isinstance(value, str) else None

    properties = {name: getattr(message, name) for name in _PROPERTIES}
    return DeadLetter(
        group=group,
        reason=text(_REASON) or text("x-first-death-reason"),
        why=text("aiq-why"),
        job_id=job.id if job else message.message_id or None,
        job=job,
        body=message.body,
        dead_at=text("aiq-dead-at"),
        worker=text("aiq-worker"),
        headers=_plain({k: v for k, v in message.headers.items() if k not in _COUNTS}),
        properties={name: _plain(value) for name, value in properties.items() if value is not None},
    )


def _plain(value: Any, depth: int = 0) -> Any:
    """What anybody may have sent, as JSON can hold it."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, int):
        return int(value)  # the client library has a kind of its own
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict) and depth < _DEEPEST:
        return {str(key): _plain(part, depth + 1) for key, part in value.items()}
    if isinstance(value, list) and depth < _DEEPEST:
        return [_plain(part, depth + 1) for part in value]
    return str(value)
