"""Run the quickstart notebook as a user would, without a browser, and show what was recorded.

``make demo`` ends with 0 when at least three runs were recorded that reached an accuracy above 0.9.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import datetime
from pathlib import Path

import nbformat
import playground
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from rich.console import Console
from rich.table import Table

from jupyter_aiqueue import Client
from jupyter_aiqueue.core.errors import AIQueueError
from jupyter_aiqueue.core.job import JobRecord, State, now
from jupyter_aiqueue.core.ledger import ledger_path

NOTEBOOK = playground.NOTEBOOKS / "quickstart.ipynb"
EXECUTED = playground.OUTPUT / NOTEBOOK.name

#: Seconds that one cell may take; the slowest waits for four short trainings.
CELL_TIMEOUT = 300

#: Seconds that the last events may take from the broker to the ledger.
RECORD_TIMEOUT = 30.0

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Return the exit status."""
    begun = now()
    with playground.node_and_worker():
        console.print(f"Running {shown(NOTEBOOK)}:")
        try:
            execute(NOTEBOOK, EXECUTED)
        except CellExecutionError as error:
            console.print(f"The notebook stopped: {error}", style="red", markup=False)
            show_worker_log()
            return 1
        records = recorded_since(begun)
    show(records)
    good = [record for record in records if accuracy(record) > 0.9]
    if len(good) < 3:
        console.print(f"Only {len(good)} runs reached an accuracy above 0.9.", style="red")
        show_worker_log()
        return 1
    return 0


def execute(notebook: Path, executed: Path) -> None:
    """Run all cells in a kernel of their own and keep the notebook with its outputs.

    Raises:
        CellExecutionError: a cell failed; what ran until then is kept.
    """
    # What a Jupyter server tells its kernels: the notebook they belong to.
    os.environ["JPY_SESSION_NAME"] = str(notebook)
    content = nbformat.read(notebook, as_version=4)
    client = NotebookClient(
        content,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(notebook.parent)}},
        on_cell_execute=lambda cell, **_: console.print(
            f"  {cell.source.splitlines()[0]}", style="dim", markup=False
        ),
    )
    try:
        client.execute()
    finally:
        nbformat.write(content, executed)


def recorded_since(begun: datetime) -> list[JobRecord]:
    """The runs of this demo as its ledger has them, oldest first, once all have ended."""
    client = Client(notebook=NOTEBOOK)
    try:
        deadline = time.monotonic() + RECORD_TIMEOUT
        while True:
            records = [
                record
                for record in reversed(client.records(notebook=NOTEBOOK))
                if record.submitted_at and record.submitted_at >= begun
            ]
            if records and all(record.state.is_final for record in records):
                return records
            if time.monotonic() > deadline:
                return records
            time.sleep(0.2)
    finally:
        client.close()


def accuracy(record: JobRecord) -> float:
    """The last accuracy that a successful run reported, else 0."""
    value = record.metrics.get("accuracy", 0.0)
    return float(value) if record.state is State.SUCCEEDED else 0.0


def show(records: list[JobRecord]) -> None:
    """Print the table and the way on."""
    table = Table("run", "model", "epochs", "accuracy", "loss", "seconds", "state")
    for record in records:
        duration = record.result.duration_s if record.result else None
        cells = (
            record.name or record.job_id,
            record.config.get("model_type"),
            record.config.get("epochs"),
            number(record.metrics.get("accuracy"), 4),
            number(record.metrics.get("loss"), 4),
            number(duration, 1),
            record.state.value,
        )
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    console.print(table)
    if any(record.state is State.FAILED for record in records):
        console.print("(The failed one is part of the notebook: it shows how to read a failure.)")
    console.print(f"Recorded beside the notebook, in {shown(ledger_path(NOTEBOOK))}")
    console.print(f"The notebook with its outputs:   {shown(EXECUTED)}")
    console.print("The same in JupyterLab:          make lab")


def number(value: float | None, digits: int) -> str | None:
    """``value`` rounded, or None when it is not known."""
    return None if value is None else f"{value:.{digits}f}"


def show_worker_log() -> None:
    """Print the end of the worker's own output, for whoever looks for the reason."""
    console.print(f"The worker said last ({shown(playground.WORKER_LOG)}):", style="red")
    console.print(playground.worker_said(), markup=False)


def shown(path: Path) -> str:
    """A path as a person in the clone would type it."""
    return str(path.relative_to(playground.ROOT))


if __name__ == "__main__":
    playground.enter()
    try:
        sys.exit(main())
    except (AIQueueError, playground.PlaygroundError) as problem:
        sys.exit(f"make demo: {problem}")
