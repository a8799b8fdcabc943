"""Displays that follow their job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core.job import JobRecord, State
from jupyter_aiqueue.kernel.live import Bundle, LiveDisplays


class Handle:
    """A job whose changes the test makes."""

    id = "job"
    place = 0

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.record = JobRecord(job_id="job")
        self.listeners: list[Callable[[JobRecord], None]] = []

    def on_change(self, callback: Callable[[JobRecord], None]) -> Callable[[], None]:
        self.listeners.append(callback)
        return lambda: self.listeners.remove(callback)

    def change(self, *, told: bool = True, **fields: Any) -> None:
        self.record = msgspec.structs.replace(self.record, **fields)
        if told:
            for listener in list(self.listeners):
                listener(self.record)


class Screen:
    """What a front end has received."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bool, str]] = []

    def __call__(self, data: Bundle, display_id: str, update: bool) -> None:
        assert set(data) == {"text/html", "text/plain"}
        self.messages.append((display_id, update, data["text/plain"]))

    @property
    def last(self) -> str:
        return self.messages[-1][2]


@pytest.fixture
def screen() -> Screen:
    return Screen()


@pytest.fixture
def displays(screen: Screen) -> Iterator[LiveDisplays]:
    displays = LiveDisplays(screen)
    yield displays
    displays.close()
    eventually(ended, message="a thread of this test goes on")


def ended() -> bool:
    return not any(thread.name == "aiqueue displays" for thread in threading.enumerate())


def test_a_display_follows_its_job_to_the_end_and_no_further(
    displays: LiveDisplays, screen: Screen
) -> None:
    handle = Handle()
    displays.show(handle)  # type: ignore[arg-type]
    assert "queued" in screen.last
    eventually(lambda: handle.listeners, message="nobody listens")

    handle.change(state=State.RUNNING)
    eventually(lambda: "running" in screen.last, message="the start is not shown")
    handle.change(state=State.SUCCEEDED)
    eventually(lambda: "succeeded" in screen.last, message="the end is not shown")

    eventually(ended, message="the thread goes on")
    assert handle.listeners == []
    assert len({display_id for display_id, _, _ in screen.messages}) == 1
    assert [update for _, update, _ in screen.messages] == [False, True, True]


def test_a_burst_of_changes_is_few_updates_and_the_last_one_is_shown(
    displays: LiveDisplays, screen: Screen
) -> None:
    handle = Handle()
    displays.show(handle)  # type: ignore[arg-type]
    eventually(lambda: handle.listeners, message="nobody listens")

    for step in range(1, 501):
        handle.change(state=State.RUNNING, progress=step / 500)

    eventually(lambda: "100 %" in screen.last, message="the last change is not shown")
    assert len(screen.messages) <= 4
    displays.close()


def test_an_event_that_was_missed_is_seen_in_the_ledger(
    displays: LiveDisplays, screen: Screen
) -> None:
    handle = Handle()
    displays.show(handle)  # type: ignore[arg-type]

    handle.change(told=False, state=State.SUCCEEDED)

    eventually(lambda: "succeeded" in screen.last, message="the end is not shown")


def test_a_cell_that_ends_shows_what_is_known_then(displays: LiveDisplays, screen: Screen) -> None:
    handle = Handle()
    displays.show(handle)  # type: ignore[arg-type]
    handle.change(told=False, state=State.SUCCEEDED)

    displays.catch_up()

    assert "succeeded" in screen.last
    assert len(screen.messages) == 2


def test_a_job_that_has_ended_is_shown_once(displays: LiveDisplays, screen: Screen) -> None:
    handle = Handle()
    handle.change(state=State.DEAD)

    displays.show(handle)  # type: ignore[arg-type]

    assert len(screen.messages) == 1
    assert ended()


def test_closing_leaves_what_was_shown(displays: LiveDisplays, screen: Screen) -> None:
    handles = [Handle(), Handle()]
    for handle in handles:
        displays.show(handle)  # type: ignore[arg-type]
    eventually(lambda: all(h.listeners for h in handles), message="nobody listens")

    displays.close()

    eventually(ended, message="the thread goes on")
    assert [handle.listeners for handle in handles] == [[], []]
    assert len(screen.messages) == 2
