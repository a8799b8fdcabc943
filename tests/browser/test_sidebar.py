"""The sidebar in a real browser: jobs that come, run, end and are cancelled under one's eyes.

With AIQUEUE_SCREENSHOTS=1, the last test takes the pictures of the documentation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import ViewportSize, expect
from sidebar import Tab
from training import Training
from waiting import eventually

from jupyter_aiqueue.core.job import State

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {"JupyterLab Light": "sidebar.png", "JupyterLab Dark": "sidebar-dark.png"}

#: As much as there is to see, CSS pixels.
SIZE = ViewportSize(width=1280, height=640)

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

OpenTab = Callable[..., Tab]


@pytest.fixture
def colleagues(lab: Lab, training: Training) -> list[str]:
    """Two jobs of another notebook, which hold both slots of the worker."""
    notebook = lab.notebook("colleagues.ipynb")
    jobs = [
        lab.submit(notebook, name, config={"model_type": "resnet50", "epochs": 4})
        for name in ("their-first", "their-second")
    ]
    for job in jobs:
        training.processes(job)
    return jobs


def test_a_job_goes_from_queued_to_running_to_succeeded_without_a_reload(
    lab: Lab, training: Training, colleagues: list[str], open_tab: OpenTab
) -> None:
    notebook = lab.notebook(
        "train.ipynb",
        "%load_ext jupyter_aiqueue",
        "%submit_train --model mlp --data digits --epochs 4 --name mine",
    )
    tab = open_tab(lab, notebook)
    expect(tab.empty("no-jobs")).to_contain_text("No jobs from this notebook yet")
    other = open_tab(lab)
    other.scope("all")
    for one in (tab, other):
        one.expect_load("train", waiting="0", running="2 / 2", workers="1")

    # Both slots are taken: what is submitted now has to wait.
    tab.run(0, 1)

    expect(tab.jobs("queued")).to_have_count(1)
    job = str(tab.jobs().get_attribute("data-aiq-job"))
    expect(tab.job(job)).to_contain_text("mine")
    tab.expect_card(1, "queued")
    for one in (tab, other):
        one.expect_job(job, "queued")
        one.expect_load("train", waiting="1", running="2 / 2")

    training.let(colleagues[0], 4)

    for one in (tab, other):
        one.expect_job(job, "running")
        one.expect_load("train", waiting="0", running="2 / 2")
    training.let(colleagues[1], 4)
    for one in (tab, other):
        one.expect_load("train", waiting="0", running="1 / 2")
    for epoch, accuracy in enumerate(("0.4341", "0.6489", "0.7792"), start=1):
        training.let(job, epoch)
        for one in (tab, other):
            one.expect_progress(job, 25 * epoch)
            expect(one.job(job)).to_contain_text(f"accuracy {accuracy}")
    tab.expect_card(1, "running")

    training.let(job, 4)

    for one in (tab, other):
        one.expect_job(job, "succeeded")
        expect(one.job(job)).to_contain_text("accuracy 0.8582")
        one.expect_load("train", waiting="0", running="0 / 2")
        assert one.never_reloaded
    tab.expect_card(1, "succeeded")
    record = lab.recorded(notebook)[job]
    assert (record.state, record.progress, record.metrics["epoch"]) == (State.SUCCEEDED, 1.0, 4)


def test_the_sidebars_buttons_cancel_a_running_job_with_its_processes_and_a_waiting_one(
    lab: Lab, training: Training, colleagues: list[str], open_tab: OpenTab
) -> None:
    training.let(colleagues[0], 4)
    notebook = lab.notebook("regrets.ipynb")
    running = lab.submit(notebook, "too-big", config={"epochs": 9, "loaders": 2})
    processes = training.processes(running)
    waiting = lab.submit(notebook, "no-good")
    tab = open_tab(lab, notebook)
    tab.expect_job(running, "running")
    tab.expect_job(waiting, "queued")

    tab.job(waiting).get_by_role("button", name="Cancel no-good").click()

    tab.expect_job(waiting, "cancelled")
    stop = tab.job(running).get_by_role("button", name="Cancel too-big")
    dialog = tab.page.get_by_role("dialog")
    stop.click()
    dialog.get_by_role("button", name="Keep running").click()
    expect(dialog).to_have_count(0)
    assert all(process.is_running() for process in processes)

    stop.click()
    dialog.get_by_role("button", name="Cancel job").click()

    tab.expect_job(running, "cancelled")
    assert len(processes) == 3
    assert not [process for process in processes if is_alive(process)]
    recorded = lab.recorded(notebook)
    assert {recorded[job].state for job in (running, waiting)} == {State.CANCELLED}
    assert recorded[waiting].started_at is None
    assert tab.never_reloaded


def test_a_failed_job_tells_why_and_is_submitted_again_by_its_button(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("again.ipynb")
    failed = lab.submit(notebook, "wide", config={"model_type": "mlp", "epochs": 2}, retries=0)
    training.let(failed, "fail")
    tab = open_tab(lab, notebook)
    tab.expect_job(failed, "failed")
    expect(tab.job(failed)).to_contain_text("exit code 1")

    tab.job(failed).get_by_role("button", name="wide", exact=False).first.click()

    expect(tab.job(failed).get_by_role("log")).to_contain_text("CUDA out of memory in epoch 1")
    tab.job(failed).get_by_role("button", name="Retry wide").click()

    running = tab.jobs("running")
    expect(running).to_contain_text("wide")
    again = str(running.get_attribute("data-aiq-job"))
    training.let(again, 1)
    # The details of the new job have opened, and its output grows.
    expect(tab.job(again).get_by_role("log")).to_contain_text("epoch  1/2")
    training.let(again, 2)
    tab.expect_job(again, "succeeded")
    tab.expect_job(failed, "failed")
    recorded = lab.recorded(notebook)
    assert recorded[again].retry_of == failed
    assert recorded[again].config["model_type"] == "mlp"


@pytest.fixture
def busy(lab: Lab, training: Training, open_tab: OpenTab) -> Tab:
    """A notebook whose jobs are in every state that matters, and its sidebar."""
    notebook = lab.notebook(
        "digits.ipynb",
        "%load_ext jupyter_aiqueue",
        "%queue_status",
        "%submit_train --model mlp --data digits --epochs 20 --lr 0.003 --name wider",
    )

    def submit(name: str, model: str, notebook: str = notebook, **options: object) -> str:
        config = {"model_type": model, "data_path": "digits", "epochs": 20, "lr": 0.01}
        return lab.submit(notebook, name, config=config, **options)

    tab = open_tab(lab, notebook)
    tab.expect_load("train", running="0 / 2")
    for name in ("nightly-a", "nightly-b"):
        submit(name, "mlp", lab.notebook("nightly.ipynb"), group="infer")
    baseline = submit("baseline", "logistic", priority="low")
    training.let(baseline, 20)
    tab.expect_job(baseline, "succeeded")
    broken = submit("too-wide", "mlp", priority="high", retries=0)
    training.let(broken, "fail")
    tab.expect_job(broken, "failed")
    deeper = submit("deeper", "mlp")
    training.let(deeper, 12)
    tab.expect_progress(deeper, 60)
    tab.run(0)
    if TAKES_PICTURES:
        # RabbitMQ counts rates over seconds; a picture full of "unknown" would say little.
        eventually(lambda: knows_rates(lab), timeout=60, message="there are no rates")
    tab.expect_load("train", running="1 / 2")
    tab.run(1)
    expect(tab.cell(1).locator(".aiq table")).to_contain_text("1 free / 2")
    tab.run(2)
    card = tab.cell(2).locator(".aiq-card")
    wider = str(tab.jobs().filter(has_text="wider").get_attribute("data-aiq-job"))
    expect(card).to_contain_text("running")  # it follows: progress is told once
    training.let(wider, 5)
    tab.expect_progress(wider, 25)
    expect(card).to_contain_text("25 %")
    waiting = [submit("svm-rbf", "svm"), submit("svm-linear", "svm", priority="low")]
    for job in waiting:
        tab.expect_job(job, "queued")
    tab.expect_load("train", waiting="2", running="2 / 2")
    return tab


def knows_rates(lab: Lab) -> bool:
    """Whether the broker has told how many jobs come and go."""
    train = lab.group("train")
    return None not in (train["arrival_rate"]["value"], train["completion_rate"]["value"])


def test_everything_can_be_read_in_the_light_and_in_the_dark_theme(busy: Tab) -> None:
    outputs = busy.page.locator(".jp-OutputArea-output .aiq")

    for theme, picture in PICTURES.items():
        busy.theme(theme)

        expect(outputs).to_have_count(2)
        assert not faint_texts(busy.sidebar)
        assert not [text for output in outputs.all() for text in faint_texts(output)]
        if TAKES_PICTURES:
            busy.page.set_viewport_size(SIZE)
            busy.page.screenshot(path=IMAGES / picture, animations="disabled")


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; who has ended and was not asked for its status does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
