"""Heartbeats and control messages: what workers say of themselves and what they are told."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, TypeVar

import msgspec

from .errors import InvalidJob
from .job import Moment, Priority

#: Seconds between two heartbeats of a worker, when nothing changes.
HEARTBEAT_INTERVAL = 5.0

#: A worker silent for this many of its intervals is lost.
MISSED_BEFORE_LOST = 3


class Running(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One occupied slot."""

    job_id: str
    group: str
    priority: Priority
    task: str | None = None
    name: str | None = None
    user: str | None = None
    attempt: int = 1
    since: Moment | None = None
    progress: float | None = None


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A worker's state, published on every change and every `interval` seconds.

    Key on ``aiqueue.status``: ``worker.<name>``. The last one of a worker that ends well has
    the state ``stopped``.
    """

    worker: str
    timestamp: Moment
    #: ``active``, ``draining`` or ``stopped``.
    state: str = "active"
    groups: tuple[str, ...] = ()
    #: Plain producers' queues that it serves beside its groups.
    queues: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    slots: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 1
    running: tuple[Running, ...] = ()
    #: Ids of jobs that ended here lately, newest last.
    finished: tuple[str, ...] = ()
    host: str | None = None
    pid: int | None = None
    environment: str | None = None
    #: Environments of those tasks that run in another one than the worker.
    task_environments: dict[str, str] = {}
    version: str | None = None
    started_at: Moment | None = None
    interval: Annotated[float, msgspec.Meta(gt=0, le=3600)] = HEARTBEAT_INTERVAL


class Cancel(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stop a job, or do not start it. Key on ``aiqueue.control``: ``cancel.<job id>``.

    Kept in a stream, so that a worker that was away obeys it too.
    """

    job_id: str
    timestamp: Moment
    by: str | None = None


class Release(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Put a held job in line now. Key: ``release.<job id>``; kept in the stream of cancels."""

    job_id: str
    timestamp: Moment
    by: str | None = None


class AskLog(msgspec.Struct, frozen=True, kw_only=True):
    """Publish the log tail of a running job now. Key: ``log.<job id>``; not kept."""

    job_id: str


#: Attempts, and how often one was given back, as messages may name them.
Number = Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)]


class Standing(str, Enum):
    """What a worker has to do with a job that was asked for."""

    #: It runs here, or its end waits here to be published.
    RUNNING = "running"
    #: This attempt has been settled here.
    OVER = "over"
    #: A message of it is held here, and asked about, too.
    WAITING = "waiting"


class Ask(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Does anybody run this job? Key: ``ask.<job id>``; not kept.

    Asked by a worker that was given a message which may belong to another one.
    """

    job_id: str
    #: Who asks; the answer goes to the key ``answer.<asker>``.
    asker: str
    #: Tells the asking process from all others: names may be given twice.
    process: str
    attempt: Number
    #: How often the attempt had been given back.
    turn: Number = 0
    #: Tells whoever asks which of its questions this was.
    number: Number = 0
    #: Who had leased the message in question, if anybody.
    leased_by: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a worker has to do with a job that was asked for. Key: ``answer.<asker>``."""

    job_id: str
    worker: str
    process: str
    standing: Standing
    attempt: Number
    turn: Number = 0


class Over(msgspec.Struct, frozen=True, kw_only=True):
    """A job has come to its end, though a message of it may still be about, or another run.

    Key: ``over.<job id>``; kept in the stream of cancels.
    """

    job_id: str
    worker: str
    process: str


_heartbeats = msgspec.json.Decoder(Heartbeat)
_cancels = msgspec.json.Decoder(Cancel)
_releases = msgspec.json.Decoder(Release)
_ask_logs = msgspec.json.Decoder(AskLog)
_asks = msgspec.json.Decoder(Ask)
_answers = msgspec.json.Decoder(Answer)
_overs = msgspec.json.Decoder(Over)

encode = msgspec.json.encode


def decode_heartbeat(data: bytes) -> Heartbeat:
    """Decode a heartbeat; raises `InvalidJob` when it is none."""
    return _decode(_heartbeats, data)


def decode_cancel(data: bytes) -> Cancel:
    """Decode a cancel; raises `InvalidJob` when it is none."""
    return _decode(_cancels, data)


def decode_release(data: bytes) -> Release:
    """Decode a release; raises `InvalidJob` when it is none."""
    return _decode(_releases, data)


def decode_ask_log(data: bytes) -> AskLog:
    """Decode a request for a log; raises `InvalidJob` when it is none."""
    return _decode(_ask_logs, data)


def decode_ask(data: bytes) -> Ask:
    """Decode a question; raises `InvalidJob` when it is none."""
    return _decode(_asks, data)


def decode_answer(data: bytes) -> Answer:
    """Decode an answer; raises `InvalidJob` when it is none."""
    return _decode(_answers, data)


def decode_over(data: bytes) -> Over:
    """Decode the news of an end; raises `InvalidJob` when it is none."""
    return _decode(_overs, data)


_T = TypeVar("_T")


def _decode(decoder: msgspec.json.Decoder[_T], data: bytes) -> _T:
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidJob("malformed-control", f"Not a message of ours: {error}") from error
