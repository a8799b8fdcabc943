"""Ledgers as tables of jobs, and jobs side by side.

With AIQUEUE_SCREENSHOTS=1, the last test takes the pictures of the documentation.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from accessibility import violations
from companion import action, execute, fact, job_view, rows, section
from contrast import faint_texts
from lab import Lab
from pasts import job_id, record
from playwright.sync_api import expect
from sidebar import Tab

OpenTab = Callable[..., Tab]

IMAGES = Path(__file__).parents[2] / "docs" / "images"
THEMES = {"JupyterLab Light": "", "JupyterLab Dark": "-dark"}

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

#: Jobs of the long ledger, and seconds that it may take until its rows are there, on a machine
#: that does something else, too.
MANY, SOON = 10_000, 10.0

#: The rows' height that is covered by rows, and how many rows there are; after each of many jumps.
JUMPS = """
async grid => {
  const frame = () => new Promise(resolve => requestAnimationFrame(resolve));
  const blank = [];
  for (let i = 1; i <= 40; i += 1) {
    grid.scrollTop = (grid.scrollHeight * ((i * 17) % 40)) / 40;
    await frame();
    await frame();
    const box = grid.getBoundingClientRect();
    const at = y => document.elementFromPoint(box.left + 200, y)?.closest('[data-aiq-job]');
    if (!at(box.top + 60) || !at(box.bottom - 40)) {
      blank.push(grid.scrollTop);
    }
  }
  return [blank, grid.querySelectorAll('[data-aiq-job]').length];
}
"""


def test_a_ledger_is_a_table_that_follows_the_file(lab: Lab, open_tab: OpenTab) -> None:
    notebook = lab.root / lab.notebook("sweep.ipynb")
    record(notebook, *range(8))
    tab = open_tab(lab)

    execute(tab, "docmanager:open", path="sweep.jobs.jsonl")

    expect(rows(tab)).to_have_count(8)
    expect(rows(tab, "failed")).to_contain_text("sweep-6")
    grid = tab.page.get_by_role("grid")
    expect(grid.get_by_role("columnheader")).to_contain_text(["model_type", "lr", "loss"])

    record(notebook, 8)

    expect(rows(tab)).to_have_count(9)
    expect(rows(tab).first).to_contain_text("sweep-8")
    grid.get_by_role("button", name="loss").click()
    expect(rows(tab).first).to_contain_text("sweep-4")
    tab.page.get_by_role("searchbox").fill("svm lr=0.1")
    expect(rows(tab)).to_have_count(1)
    assert tab.never_reloaded

    execute(tab, "docmanager:open", path="sweep.jobs.jsonl", factory="Editor")
    expect(tab.page.locator(".jp-FileEditor .cm-content")).to_contain_text('"ledger"')

    tab.page.wait_for_timeout(1500)  # JupyterLab saves its layout after a second
    tab.page.reload()
    tab.page.locator('.lm-TabBar-tab[title*="sweep.jobs.jsonl"]').first.click()
    expect(rows(tab)).to_have_count(9)


def test_thousands_of_jobs_are_scrolled_without_a_gap(lab: Lab, open_tab: OpenTab) -> None:
    record(lab.root / lab.notebook("many.ipynb"), *range(MANY))
    tab = open_tab(lab)

    begun = time.monotonic()
    execute(tab, "docmanager:open", path="many.jobs.jsonl")
    expect(rows(tab).first).to_contain_text(f"sweep-{MANY - 1}")
    took = time.monotonic() - begun

    grid = tab.page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", str(MANY + 1))
    blank, drawn = grid.evaluate(JUMPS)
    print(f"\n{MANY} jobs: rows after {took:.2f} s, {drawn} drawn, {len(blank)} of 40 jumps blank")
    assert took < SOON
    assert not blank
    assert drawn < 100


def test_a_ledger_is_read_without_the_server_extension(tmp_path: Path, open_tab: OpenTab) -> None:
    with Lab(tmp_path / "lab", extension=False) as lab:
        record(lab.root / lab.notebook("alone.ipynb"), *range(3))
        tab = open_tab(lab)
        execute(tab, "docmanager:open", path="alone.jobs.jsonl")

        rows(tab).nth(1).get_by_role("button", name="sweep-1").click()

        view = job_view(tab, job_id(1))
        expect(view.get_by_role("status")).to_have_text("succeeded")
        expect(view.locator('[data-aiq-banner="ledger"]')).to_contain_text("alone.jobs.jsonl")
        expect(fact(view, "config", "lr")).to_have_text("0.2")
        expect(section(view, "curves").locator("figure")).to_have_count(1)
        expect(view.get_by_role("log")).to_contain_text("epoch 10/10")
        expect(action(view, "retry")).to_have_count(0)
        # The browser itself writes down each answer 404.
        assert all("404" in complaint for complaint in tab.complaints)
        tab.complaints.clear()


@pytest.fixture
def swept(lab: Lab, open_tab: OpenTab) -> Iterator[Tab]:
    """A ledger with a sweep, open."""
    if not (lab.root / "digits.jobs.jsonl").exists():
        record(lab.root / lab.notebook("digits.ipynb"), *range(40))
    tab = open_tab(lab)
    execute(tab, "docmanager:open", path="digits.jobs.jsonl")
    expect(rows(tab)).to_have_count(40)
    yield tab
    # The browser itself writes down each answer 404: the server knows no ledger that its
    # recorder has not written.
    assert all("404" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_jobs_are_chosen_with_the_keyboard_and_compared(swept: Tab) -> None:
    keyboard = swept.page.keyboard
    swept.page.get_by_role("grid").focus()
    compare = action(swept.page.locator(".jp-AIQueueLedger"), "compare")
    expect(compare).to_be_disabled()

    for _ in range(3):
        keyboard.press("ArrowDown")
        keyboard.press("Space")
    compare.click()

    view = swept.page.locator(".jp-AIQueueCompare")
    heads = view.locator("thead th")
    expect(heads).to_contain_text(["sweep-39", "sweep-38", "sweep-37"])
    expect(view.locator('[data-aiq-key="lr"] td')).to_have_text(["0.5", "0.4", "0.3"])
    expect(view.locator('[data-aiq-key="epochs"]')).to_have_count(0)
    view.get_by_label("Also what is the same").check()
    expect(view.locator('[data-aiq-key="epochs"] td')).to_have_text(["10", "10", "10"])
    expect(view.locator(".jp-AIQueue-chartMark")).to_have_text(["A", "B", "C"])

    heads.nth(0).locator(".jp-AIQueue-link").click()

    expect(job_view(swept, job_id(39)).get_by_role("status")).to_have_text("succeeded")


def test_everything_can_be_read_in_the_light_and_in_the_dark_theme(swept: Tab) -> None:
    jobs = [job_id(number) for number in (35, 36, 37, 38)]

    for theme, suffix in THEMES.items():
        swept.theme(theme)
        for name, view, command, arguments in (
            ("ledger", ".jp-AIQueueLedger", "docmanager:open", {"path": "digits.jobs.jsonl"}),
            ("compare", ".jp-AIQueueCompare", "aiqueue:compare-jobs", {"jobs": jobs}),
        ):
            ledger = {} if name == "ledger" else {"ledger": "digits.jobs.jsonl"}
            execute(swept, command, **arguments, **ledger)
            shown = swept.page.locator(f"{view}:visible")
            expect(shown.locator("[data-aiq-job]").first).to_be_visible()

            assert not faint_texts(shown), (theme, name)
            assert not violations(shown), (theme, name)
            if TAKES_PICTURES:
                swept.page.screenshot(path=IMAGES / f"{name}{suffix}.png", animations="disabled")
