"""The tabs of the main area: jobs, ledgers, comparisons."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, expect
from sidebar import Tab


def execute(tab: Tab, command: str, **arguments: Any) -> None:
    """Run a command of JupyterLab."""
    tab.page.evaluate(
        "async ([command, args]) => { await window.jupyterapp.commands.execute(command, args) }",
        [command, arguments],
    )


def open_job(tab: Tab, job_id: str) -> Locator:
    """Open a job from its row in the sidebar, by the row's menu."""
    tab.job(job_id).locator(".jp-AIQueue-jobSummary").click(button="right")
    tab.page.get_by_role("menuitem", name="Open Job in a Tab").click()
    return job_view(tab, job_id)


def job_view(tab: Tab, job_id: str) -> Locator:
    view = tab.page.locator(f'[data-aiq-job-view="{job_id}"]')
    expect(view).to_be_visible()
    return view


def section(view: Locator, name: str) -> Locator:
    return view.locator(f'[data-aiq-section="{name}"]')


def action(view: Locator, name: str) -> Locator:
    return view.locator(f'[data-aiq-action="{name}"]')


def fact(view: Locator, part: str, name: str) -> Locator:
    """What stands beside a name in one part of the job view."""
    return section(view, part).locator(f'dt:text-is("{name}") + dd')


def rows(tab: Tab, state: str | None = None) -> Locator:
    """The rows of the open ledger that are drawn."""
    kind = f'[data-aiq-state="{state}"]' if state else ""
    return tab.page.locator(f".jp-AIQueueLedger-row{kind}")
