"""One job in a tab of its own: watched, cancelled, tried again with other values, found again.

With AIQUEUE_SCREENSHOTS=1, the last test takes the pictures of the documentation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from accessibility import violations
from companion import action, execute, fact, job_view, open_job, section
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import expect
from sidebar import PATIENCE, Tab
from training import Training

from jupyter_aiqueue.core.job import State

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {"JupyterLab Light": "job-view.png", "JupyterLab Dark": "job-view-dark.png"}

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

#: How JupyterLab marks the active cell.
ACTIVE = re.compile(r"\bjp-mod-active\b")

OpenTab = Callable[..., Tab]


def test_a_running_job_is_watched_until_its_end_and_found_again_after_a_reload(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("watched.ipynb")
    config = {"model_type": "mlp", "data_path": "digits", "epochs": 6}
    job = lab.submit(notebook, "watched", config=config)
    training.let(job, 2)
    tab = open_tab(lab, notebook)
    tab.expect_progress(job, 33)

    view = open_job(tab, job)

    expect(view.get_by_role("status")).to_have_text("running")
    expect(view.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "33")
    expect(fact(view, "config", "epochs")).to_have_text("6")
    loss = section(view, "curves").locator('[data-aiq-chart="loss"]')
    log = view.get_by_role("log")
    expect(log).to_contain_text("epoch  2/6")
    for epoch in (3, 4):
        training.let(job, epoch)
        expect(fact(view, "metrics", "epoch")).to_have_text(str(epoch))
        expect(log).to_contain_text(f"epoch  {epoch}/6")
    expect(loss.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile(r"^loss: from \S+ to 0\.5042,")
    )
    expect(section(view, "curves")).to_contain_text("Heard live")

    training.let(job, 6)

    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(section(view, "timeline")).to_contain_text("succeeded")
    expect(section(view, "resources")).to_contain_text("duration")
    expect(log).to_contain_text("epoch  6/6")
    expect(section(view, "curves")).not_to_contain_text("Heard live")
    loss.get_by_role("button", name="Table").click()
    # All epochs are there, also those that ended before anybody looked.
    expect(loss.locator("tbody th")).to_have_text(["1", "2", "3", "4", "5", "6"])

    tab.page.wait_for_timeout(1500)  # JupyterLab saves its layout after a second
    tab.page.reload()

    view = job_view(tab, job)
    expect(view.get_by_role("status")).to_have_text("succeeded")
    expect(section(view, "curves").locator("figure")).to_have_count(2)


def test_the_output_is_searched(lab: Lab, training: Training, open_tab: OpenTab) -> None:
    notebook = lab.notebook("searched.ipynb")
    job = lab.submit(notebook, "searched", config={"epochs": 12})
    training.let(job, 12)
    tab = open_tab(lab, notebook)
    tab.expect_job(job, "succeeded")
    view = open_job(tab, job)
    log = section(view, "log")

    log.get_by_role("searchbox").fill("EPOCH 1")

    expect(log.locator("mark")).to_have_text(["epoch 1", "epoch 1", "epoch 1"])
    expect(log).to_contain_text("1 of 3")
    log.get_by_role("searchbox").press("Enter")
    expect(log).to_contain_text("2 of 3")
    expect(log.locator("mark").nth(1)).to_have_attribute("data-aiq-current", "")
    log.get_by_role("searchbox").fill("nothing like this")
    expect(log).to_contain_text("not found")


def test_a_failed_job_is_submitted_again_with_other_values(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("changed.ipynb")
    config = {"model_type": "mlp", "epochs": 2, "lr": 0.1}
    failed = lab.submit(notebook, "too-fast", config=config, retries=0)
    training.let(failed, "fail")
    tab = open_tab(lab, notebook)
    tab.expect_job(failed, "failed")
    view = open_job(tab, failed)
    expect(view).to_contain_text("CUDA out of memory in epoch 1")

    action(view, "change").click()
    form = view.get_by_role("form")
    assert not violations(view)
    form.get_by_label("lr").fill("1e-3")
    form.get_by_label("Name of a further value").fill("loaders")
    form.get_by_label("The further value").fill("1")
    form.get_by_role("button", name="Submit with 2 changes").click()

    tab.expect_job(failed, "failed")
    running = tab.jobs("running")
    expect(running).to_contain_text("too-fast")
    again = str(running.get_attribute("data-aiq-job"))
    new = job_view(tab, again)
    expect(fact(new, "config", "lr")).to_have_text("0.001")
    expect(fact(new, "config", "loaders")).to_have_text("1")
    training.let(again, 2)
    expect(new.get_by_role("status")).to_have_text("succeeded")
    recorded = lab.recorded(notebook)[again]
    assert recorded.retry_of == failed
    assert {**config, "lr": 0.001, "loaders": 1}.items() <= recorded.config.items()


def test_attempts_are_told_with_what_differed_and_a_running_job_is_cancelled(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("attempts.ipynb")
    job = lab.submit(notebook, "stubborn", config={"epochs": 4})
    training.let(job, "fail")
    tab = open_tab(lab, notebook)
    tab.expect_job(job, "retrying")
    training.let(job, 1)
    view = open_job(tab, job)
    expect(section(view, "timeline")).to_contain_text("failed, to be tried again")
    # The second attempt may begin ten seconds after the first.
    expect(view.get_by_role("status")).to_have_text("running", timeout=2 * PATIENCE)

    action(view, "cancel").click()
    dialog = tab.page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel job").click()

    expect(view.get_by_role("status")).to_have_text("cancelled")
    attempts = section(view, "attempts")
    expect(attempts.locator('tr:has(th:text-is("end")) td')).to_have_text(
        ["failed, to be tried again", "cancelled"]
    )
    assert lab.recorded(notebook)[job].state is State.CANCELLED


def test_the_way_back_to_the_cell_and_a_cell_with_the_result(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook(
        "origin.ipynb",
        "%load_ext jupyter_aiqueue",
        "%submit_train --model mlp --data digits --epochs 2 --name origin",
        "'something else'",
    )
    tab = open_tab(lab, notebook)
    tab.expect_load("train", running="0 / 2", workers="1")
    tab.run(0, 1, 2)
    expect(tab.jobs("running")).to_have_count(1)
    job = str(tab.jobs().get_attribute("data-aiq-job"))
    training.let(job, 2)
    tab.expect_job(job, "succeeded")
    view = open_job(tab, job)

    view.get_by_role("button", name="origin.ipynb").click()

    expect(tab.page.locator(".jp-Notebook")).to_be_visible()
    expect(tab.cell(1)).to_have_class(ACTIVE)
    execute(tab, "aiqueue:open-job", job=job)
    action(view, "insert").click()
    expect(tab.cell(2)).to_have_class(ACTIVE)
    expect(tab.cell(2)).to_contain_text(f'job = Client().job("{job}")')
    tab.page.keyboard.press("Shift+Enter")
    expect(tab.cell(2).locator(".jp-OutputArea-output")).to_contain_text("'epoch': 2")


def test_what_is_not_known_is_said_so(lab: Lab, open_tab: OpenTab) -> None:
    tab = open_tab(lab)

    execute(tab, "aiqueue:open-job", job="01nosuchjob")

    view = job_view(tab, "01nosuchjob")
    expect(view.locator('[data-aiq-empty="unknown-job"]')).to_contain_text("01nosuchjob")
    assert tab.complaints
    assert all("404" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


@pytest.fixture
def full(lab: Lab, training: Training, open_tab: OpenTab) -> Tab:
    """A job view with something in every part of it."""
    notebook = lab.notebook("full.ipynb")
    config = {"model_type": "mlp", "data_path": "digits", "epochs": 20, "lr": 0.003}
    job = lab.submit(notebook, "wider", config=config)
    training.let(job, "fail")
    tab = open_tab(lab, notebook)
    tab.expect_job(job, "retrying")
    training.let(job, 1)
    view = open_job(tab, job)
    bar = view.get_by_role("progressbar")
    # The second attempt may begin ten seconds after the first.
    expect(bar).to_have_attribute("aria-valuenow", "5", timeout=2 * PATIENCE)
    for epoch in (4, 8, 11, 14):
        training.let(job, epoch)
        expect(bar).to_have_attribute("aria-valuenow", str(5 * epoch))
    return tab


def test_everything_can_be_read_in_the_light_and_in_the_dark_theme(full: Tab) -> None:
    view = full.page.locator(".jp-AIQueueJob")

    for theme, picture in PICTURES.items():
        full.theme(theme)

        assert not faint_texts(view), theme
        assert not violations(view), theme
        if TAKES_PICTURES:
            full.page.screenshot(path=IMAGES / picture, animations="disabled")
