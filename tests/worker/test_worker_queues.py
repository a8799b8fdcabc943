"""Which queue a worker takes from, and what it says of itself."""

from __future__ import annotations

import json
from pathlib import Path

import pika
import pytest
from scene import Playing, Tape, body, eventually, make_job, make_tasks, marks, playing

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.worker.tasks import Tasks

QUICK = "[tasks.mark]\ncommand = ['sh', 'mark.sh']\n"


@pytest.fixture
def quick(tmp_path: Path) -> Tasks:
    """A task that starts in a millisecond and writes down its job."""
    (tmp_path / "mark.sh").write_text(f'echo "$AIQUEUE_JOB_ID" >> {tmp_path}/marks\n')
    return make_tasks(tmp_path, QUICK)


def plain(broker: Broker) -> pika.BlockingConnection:
    """A connection as somebody without our package makes it."""
    host, port = broker.hosts[0]
    credentials = pika.PlainCredentials(broker.username, broker.password)
    return pika.BlockingConnection(pika.ConnectionParameters(host, port, broker.vhost, credentials))


def test_high_comes_before_normal_before_low_but_low_does_not_starve(
    broker: Broker, tape: Tape, quick: Tasks, tmp_path: Path
) -> None:
    levels = [Priority.LOW] * 8 + [Priority.NORMAL] * 8 + [Priority.HIGH] * 8
    jobs = [make_job(id=f"{level.value}-{n}", priority=level) for n, level in enumerate(levels)]
    tape.submit(*jobs)
    with playing(broker, quick):
        for job in jobs:
            tape.end(job.id)
    order = [mark.split("-")[0] for mark in marks(tmp_path / "marks")]
    expected = ["high"] * 8 + ["normal", "low"] + ["normal"] * 7 + ["low"] * 7
    assert order == expected, "every tenth take starts from the lowest"


