"""How a working day looks in both themes; with AIQUEUE_SCREENSHOTS=1, the pictures of the docs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab
from training import Training

IMAGES = Path(__file__).parents[2] / "docs" / "images"
PICTURES = {"JupyterLab Light": "sidebar.png", "JupyterLab Dark": "sidebar-dark.png"}

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

OpenTab = Callable[..., Tab]


@pytest.fixture
def busy(lab: Lab, training: Training, open_tab: OpenTab) -> Tab:
    """A notebook whose jobs are in every state that matters, and its sidebar."""
    notebook = lab.notebook(
        "digits.ipynb",
        "%load_ext jupyter_aiqueue",
        "%queue_status",
        "%submit_train --model mlp --data digits --epochs 20 --lr 0.003 --name wider",
        "",
    )

    def submit(name: str, model: str, **options: object) -> str:
        config = {"model_type": model, "data_path": "digits", "epochs": 20, "lr": 0.01}
        return lab.submit(notebook, name, config=config, **options)

    tab = open_tab(lab, notebook)
    tab.expect_load("train", running="0 / 2")
    baseline = submit("baseline", "logistic")
    training.let(baseline, 20)
    tab.expect_job(baseline, "succeeded")
    broken = submit("too-wide", "mlp", retries=0)
    training.let(broken, "fail")
    tab.expect_job(broken, "failed")
    deeper = submit("deeper", "mlp")
    training.let(deeper, 12)
    tab.expect_progress(deeper, 60)
    tab.run(0, 2)
    card = tab.cell(2).locator(".aiq-card")
    expect(card).to_be_visible()
    wider = str(tab.jobs().filter(has_text="wider").get_attribute("data-aiq-job"))
    training.let(wider, 5)
    tab.expect_progress(wider, 25)
    waiting = [submit(name, "svm") for name in ("svm-rbf", "svm-linear")]
    cancelled = submit("typo", "mpl")
    tab.job(cancelled).get_by_role("button", name="Cancel typo").click()
    tab.expect_job(cancelled, "cancelled")
    for job in waiting:
        tab.expect_job(job, "queued")
    tab.expect_load("train", running="2 / 2")
    tab.run(1)
    expect(tab.cell(1).locator(".aiq table")).to_be_visible()
    expect(card).to_contain_text("25 %")
    return tab


def test_everything_can_be_read_in_the_light_and_in_the_dark_theme(busy: Tab) -> None:
    outputs = busy.page.locator(".jp-OutputArea-output .aiq")

    for theme, picture in PICTURES.items():
        busy.theme(theme)

        expect(outputs).to_have_count(2)
        assert not faint_texts(busy.sidebar)
        assert not [text for output in outputs.all() for text in faint_texts(output)]
        if TAKES_PICTURES:
            busy.page.screenshot(path=IMAGES / picture, animations="disabled")
