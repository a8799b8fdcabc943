"""Counting what came of a run: exact, from what jobs witnessed, what was recorded, what is left."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .record import Life, Record
from .schedule import JobKind, Lease, PlannedJob
from .truth import Execution

#: Seconds in touch with the broker in which a worker must have told of an end.
_TELL = 3.0


class Final(msgspec.Struct, frozen=True, kw_only=True):
    """How a job is recorded to have ended."""

    state: str
    #: The number of its last attempt, where it is known.
    attempt: int | None = None


class Findings(msgspec.Struct, kw_only=True):
    """What is known after a run.

    ``jobs``: what was submitted, by number. ``finals``: every recorded end of each.
    ``left``: numbers of jobs of which a message is still in a queue that jobs wait in.
    ``letters``: numbers of jobs with a dead letter; None where there are none to be had.
    """

    jobs: dict[int, PlannedJob]
    finals: dict[int, list[Final]]
    left: set[int]
    letters: set[int] | None
    executions: dict[int, list[Execution]]
    orphans: int


class Counts(msgspec.Struct, kw_only=True):
    """The result: integers, all but ``jobs`` should be 0."""

    jobs: int = 0
    #: Neither ended nor in any queue; or dead without a dead letter.
    lost: int = 0
    #: More than one end in the ledger.
    completed_twice: int = 0
    #: Executed again although the worker of the execution before lived and could speak.
    ran_twice: int = 0
    wrong_state: int = 0
    #: Executed more often than it has attempts.
    over_budget: int = 0
    #: Not ended, but still in a queue.
    stuck: int = 0
    #: Ended, and still in a queue that jobs are taken from.
    unsettled: int = 0
    #: Processes left after every worker was stopped.
    orphans: int = 0

    @property
    def clean(self) -> bool:
        """Whether everything that should be 0 is."""
        return not any(getattr(self, name) for name in self.__struct_fields__ if name != "jobs")


def count(findings: Findings, record: Record, lease: Lease) -> tuple[Counts, list[str]]:
    """Count; also a sentence for everything that is not as it should be."""
    judge = _Judge(findings, record, lease)
    for number in sorted(findings.jobs):
        judge.job(number)
    if findings.orphans:
        judge.say("orphans", f"{findings.orphans} processes are left", findings.orphans)
    judge.counts.jobs = len(findings.jobs)
    return judge.counts, judge.sentences


class _Judge:
    def __init__(self, findings: Findings, record: Record, lease: Lease) -> None:
        self.counts = Counts()
        self.sentences: list[str] = []
        self._findings, self._record, self._lease = findings, record, lease

    def say(self, counter: str, sentence: str, times: int = 1) -> None:
        setattr(self.counts, counter, getattr(self.counts, counter) + times)
        self.sentences.append(f"{counter}: {sentence}")

    def job(self, number: int) -> None:
        job = self._findings.jobs[number]
        runs = self._findings.executions.get(number, [])
        finals = self._findings.finals.get(number, [])
        name = f"job {number} ({job.kind.value})"
        if len(finals) > 1:
            self.say("completed_twice", f"{name} has {len(finals)} ends")
        self._runs(name, job, runs)
        if not finals:
            if number in self._findings.left:
                self.say("stuck", f"{name} has not ended and is in a queue; {_story(runs)}")
            else:
                self.say("lost", f"{name} has not ended and is in no queue; {_story(runs)}")
            return
        if number in self._findings.left:
            self.say("unsettled", f"{name} has ended and is still in a queue")
        why = self._wrong(job, finals[0], runs)
        if why is not None:
            self.say("wrong_state", f"{name} is {finals[0].state}: {why}; {_story(runs)}")
        letters = self._findings.letters
        if finals[0].state == "dead" and letters is not None and number not in letters:
            self.say("lost", f"{name} is dead and has no dead letter")

    def _runs(self, name: str, job: PlannedJob, runs: list[Execution]) -> None:
        for place, run in enumerate(runs):
            before = runs[:place]
            if run.overlap:
                # Whose life it overlapped, the lock does not say: everyone's who had not ended.
                others = [r for r in before if r.ended is None or r.ended > run.began]
                if not any(self._cut_off(other, run.began) for other in others or before):
                    self.say("ran_twice", f"{name} ran beside itself; {_story(runs)}")
            elif before and not self._may_follow(before[-1], run):
                self.say("ran_twice", f"{name} ran again without need; {_story(runs)}")
        counted = [run for run in runs if not self._given_back(run)]
        if len(counted) > job.max_attempts or any(r.attempt > job.max_attempts for r in runs):
            self.say(
                "over_budget",
                f"{name} was executed {len(counted)} times for {job.max_attempts} attempts; "
                f"{_story(runs)}",
            )

    def _may_follow(self, first: Execution, second: Execution) -> bool:
        if first.how in ("fail", "crash", "murder"):
            return True
        if self._cut_off(first, second.began):
            return True
        if self._child_killed(first):
            return True
        life = self._record.life(first.worker)
        if life is None:
            return False
        if first.how == "done":
            return self._died_untold(life, first, second.began)
        return _over(life, second.began) or self._given_back(first)

    def _died_untold(self, life: Life, run: Execution, until: float) -> bool:
        """Whether its worker died before it can have told of the end of ``run``."""
        if run.ended is None or not _over(life, until):
            return False
        assert life.ended is not None
        reach = self._record.longest_reach(life.worker, run.ended, life.ended)
        return life.ended <= run.ended or reach < _TELL

    def _child_killed(self, run: Execution) -> bool:
        """Whether its process was killed by the suite, be it between its last line and its exit."""
        killed = self._record.killed_children.get(run.pid)
        if killed is None or killed <= run.began:
            return False
        return run.how is None or (run.ended is not None and killed >= run.ended)

    def _cut_off(self, run: Execution, until: float) -> bool:
        """Whether the worker of ``run`` could not speak for longer than it has to be heard."""
        life = self._record.life(run.worker)
        if life is None:
            return False
        longest = self._record.longest_outage(life.worker, run.began, until)
        return longest > self._lease.time + self._lease.grace

    def _given_back(self, run: Execution) -> bool:
        """Whether its worker was told to stop while it ran, and ended it."""
        life = self._record.life(run.worker)
        if life is None or life.drained is None or run.how not in ("term", None):
            return False
        return run.began < (life.ended or float("inf")) and (
            run.ended is None or run.ended > life.drained
        )

    def _wrong(self, job: PlannedJob, final: Final, runs: list[Execution]) -> str | None:
        """Why this is not how it should have ended, or None."""
        done = [run for run in runs if run.how == "done"]
        if final.state == "succeeded":
            return None if done else "no execution of it succeeded"
        if final.state not in ("dead", "failed") or (
            final.state == "failed" and job.max_attempts > 1
        ):
            return "that is none of its states"
        used = final.attempt if final.attempt is not None else len(runs)
        if used < job.max_attempts:
            return f"it has used {used} of {job.max_attempts} attempts"
        for run in done:
            life = self._record.life(run.worker)
            if life is None or not self._died_untold(life, run, float("inf")):
                return "an execution of it succeeded"
        if job.kind in (JobKind.SHORT, JobKind.LONG, JobKind.FLAKY):
            # It may be, but only if every single attempt was brought down by a fault.
            for run in runs:
                life = self._record.life(run.worker)
                fell = (
                    run.how == "fail"
                    or self._child_killed(run)
                    or (life is not None and life.ended is not None)
                )
                if not fell:
                    return "nothing brought its attempts down"
        return None


def _over(life: Life, moment: float) -> bool:
    return life.ended is not None and life.ended <= moment


def _story(runs: Iterable[Execution]) -> str:
    """Executions for people."""
    return ", then ".join(
        f"attempt {r.attempt} on {r.worker} {r.began:.2f}-"
        f"{'?' if r.ended is None else format(r.ended, '.2f')} {r.how or 'killed'}"
        + (" (overlaps)" if r.overlap else "")
        for r in runs
    )
