"""The situation of a group: everything that a forecast may know about the moment it is made."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from ..job import DEFAULT_MAX_ATTEMPTS, Priority
from ..topology import DEFAULT_RETRY_DELAYS


def config_key(config: Mapping[str, Any]) -> str:
    """What equal configs have in common: 16 characters, whatever the order of their keys.

    The job's id, which every config holds for plain consumers, is no part of it.
    """
    own = {key: value for key, value in config.items() if key != "task_id"}
    ordered = msgspec.json.encode(own, order="deterministic", enc_hook=str)
    return hashlib.sha256(ordered).hexdigest()[:16]


class Likeness(msgspec.Struct, frozen=True):
    """What makes run times comparable: same config first, then same task, then same group."""

    group: str
    task: str | None = None
    #: A `config_key`.
    config: str = ""


class RunningJob(msgspec.Struct, frozen=True, kw_only=True):
    """One occupied slot."""

    like: Likeness
    #: The worker whose slot it has, as in `Situation.workers`.
    worker: str
    #: Seconds since this attempt began.
    elapsed_s: float
    #: 0 to 1, as the experiment reported it; None when it has not.
    progress: float | None = None
    attempt: int = 1


class WaitingJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job in line, or one that might be submitted."""

    like: Likeness
    priority: Priority = Priority.NORMAL
    #: The number of its next attempt.
    attempt: int = 1
    max_attempts: int = DEFAULT_MAX_ATTEMPTS


class ReturningJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that will join the line again: between attempts, or its worker was lost."""

    job: WaitingJob
    #: Seconds from now until it is at the end of its queue.
    after_s: float


class WorkerSlots(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that is alive. What runs on it fills its slots, for whichever group it runs."""

    worker: str
    slots: int
    #: A draining worker ends what it runs and takes nothing more.
    draining: bool = False


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """One group at one moment."""

    group: str
    workers: tuple[WorkerSlots, ...] = ()
    running: tuple[RunningJob, ...] = ()
    #: The line of each priority, first in line first.
    waiting: Mapping[Priority, tuple[WaitingJob, ...]] = {}
    returning: tuple[ReturningJob, ...] = ()
    #: Jobs per second that join each line, those that come back for another attempt included.
    arrivals: Mapping[Priority, float] = {}
    #: How workers come and go: slots per second that join, and the chance per second that a
    #: slot leaves.
    joins: float = 0.0
    leaves: float = 0.0
    #: Seconds before the second, third, … attempt; the last for all further ones.
    retry_delays: tuple[float, ...] = DEFAULT_RETRY_DELAYS
    #: Mean seconds from a free slot to the start of the next job in it: of a first attempt, and
    #: of a further one, before which it is found out whether the last one is really over.
    handover_s: float = 0.0
    handover_again_s: float = 0.0
