"""The explanation of one job, from what is known of it, of the load, and of its future."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ..collect.foresight import Foresight, Remaining
from ..collect.snapshot import BatchPlace
from ..job import JobRecord, Priority, State, now
from ..load import BrokerLoad, GroupLoad, Load
from ..text import Sentences, clock, duration
from . import held, runs, workers
from .words import because, sentence


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known beside the record of a job."""

    load: Load | None = None
    #: What is expected of it, if somebody knows.
    foresight: Foresight | None = None
    #: When it ends, if it runs and somebody knows.
    remaining: Remaining | None = None
    #: Its place among the held ones of its batch.
    batch: BatchPlace | None = None
    #: Whether some worker collects the load (and releases held jobs); None: nobody was asked.
    collected: bool | None = None
    #: Environments in which jobs of the same task and group have succeeded.
    succeeded_in: frozenset[str] = frozenset()
    #: The environment of whoever asks.
    here: str | None = None
    #: The account of whoever asks.
    account: str | None = None
    #: Whether it is a job of whoever asks.
    own: bool = True


class Why(Sentences, msgspec.Struct, frozen=True, kw_only=True):
    """Why a job is where it is."""

    job_id: str
    state: State
    #: The reason, complete in itself.
    sentence: str
    #: What else is known, a sentence each.
    details: list[str]
    #: Jobs before it in line, by priority; None: not known. Without `exact`, of its own priority
    #: at most so many.
    ahead: dict[str, int] | None = None
    exact: bool = False
    foresight: Foresight | None = None
    remaining: Remaining | None = None
    #: What a held job waits for.
    terms: held.Terms | None = None
    group: GroupLoad | None = None
    broker: BrokerLoad | None = None

    @property
    def sentences(self) -> list[str]:
        """The reason first."""
        return [self.sentence, *self.details]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def explain(record: JobRecord, known: Known | None = None, at: datetime | None = None) -> Why:
    """Why ``record`` is in its state.

    Args:
        known: what there is beside the record; a job that has ended needs nothing.
        at: the time now.
    """
    return _Case(record, known or Known(), at or now()).why()


