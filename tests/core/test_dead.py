"""Dead letters: looked at, sent again, saved and discarded without losing any."""

from __future__ import annotations

import json
import os
import stat
import threading
from collections import Counter
from pathlib import Path

import pytest

from jupyter_aiqueue import Client
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.dead import Selection, office
from jupyter_aiqueue.core.dead import queue as queue_module
from jupyter_aiqueue.core.dead.files import save_letter
from jupyter_aiqueue.core.dead.letter import LIMIT, read_letter
from jupyter_aiqueue.core.dead.queue import Look
from jupyter_aiqueue.core.dead.text import letter_text, letters_text
from jupyter_aiqueue.core.errors import (
    AIQueueError,
    AmbiguousJob,
    BrokerUnreachable,
    InvalidJob,
    JobNotFound,
    PermissionRefused,
    UnknownGroup,
)
from jupyter_aiqueue.core.job import Job, Priority
from jupyter_aiqueue.core.message import Message, decode_job, encode_job
from jupyter_aiqueue.core.submitting import Submitter
from jupyter_aiqueue.core.transport import Session, connect

from .looks import clear, url_of
from .wire import Proxy

QUEUE = topology.dead_queue("train")
WORK = topology.work_queue("train", Priority.NORMAL)
TRAIN = Selection(group="train")


def bury(session, *ids, group="train", job=None, **headers):
    for job_id in ids:
        fields = {"id": job_id, "config": {"epochs": 3}, "group": group} | (job or {})
        message = encode_job(Job(**fields))
        message.headers |= {"aiq-reason": "exit-code", "aiq-why": "exit code 1"} | headers
        session.publish(topology.DEAD, f"{group}.normal", message, mandatory=True)


def bury_poison(session, body=b"{", message_id="p1", **headers):
    headers = {"aiq-reason": "malformed-json", "aiq-why": "The body is not JSON."} | headers
    message = Message(body=body, headers=headers, message_id=message_id)
    session.publish(topology.DEAD, "train.normal", message, mandatory=True)


def look(session, group="train", **options):
    limit = options.pop("limit", LIMIT)
    return office.look(session, Selection(group=group, **options), limit=limit)


def ids(letters):
    return [letter.job_id for letter in letters]


def work(session, queue=WORK):
    """Every job that waits, taken for good."""
    found = []
    while (delivery := session.get(queue)) is not None:
        session.ack(delivery)
        found.append(decode_job(delivery.message, group="train"))
    return found


@pytest.fixture
def client(broker):
    client = Client(url_of(broker), inbox="me", record=False)
    yield client
    client.close()


# -- looking -----------------------------------------------------------------------------


def test_a_letter_tells_the_job_and_why_it_is_dead(session):
    bury(session, "j1", **{"aiq-worker": "w1", "aiq-dead-at": "2026-01-01T00:00:00+00:00"})
    (letter,) = look(session)
    assert (letter.job_id, letter.reason, letter.why) == ("j1", "exit-code", "exit code 1")
    assert (letter.worker, letter.died.isoformat()) == ("w1", "2026-01-01T00:00:00+00:00")
    assert letter.job.config == {"epochs": 3}
    assert "exit code 1" in letters_text(look(session))


def test_thirty_looks_lose_nothing_and_keep_the_order(session):
    expected = [f"j{number}" for number in range(12)]
    bury(session, *expected)
    for _ in range(30):
        assert ids(look(session)) == expected
    assert session.count(QUEUE).ready == 12


def test_a_look_that_is_cut_loses_nothing(broker, session):
    bury(session, "j1", "j2", "j3")
    with (
        Proxy(broker) as proxy,
        connect(proxy.broker, "test") as other,
        Look(other, "train") as one,
    ):
        assert len(one.read(lambda _: True, limit=None)) == 3
        proxy.cut()
    for _ in range(100):
        if session.count(QUEUE).ready == 3:
            break
        session.pump(0.1)
    assert sorted(ids(look(session))) == ["j1", "j2", "j3"]


