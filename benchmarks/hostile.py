"""Hostile messages through a live worker: it lives on, and every message is accounted for.

    python benchmarks/hostile.py [--json] [--messages 10000] [--seed 1]

Random bytes, torn and deep JSON, wrong types, headers that no client library would write,
absurd properties, ids that are there twice, bodies of a megabyte, and a good job now and then;
half of them in a group's queues, half in a plain producer's. Each message has to end either as
a dead letter or as a job that was worked, once, and every good job has to succeed. Exit code 1
if not.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec
import pika

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import options, private_node, report
from benchmarks.hostile_messages import Hostile, messages
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import Kind, decode_event
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.topology import Catalog, dead_queue, work_queue
from jupyter_aiqueue.core.transport import Delivery, Session, connect

GROUP, PLAIN = "train", "hostile.plain"

_TASKS = """\
[lease]
time = 3
renew = 1
grace = 1
[limits]
kill_after = 1.0
[tasks.job]
command = ["sh", "-c", 'for word; do [ "$word" = --fail ] && exit 3; done; exit 0', "job"]
"""

#: Seconds without any news after which what is missing counts as lost.
_PATIENCE = 30.0


class Outcome(msgspec.Struct, kw_only=True):
    """What came of the messages."""

    seed: int
    sent: int = 0
    #: Messages that the broker itself did not take.
    refused: int = 0
    dead_letters: int = 0
    succeeded: int = 0
    failed: int = 0
    good_sent: int = 0
    good_succeeded: int = 0
    #: Neither dead letter nor worked; dead letter and worked, or either twice; executions of
    #: an attempt beside the first.
    lost: int = 0
    twice: int = 0
    ran_twice: int = 0
    #: Letters that were not sent like this.
    strange: int = 0
    worker_alive: bool = False
    #: Of the worker when it was told to stop.
    exit_code: int | None = None
    seconds: float = 0.0
    by_kind: dict[str, int] = {}
    reasons: dict[str, int] = {}
    #: Ids of some messages of which something is wrong.
    wrong: list[str] = []

    @property
    def fine(self) -> bool:
        """Whether everything is as it has to be."""
        return (
            self.lost == self.twice == self.ran_twice == self.strange == 0
            and self.sent == self.dead_letters + self.succeeded + self.failed
            and self.good_sent == self.good_succeeded
            and self.worker_alive
            and self.exit_code == 0
        )


class Account:
    """Reads every dead letter and every event while the worker works."""

    def __init__(self, session: Session, groups: tuple[str, ...]) -> None:
        #: Dead letters by `_key`, ends of jobs by id.
        self.letters: Counter[str] = Counter()
        self.ends: dict[str, Counter[Kind]] = {}
        self.reasons: Counter[str] = Counter()
        self.starts: Counter[tuple[str, int, int]] = Counter()
        self._session = session
        events = session.temporary_queue([(topology.EVENTS, "#")], max_length=1_000_000)
        session.consume(events, self._event, prefetch=500)
        for group in groups:
            session.consume(dead_queue(group), self._letter, prefetch=500)

    @property
    def total(self) -> int:
        """Letters and ends."""
        return self.letters.total() + sum(counts.total() for counts in self.ends.values())

    def read(self, seconds: float) -> None:
        """Read for so long."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._session.pump(left)

    def _letter(self, delivery: Delivery) -> None:
        message = delivery.message
        self.letters[_key(message.body, message.message_id)] += 1
        self.reasons[str(message.headers.get("aiq-reason"))] += 1
        self._session.ack(delivery)

    def _event(self, delivery: Delivery) -> None:
        self._session.ack(delivery)
        try:
            event = decode_event(delivery.message.body)
        except InvalidJob:
            return
        if event.event is Kind.STARTED:
            self.starts[event.job_id, event.attempt, event.turn] += 1
        elif event.event in (Kind.SUCCEEDED, Kind.FAILED):
            self.ends.setdefault(event.job_id, Counter())[event.event] += 1


def _key(body: bytes, message_id: str | None) -> str:
    return hashlib.sha256(body or str(message_id).encode()).hexdigest()[:16]


