"""What JupyterLab's page asks and gets while our extension is hidden, open and busy, beside others.

    python benchmarks/companion.py [--json] [--seconds 60]

Starts a private node, a worker, JupyterLab and a headless Chromium (AIQUEUE_CHROMIUM names
another one). Others are measured in the same page if they are installed (``pip install
jupyter-aiqueue[benchmarks]``). Bytes are those of requests, answers and pushed events, with
headers.
"""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.insert(1, str(Path(__file__).resolve().parent.parent / "tests" / "browser"))

import jupyter_aiqueue
from benchmarks.harness import options, private_node, report
from jupyter_aiqueue.core.config import Broker

#: Our scripts, as they were built last.
SCRIPTS = Path(jupyter_aiqueue.__file__).parent / "labextension" / "static"

OURS = "jupyter_aiqueue"

#: By package: how its addresses are told from others'.
ADDRESSES = {
    OURS: "/aiqueue/api/",
    "dask_labextension": "/dask/",
    "jupyter_resource_usage": "/api/metrics/",
}

#: What our events on the server's stream are told by.
EVENTS = "events.jupyter-aiqueue.org"

#: Tabs of the left area that are opened one after the other.
PANELS = {OURS: "jp-aiqueue-sidebar", "dask_labextension": "dask-dashboard-launcher"}

STATIC = "/lab/extensions/jupyter-aiqueue/static/"


class Traffic:
    """Counts what a page sends and receives, by package."""

    def __init__(self, page: Any) -> None:
        self.requests: Counter[str] = Counter()
        self.bytes: Counter[str] = Counter()
        self.pushes: Counter[str] = Counter()
        self.files: set[str] = set()
        page.on("request", self._on_request)
        page.on("requestfinished", self._on_finished)
        page.on("websocket", lambda socket: socket.on("framereceived", self._on_frame))

    def clear(self) -> None:
        """Begin again."""
        for counter in (self.requests, self.bytes, self.pushes):
            counter.clear()

    def _on_request(self, request: Any) -> None:
        if STATIC in request.url:
            self.files.add(request.url.split(STATIC)[1].split("?")[0])
        for package in owners(request.url):
            self.requests[package] += 1

    def _on_finished(self, request: Any) -> None:
        for package in owners(request.url):
            self.bytes[package] += sum(request.sizes().values())

    def _on_frame(self, frame: str | bytes) -> None:
        text = frame if isinstance(frame, str) else frame.decode("utf-8", "replace")
        if EVENTS in text:
            self.pushes[OURS] += 1
            self.bytes[OURS] += len(text.encode())


def owners(url: str) -> list[str]:
    """The packages that an address belongs to: one, or none."""
    return [package for package, part in ADDRESSES.items() if part in url]


def tests(module: str) -> Any:
    """A module of the browser tests: what starts a server and a worker, and looks at a page."""
    return importlib.import_module(module)