def test_a_worker_takes_as_many_jobs_as_it_has_slots_and_no_more(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    jobs = [make_job({"wait-for": str(go)}) for _ in range(3)]
    with playing(broker, tasks, slots=2):
        tape.submit(*jobs)
        eventually(lambda: sum("started" in tape.kinds(job.id) for job in jobs) == 2)
        eventually(lambda: tape.beats and len(tape.beats[-1].running) == 2)
        assert tape.ready("aiqueue.train.normal") == 1, "the third waits where others can take it"
        go.touch()
        for job in jobs:
            tape.end(job.id)


def test_heartbeats_tell_what_runs_what_ended_and_that_the_worker_stopped(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    job = make_job({"wait-for": str(go), "report": '{"progress": 0.25}'}, user="alice", name="n")
    with playing(broker, tasks, name="w1", slots=3):
        tape.submit(job)
        tape.wait(job.id, Kind.STARTED)
        beat = eventually(
            lambda: [b for b in tape.beats if b.running and b.running[0].progress], "no progress"
        )[-1]
        (running,) = beat.running
        assert (running.job_id, running.group, running.progress) == (job.id, "train", 0.25)
        assert (running.task, running.user, running.name) == ("child", "alice", "n")
        assert running.since == tape.of(job.id, Kind.STARTED)[0].timestamp
        assert (beat.worker, beat.state, beat.slots) == ("w1", "active", 3)
        assert (beat.groups, beat.tasks) == (("train",), ("child",))
        go.touch()
        tape.end(job.id)
        eventually(lambda: job.id in tape.beats[-1].finished and not tape.beats[-1].running)
    eventually(lambda: tape.beats[-1].state == "stopped")


def test_a_plain_producers_hundred_messages_are_all_worked(
    broker: Broker, tape: Tape, tmp_path: Path
) -> None:
    # Given a producer that knows nothing of us, and its own durable classic queue
    (tmp_path / "train.sh").write_text(f'echo "$*" >> {tmp_path}/marks\n')
    tasks = make_tasks(
        tmp_path,
        "[tasks.train]\ncommand = ['sh', 'train.sh']\n"
        "flags = { model_type = '--model', data_path = '--data' }\n",
    )
    with plain(broker) as connection:
        channel = connection.channel()
        channel.queue_declare(queue="ai_task_queue", durable=True)
        for n in range(100):
            task = {
                "task_id": f"train_{n:03}",
                "model_type": "resnet50",
                "data_path": "/data/train_set_v2",
                "epochs": 10,
            }
            channel.basic_publish("", "ai_task_queue", json.dumps(task))
    # When a worker serves that queue
    with playing(broker, tasks, group=None, queues=["ai_task_queue"], slots=2):
        eventually(lambda: sum(e.event is Kind.SUCCEEDED for e in tape.events) == 100, timeout=90)
        eventually(lambda: tape.ready("ai_task_queue") == 0)
    # Then each of them ran once, with its own parameters, and nothing is dead
    assert (
        marks(tmp_path / "marks")
        == ["--model resnet50 --data /data/train_set_v2 --epochs 10"] * 100
    )
    ended = [event.job_id for event in tape.events if event.event.is_final]
    assert sorted(ended) == [f"train_{n:03}" for n in range(100)]
    assert tape.dead() == []


def test_a_plain_consumer_can_work_a_hundred_of_our_jobs(broker: Broker, tape: Tape) -> None:
    tape.submit(*(make_job({"model_type": f"m{n}", "epochs": n}) for n in range(100)))
    models = []
    with plain(broker) as connection:
        channel = connection.channel()
        for method, _, data in channel.consume("aiqueue.train.normal", inactivity_timeout=5):
            assert method is not None, f"only {len(models)} came"
            models.append(json.loads(data)["model_type"])
            channel.basic_ack(method.delivery_tag)
            if len(models) == 100:
                break
    assert models == [f"m{n}" for n in range(100)]
    assert tape.ready("aiqueue.train.normal") == 0


def test_a_plain_producers_job_is_retried_in_its_own_queue_and_dies_in_ours(
    broker: Broker, tape: Tape, tasks: Tasks, tmp_path: Path
) -> None:
    tape.link.call(lambda s: s.declare(topology.Queue("tasks.v1", {})))
    message = body(**{"task_id": "t1", "mark": str(tmp_path / "marks"), "exit-code": 1})
    with playing(broker, tasks, queues=["tasks.v1"]), plain(broker) as connection:
        connection.channel().basic_publish("", "tasks.v1", message)
        end = tape.end("t1", timeout=60)
    assert end.event is Kind.DEAD
    assert end.inbox is None
    assert marks(tmp_path / "marks") == ["t1 1", "t1 2", "t1 3"]
    (letter,) = tape.dead()
    assert letter.body == message
    assert letter.headers["aiq-queue"] == "tasks.v1"


def test_a_plain_queue_that_is_not_there_is_served_when_it_appears(
    broker: Broker, tape: Tape, tasks: Tasks
) -> None:
    with playing(broker, tasks, queues=["late"]) as scene:
        scene.said("there is no queue late yet")
        job = make_job()
        tape.submit(job)
        assert tape.end(job.id).event is Kind.SUCCEEDED
        with plain(broker) as connection:
            channel = connection.channel()
            channel.queue_declare("late", durable=True)
            channel.basic_publish("", "late", body(task_id="t1"))
            scene.said("the queue late is there now")
            assert tape.end("t1").event is Kind.SUCCEEDED
            channel.queue_delete("late")
        scene.said("there is no queue late yet", 2)
        again = make_job()
        tape.submit(again)
        assert tape.end(again.id).event is Kind.SUCCEEDED


def test_an_unknown_group_ends_the_worker_with_the_known_ones(broker: Broker, tasks: Tasks) -> None:
    scene = Playing(broker, tasks, group="trian")
    assert scene.ended() == 1
    scene.said("no group 'trian'; it has train, infer, preprocess")


def test_a_retry_delay_without_its_queue_ends_the_worker_at_its_start(
    broker: Broker, tmp_path: Path
) -> None:
    tasks = make_tasks(tmp_path, f"{QUICK}[retry]\ndelays = [77]\n")
    scene = Playing(broker, tasks)
    assert scene.ended() == 1
    scene.said("no retry queue for a delay of 77 s")


def test_a_broker_that_is_not_set_up_is_waited_for(empty_broker: Broker, tasks: Tasks) -> None:
    scene = Playing(empty_broker, tasks)
    scene.said("jupyter aiqueue provision")
    scene.worker.drain()
    assert scene.ended() == 0
