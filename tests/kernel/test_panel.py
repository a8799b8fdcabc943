"""The panel, without a browser: its widgets are what a front end would show."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import ipywidgets as widgets
import pytest
from acting import ActingWorker
from IPython.core.interactiveshell import InteractiveShell
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.transport import connect
from jupyter_aiqueue.kernel.panel import Panel


@pytest.fixture
def panel(shell: InteractiveShell, notebook: Path, broker: Broker) -> Iterator[Panel]:
    made = shell.run_line_magic("queue_panel", "")
    assert isinstance(made, Panel)
    yield made
    made.close()


def every(widget: widgets.Widget) -> Iterator[widgets.Widget]:
    """A widget and all in it, as shown."""
    if getattr(widget.layout, "display", None) == "none":
        return
    yield widget
    for child in getattr(widget, "children", ()):
        yield from every(child)


def text(panel: Panel) -> str:
    return "\n".join(w.value for w in every(panel) if isinstance(w, widgets.HTML))


def button(panel: Panel, name: str) -> widgets.Button:
    return eventually(
        lambda: next(
            (w for w in every(panel) if isinstance(w, widgets.Button) and w.description == name),
            None,
        ),
        message=f"there is no button {name}",
    )


def field(panel: Panel, name: str) -> widgets.Widget:
    return next(w for w in every(panel) if getattr(w, "description", "") == name)


def config_area(panel: Panel) -> widgets.Textarea:
    return next(w for w in every(panel) if isinstance(w, widgets.Textarea))


def shows(panel: Panel, *words: str) -> None:
    eventually(
        lambda: all(word in text(panel) for word in words),
        timeout=20,
        message=f"the panel does not show {words}",
    )


def test_the_panel_shows_the_load_and_that_there_are_no_jobs(panel: Panel) -> None:
    shows(panel, "connected", "preprocess", "No jobs yet.")


def test_a_job_of_the_form_is_submitted_followed_and_cancelled(
    panel: Panel, worker: ActingWorker
) -> None:
    # Given a filled form
    field(panel, "Name").value = "by hand"
    field(panel, "Priority").value = "high"
    config_area(panel).value = "model_type: mlp\nlr: 1e-3"

    # When it is submitted
    button(panel, "Submit").click()

    # Then the job is there, with typed values
    job = worker.take(priority=Priority.HIGH)
    assert (job.name, job.config["lr"]) == ("by hand", 0.001)
    shows(panel, f"Submitted {job.id}", "by hand", "queued")

    # And its progress is seen without a click
    worker.tell(Kind.STARTED, job)
    worker.tell(Kind.PROGRESS, job, progress=0.4, metrics={"loss": 0.25})
    shows(panel, "running", "40 %", "loss 0.25")

    # And it can be cancelled
    button(panel, "Cancel").click()
    shows(panel, "is being stopped")


def test_a_form_that_cannot_be_read_says_so(panel: Panel, worker: ActingWorker) -> None:
    config_area(panel).value = "lr: 1\nlr: 2"

    button(panel, "Submit").click()

    shows(panel, "is there twice in line 2")
    assert worker.waiting() == 0


def test_a_job_that_has_failed_can_be_retried(
    panel: Panel, shell: InteractiveShell, worker: ActingWorker
) -> None:
    shell.run_line_magic("submit_train", "--name one --lr 0.5")
    job = worker.take()
    worker.tell(Kind.STARTED, job)
    worker.tell(Kind.FAILED, job, reason="exit code 1")
    shows(panel, "failed")

    button(panel, "Retry").click()

    assert worker.take().retry_of == job.id


def test_a_held_job_shows_its_condition_and_can_be_released(
    panel: Panel, shell: InteractiveShell, broker: Broker
) -> None:
    shell.run_line_magic("submit_train", "--name patient --when 'free_slots > 99'")
    shows(panel, "held", "waits for free_slots &gt; 99")
    with connect(broker, "a worker") as session:
        told = session.temporary_queue([(topology.CONTROL, "release.*")])

        button(panel, "Release").click()

        shows(panel, "is put in line")
        assert session.count(told).ready == 1


def test_a_saved_notebook_shows_what_the_panel_showed(panel: Panel) -> None:
    shows(panel, "connected")

    data = panel._repr_mimebundle_()

    data = data[0] if isinstance(data, tuple) else data
    assert "application/vnd.jupyter.widget-view+json" in data
    assert "preprocess" in data["text/html"]
    assert "preprocess" in data["text/plain"]


def test_a_closed_panel_runs_nothing(panel: Panel) -> None:
    shows(panel, "connected")

    panel.close()

    eventually(
        lambda: not any(t.name in ("aiqueue panel", "monitor") for t in threading.enumerate()),
        message="threads are left",
    )


def test_a_broker_that_is_away_is_shown_and_the_panel_goes_on(
    shell: InteractiveShell, notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", "amqp://127.0.0.1:1/lab")
    panel = shell.run_line_magic("queue_panel", "")

    shows(panel, "unreachable", "No jobs yet.")
    button(panel, "Submit").click()
    shows(panel, "Nothing listens at amqp://127.0.0.1:1/lab")
    panel.close()