def is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@contextmanager
def chromium() -> Iterator[Any]:
    """A page of a headless browser."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    path = os.environ.get("AIQUEUE_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        sys.exit("No Chromium is installed; install it, or set AIQUEUE_CHROMIUM to its path.")
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        try:
            yield browser.new_page()
        finally:
            browser.close()


def address(broker: Broker) -> None:
    """Tell the server and the worker, which have folders of their own, where the node is."""
    host, port = broker.hosts[0]
    account = f"{quote(broker.username, safe='')}:{quote(broker.password, safe='')}"
    os.environ["AIQUEUE_URL"] = f"amqp://{account}@{host}:{port}/{quote(broker.vhost, safe='')}"
    if broker.management_url:
        os.environ["AIQUEUE_MANAGEMENT_URL"] = broker.management_url


def fold(page: Any, panel: str, *, is_open: bool) -> None:
    """Open or fold away a tab of the left area; nothing if there is no such tab."""
    tab = page.locator(f'.lm-TabBar-tab[data-id="{panel}"]')
    if tab.count() and page.locator(f"#{panel}").is_visible() != is_open:
        tab.click()


def watch(page: Any, traffic: Traffic, seconds: int, act: Callable[[], None]) -> dict[str, Any]:
    """Requests, pushes and bytes a minute of each package; ``act`` is called once a second."""
    page.wait_for_timeout(5000)  # what opening itself asks is over
    traffic.clear()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        act()
        page.wait_for_timeout(1000)
    minutes = (time.monotonic() - began) / 60
    return {
        package: {
            "requests": round(traffic.requests[package] / minutes, 1),
            "pushes": round(traffic.pushes[package] / minutes, 1),
            "bytes": round(traffic.bytes[package] / minutes),
        }
        for package in ADDRESSES
        if is_installed(package)
    }


def measure_traffic(page: Any, lab: Any, training: Any, seconds: int) -> dict[str, Any]:
    """What is asked and pushed in a minute in each state of the page."""
    traffic = Traffic(page)
    tab = tests("sidebar").Tab(page, lab)
    tab.scope("all")
    tab.expect_load("train", running="0 / 2")
    at_start = set(traffic.files)
    found: dict[str, Any] = {"files": at_start}

    fold(page, PANELS[OURS], is_open=False)
    found["hidden"] = watch(page, traffic, seconds, lambda: None)
    fold(page, PANELS[OURS], is_open=True)
    found["open and idle"] = watch(page, traffic, seconds, lambda: None)

    notebook = lab.notebook("busy.ipynb")
    jobs = [lab.submit(notebook, name, config={"epochs": 100_000}) for name in ("one", "two")]
    epochs = iter(range(1, 100_000))

    def work() -> None:
        epoch = next(epochs)
        for job in jobs:
            training.let(job, epoch)

    found["open and busy"] = watch(page, traffic, seconds, work)
    fold(page, PANELS[OURS], is_open=False)
    found["hidden and busy"] = watch(page, traffic, seconds, work)
    for job in jobs:
        training.let(job, "fail")
    if is_installed("dask_labextension"):
        fold(page, PANELS["dask_labextension"], is_open=True)
        found["dask's panel open"] = watch(page, traffic, seconds, lambda: None)
    return found


def measure_bundle(at_start: set[str]) -> dict[str, int]:
    """Compressed bytes of our scripts: those that a page loads at start, and the others."""
    sizes = {file.name: len(gzip.compress(file.read_bytes(), 9)) for file in SCRIPTS.glob("*.js")}
    start = sum(size for name, size in sizes.items() if name in at_start)
    return {"start": start, "later": sum(sizes.values()) - start}


def lines_of(traffic: dict[str, Any], bundle: dict[str, int]) -> list[str]:
    """For people."""
    lines = [
        f"{'state':<20}{'extension':<26}{'requests/min':>13}{'pushes/min':>12}{'bytes/min':>12}"
    ]
    for state, packages in traffic.items():
        for package in ADDRESSES:
            figures = packages.get(package)
            if figures is None:
                lines.append(f"{state:<20}{package:<26}{'not installed':>13}")
            else:
                lines.append(
                    f"{state:<20}{package:<26}{figures['requests']:>13}{figures['pushes']:>12}"
                    f"{figures['bytes']:>12,}"
                )
    lines.append(f"bundle, gzip: {bundle['start']:,} bytes at start, {bundle['later']:,} later")
    return lines


def main() -> None:
    """Measure everything and print it."""
    arguments = options(__doc__ or "", seconds=60)
    with private_node() as (broker, _), tempfile.TemporaryDirectory() as name:
        address(broker)
        folder = Path(name)
        with (
            tests("lab").Lab(folder / "lab") as lab,
            tests("training").Training(folder / "worker") as training,
            chromium() as page,
        ):
            traffic = measure_traffic(page, lab, training, arguments.seconds)
    bundle = measure_bundle(traffic.pop("files"))
    report(arguments, lines_of(traffic, bundle), {"traffic": traffic, "bundle": bundle})


if __name__ == "__main__":
    main()
