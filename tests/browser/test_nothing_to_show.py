"""What the sidebar says when it has nothing to show, and that it shows it once it has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forwarder import Forwarder
from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab

from jupyter_aiqueue.core.config import Broker

OpenTab = Callable[..., Tab]


@pytest.fixture
def way(broker: Broker) -> Iterator[Forwarder]:
    """The way to the broker, which is closed at first."""
    way = Forwarder(broker.hosts[0])
    yield way
    way.close()


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that refuses every connection."""
    way = Forwarder(("127.0.0.1", 0))
    yield way.port
    way.close()


def test_a_broker_that_cannot_be_reached_is_told_and_shown_by_itself_once_it_can(
    broker: Broker, way: Forwarder, closed: int, tmp_path: Path, open_tab: OpenTab
) -> None:
    url = f"amqp://{broker.username}:{broker.password}@127.0.0.1:{way.port}/{broker.vhost}"
    # Its management API stays away, too: the load has to do without.
    environment = {"AIQUEUE_URL": url, "AIQUEUE_MANAGEMENT_URL": f"http://127.0.0.1:{closed}"}
    with Lab(tmp_path / "lab", environment) as lab:
        tab = open_tab(lab)

        expect(tab.banner("broker-down")).to_contain_text(f"127.0.0.1:{way.port}")
        expect(tab.sidebar.locator("[data-aiq-broker]")).to_have_attribute(
            "data-aiq-broker", "down"
        )
        expect(tab.empty("no-groups")).to_have_text("Nothing is known of the worker groups.")
        expect(tab.empty("no-notebook")).to_contain_text("No notebook is open")
        tab.scope("all")
        expect(tab.empty("no-jobs")).to_contain_text("No jobs yet")
        assert broker.password not in tab.page.content()

        way.open()

        tab.expect_load("train", waiting="0", running="0 / 0", workers="0")
        expect(tab.banner("broker-down")).to_have_count(0)
        assert tab.never_reloaded


def test_a_server_without_the_extension_is_told_with_what_to_do(
    tmp_path: Path, open_tab: OpenTab
) -> None:
    with Lab(tmp_path / "lab", extension=False) as lab:
        tab = open_tab(lab)

        missing = tab.empty("no-extension")
        expect(missing).to_contain_text("The server part is missing")
        expect(missing).to_contain_text("jupyter server extension enable jupyter_aiqueue")

        # The browser itself writes down each answer 404.
        assert tab.complaints
        assert all("404" in complaint for complaint in tab.complaints)
        tab.complaints.clear()
