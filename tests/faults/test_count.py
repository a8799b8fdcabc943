"""The judge of the fault suite: every counter can be other than 0, and is 0 when all is well."""

from __future__ import annotations

import pytest

from benchmarks.fault_suite.count import Counts, Final, Findings, count
from benchmarks.fault_suite.record import Life, Outage, Record
from benchmarks.fault_suite.schedule import JobKind, Lease, PlannedJob, make_schedule
from benchmarks.fault_suite.truth import Execution

LEASE = Lease(time=4, renew=1, grace=12)


def planned(kind: JobKind = JobKind.LONG, max_attempts: int = 3) -> PlannedJob:
    return PlannedJob(
        number=1, kind=kind, at=0, seconds=5, priority="normal", max_attempts=max_attempts
    )


def run(
    attempt: int,
    worker: str,
    began: float,
    ended: float | None,
    how: str | None,
    *,
    overlap: bool = False,
) -> Execution:
    return Execution(
        number=1,
        job_id="j",
        attempt=attempt,
        worker=worker,
        pid=attempt,
        began=began,
        ended=ended,
        how=how,
        overlap=overlap,
    )


def life(worker: int, began: float, ended: float | None = None) -> Life:
    return Life(worker=worker, incarnation=0, pid=100 + worker, began=began, ended=ended)


DONE = run(1, "w0.0", 10, 15, "done")
SUCCEEDED = Final(state="succeeded", attempt=1)


def judge(
    *runs: Execution,
    job: PlannedJob | None = None,
    finals: tuple[Final, ...] = (SUCCEEDED,),
    left: bool = False,
    letter: bool = False,
    orphans: int = 0,
    lives: tuple[Life, ...] = (life(0, 0), life(1, 0)),
    outages: tuple[Outage, ...] = (),
    killed: tuple[int, ...] = (),
) -> Counts:
    record = Record()
    record.lives += lives
    record.outages += outages
    record.killed_children = dict.fromkeys(killed, 1000000000.0)
    findings = Findings(
        jobs={1: job or planned()},
        finals={1: list(finals)} if finals else {},
        left={1} if left else set(),
        letters={1} if letter else set(),
        executions={1: list(runs)} if runs else {},
        orphans=orphans,
    )
    counts, sentences = count(findings, record, LEASE)
    assert counts.clean == (not sentences)
    return counts


def test_a_job_that_ran_once_and_succeeded_is_all_right() -> None:
    assert judge(DONE) == Counts(jobs=1)


@pytest.mark.parametrize(
    ("counter", "found"),
    [
        ("lost", {"finals": ()}),
        ("stuck", {"finals": (), "left": True}),
        ("unsettled", {"left": True}),
        ("completed_twice", {"finals": (SUCCEEDED, SUCCEEDED)}),
        ("orphans", {"orphans": 1}),
        ("wrong_state", {"finals": (Final(state="dead", attempt=3),), "letter": True}),
    ],
)
def test_what_is_not_as_it_should_be_is_counted(counter: str, found: dict[str, object]) -> None:
    counts = judge(DONE, **found)
    assert getattr(counts, counter) == 1
    assert not counts.clean


def test_success_without_an_execution_that_succeeded_is_a_wrong_state() -> None:
    assert judge(run(1, "w0.0", 10, 15, "fail")).wrong_state == 1


# -- ran twice ---------------------------------------------------------------------------

BESIDE = run(2, "w1.0", 12, 17, "done", overlap=True)


def test_beside_itself_is_twice() -> None:
    assert judge(DONE, BESIDE).ran_twice == 1


def test_beside_the_child_of_a_killed_worker_is_twice_too() -> None:
    orphan = run(1, "w0.0", 10, None, None)
    counts = judge(orphan, BESIDE, lives=(life(0, 0, ended=11), life(1, 0)))
    assert counts.ran_twice == 1


@pytest.mark.parametrize(("seconds", "twice"), [(15, 1), (17, 0)])
def test_beside_itself_is_excused_by_a_longer_silence_than_lease_and_grace(
    seconds: float, twice: int
) -> None:
    first = run(1, "w0.0", 10, 60, "done")
    second = run(2, "w1.0", 40, 45, "done", overlap=True)
    cut = Outage(began=20, ended=20 + seconds, worker=0)
    assert judge(first, second, outages=(cut,)).ran_twice == twice


def test_two_outages_that_touch_are_one() -> None:
    record = Record()
    record.outages += [
        Outage(began=20, ended=30, worker=0),
        Outage(began=28, ended=40),
        Outage(began=22, ended=24),
        Outage(began=30, ended=90, worker=1),
    ]
    assert record.longest_outage(0, 0, 100) == 20
    assert record.longest_reach(0, 0, 100) == 60
    assert record.longest_reach(0, 35, 45) == 5


