"""Submitting from a notebook, against a real broker."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from acting import ActingWorker, kinds
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from waiting import eventually

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import (
    AlreadySucceeded,
    ConfigError,
    JobNotOver,
    UnknownGroup,
)
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.handle import JobHandle
from jupyter_aiqueue.core.job import Priority, State


def submit(shell: InteractiveShell, line: str, cell: str | None = None) -> JobHandle:
    if cell is None:
        handle = shell.run_line_magic("submit_train", line)
    else:
        handle = shell.run_cell_magic("submit_train", line, cell)
    assert isinstance(handle, JobHandle)
    return handle


def test_what_is_submitted_is_a_plain_json_body_with_typed_values(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    handle = submit(
        shell, "--model resnet50 --data /data/train_set_v2 --epochs 10 --lr 1e-3 --layers [64, 32]"
    )

    job = worker.take()
    assert worker.message is not None
    assert json.loads(worker.message.body) == {
        "task_id": handle.id,
        "model_type": "resnet50",
        "data_path": "/data/train_set_v2",
        "epochs": 10,
        "lr": 0.001,
        "layers": [64, 32],
    }
    assert (job.id, job.task, job.notebook) == (handle.id, "train_model", str(notebook))
    assert handle.state is State.QUEUED
    assert handle.place == 0


def test_options_of_the_job_are_no_config(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    submit(
        shell,
        "--task other --group infer --priority high --retries 0 --timeout 2h --name 'my run' -o it",
    )

    job = worker.take("infer", Priority.HIGH)
    assert (job.task, job.max_attempts, job.timeout, job.name) == ("other", 1, 7200.0, "my run")
    assert set(job.config) == {"task_id"}
    assert shell.user_ns["it"].id == job.id


@pytest.mark.parametrize(
    "cell",
    [
        "model_type: resnet50\nepochs: 10\nlr: 3e-4\n",
        '{"model_type": "resnet50", "epochs": 10, "lr": 0.0003}',
        'model_type = "resnet50"\nepochs = 10\nlr = 3e-4\n',
    ],
    ids=["yaml", "json", "toml"],
)
def test_a_cell_is_the_config_and_the_line_wins_over_it(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, cell: str
) -> None:
    submit(shell, "--epochs 3 --seed 1", cell)

    config = worker.take().config
    assert {key: config[key] for key in config if key != "task_id"} == {
        "model_type": "resnet50",
        "epochs": 3,
        "lr": 0.0003,
        "seed": 1,
    }


def test_the_cell_wins_over_the_file(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, tmp_path: Path
) -> None:
    file = tmp_path / "base.toml"
    file.write_text("epochs = 1\nlr = 0.5\nseed = 7\n")

    submit(shell, f"--config {file} --seed 9", "lr: 0.1")

    config = worker.take().config
    assert (config["epochs"], config["lr"], config["seed"]) == (1, 0.1, 9)


def test_variables_of_the_notebook_can_stand_on_the_line(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    shell.user_ns.update(rate=0.003, models=["svm", "mlp"])

    shell.run_cell("%submit_train --model {models[1]} --lr $rate", silent=True)

    config = worker.take().config
    assert (config["model_type"], config["lr"]) == ("mlp", 0.003)


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        ("--group nowhere", UnknownGroup),
        ("--priority urgent", UsageError),
        ("oops", UsageError),
        ("--timeout soon", UsageError),
        ("--config /no/such.yml", ConfigError),
        ("-o 1x", UsageError),
    ],
)
def test_a_fault_of_the_user_submits_nothing(
    shell: InteractiveShell,
    notebook: Path,
    worker: ActingWorker,
    line: str,
    kind: type[Exception],
) -> None:
    with pytest.raises(kind):
        submit(shell, line)

    assert [worker.waiting(priority=priority) for priority in Priority] == [0, 0, 0]


def test_an_unknown_group_names_the_known_ones_in_one_line(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    with capture_output() as said:
        result = shell.run_cell("%submit_train --group nowhere")

    assert isinstance(result.error_in_exec, UnknownGroup)
    shown = said.stdout + said.stderr
    assert "train, infer, preprocess" in shown
    assert "Traceback" not in shown
    assert len(shown.strip().splitlines()) == 1


def test_wait_returns_when_the_job_has_ended(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    # Given a worker that knows nothing of the notebook
    actor = threading.Thread(target=lambda: worker.finish(worker.take(), {"accuracy": 0.9}))
    actor.start()

    # When the notebook waits
    with capture_output():
        handle = submit(shell, "--model mlp --wait")
    actor.join()

    # Then it has the result
    assert handle.state is State.SUCCEEDED
    assert handle.metrics["accuracy"] == 0.9


def test_what_happens_is_recorded_beside_the_notebook(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    submit(shell, "--model mlp")
    worker.finish(worker.take())

    eventually(
        lambda: kinds(notebook) == ["submitted", "started", "succeeded"],
        message="the ledger does not have all events",
    )


def test_a_renamed_notebook_gets_the_next_jobs(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(shell, "--model a")
    worker.take()
    renamed = notebook.with_name("renamed.ipynb")
    notebook.rename(renamed)
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(renamed))

    submit(shell, "--model b")

    assert worker.take().notebook == str(renamed)


def test_retry_is_a_new_job_with_the_changes(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    handle = submit(shell, "--model mlp --lr 0.1 --epochs 3")
    job = worker.take()
    with pytest.raises(JobNotOver):
        shell.run_line_magic("job_retry", handle.id)
    worker.tell(Kind.STARTED, job)
    worker.tell(Kind.FAILED, job, reason="exit code 1")
    handle.wait(20)

    again = shell.run_line_magic("job_retry", f"{handle.id[-8:]} --lr 0.01 -o again")

    retried = worker.take()
    assert retried.id == again.id != handle.id
    assert shell.user_ns["again"] is again
    assert retried.retry_of == handle.id
    assert (retried.config["lr"], retried.config["epochs"]) == (0.01, 3)


def test_a_job_can_be_cancelled_before_anybody_has_recorded_it(
    shell: InteractiveShell,
    notebook: Path,
    worker: ActingWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AIQUEUE_RECORDER", "server")  # which is not there
    handle = submit(shell, "--model mlp")

    with capture_output() as said:
        shell.run_line_magic("job_cancel", handle.id)

    assert handle.id in said.stdout
    assert any("Nobody records" in note for note in handle.notes)


def test_cancelling_several_says_what_became_of_each(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    first, second = submit(shell, "--model a"), submit(shell, "--model b")
    eventually(lambda: len(kinds(notebook)) == 2, message="the submits are not recorded")

    with capture_output() as said:
        result = shell.run_cell(f"%job_cancel {first.id} nonsense {second.id}")

    lines = said.stdout.splitlines()
    assert "is cancelled" in lines[0]
    assert "nonsense" in lines[1]
    assert "is cancelled" in lines[2]
    assert not result.success
    assert first.wait(20).state is second.wait(20).state is State.CANCELLED


def test_what_has_succeeded_is_submitted_with_again_only(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    first = submit(shell, "--model mlp --lr 1")
    worker.finish(worker.take(), {"accuracy": 0.9})
    first.wait(20)

    with pytest.raises(AlreadySucceeded, match=f"{first.id} did exactly this .* accuracy 0.9"):
        submit(shell, "--model mlp --lr 1.0")
    assert worker.waiting() == 0

    assert submit(shell, "--model mlp --lr 1 --again").id != first.id
    submit(shell, "--model mlp --lr true")
    assert worker.waiting() == 2


def test_a_dry_run_sends_nothing_and_says_what_would_become_of_it(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker
) -> None:
    with capture_output() as said:
        returned = shell.run_line_magic(
            "submit_train", "--lr 1 --group infer --dry-run --when 'depth < 5'"
        )

    assert returned is None
    assert said.stdout.startswith("Nothing was sent.")
    assert "aiqueue.infer.normal" in said.stdout
    assert "waits for depth < 5; depth is 0 now" in said.stdout
    assert "No worker serves infer now" in said.stdout
    assert worker.waiting("infer") == 0