def test_more_letters_than_one_consumer_holds_are_all_seen_and_all_back(session, monkeypatch):
    monkeypatch.setattr(queue_module, "_HELD", 7)
    expected = [f"j{number:02}" for number in range(50)]
    bury(session, *expected)
    for _ in range(3):
        assert sorted(ids(look(session))) == expected
    assert session.count(QUEUE) == (50, 0)


def test_a_limit_says_how_many_there_are(session):
    bury(session, "j1", "j2", "j3")
    bury(session, "k1", **{"aiq-reason": "timeout"})
    letters = look(session, limit=2)
    assert (len(letters), letters.total) == (2, 4)
    assert letters.reasons == {"exit-code": 3, "timeout": 1}
    assert "2 of 4 dead letters are shown" in letters_text(letters)
    assert "1 of 4 dead letters are shown" in letters_text(letters, 1)
    assert len(look(session)) == 4


def test_the_groups_of_a_reason_are_told_also_when_none_of_its_letters_is_shown(session):
    bury(session, "j1", "j2")
    bury(session, "k1", group="infer", **{"aiq-reason": "timeout"})
    letters = office.look(session, Selection(), limit=1)
    lines = letters_text(letters).splitlines()
    assert lines[2].split() == ["timeout", "1", "infer"]


def test_a_reason_that_no_letter_has_is_told_with_those_that_there_are(client, session):
    bury(session, "j1", "j2")
    bury(session, "k1", **{"aiq-reason": "timeout"})
    said = (
        "No dead letter has the reason 'time-out'. The reasons here are exit-code (2), timeout (1)."
    )
    assert letters_text(look(session, reason="time-out")) == said
    assert client.discard_dead(reason="time-out").notes == [said]
    assert client.retry_dead(reason="time-out", group="infer").notes == []
    assert len(look(session)) == 3


def test_bodies_that_memory_is_too_small_for_are_counted_and_said(session, monkeypatch):
    monkeypatch.setattr(queue_module, "_MOST_BYTES", 1000)
    for number in range(5):
        bury_poison(session, body=b"x" * 600, message_id=f"p{number}")
    letters = look(session, limit=None)
    assert (len(letters), letters.total) == (2, 5)
    assert "they are large" in letters_text(letters)


def test_letters_are_grouped_by_reason_the_most_frequent_first(session):
    bury(session, "a", **{"aiq-reason": "timeout"})
    bury(session, "b", "c")
    bury(session, "d", group="infer", **{"aiq-reason": "timeout"})
    bury(session, "e", **{"aiq-reason": "timeout"})
    letters = office.look(session, Selection())
    assert [letter.reason for letter in letters] == ["timeout"] * 3 + ["exit-code"] * 2
    lines = letters_text(letters).splitlines()
    assert lines[1].split() == ["timeout", "3", "train,", "infer"]
    assert ids(look(session, reason="timeout")) == ["a", "e"]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[1]", b"x" * 2_000_000])
def test_a_letter_that_is_no_job_is_shown_as_it_is(session, body):
    bury_poison(session, body=body, message_id="m1")
    (letter,) = look(session)
    assert (letter.job, letter.body, letter.job_id) == (None, body, "m1")
    assert letter.reason == "malformed-json"
    assert "m1" in letter_text(letter, None)


def test_a_letter_without_an_id_has_a_name_all_the_same(session):
    bury_poison(session, message_id=None)
    (letter,) = look(session)
    assert letter.job_id is None
    assert look(session, jobs=(letter.id,)) == [letter]


def test_headers_of_strangers_do_not_disturb(session):
    headers = {"aiq-reason": 5, "aiq-why": {"a": 1}, "x-first-death-reason": "delivery_limit"}
    message = Message(body=json.dumps({"task_id": "a"}).encode(), headers=headers)
    session.publish(topology.DEAD, "train.normal", message, mandatory=True)
    (letter,) = look(session)
    assert (letter.reason, letter.why, letter.job_id) == ("delivery_limit", None, "a")
    assert "delivery_limit" in letters_text(look(session))