AGAIN = run(2, "w1.0", 40, 45, "done")


@pytest.mark.parametrize("how", ["fail", "crash", "murder"])
def test_after_a_failure_the_next_attempt_is_no_second_run(how: str) -> None:
    assert judge(run(1, "w0.0", 10, 15, how), AGAIN).ran_twice == 0


def test_again_after_success_is_twice() -> None:
    assert judge(DONE, AGAIN).ran_twice == 1


@pytest.mark.parametrize(("died", "twice"), [(16.0, 0), (30.0, 1)])
def test_again_after_success_is_excused_by_a_death_before_it_was_told(
    died: float, twice: int
) -> None:
    assert judge(DONE, AGAIN, lives=(life(0, 0, ended=died), life(1, 0))).ran_twice == twice


def test_again_after_a_death_out_of_touch_is_no_second_run() -> None:
    counts = judge(
        DONE,
        AGAIN,
        lives=(life(0, 0, ended=30), life(1, 0)),
        outages=(Outage(began=14, ended=29),),
    )
    assert counts.ran_twice == 0


KILLED = run(1, "w0.0", 10, None, None)


def test_stopped_and_run_again_without_need_is_twice() -> None:
    assert judge(KILLED, AGAIN).ran_twice == 1


def test_again_after_its_process_was_killed_is_no_second_run() -> None:
    assert judge(KILLED, AGAIN, killed=(1,)).ran_twice == 0


def test_again_after_it_was_killed_between_its_last_line_and_its_exit_is_no_second_run() -> None:
    again = run(2, "w0.0", 20, 25, "done")
    assert judge(DONE, again, killed=(1,)).ran_twice == 0
    assert judge(DONE, again, killed=(2,)).ran_twice == 1


def test_again_after_its_worker_was_killed_is_no_second_run() -> None:
    assert judge(KILLED, AGAIN, lives=(life(0, 0, ended=20), life(1, 0))).ran_twice == 0


# -- attempts ----------------------------------------------------------------------------


def crashes(number: int) -> list[Execution]:
    return [run(a, "w0.0", 20.0 * a, 20.0 * a + 1, "crash") for a in range(1, number + 1)]


DEAD = {"finals": (Final(state="dead", attempt=3),), "letter": True}


def test_a_job_that_crashes_is_dead_after_its_attempts() -> None:
    assert judge(*crashes(3), job=planned(JobKind.CRASHING), **DEAD) == Counts(jobs=1)


def test_one_execution_more_is_over_budget() -> None:
    assert judge(*crashes(4), job=planned(JobKind.CRASHING), **DEAD).over_budget == 1


def test_given_up_too_early_is_a_wrong_state() -> None:
    early = {"finals": (Final(state="dead", attempt=2),), "letter": True}
    assert judge(*crashes(2), job=planned(JobKind.CRASHING), **early).wrong_state == 1


def test_what_was_given_back_is_no_attempt() -> None:
    given_back = run(1, "w0.0", 5, 6, "term")
    drained = life(0, 0, ended=7)
    drained.drained = 5.5
    counts = judge(
        given_back,
        *[run(a, "w1.0", 20.0 * a, 20.0 * a + 1, "crash") for a in (1, 2, 3)],
        job=planned(JobKind.CRASHING),
        lives=(drained, life(1, 0)),
        **DEAD,
    )
    assert counts == Counts(jobs=1)


def test_a_good_job_may_be_dead_if_faults_took_every_attempt() -> None:
    runs = [run(a, f"w{a}.0", 20.0 * a, None, None) for a in (1, 2, 3)]
    lives = tuple(life(a, 0, ended=20.0 * a + 5) for a in (1, 2, 3))
    assert judge(*runs, lives=lives, **DEAD) == Counts(jobs=1)
    assert judge(*runs, lives=(*lives[:2], life(3, 0)), **DEAD).wrong_state == 1


def test_dead_without_a_dead_letter_is_lost() -> None:
    counts = judge(*crashes(3), job=planned(JobKind.CRASHING), **{**DEAD, "letter": False})
    assert counts.lost == 1


# -- the schedule ------------------------------------------------------------------------


def test_a_schedule_depends_on_its_seed_and_on_nothing_else() -> None:
    assert make_schedule(7, jobs=50, workers=3) == make_schedule(7, jobs=50, workers=3)
    assert make_schedule(7, jobs=50, workers=3) != make_schedule(8, jobs=50, workers=3)
    assert {job.kind for job in make_schedule(1, jobs=12, workers=2).jobs} == set(JobKind)
