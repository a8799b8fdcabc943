"""Messages: a job as AMQP properties, headers and a plain body, and back.

The body is the experiment's config and nothing else, so that a plain consumer can read our
jobs and a plain producer's message is a job too. Everything of ours rides in properties and
in headers that start with ``aiq-`` (not ``x-``: headers exchanges ignore such headers).
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import msgspec

from .errors import InvalidJob
from .job import DEFAULT_MAX_ATTEMPTS, Job, Priority, check_word

APP_ID = "jupyter_aiqueue"

#: Larger bodies are refused at submit and dead-lettered by workers: configs are parameters,
#: data belongs in files. Bytes.
MAX_BODY = 1_048_576

#: Attempts and history entries beyond these are taken for damage.
_MAX_ATTEMPTS = 1000
_MAX_HISTORY = 1000


class Message(msgspec.Struct, kw_only=True):
    """An AMQP message without the client library: what `transport` sends and receives."""

    body: bytes
    headers: dict[str, Any] = msgspec.field(default_factory=dict)
    message_id: str | None = None
    type: str | None = None
    app_id: str | None = None
    user_id: str | None = None
    correlation_id: str | None = None
    content_type: str | None = None
    #: Seconds since 1970, UTC.
    timestamp: int | None = None
    #: Stored on disk by the broker.
    persistent: bool = True
    # Filled in by the broker on the way to us:
    exchange: str = ""
    routing_key: str = ""
    redelivered: bool = False


def routing_key(job: Job) -> str:
    """The key that leads to the job's queue through the exchange ``aiqueue.jobs``."""
    if job.queue is not None:
        return f"queue.{job.queue}"
    return f"{job.group}.{job.priority.value}"