def test_a_part_of_an_id_that_fits_only_one_is_enough(session):
    bury(session, "abc-1", "abc-2", "abc-22", "abc-2")
    assert ids(look(session, jobs=("1",))) == ["abc-1"]
    assert ids(look(session, jobs=("abc-2",))) == ["abc-2", "abc-2"]
    with pytest.raises(AmbiguousJob, match="abc-1, abc-2, abc-22"):
        look(session, jobs=("abc",))
    with pytest.raises(JobNotFound, match="'xyz'"):
        look(session, jobs=("xyz",))


def test_an_unknown_group_and_a_missing_permission_are_said(session, account):
    with pytest.raises(UnknownGroup, match="'nobody'"):
        look(session, "nobody")
    bury(session, "j1")
    reader = account("^amq.gen.*$", "^aiqueue.status$|^amq.gen.*$", r"^aiqueue\.catalog.log$")
    with connect(reader, "test") as other, pytest.raises(PermissionRefused) as caught:
        look(other)
    assert "grant read on `aiqueue.dead.train`" in clear(caught.value, reader.password)


def test_groups_that_may_not_be_read_are_said_beside_those_that_may(session, account):
    bury(session, "j1")
    bury(session, "k1", group="infer")
    reader = account("^$", "^$", r"^aiqueue\.(catalog.log|dead.infer)$")
    with connect(reader, "test") as other:
        letters = office.look(other, Selection())
    assert ids(letters) == ["k1"]
    assert "aiqueue.dead.train" in " ".join(letters.notes)


def test_no_letters_is_an_empty_list(session):
    assert look(session) == []
    assert letters_text(look(session)) == "No dead letters."


# -- two people look ---------------------------------------------------------------------


def test_who_comes_second_waits_until_the_first_has_finished(session, broker):
    bury(session, "j1", "j2")
    reading = threading.Event()

    def first():
        with connect(broker, "first") as other, Look(other, "train") as one:
            assert len(one.read(lambda _: True, limit=None)) == 2
            reading.set()
            other.pump(0.3)

    thread = threading.Thread(target=first)
    thread.start()
    assert reading.wait(20)
    letters = look(session)
    thread.join()
    assert (sorted(ids(letters)), letters.notes) == (["j1", "j2"], [])


def test_letters_that_somebody_else_holds_are_said_to_be_missing(session, broker, monkeypatch):
    monkeypatch.setattr(queue_module, "_OTHERS_PATIENCE", 0.1)
    bury(session, "j1", "j2")
    with connect(broker, "first") as other, Look(other, "train") as one:
        assert len(one.read(lambda _: True, limit=None)) == 2
        letters = look(session)
        assert letters == []
        assert "Somebody else is looking" in letters_text(letters)
        with pytest.raises(JobNotFound, match="Somebody else is looking"):
            look(session, jobs=("j1",))
    assert sorted(ids(look(session))) == ["j1", "j2"]


def test_letters_that_are_taken_away_while_one_looks_are_counted(session, broker, monkeypatch):
    monkeypatch.setattr(queue_module, "_ARRIVAL_PATIENCE", 0.2)
    monkeypatch.setattr(queue_module, "_HELD", 1)
    bury(session, "j1", "j2", "j3")
    with connect(broker, "other") as other, Look(session, "train") as one:
        assert one.there == 3
        held = [other.get(QUEUE), other.get(QUEUE)]
        assert None not in held
        assert len(one.read(lambda _: True, limit=None)) == 1
        assert one.notes == [
            "2 of 3 dead letters of group train are being looked at by somebody else now."
        ]


# -- sending again -----------------------------------------------------------------------


