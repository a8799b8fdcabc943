"""Single faults at full length, with the lease settings that workers have by default."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.transport import connect
from tests.brokers import own_node

from .ours import GROUP, Ours
from .run import Outcome, Run
from .schedule import FaultKind, JobKind, Lease, PlannedFault, PlannedJob, Schedule
from .truth import read_executions

#: What workers have by default.
_DEFAULT = Lease(time=60.0, renew=20.0, grace=30.0)


class Scenario(msgspec.Struct, frozen=True):
    """A schedule made by hand."""

    about: str
    schedule: Schedule
    extra_config: str = ""
    #: How each job shall end.
    state: str = "succeeded"
    #: How often all jobs together shall be executed.
    executions: int = 0
    #: The sum of attempts that are counted beyond the first of each.
    attempts_counted: int = 0
    #: Done when all jobs have ended and workers still run; returns more for the report.
    afterwards: Callable[[Ours], dict[str, Any]] | None = None


def _long(*seconds: float) -> tuple[PlannedJob, ...]:
    return tuple(
        PlannedJob(number=number, kind=JobKind.LONG, at=0, seconds=one, priority="normal")
        for number, one in enumerate(seconds)
    )


def _schedule(
    jobs: tuple[PlannedJob, ...], workers: int, slots: int, *faults: PlannedFault
) -> Schedule:
    return Schedule(
        seed=0,
        workers=workers,
        slots=slots,
        nodes=1,
        lease=_DEFAULT,
        jobs=jobs,
        faults=faults,
        horizon=faults[-1].at + faults[-1].seconds if faults else 0.0,
    )


def _retry_changed(ours: Ours) -> dict[str, Any]:
    """Look at the dead letter; send the job back with another parameter and wait for it."""
    with connect(ours.broker, "scenario") as session:
        letter = session.get(topology.dead_queue(GROUP))
        headers = {} if letter is None else letter.message.headers
    history = json.loads(headers.get("aiq-history", "[]"))
    (job_id,) = ours.ids
    retried = ours.retry(job_id, {"kind": "short", "number": 1})
    return {
        "reason": headers.get("aiq-reason"),
        "history": history,
        "history_entries": len(history),
        "retried_state": retried.state.value,
        "retry_of_is_the_job": retried.retry_of == job_id,
    }


SCENARIOS = {
    "consumer-timeout": Scenario(
        "the broker takes back what is not acknowledged within 60 s; 10 runs of 4 minutes",
        _schedule(_long(*[240.0] * 10), 6, 2),
        extra_config="consumer_timeout = 60000",
        executions=10,
    ),
    "broker-away": Scenario(
        "the broker is killed and away for 3 minutes, with 4 long runs in flight; the first one "
        "ends meanwhile",
        _schedule(
            _long(150.0, 240.0, 255.0, 270.0),
            6,
            1,
            PlannedFault(at=30.0, kind=FaultKind.BROKER_AWAY, seconds=180.0),
        ),
        executions=4,
    ),
    "killer-job": Scenario(
        "a job that kills the worker that runs it, every time",
        _schedule(
            (PlannedJob(number=0, kind=JobKind.KILLER, at=0, seconds=0.5, priority="normal"),),
            3,
            2,
        ),
        state="dead",
        executions=3,
        attempts_counted=2,
        afterwards=_retry_changed,
    ),
}


def run(name: str, *, as_json: bool) -> int:
    """Run the scenario called ``name``; returns the exit code."""
    scenario = SCENARIOS[name]
    folder = Path(tempfile.mkdtemp(prefix=f"aiqueue-{name}-"))
    more: dict[str, Any] = {}

    def say(line: str) -> None:
        if not as_json:
            print(f"{name}: {line}", file=sys.stderr, flush=True)

    def afterwards(contender: Any) -> None:
        if scenario.afterwards is not None:
            more.update(scenario.afterwards(contender))

    say(scenario.about)
    began = time.monotonic()
    with own_node(folder / "broker", extra_config=scenario.extra_config) as node:
        outcome = Run(
            scenario.schedule,
            Ours,
            node.broker,
            node,
            folder / "run",
            say=say,
            patience=600.0,
            afterwards=afterwards,
        ).carry_out()
    found = _figures(scenario, outcome, folder / "run") | more
    found = {"scenario": name, **found, "seconds": round(time.monotonic() - began)}
    good = _good(scenario, found)
    if as_json:
        print(json.dumps(found))
    else:
        print("\n".join(f"{key:>20}  {value}" for key, value in found.items()))
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"{name} failed; what is left of it is in {folder}", file=sys.stderr)
    return 0 if good else 1


def _figures(scenario: Scenario, outcome: Outcome, folder: Path) -> dict[str, Any]:
    jobs = {job.number for job in scenario.schedule.jobs}
    runs = {n: e for n, e in read_executions(folder).items() if n in jobs}
    finals = {n: f for n, f in outcome.finals.items() if n in jobs}
    return {
        "jobs": len(jobs),
        "ended_as_expected": sum(f[0].state == scenario.state for f in finals.values()),
        "completed": sum(f[0].state == "succeeded" for f in finals.values()),
        "executions": sum(map(len, runs.values())),
        # Stricter than in a storm: however long the broker was away.
        "ran_twice": sum(max(0, len(e) - 1) for e in runs.values())
        if scenario.state == "succeeded"
        else outcome.counts.ran_twice,
        "attempts_counted": sum((f[0].attempt or 1) - 1 for f in finals.values()),
        "lost": outcome.counts.lost,
        "stuck": outcome.counts.stuck,
        "orphans": outcome.counts.orphans,
        "sentences": outcome.sentences,
        "troubles": outcome.troubles,
        "versions": outcome.settings,
    }


def _good(scenario: Scenario, found: dict[str, Any]) -> bool:
    afterwards = scenario.afterwards is None or (
        found["history_entries"] == scenario.executions
        and found["retried_state"] == "succeeded"
        and found["retry_of_is_the_job"]
    )
    return bool(
        found["ended_as_expected"] == found["jobs"]
        and found["executions"] == scenario.executions
        and found["attempts_counted"] == scenario.attempts_counted
        and not any(found[key] for key in ("ran_twice", "lost", "stuck", "orphans", "troubles"))
        and afterwards
    )
