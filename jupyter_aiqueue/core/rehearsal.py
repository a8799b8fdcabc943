"""A rehearsal: what would become of a job if it were submitted, without sending anything."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from .job import Job, JobRecord, State
from .load import GroupLoad, Load
from .text import ago, duration
from .topology import work_queue

if TYPE_CHECKING:
    from .collect.foresight import Foresight


class Rehearsal(msgspec.Struct, frozen=True, kw_only=True):
    """What is known before a job is sent; each list holds sentences for people."""

    job_id: str
    group: str
    queue: str
    #: What is expected of it; None when nobody collects.
    foresight: Foresight | None = None
    #: Jobs with the same task and config that have ended, newest first.
    done_before: list[JobRecord] = msgspec.field(default_factory=list)
    #: What keeps it from running.
    refusals: list[str] = msgspec.field(default_factory=list)
    #: What is otherwise here than where it would run.
    differences: list[str] = msgspec.field(default_factory=list)

    @property
    def sentences(self) -> list[str]:
        """Everything, for people."""
        said = ["Nothing was sent.", f"It would go to the queue {self.queue}."]
        if self.foresight is not None:
            said += self.foresight.sentences
        else:
            said.append("When it would start is unknown: no worker tells of the load.")
        said += [f"It would not run: {why}" for why in self.refusals]
        said += [before(record) for record in self.done_before[:3]]
        return [*said, *self.differences]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


def rehearse(
    job: Job,
    load: Load,
    records: Iterable[JobRecord],
    foresight: Foresight | None,
    *,
    environment: str,
) -> Rehearsal:
    """What would become of ``job``.

    Args:
        records: jobs that are known, newest first.
        environment: the name of the Python or conda environment here.
    """
    group = next((g for g in load.groups if g.name == job.group and g.queue is None), None)
    return Rehearsal(
        job_id=job.id,
        group=job.group,
        queue=work_queue(job.group, job.priority),
        foresight=foresight,
        done_before=[record for record in records if did(job, record)],
        refusals=_refusals(job, load, group),
        differences=_differences(group, environment),
    )


def did(job: Job, record: JobRecord) -> bool:
    """Whether ``record`` did what ``job`` would do, and came to an end of its own."""
    return (
        record.state in (State.SUCCEEDED, State.FAILED)
        and record.task == job.task
        and record.group == job.group
        and _essence(record.config) == _essence(job.config)
    )


def before(record: JobRecord) -> str:
    """That a job has been run before, and what came of it."""
    result = record.result
    facts = []
    if result is not None and result.duration_s is not None:
        facts.append(f"in {duration(result.duration_s)}")
    if record.metrics:
        metrics = ", ".join(f"{key} {value}" for key, value in list(record.metrics.items())[:4])
        facts.append(f"with {metrics}")
    if result is not None and result.git_commit:
        facts.append(f"at commit {result.git_commit[:12]}")
    if result is not None and result.environment:
        facts.append(f"in environment {result.environment}")
    where = f" It is recorded in {record.ledger}." if record.ledger else ""
    return (
        f"Job {record.job_id} did exactly this {ago(record.ended_at)} ago: it {record.state.value}"
        f"{' ' if facts else ''}{', '.join(facts)}.{where}"
    )


def _essence(config: dict[str, object]) -> dict[str, object]:
    return {key: value for key, value in config.items() if key != "task_id"}


def _refusals(job: Job, load: Load, group: GroupLoad | None) -> list[str]:
    if load.broker.state != "up":
        return [load.broker.message or "the broker is away."]
    if group is None:
        known = ", ".join(g.name for g in load.groups if g.queue is None)
        return [f"there is no group {job.group!r}; there are {known}."]
    tasks = {task for worker in group.worker_list for task in worker.tasks}
    if job.task is not None and group.worker_list and job.task not in tasks:
        known = ", ".join(sorted(tasks)) or "none"
        return [f"no worker of {job.group} has a task {job.task!r}; they have {known}."]
    return []


def _differences(group: GroupLoad | None, environment: str) -> list[str]:
    if group is None:
        return []
    said = []
    there = {worker.environment for worker in group.worker_list if worker.environment}
    if there and environment not in there:
        said.append(
            f"Here is the environment {environment}, on {platform.node()}; its workers are in "
            f"{', '.join(sorted(there))}."
        )
    return said
