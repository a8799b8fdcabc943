"""An experiment submitted from its notebook's toolbar, and badges at the cells that submit.

With AIQUEUE_SCREENSHOTS=1, pictures of the documentation are taken.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from accessibility import violations
from companion import execute, job_view
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import Browser, Locator, Page, expect
from sidebar import Tab
from training import Training

from jupyter_aiqueue.core.job import Priority

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {"JupyterLab Light": "submit-form.png", "JupyterLab Dark": "submit-form-dark.png"}

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

SUBMIT = "%submit_train --model mlp --data digits --epochs 4 --name from-cell"

OpenTab = Callable[..., Tab]


def open_form(page: Page) -> Locator:
    """Press the button in the notebook's toolbar."""
    toolbar = page.locator(".jp-NotebookPanel-toolbar")
    toolbar.get_by_role("button", name="Submit experiment").click()
    form = page.get_by_role("form", name="Submit experiment")
    expect(form).to_be_visible()
    return form


def button(form: Locator, name: str) -> Locator:
    return form.get_by_role("button", name=name, exact=True)


def field(form: Locator, name: str) -> Locator:
    return form.locator(f'[data-aiq-field="{name}"]')


def config(form: Locator, name: str) -> Locator:
    """The row of the config with this name."""
    return form.locator(f'[data-aiq-row="{name}"]')


def badges(tab: Tab, cell: int) -> Locator:
    return tab.cell(cell).locator("[data-aiq-badge]")


