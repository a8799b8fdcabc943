"""Displays that follow their job."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core.collect.forecaster import Answer
from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.errors import AIQueueError, BrokerUnreachable
from jupyter_aiqueue.core.job import JobRecord, State
from jupyter_aiqueue.core.load import Expected
from jupyter_aiqueue.kernel import live
from jupyter_aiqueue.kernel.live import Bundle, LiveDisplays


class Handle:
    """A job whose changes the test makes."""

    id = "job"
    place = 0

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.record = JobRecord(job_id="job")
        self.listeners: list[Callable[[JobRecord], None]] = []
        self.answer: Answer | AIQueueError = Answer(missing="Nobody collects.")
        self.questions: list[float] = []

    def forecast(self) -> Answer:
        self.questions.append(time.monotonic())
        if isinstance(self.answer, AIQueueError):
            raise self.answer
        return self.answer

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
    names = {thread.name for thread in threading.enumerate()}
    return not names & {"aiqueue displays", "aiqueue forecasts"}


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


def expect(low: float, high: float, ahead: int = 2) -> Answer:
    start = Expected(low=low, middle=(low + high) / 2, high=high)
    finish = Expected(low=low + 60, middle=high + 60, high=high + 90)
    return Answer(foresight=Foresight(start=start, finish=finish, ahead=ahead, basis="20 runs"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions follow each other without the pause that people need."""
    monkeypatch.setattr(live, "_FIRST", 0.0)
    monkeypatch.setattr(live, "_ASK", 0.05)
    monkeypatch.setattr(live, "_PART", 0.0)


def test_a_waiting_job_shows_what_is_expected_until_it_starts(
    quick: None, displays: LiveDisplays, screen: Screen
) -> None:
    handle = Handle()
    handle.answer = expect(720, 1500)
    displays.show(handle)  # type: ignore[arg-type]
    eventually(lambda: "in 12–25 min" in screen.last, message="no range is shown")
    seen, asked = len(screen.messages), len(handle.questions)

    # The same again, with a difference that nobody would see.
    handle.answer = expect(725, 1505)
    eventually(lambda: len(handle.questions) > asked + 2, message="it is not asked again")
    assert len(screen.messages) == seen
    handle.answer = expect(180, 300, ahead=0)
    eventually(lambda: "in 3–5 min" in screen.last, message="the new range is not shown")

    handle.change(state=State.RUNNING)
    eventually(lambda: "running" in screen.last, message="the start is not shown")
    assert "in 3–5 min" not in screen.last
    eventually(
        lambda: "aiqueue forecasts" not in {t.name for t in threading.enumerate()},
        message="somebody goes on asking",
    )


def test_what_cannot_be_told_any_more_is_not_shown_any_more(
    quick: None, displays: LiveDisplays, screen: Screen
) -> None:
    handle = Handle()
    handle.answer = expect(720, 1500)
    displays.show(handle)  # type: ignore[arg-type]
    eventually(lambda: "in 12–25 min" in screen.last, message="no range is shown")

    handle.answer = BrokerUnreachable("It is away.")

    eventually(lambda: "min" not in screen.last, message="the old range is still shown")
    handle.change(state=State.SUCCEEDED)


def test_many_waiting_jobs_are_asked_about_a_few_at_a_time(
    displays: LiveDisplays, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST", 0.0)
    monkeypatch.setattr(live, "_ASK", 0.3)
    handles = [Handle() for _ in range(20)]
    for handle in handles:
        handle.answer = expect(720, 1500)
        displays.show(handle)  # type: ignore[arg-type]

    eventually(lambda: all(handle.questions for handle in handles), message="not all are asked")

    times = sorted(moment for handle in handles for moment in handle.questions)
    assert all(later - first >= 0.2 for first, later in zip(times, times[4:], strict=False))
    # Who has to wait long is not asked about again soon.
    assert {len(handle.questions) for handle in handles} == {1}
    displays.close()


def test_a_question_that_takes_long_keeps_no_display_waiting(
    quick: None, displays: LiveDisplays, screen: Screen
) -> None:
    slow, other, go = Handle(), Handle(), threading.Event()
    slow.forecast = lambda: (go.wait(20), expect(1, 2))[1]  # type: ignore[method-assign]
    displays.show(slow)  # type: ignore[arg-type]
    displays.show(other)  # type: ignore[arg-type]
    eventually(lambda: other.listeners, message="nobody listens")

    other.change(state=State.SUCCEEDED)

    eventually(lambda: "succeeded" in screen.last, message="the end is not shown")
    assert not go.is_set()
    slow.change(state=State.SUCCEEDED)
    displays.catch_up()
    assert "succeeded" in screen.last
    go.set()
