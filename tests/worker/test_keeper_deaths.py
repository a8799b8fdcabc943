"""A keeper that dies after it has put jobs in line and before anybody knows; and wrong ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from scene import Tape, eventually, make_job
from test_keeper import QUEUE, Scene

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.hold import View
from jupyter_aiqueue.core.message import SENT_AGAIN
from jupyter_aiqueue.core.transport import Session, connect
from jupyter_aiqueue.worker import keeper as keeper_module
from jupyter_aiqueue.worker.keeper import Keeper

Patch = pytest.MonkeyPatch


class Died(Exception):
    """Stands for SIGKILL."""


@pytest.fixture
def scene(broker: Broker) -> Iterator[Scene]:
    scene = Scene(broker)
    scene.word = []
    scene.keeper.in_doubt = set()
    yield scene
    scene.session.close()


def died_after_publishing(scene: Scene) -> list[tuple[str, bool]]:
    """Three jobs are held; two are published, and again by the next keeper.

    Returns their numbers as they are in line, and whether each is marked as sent again.
    """
    jobs = [make_job() for _ in range(3)]
    scene.hold(*jobs)
    publish_many = scene.session.publish_many

    def fatal(posts: list, **more: object) -> set[int]:
        publish_many(posts, **more)
        raise Died

    scene.session.publish_many = fatal
    with pytest.raises(Died):
        scene.turn(View(depth=0))
    scene.dies()
    eventually(lambda: scene._has((jobs[-1],)), "they do not come back")
    while scene.turn():
        pass
    with connect(scene.broker, "taker") as session:
        taken = [session.get(QUEUE) for _ in range(6)]
    numbers = {job.id: str(number) for number, job in enumerate(jobs)}
    messages = [one.message for one in taken if one]
    return [(numbers[m.message_id or ""], SENT_AGAIN in m.headers) for m in messages]


EXPECTED = [("0", False), ("1", False), ("0", True), ("1", True), ("2", False)]


def test_what_a_dead_keeper_has_published_is_marked_when_it_is_sent_again(
    scene: Scene, tape: Tape
) -> None:
    assert died_after_publishing(scene) == EXPECTED
    assert tape.ready(topology.HELD) == 0


def does_not_mark(patch: Patch) -> None:
    post = keeper_module.job_post
    patch.setattr(keeper_module, "job_post", lambda session, job, again: post(session, job))


def leaves_no_word(patch: Patch) -> None:
    init = Keeper.__init__

    def mute(self: Keeper, *arguments: object) -> None:
        init(self, *arguments)
        self._leave_word = lambda _: None

    patch.setattr(Keeper, "__init__", mute)


def acknowledges_first(patch: Patch) -> None:
    publish = Keeper._publish

    def early(self: Keeper, chosen: list) -> set[str]:
        for held in chosen:
            self._session.ack(held.delivery)
        return publish(self, chosen)

    patch.setattr(Keeper, "_publish", early)


def publishes_twice(patch: Patch) -> None:
    publish_many = Session.publish_many

    def twice(self: Session, posts: list, **more: object) -> set[int]:
        if more.get("mandatory"):
            publish_many(self, posts, **more)
        return publish_many(self, posts, **more)

    patch.setattr(Session, "publish_many", twice)


@pytest.mark.parametrize(
    "mutant", [does_not_mark, leaves_no_word, acknowledges_first, publishes_twice]
)
def test_a_wrong_keeper_is_noticed(
    broker: Broker, tape: Tape, monkeypatch: Patch, mutant: Callable[[Patch], None]
) -> None:
    mutant(monkeypatch)
    scene = Scene(broker)
    scene.word = []
    scene.keeper.in_doubt = set()
    try:
        assert died_after_publishing(scene) != EXPECTED
    finally:
        scene.session.close()
