"""A keeper that dies after it has put jobs in line and before anybody knows; and wrong ones."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta

import msgspec
import pytest
import requests
from scene import Tape, account, eventually, make_job
from test_keeper import AT, BUSY, QUEUE, QUIET, Scene, in_line, taken, terms

from jupyter_aiqueue.core import topology
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import NotConfirmed
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.hold import View, held_message
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.message import MAX_BODY, SENT_AGAIN, Message
from jupyter_aiqueue.core.recorder import make_inbox
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
    patch.setattr(keeper_module, "job_post", lambda session, job, **_: post(session, job))


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
            publish_many(self, posts, mandatory=True)
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


def publishes_and_dies(scene: Scene, job: Job) -> None:
    """It is in line, nobody was told, and somebody else keeps."""
    publish_many = scene.session.publish_many

    def fatal(posts: list, **more: object) -> set[int]:
        publish_many(posts, **more)
        raise Died

    scene.session.publish_many = fatal
    with pytest.raises(Died):
        scene.turn(QUIET)
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")


def test_what_has_run_meanwhile_is_not_put_in_line_by_a_later_keeper(
    scene: Scene, tape: Tape
) -> None:
    job = make_job()
    scene.hold(job)
    publishes_and_dies(scene, job)
    assert len(taken(scene)) == 1
    scene.picture.event(make_event(Kind.STARTED, job, worker="w1"))
    scene.turn(BUSY)
    assert len(scene.keeper) == 0, "a later keeper, to which nobody tells, would send it again"
    tape.wait(job.id, Kind.SUBMITTED)
    assert tape.ready(topology.HELD) == 0


def test_what_may_be_in_line_is_not_told_to_be_dropped_at_its_deadline(
    scene: Scene, tape: Tape
) -> None:
    job = make_job()
    scene.hold(job, hold=terms(by="22:00", expires=True))
    publishes_and_dies(scene, job)
    scene.turn(BUSY, AT + timedelta(hours=1))
    tape.wait(job.id, Kind.SUBMITTED)
    assert [SENT_AGAIN in message.headers for message in taken(scene, 2)] == [False, True]
    assert not tape.of(job.id, Kind.CANCELLED)


def tiny(broker: Broker, queue: str) -> None:
    """It takes no second message; returns when that is in force."""
    management = f"{broker.management_url}/api"
    at = f"{broker.vhost}/{queue}"
    policy = {"max-length": 1, "overflow": "reject-publish"}
    requests.put(
        f"{management}/policies/{at}",
        auth=account(broker),
        json={"pattern": f"^{re.escape(queue)}$", "definition": policy, "priority": 100},
        timeout=10,
    ).raise_for_status()

    def refuses() -> bool:
        # A channel learns only once whether a queue can refuse.
        with connect(broker, "filler") as session:
            try:
                for _ in range(3):
                    session.publish("", queue, Message(body=b"{}"))
            except NotConfirmed:
                return True
        return False

    eventually(refuses, "it takes everything")


def test_a_full_line_sends_nobody_elses_jobs_twice(scene: Scene, tape: Tape) -> None:
    tiny(scene.broker, "aiqueue.infer.normal")
    mine, stuck = make_job(), make_job(group="infer")
    scene.hold(mine, stuck)
    assert scene.turn() == 1
    assert scene.turn() == 0
    assert in_line(tape) == 1
    tape.wait(mine.id, Kind.SUBMITTED)
    assert [*scene.keeper._held] == [stuck.id]
    assert len([line for line in scene.lines if "stay held" in line]) == 1


def test_a_full_inbox_sends_no_job_twice_and_holds_up_nobody_else(
    scene: Scene, tape: Tape, monkeypatch: Patch
) -> None:
    tape.link.call(lambda session: make_inbox(session, "away"))
    tiny(scene.broker, inbox_queue := topology.inbox_queue("away"))
    theirs, mine = make_job(inbox="away"), make_job()
    scene.hold(theirs, mine)
    scene.turn()
    scene.turn()
    tape.wait(mine.id, Kind.SUBMITTED)
    assert in_line(tape) == 2
    assert [*scene.keeper._held] == [theirs.id], "nobody would tell that it is in line"
    tape.link.call(lambda session: session.delete(inbox_queue))
    monkeypatch.setattr(keeper_module, "_SHUT", 0.0)
    scene.keeper._shut.clear()
    scene.turn()
    assert in_line(tape) == 2
    assert tape.ready(topology.HELD) == len(scene.keeper) == 0


@pytest.mark.parametrize(
    "poison",
    [
        Message(body=b'{"a":[' + b"1," * (MAX_BODY // 2 - 20) + b"1]}"),
        Message(body=b"{}", headers={"aiq-queue": "q" * 250}),
    ],
    ids=["grows", "long key"],
)
def test_what_cannot_be_sent_on_is_a_dead_letter_and_holds_up_nobody(
    scene: Scene, tape: Tape, poison: Message
) -> None:
    job = make_job()
    headers = {**held_message(job, terms()).headers, **poison.headers}
    message = msgspec.structs.replace(poison, headers=headers, message_id="poison", type="t")
    tape.publish(topology.JOBS, topology.HELD_KEY, message)
    scene.hold(job)
    scene.turn()
    tape.wait(job.id, Kind.SUBMITTED)
    eventually(lambda: tape.ready(topology.dead_queue("train")) == 1, "it is no dead letter")
    assert len(scene.keeper) == 0


def test_what_no_keeper_was_about_to_publish_is_dropped_at_its_deadline(
    scene: Scene, tape: Tape
) -> None:
    job = make_job()
    scene.hold(job, hold=terms(by="22:00", expires=True))
    scene.word = None
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.word = [*scene.keeper.in_doubt]
    scene.dies()
    eventually(lambda: scene._has((job,)), "it does not come back")
    scene.turn(BUSY, AT + timedelta(hours=1))
    assert tape.end(job.id).event is Kind.CANCELLED
    assert in_line(tape) == 0
