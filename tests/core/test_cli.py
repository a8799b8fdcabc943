"""Every command: what it prints, what it returns, and one sentence when it cannot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading

import pytest
from waiting import eventually

from jupyter_aiqueue import Client, node
from jupyter_aiqueue._version import __version__
from jupyter_aiqueue.cli import main
from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.handle import JobHandle
from jupyter_aiqueue.core.job import Job, Priority
from jupyter_aiqueue.core.ledger import ledger_path, read_ledger
from jupyter_aiqueue.core.message import Message, decode_job, encode_job
from jupyter_aiqueue.core.publisher import publish_event

from .wire import closed_port

QUEUE = topology.work_queue("train", Priority.NORMAL)


@pytest.fixture
def run(broker, monkeypatch, capsys):
    """Runs a command: ``run("submit", …)`` is (exit code, standard output, standard error)."""
    monkeypatch.setenv("AIQUEUE_INBOX", "me")

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as left:  # argparse
            code = left.code
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        assert broker.password not in out + err
        return code, out, err

    return run


@pytest.fixture
def recorded(broker, monkeypatch):
    """A client that records while the test runs."""
    monkeypatch.setenv("AIQUEUE_INBOX", "me")
    client = Client()
    client.records()
    yield client
    client.close()


@pytest.fixture
def notebook(tmp_path):
    (tmp_path / "train.ipynb").write_text("{}")
    return tmp_path / "train.ipynb"


def take(session, queue=QUEUE):
    delivery = session.get(queue)
    session.ack(delivery)
    return decode_job(delivery.message, group="train")


def told(output):
    """The one JSON object that a command printed."""
    return json.loads(output)


def submitted(run, *arguments):
    code, out, _ = run("submit", "t", *arguments, "--json")
    assert code == 0
    return told(out)["job_id"]


def known(client, job_id, state="queued"):
    def look():
        return [r for r in client.ledgers.records() if (r.job_id, r.state.value) == (job_id, state)]

    return eventually(look, message=f"{job_id} is not recorded as {state}")


def test_submit_prints_the_id_and_sends_typed_values(run, session, tmp_path):
    config = tmp_path / "base.toml"
    config.write_text('model = "resnet50"\nepochs = 1\n')
    code, out, err = run("submit", "train_model", "epochs=10", "lr=1e-3", "--config", config)
    job = take(session)
    assert code == 0
    assert job.id in out
    assert err == ""
    code, out, _ = run("job", job.id, "--json")  # known to the next command, without a recorder
    assert code == 0
    assert json.loads(out)["state"] == "queued"
    assert job.config == {"task_id": job.id, "model": "resnet50", "epochs": 10, "lr": 0.001}
    code, out, _ = run(
        "submit", "t", "--group", "infer", "--priority", "high", "--retries", 0,
        "--timeout", 60, "--name", "first", "--json",
    )  # fmt: skip
    job = take(session, topology.work_queue("infer", Priority.HIGH))
    assert told(out) == {"job_id": job.id, "place": 0}
    assert (job.max_attempts, job.timeout, job.name) == (1, 60.0, "first")


def test_submit_for_a_notebook_is_recorded_beside_it(run, recorded, notebook):
    job_id = submitted(run, "--notebook", notebook)
    eventually(
        lambda: ledger_path(notebook).exists() and read_ledger(ledger_path(notebook)),
        message="not recorded beside the notebook",
    )
    _, out, _ = run("jobs", "--notebook", notebook, "--json")
    assert [job["job_id"] for job in told(out)["jobs"]] == [job_id]


@pytest.mark.parametrize(("end", "code"), [(Kind.SUCCEEDED, 0), (Kind.FAILED, 1)])
def test_submit_and_wait_returns_how_it_ended_though_nobody_else_records(run, session, end, code):
    def work():
        job = take(session) if eventually(lambda: session.count(QUEUE).ready, message="none") else 0
        publish_event(session, make_event(end, job, run="a", worker="w", metrics={"loss": 0.5}))

    thread = threading.Thread(target=work)
    thread.start()
    found, out, err = run("submit", "t", "--wait", "--json")
    thread.join()
    assert err == f"Submitted {told(out)['job_id']}\n"
    assert (found, told(out)["state"], told(out)["metrics"]) == (code, end.value, {"loss": 0.5})


def test_who_stops_waiting_is_told_that_the_job_goes_on(run, session, monkeypatch):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(JobHandle, "wait", interrupted)
    code, _, err = run("submit", "t", "--wait")
    assert code == 130
    assert f"job {take(session).id} goes on" in err


def test_a_config_value_written_as_an_option_is_answered_with_how_it_is_written(run):
    code, _, err = run("submit", "finetune", "--steps", "2")
    assert code == 2
    assert "KEY=VALUE here: steps=2" in err
    assert "steps=VALUE" in run("submit", "finetune", "--steps", "--fast")[2]
    assert "KEY=VALUE" not in run("status", "--steps", "2")[2]
    # The magic has an option for the task.
    assert "submit TASK KEY=VALUE" in run("submit", "--task", "finetune", "steps=2")[2]
    assert "the task comes first" in run("submit", "steps=2", "finetune")[2]


def test_every_command_has_one_line_beside_its_name(run, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    _, out, _ = run("--help")
    assert "    provision    Set up a shared broker" in out


def test_jobs_and_job_print_what_is_recorded(run, recorded, session):
    job_id = submitted(run, "epochs=3", "--name", "first")
    job = take(session)
    publish_event(session, make_event(Kind.SUCCEEDED, job, run="a", worker="w", log="the end\n"))
    known(recorded, job_id, "succeeded")
    code, out, _ = run("jobs")
    assert code == 0
    assert "first" in out
    assert "succeeded" in out
    assert told(run("jobs", "--state", "queued", "--json")[1]) == {"jobs": []}
    assert len(told(run("jobs", "-n", "1", "--json")[1])["jobs"]) == 1
    code, out, _ = run("job", job_id[-8:])
    assert job_id in out
    found = told(run("job", job_id, "--json")[1])
    assert (found["job_id"], found["state"], found["config"]["epochs"]) == (job_id, "succeeded", 3)
    assert run("job", job_id, "--log")[1] == "the end\n"
    assert told(run("job", job_id, "--log", "--json")[1])["log"] == "the end\n"


def test_cancel_says_what_will_happen(run, recorded):
    job_id = submitted(run)
    known(recorded, job_id)
    code, out, _ = run("cancel", job_id, "--json")
    assert code == 0
    assert "will not start" in told(out)["message"]
    known(recorded, job_id, "cancelled")


def test_retry_submits_again_with_changes(run, recorded, session, notebook):
    job_id = submitted(run, "epochs=3", "--notebook", notebook)
    publish_event(session, make_event(Kind.FAILED, take(session), run="a"))
    known(recorded, job_id, "failed")
    code, out, _ = run("retry", job_id[-8:], "epochs=5", "--json")
    job = take(session)
    assert code == 0
    assert (told(out)["job_id"], job.retry_of) == (job.id, job_id)
    assert (job.config["epochs"], job.notebook) == (5, str(notebook))


def test_dead_prints_reasons_and_survives_bodies_that_are_no_text(run, session):
    job_id = submitted(run)
    letter = encode_job(take(session))
    letter.headers |= {"aiq-reason": "exit-code", "aiq-why": "exit code 1"}
    session.publish(topology.DEAD, "train.normal", letter, mandatory=True)
    letter.body = b"\xff"
    session.publish(topology.DEAD, "infer.low", letter, mandatory=True)
    code, out, _ = run("dead")
    assert code == 0
    assert "exit code 1" in out
    assert job_id in out
    found = told(run("dead", "infer", "--json")[1])["dead"]
    assert [one["reason"] for one in found] == ["exit-code"]


@pytest.fixture
def letters(session):
    """Two jobs and a message that is none, dead."""
    for name, reason in (("exp-a", "exit-code"), ("exp-b", "timeout")):
        letter = encode_job(Job(id=name, config={"epochs": 3}, group="train"))
        letter.headers |= {"aiq-reason": reason, "aiq-why": "it failed"}
        session.publish(topology.DEAD, "train.normal", letter, mandatory=True)
    poison = Message(body=b"{", headers={"aiq-reason": "malformed-json"}, message_id="poison")
    session.publish(topology.DEAD, "train.normal", poison, mandatory=True)


def test_a_reason_that_no_letter_has_is_told_with_those_that_there_are(run, letters):
    assert "reasons here are exit-code (1)" in run("dead", "--reason", "exitcode")[1]
    code, out, err = run("dead", "--discard", "--yes", "--reason", "exitcode")
    assert (code, out) == (0, "Nothing was discarded.\n")
    assert "reasons here are" in err


def left(run):
    return sorted(letter["id"] for letter in told(run("dead", "--json")[1])["dead"])


def test_dead_counts_by_reason_and_tells_everything_about_one(run, letters):
    found = told(run("dead", "-n", "1", "--json")[1])
    assert (len(found["dead"]), found["total"]) == (1, 3)
    assert found["reasons"] == {"exit-code": 1, "malformed-json": 1, "timeout": 1}
    assert "1 of 3 dead letters are shown" in run("dead", "-n", "1")[1]
    code, out, _ = run("dead", "exp-a")
    assert code == 0
    assert '"epochs": 3' in out
    assert "exp-b" not in out
    assert told(run("dead", "train", "--reason", "timeout", "--json")[1])["total"] == 1


def test_retry_sends_dead_jobs_again_that_no_ledger_knows(run, letters, session):
    code, out, err = run("retry", "exp-a", "poison", "exp-b", "epochs=5", "--json")
    assert code == 1  # one of them is no job
    assert "poison" in err
    jobs = {take(session).id, take(session).id}
    assert {job["job_id"] for job in told(out)["jobs"]} == jobs
    assert {job["retry_of"] for job in told(out)["jobs"]} == {"exp-a", "exp-b"}
    assert left(run) == ["poison"]


def test_a_retry_may_run_another_task_and_says_which_values_are_new(run, letters, session):
    code, _, err = run("retry", "exp-a", "task=foo", "--task", "finetune", "--group", "infer")
    job = take(session, topology.work_queue("infer", Priority.NORMAL))
    assert (code, job.task, job.config["task"]) == (0, "finetune", "foo")
    assert "task is new: the config had no such value. The option is `--task`." in err
    code, _, err = run("dead", "exp-b", "--retry", "--name", "second", "--retries", 0, "seed=1")
    job = take(session)
    assert (code, job.name, job.max_attempts, job.config["seed"]) == (0, "second", 1, 1)
    assert "seed is new" in err
    assert left(run) == ["poison"]


def test_acting_on_all_dead_letters_has_to_be_confirmed(run, letters, session):
    for act in ("--retry", "--discard"):
        code, _, err = run("dead", act, "--reason", "timeout")
        assert code == 1
        assert "1 dead letters: add --yes" in err
    code, out, _ = run("dead", "train", "--retry", "--reason", "timeout", "epochs=9", "--yes")
    assert code == 0
    assert "exp-b is submitted again as" in out
    assert take(session).config["epochs"] == 9
    assert run("dead", "exp-a", "--discard")[:2] == (0, "discarded: exp-a\n")
    assert left(run) == ["poison"]


def test_dead_letters_are_saved_and_then_discarded(run, letters, tmp_path):
    folder = tmp_path / "letters"
    code, out, _ = run("dead", "--reason", "malformed-json", "--save", folder, "--json")
    assert (code, told(out)) == (0, {"saved": [str(folder / "poison.json")]})
    assert (folder / "poison.body").read_bytes() == b"{"
    run("dead", "poison", "--save", folder, "--discard")
    assert left(run) == ["exp-a", "exp-b"]
    assert len(list(folder.iterdir())) == 4


def test_status_prints_the_load(run):
    code, out, _ = run("status")
    assert code == 0
    assert all(word in out for word in ("train", "infer", "preprocess", "As of"))
    found = told(run("status", "--queue", "missing", "--json")[1])
    assert found["broker"]["state"] == "up"
    queue = found["groups"][-1]
    assert (queue["name"], queue["waiting"]["value"]) == ("missing", None)


def test_provision_can_be_repeated_and_says_what_it_did(run):
    arguments = ("provision", "--groups", "train", "infer", "preprocess")
    delays = ("--retry-delays", "1", "2", "3")
    code, out, _ = run(*arguments, *delays)
    assert code == 0
    assert "declared" in out
    assert told(run(*arguments, *delays, "--json")[1])["done"]


def test_doctor_says_how_things_are(run):
    code, out, _ = run("doctor", "--json")
    assert all({"level", "what"} <= set(finding) for finding in told(out)["findings"])
    assert code in (0, 1)
    assert run("doctor")[1].strip()


def test_up_and_down_report_the_node(run, monkeypatch, tmp_path):
    # What starting takes is tested with the node.
    found = node.Node.__struct_fields__
    values = dict.fromkeys(found) | {
        "url": "amqp://u:s3cr3t@127.0.0.1:5/",
        "rabbitmq": "3.10.8",
        "data_dir": str(tmp_path),
        "notes": (),
    }
    monkeypatch.setattr(node, "up", lambda **_: node.Node(**values))
    monkeypatch.setattr(node, "down", lambda **_: True)
    code, out, _ = run("up", "--json")
    assert (code, told(out)["state"]) == (0, "up")
    assert "s3cr3t" not in out + run("up")[1]
    assert told(run("down", "--json")[1]) == {"state": "down", "was_running": True}


@pytest.mark.parametrize(
    "arguments",
    [
        ("submit", "t"),
        ("submit", "t", "--wait"),
        ("dead",),
        ("provision",),
    ],
    ids=" ".join,
)
def test_a_broker_that_is_away_is_one_sentence_and_exit_code_1(run, monkeypatch, arguments):
    monkeypatch.setenv("AIQUEUE_URL", f"amqp://u:s3cr3t@127.0.0.1:{closed_port()}/")
    monkeypatch.delenv("AIQUEUE_MANAGEMENT_URL")
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert "Nothing listens" in err
    assert len(err.strip().splitlines()) == 1
    assert "s3cr3t" not in err
    code, out, _ = run(*arguments, "--json")
    assert code == 1
    assert told(out)["error"] == "BrokerUnreachable"


def test_status_of_a_broker_that_is_away_says_so(run, monkeypatch):
    monkeypatch.setenv("AIQUEUE_URL", f"amqp://127.0.0.1:{closed_port()}/")
    code, out, _ = run("status")
    assert code == 1
    assert "down" in out
    assert "Nothing listens" in out


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("submit", "t", "--group", "trian"), "train"),
        (("submit", "t", "epochs"), "KEY=VALUE"),
        (("submit", "t", "--config", "missing.yaml"), "missing.yaml"),
        (("submit", "t", "--retries", "-1"), "0 to 999"),
        (("job", "nothing-like-it"), "nothing-like-it"),
        (("cancel", "nothing-like-it"), "jupyter aiqueue jobs"),
        (("jobs", "--notebook", "nosuch.ipynb"), "no notebook nosuch.ipynb"),
        (("retry", "nothing-like-it"), "nothing-like-it"),
        (("dead", "trian"), "trian"),
        (("dead", "epochs=3"), "goes with --retry"),
        (("dead", "train", "infer"), "One group at a time"),
        (("dead", "train", "--group", "infer"), "One group at a time"),
        (("dead", "--task", "finetune"), "--task is for new jobs"),
        (("dead", "--save", "x", "--retry"), "--save goes alone"),
        (("retry", "epochs=3"), "Give its id"),
        (("provision", "--groups", "a.b"), "a.b"),
        (("provision", "--retry-delays", "0"), "from 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_cannot_be_done_is_one_sentence_and_exit_code_1(run, arguments, part):
    code, out, err = run(*arguments)
    assert (code, out) == (1, "")
    assert part in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("fly",),
        ("submit",),
        ("submit", "t", "--priority", "urgent"),
        ("jobs", "-n", "many"),
        ("dead", "--fly"),
        ("status", "x"),
    ],
)
def test_wrong_usage_is_exit_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert "usage" in err


def test_the_version_is_printed(run):
    assert run("--version")[1].strip() == __version__


def test_the_recorder_records_tells_and_ends_on_a_signal(run, notebook):
    recorder = subprocess.Popen(
        [sys.executable, "-m", "jupyter_aiqueue.cli", "recorder", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"AIQUEUE_INBOX": "me"},
    )
    try:
        assert "me" in recorder.stderr.readline()
        job_id = submitted(run, "--notebook", notebook)
        line = json.loads(recorder.stdout.readline())
        assert (line["job_id"], line["state"]) == (job_id, "queued")
        assert line["ledger"] == str(ledger_path(notebook))
        recorder.send_signal(signal.SIGTERM)
        assert recorder.wait(20) == 0
        assert "Traceback" not in recorder.stderr.read()
    finally:
        recorder.kill()
        recorder.wait()
        recorder.stdout.close()
        recorder.stderr.close()


def test_a_reader_that_leaves_is_no_error(broker):
    code = f"{sys.executable} -m jupyter_aiqueue.cli status --json | head -c 1"
    done = subprocess.run(["sh", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "{"
    assert "Traceback" not in done.stderr
