"""What the sidebar says of jobs that wait: place, range and reason, and what held ones wait for."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab
from training import Training

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.job import Priority, now
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.status import Heartbeat, Running, encode
from jupyter_aiqueue.core.transport import connect

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
    expect(expected).to_have_attribute("title", re.compile("Ahead of it: 1 of higher "))
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


def test_a_lost_worker_and_its_job_are_shown_as_lost_and_can_be_read(
    lab: Lab, module_broker: Broker, open_tab: OpenTab
) -> None:
    silent_since = now() - timedelta(seconds=60)
    run = Running(job_id="gone", group="infer", priority=Priority.NORMAL, name="resnet")
    beat = Heartbeat(worker="gpu-3", timestamp=silent_since, groups=("infer",), running=(run,))
    with connect(module_broker, "gpu-3") as session:
        session.publish(topology.STATUS, "worker.gpu-3", Message(body=encode(beat)))
    tab = open_tab(lab)
    infer = tab.sidebar.locator('[data-aiq-group="infer"]')
    expect(infer.locator('[data-aiq-number="lost"]')).to_have_text("1 worker lost")

    infer.get_by_role("button").click()

    worker = infer.locator('[data-aiq-worker="gpu-3"]')
    expect(worker).to_contain_text("lost 1 min")
    expect(worker.locator(".jp-AIQueue-run")).to_have_text("resnetlost")
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        tab.theme(theme)
        assert not faint_texts(worker)