def test_a_letter_that_no_ledger_knows_is_sent_again_with_changes(client, session):
    job = {
        "config": {"epochs": 3, "lr": 0.1}, "task": "t", "name": "n", "timeout": 60.0,
        "attempt": 3, "max_attempts": 4, "history": ("attempt 1: exit code 1",),
    }  # fmt: skip
    bury(session, "train_001", job=job)
    (handle,) = client.retry_dead(["001"], changes={"lr": 0.01})
    (new,) = work(session)
    assert (new.id, new.retry_of, new.attempt, new.history) == (handle.id, "train_001", 1, ())
    assert new.config == {"task_id": new.id, "epochs": 3, "lr": 0.01}
    assert (new.task, new.name, new.timeout, new.max_attempts) == ("t", "n", 60.0, 4)
    assert (new.inbox, new.user) == ("me", client.broker.username)
    assert client.dead() == []
    assert client.job(handle.id).record.retry_of == "train_001"


def test_a_retry_has_what_is_said_and_the_rest_from_the_old_job(client, session):
    job = {"task": "t", "name": "n", "max_attempts": 4, "queue": "their_queue"}
    bury(session, "train_001", job=job)
    handle = client.retry("train_001", task="u", group="infer", priority="high", timeout=9.0)
    (new,) = work(session, topology.work_queue("infer", Priority.HIGH))
    assert (new.id, new.task, new.timeout) == (handle.id, "u", 9.0)
    assert (new.name, new.max_attempts, new.retry_of) == ("n", 4, "train_001")
    bury(session, "train_002")
    with pytest.raises(InvalidJob, match="urgent"):
        client.retry("train_002", priority="urgent")
    assert ids(client.dead()) == ["train_002"]


def test_retry_finds_a_job_among_the_dead_letters(client, session):
    bury(session, "train_001", "train_002")
    assert client.retry("train_001").record.retry_of == "train_001"
    assert ids(client.dead()) == ["train_002"]
    with pytest.raises(JobNotFound, match=r"%jobs --all"):
        client.retry("nothing-like-it")


def test_all_letters_of_a_reason_are_sent_again_and_no_others(client, session):
    bury(session, "a", "b")
    bury(session, "c", **{"aiq-reason": "timeout"})
    bury(session, "d", group="infer")
    done = client.retry_dead(reason="exit-code", changes={"epochs": 5})
    assert {handle.record.retry_of for handle in done} == {"a", "b", "d"}
    assert done.notes == []
    assert [job.config["epochs"] for job in work(session)] == [5, 5]
    assert ids(client.dead()) == ["c"]


def test_a_job_sent_again_belongs_to_whom_it_belonged_before(client, session):
    owner = {"inbox": "alice", "notebook": "/home/alice/a.ipynb", "user": "alice"}
    bury(session, "a", job=owner)
    session.declare(topology.inbox("alice"))
    client.retry_dead()
    (new,) = work(session)
    assert (new.inbox, new.notebook) == ("alice", "/home/alice/a.ipynb")
    assert new.user == client.broker.username
    assert session.count(topology.inbox_queue("alice")).ready == 1
    assert client.records() == []  # its events never come here


def test_two_letters_of_one_death_become_one_job(client, session):
    bury(session, "a", "a")
    assert len(client.retry_dead()) == 1
    assert len(work(session)) == 1
    assert client.dead() == []


def test_a_letter_whose_id_belongs_to_another_job_is_left_unless_asked_for(client, session):
    bury(session, "a")
    bury(session, "a", job={"config": {"epochs": 9}}, **{"aiq-reason": "duplicate-job-id"})
    done = client.retry_dead()
    assert [job.config["epochs"] for job in work(session)] == [3]
    assert "`--reason duplicate-job-id`" in " ".join(done.notes)
    assert len(client.retry_dead(reason="duplicate-job-id")) == 1
    assert [job.config["epochs"] for job in work(session)] == [9]


def test_poison_is_left_and_said_and_asked_for_by_name_it_is_an_error(client, session):
    bury(session, "a")
    bury_poison(session)
    done = client.retry_dead()
    assert len(done) == 1
    assert "cannot be read as jobs: 1" in " ".join(done.notes)
    with pytest.raises(InvalidJob, match="--save FOLDER") as caught:
        client.retry_dead(["p1"])
    assert caught.value.reason == "malformed-json"
    assert ids(client.dead()) == ["p1"]


