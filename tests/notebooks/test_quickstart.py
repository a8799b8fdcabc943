"""The quickstart notebook, run as ``make demo`` runs it: real broker, real worker, real kernel."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.job import State
from jupyter_aiqueue.core.ledger import ledger_path, read_records
from jupyter_aiqueue.worker.tasks import load_tasks

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the examples as somebody has just cloned them."""
    return Path(
        shutil.copytree(
            NOTEBOOKS,
            tmp_path / "notebooks",
            ignore=shutil.ignore_patterns("*.jobs.jsonl", ".ipynb_checkpoints", "__pycache__"),
        )
    )


@pytest.fixture
def worker(broker: Broker, folder: Path, tmp_path: Path) -> Iterator[Path]:
    """A worker with the examples' tasks; gives the file of what it says."""
    said = tmp_path / "worker.log"
    command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker"]
    with said.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield said
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.mark.timeout(400)
def test_the_quickstart_runs_from_top_to_bottom_and_its_runs_are_recorded_beside_it(
    worker: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "quickstart.ipynb"
    # What a Jupyter server tells its kernels.
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
    )

    client.execute()

    records = list(read_records(ledger_path(path)).values())
    good = [
        record
        for record in records
        if record.state is State.SUCCEEDED and record.metrics["accuracy"] > 0.9
    ]
    assert len(good) >= 3, worker.read_text()
    assert all(record.progress == 1.0 and record.result for record in good)
    (wrong,) = [record for record in records if record not in good]
    assert wrong.state is State.FAILED
    assert "invalid choice: 'resnet50'" in (wrong.log_tail or "")
    (table,) = (
        output["data"]["text/plain"]
        for cell in notebook.cells
        if cell.source.endswith("\n%jobs")
        for output in cell.outputs
    )
    assert "running" not in table, f"what was waited for has ended in tables, too:\n{table}"
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "image/png" in output.get("data", {})
    ]
    assert len(pictures) == 1, "the notebook ends with one plot that compares the runs"


def test_the_examples_tasks_file_can_be_read_and_runs_the_script_with_its_own_flags() -> None:
    tasks = load_tasks(NOTEBOOKS / "aiqueue.toml")

    task = tasks.find(None)

    assert (tasks.group, tasks.slots, task.name) == ("train", 2, "train_model")
    argv = task.argv({"task_id": "x", "model_type": "mlp", "data_path": "digits", "epochs": 3})
    assert argv[1:] == ["train_model.py", "--model", "mlp", "--data", "digits", "--epochs", "3"]


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_are_committed_without_outputs(path: Path) -> None:
    committed = subprocess.run(
        ["git", "show", f"HEAD:notebooks/{path.name}"],
        cwd=NOTEBOOKS,
        capture_output=True,
        text=True,
        check=False,
    )
    if committed.returncode:
        pytest.skip("not a git clone, or a notebook that is not committed yet")

    cells = nbformat.reads(committed.stdout, as_version=4).cells

    assert not [cell.outputs for cell in cells if cell.get("outputs")]
    assert not [cell.execution_count for cell in cells if cell.get("execution_count")]
