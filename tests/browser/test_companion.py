"""The companion that is open all day: status bar, notifications, and what is away for a while.

The server has a prefix, as behind a hub, and reaches its broker by a way that can be cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from accessibility import violations
from contrast import faint_texts
from forwarder import Forwarder
from lab import Lab
from playwright.sync_api import Locator, expect
from sidebar import Tab
from training import Training
from waiting import eventually

from jupyter_aiqueue.core.config import Broker

OpenTab = Callable[..., Tab]

SET = """
async ([name, value]) => {
  const plugins = window.jupyterapp.pluginRegistry;
  const tokens = [...plugins._services.keys()];
  const token = tokens.find(({ name }) => name.endsWith(':ISettingRegistry'));
  const registry = await plugins.resolveRequiredService(token);
  await registry.set('jupyter-aiqueue:plugin', name, value);
}
"""


@pytest.fixture(scope="module")
def way(module_broker: Broker) -> Iterator[Forwarder]:
    """The server's way to the broker."""
    way = Forwarder(module_broker.hosts[0])
    way.open()
    yield way
    way.close()


@pytest.fixture(scope="module")
def lab(
    module_broker: Broker, way: Forwarder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lab]:
    """JupyterLab under a prefix, with the administrator's own defaults."""
    account = f"{module_broker.username}:{module_broker.password}"
    closed = Forwarder(("127.0.0.1", 0))
    environment = {
        "AIQUEUE_URL": f"amqp://{account}@127.0.0.1:{way.port}/{module_broker.vhost}",
        "AIQUEUE_MANAGEMENT_URL": f"http://127.0.0.1:{closed.port}",
    }
    with Lab(
        tmp_path_factory.mktemp("lab"),
        environment,
        base_url="/hub/ada/",
        overrides={"groups": ["train"]},
    ) as lab:
        yield lab
    closed.close()


def status(tab: Tab) -> Locator:
    return tab.page.locator("#jp-main-statusbar .jp-AIQueueStatus")


def hide(tab: Tab) -> None:
    """Fold the sidebar away."""
    tab.page.locator('.lm-TabBar-tab[data-id="jp-aiqueue-sidebar"]').click()
    expect(tab.sidebar).to_be_hidden()


def toasts(tab: Tab) -> Locator:
    return tab.page.locator(".Toastify__toast")


def who_tells(tabs: list[Tab], text: str) -> Tab:
    """The one tab with a notification that has this text."""

    def telling() -> list[Tab]:
        return [tab for tab in tabs if toasts(tab).filter(has_text=text).count()]

    eventually(telling, timeout=30, message=f"nobody tells: {text}")
    (teller,) = telling()
    return teller


def change(tab: Tab, name: str, value: Any) -> None:
    """Change a setting."""
    tab.page.evaluate(SET, [name, value])


def asked(tab: Tab) -> list[str]:
    """What the page asks of our extension from now on."""
    found: list[str] = []
    tab.page.on("request", lambda request: "/aiqueue/" in request.url and found.append(request.url))
    return found


