"""One poller for all who look; it sleeps when nobody does."""

from __future__ import annotations

import threading
import time

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import monitor as monitor_module
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.errors import NoBroker
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.monitor import Monitor

from .wire import closed_port


@pytest.fixture
def monitors():
    made = []

    def make(broker, **options):
        find = broker if callable(broker) else lambda: broker
        made.append(Monitor(find, **{"interval": 0.1} | options))
        made[-1].start()
        return made[-1]

    yield make
    for monitor in made:
        monitor.stop()
    assert not [t for t in threading.enumerate() if t.name == "monitor"]


def test_nobody_looks_and_nothing_is_asked(broker, monitors):
    asked = []
    monitors(lambda: asked.append(1) or broker)
    time.sleep(0.3)
    assert asked == []


def test_a_look_waits_for_the_first_load_and_later_looks_wait_for_nothing(broker, monitors):
    monitor = monitors(broker)
    assert monitor.look().broker.state == "up"
    began = time.monotonic()
    for _ in range(100):
        monitor.look()
    assert time.monotonic() - began < 5


def test_all_who_look_share_one_connection(proxy, monitors):
    monitor = monitors(proxy.broker)
    threads = [threading.Thread(target=monitor.look) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert proxy.accepted == 1


def test_new_loads_are_told_and_kept_as_history(broker, session, monitors):
    loads = []
    monitor = monitors(broker, on_load=loads.append)
    monitor.look()
    session.publish(topology.JOBS, "train.high", Message(body=b"{}"), mandatory=True)
    eventually(
        lambda: any(point["waiting"] == 1 for point in monitor.history()["train"]),
        message="the waiting job is not in the history",
    )
    assert len(loads) >= 2
    point = monitor.history()["train"][0]
    assert set(point) == {"timestamp", "waiting", "running"}


def test_it_sleeps_when_nobody_looks_any_longer_and_wakes_for_the_next_look(
    proxy, monitors, monkeypatch
):
    monkeypatch.setattr(monitor_module, "_ATTENTION", 0.4)
    loads = []
    monitor = monitors(proxy.broker, on_load=loads.append)
    first = monitor.look()
    eventually(lambda: not proxy.open, message="the connection of a sleeper stays open")
    seen = len(loads)
    time.sleep(0.5)
    assert len(loads) == seen
    assert monitor.look().timestamp > first.timestamp  # not what it knew before it slept


def test_an_away_broker_is_said_at_once_and_asked_less_and_less(broker, monitors, monkeypatch):
    pauses = []
    monkeypatch.setattr(Monitor, "_pause", lambda _, s: (pauses.append(s), time.sleep(0.01)))
    away = msgspec.structs.replace(
        broker, hosts=(("127.0.0.1", closed_port()),), management_url=None
    )
    monitor = monitors(away)
    load = monitor.look()
    assert load.broker.state == "down"
    assert "Nothing listens" in load.broker.message
    eventually(lambda: len(pauses) >= 10, message="it does not try again")
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert max(pauses) == 15.0


def test_it_recovers_by_itself_when_the_broker_is_back(broker, monitors):
    brokers = [msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),)), broker]
    monitor = monitors(lambda: brokers.pop(0) if len(brokers) > 1 else brokers[0])
    assert monitor.look().broker.state == "down"
    eventually(lambda: monitor.look().broker.state == "up", message="it stays down")


def test_a_cut_connection_shows_as_down_and_is_made_again(proxy, monitors):
    monitor = monitors(proxy.broker)
    assert monitor.look().broker.state == "up"
    proxy.cut()
    eventually(lambda: proxy.accepted >= 2, message="no second connection")
    eventually(lambda: monitor.look().broker.state == "up", message="it stays down")


def test_no_broker_is_a_load_that_says_so(monitors):
    def find():
        raise NoBroker("No broker is configured.")

    load = monitors(find).look()
    assert (load.broker.state, load.broker.message) == ("down", "No broker is configured.")


@pytest.mark.parametrize("where", ["find", "on_load"])
def test_a_fault_does_not_end_the_monitor(broker, monitors, where, monkeypatch, caplog):
    monkeypatch.setattr(monitor_module, "_LONGEST_WAIT", 0.1)
    faults = []

    def fault(*_):
        if len(faults) < 2:
            faults.append(1)
            raise ZeroDivisionError(where)
        return broker

    monitor = monitors(fault) if where == "find" else monitors(broker, on_load=fault)
    eventually(
        lambda: monitor.look().broker.state == "up" and len(faults) == 2,
        message="the monitor does not go on",
    )
    assert "ZeroDivisionError" in caplog.text


def test_stopping_is_quick_asleep_awake_and_before_the_start(broker, monitors):
    began = time.monotonic()
    asleep, awake = monitors(broker), monitors(broker)
    awake.look()
    asleep.stop()
    awake.stop()
    Monitor(lambda: broker).stop()
    assert time.monotonic() - began < 8


def test_a_look_never_waits_longer_than_it_says(monitors):
    stuck = threading.Event()

    def find():
        stuck.wait(20)
        raise NoBroker("No broker.")

    monitor = monitors(find)
    began = time.monotonic()
    assert monitor.look(timeout=0.2).broker.state == "down"
    assert time.monotonic() - began < 5
    stuck.set()


def test_the_lines_are_counted_between_two_snapshots(broker, session, monitors):
    monitor = monitors(broker, interval=60, pace=0.05)
    before = train(monitor)
    assert before.waiting.value == 0

    session.publish(topology.JOBS, "train.high", Message(body=b"{}"), mandatory=True)

    eventually(lambda: train(monitor).waiting.value == 1, message="the job is not counted")
    after = train(monitor)
    assert after.waiting_by_priority["high"].value == 1
    assert after.waiting.age_s == 0
    # What was not asked for again is older now, and no point of the history.
    assert after.dead.age_s > before.dead.age_s
    assert len(monitor.history()["train"]) == 1


def train(monitor):
    return next(group for group in monitor.look().groups if group.name == "train")