def encode_job(job: Job, *, user_id: str | None = None) -> Message:
    """Build the message of ``job``.

    Args:
        user_id: the name of the connection's own account. The broker refuses any other, so
            workers that republish a job leave it out; the submitter stays in ``aiq-user``.

    Raises:
        InvalidJob: the config is not JSON, or larger than `MAX_BODY`.
    """
    try:
        body = json.dumps(job.config, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise InvalidJob(
            "bad-config",
            f"The config cannot be written as JSON: {error}. "
            "Use numbers, strings, booleans, lists and dictionaries only.",
        ) from error
    if len(body) > MAX_BODY:
        raise InvalidJob(
            "too-large",
            f"The config takes {len(body):,} bytes; at most {MAX_BODY:,} can be sent. "
            "Put data in a file and send its path.",
        )
    headers: dict[str, Any] = {
        "aiq-group": job.group,
        "aiq-priority": job.priority.value,
        "aiq-attempt": job.attempt,
        "aiq-max-attempts": job.max_attempts,
        "aiq-timeout": None if job.timeout is None else str(job.timeout),
        "aiq-name": job.name,
        "aiq-inbox": job.inbox,
        "aiq-notebook": job.notebook,
        "aiq-user": job.user or user_id,
        "aiq-submitted": job.submitted_at and job.submitted_at.isoformat(),
        "aiq-retry-of": job.retry_of,
        "aiq-queue": job.queue,
        "aiq-history": json.dumps(job.history) if job.history else None,
    }
    return Message(
        body=body,
        headers={key: value for key, value in headers.items() if value is not None},
        message_id=job.id,
        type=job.task,
        app_id=APP_ID,
        user_id=user_id,
        content_type="application/json",
        timestamp=None if job.submitted_at is None else int(job.submitted_at.timestamp()),
    )


def decode_job(message: Message, *, group: str, queue: str | None = None) -> Job:
    """Read a job from ``message``; what is not said gets defaults.

    Args:
        group: the group to assume when no header names one.
        queue: the plain producer's queue that the message was taken from, if it was one.

    Raises:
        InvalidJob: with the reason ``too-large``, ``invalid-utf8``, ``malformed-json``,
            ``wrong-type`` or ``missing-task-id``.
    """
    if len(message.body) > MAX_BODY:
        raise InvalidJob(
            "too-large", f"The body has {len(message.body):,} bytes; the limit is {MAX_BODY:,}."
        )
    config = _config(message.body)
    header = _Headers(message.headers)
    job_id = message.message_id or config.get("task_id")
    if isinstance(job_id, int) and not isinstance(job_id, bool):
        job_id = str(job_id)
    if job_id is None or job_id == "":
        raise InvalidJob(
            "missing-task-id",
            "The message has neither a message_id nor a `task_id` in its body.",
        )
    if not isinstance(job_id, str) or len(job_id) > 200 or not job_id.isprintable():
        raise InvalidJob("wrong-type", "The job id must be a printable string of at most 200.")
    history = header.history()
    if queue is None:
        queue = header.text("aiq-queue")
    try:
        return Job(
            id=job_id,
            config=config,
            task=message.type or None,
            group=check_word("group", header.text("aiq-group") or group),
            priority=Priority(header.text("aiq-priority") or Priority.NORMAL),
            attempt=header.number("aiq-attempt", 1, 1, _MAX_ATTEMPTS),
            max_attempts=header.number("aiq-max-attempts", DEFAULT_MAX_ATTEMPTS, 1, _MAX_ATTEMPTS),
            timeout=header.seconds("aiq-timeout"),
            name=header.text("aiq-name"),
            inbox=_inbox(header.text("aiq-inbox")),
            notebook=header.text("aiq-notebook"),
            user=header.text("aiq-user") or message.user_id,
            submitted_at=header.time("aiq-submitted") or _time(message.timestamp),
            retry_of=header.text("aiq-retry-of"),
            queue=queue,
            history=history,
        )
    except ValueError as error:  # Priority(...)
        raise InvalidJob("wrong-type", f"{error}; high, normal and low are known.") from error


def _inbox(name: str | None) -> str | None:
    return None if name is None else check_word("inbox", name)


def _config(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJob("invalid-utf8", f"The body is not UTF-8: {error}") from error
    try:
        config = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidJob("malformed-json", f"The body is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidJob(
            "wrong-type", f"The body must be a JSON object, not a {type(config).__name__}."
        )
    return config


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _time(seconds: int | None) -> datetime | None:
    if seconds is None:
        return None
    try:
        return datetime.fromtimestamp(seconds, timezone.utc)
    except (OverflowError, OSError, ValueError):
        return None


class _Headers:
    """Typed reading of headers that anybody may have written."""

    def __init__(self, headers: dict[str, Any]) -> None:
        self._headers = headers

    def text(self, name: str) -> str | None:
        value = self._headers.get(name)
        if value is None or isinstance(value, str):
            return value
        raise InvalidJob("wrong-type", f"Header {name} must be a string, not {value!r:.80}.")

    def number(self, name: str, default: int, low: int, high: int) -> int:
        value = self._headers.get(name, default)
        if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
            return value
        raise InvalidJob(
            "wrong-type", f"Header {name} must be a number from {low} to {high}, not {value!r:.80}."
        )

    def seconds(self, name: str) -> float | None:
        value = self._headers.get(name)
        if value is None:
            return None
        try:
            seconds = float(value)
        except (TypeError, ValueError, OverflowError):
            seconds = -1.0
        if 0 < seconds < 1e9:
            return seconds
        raise InvalidJob("wrong-type", f"Header {name} must be seconds, not {value!r:.80}.")

    def time(self, name: str) -> datetime | None:
        value = self.text(name)
        if value is None:
            return None
        try:
            # Python 3.10 does not read a final "Z".
            moment = datetime.fromisoformat(value.replace("Z", "+00:00"))
        except ValueError as error:
            raise InvalidJob("wrong-type", f"Header {name} is not a time: {error}.") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)

    def history(self) -> tuple[str, ...]:
        text = self.text("aiq-history")
        if text is None:
            return ()
        try:
            entries = json.loads(text)
        except (ValueError, RecursionError):
            entries = None
        if (
            isinstance(entries, list)
            and len(entries) <= _MAX_HISTORY
            and all(isinstance(entry, str) for entry in entries)
        ):
            return tuple(entries)
        raise InvalidJob("wrong-type", "Header aiq-history must be a JSON list of strings.")
