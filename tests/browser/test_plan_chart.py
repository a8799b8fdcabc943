"""The chart of a plan, drawn by JupyterLab itself."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from contrast import faint_texts
from lab import Lab
from playwright.sync_api import Locator, expect
from sidebar import Tab
from training import Training
from waiting import eventually

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.collect.day import SPAN, Sample
from jupyter_aiqueue.core.collect.reader import read_snapshot
from jupyter_aiqueue.core.collect.snapshot import Lore, PastRun, pack
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.job import now
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.transport import connect
from jupyter_aiqueue.kernel import plan_chart

OpenTab = Callable[..., Tab]


def yesterday(broker: Broker) -> None:
    """What a collector left that has watched for a day, with a gap of two hours in it."""
    newest = int(time.time() // SPAN) * SPAN - SPAN
    samples = []
    for number in range(288):
        at = newest - (287 - number) * SPAN
        waiting = max(0.0, 12 * math.sin(number / 30) + 4 * math.sin(number / 5))
        if not 100 < number < 124:
            running = min(2.0, waiting)
            came = (0, round(waiting / 6), 0)
            samples.append(Sample(at, 300, waiting, running, 2, 2 - running, came))
    runs = tuple(
        PastRun("train", "train_model", str(number % 4), 300.0 + 40 * (number % 7))
        for number in range(40)
    )
    lore = Lore(timestamp=now(), runs=runs, day={"train": tuple(samples)})
    message = Message(body=pack(lore), type=topology.LORE_KEY)
    with connect(broker, "yesterday") as session:
        session.publish(topology.STATUS, topology.LORE_KEY, message, mandatory=True)


@pytest.fixture
def a_day_of_load(module_broker: Broker) -> None:
    yesterday(module_broker)


def test_the_chart_is_drawn_in_light_and_dark(
    a_day_of_load: None,  # before the worker comes, which goes on from there
    module_broker: Broker,
    lab: Lab,
    training: Training,
    open_tab: OpenTab,
) -> None:
    theirs = lab.notebook("theirs.ipynb")
    for number in range(6):
        lab.submit(theirs, f"theirs-{number}", config={"epochs": 1})
    with connect(module_broker, "looking") as session:
        eventually(
            lambda: (
                (told := read_snapshot(session)) is not None
                and told.load.groups[0].waiting.value == 4
            ),
            timeout=60,
            message="the collector does not tell of the line",
        )
    configs = [{"model_type": "mlp", "lr": rate} for rate in (0.1, 0.01)]
    (lab.root / "configs.json").write_text(json.dumps(configs))
    cell = "%queue_plan configs.json --count 20"
    tab = running(open_tab, lab, lab.notebook("plan.ipynb", "%load_ext jupyter_aiqueue", cell))
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        tab.theme(theme)
        tab.run(1)
        outputs = tab.cell(1).locator(".jp-OutputArea-output")
        expect(outputs).to_have_count(2)
        table, chart = outputs.nth(0), outputs.nth(1)
        expect(table).to_contain_text("40 jobs of train_model in group train")
        expect(table.locator("tbody tr")).to_have_count(3)
        assert not faint_texts(table)
        expect(chart.locator("canvas.marks")).to_be_visible()
        assert colours(chart.locator("canvas.marks")) >= {"waiting", "running", "free"}


def running(open_tab: OpenTab, lab: Lab, notebook: str) -> Tab:
    """A tab in which the first cell has been run.

    JupyterLab now and then runs nothing, for good, in a page that was opened while the kernel
    started, though that answers; the next page does.
    """
    for _ in range(2):
        tab = open_tab(lab, notebook)
        expect(tab.empty("no-jobs")).to_be_visible()
        with suppress(AssertionError):
            tab.run(0)
            return tab
        tab.page.close()
        tab.complaints.clear()
    tab = open_tab(lab, notebook)
    tab.run(0)
    return tab


def colours(canvas: Locator) -> set[str]:
    """Which of the chart's colours are in the picture."""
    found = canvas.evaluate(
        """canvas => {
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] === 255) {
              seen.add([0, 1, 2].map(k => data[i + k].toString(16).padStart(2, "0")).join(""));
            }
          }
          return [...seen];
        }"""
    )
    wanted = {"waiting": plan_chart.WAITING, "running": plan_chart.RUNNING, "free": plan_chart.FREE}
    return {name for name, colour in wanted.items() if colour.removeprefix("#") in found}
