"""A rehearsal: what would become of a job if it were submitted, without sending anything."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from .arguments import arguments
from .errors import InvalidJob
from .job import Job, JobRecord, State, now
from .ledger import end_line
from .load import GroupLoad, Load
from .text import Sentences, ago, duration, metrics_text
from .topology import work_queue
from .why import workers
from .why.held import Terms, terms
from .why.words import because, sentence

if TYPE_CHECKING:
    from .collect.foresight import Foresight
    from .hold import Hold

#: Jobs of before that are told of.
_MOST_TOLD = 3


class Surroundings(msgspec.Struct, frozen=True):
    """Where somebody rehearses."""

    #: Name of the Python or conda environment here.
    environment: str
    #: Commit of the notebook's folder; None outside git.
    commit: str | None = None


class Precedent(msgspec.Struct, frozen=True):
    """A job that did the same, and has ended."""

    record: JobRecord
    #: Line of its ledger that tells of its end.
    line: int | None = None
    #: Whether it ran at the commit that is here, and in an environment that a worker has now;
    #: None: not known.
    same_commit: bool | None = None
    same_environment: bool | None = None

    def __str__(self) -> str:
        return before(self.record, self.line, _compared(self))


class Rehearsal(Sentences, msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a job is sent; each list of texts holds sentences for people."""

    job_id: str
    group: str
    queue: str
    #: What it would wait for before it is put in line.
    terms: Terms | None = None
    #: What is expected of it; None when nobody collects.
    foresight: Foresight | None = None
    #: Jobs with the same task and config that have ended, newest first.
    done_before: list[Precedent] = msgspec.field(default_factory=list)
    #: Ids of those that have not.
    under_way: list[str] = msgspec.field(default_factory=list)
    #: What keeps it from running.
    refusals: list[str] = msgspec.field(default_factory=list)
    #: What may keep it from running, or make it wait.
    warnings: list[str] = msgspec.field(default_factory=list)
    #: What is otherwise here than where it would run.
    differences: list[str] = msgspec.field(default_factory=list)

    @property
    def is_repeated(self) -> bool:
        """Whether it has succeeded before, so that it has to be submitted again on purpose."""
        return any(one.record.state is State.SUCCEEDED for one in self.done_before)

    @property
    def sentences(self) -> list[str]:
        """Everything, for people who type commands."""
        repeated = ["`--again` submits it once more."] if self.is_repeated else []
        return [*self.outlook, *repeated, *self.differences]

    @property
    def outlook(self) -> list[str]:
        """What would become of it, and what became of the same before, wherever one asks."""
        said = ["Nothing was sent."]
        said += [f"It would not run: {why}" for why in self.refusals]
        said += [*self.warnings, f"It would go to the queue {self.queue}."]
        if self.terms is not None:
            held = "; ".join(self.terms.clauses(now()))
            said.append(f"It would be held first: {held}. {self._as_of()}")
        if self.foresight is not None:
            # What would be refused does not start, whatever the line.
            said += self.foresight.sentences[: 1 if self.refusals else None]
        elif not self.refusals:
            said.append("When it would start is unknown: no worker tells of the load.")
        said += [str(one) for one in self.done_before[:_MOST_TOLD]]
        if len(self.done_before) > _MOST_TOLD:
            more = len(self.done_before) - _MOST_TOLD
            said.append(f"{more} earlier {'job' if more == 1 else 'jobs'} did it, too.")
        return said + [f"Job {job_id} is to do exactly this, too." for job_id in self.under_way]

    def _as_of(self) -> str:
        """That what waits was counted for the terms now, and for the forecast a little earlier."""
        rest = "The rest is as if it were in line"
        if self.foresight is None or self.foresight.at is None:
            return f"{rest} now."
        return f"{rest}, as counted {ago(self.foresight.at)} ago."

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def rehearse(
    job: Job,
    load: Load,
    records: Iterable[JobRecord],
    foresight: Foresight | None,
    *,
    here: Surroundings,
    hold: Hold | None = None,
) -> Rehearsal:
    """What would become of ``job``.

    Args:
        records: jobs that are known, newest first.
        hold: what it would wait for.
    """
    group = next((g for g in load.groups if g.name == job.group and g.queue is None), None)
    there = _environments(group, job.task)
    alike = [record for record in records if same(job, record)]
    return Rehearsal(
        job_id=job.id,
        group=job.group,
        queue=work_queue(job.group, job.priority),
        terms=None if hold is None else terms(hold, group),
        foresight=foresight,
        done_before=[_precedent(record, here, there) for record in alike if did(job, record)],
        under_way=[record.job_id for record in alike if not record.state.is_final],
        refusals=[sentence(why) for why in why_not(job, load, group)],
        warnings=[] if group is None or load.broker.state != "up" else _warnings(job, group),
        differences=_differences(group, here, there),
    )


