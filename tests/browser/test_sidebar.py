"""The sidebar in a real browser: jobs that come, run, end and are cancelled under one's eyes."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest
from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab
from training import Training
from waiting import eventually

from jupyter_aiqueue.core.job import State

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


def finish(training: Training, lab: Lab, *jobs: str) -> None:
    """Let jobs do all their epochs, and wait until that is in the ledger."""
    for job in jobs:
        training.let(job, 4)
    eventually(
        lambda: all(
            lab.recorded("colleagues.ipynb")[job].state is State.SUCCEEDED for job in jobs
        ),
        timeout=30,
        message=f"{jobs} do not end: {training.said}",
    )


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
    card = tab.cell(1).locator(".aiq-card")
    expect(card).to_contain_class("aiq-queued")
    for one in (tab, other):
        one.expect_job(job, "queued")
        one.expect_load("train", waiting="1", running="2 / 2")

    finish(training, lab, colleagues[0])

    for one in (tab, other):
        one.expect_job(job, "running")
        one.expect_load("train", waiting="0", running="2 / 2")
    finish(training, lab, colleagues[1])
    for one in (tab, other):
        one.expect_load("train", waiting="0", running="1 / 2")
    for epoch, accuracy in enumerate(("0.4541", "0.6689", "0.7992"), start=1):
        training.let(job, epoch)
        for one in (tab, other):
            one.expect_progress(job, 25 * epoch)
            expect(one.job(job)).to_contain_text(f"accuracy {accuracy}")
    expect(card).to_contain_class("aiq-running")

    training.let(job, 4)

    for one in (tab, other):
        one.expect_job(job, "succeeded")
        expect(one.job(job)).to_contain_text("accuracy 0.8782")
        one.expect_load("train", waiting="0", running="0 / 2")
        assert one.never_reloaded
    expect(card).to_contain_class("aiq-succeeded")
    record = lab.recorded(notebook)[job]
    assert (record.state, record.progress, record.metrics["epoch"]) == (State.SUCCEEDED, 1.0, 4)


def test_the_sidebars_buttons_cancel_a_running_job_with_its_processes_and_a_waiting_one(
    lab: Lab, training: Training, colleagues: list[str], open_tab: OpenTab
) -> None:
    finish(training, lab, colleagues[0])
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
    finish(training, lab, colleagues[1])


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs; who has ended and was not asked for its status does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
