"""One trial: jobs are held, collectors and the broker are killed, and all is brought to its end."""

from __future__ import annotations

import json
import os
import secrets
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.fault_suite.contender import SCRIPT
from benchmarks.fault_suite.faults import Brokers
from benchmarks.fault_suite.record import Record
from benchmarks.fault_suite.truth import read_executions
from benchmarks.fault_suite.workers import MARK, Crew, marked
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.client import Client
from jupyter_aiqueue.core.collect.reader import read_snapshot
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import AIQueueError, BrokerError
from jupyter_aiqueue.core.events import Event, decode_event
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.link import Link
from jupyter_aiqueue.core.management import Management
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.recorder import make_inbox
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Delivery, Session, connect

from .judge import Counts, Findings, judge
from .plan import AT_MOST, SHALLOW, SLOTS, WORKERS, HeldJob, Plan, Wait

INBOX = "held"

_TASKS = """\
[tasks.job]
command = ["python", "-S", {script}]
[limits]
kill_after = 1.0
drain = 3.0
[lease]
time = 3
renew = 1
grace = 3
"""

_WORK = """
import sys
from jupyter_aiqueue.cli import main
sys.exit(main(["worker", *sys.argv[1:]]))
"""


class Trial:
    """Carries out a plan.

    Args:
        brokers: the broker's processes, to be killed; None if the plan has no outage.
        prelude: Python to run first in a worker, by its number and incarnation.
        patience: seconds after the horizon within which every job has to be over.
        clear: seconds after that in which messages that were sent twice are settled (workers ask
            about them for five seconds), and what was cancelled while nobody listened.
    """

    def __init__(
        self,
        plan: Plan,
        broker: Broker,
        brokers: Brokers | None,
        folder: Path,
        *,
        say: Callable[[str], None] = lambda _: None,
        prelude: Callable[[int, int], str] = lambda *_: "",
        patience: float = 240.0,
        clear: float = 45.0,
    ) -> None:
        self._plan, self._broker, self._brokers = plan, broker, brokers
        self._folder, self._say, self._prelude = folder, say, prelude
        self._patience, self._clear = patience, clear
        self._management = Management(broker)
        self._token = secrets.token_hex(8)
        self._record = Record()
        self._events: list[Event] = []
        self._over: set[str] = set()
        self._ids: dict[int, str] = {}
        self._done_at: dict[int, float] = {}
        self._began = 0.0
        #: What went wrong with the trial itself.
        self.troubles: list[str] = []
        #: Who was killed while collecting.
        self.killed: list[str] = []
        self.seconds = 0.0
        self._workers = [group for group, count in plan.workers.items() for _ in range(count)]
        (folder / "locks").mkdir(parents=True)

    def carry_out(self) -> tuple[Counts, list[str]]:
        """Do it; returns the count, and a sentence about everything that is wrong."""
        self._prepare()
        crew = Crew(len(self._workers), self._command, self._record, self._folder)
        crew.start()
        link = Link(lambda: self._broker, "held jobs, reading", setup=self._listen)
        client = Client(self._url(), inbox=INBOX, record=False)
        beginning = time.monotonic()
        try:
            link.start()
            self._began = time.time() + self._plan.lead
            self._hold(client)
            self._say(f"{len(self._ids)} jobs held after {time.monotonic() - beginning:.1f} s")
            self._act(client, crew)
            self._settle()
            self.seconds = time.monotonic() - beginning
            self._say(f"all over after {self.seconds:.0f} s; stopping the workers")
            self.troubles += crew.stop()
            findings = self._findings()
        finally:
            crew.stop(10.0)
            client.close()
            link.close()
            for process in marked(self._token):
                with suppress(psutil.Error):
                    process.kill()
        return judge(findings)

    # -- before --------------------------------------------------------------------------

    def _prepare(self) -> None:
        provision(self._broker, Catalog(groups=tuple(WORKERS), retry_delays=(1, 2, 3)))
        with connect(self._broker, "held jobs, preparing") as session:
            make_inbox(session, INBOX)
        (self._folder / "aiqueue.toml").write_text(_TASKS.format(script=json.dumps(str(SCRIPT))))

    def _command(self, worker: int, incarnation: int) -> tuple[list[str], dict[str, str]]:
        prelude = self._prelude(worker, incarnation)
        argv = [sys.executable, "-c", prelude + _WORK, "--group", self._workers[worker]]
        argv += ["--tasks", str(self._folder / "aiqueue.toml")]
        argv += ["--name", f"w{worker}", "--slots", str(SLOTS)]
        here = str(Path(__file__).resolve().parents[2])
        environment = {**os.environ, "AIQUEUE_URL": self._url(), "PYTHONPATH": here}
        environment |= {MARK: self._token, "FAULTS_FOLDER": str(self._folder)}
        for name in ("DATA", "RUNTIME", "CONFIG"):
            target = self._folder / f"worker-{worker}" / name.lower()
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
            environment[f"JUPYTER_{name}_DIR"] = str(target)
        return argv, environment

    def _hold(self, client: Client) -> None:
        """Submit everything, what belongs together in few round trips."""
        jobs = sorted(self._plan.jobs, key=lambda job: job.wait is not Wait.BATCH)
        batch = [job for job in jobs if job.wait is Wait.BATCH]
        handles = client.submit_many(
            [_config(job) for job in batch], task="job", group="batch", at_most_queued=AT_MOST
        )
        self._ids |= {job.number: handle.id for job, handle in zip(batch, handles, strict=True)}
        for wait, when in (
            (Wait.DEPTH, f"depth < {SHALLOW}"),
            (Wait.FREE_SLOT, "free_slots > 0"),
            (Wait.CANCEL, "after 2099-01-01 00:00"),
            (Wait.HAND, "after 2099-01-01 00:00"),
        ):
            alike = [job for job in jobs if job.wait is wait]
            handles = client.submit_many(
                [_config(job) for job in alike], task="job", group=_group(alike), when=when
            )
            self._ids |= {job.number: h.id for job, h in zip(alike, handles, strict=True)}
        for wait, at in sorted({(job.wait, job.at) for job in jobs}):
            alike = [job for job in jobs if (job.wait, job.at) == (wait, at)]
            due = datetime.fromtimestamp(self._began + at, timezone.utc)
            if wait is Wait.TIME:
                terms: dict[str, Any] = {"when": f"after {due.isoformat()}"}
            elif wait in (Wait.DEADLINE, Wait.EXPIRY):
                terms = {"when": "depth > 100000", "by": due, "expire": wait is Wait.EXPIRY}
            else:
                continue
            handles = client.submit_many(
                [_config(j) for j in alike], task="job", group=_group(alike), **terms
            )
            self._ids |= {job.number: h.id for job, h in zip(alike, handles, strict=True)}

    def _listen(self, session: Session) -> None:
        def arrived(delivery: Delivery) -> None:
            event = decode_event(delivery.message.body)
            if not event.event.is_live:
                self._events.append(event)
                if event.event.is_final:
                    self._over.add(event.job_id)
            session.ack(delivery)

        session.consume(topology.inbox_queue(INBOX), arrived, prefetch=500)

    # -- meanwhile -----------------------------------------------------------------------

    def _act(self, client: Client, crew: Crew) -> None:
        """Do what the plan says at its times: with jobs in a thread, with processes in another."""
        by_hand = [job for job in self._plan.jobs if job.wait in (Wait.CANCEL, Wait.HAND)]
        hand = threading.Thread(target=self._by_hand, args=(client, by_hand), daemon=True)
        hand.start()
        faults: list[tuple[float, Callable[[], None]]] = [
            (at, lambda: self._kill_collector(crew)) for at in self._plan.kills
        ]
        if self._plan.outage is not None:
            faults.append((self._plan.outage[0], self._restart_broker))
        for at, fault in sorted(faults, key=lambda one: one[0]):
            self._sleep_until(at)
            fault()
        hand.join(self._plan.horizon + self._patience)

    def _by_hand(self, client: Client, jobs: list[HeldJob]) -> None:
        for job in sorted(jobs, key=lambda job: job.at):
            self._sleep_until(job.at)
            work = client.cancel if job.wait is Wait.CANCEL else client.release
            deadline = time.monotonic() + self._patience
            self._done_at[job.number] = time.time()
            while True:
                try:
                    work(self._ids[job.number])
                    break
                except AIQueueError as error:
                    if time.monotonic() > deadline:
                        self.troubles.append(f"job {job.number} could not be told: {error}")
                        return
                    time.sleep(0.2)

    def _kill_collector(self, crew: Crew) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(AIQueueError), connect(self._broker, "held jobs, looking") as session:
                snapshot = read_snapshot(session)
                # One of before tells of who may be gone.
                if snapshot and snapshot.timestamp.timestamp() > time.time() - 6:
                    self._say(f"killing {snapshot.collector}, which collects")
                    crew.kill(int(snapshot.collector.removeprefix("w")))
                    self.killed.append(snapshot.collector)
                    return
            time.sleep(0.2)
        self.troubles.append("nobody collected for 30 s")

    def _restart_broker(self) -> None:
        assert self._plan.outage is not None
        assert self._brokers is not None
        self._say("killing the broker")
        self._brokers.kill()
        time.sleep(self._plan.outage[1])
        self._brokers.start()
        self._say("the broker is back")

    def _sleep_until(self, at: float) -> None:
        time.sleep(max(0.0, self._began + at - time.time()))

    # -- afterwards ----------------------------------------------------------------------

    def _settle(self) -> None:
        """Wait until every job is over and no message of any is about, as long as is allowed."""
        deadline = self._began + self._plan.horizon + self._patience
        ids = set(self._ids.values())
        while not ids <= self._over and time.time() < deadline:
            time.sleep(0.1)
        deadline = time.time() + self._clear
        while self._left() and time.time() < deadline:
            time.sleep(0.2)

    def _left(self) -> bool:
        """Whether anything is in a queue, or in anybody's hands."""
        busy = psutil.Process().children(recursive=True)
        with connect(self._broker, "held jobs, counting") as session:
            waiting = sum(session.count(queue).ready for queue in self._queues(session))
        held = self._management.queue(topology.HELD)
        waiting += (held.ready or 0) + (held.unacknowledged or 0)
        return bool(waiting) or any("--number" in _line(process) for process in busy)

    def _queues(self, session: Session) -> list[str]:
        queues = [topology.work_queue(g, p) for g in WORKERS for p in Priority]
        queues += [topology.retry_queue(delay) for delay in (1, 2, 3)]
        leases = [topology.lease_queue(f"w{number}") for number in range(len(self._workers))]
        return queues + [queue for queue in leases if session.exists(queue)]

    def _findings(self) -> Findings:
        left: set[str] = set()
        with connect(self._broker, "held jobs, looking for what is left") as session:
            for queue in self._queues(session):
                with suppress(BrokerError):
                    while (delivery := session.get(queue)) is not None:
                        left.add(delivery.message.message_id or "?")
            session.consume(
                topology.HELD, lambda d: left.add(d.message.message_id or "?"), prefetch=5000
            )
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                session.pump(0.1)
        return Findings(
            plan=self._plan,
            began=self._began,
            ids=self._ids,
            events=list(self._events),
            executions=read_executions(self._folder),
            record=self._record,
            left=frozenset(left),
            done_at=self._done_at,
        )

    def _url(self) -> str:
        user = f"{self._broker.username}:{quote(self._broker.password, safe='')}"
        vhost = quote(self._broker.vhost, safe="")
        return " ".join(f"amqp://{user}@{h}:{p}/{vhost}" for h, p in self._broker.hosts)


def _config(job: HeldJob) -> dict[str, object]:
    return {"number": job.number, "kind": "short", "seconds": 0.02}


def _group(alike: list[HeldJob]) -> str:
    return alike[0].group if alike else "timed"


def _line(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:
        return []
