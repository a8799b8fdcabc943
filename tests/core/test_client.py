"""Submitting, waiting, cancelling and retrying, as scripts and magics do."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from datetime import timedelta
from types import SimpleNamespace

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue import Client
from jupyter_aiqueue.core import handle as handle_module
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.cancelling import cancel
from jupyter_aiqueue.core.errors import (
    AmbiguousJob,
    BrokerError,
    BrokerUnreachable,
    InvalidJob,
    JobNotFound,
    JobNotOver,
    NoBroker,
    PermissionRefused,
    UnknownGroup,
)
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.handle import newer
from jupyter_aiqueue.core.job import JobRecord, Priority, Result, State, now
from jupyter_aiqueue.core.kept import KeptConnection
from jupyter_aiqueue.core.ledger import ledger_path, read_ledger
from jupyter_aiqueue.core.message import decode_job, encode_job
from jupyter_aiqueue.core.publisher import publish_event
from jupyter_aiqueue.core.status import decode_ask_log, decode_cancel
from jupyter_aiqueue.core.stream import replay
from jupyter_aiqueue.core.transport import connect

from .looks import clear, url_of
from .wire import closed_port

QUEUE = topology.work_queue("train", Priority.NORMAL)


@pytest.fixture
def clients(broker):
    made = []

    def make(at=broker, **options):
        made.append(Client(url_of(at), **{"inbox": "me"} | options))
        return made[-1]

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(clients):
    """A client that records its jobs itself, as in plain Python."""
    return clients()


@pytest.fixture
def notebook(tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "train.ipynb").write_text("{}")
    return folder / "train.ipynb"


class Worker:
    """Stands for a worker: takes jobs and tells events, as the test says."""

    def __init__(self, session):
        self.session = session

    def take(self, queue=QUEUE):
        delivery = self.session.get(queue)
        assert delivery is not None, f"{queue} is empty"
        self.session.ack(delivery)
        return decode_job(delivery.message, group="train")

    def tell(self, job, kind, **fields):
        event = make_event(kind, job, run="a", worker="w1", **fields)
        publish_event(self.session, event)
        return event


@pytest.fixture
def worker(session):
    return Worker(session)


# -- submitting --------------------------------------------------------------------------


def test_a_submitted_job_is_in_its_queue_with_all_that_was_said(client, worker, notebook):
    handle = client.submit(
        "train_model",
        {"model_type": "resnet50", "epochs": 10},
        group="infer",
        priority="high",
        retries=4,
        timeout=60,
        name="first",
    )
    job = worker.take(topology.work_queue("infer", Priority.HIGH))
    assert job.config == {"task_id": handle.id, "model_type": "resnet50", "epochs": 10}
    assert (job.id, job.task, job.name, job.timeout) == (handle.id, "train_model", "first", 60.0)
    assert (job.max_attempts, job.attempt, job.inbox) == (5, 1, "me")
    assert job.user == client.broker.username
    assert (handle.state, handle.notes) == (State.QUEUED, [])


def test_the_place_in_line_counts_higher_priorities_and_not_lower_ones(client):
    for priority in ("high", "normal", "normal", "low"):
        client.submit("t", {}, priority=priority)
    assert client.submit("t", {}).place == 3
    assert client.submit("t", {}, priority="high").place == 1
    assert client.submit("t", {}, priority="low").place == 6


def test_a_submitted_job_is_recorded_beside_its_notebook(clients, notebook):
    client = clients(notebook=notebook)
    handle = client.submit("t", {"epochs": 3})
    eventually(ledger_path(notebook).exists, message="no ledger")
    (event,) = eventually(lambda: read_ledger(ledger_path(notebook)), message="no event")
    assert (event.event, event.job_id, event.config["epochs"]) == (Kind.SUBMITTED, handle.id, 3)
    assert client.records(notebook=notebook)[0].job_id == handle.id


def test_many_jobs_are_submitted_over_one_connection(proxy, clients, session):
    client = clients(proxy.broker, record=False)
    handles = client.submit_many([{"seed": n} for n in range(30)], task="t", name="sweep")
    assert session.count(QUEUE).ready == 30
    assert len({handle.id for handle in handles}) == 30
    assert proxy.accepted == 1
    assert [h.record.config["seed"] for h in handles] == list(range(30))


@pytest.mark.parametrize(
    ("fields", "error", "part"),
    [
        ({"group": "trian"}, UnknownGroup, "train, infer, preprocess"),
        ({"group": "a.b"}, InvalidJob, "a.b"),
        ({"group": 5}, InvalidJob, "5"),
        ({"priority": "urgent"}, InvalidJob, "urgent"),
        ({"retries": -1}, InvalidJob, "-1"),
        ({"retries": 1.5}, InvalidJob, "1.5"),
        ({"retries": "2"}, InvalidJob, "2"),
        ({"retries": True}, InvalidJob, "True"),
        ({"timeout": 0}, InvalidJob, "0"),
        ({"timeout": "soon"}, InvalidJob, "soon"),
        ({"timeout": float("nan")}, InvalidJob, "nan"),
        ({"config": {"lr": float("nan")}}, InvalidJob, "JSON"),
        ({"config": {"x": "x" * 2_000_000}}, InvalidJob, "bytes"),
        ({"config": {1: 2}}, InvalidJob, "string keys"),
        ({"config": [1]}, InvalidJob, "dictionary"),
        ({"task": "t" * 300}, InvalidJob, "255"),
        ({"task": 5}, InvalidJob, "text"),
        ({"name": 5}, InvalidJob, "text"),
        ({"job_id": "a\nb"}, InvalidJob, "printable"),
    ],
    ids=str,
)
def test_what_cannot_be_submitted_is_refused_and_nothing_is_published(
    client, session, fields, error, part
):
    with pytest.raises(error) as caught:
        client.submit(**{"task": "t", "config": {}} | fields)
    assert part in str(caught.value)
    for queue in topology.queues(topology.Catalog(retry_delays=(1, 2, 3))):
        if queue.name.startswith(("aiqueue.train", "aiqueue.infer")):
            assert session.count(queue.name).ready == 0


def test_a_broker_that_is_away_is_one_clear_error(clients, broker):
    away = msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))
    client = clients(away)
    with pytest.raises(BrokerUnreachable) as caught:
        client.submit("t", {})
    assert "Nothing listens" in clear(caught.value, broker.password)


def test_without_a_broker_recorded_jobs_are_read_and_a_submit_says_so(tmp_path, monkeypatch):
    for name in ("AIQUEUE_URL", "AIQUEUE_MANAGEMENT_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name))
    client = Client()
    try:
        assert client.records() == []
        with pytest.raises(NoBroker, match="jupyter aiqueue up"):
            client.submit("train_model", {})
    finally:
        client.close()


def test_a_connection_that_died_between_two_submits_is_not_noticed(proxy, clients, session):
    client = clients(proxy.broker, record=False)
    client.submit("t", {})
    proxy.cut()
    client.submit("t", {})
    assert session.count(QUEUE).ready == 2


def test_a_confirm_that_was_lost_costs_at_most_a_second_copy_of_the_same_job(
    proxy, clients, session
):
    client = clients(proxy.broker, record=False)
    client.submit("t", {})
    proxy.cut_after(b"the marked one")
    handle = client.submit("t", {"name": "the marked one"})
    ids = []
    while (delivery := session.get(QUEUE)) is not None:
        session.ack(delivery)
        ids.append(delivery.message.message_id)
    assert set(ids[1:]) == {handle.id}
    assert 1 <= len(ids[1:]) <= 2
    assert proxy.accepted == 2


def test_a_connection_lost_after_the_submit_does_not_submit_twice_and_is_announced(
    proxy, clients, session
):
    client = clients(proxy.broker, record=False)
    client.submit("t", {})
    proxy.cut_after(b'"event":"submitted"')  # the job is confirmed by then
    handle = client.submit("t", {"name": "second"})
    assert session.count(QUEUE).ready == 2
    told = session.count(topology.inbox_queue("me")).ready
    assert 2 <= told <= 3  # the event may have come twice: it has an id
    assert not any("announced" in note for note in handle.notes)


def test_nobody_who_records_is_said_with_how_to_change_it(clients):
    (note,) = clients(record=False).submit("t", {}).notes
    assert "jupyter aiqueue recorder" in note
    assert "'me'" in note


def test_a_folder_that_cannot_be_written_is_said_and_the_job_is_safe(
    clients, notebook, session, monkeypatch
):
    monkeypatch.setattr("jupyter_aiqueue.core.submitting.os.access", lambda *_: False)
    (note,) = clients(notebook=notebook).submit("t", {}).notes
    assert str(notebook.parent) in note
    assert session.count(QUEUE).ready == 1


def test_a_client_in_a_kernel_belongs_to_its_notebook(clients, notebook, monkeypatch):
    notebook.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    assert clients().notebook == str(notebook)
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(notebook.with_name("other.ipynb")))
    assert clients().notebook == str(notebook.with_name("other.ipynb"))
    monkeypatch.delenv("AIQUEUE_NOTEBOOK")
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook.parent) + "/")  # a console
    assert clients().notebook is None


def test_a_full_disk_is_said_and_the_job_is_safe(clients, notebook, session, monkeypatch):
    full = SimpleNamespace(free=4096)
    monkeypatch.setattr("jupyter_aiqueue.core.submitting.shutil.disk_usage", lambda _: full)
    (note,) = clients(notebook=notebook).submit("t", {}).notes
    assert str(notebook.parent) in note
    assert "full" in note
    assert session.count(QUEUE).ready == 1


def test_a_kernel_of_a_jupyter_server_leaves_recording_to_it(clients, monkeypatch, session):
    monkeypatch.setenv("AIQUEUE_RECORDER", "server")
    clients().submit("t", {})
    assert session.count(topology.inbox_queue("me")) == (1, 0)


def test_an_account_that_may_only_submit_can_submit_and_wait(account, clients, session, worker):
    session.declare(topology.inbox("me"))
    submitter = account(
        r"^(amq\.gen.*)$",
        r"^(aiqueue\.(jobs|events|control)|amq\.gen.*)$",
        r"^(aiqueue\.events|amq\.gen.*)$",
    )
    client = clients(submitter, record=False)
    handle = client.submit("t", {"epochs": 1})
    job = worker.take()
    assert (job.id, job.user) == (handle.id, submitter.username)
    client.watch.add(handle.id, print)  # nobody records: an end before this would be missed
    done = threading.Timer(0.3, lambda: worker.tell(job, Kind.SUCCEEDED))
    done.start()
    assert handle.wait(timeout=20).state is State.SUCCEEDED
    done.join()
    with pytest.raises(UnknownGroup) as caught:
        client.submit("t", {}, group="trian")
    assert "'trian'" in clear(caught.value, submitter.password)


def test_an_account_that_may_not_submit_is_said(account, clients, session):
    session.declare(topology.inbox("me"))
    with pytest.raises(PermissionRefused) as caught:
        clients(account("^$", "^$", "^$"), record=False).submit("t", {})
    assert "aiqueue.jobs" in str(caught.value)


def test_a_client_shows_no_password(client):
    assert client.broker.password not in repr(client)


# -- waiting and looking -----------------------------------------------------------------


def test_wait_returns_with_the_result_when_the_job_ends(client, worker):
    handle = client.submit("t", {})
    job = worker.take()
    worker.tell(job, Kind.STARTED)
    worker.tell(job, Kind.SUCCEEDED, metrics={"loss": 0.1}, result=Result(exit_code=0), log="end\n")
    record = handle.wait(timeout=20)
    assert (record.state, record.metrics) == (State.SUCCEEDED, {"loss": 0.1})
    assert (handle.result.exit_code, handle.log()) == (0, "end\n")
    assert client.records()[0].state is State.SUCCEEDED


def test_wait_is_woken_by_the_event_and_not_only_by_looking(clients, worker, monkeypatch):
    monkeypatch.setattr(handle_module, "_LOOK_INTERVAL", 1000.0)
    monkeypatch.setattr(handle_module, "_RECORD_PATIENCE", 0.0)
    client = clients(record=False)
    handle = client.submit("t", {})
    client.watch.add(handle.id, print)
    job = worker.take()
    end = threading.Timer(0.5, lambda: worker.tell(job, Kind.FAILED, reason="exit code 1"))
    end.start()
    assert handle.wait(timeout=60).reason == "exit code 1"
    end.join()


def test_wait_finds_in_the_ledger_what_it_did_not_hear(client, worker, monkeypatch):
    monkeypatch.setattr(client.watch, "add", lambda *_, **__: None)
    handle = client.submit("t", {})
    worker.tell(worker.take(), Kind.SUCCEEDED)
    assert handle.wait(timeout=20).state is State.SUCCEEDED


def test_wait_says_what_the_job_does_when_its_patience_ends(clients, worker):
    handle = clients(record=False).submit("t", {})
    with pytest.raises(TimeoutError, match=rf"{handle.id} is queued after 0.1 s; it goes on"):
        handle.wait(timeout=0.1)


def test_wait_keeps_to_its_timeout_though_the_broker_is_away(proxy, clients):
    client = clients(proxy.broker, record=False)
    handle = client.submit("t", {})
    proxy.swallowing = True
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        handle.wait(timeout=0.3)
    assert time.monotonic() - began < 4
    proxy.cut()


def test_wait_leaves_nobody_listening(clients):
    client = clients(record=False)
    handle = client.submit("t", {})
    with pytest.raises(TimeoutError):
        handle.wait(timeout=0.1)
    assert dict(client.watch._listeners) == {}


def test_changes_are_told_until_the_end_and_not_after_they_are_declined(clients, worker):
    handle = clients(record=False).submit("t", {})
    told, declined = [], []
    handle.on_change(lambda record: told.append((record.state, record.progress)))
    stop = handle.on_change(declined.append)
    stop()
    job = worker.take()
    worker.tell(job, Kind.STARTED)
    worker.tell(job, Kind.PROGRESS, progress=0.5)
    worker.tell(job, Kind.SUCCEEDED, progress=1.0)
    expected = [(State.RUNNING, None), (State.RUNNING, 0.5), (State.SUCCEEDED, 1.0)]
    eventually(lambda: told == expected, message=f"told: {told}")
    assert declined == []


def test_a_handle_survives_its_kernel(client, clients, worker, notebook):
    handle = client.submit("t", {"epochs": 3}, name="first")
    job = worker.take()
    worker.tell(job, Kind.SUCCEEDED)
    handle.wait(timeout=20)
    client.close()
    again = clients(record=False).job(handle.id[-8:])
    assert (again.id, again.state, again.record.config["epochs"]) == (
        handle.id,
        State.SUCCEEDED,
        3,
    )


def test_a_job_is_found_at_once_after_its_submit(clients):
    client = clients(record=False)
    handle = client.submit("t", {})
    assert client.job(handle.id[-8:]).id == handle.id
    assert [record.job_id for record in client.records()] == [handle.id]


def test_unknown_and_ambiguous_ids_are_errors(client):
    with pytest.raises(JobNotFound, match="nothing-like-it"):
        client.job("nothing-like-it")
    for job_id in ("exp-1", "exp-2"):
        client.submit("t", {}, job_id=job_id)
    eventually(lambda: len(client.ledgers.records()) == 2, message="not recorded")
    with pytest.raises(AmbiguousJob, match="exp-1, exp-2"):
        client.job("exp")


def test_jobs_are_a_table(client, worker):
    handle = client.submit("t", {"epochs": 3}, name="first")
    worker.tell(worker.take(), Kind.SUCCEEDED, metrics={"loss": 0.5}, result=Result(exit_code=0))
    handle.wait(timeout=20)
    table = client.jobs()
    row = table.loc[handle.id]
    assert (row["state"], row["config.epochs"], row["metrics.loss"]) == ("succeeded", 3, 0.5)
    assert row["result.exit_code"] == 0
    assert str(table["submitted_at"].dtype).startswith("datetime64")
    assert "config.task_id" not in table
    assert client.jobs(limit=0).empty


def test_the_log_of_a_running_job_is_asked_of_its_worker(client, worker, session):
    handle = client.submit("t", {})
    job = worker.take()
    worker.tell(job, Kind.STARTED)
    eventually(lambda: handle.state is State.RUNNING, message="not running")
    asked = session.temporary_queue([(topology.CONTROL, "log.*")])
    answers = []

    def answer(delivery):
        session.ack(delivery)
        answers.append(decode_ask_log(delivery.message.body).job_id)
        worker.tell(job, Kind.LOG, log="epoch 1\n", log_offset=0)

    session.consume(asked, answer)
    found = []
    thread = threading.Thread(target=lambda: found.append(handle.log()))
    thread.start()
    while thread.is_alive():
        session.pump(0.1)
    assert (found, answers) == (["epoch 1\n"], [job.id])


def test_a_worker_that_does_not_send_the_log_is_said(client, worker, monkeypatch):
    monkeypatch.setattr(handle_module, "_LOG_PATIENCE", 0.2)
    handle = client.submit("t", {})
    worker.tell(worker.take(), Kind.STARTED)
    eventually(lambda: handle.state is State.RUNNING, message="not running")
    with pytest.raises(BrokerUnreachable, match="w1"):
        handle.log()


def test_following_a_job_ends_with_it(client, worker):
    handle = client.submit("t", {})
    job = worker.take()
    events: list[Event] = []
    thread = threading.Thread(target=lambda: events.extend(client.follow(handle.id)))
    thread.start()
    eventually(lambda: client.watch._listeners.get(handle.id), message="nobody follows")
    client.watch.add(handle.id, lambda _: None)  # when this returns, so has the other
    for kind in (Kind.STARTED, Kind.LOG, Kind.SUCCEEDED):
        worker.tell(job, kind)
    thread.join(20)
    assert [event.event for event in events] == [Kind.STARTED, Kind.LOG, Kind.SUCCEEDED]


def test_following_ends_when_told_or_after_silence(clients):
    client = clients(record=False)
    handle = client.submit("t", {})
    stop = threading.Event()
    stop.set()
    assert list(client.follow(handle.id, stop=stop)) == []
    assert list(client.follow(handle.id, timeout=0.1)) == []


def test_of_two_records_of_a_job_the_one_that_knows_more_is_believed():
    early, late = now(), now() + timedelta(seconds=5)
    queued = JobRecord(job_id="j", updated_at=early)
    running = JobRecord(job_id="j", state=State.RUNNING, attempt=1, updated_at=late)
    second = JobRecord(job_id="j", state=State.RUNNING, attempt=2, updated_at=early)
    ended = JobRecord(job_id="j", state=State.FAILED, attempt=1, updated_at=early)
    for known, better in ((queued, running), (running, second), (second, ended)):
        assert newer(known, better) is better
        assert newer(better, known) is better


# -- acting ------------------------------------------------------------------------------


def cancels(session):
    messages = replay(session, topology.CONTROL, topology.CONTROL_LOG)
    found = set()
    for message in messages:
        with suppress(InvalidJob):  # what other tests have left there
            found.add(decode_cancel(message.body).job_id)
    return found


def test_a_waiting_job_is_cancelled_at_once(client, session):
    handle = client.submit("t", {})
    eventually(lambda: client.ledgers.records(), message="not recorded")
    assert "will not start" in handle.cancel()
    assert handle.id in cancels(session)
    eventually(lambda: handle.state is State.CANCELLED, message="not cancelled")
    assert "is cancelled already" in handle.cancel()


def test_a_job_that_has_ended_cannot_be_cancelled(client):
    for state, said in ((State.SUCCEEDED, "has succeeded"), (State.DEAD, "is dead")):
        record = JobRecord(job_id="j1", state=state)
        assert cancel(client._connection, record, inbox="me") == f"Job j1 {said} already."


def test_a_job_can_be_cancelled_right_after_its_submit_and_by_who_does_not_record(clients, session):
    handle = clients(record=False).submit("t", {})
    assert "is sent" in handle.cancel()  # its start may wait unrecorded in the inbox
    assert handle.id in cancels(session)


def test_a_running_job_is_stopped_by_its_worker(client, worker, session):
    handle = client.submit("t", {})
    job = worker.take()
    worker.tell(job, Kind.STARTED)
    eventually(lambda: handle.state is State.RUNNING, message="not running")
    assert "w1" in client.cancel(handle.id[-8:])
    assert handle.id in cancels(session)
    eventually(lambda: handle.record.cancelling, message="the cancel does not show")
    worker.tell(job, Kind.CANCELLED)
    assert handle.wait(timeout=20).state is State.CANCELLED


def test_a_cancel_of_an_unknown_job_is_an_error(client):
    with pytest.raises(JobNotFound):
        client.cancel("nothing-like-it")


def test_a_retry_is_a_new_job_that_knows_what_it_repeats(clients, client, worker, notebook):
    beside = clients(notebook=notebook)
    handle = beside.submit(
        "t", {"epochs": 3, "lr": 0.1}, group="infer", priority="high", retries=0, timeout=60,
        name="first",
    )  # fmt: skip
    queue = topology.work_queue("infer", Priority.HIGH)
    worker.tell(worker.take(queue), Kind.FAILED, reason="exit code 1")
    handle.wait(timeout=20)
    again = client.retry(handle.id, {"lr": 0.01})
    job = worker.take(queue)
    assert (job.id, job.retry_of) == (again.id, handle.id)
    assert again.id != handle.id
    assert job.config == {"task_id": again.id, "epochs": 3, "lr": 0.01}
    assert (job.task, job.name, job.timeout, job.max_attempts) == ("t", "first", 60.0, 1)
    assert job.notebook == str(notebook)
    assert (again.record.retry_of, again.record.notebook) == (handle.id, str(notebook))
    assert handle.state is State.FAILED


def test_a_job_that_has_not_ended_is_not_retried(client):
    handle = client.submit("t", {})
    with pytest.raises(JobNotOver, match="queued"):
        handle.retry()


def test_retrying_a_dead_job_takes_its_letter_away_and_no_other(client, worker, session):
    handles = [client.submit("t", {"n": n}) for n in range(2)]
    for _ in handles:
        job = worker.take()
        session.publish(topology.DEAD, "train.normal", encode_job(job), mandatory=True)
        worker.tell(job, Kind.DEAD, reason="exit code 1")
    handles[0].wait(timeout=20)
    assert {letter.job_id for letter in client.dead("train")} == {h.id for h in handles}
    handles[0].retry()
    assert [letter.job_id for letter in client.dead()] == [handles[1].id]


# -- the connection ----------------------------------------------------------------------


def test_a_connection_is_kept_for_the_next_call_and_closed_when_none_comes(proxy, monkeypatch):
    monkeypatch.setattr("jupyter_aiqueue.core.kept.KEEP", 0.3)
    kept = KeptConnection(lambda: proxy.broker, "test")
    for _ in range(3):
        kept.use(lambda session: session.count(QUEUE))
    assert proxy.accepted == 1
    eventually(lambda: proxy.open == 0, message="an unused connection stays open")
    kept.use(lambda session: session.count(QUEUE))
    assert proxy.accepted == 2
    kept.close()


def test_an_error_that_is_no_loss_of_the_connection_is_not_tried_again(proxy):
    kept, tries = KeptConnection(lambda: proxy.broker, "test"), []

    def work(session):
        tries.append(session)
        session.count("missing")

    with pytest.raises(BrokerError):
        kept.use(work)
    assert (len(tries), proxy.accepted) == (1, 1)
    kept.close()


def test_an_interrupted_use_does_not_leave_half_an_answer_for_the_next(proxy):
    kept = KeptConnection(lambda: proxy.broker, "test")

    def interrupted(session):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept.use(interrupted)
    assert kept.use(lambda session: session.count(QUEUE)).ready == 0
    assert proxy.accepted == 2
    kept.close()


def test_closing_ends_every_connection_and_thread(proxy, clients):
    before = threading.active_count() - 2 * proxy.open
    client = clients(proxy.broker)
    client.watch.add("j", print)
    client.submit("t", {})
    client.close()
    eventually(lambda: proxy.open == 0, message="a connection stays open")
    eventually(lambda: threading.active_count() <= before, message="a thread stays")


def test_a_held_job_is_recorded_and_released_now(broker, client):
    handle = client.submit("train_model", {"epochs": 1}, when="depth > 1000", by="08:00")
    assert handle.state is State.HELD
    assert handle.place is None
    assert handle.record.hold == "depth > 1000, in any case by 08:00"
    with connect(broker, "test") as session:
        assert session.count(topology.HELD).ready == 1
        assert "as soon as a worker is connected" in handle.release()
        told = replay(session, topology.CONTROL, topology.CONTROL_LOG)
    assert [m.routing_key for m in told if handle.id in m.routing_key] == [f"release.{handle.id}"]


def test_a_job_for_a_group_that_is_not_there_is_not_held(client):
    with pytest.raises(UnknownGroup, match="it has train"):
        client.submit("train_model", {}, group="nowhere", when="depth < 5")


def test_only_held_jobs_are_released(client):
    handle = client.submit("train_model", {})
    assert handle.release() == f"Job {handle.id} is queued; it is not held."
