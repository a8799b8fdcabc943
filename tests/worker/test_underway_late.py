"""What is leased before it begins, and comes late: after a cut, past its time, to somebody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from scene import TASKS, Playing, Proxy, Tape, eventually, make_job, make_tasks, marks, playing
from test_leases import QUEUE
from test_underway import on_arrival

from jupyter_aiqueue.core import paths, topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerUnreachable
from jupyter_aiqueue.core.events import Event, Kind
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.transport import Delivery, connect
from jupyter_aiqueue.worker import desk as desk_module
from jupyter_aiqueue.worker.desk import Desk
from jupyter_aiqueue.worker.tasks import Tasks

#: Seconds of a lease in most of these tests.
LEASE = 3


def spot(folder: Path, *, lease: int = LEASE, grace: float = 1) -> Tasks:
    """What a worker may run, with its leases."""
    folder.mkdir()
    text = TASKS.replace("time = 3", f"time = {lease}").replace("grace = 2", f"grace = {grace}")
    return make_tasks(folder, text)


def last_try(folder: Path, **fields: object) -> Job:
    """A job whose next attempt is the last: one that is counted for nothing kills it."""
    config = {"mark": str(folder / "marks")}
    return make_job(config, **{"attempt": 2, "max_attempts": 2, **fields})


def via(broker: Broker, proxy: Proxy) -> Callable[[], Broker]:
    through = msgspec.structs.replace(broker, hosts=(proxy.address,))
    return lambda: through


def cut_unread(monkeypatch: pytest.MonkeyPatch, tape: Tape, proxy: Proxy) -> list[float]:
    """Have the connection lost when the first message has arrived and nobody has read it."""
    cuts: list[float] = []

    def cut(_: Desk) -> None:
        # The acknowledgement of the message that was taken has got there.
        lease = topology.lease_queue("w1")
        eventually(lambda: not tape.ready(QUEUE) and not tape.ready(lease), "it is not taken")
        proxy.cut()
        cuts.append(time.monotonic())
        raise BrokerUnreachable("cut")

    on_arrival(monkeypatch, cut)
    return cuts


@contextmanager
def deaf_reader(broker: Broker, queue: str) -> Iterator[list[Delivery]]:
    """As a dead connection's consumer: it is given what comes first, and nobody reads it."""
    got: list[Delivery] = []
    ready, over = threading.Event(), threading.Event()

    def read() -> None:
        with connect(broker, "deaf") as session:
            session.consume(queue, got.append, prefetch=1, arguments={"x-priority": 10})
            ready.set()
            while not over.is_set():
                session.pump(0.05)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert ready.wait(10), "it does not read"
        yield got
    finally:
        over.set()
        thread.join()


def lapsed(since: float, lease: float = LEASE) -> None:
    eventually(lambda: time.monotonic() > since + lease + 0.2, "time stands still")


def takes_nothing(scene: Playing) -> None:
    scene.worker._taker._free = lambda: 0


def takes_again(scene: Playing) -> None:
    scene.worker._taker._free = scene.worker._desk.free


def token(scene: Playing) -> str:
    return scene.worker._desk._process


def succeeded(end: Event, attempt: int, folder: Path) -> None:
    assert (end.event, end.attempt) == (Kind.SUCCEEDED, attempt), end.reason
    assert len(marks(folder / "marks")) == 1


def test_two_processes_of_one_name_lose_nothing_to_each_other(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path
) -> None:
    here, there = spot(tmp_path / "a"), spot(tmp_path / "b")
    jobs = [make_job(attempt=2) for _ in range(4)]

    def readers() -> int:
        return tape.link.call(lambda s: s.count(topology.lease_queue("w1"))).consumers

    with playing(broker, here, name="w1", find=via(broker, proxy)) as one:
        proxy.cut()
        eventually(lambda: not readers(), "the broker does not see the end of the connection")
        with playing(broker, there, name="w1") as two:  # somebody starts it again
            proxy.mend()
            one.said("connected to", 2)
            takes_nothing(max(one, two, key=token))
            tape.submit(*jobs)
            for job in jobs:
                tape.end(job.id, timeout=60)
    for job in jobs:
        assert tape.kinds(job.id) == ["started", "succeeded"]


def test_who_is_back_within_the_grace_is_handed_what_it_never_began(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "SLOW", -1.0)
    here, there = spot(tmp_path / "a", grace=5), spot(tmp_path / "b", grace=5)
    cuts = cut_unread(monkeypatch, tape, proxy)
    job = last_try(tmp_path, attempt=1, max_attempts=1)
    with playing(broker, here, name="w1", find=via(broker, proxy)) as one:
        tape.submit(job)
        eventually(lambda: cuts, "it does not arrive")
        with playing(broker, there, name="w2") as two:
            two.said("was with another worker")
            proxy.mend()
            one.said("connected to", 2)
            succeeded(tape.end(job.id), 1, tmp_path)