def test_an_experiment_is_submitted_from_the_toolbar_and_again_on_purpose_only(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("form.ipynb")
    first = {"model_type": "mlp", "data_path": "digits", "epochs": 1, "lr": 0.1}
    training.let(lab.submit(notebook, "first", config=first, retries=1), 1)
    tab = open_tab(lab, notebook)
    expect(tab.jobs("succeeded")).to_have_count(1)

    # It is made from the last config of the notebook.
    form = open_form(tab.page)
    expect(form.get_by_label("Task")).to_have_value("train_model")
    expect(form.get_by_label("Retries")).to_have_value("1")
    expect(form.get_by_label("Value of lr")).to_have_value("0.1")
    expect(field(form, "group")).to_contain_text("train")

    # What is wrong is said where it is.
    form.get_by_label("Retries").fill("many")
    form.get_by_label("Group").fill("nobody")
    button(form, "Submit").click()
    expect(field(form, "retries")).to_contain_text("0 to 999")
    expect(field(form, "group")).to_contain_text("There is no group nobody")
    expect(form.get_by_label("Group")).to_be_focused()
    assert not violations(form)
    form.get_by_label("Retries").fill("0")
    form.get_by_label("Group").fill("train")
    form.get_by_label("Name", exact=True).fill("from-form")
    form.get_by_label("Value of lr").fill("1e-3")
    expect(config(form, "lr")).to_contain_text("number")
    button(form, "Add a value").click()
    tab.page.keyboard.type("loaders")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("0")

    button(form, "What would happen").click()

    outlook = form.locator('[data-aiq-section="rehearsal"]')
    expect(outlook).to_contain_text("Nothing was sent.")
    expect(outlook).to_contain_text("It would go to the queue aiqueue.train.normal.")
    expect(outlook).to_contain_text('"lr":0.001')
    assert not violations(form)
    assert len(lab.recorded(notebook)) == 1
    for theme, picture in PICTURES.items():
        tab.theme(theme)
        assert not faint_texts(form), theme
        if TAKES_PICTURES:
            tab.page.screenshot(path=IMAGES / picture, animations="disabled")
    tab.theme("JupyterLab Light")

    button(form, "Submit").click()

    expect(form).not_to_be_attached()
    expect(tab.page.get_by_role("alert").filter(has_text="Submitted from-form")).to_be_visible()
    running = tab.jobs("running")
    expect(running).to_contain_text("from-form")
    # Its details are open in the sidebar.
    job = str(running.get_attribute("data-aiq-job"))
    expect(tab.job(job)).to_contain_text("loaders")
    training.let(job, 1)
    tab.expect_job(job, "succeeded")
    recorded = lab.recorded(notebook)[job]
    assert {**first, "lr": 0.001, "loaders": 0}.items() <= recorded.config.items()
    assert (recorded.priority, recorded.max_attempts) == (Priority.NORMAL, 1)

    # The same again is asked about, and stays in the form until then.
    form = open_form(tab.page)
    expect(form.get_by_label("Value of loaders")).to_have_value("0")
    button(form, "Submit").click()
    warning = form.locator('[data-aiq-banner="repeated"]')
    expect(warning).to_contain_text(f"Job {job} did exactly this")
    assert len(lab.recorded(notebook)) == 2
    button(form, "Submit again").click()
    expect(form).not_to_be_attached()
    expect(tab.jobs()).to_have_count(3)
    # Refused once, which is what a 409 is for.
    assert [text for text in tab.complaints if "409" not in text] == []
    tab.complaints.clear()


def test_the_keys_of_the_form_are_nobody_elses(lab: Lab, open_tab: OpenTab) -> None:
    tab = open_tab(lab, lab.notebook("keys.ipynb", "1"))

    same = tab.page.evaluate(
        """() => {
          const all = window.jupyterapp.commands.keyBindings;
          const ours = all.find(one => one.command === 'aiqueue:submit');
          return all.filter(one => String(one.keys) === String(ours.keys)).map(one => one.command);
        }"""
    )

    assert same == ["aiqueue:submit"]
    tab.cell(0).locator(".jp-InputArea-editor").click()
    tab.page.keyboard.press("ControlOrMeta+Shift+Enter")
    form = tab.page.get_by_role("form", name="Submit experiment")
    expect(form).to_contain_text("This notebook has no jobs yet.")
    expect(form.get_by_label("Task")).to_be_focused()
    button(form, "Close").click()
    expect(form).not_to_be_attached()


def test_a_badge_stays_at_its_cell_and_follows_the_job(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("badges.ipynb", "%load_ext jupyter_aiqueue", SUBMIT, "%jobs")
    # Both slots are taken, so that one can see it wait.
    others = [lab.submit(notebook, "other", config={"epochs": 2, "lr": lr}) for lr in (1, 2)]
    tab = open_tab(lab, notebook)
    tab.expect_load("train", running="2 / 2")
    asked: list[str] = []
    tab.page.on(
        "request", lambda one: asked.append(one.url) if "/aiqueue/api/" in one.url else None
    )
    tab.page.locator('.lm-TabBar-tab[data-id="jp-aiqueue-sidebar"]').click()
    expect(tab.sidebar).to_be_hidden()

    tab.run(0, 1)

    badge = badges(tab, 1)
    expect(badge).to_have_attribute("data-aiq-state", "queued")
    expect(badge).to_contain_text("queued")
    job = str(badge.get_attribute("data-aiq-badge"))
    expect(badge).to_contain_text(job[-8:])
    assert not violations(tab.cell(1).locator(".jp-AIQueueBadges"))
    tab.run(2)
    expect(tab.cell(2).locator("table")).to_contain_text("from-cell")
    # A table of jobs has submitted none of them.
    expect(badges(tab, 2)).to_have_count(0)
    for other in others:
        training.let(other, 2)
    training.let(job, 1)
    expect(badge).to_contain_text("running 25 %")
    # All of this was told, and nothing was asked.
    assert len(asked) <= 1, asked

    execute(tab, "docmanager:save")
    tab.page.reload()
    expect(badges(tab, 1)).to_contain_text("running 25 %")
    toolbar = tab.page.locator(".jp-NotebookPanel-toolbar")
    toolbar.locator('[data-command="notebook:restart-kernel"]').click()
    tab.page.get_by_role("button", name="Confirm Kernel Restart").click()
    expect(tab.page.get_by_role("dialog")).not_to_be_attached()
    training.let(job, 4)
    expect(badges(tab, 1)).to_contain_text("succeeded")
    expect(badges(tab, 1)).to_have_count(1)

    badges(tab, 1).focus()
    tab.page.keyboard.press("Enter")

    expect(job_view(tab, job).get_by_role("status")).to_have_text("succeeded")


def test_notebook_7_has_the_button_the_form_and_the_badge(
    lab: Lab, training: Training, chromium: Browser
) -> None:
    notebook = lab.notebook("seven.ipynb", "%load_ext jupyter_aiqueue", f"{SUBMIT} --lr 7")
    training.let_everything(True)
    context = chromium.new_context(viewport={"width": 1280, "height": 800}, locale="en-US")
    page = context.new_page()
    try:
        page.goto(f"{lab.url}notebooks/{notebook}?token={lab.token}&n={secrets.token_hex(2)}")
        form = open_form(page)
        form.get_by_label("Task").fill("train_model")
        form.get_by_label("Name", exact=True).fill("from-seven")
        form.get_by_label("Name of value 1").fill("epochs")
        form.get_by_label("Value of epochs").fill("1")
        button(form, "Submit").click()
        expect(form).not_to_be_attached()
        expect(page.locator(".jp-Notebook-ExecutionIndicator")).to_have_attribute(
            "data-status", "idle"
        )
        for index in range(2):
            page.locator(".jp-CodeCell").nth(index).locator(".jp-InputArea-editor").click()
            page.keyboard.press("Shift+Enter")
        badge = page.locator(".jp-CodeCell").nth(1).locator("[data-aiq-badge]")
        expect(badge).to_contain_text(re.compile("succeeded"))
    finally:
        context.close()
        training.let_everything(False)