class _Case:
    """One job at one moment."""

    def __init__(self, record: JobRecord, known: Known, at: datetime) -> None:
        self.record, self.known, self.at = record, known, at
        load = known.load
        self.broker = None if load is None else load.broker
        self.group = next(
            (g for g in (load.groups if load else ()) if (g.name, g.queue) == (record.group, None)),
            None,
        )
        self.ahead: dict[str, int] | None = None
        self.terms: held.Terms | None = None

    def why(self) -> Why:
        parts, details = self._parts()
        return Why(
            job_id=self.record.job_id,
            state=self.record.state,
            sentence=sentence("; ".join(parts)),
            details=[self._head(), *details],
            ahead=self.ahead,
            exact=self.known.foresight is not None,
            foresight=self.known.foresight,
            remaining=self.known.remaining,
            terms=self.terms,
            group=self.group,
            broker=self.broker,
        )

    def _parts(self) -> tuple[list[str], list[str]]:
        """The reason in parts, and details in sentences."""
        record, broker = self.record, self.broker
        if record.state.is_final:
            parts, details = runs.ended(record, self.at)
            return [*parts, *self._environment(None)], details
        state = f"is {record.state.value} since {self._clock(record.updated_at)}"
        if broker is None:
            return [*self._alone(state), "how busy the system is, is unknown"], []
        if broker.alarms not in (None, "none"):
            alarm = (
                f"the broker takes no messages now ({(broker.alarms or '').rstrip('.')}): no job "
                "starts, and nothing is told of those that run, until its operator has freed "
                "memory or disk"
            )
            return [alarm], [f"The job was {record.state.value} at last."]
        if broker.state != "up":
            why = (broker.message or "it cannot be asked").rstrip(".")
            return [f"the broker is away ({why}), and the job was {record.state.value} at last"], []
        if record.state is State.RUNNING:
            return runs.running(record, self.group, self.at, self.known.remaining)
        if record.cancelling:
            return [
                "its cancel is sent: whoever has it in hand drops it, and it does not start"
            ], []
        if self.group is None:
            return [f"the broker has no group {record.group!r} now: nobody can take it"], []
        if record.state is State.HELD:
            return self._held(self.group)
        if record.state is State.RETRYING and self._pauses():
            return self._pausing(self.group)
        return self._queued(self.group)

    def _alone(self, state: str) -> list[str]:
        """What its record tells without anything beside it."""
        if self.record.state is State.RETRYING and self._pauses():
            return self._pause()
        if self.record.state is State.HELD and self.record.hold:
            return [f"it waits for {self.record.hold}"]
        return [f"it {state}"]

    def _head(self) -> str:
        record = self.record
        name = record.name or record.task or "Job"
        where = f" in {record.group}" if record.group else ""
        if record.priority is not None:
            where += f" at {record.priority.value}"
        return (
            f"{name} {record.job_id}: {record.state.value}{where}, submitted at "
            f"{self._clock(record.submitted_at)}."
        )

    # -- in line -------------------------------------------------------------------------

    def _queued(self, group: GroupLoad) -> tuple[list[str], list[str]]:
        record = self.record
        parts: list[str] = []
        details: list[str] = []
        if record.state is State.RETRYING:
            parts.append(f"{self._failed()}, and attempt {record.attempt + 1} is in line")
        elif record.attempt:
            given = f"it was given back after attempt {record.attempt} began"
            details.append(sentence(given + because(record.reason)))
        parts += [self._line(group), *workers.clauses(group, record.task, self.at)]
        parts += self._environment(group)
        details += self._future() + self._help(group)
        for worker in workers.alive(group):
            details += workers.doing(worker, self.at, self.known.account)
        return parts, details + workers.idle(group) + self._notebook(group)

    def _line(self, group: GroupLoad) -> str:
        """Who is ahead. The broker does not tell the place of one message in a queue."""
        own, foresight = self.record.priority or Priority.NORMAL, self.known.foresight
        counts: dict[str, int] = {}
        for priority in Priority:
            measured = group.waiting_by_priority.get(priority.value)
            if measured is None or measured.value is None:
                return "how many are ahead of it is unknown"
            counts[priority.value] = int(measured.value)
            if priority is own:
                break
        if foresight is not None:
            counts[own.value] = foresight.ahead
        elif not counts[own.value]:
            return f"no job waits at {own.value} any more: it has just been taken"
        else:
            counts[own.value] -= 1
        self.ahead = counts
        whom = "you" if self.known.own else "it"
        parts: list[str] = []
        for level, count in counts.items():
            if count:
                at_most = "at most " if level == own.value and foresight is None else ""
                of_whom = f" ahead of {whom}" if not parts else ""
                parts.append(f"{at_most}{count}{of_whom} at {level}")
        return " and ".join(parts) if parts else f"nobody is ahead of {whom}"

    def _future(self) -> list[str]:
        if self.known.foresight is not None:
            return self.known.foresight.sentences[1:]
        if self.known.collected is False:
            return ["When it starts is unknown: no worker collects the load now."]
        return []

    def _help(self, group: GroupLoad) -> list[str]:
        if group.workers.value is None or workers.alive(group):
            return []
        return [f"`jupyter aiqueue worker --group {group.name}` starts a worker."]

    # -- between attempts, and held ------------------------------------------------------

    def _pauses(self) -> bool:
        due = self.record.next_attempt_at
        return due is None or due > self.at

    def _pausing(self, group: GroupLoad) -> tuple[list[str], list[str]]:
        record, parts = self.record, self._pause()
        if not workers.alive(group) and group.workers.value is not None:
            parts += workers.clauses(group, record.task, self.at)
        return parts + self._environment(group), [
            *self._help(group),
            f"`%job_log {record.job_id}` shows its output.",
        ]

    def _pause(self) -> list[str]:
        due = self.record.next_attempt_at
        when = "" if due is None else f" at {self._clock(due)}"
        left = "" if due is None else f" (in {duration((due - self.at).total_seconds())})"
        return [
            self._failed(),
            f"attempt {self.record.attempt + 1} joins the line{when}{left}",
        ]

    def _failed(self) -> str:
        record = self.record
        worker = f" on {record.worker}" if record.worker else ""
        return (
            f"attempt {record.attempt} of {record.max_attempts} failed at "
            f"{self._clock(record.updated_at)}{worker}{because(record.reason)}"
        )

    def _held(self, group: GroupLoad) -> tuple[list[str], list[str]]:
        record = self.record
        since = record.submitted_at or self.at
        parts = ["it is held"]
        if record.hold:
            self.terms = held.read_terms(record.hold, since, group, self.known.batch)
            first, *rest = self.terms.clauses(self.at)
            parts = [first if first.startswith("at ") else f"it {first}", *rest]
        if self.known.collected is False:
            parts.append("no worker is connected, and so nobody releases it")
        ways = f"`%job_release {record.job_id}` or `jupyter aiqueue release {record.job_id}`"
        return parts, [f"{ways} puts it in line now.", *self._help(group)]

    # -- environments --------------------------------------------------------------------

    def _environment(self, group: GroupLoad | None) -> list[str]:
        """That it runs, or ran, where its task has never succeeded though it has elsewhere."""
        record, good = self.record, self.known.succeeded_in
        task = record.task or "the task"
        used = record.result.environment if record.result is not None else None
        tried = record.state in (State.RETRYING, State.FAILED, State.DEAD)
        if used is not None and tried:
            if good and used not in good:
                where = ", ".join(sorted(good))
                return [
                    f"it ran in the environment {used}, and {task} has succeeded in {where} only"
                ]
            return []
        other = None if group is None else workers.elsewhere(group, record.task, good)
        if other is None:
            return []
        where = f"its workers are in the environment {other[0]}"
        return [f"{where}, and {task} has succeeded in {other[1]} only"]

    def _notebook(self, group: GroupLoad) -> list[str]:
        """That whoever asks is in another environment: often meant so."""
        here, task = self.known.here, self.record.task
        there = {worker.environment_of(task) for worker in workers.alive(group)} - {None}
        if not self.known.own or here is None or not there or here in there:
            return []
        names = ", ".join(sorted(filter(None, there)))
        return [f"Here is the environment {here}; the workers of {group.name} are in {names}."]

    def _clock(self, moment: datetime | None) -> str:
        return clock(moment, self.at)
