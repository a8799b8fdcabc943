"""The list of jobs in the sidebar with more jobs than anybody reads: found, ordered, chosen, kept.

With AIQUEUE_SCREENSHOTS=1, the last test takes the pictures of the documentation.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import job_list
import pytest
from accessibility import violations
from contrast import faint_texts
from lab import Lab
from pasts import job_id, record
from playwright.sync_api import expect
from sidebar import Tab

from jupyter_aiqueue.core.job import State

OpenTab = Callable[..., Tab]

IMAGES = Path(__file__).parents[2] / "docs" / "images"
THEMES = {"JupyterLab Light": "", "JupyterLab Dark": "-dark"}

#: Asked now: fixtures take all our variables out of the environment.
TAKES_PICTURES = bool(os.environ.get("AIQUEUE_SCREENSHOTS"))

#: Jobs of the long ledger, and of the short one, which begin with that number.
MANY, FEW, FIRST = 9_999, 40, 20_000


@pytest.fixture(scope="module")
def history(lab: Lab) -> str:
    """A notebook with many jobs that are over, and one that waits: nobody works here."""
    notebook = lab.notebook("history.ipynb")
    record(lab.root / notebook, *range(MANY))
    lab.submit(notebook, "waits")
    return notebook


@pytest.fixture
def sweep(lab: Lab) -> str:
    """A notebook with some jobs that are over."""
    notebook = lab.notebook("sweep.ipynb")
    (lab.root / "sweep.jobs.jsonl").unlink(missing_ok=True)
    record(lab.root / notebook, *range(FIRST, FIRST + FEW))
    return notebook


def test_ten_thousand_jobs_are_there_at_once_and_scroll_without_a_gap(
    lab: Lab, history: str, open_tab: OpenTab
) -> None:
    tab = open_tab(lab)
    opening = job_list.open_scope(tab, "all")
    far = job_list.scroll(tab, 40, far=True)
    tab.sidebar.evaluate("node => { node.scrollTop = 0 }")
    near = job_list.scroll(tab, 60, far=False)
    print(
        f"\n{MANY + 1} jobs: {opening}\njumps: {far}\nscreen by screen: {near}",
    )

    assert far.blank == near.blank == 0
    assert far.most < 100
    job_list.expect_count(tab, MANY + 1)

    tab.sidebar.evaluate("node => { node.scrollTop = 0 }")
    waiting = tab.jobs("queued")
    expect(waiting).to_contain_text("waits")
    waits = str(waiting.get_attribute("data-aiq-job"))

    def cancel() -> None:
        tab.job(waits).get_by_role("button", name="Cancel waits").click()
        tab.expect_job(waits, "cancelled")

    touched = job_list.rows_touched(tab, cancel)
    print(f"rows touched by the end of one job: {touched}")
    assert list(touched) == [waits]
    assert tab.never_reloaded


def test_jobs_are_found_and_ordered(lab: Lab, sweep: str, open_tab: OpenTab) -> None:
    tab = open_tab(lab, sweep)
    job_list.expect_count(tab, FEW)
    first = tab.jobs().first
    expect(first).to_contain_text(f"sweep-{FIRST + FEW - 1}")

    job_list.search(tab, "svm lr=0.1")

    expect(tab.jobs()).to_have_count(4)
    expect(tab.sidebar.locator(".jp-AIQueue-matches")).to_have_text(f"4 of {FEW}")
    job_list.search(tab, "")
    tab.sidebar.locator('[data-aiq-chip="failed"]').click()
    expect(tab.jobs()).to_have_count(5)
    expect(tab.jobs("failed")).to_have_count(5)
    tab.sidebar.get_by_role("button", name="Show all jobs").click()
    job_list.expect_count(tab, FEW)
    for order, name in {
        "oldest": "sweep-20000",
        "state": "sweep-20033",
        "name": "sweep-20000",
    }.items():
        job_list.order(tab, order)
        expect(first).to_contain_text(name)
    job_list.search(tab, "no such job")
    expect(tab.empty("no-match")).to_contain_text("No job fits")


def test_several_jobs_are_retried_cancelled_and_deleted_together(
    lab: Lab, sweep: str, open_tab: OpenTab
) -> None:
    tab = open_tab(lab, sweep)
    keyboard = tab.page.keyboard
    newest, third = job_id(FIRST + FEW - 1), job_id(FIRST + FEW - 3)
    job_list.select(tab, newest)
    job_list.select(tab, third, extend=True)
    bar = tab.sidebar.get_by_role("toolbar", name="Selected jobs")
    expect(bar).to_contain_text("3 selected")
    expect(bar.locator('[data-aiq-bulk="cancel"]')).to_be_disabled()

    job_list.do(tab, "retry", "Leave them")
    expect(tab.jobs("queued")).to_have_count(0)
    job_list.do(tab, "retry", "Submit 3 jobs")

    expect(tab.jobs("queued")).to_have_count(3)
    job_list.expect_count(tab, FEW + 3)
    # By the keyboard: none of these, all of those.
    job_list.grid(tab).focus()
    keyboard.press("Escape")
    expect(bar).to_have_count(0)
    tab.sidebar.locator('[data-aiq-chip="queued"]').click()
    job_list.grid(tab).focus()
    keyboard.press("Delete")
    keyboard.press("Control+a")
    expect(bar).to_contain_text("3 selected")
    expect(bar.locator('[data-aiq-bulk="remove"]')).to_be_disabled()
    job_list.do(tab, "cancel", "Cancel 3 jobs")

    expect(tab.empty("no-match")).to_be_visible()
    tab.sidebar.locator('[data-aiq-chip="queued"]').click()
    expect(tab.jobs("cancelled")).to_have_count(3)
    job_list.select(tab, third)
    cancelled = str(tab.jobs("cancelled").first.get_attribute("data-aiq-job"))
    job_list.select(tab, cancelled, extend=True)
    job_list.do(tab, "remove", "Delete 6 records")

    job_list.expect_count(tab, FEW - 3)
    expect(tab.job(newest)).to_have_count(0)
    recorded = lab.recorded(sweep)
    assert len(recorded) == FEW - 3
    assert State.CANCELLED not in {job.state for job in recorded.values()}
    text = (lab.root / "sweep.jobs.jsonl").read_text("utf-8")
    assert text.count('{"removed":') == 6
    assert newest in text


def test_the_sidebar_is_after_a_reload_as_it_was_before(
    lab: Lab, sweep: str, open_tab: OpenTab
) -> None:
    tab = open_tab(lab, sweep)
    tab.scope("all")
    job_list.order(tab, "oldest")
    job_list.search(tab, "svm sweep-2000")
    tab.sidebar.locator('[data-aiq-chip="succeeded"]').click()
    job_list.expect_count(tab, 4)
    opened = tab.jobs().nth(1)
    shown = str(opened.get_attribute("data-aiq-job"))
    job_list.grid(tab).focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        tab.page.keyboard.press(key)
    expect(tab.job(shown).get_by_role("log")).to_contain_text("epoch 10/10")
    tab.sidebar.locator("#jp-AIQueue-load-title").click()
    tab.page.wait_for_timeout(2000)  # it is kept after half a second, and the layout after one

    tab.page.reload()

    expect(tab.sidebar).to_be_visible()
    expect(tab.sidebar.locator('[data-aiq-scope="all"]')).to_have_attribute("aria-pressed", "true")
    expect(tab.sidebar.get_by_role("searchbox")).to_have_value("svm sweep-2000")
    expect(tab.sidebar.get_by_label("Order of jobs")).to_have_value("oldest")
    expect(tab.sidebar.locator('[data-aiq-chip="succeeded"]')).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(tab.job(shown).get_by_role("log")).to_contain_text("epoch 10/10")
    expect(tab.sidebar.locator("#jp-AIQueue-load")).to_be_hidden()


def test_the_list_can_be_read_by_everybody(lab: Lab, sweep: str, open_tab: OpenTab) -> None:
    tab = open_tab(lab, sweep)
    for number in (1, 6):
        job_list.select(tab, job_id(FIRST + FEW - number))
    tab.job(job_id(FIRST + FEW - 3)).locator(".jp-AIQueue-jobTitle").click()
    expect(tab.job(job_id(FIRST + FEW - 3)).get_by_role("log")).to_be_visible()
    job_list.search(tab, "sweep")

    assert not violations(tab.sidebar)
    for theme, kind in THEMES.items():
        tab.theme(theme)
        assert not faint_texts(tab.sidebar)
        if TAKES_PICTURES:
            tab.sidebar.screenshot(path=IMAGES / f"job-list{kind}.png", animations="disabled")
