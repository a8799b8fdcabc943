"""How soon the sidebar shows what was submitted elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from statistics import median

import pytest
from lab import Lab
from producer import Producer
from sidebar import Tab
from training import Training

OpenTab = Callable[..., Tab]

#: Nobody takes jobs of this group here.
GROUP = "infer"

SUBMITS = 9

#: Seconds, as promised: half of it is the pace of counting, the rest is for a busy machine.
BOUND = 1.0

#: Notes when each depth was shown first, by the clock that the producer uses, too.
WATCH = """
row => {
  const cell = row.querySelector('[data-aiq-number="waiting"]');
  window.shown = {};
  const look = () => { window.shown[cell.textContent] ??= Date.now() / 1000; };
  new MutationObserver(look).observe(cell, {
    characterData: true, childList: true, subtree: true
  });
  look();
}
"""


@pytest.fixture
def producer(lab: Lab) -> Iterator[Producer]:
    with Producer() as producer:
        yield producer


def delays(lab: Lab, producer: Producer, tab: Tab) -> list[float]:
    """Seconds from each of several confirms until the sidebar showed the right depth.

    The next one is submitted when the last one has been shown: right after the lines were
    counted, which is the worst moment.
    """
    before = int(lab.group(GROUP)["waiting"]["value"])
    tab.expect_load(GROUP, waiting=str(before))
    row = tab.sidebar.locator(f'[data-aiq-group="{GROUP}"]')
    row.evaluate(WATCH)
    found = []
    for depth in range(before + 1, before + 1 + SUBMITS):
        confirmed = producer.submit(f"{GROUP}.normal")
        tab.page.wait_for_function(f"window.shown['{depth}'] !== undefined")
        found.append(tab.page.evaluate(f"window.shown['{depth}']") - confirmed)
    return found


def test_a_submit_is_shown_within_a_second_though_nobody_collects(
    lab: Lab, producer: Producer, open_tab: OpenTab
) -> None:
    taken = delays(lab, producer, open_tab(lab))

    assert median(taken) < BOUND, taken


def test_a_submit_is_shown_within_a_second_while_a_worker_collects(
    lab: Lab, worker: Training, producer: Producer, open_tab: OpenTab
) -> None:
    tab = open_tab(lab)
    tab.expect_load("train", running="0 / 2", workers="1")

    taken = delays(lab, producer, tab)

    assert median(taken) < BOUND, taken
