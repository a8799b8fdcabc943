"""Debian's Chromium, a Jupyter server, a worker and a broker: all real, one of each per module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from lab import Lab
from playwright.sync_api import Browser, Page, sync_playwright
from sidebar import Tab
from training import Training
from waiting import eventually

from jupyter_aiqueue.core.config import Broker

#: What a browser would do beside showing pages, and a sandbox that containers do not have.
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

#: Asked now: fixtures take all our variables out of the environment.
CHROMIUM = os.environ.get("AIQUEUE_CHROMIUM")

OpenTab = Callable[..., Tab]


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """Not pytest-jupyter's loop, of which there cannot be a second one beside Playwright's."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """There is no Jupyter server in this process to clean up after."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless browser; AIQUEUE_CHROMIUM names another one."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = CHROMIUM or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        reason = "No Chromium is installed; install it, or set AIQUEUE_CHROMIUM to its path."
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


@pytest.fixture(scope="module")
def lab(module_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on that broker."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture(scope="module")
def worker(module_broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    """A worker with two slots on that broker."""
    with Training(tmp_path_factory.mktemp("worker")) as training:
        yield training


@pytest.fixture
def training(worker: Training, lab: Lab) -> Iterator[Training]:
    """That worker, which has nothing left to do when the test is over."""
    yield worker
    worker.let_everything(True)
    eventually(
        lambda: (train := lab.group("train"))["waiting"]["value"] == train["running"]["value"] == 0,
        timeout=60,
        message=f"jobs of this test do not end: {worker.said}",
    )
    worker.let_everything(False)


@pytest.fixture
def open_tab(chromium: Browser) -> Iterator[OpenTab]:
    """Open tabs of one person's browser: ``open_tab(lab, "train.ipynb")``.

    None of them may have complained about our extension.
    """
    context = chromium.new_context(
        viewport={"width": 1280, "height": 800}, device_scale_factor=1.5, locale="en-US"
    )
    tabs: list[Tab] = []

    def open_one(lab: Lab, notebook: str | None = None) -> Tab:
        page: Page = context.new_page()
        tabs.append(Tab(page, lab, notebook))
        return tabs[-1]

    try:
        yield open_one
        for tab in tabs:
            assert not tab.complaints
    finally:
        context.close()
