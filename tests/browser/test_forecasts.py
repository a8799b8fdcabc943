"""What the sidebar says of jobs that wait: place, range and reason, and what held ones wait for."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab
from training import Training

OpenTab = Callable[..., Tab]

RANGE = re.compile(r"at once|in [\d–]+ (s|min|h|d)|in \d+ .+ – \d+ .+")


@pytest.fixture
def busy(lab: Lab, training: Training, open_tab: OpenTab) -> Tab:
    """A worker with a history, both of whose slots are taken."""
    notebook = lab.notebook("history.ipynb")
    past = [lab.submit(notebook, f"past-{i}", config={"epochs": 1}) for i in range(4)]
    for job in past:
        training.let(job, 1)
    tab = open_tab(lab)
    tab.scope("all")
    expect(tab.jobs("succeeded")).to_have_count(len(past))
    for name in ("first", "second"):
        training.processes(lab.submit(notebook, name, config={"epochs": 2}))
    tab.expect_load("train", running="2 / 2")
    return tab


def test_a_waiting_job_shows_its_place_its_range_and_the_reason(
    lab: Lab, training: Training, busy: Tab
) -> None:
    notebook = lab.notebook("mine.ipynb")
    ahead = lab.submit(notebook, "ahead", config={"epochs": 1}, priority="high")
    mine = lab.submit(notebook, "mine", config={"epochs": 1})

    expected = busy.job(mine).locator(".jp-AIQueue-expected")
    expect(expected).to_contain_text("no. 2 in line")
    expect(expected).to_contain_text(RANGE)
    expect(expected).to_have_attribute("title", re.compile("Ahead of it: 1 of higher priority"))
    expect(busy.job(ahead).locator(".jp-AIQueue-expected")).to_contain_text("no. 1 in line")
    start = busy.sidebar.locator('[data-aiq-group="train"] [data-aiq-number="start"]')
    expect(start).to_contain_text(RANGE)
    expect(start).to_have_attribute("title", re.compile("80 % range"))
    busy.job(mine).get_by_role("button", name="mine", exact=False).first.click()
    expect(busy.job(mine)).to_contain_text("It starts")

    training.let_everything(True)

    busy.expect_job(mine, "succeeded")
    expect(expected).to_have_count(0)
    training.let_everything(False)


def test_a_held_job_shows_what_it_waits_for_and_is_released_by_its_button(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("patient.ipynb")
    held = lab.submit(notebook, "patient", config={"epochs": 1}, when="free_slots > 50")
    tab = open_tab(lab, notebook)
    tab.expect_job(held, "held")
    expect(tab.job(held)).to_contain_text("waits for free_slots > 50")
    number = tab.sidebar.locator('[data-aiq-group="train"] [data-aiq-number="held"]')
    expect(number).to_have_text("1 held")

    tab.job(held).get_by_role("button", name="Release patient now").click()

    tab.expect_job(held, "running")
    training.let(held, 1)
    tab.expect_job(held, "succeeded")
    expect(number).to_have_count(0)