def same(job: Job, record: JobRecord) -> bool:
    """Whether ``record`` is of a job with the same task, group and config.

    Numbers are compared by value (1 is 1.0), and neither truth nor text is a number.
    """
    return (
        record.task == job.task
        and record.group == job.group
        and _equal(_essence(record.config), _essence(job.config))
    )


def did(job: Job, record: JobRecord) -> bool:
    """Whether ``record`` did what ``job`` would do, and came to an end of its own."""
    ends = (State.SUCCEEDED, State.FAILED, State.DEAD)
    return record.state in ends and same(job, record)


def before(record: JobRecord, line: int | None = None, compared: tuple[str, str] = ("", "")) -> str:
    """That a job has been run before, and what came of it.

    Args:
        line: of its ledger, that tells of its end.
        compared: what to say behind its commit and behind its environment.
    """
    result = record.result
    facts = []
    if result is not None and result.duration_s is not None:
        facts.append(f"in {duration(result.duration_s)}")
    if record.metrics:
        shown = msgspec.structs.replace(record, metrics=dict([*record.metrics.items()][:4]))
        facts.append(f"with {metrics_text(shown)}")
    if result is not None and result.git_commit:
        commit, _, dirty = result.git_commit.partition("-")
        changed = " with changes" if dirty else ""
        facts.append(f"at commit {commit[:12]}{changed}{compared[0]}")
    if result is not None and result.environment:
        facts.append(f"in environment {result.environment}{compared[1]}")
    verb = "died" if record.state is State.DEAD else record.state.value
    why = because(record.reason) if record.state is not State.SUCCEEDED else ""
    where = ""
    if record.ledger:
        where = f" It is recorded in {record.ledger}" + (f", line {line}." if line else ".")
    return (
        f"Job {record.job_id} did exactly this {ago(record.ended_at)} ago: it {verb}"
        f"{' ' if facts else ''}{', '.join(facts)}{why}.{where}"
    )


def why_not(job: Job, load: Load, group: GroupLoad | None) -> list[str]:
    """Why ``job`` would not run: it would be refused. Clauses, for people."""
    broker = load.broker
    if broker.state != "up":
        return [broker.message or "the broker is away"]
    if broker.alarms not in (None, "none"):
        return [f"the broker takes no messages now: {broker.alarms}"]
    if group is None:
        known = ", ".join(g.name for g in load.groups if g.queue is None)
        missing = f"there is no group {job.group!r}; there are {known}"
        return [missing if known else " ".join(load.notes) or f"there is no group {job.group!r}"]
    said = []
    alive = workers.alive(group)
    if job.task is not None and alive and not workers.has(alive, job.task):
        known = ", ".join(sorted({task for worker in alive for task in worker.tasks}))
        said.append(f"no worker of {job.group} has a task {job.task!r}; they have {known}")
    try:
        arguments(job.config, {})
    except InvalidJob as error:
        said.append(f"{str(error).rstrip('.')}; unless the task's `flags` leave it out")
    return said


def _precedent(record: JobRecord, here: Surroundings, there: set[str]) -> Precedent:
    result = record.result
    commit = None if result is None else result.git_commit
    environment = None if result is None else result.environment
    return Precedent(
        record,
        line=None if record.ledger is None else end_line(Path(record.ledger), record.job_id),
        same_commit=None if None in (commit, here.commit) else commit == here.commit,
        same_environment=None if not there or environment is None else environment in there,
    )


def _compared(precedent: Precedent) -> tuple[str, str]:
    texts = {None: "", True: " (as here)", False: " (another one than here)"}
    there = {None: "", True: " (as the workers)", False: " (another one than the workers)"}
    return texts[precedent.same_commit], there[precedent.same_environment]


def _essence(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != "task_id"}


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)


def _warnings(job: Job, group: GroupLoad) -> list[str]:
    alive = workers.alive(group)
    if not alive and group.workers.value is not None:
        start = f"`jupyter aiqueue worker --group {job.group}`"
        return [f"No worker serves {job.group} now: it would wait until one does ({start})."]
    lacking = [w.worker for w in alive if not workers.has([w], job.task or "")]
    if job.task is None or len(lacking) in (0, len(alive)):
        return []
    taken, lacks = f"{' or '.join(lacking)} takes it", f"has no task {job.task!r}"
    return [f"It would not run if {taken}, which {lacks} and refuses it."]


def _environments(group: GroupLoad | None, task: str | None) -> set[str]:
    """Where the task would run."""
    if group is None:
        return set()
    alive = workers.alive(group)
    return {name for worker in alive if (name := worker.environment_of(task)) is not None}


def _differences(group: GroupLoad | None, here: Surroundings, there: set[str]) -> list[str]:
    if group is None or not there or here.environment in there:
        return []
    names = ", ".join(sorted(there))
    where = f"the environment {here.environment}, on {platform.node()}"
    return [f"Here is {where}; its workers are in {names}."]
