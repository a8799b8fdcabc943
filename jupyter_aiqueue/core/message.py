"""Messages: a job as AMQP properties, headers and a plain body, and back.

The body is the experiment's config and nothing else, so that a plain consumer can read our
jobs and a plain producer's message is a job too. Everything of ours rides in properties and
in headers that start with ``aiq-`` (not ``x-``: headers exchanges ignore such headers).
"""

from __future__ import annotations

import json
import math
from datetime import datetime, timezone
from typing import Any

import msgspec

from .errors import InvalidJob
from .job import DEFAULT_MAX_ATTEMPTS, Job, Priority, check_job_id, check_word

APP_ID = "jupyter_aiqueue"

#: Larger bodies are refused at submit and dead-lettered by workers: configs are parameters,
#: data belongs in files. Bytes.
MAX_BODY = 1_048_576

#: Bytes: the headers of a message must fit into one frame, of 128 KiB at most brokers.
_MAX_HEADERS = 65_536

#: Bytes: AMQP's own limit.
_LONGEST_TASK = 255

#: Deeper configs are refused: every part on the way has to be able to read them.
_MAX_DEPTH = 100

#: Attempts and history entries beyond these are taken for damage.
MAX_ATTEMPTS = 1000
_MAX_HISTORY = 1000


#: Header of a job that was published before, and it is not known whether it got there.
SENT_AGAIN = "aiq-again"

#: Header of a job whose first attempt may have been started before, without being counted.
UNSURE = "aiq-unsure"

#: Set instead of the headers when what was sent as headers cannot be read.
UNREADABLE = "aiq-unreadable"


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
    #: Milliseconds after which it leaves its queue if nobody has taken it.
    expiration: int | None = None
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
        InvalidJob: the config is not JSON, larger than `MAX_BODY` or nested too deeply, or a
            name is too long.
    """
    try:
        body = json.dumps(job.config, allow_nan=False, ensure_ascii=False).encode()
    except RecursionError:
        raise _too_deep() from None
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
    _check_values(job.config)
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
    headers = {key: value for key, value in headers.items() if value is not None}
    _check_texts(headers, job.task)
    return Message(
        body=body,
        headers=headers,
        message_id=check_job_id(job.id),
        type=job.task,
        app_id=APP_ID,
        user_id=user_id,
        content_type="application/json",
        timestamp=_seconds(job.submitted_at),
    )


def decode_job(message: Message, *, group: str, queue: str | None = None) -> Job:
    """Read a job from ``message``; what is not said gets defaults.

    Args:
        group: the group to assume when no header names one.
        queue: the plain producer's queue that the message was taken from, if it was one.

    Raises:
        InvalidJob: with the reason ``too-large``, ``invalid-utf8``, ``malformed-json``,
            ``too-deep``, ``wrong-type``, ``bad-name`` or ``missing-task-id``.
    """
    if len(message.body) > MAX_BODY:
        raise InvalidJob(
            "too-large", f"The body has {len(message.body):,} bytes; the limit is {MAX_BODY:,}."
        )
    if UNREADABLE in message.headers:
        raise InvalidJob("wrong-type", "The headers of the message cannot be read.")
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
    if not isinstance(job_id, str):
        raise InvalidJob("wrong-type", f"The job id must be a string, not {job_id!r:.80}.")
    history = header.history()
    if queue is None:
        queue = header.text("aiq-queue")
    try:
        return Job(
            id=check_job_id(job_id),
            config=config,
            task=message.type or None,
            group=check_word("group", header.text("aiq-group") or group),
            priority=Priority(header.text("aiq-priority") or Priority.NORMAL),
            attempt=header.number("aiq-attempt", 1, 1, MAX_ATTEMPTS),
            max_attempts=header.number("aiq-max-attempts", DEFAULT_MAX_ATTEMPTS, 1, MAX_ATTEMPTS),
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


def _seconds(moment: datetime | None) -> int | None:
    """AMQP's timestamp, which knows nothing before 1970."""
    if moment is None or moment.timestamp() < 0:
        return None
    return int(moment.timestamp())


def plain_config(config: Any) -> Any:
    """``config`` as the JSON values that it is sent as; NumPy's numbers become Python's.

    Raises:
        InvalidJob: there is something in it that JSON has not.
    """
    try:
        return json.loads(json.dumps(config, allow_nan=False, default=_number))
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJob(
            "bad-config",
            f"The config cannot be written as JSON: {error}. "
            "Use numbers, strings, booleans, lists and dictionaries only.",
        ) from error


def _number(value: Any) -> Any:
    item = getattr(value, "item", None)
    if item is None or getattr(value, "ndim", False):
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return item()


def _inbox(name: str | None) -> str | None:
    return None if name is None else check_word("inbox", name)


def _config(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise InvalidJob("invalid-utf8", f"The body is not UTF-8: {error}") from error
    try:
        config = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise InvalidJob("malformed-json", f"The body is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise InvalidJob(
            "wrong-type", f"The body must be a JSON object, not a {type(config).__name__}."
        )
    _check_values(config)
    if "\\u" in text:  # an escape can smuggle in half a character, which nobody can write
        try:
            json.dumps(config, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise InvalidJob("invalid-utf8", f"The body holds no text: {error}") from error
    return config


def _check_values(config: dict[str, Any]) -> None:
    """Refuse what JSON can write but not everybody on the way can read."""
    level: list[Any] = [config]
    for _ in range(_MAX_DEPTH):
        inner = []
        for parent in level:
            for value in parent.values() if isinstance(parent, dict) else parent:
                if isinstance(value, (dict, list, tuple)):
                    inner.append(value)
                elif isinstance(value, float) and not math.isfinite(value):
                    raise InvalidJob("malformed-json", "The body has a number out of range.")
        if not inner:
            return
        level = inner
    raise _too_deep()


def _too_deep() -> InvalidJob:
    return InvalidJob(
        "too-deep", f"The config is nested more deeply than {_MAX_DEPTH} lists and dictionaries."
    )


def _check_texts(headers: dict[str, Any], task: str | None) -> None:
    texts = [value for value in headers.values() if isinstance(value, str)]
    try:
        size = sum(len(text.encode()) for text in texts)
        long_task = task is not None and len(task.encode()) > _LONGEST_TASK
    except UnicodeEncodeError as error:
        raise InvalidJob(
            "bad-name", f"A name or path of the job cannot be written as UTF-8: {error}."
        ) from error
    if long_task:
        raise InvalidJob("bad-name", f"A task's name has at most {_LONGEST_TASK} bytes.")
    if size > _MAX_HEADERS:
        raise InvalidJob(
            "too-large", f"The job's name and paths take {size:,} bytes; use shorter ones."
        )


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
