"""Forecasts for whoever asks again and again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import msgspec
import pytest

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.collect import forecaster as module
from jupyter_aiqueue.core.collect import foresee
from jupyter_aiqueue.core.collect.forecaster import Answer, Forecaster
from jupyter_aiqueue.core.collect.picture import Picture
from jupyter_aiqueue.core.collect.snapshot import Lore, Snapshot, pack
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerUnreachable
from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import JobRecord, State, now
from jupyter_aiqueue.core.load import BrokerLoad, GroupLoad, Load
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.text import clock
from jupyter_aiqueue.core.topology import Catalog
from jupyter_aiqueue.core.transport import Session

from .pictures import AT, beat, job, learn, told
from .wire import Proxy, closed_port

MINE = JobRecord(job_id="mine", group="train")


@pytest.fixture
def broker(empty_broker: Broker) -> Broker:
    """One that no collector of another test has told anything."""
    provision(empty_broker, Catalog())
    return empty_broker


@pytest.fixture
def picture() -> Picture:
    """One worker with one slot, which is taken, and two jobs in line."""
    picture = Picture(at=AT)
    learn(picture)
    running = job("running")
    picture.event(told(Kind.SUBMITTED, running, -60))
    picture.event(told(Kind.STARTED, running, -50, worker="w1"))
    picture.beat(beat("w1", -50, "running", slots=1, interval=100))
    for name, seconds in (("other", -20), ("mine", -10)):
        picture.event(told(Kind.SUBMITTED, job(name), seconds))
    return picture


@pytest.fixture
def collect(picture: Picture, session: Session) -> Callable[..., None]:
    """Tell, as a collector does: ``collect(age=3)``."""

    def tell(age: float = 0.0) -> None:
        group = GroupLoad(name="train", worker_list=tuple(picture.workers("train", AT)))
        at = now() - timedelta(seconds=age)
        load = Load(timestamp=at, broker=BrokerLoad(state="up"), groups=(group,))
        line = picture.line("train", AT, (10,))
        snapshot = Snapshot(timestamp=at, collector="w1", load=load, groups={"train": line})
        values: tuple[tuple[str, Snapshot | Lore], ...] = (
            (topology.LORE_KEY, picture.lore()),
            (topology.LOAD_KEY, snapshot),
        )
        for key, value in values:
            session.publish(topology.STATUS, key, Message(body=pack(value)), mandatory=True)

    return tell


@pytest.fixture
def forecasters() -> Iterator[Callable[[Broker], Forecaster]]:
    made: list[Forecaster] = []

    def make(broker: Broker) -> Forecaster:
        made.append(Forecaster(lambda: broker))
        return made[-1]

    yield make
    for one in made:
        one.close()


Make = Callable[[Broker], Forecaster]


def test_a_job_in_line_is_told_its_place_and_range(
    broker: Broker, collect: Callable[..., None], forecasters: Make
) -> None:
    collect()

    answer = forecasters(broker).ask(MINE)

    assert answer.foresight is not None
    assert answer.foresight.ahead == 1
    assert answer.foresight.start.low is not None
    assert str(answer).startswith("Ahead of it: 1 of its own priority. It starts in")


def test_many_questions_are_one_look_at_the_broker(
    proxy: Proxy,
    collect: Callable[..., None],
    forecasters: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[str] = []

    def count(where: object, name: str) -> None:
        does = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *all_: (looks.append(name), does(*all_))[1])

    count(module, "read_snapshot")
    count(foresee, "foresee_job")
    collect()
    asked = forecasters(proxy.broker)

    for _ in range(20):
        asked.ask(MINE)
    asked.ask(msgspec.structs.replace(MINE, job_id="other"))

    assert looks == ["read_snapshot", "foresee_job", "foresee_job"]
    monkeypatch.setattr(module, "_FRESH", 0.0)
    later = forecasters(proxy.broker)
    later.ask(MINE)
    later.ask(MINE)
    assert looks[3:] == ["read_snapshot", "foresee_job"] * 2
    assert proxy.accepted == 2


def test_without_a_collector_or_with_a_silent_one_it_says_so(
    broker: Broker, collect: Callable[..., None], forecasters: Make
) -> None:
    assert "no worker is connected" in str(forecasters(broker).ask(MINE))

    collect(age=60)

    assert "no worker is connected" in str(forecasters(broker).ask(MINE))


def test_what_is_not_in_line_has_no_forecast_and_costs_no_question(forecasters: Make) -> None:
    def find() -> Broker:
        raise AssertionError("the broker was asked")

    over = msgspec.structs.replace(MINE, state=State.SUCCEEDED)

    answer = Forecaster(find).ask(over)

    assert answer == Answer(missing="Job mine is succeeded; it is not in line.")


def test_a_running_job_is_told_its_progress_and_its_end(
    broker: Broker, collect: Callable[..., None], forecasters: Make
) -> None:
    collect()
    runs = msgspec.structs.replace(
        MINE, job_id="running", state=State.RUNNING, worker="w1", attempt=1, started_at=now()
    )

    answer = forecasters(broker).ask(runs)

    assert answer.remaining is not None
    assert answer.remaining.finish.high is not None
    said = str(answer)
    assert said.startswith("It runs on w1 since")
    assert "50 % done (attempt 1 of 3). This attempt ends in" in said


def test_a_job_between_attempts_or_held_says_what_it_waits_for(
    broker: Broker, collect: Callable[..., None], forecasters: Make
) -> None:
    due = now() + timedelta(minutes=5)
    retries = msgspec.structs.replace(
        MINE, state=State.RETRYING, attempt=1, next_attempt_at=due, reason="exit code 1"
    )
    held = msgspec.structs.replace(MINE, state=State.HELD, hold="free_slots > 0")
    nobody = forecasters(broker)
    assert f"attempt 2 joins the line at {clock(due)}" in str(nobody.ask(retries))
    assert "It waits for free_slots > 0; how busy" in str(nobody.ask(held))

    collect()

    asked = forecasters(broker)
    assert f"attempt 2 joins the line at {clock(due)} (in 4 min)" in str(asked.ask(retries))
    assert "free_slots > 0; free slots are unknown now" in str(asked.ask(held))


def test_an_unknown_place_is_said_to_be_unknown(
    broker: Broker, collect: Callable[..., None], forecasters: Make
) -> None:
    collect()

    answer = forecasters(broker).ask(msgspec.structs.replace(MINE, job_id="new"))

    assert answer == Answer(missing="Its place in line is not known yet.")


def test_a_broker_that_is_away_is_not_asked_again_for_each_job(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = msgspec.structs.replace(broker, hosts=(("127.0.0.1", closed_port()),))
    found: list[int] = []
    asked = Forecaster(lambda: (found.append(1), away)[1])
    with pytest.raises(BrokerUnreachable):
        asked.ask(MINE)
    looks = len(found)

    for _ in range(5):
        with pytest.raises(BrokerUnreachable):
            asked.ask(MINE)

    assert len(found) == looks
    asked.close()
