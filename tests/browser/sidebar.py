"""JupyterLab in a browser's tab, and our sidebar in it."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress

from lab import Lab
from playwright.sync_api import ConsoleMessage, Locator, Page, Response, expect

#: Longest wait for something in a page, milliseconds; the machine may be busy.
PATIENCE = 30_000

expect.set_options(timeout=PATIENCE)

#: Times that a cell's keys are pressed, at most.
_PRESSES = 3


class Tab:
    """A tab with JupyterLab and our sidebar open.

    Args:
        notebook: the notebook to open, below the server's root.
    """

    def __init__(self, page: Page, lab: Lab, notebook: str | None = None) -> None:
        self.page = page
        #: What the browser complained about.
        self.complaints: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("response", self._on_response)
        # A workspace of its own: nothing is open that another test has left open.
        path = f"lab/workspaces/{secrets.token_hex(4)}"
        path += f"/tree/{notebook}" if notebook else ""
        page.goto(f"{lab.url}{path}?token={lab.token}", wait_until="domcontentloaded")
        self.sidebar = page.locator("#jp-aiqueue-sidebar")
        page.locator('.lm-TabBar-tab[data-id="jp-aiqueue-sidebar"]').click()
        expect(self.sidebar).to_be_visible()
        if notebook:
            # Kernel ready, or what is run in the next step would only be written down.
            kernel = page.locator(".jp-NotebookPanel .jp-Notebook-ExecutionIndicator")
            expect(kernel).to_have_attribute("data-status", "idle")
        page.evaluate("window.sinceWeCame = true")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} ({message.location.get('url')})")

    def _on_response(self, response: Response) -> None:
        if response.status >= 400 and "/aiqueue/" in response.url:
            self.complaints.append(f"{response.status} from {response.url}")

    @property
    def never_reloaded(self) -> bool:
        """Whether the page is the one that was opened."""
        return bool(self.page.evaluate("window.sinceWeCame === true"))

    # -- the notebook --------------------------------------------------------------------

    def run(self, *cells: int) -> None:
        """Run cells of the notebook, as Shift+Enter does, and wait for each."""
        for index in cells:
            prompt = self.cell(index).locator(".jp-InputPrompt")
            # A page that is still being built may not hear the keys.
            before = prompt.inner_text()
            for _ in range(_PRESSES):
                self.cell(index).locator(".jp-InputArea-editor").click()
                self.page.keyboard.press("Shift+Enter")
                with suppress(AssertionError):
                    expect(prompt).not_to_have_text(before, timeout=5000)
                    break
            expect(prompt).to_have_text(re.compile(r"\d"))

    def cell(self, index: int) -> Locator:
        return self.page.locator(".jp-CodeCell").nth(index)

    # -- the sidebar ---------------------------------------------------------------------

    def scope(self, scope: str) -> None:
        """List the jobs of this "notebook", or "all"."""
        self.sidebar.locator(f'[data-aiq-scope="{scope}"]').click()

    def jobs(self, state: str | None = None) -> Locator:
        """The rows of jobs, newest first."""
        return self.sidebar.locator(
            f'[data-aiq-job][data-aiq-state="{state}"]' if state else "[data-aiq-job]"
        )

    def job(self, job_id: str) -> Locator:
        return self.sidebar.locator(f'[data-aiq-job="{job_id}"]')

    def expect_job(self, job_id: str, state: str) -> None:
        expect(self.job(job_id)).to_have_attribute("data-aiq-state", state)

    def expect_progress(self, job_id: str, percent: int) -> None:
        bar = self.job(job_id).get_by_role("progressbar")
        expect(bar).to_have_attribute("aria-valuenow", str(percent))

    def expect_card(self, cell: int, state: str) -> None:
        """What the cell shows of its job is in this state."""
        card = self.cell(cell).locator(".aiq-card")
        expect(card).to_have_class(re.compile(rf"\baiq-{state}\b"))

    def expect_load(self, group: str, **numbers: str) -> None:
        """``expect_load("train", waiting="1", running="2 / 2")``."""
        row = self.sidebar.locator(f'[data-aiq-group="{group}"]')
        for name, text in numbers.items():
            expect(row.locator(f'[data-aiq-number="{name}"]')).to_have_text(text)

    def empty(self, name: str) -> Locator:
        """What is shown in the place of something that is not there."""
        return self.sidebar.locator(f'[data-aiq-empty="{name}"]')

    def banner(self, name: str) -> Locator:
        return self.sidebar.locator(f'[data-aiq-banner="{name}"]')

    def theme(self, name: str) -> None:
        """Choose a theme of JupyterLab."""
        self.page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", name
        )
        expect(self.page.locator("body")).to_have_attribute("data-jp-theme-name", name)
        # JupyterLab trips over its own splash screen when the next theme comes before it is gone.
        expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