def test_what_ran_out_before_it_arrived_is_handed_back(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    here, there = spot(tmp_path / "a", grace=2), spot(tmp_path / "b", grace=2)
    job = last_try(tmp_path)
    with playing(broker, here, name="w1") as one:
        with deaf_reader(broker, topology.lease_queue("w1")) as got:
            tape.submit(job)
            eventually(lambda: got, "it is not leased")
            lapsed(time.monotonic())
            takes_nothing(one)
        with playing(broker, there, name="w2"):
            succeeded(tape.end(job.id), 2, tmp_path)


def test_who_is_told_to_stop_while_it_asks_gives_back_what_it_never_began(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = spot(tmp_path / "a", grace=20), spot(tmp_path / "b")
    monkeypatch.setattr("jupyter_aiqueue.worker.intake._BRIEF", 1.0)
    cuts = cut_unread(monkeypatch, tape, proxy)
    job = last_try(tmp_path)
    with playing(broker, here, name="w1", find=via(broker, proxy)) as one:
        # Right after a connection it would be asked about for longer before it is taken, too.
        monkeypatch.setattr("jupyter_aiqueue.worker.intake._WARY", 0.0)
        one.worker._desk._intake.connected()
        tape.submit(job)
        eventually(lambda: cuts, "it does not arrive")
        proxy.mend()
        one.said("was with another worker")
        one.worker.drain()
        assert one.ended() == 0
    assert tape.kinds(job.id) == ["requeued"]
    with playing(broker, there, name="w2"):
        succeeded(tape.end(job.id), 2, tmp_path)


def test_nothing_is_forgotten_while_it_is_asked_about(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = cut_unread(monkeypatch, tape, proxy)
    job = last_try(tmp_path)
    with playing(broker, spot(tmp_path / "a"), name="w1", find=via(broker, proxy)):
        tape.submit(job)
        eventually(lambda: cuts, "it does not arrive")
        eventually(lambda: time.monotonic() > cuts[0] + 0.9 * LEASE, "time stands still")
        proxy.mend()
        succeeded(tape.end(job.id), 2, tmp_path)


def test_two_messages_of_a_version_are_one_run_though_one_is_late(
    broker: Broker, tape: Tape, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_root() -> Path:  # of a machine of its own
        return tmp_path / f"runs-{threading.current_thread().name.split()[-1]}"

    monkeypatch.setattr(paths, "run_root", run_root)
    here, there = (spot(tmp_path / name, lease=9, grace=2) for name in "ab")
    go, mark = tmp_path / "go", tmp_path / "marks"
    job = make_job({"mark": str(mark), "wait-for": str(go)}, attempt=2)
    with playing(broker, here, name="w1") as one, playing(broker, there, name="w2") as two:
        small, great = sorted((one, two), key=token)
        with deaf_reader(broker, topology.lease_queue(great.worker.name)) as got:
            takes_nothing(small)
            tape.submit(job)  # whoever sent it died before it could acknowledge,
            eventually(lambda: got, "it is not leased")
            takes_nothing(great)
            takes_again(small)
            tape.submit(job)  # and it was sent again
            small.said("still runs on")
        eventually(lambda: marks(mark), "it does not begin")
        go.touch()
        tape.end(job.id)
    assert marks(mark) == [f"{job.id} 2"]


def test_what_comes_late_is_given_back_if_there_is_no_slot_any_more(
    broker: Broker, tape: Tape, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuts = cut_unread(monkeypatch, tape, proxy)
    go = tmp_path / "go"
    late, other = (make_job({"wait-for": str(go)}, attempt=n) for n in (2, 1))
    here = spot(tmp_path / "a", lease=9)
    with playing(broker, here, name="w1", find=via(broker, proxy), slots=1) as one:
        tape.submit(late)
        eventually(lambda: cuts, "it does not arrive")
        with deaf_reader(broker, topology.lease_queue("w1")) as got:
            eventually(lambda: got, "it is not in the lease queue")
            tape.submit(other)
            proxy.mend()
            tape.wait(other.id, Kind.STARTED)
        tape.wait(late.id, Kind.REQUEUED)
        assert len(one.worker._desk.executions()) == 1
        go.touch()
        for job in (late, other):
            assert tape.end(job.id).event is Kind.SUCCEEDED


def test_a_worker_that_ends_leaves_its_queue_to_what_has_not_arrived(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    job = make_job({"mark": str(tmp_path / "marks")}, attempt=2)
    here, queue = spot(tmp_path / "a"), topology.lease_queue("w1")
    with playing(broker, here, name="w1") as one, deaf_reader(broker, queue) as got:
        tape.submit(job)
        eventually(lambda: got, "it is not leased")
        one.worker.drain()
        one.ended()
    with playing(broker, spot(tmp_path / "b"), name="w2"):
        succeeded(tape.end(job.id), 3, tmp_path)