def test_a_change_that_cannot_be_sent_leaves_every_letter(client, session):
    bury(session, "a", "b")
    with pytest.raises(InvalidJob, match="JSON"):
        client.retry_dead(changes={"lr": float("nan")})
    assert sorted(ids(client.dead())) == ["a", "b"]
    assert work(session) == []


def test_a_job_of_a_plain_queue_without_a_worker_says_so_and_stays(client, session):
    bury(session, "a", job={"queue": "ai_task_queue"})
    with pytest.raises(UnknownGroup, match="worker --queue ai_task_queue"):
        client.retry_dead(["a"])
    assert ids(client.dead()) == ["a"]


def test_the_letter_goes_only_after_the_new_job_is_confirmed(client, session, monkeypatch):
    def lost(self, session, job):
        raise BrokerUnreachable("The connection was lost.")

    bury(session, "a")
    monkeypatch.setattr(Submitter, "publish", lost)
    with pytest.raises(BrokerUnreachable):
        client.retry_dead()
    assert ids(client.dead()) == ["a"]


def test_a_connection_lost_between_job_and_letter_sends_no_second_job(broker, session, monkeypatch):
    # Given a connection that is lost after the new job is confirmed
    bury(session, "a", "b")
    with Proxy(broker) as proxy:
        client = Client(url_of(proxy.broker), inbox="me", record=False)
        announce, cuts = Submitter.announce, []

        def cut(self, session, job):
            if not cuts:
                cuts.append(job.id)
                proxy.cut()
            return announce(self, session, job)

        monkeypatch.setattr(Submitter, "announce", cut)
        # When all are sent again
        done = client.retry_dead()
        client.close()
    # Then each has one new job, and no letter is left
    assert len(cuts) == 1
    assert Counter(job.retry_of for job in work(session)) == {"a": 1, "b": 1}
    assert len(done) == 2
    assert look(session) == []


def test_a_confirm_that_was_lost_is_asked_for_again_under_the_same_id(client, session, monkeypatch):
    publish, lost = Submitter.publish, []

    def unsure(self, session, job):
        place = publish(self, session, job)
        if not lost:
            lost.append(job.id)
            raise BrokerUnreachable("The connection was lost.")
        return place

    bury(session, "a")
    monkeypatch.setattr(Submitter, "publish", unsure)
    (handle,) = client.retry_dead()
    assert lost == [handle.id]
    assert {job.id for job in work(session)} == {handle.id}
    assert client.dead() == []


def test_rounds_go_on_until_all_are_sent_again(client, session, monkeypatch):
    monkeypatch.setattr(queue_module, "_MOST_BYTES", 100)
    names = [f"j{number:02}" for number in range(20)]
    for name in names:
        bury(session, name, job={"config": {"note": "x" * 60}})
    assert len(client.retry_dead()) == 20
    assert sorted(job.retry_of for job in work(session)) == names
    assert client.dead() == []


def test_retrying_a_recorded_job_leaves_the_letter_of_another_with_its_id(client, session):
    bury(session, "exp-1", "exp-10")
    bury(session, "exp-1", job={"config": {"n": 2}}, **{"aiq-reason": "duplicate-job-id"})
    record = client.submit("t", {}, job_id="exp-1").record
    assert client._remove_letters(record) == []
    assert [(one.job_id, one.reason) for one in client.dead()] == [
        ("exp-1", "duplicate-job-id"),
        ("exp-10", "exit-code"),
    ]
    client.discard_dead(["exp-1"])
    assert client._remove_letters(record) == []
    assert ids(client.dead()) == ["exp-10"]


# -- files, and removing -----------------------------------------------------------------


def test_discarding_takes_what_is_named_and_nothing_else(client, session):
    bury(session, "j1", "j2", "j1", "j3")
    assert client.discard_dead(["j1"]) == ["j1", "j1"]
    assert ids(client.dead()) == ["j2", "j3"]
    with pytest.raises(JobNotFound):
        client.discard_dead(["j1"])
    bury_poison(session)
    assert client.discard_dead(reason="malformed-json") == ["p1"]
    assert ids(client.dead()) == ["j2", "j3"]