class Sender:
    """Publishes with confirms, in whatever shape."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._connect()

    def _connect(self) -> None:
        host, port = self._broker.hosts[0]
        credentials = pika.PlainCredentials(self._broker.username, self._broker.password)
        self._connection = pika.BlockingConnection(
            pika.ConnectionParameters(host, port, self._broker.vhost, credentials)
        )
        self._channel = self._connection.channel()
        self._channel.confirm_delivery()

    def declare(self, queue: str) -> None:
        """A durable queue as a plain producer has it."""
        self._channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})

    def send(self, hostile: Hostile, queue: str) -> bool:
        """Whether the broker took it."""
        try:
            self._channel.basic_publish("", queue, hostile.body, hostile.properties, mandatory=True)
        except pika.exceptions.AMQPError:
            self.close()
            self._connect()
            return False
        return True

    def close(self) -> None:
        """Never raises."""
        if self._connection.is_open:
            self._connection.close()


def run(broker: Broker, folder: Path, *, count: int, seed: int) -> Outcome:
    """Send ``count`` messages to a worker of a provisioned ``broker``, and account for them.

    Args:
        folder: for the tasks file, the worker's data and its log.
    """
    outcome = Outcome(seed=seed)
    began = time.monotonic()
    sender = Sender(broker)
    sender.declare(PLAIN)
    queues = [work_queue(GROUP, priority) for priority in Priority]
    sent: dict[str, list[Hostile]] = {}
    with connect(broker, "hostile account") as session, _worker(broker, folder) as worker:
        account = Account(session, Catalog().groups)
        for number, hostile in enumerate(messages(count, seed)):
            queue = PLAIN if number % 2 else queues[number // 2 % len(queues)]
            if not sender.send(hostile, queue):
                outcome.refused += 1
                continue
            sent.setdefault(hostile.job_id, []).append(hostile)
            outcome.sent += 1
            if number % 50 == 0:
                account.read(0.01)
        sender.close()
        _wait(account, outcome.sent, worker)
        outcome.worker_alive = worker.poll() is None
        worker.terminate()
        outcome.exit_code = _end_of(worker)
        # What it does last counts too.
        account.read(1.0)
    _judge(outcome, sent, account)
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _wait(account: Account, sent: int, worker: subprocess.Popen[bytes]) -> None:
    total, since = account.total, time.monotonic()
    while account.total < sent and worker.poll() is None:
        account.read(0.2)
        if account.total != total:
            total, since = account.total, time.monotonic()
        elif time.monotonic() - since > _PATIENCE:
            return
    # Nothing may follow what is complete.
    account.read(2.0)


def _judge(outcome: Outcome, sent: dict[str, list[Hostile]], account: Account) -> None:
    letters = Counter(account.letters)
    for job_id, group in sent.items():
        outcome.by_kind.update(
            (hostile.kind, outcome.by_kind.get(hostile.kind, 0) + 1) for hostile in group
        )
        ends = account.ends.pop(job_id, Counter())
        dead = 0
        for hostile in group:
            key = _key(hostile.body, job_id)
            if letters[key] > 0:
                letters[key] -= 1
                dead += 1
        worked = ends.total()
        outcome.dead_letters += dead
        outcome.succeeded += ends[Kind.SUCCEEDED]
        outcome.failed += ends[Kind.FAILED]
        good = sum(hostile.good for hostile in group)
        outcome.good_sent += good
        outcome.good_succeeded += good and ends[Kind.SUCCEEDED]
        missing = len(group) - dead - worked
        outcome.lost += max(0, missing)
        outcome.twice += max(0, -missing) + max(0, worked - 1)
        if missing or worked > 1 or (good and worked != 1):
            outcome.wrong.append(f"{job_id:.80} ({group[0].kind})")
    outcome.strange = letters.total() + len(account.ends)
    outcome.ran_twice = sum(count - 1 for count in account.starts.values())
    outcome.reasons = dict(account.reasons.most_common())
    outcome.wrong = outcome.wrong[:20]


@contextmanager
def _worker(broker: Broker, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker's process, from when it is connected; its output goes to a file."""
    tasks, log = folder / "aiqueue.toml", folder / "worker.log"
    tasks.write_text(_TASKS)
    host, port = broker.hosts[0]
    account = f"{quote(broker.username, safe='')}:{quote(broker.password, safe='')}"
    environment = {
        **os.environ,
        "AIQUEUE_URL": f"amqp://{account}@{host}:{port}/{quote(broker.vhost, safe='')}",
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "PYTHONUNBUFFERED": "1",
    }
    argv = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--group", GROUP]
    argv += ["--queue", PLAIN, "--tasks", str(tasks), "--slots", "4"]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, env=environment, stdout=output, stderr=output)
        try:
            _until_connected(process, log)
            yield process
        finally:
            process.kill()
            process.wait()


def _until_connected(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 30
    while "connected to" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"The worker does not start:\n{log.read_text()}")
        time.sleep(0.05)


def _end_of(process: subprocess.Popen[bytes]) -> int | None:
    try:
        return process.wait(30)
    except subprocess.TimeoutExpired:
        return None


def lines(outcome: Outcome) -> list[str]:
    """For people."""
    alive = "alive" if outcome.worker_alive else "DEAD"
    return [
        f"{outcome.sent} messages (seed {outcome.seed}) in {outcome.seconds:.0f} s"
        + (f"; {outcome.refused} more were refused by the broker" if outcome.refused else ""),
        f"  dead letters      {outcome.dead_letters}",
        f"  succeeded         {outcome.succeeded}",
        f"  failed            {outcome.failed}",
        f"  lost              {outcome.lost}",
        f"  twice             {outcome.twice}",
        f"  ran twice         {outcome.ran_twice}",
        f"  strange letters   {outcome.strange}",
        f"  good jobs         {outcome.good_succeeded} of {outcome.good_sent} succeeded",
        f"  worker            {alive}, exit code {outcome.exit_code}",
        "  reasons           " + ", ".join(f"{k} {n}" for k, n in outcome.reasons.items()),
        *(f"  wrong: {one}" for one in outcome.wrong),
    ]


def main() -> int:
    arguments = options(__doc__ or "", messages=10_000, seed=1)
    with private_node() as (broker, folder):
        provision(broker, Catalog(retry_delays=(1, 2)))
        outcome = run(broker, folder, count=arguments.messages, seed=arguments.seed)
        if not outcome.fine and not arguments.json:
            print("".join(_tail(folder / "worker.log")), file=sys.stderr)
    figures = {**msgspec.to_builtins(outcome), "fine": outcome.fine}
    report(arguments, lines(outcome), figures)
    return 0 if outcome.fine else 1


def _tail(log: Path) -> list[str]:
    return log.read_text().splitlines(keepends=True)[-40:]


if __name__ == "__main__":
    sys.exit(main())
