"""The load: every number with its source and age, and never 0 for what is not known."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from waiting import eventually

from jupyter_aiqueue.core import broker_statistics, topology
from jupyter_aiqueue.core.collect.snapshot import Snapshot, pack
from jupyter_aiqueue.core.errors import BrokerUnreachable
from jupyter_aiqueue.core.job import Priority, now
from jupyter_aiqueue.core.load import (
    EVENTS,
    HEARTBEATS,
    MANAGEMENT,
    PASSIVE,
    UNKNOWN,
    BrokerLoad,
    GroupLoad,
    Load,
    Measured,
    group_load,
    total,
    worker_load,
)
from jupyter_aiqueue.core.management import AGE_S, Management
from jupyter_aiqueue.core.measure import Meter, measure
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.status import Heartbeat, Running, encode
from jupyter_aiqueue.core.text import load_text
from jupyter_aiqueue.core.topology import Catalog, Queue
from jupyter_aiqueue.core.transport import connect

from .conftest import Api
from .wire import Proxy, closed_port


@pytest.fixture
def fresh(broker, session, api):
    """A broker without the heartbeats of other tests."""
    log = next(q for q in topology.queues(Catalog()) if q.name == topology.STATUS_LOG)
    api.delete(f"queues/{broker.vhost}/{log.name}")
    session.declare(log)
    return broker


def beat(session, worker="w1", *, ago=0.0, **fields):
    heartbeat = Heartbeat(
        **{
            "worker": worker,
            "timestamp": now() - timedelta(seconds=ago),
            "groups": ("train",),
            "slots": 2,
        }
        | fields
    )
    message = Message(body=encode(heartbeat))
    session.publish(topology.STATUS, f"worker.{worker}", message, mandatory=True)


def running(number=1, group="train"):
    return tuple(
        Running(job_id=f"j{n}", group=group, priority=Priority.NORMAL) for n in range(number)
    )


def group(load, name):
    return next(group for group in load.groups if group.name == name)


def numbers(load):
    """Every measured number of a load."""
    for one in load.groups:
        fields = (getattr(one, field) for field in one.__struct_fields__)
        found = chain(fields, one.waiting_by_priority.values(), [load.retrying])
        yield from (number for number in found if isinstance(number, Measured))


def honest(load):
    """No number without a source and an age, and no source or age without a number."""
    for number in numbers(load):
        assert (number.value is None) == (number.source is None) == (number.age_s is None), number
        assert number.age_s is None or number.age_s >= 0
    return load


# -- what is seen ------------------------------------------------------------------------


def test_waiting_running_and_workers_are_told_with_their_sources(fresh, session):
    for key in ("train.high", "train.normal", "train.normal", "infer.low"):
        session.publish(topology.JOBS, key, Message(body=b"{}"), mandatory=True)
    beat(session, "w1", running=running(1))
    beat(session, "w2")
    load = honest(measure(fresh))
    train = group(load, "train")
    assert {name: n.value for name, n in train.waiting_by_priority.items()} == {
        "high": 1,
        "normal": 2,
        "low": 0,
    }
    assert (train.waiting.value, train.waiting.source) == (3, PASSIVE)
    assert (train.running.value, train.running.source) == (1, HEARTBEATS)
    assert (train.workers.value, train.slots.value, train.free.value) == (2, 4, 3)
    assert group(load, "infer").waiting.value == 1
    assert group(load, "infer").workers.value == 0  # heard, and there is none
    assert (load.broker.state, load.broker.alarms) == ("up", "none")

    def room():  # a node that has just started does not tell it at once
        broker = honest(measure(fresh)).broker
        return broker if broker.memory.value and broker.disk_free.value else None

    known = eventually(room, timeout=30, message="memory and disk are not known")
    assert 0 < known.memory.value < 1
    assert (known.disk_free.source, known.disk_free.age_s) == (MANAGEMENT, AGE_S)
    assert load.retrying.value == 0


def test_dead_letters_and_jobs_between_attempts_are_counted(fresh, session):
    session.publish(topology.DEAD, "train.high", Message(body=b"{}"), mandatory=True)
    with connect(fresh, "test") as holding:
        # Without its delay's end in between.
        holding.publish(
            topology.RETRY, "nobody.high", Message(body=b"{}", headers={"aiq-delay": "1"})
        )
        load = measure(fresh)
    assert group(load, "train").dead.value == 1
    assert load.retrying.value == 1


def test_the_newest_heartbeat_of_a_worker_counts(fresh, session):
    beat(session, running=running(2))
    beat(session, running=running(1))
    assert group(measure(fresh), "train").running.value == 1


def test_a_worker_that_stopped_is_gone_and_one_that_drains_has_no_room(fresh, session):
    beat(session, "w1", state="stopped")
    beat(session, "w2", state="draining", running=running(1))
    train = group(measure(fresh), "train")
    assert (train.workers.value, train.running.value, train.free.value) == (1, 1, 0)


def test_a_worker_silent_for_three_heartbeats_is_lost_and_does_not_count(fresh, session):
    beat(session, "here", ago=14)
    beat(session, "gone", ago=16, running=running(1))
    train = group(honest(measure(fresh)), "train")
    assert {w.worker: w.state for w in train.worker_list} == {"here": "active", "gone": "lost"}
    assert (train.workers.value, train.running.value) == (1, 0)
    assert 14 <= train.workers.age_s < 40  # as old as the oldest heartbeat that counts


def test_a_lost_worker_is_shown_for_a_while_and_then_no_longer(fresh, session):
    beat(session, "lately", ago=80)
    beat(session, "long ago", ago=200)
    workers = group(measure(fresh), "train").worker_list
    assert [worker.worker for worker in workers] == ["lately"]


def test_a_worker_of_two_groups_has_its_slots_in_both_and_its_room_once(fresh, session):
    beat(session, groups=("train", "infer"), running=running(1, "infer"))
    load = measure(fresh)
    assert (group(load, "train").running.value, group(load, "infer").running.value) == (0, 1)
    assert group(load, "train").free.value == 1


def test_a_clock_that_is_ahead_gives_no_negative_age(fresh, session):
    beat(session, ago=-30)
    honest(measure(fresh))


def test_what_is_no_heartbeat_is_passed_over(fresh, session):
    session.publish(topology.STATUS, "worker.x", Message(body=b"{"), mandatory=True)
    session.publish(topology.STATUS, "worker.x", Message(body=b"[" * 50_000), mandatory=True)
    beat(session)
    assert group(measure(fresh), "train").workers.value == 1


def test_a_meter_sees_a_group_that_was_added(empty_broker, monkeypatch):
    monkeypatch.setattr("jupyter_aiqueue.core.measure._CATALOG_INTERVAL", 0.0)
    provision(empty_broker, Catalog(groups=("train",), retry_delays=(1,)))
    meter = Meter(empty_broker)
    with connect(empty_broker, "test") as session:
        assert [g.name for g in meter.measure(session).groups] == ["train"]
        provision(empty_broker, Catalog(groups=("train", "new"), retry_delays=(1,)))
        assert [g.name for g in meter.measure(session).groups] == ["train", "new"]
    meter.close()


# -- what the collector tells ------------------------------------------------------------


@pytest.fixture
def collected(fresh, session, api):
    """A broker for which a collector told so many seconds ago: ``collected(load, ago)``."""
    log = next(q for q in topology.queues(Catalog()) if q.name == topology.LOAD_LOG)

    def publish(body):
        message = Message(body=body)
        session.publish(topology.STATUS, topology.LOAD_KEY, message, mandatory=True)

    def tell(load, ago=0.0):
        at = now() - timedelta(seconds=ago)
        load = msgspec.structs.replace(load, timestamp=at)
        publish(pack(Snapshot(timestamp=at, collector="w1", load=load, groups={})))

    tell.publish = publish
    yield tell
    api.delete(f"queues/{fresh.vhost}/{log.name}")
    session.declare(log)


def seen_by_a_collector(**broker):
    state = {"state": "up", "location": "amqp://elsewhere/lab", "version": "3.9.9", **broker}
    retrying = Measured(4, EVENTS, 0.0)
    train = GroupLoad(name="train", waiting=Measured(0, PASSIVE, 0.0), retrying=retrying)
    return Load(
        timestamp=now(), broker=BrokerLoad(**state), groups=(train,), notes=("Its own trouble.",)
    )


def test_what_the_collector_tells_is_as_old_as_it_is_and_the_lines_are_counted_now(
    fresh, session, collected
):
    collected(seen_by_a_collector(alarms="none"), ago=3.0)
    session.publish(topology.JOBS, "train.high", Message(body=b"{}"), mandatory=True)
    load = honest(measure(fresh))
    train = group(load, "train")
    assert (train.waiting.value, train.waiting.age_s) == (1, 0.0)
    assert train.retrying.value == 4
    assert 3.0 <= (train.retrying.age_s or 0) < 15.0
    assert (load.broker.location, load.broker.version) == (fresh.location, session.version)
    assert (load.broker.alarms, load.notes) == ("none", ())


def test_what_the_collector_may_not_ask_the_reader_asks(fresh, collected):
    collected(seen_by_a_collector())
    load = honest(measure(fresh))
    assert group(load, "train").retrying.value == 4
    assert load.broker.alarms == "none"
    alone = measure(msgspec.structs.replace(fresh, management_url=None))
    assert alone.broker.alarms is None
    assert "No management API is configured" in " ".join(alone.notes)


def test_nobody_believes_a_collector_that_is_gone_or_speaks_otherwise(fresh, collected):
    collected(seen_by_a_collector(), ago=60.0)
    load = honest(measure(fresh))
    assert [one.name for one in load.groups] == ["train", "infer", "preprocess"]
    assert group(load, "train").retrying == UNKNOWN
    collected.publish(b"of a later version")
    assert group(measure(fresh), "train").retrying == UNKNOWN


# -- what is not known -------------------------------------------------------------------


def test_without_the_management_api_the_rest_is_told_and_rates_are_unknown(fresh, session):
    beat(session)
    for url in (None, f"http://127.0.0.1:{closed_port()}"):
        load = honest(measure(msgspec.structs.replace(fresh, management_url=url)))
        train = group(load, "train")
        assert (train.waiting.value, train.workers.value) == (0, 1)
        assert train.arrival_rate == UNKNOWN
        assert load.broker.alarms is None
        assert "management API" in load.notes[0]


def test_an_account_that_may_not_read_heartbeats_sees_unknown_workers(fresh, account):
    blind = account("^$", "^$", "^aiqueue\\.catalog\\.log$")
    load = honest(measure(blind))
    train = group(load, "train")
    assert train.waiting.value == 0
    assert (train.workers, train.running, train.free) == (UNKNOWN, UNKNOWN, UNKNOWN)
    assert any(blind.username in note for note in load.notes)
    assert "unknown" in load_text(load)


def test_a_broker_that_is_away_is_down_and_says_why(fresh):
    away = msgspec.structs.replace(
        fresh, hosts=(("127.0.0.1", closed_port()),), management_url=None
    )
    load = measure(away)
    assert load.broker.state == "down"
    assert "Nothing listens" in load.broker.message
    assert load.groups == ()
    assert fresh.password not in json.dumps(msgspec.to_builtins(load))


def test_a_broker_that_knows_nothing_of_us_says_so(empty_broker):
    load = measure(empty_broker)
    assert load.broker.state == "up"
    assert load.groups == ()
    assert any("provision" in note for note in load.notes)


# -- plain queues ------------------------------------------------------------------------


@pytest.fixture
def plain(empty_broker):
    """A queue of a plain producer on a broker that knows nothing of us, with 3 messages."""
    with connect(empty_broker, "test") as session:
        session.declare(Queue("ai_task_queue", {"x-queue-type": "classic"}))
        for _ in range(3):
            session.publish("", "ai_task_queue", Message(body=b"{}"), mandatory=True)
        yield session


def test_a_plain_queue_of_a_broker_that_knows_nothing_of_us_is_shown(empty_broker, plain):
    load = honest(measure(empty_broker, ["ai_task_queue"]))
    (queue,) = load.groups
    assert (queue.name, queue.queue) == ("ai_task_queue", "ai_task_queue")
    assert (queue.waiting.value, queue.waiting.source) == (3, PASSIVE)
    assert (queue.workers.value, queue.workers.source) == (0, PASSIVE)
    assert queue.slots == UNKNOWN
    assert not any("provision" in note for note in load.notes)


def test_a_plain_queue_that_is_not_there_is_unknown_and_said(empty_broker):
    load = honest(measure(empty_broker, ["missing"]))
    assert load.groups[0].waiting == UNKNOWN
    assert any("missing" in note for note in load.notes)


@pytest.mark.parametrize("access", ["none", "empty"])
def test_an_account_with_nothing_but_the_management_tag_sees_a_plain_queue(
    empty_broker, plain, access
):
    api = Api(empty_broker)
    api.put("users/watcher", password="pw-watcher-1", tags="management")
    url = f"http://{empty_broker.management_url.rsplit('@', 1)[-1].removeprefix('http://')}"
    watcher = msgspec.structs.replace(
        empty_broker, username="watcher", password="pw-watcher-1", management_url=url
    )
    if access == "none":  # no AMQP at all: only a wrong port stands for that, the API needs a vhost
        watcher = msgspec.structs.replace(watcher, hosts=(("127.0.0.1", closed_port()),))
    api.put(f"permissions/{empty_broker.vhost}/watcher", configure="^$", write="^$", read="^$")
    try:
        load = eventually(
            lambda: (
                (found := honest(measure(watcher, ["ai_task_queue"]))).groups
                and found.groups[0].waiting.value == 3
                and found
            ),
            timeout=20,
            message="the queue's three messages are not seen",
        )
    finally:
        api.delete("users/watcher")
    (queue,) = load.groups
    assert load.broker.state == "up"
    assert queue.waiting.source == (MANAGEMENT if access == "none" else PASSIVE)
    assert "pw-watcher-1" not in load_text(load)
    if access == "none":
        assert any("Only the management API" in note for note in load.notes)
        assert queue.waiting.age_s >= 1


def test_our_workers_of_a_plain_queue_count_though_they_are_no_consumers(fresh, session):
    session.declare(Queue("ai_task_queue", {"x-queue-type": "classic"}))
    beat(session, groups=(), queues=("ai_task_queue",))
    queue = group(measure(fresh, ["ai_task_queue"]), "ai_task_queue")
    assert queue.workers.value == 1
    assert [worker.worker for worker in queue.worker_list] == ["w1"]


# -- the connection ----------------------------------------------------------------------


def test_a_meter_says_that_its_connection_is_lost(fresh):
    with Proxy(fresh) as proxy, connect(proxy.broker, "test") as session:
        meter = Meter(proxy.broker)
        assert meter.measure(session).broker.state == "up"
        proxy.cut()
        with pytest.raises(BrokerUnreachable):
            meter.measure(session)
        meter.close()


def test_the_management_api_is_not_asked_at_every_measurement(fresh, session, monkeypatch):
    asked = []
    overview = Management.overview
    monkeypatch.setattr(Management, "overview", lambda self: (asked.append(1), overview(self))[1])
    meter = Meter(fresh)
    ages = [group(meter.measure(session), "train").arrival_rate for _ in range(5)]
    meter.close()
    assert len(asked) == 1
    assert ages == sorted(ages, key=lambda n: n.age_s or 0)


def test_a_management_api_that_hangs_is_left_alone(fresh, session, monkeypatch):
    asked = []

    class Hangs(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            if not self.path.startswith("/api/overview"):
                over.wait(30)
                return
            body = json.dumps({"rabbitmq_version": "3.10.8", "rates_mode": "basic"}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *said):
            pass

    over = threading.Event()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hangs)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(broker_statistics, "_MANAGEMENT_TIMEOUT", 0.2)
    monkeypatch.setattr(broker_statistics, "_MANAGEMENT_MOST", 0.4)
    monkeypatch.setattr(broker_statistics, "_MANAGEMENT_INTERVAL", 0.0)
    url = f"http://127.0.0.1:{server.server_port}"
    meter = Meter(msgspec.structs.replace(fresh, management_url=url))
    try:
        load = honest(meter.measure(session))
        before = len(asked)
        meter.measure(session)
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        meter.close()
    assert group(load, "train").arrival_rate == UNKNOWN
    assert before <= 4, "it was asked for every queue"
    assert len(asked) == before


# -- sums --------------------------------------------------------------------------------

measured = st.builds(
    lambda v, a: UNKNOWN if v is None else Measured(v, PASSIVE, a),
    st.none() | st.integers(0, 1000),
    st.floats(0, 100),
)


@given(st.lists(measured, max_size=5))
def test_a_sum_with_an_unknown_part_is_unknown_and_as_old_as_its_oldest_part(parts):
    result = total(parts, PASSIVE)
    if not parts or any(part.value is None for part in parts):
        assert result == UNKNOWN
    else:
        assert result.value == sum(part.value for part in parts)
        assert result.age_s == max(part.age_s for part in parts)


def test_a_group_of_which_no_heartbeats_could_be_read_has_unknown_workers():
    waiting = {priority: Measured(1, PASSIVE, 0.0) for priority in Priority}
    load = group_load("train", waiting, UNKNOWN, None, now())
    assert (load.workers, load.running, load.slots, load.free) == (UNKNOWN,) * 4
    assert load.waiting.value == 3


@pytest.mark.parametrize(("silent", "state"), [(14.9, "active"), (15.1, "lost")])
def test_three_missed_heartbeats_make_a_worker_lost(silent, state):
    at = now()
    heartbeat = Heartbeat(worker="w", timestamp=at - timedelta(seconds=silent), interval=5.0)
    assert worker_load(heartbeat, at).state == state