def test_saved_letters_are_files_for_this_user_only_and_stay_in_their_queue(
    client, session, tmp_path
):
    bury_poison(session, body=b"\xff{", message_id="../evil\nname", **{"aiq-worker": "w1"})
    (path,) = client.save_dead(tmp_path / "new" / "folder")
    told = json.loads(path.read_text())
    body = path.parent / told["body"]
    assert body.read_bytes() == b"\xff{"
    assert (told["job_id"], told["reason"], told["worker"]) == (
        "../evil\nname",
        "malformed-json",
        "w1",
    )
    assert told["headers"]["aiq-why"] == "The body is not JSON."
    assert path.parent == tmp_path / "new" / "folder"
    for file in (path, body):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(client.dead()) == 1


def test_saving_overwrites_nothing(client, session, tmp_path):
    bury_poison(session)
    assert client.save_dead(tmp_path) == [tmp_path / "p1.json"]
    first = (tmp_path / "p1.json").read_bytes()
    (second,) = client.save_dead(tmp_path)
    assert second != tmp_path / "p1.json"
    assert (tmp_path / "p1.json").read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 4


def test_a_saved_letter_is_removed_only_when_its_files_are_on_disk(
    client, session, tmp_path, monkeypatch
):
    bury_poison(session)
    order = []
    fsync, ack = os.fsync, Session.ack

    def noted_sync(descriptor):
        order.append("sync")
        return fsync(descriptor)

    def noted_ack(self, delivery):
        if delivery.queue == QUEUE:
            order.append("ack")
        return ack(self, delivery)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", noted_sync)
        patch.setattr(Session, "ack", noted_ack)
        client.save_dead(tmp_path, ["p1"], discard=True)
    assert order == ["sync", "sync", "sync", "ack"]  # body, description, folder
    assert client.dead() == []


def test_a_folder_that_cannot_be_written_is_said_and_removes_nothing(client, session, tmp_path):
    bury_poison(session)
    (tmp_path / "file").write_text("")
    with pytest.raises(AIQueueError, match="cannot be saved"):
        client.save_dead(tmp_path / "file", discard=True)
    assert ids(client.dead()) == ["p1"]


def test_whatever_headers_somebody_sends_can_be_saved(tmp_path: Path):
    headers = {"a": b"\xff", "b": {"c": [1, {"d": b"\0"}]}, "e": float("nan"), "f": "\ud800"}
    message = Message(body=b"", headers=headers)
    path = save_letter(read_letter(message, "train"), tmp_path)
    assert set(json.loads(path.read_text())["headers"]) == set("abef")


# -- as a table --------------------------------------------------------------------------


def test_the_table_has_one_row_per_letter_and_rows_can_be_sent_again(client, session):
    bury(
        session, "a", job={"task": "t", "name": "n", "attempt": 3, "history": ("x",)},
        **{"aiq-worker": "w1", "aiq-dead-at": "2026-01-01T00:00:00+00:00"},
    )  # fmt: skip
    bury(session, "b", job={"config": {"epochs": 30}})
    bury_poison(session, message_id=None)
    table = client.dead_table()
    assert list(table["reason"]) == ["exit-code", "exit-code", "malformed-json"]
    first = table.set_index("id").loc["a"]
    assert (first["task"], first["name"], first["attempts"], first["worker"]) == (
        "t", "n", 3, "w1",
    )  # fmt: skip
    assert first["dead_at"].isoformat() == "2026-01-01T00:00:00+00:00"
    assert table.set_index("id").loc["b", "attempts"] == 0  # refused, and said so
    assert table["attempts"].isna().sum() == 1  # no job
    client.retry_dead(table[table["config.epochs"] == 30]["id"])
    assert [job.retry_of for job in work(session)] == ["b"]
    assert client.dead_table(reason="no-such").empty
    assert list(table[table["retryable"]]["id"]) == ["b", "a"] or len(table) == 3
