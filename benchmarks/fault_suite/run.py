"""One run: everything set up, the schedule carried out, the dust settled, the result counted."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec
import psutil

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AIQueueError

from .contender import UNKNOWN, Contender, NotSubmitted
from .count import Counts, Final, Findings, count
from .faults import Brokers, Injector
from .proxy import Proxy
from .record import Happening, Record
from .schedule import PlannedJob, Schedule
from .truth import read_executions
from .workers import MARK, Crew, marked

#: Seconds after the last fault within which messages of ended jobs have to be gone.
_CLEAR = 60.0

#: Seconds that processes get to be gone after the last worker has ended.
_ORPHANS = 10.0

#: A job that may not have been submitted is submitted again under its number plus this.
_AGAIN = 100_000


class Outcome(msgspec.Struct, kw_only=True):
    """What came of a run."""

    contender: str
    seed: int
    counts: Counts
    #: Everything that is not as it should be, a sentence each.
    sentences: list[str]
    #: What went wrong with the suite itself, a sentence each.
    troubles: list[str]
    finals: dict[int, list[Final]]
    #: Queues that the broker has lost: they are there and never answer again.
    broken: list[str]
    faults: list[Happening]
    settings: dict[str, str]
    #: How many jobs were submitted again, because it was not sure that they had been.
    submitted_again: int
    executions: int
    #: Jobs that lost all their attempts to faults, though there was nothing wrong with them.
    worn_out: int
    #: Seconds from the first job to the end of the last.
    seconds: float


class Run:
    """Carries out a schedule on one contender.

    Args:
        broker: the address of every node of the broker, and the account.
        brokers: its processes, to be harmed.
        patience: seconds after the last fault within which every job has to have ended.
        afterwards: called when they have, while the workers still run.
    """

    def __init__(
        self,
        schedule: Schedule,
        make: Callable[[Schedule, Broker, Path], Contender],
        broker: Broker,
        brokers: Brokers,
        folder: Path,
        *,
        say: Callable[[str], None],
        patience: float,
        afterwards: Callable[[Contender], None] = lambda _: None,
    ) -> None:
        self._patience, self._afterwards = patience, afterwards
        self._schedule, self._folder, self._say = schedule, folder, say
        self._broker, self._brokers = broker, brokers
        self._token = secrets.token_hex(8)
        self._record = Record()
        self._contender = make(schedule, broker, folder)
        #: What was submitted for sure, and what may have been; by number.
        self._sure: dict[int, PlannedJob] = {}
        self._maybe: dict[int, PlannedJob] = {}
        self._letters: set[int] | None = None
        self._again = 0
        self._troubles: list[str] = []
        (folder / "locks").mkdir(parents=True)

    def carry_out(self) -> Outcome:
        """Do it; nothing keeps running afterwards except the broker."""
        proxy = Proxy()
        schedule, contender = self._schedule, self._contender
        routes = [
            [proxy.route(host) for host in self._broker.hosts] for _ in range(schedule.workers)
        ]

        def command(worker: int, incarnation: int) -> tuple[list[str], dict[str, str]]:
            hosts = [("127.0.0.1", route.port) for route in routes[worker]]
            turn = worker % len(hosts)  # so that they do not all use the same node
            argv, environment = contender.worker(worker, incarnation, hosts[turn:] + hosts[:turn])
            extra = {MARK: self._token, "FAULTS_FOLDER": str(self._folder)}
            return argv, {**environment, **extra}

        crew = Crew(
            schedule.workers,
            command,
            self._record,
            self._folder,
            whole=contender.killed_whole,
        )
        injector = Injector(
            schedule, self._record, crew, routes, self._brokers, contender.recorders()
        )
        try:
            contender.prepare()
            began = time.monotonic()
            seconds = self._go(crew, injector)
            self._say(f"all ended after {time.monotonic() - began:.0f} s; stopping the workers")
            self._troubles += crew.stop()
            orphans = self._orphans()
            findings = self._look(orphans)
        finally:
            crew.stop(10.0)
            contender.close()
            proxy.close()
            for process in marked(self._token):
                with suppress(psutil.Error):
                    process.kill()
        counts, sentences = count(findings, self._record, schedule.lease)
        return Outcome(
            contender=contender.name,
            seed=schedule.seed,
            counts=counts,
            sentences=sentences,
            troubles=self._troubles,
            finals=findings.finals,
            broken=contender.broken,
            faults=self._record.happenings,
            settings=contender.settings(),
            submitted_again=self._again,
            executions=sum(map(len, findings.executions.values())),
            worn_out=self._worn_out(findings),
            seconds=round(seconds, 1),
        )

    def _go(self, crew: Crew, injector: Injector) -> float:
        waiting = [job for job in self._schedule.jobs if job.at <= 0]
        self._say(f"submitting {len(waiting)} jobs")
        for job in waiting:
            self._submit(job)
        crew.start()
        beginning = time.monotonic()
        submitter = threading.Thread(target=self._submit_all, args=(beginning,), daemon=True)
        submitter.start()
        self._say(
            f"{len(self._schedule.faults)} faults within {self._schedule.horizon:.0f} s, "
            f"{len(self._schedule.jobs) - len(waiting)} more jobs"
        )
        self._troubles += injector.run(beginning)
        submitter.join(self._patience)
        self._settle()
        self._letters = self._contender.letters()
        self._afterwards(self._contender)
        return time.monotonic() - beginning

    # -- submitting ----------------------------------------------------------------------

    def _submit_all(self, beginning: float) -> None:
        for job in self._schedule.jobs:
            if job.at > 0:
                time.sleep(max(0.0, beginning + job.at - time.monotonic()))
                self._submit(job)

    def _submit(self, job: PlannedJob) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            self._maybe[job.number] = job
            try:
                self._contender.submit(job)
            except NotSubmitted as error:
                if time.monotonic() > deadline:
                    self._troubles.append(f"job {job.number} could not be submitted: {error}")
                    return
                self._again += 1
                job = msgspec.structs.replace(job, number=job.number + _AGAIN)
                time.sleep(0.5)
            else:
                self._sure[job.number] = self._maybe.pop(job.number)
                return

    # -- when the dust settles -----------------------------------------------------------

    def _settle(self) -> None:
        deadline = time.monotonic() + self._patience
        while missing := self._sure.keys() - self._contender.finals().keys():
            if time.monotonic() > deadline:
                some = ", ".join(map(str, sorted(missing)[:10]))
                self._troubles.append(
                    f"{len(missing)} jobs have not ended {self._patience:.0f} s after the "
                    f"last fault: {some}"
                )
                break
            time.sleep(0.5)
        # Copies of ended jobs have to come up and be dropped.
        quiet = self._schedule.lease.time + 3.0
        deadline, since = time.monotonic() + _CLEAR, time.monotonic()
        while time.monotonic() < min(deadline, since + quiet):
            with suppress(AIQueueError):
                if self._contender.waiting():
                    since = time.monotonic()
            time.sleep(0.5)

    def _orphans(self) -> int:
        deadline = time.monotonic() + _ORPHANS
        while (left := marked(self._token)) and time.monotonic() < deadline:
            time.sleep(0.2)
        for process in left:
            with suppress(psutil.Error):
                self._troubles.append(f"left: {process.pid} {' '.join(process.cmdline())[:200]}")
        return len(left)

    def _look(self, orphans: int) -> Findings:
        executions = read_executions(self._folder)
        finals, left = self._contender.all_finals(), self._contender.left()
        seen = executions.keys() | finals.keys() | left
        jobs = {**self._sure, **{n: job for n, job in self._maybe.items() if n in seen}}
        if UNKNOWN in left:
            self._troubles.append("there are messages of unknown jobs in the queues")
        return Findings(
            jobs=jobs,
            finals=finals,
            left=left,
            letters=self._letters,
            executions=executions,
            orphans=orphans,
        )

    def _worn_out(self, findings: Findings) -> int:
        return sum(
            bool(finals)
            and finals[0].state in ("dead", "failed")
            and findings.jobs[number].kind.value in ("short", "long", "flaky")
            for number, finals in findings.finals.items()
            if number in findings.jobs
        )
