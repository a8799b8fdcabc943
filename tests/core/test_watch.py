"""News of single jobs, as they happen."""

from __future__ import annotations

import time

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, new_job_id
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.watch import Watch

from .wire import closed_port


@pytest.fixture
def watches(broker):
    made = []

    def make(at=broker):
        made.append(Watch(at if callable(at) else lambda: at))
        return made[-1]

    yield make
    for watch in made:
        watch.close()


def job_of(**fields):
    return Job(**{"id": new_job_id(), "config": {}, "group": "train", "inbox": "me"} | fields)


def tell(session, job, *kinds):
    for kind in kinds:
        publish_event(session, make_event(kind, job, run="a"))


def heard(into, *kinds):
    eventually(
        lambda: [event.event for event in into] == list(kinds),
        message=f"not heard: {kinds}, but {[event.event for event in into]}",
    )


def test_a_listener_hears_everything_of_its_job_from_the_moment_it_is_added(session, watches):
    watch, mine, other = watches(), job_of(), job_of()
    news = []
    watch.add(mine.id, news.append)
    tell(session, other, Kind.STARTED)
    tell(session, mine, Kind.STARTED, Kind.PROGRESS, Kind.LOG, Kind.SUCCEEDED)
    heard(news, Kind.STARTED, Kind.PROGRESS, Kind.LOG, Kind.SUCCEEDED)


def test_jobs_of_plain_producers_with_odd_ids_are_heard(session, watches):
    job, news = job_of(id="run 1.2/#*", inbox=None), []
    watches().add(job.id, news.append)
    tell(session, job, Kind.STARTED, Kind.PROGRESS)
    heard(news, Kind.STARTED, Kind.PROGRESS)


def test_two_ids_that_look_alike_in_a_key_are_told_apart(session, watches):
    one, two = job_of(id="run.1"), job_of(id="run_1")
    watch, news = watches(), []
    watch.add(one.id, news.append)
    tell(session, two, Kind.STARTED)
    tell(session, one, Kind.SUCCEEDED)
    heard(news, Kind.SUCCEEDED)


def test_several_listeners_hear_and_one_that_left_does_not(session, watches):
    watch, job = watches(), job_of()
    first, second = [], []
    watch.add(job.id, first.append)
    watch.add(job.id, second.append)
    tell(session, job, Kind.STARTED)
    heard(first, Kind.STARTED)
    heard(second, Kind.STARTED)
    watch.remove(job.id, first.append)
    watch.remove(job.id, first.append)
    tell(session, job, Kind.SUCCEEDED)
    heard(second, Kind.STARTED, Kind.SUCCEEDED)
    heard(first, Kind.STARTED)


def test_a_faulty_listener_and_a_malformed_event_keep_nothing_from_the_others(
    session, watches, caplog
):
    watch, job, news = watches(), job_of(), []

    def fault(event):
        raise ZeroDivisionError

    watch.add(job.id, fault)
    watch.add(job.id, news.append)
    session.publish(topology.EVENTS, f"me.train.x.{job.id}", Message(body=b"nothing"))
    tell(session, job, Kind.STARTED, Kind.SUCCEEDED)
    heard(news, Kind.STARTED, Kind.SUCCEEDED)
    assert "ZeroDivisionError" in caplog.text


def test_it_hears_again_after_the_connection_was_cut(proxy, session, watches):
    watch, job, news = watches(proxy.broker), job_of(), []
    watch.add(job.id, news.append)
    proxy.cut()
    eventually(lambda: proxy.accepted >= 2, message="no second connection")
    eventually(lambda: tell(session, job, Kind.STARTED) or news, message="nothing is heard")


def test_adding_while_the_broker_is_away_does_not_wait_and_is_made_up_for(broker, session, watches):
    at = [msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))]
    watch, job, news = watches(lambda: at[-1]), job_of(), []
    began = time.monotonic()
    watch.add(job.id, news.append, timeout=30)
    assert time.monotonic() - began < 10
    at.append(broker)
    eventually(lambda: tell(session, job, Kind.STARTED) or news, message="nothing is heard")


def test_a_closed_watch_can_be_used_again(session, watches):
    watch, job, news = watches(), job_of(), []
    watch.add(job.id, news.append)
    watch.close()
    watch.close()
    watch.add(job.id, news.append)
    tell(session, job, Kind.STARTED)
    heard(news, Kind.STARTED)