def test_the_status_bar_asks_nothing_while_the_sidebar_is_hidden(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("busy.ipynb")
    for number in range(3):
        lab.submit(notebook, f"long-{number}")
    tab = open_tab(lab)
    tab.expect_load("train", waiting="1", running="2 / 2")
    # The administrator shows one group and no other.
    expect(tab.sidebar.locator("[data-aiq-group]")).to_have_count(1)
    bar = tab.sidebar.locator('[data-aiq-group="train"] .jp-AIQueue-bar')
    expect(bar.locator("[data-aiq-part]")).to_have_count(2)
    expect(status(tab)).to_contain_text("train 1 waiting")

    hide(tab)
    questions = asked(tab)
    # It is old after three times as long as an open sidebar leaves between two questions.
    expect(status(tab)).to_contain_text("ago)")
    assert questions == []
    # What another tab looks at is pushed to all.
    other = open_tab(lab)
    lab.submit(notebook, "one-more")
    other.expect_load("train", waiting="2", running="2 / 2")
    expect(status(tab)).to_contain_text("train 2 waiting")
    assert questions == []
    for theme in ("JupyterLab Light", "JupyterLab Dark"):
        tab.theme(theme)
        assert not faint_texts(status(tab))
        assert not violations(status(tab))
        assert not faint_texts(other.sidebar)

    status(tab).click()

    expect(tab.sidebar).to_be_visible()
    tab.expect_load("train", waiting="2", running="2 / 2")
    assert questions
    assert all("/hub/ada/aiqueue/api/" in url for url in questions)
    change(tab, "statusBar", False)
    expect(status(tab)).to_be_hidden()
    change(tab, "statusBar", True)
    expect(status(tab)).to_be_visible()


def test_one_tab_tells_of_an_end_and_both_show_it(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("told.ipynb")
    tabs = [open_tab(lab), open_tab(lab)]
    for tab in tabs:
        tab.scope("all")
    for tab in tabs:  # a change of a setting is heard by the page that makes it
        change(tab, "notifications", "none")
    silent = lab.submit(notebook, "silent", config={"epochs": 1})
    training.let(silent, 1)
    for tab in tabs:
        tab.expect_job(silent, "succeeded")
    for tab in tabs:
        change(tab, "notifications", "all")
    broken = lab.submit(notebook, "too-wide", retries=0)
    training.let(broken, "fail")

    for tab in tabs:
        tab.expect_job(broken, "failed")
    teller = who_tells(tabs, "too-wide” failed: ")
    assert not faint_texts(toasts(teller))
    toasts(teller).get_by_role("button", name="Retry").click()
    for tab in tabs:
        expect(tab.jobs("running").filter(has_text="too-wide")).to_have_count(1)
    again = str(teller.jobs("running").filter(has_text="too-wide").get_attribute("data-aiq-job"))
    training.let(again, 4)

    teller = who_tells(tabs, "too-wide” succeeded")

    assert not any(toasts(tab).filter(has_text="silent").count() for tab in tabs)
    toast = toasts(teller).filter(has_text="succeeded")
    toast.get_by_role("button", name="Show").click()
    expect(teller.page.locator(f'[data-aiq-job-view="{again}"]')).to_be_visible()


def test_jobs_stay_with_a_notebook_that_is_renamed(
    lab: Lab, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("before.ipynb")
    job = lab.submit(notebook, "mine", config={"epochs": 1})
    training.let(job, 1)
    tab = open_tab(lab, notebook)
    tab.expect_job(job, "succeeded")

    tab.page.evaluate(
        "window.jupyterapp.serviceManager.contents.rename('before.ipynb', 'after.ipynb')"
    )

    expect(tab.page.locator('.lm-TabBar-tab:has-text("after.ipynb")').first).to_be_visible()
    tab.expect_job(job, "succeeded")
    assert set(lab.recorded("after.ipynb")) == {job}
    later = lab.submit("after.ipynb", "later", config={"epochs": 1})
    tab.expect_job(later, "running")
    tab.page.evaluate("window.jupyterapp.commands.execute('aiqueue:open-ledger')")
    expect(tab.page.locator(".jp-AIQueueLedger-row")).to_have_count(2)


def test_a_broker_and_a_server_that_were_away_are_found_again(
    lab: Lab, way: Forwarder, training: Training, open_tab: OpenTab
) -> None:
    notebook = lab.notebook("patient.ipynb")
    tab = open_tab(lab)
    tab.scope("all")
    tab.expect_load("train", waiting="0", running="0 / 2")

    way.cut()

    expect(tab.banner("broker-down")).to_be_visible()
    expect(status(tab)).to_have_text("Queue: broker away")

    way.mend()

    tab.expect_load("train", waiting="0", running="0 / 2")
    expect(tab.banner("broker-down")).to_have_count(0)
    expect(status(tab)).to_have_text("Queue: nothing waits")

    job = lab.submit(notebook, "survivor")
    tab.expect_job(job, "running")
    lab.stop()
    expect(status(tab)).to_have_text("Queue: no connection")
    training.let(job, 4)
    lab.start()
    dismiss = tab.page.get_by_role("button", name="Dismiss")
    if dismiss.count():
        dismiss.first.click()

    tab.expect_job(job, "succeeded")
    tab.expect_load("train", waiting="0", running="0 / 2")
    assert tab.never_reloaded
    # The browser itself writes down what does not answer.
    tab.complaints.clear()
