"""Would anybody notice? Wrong variants of the keeper, each caught by a small form of the trial.

The first keeper dies just before it has published what it releases, the second one just after.
The trial runs with the keeper as it is, where nothing may be wrong, and with one fault patched into
the workers' processes, where the counter that is named must not be 0.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.held_suite.judge import Counts
from benchmarks.held_suite.plan import small_plan
from benchmarks.held_suite.trial import Trial
from jupyter_aiqueue.core.config import Broker

DEATHS = """
import glob, os, signal, time
from jupyter_aiqueue.core.transport import Session
from jupyter_aiqueue.worker import keeper, lease
from jupyter_aiqueue.worker.keeper import Keeper
from jupyter_aiqueue.worker.take import Taker

lease.SAFE = 0.0  # the broker lives

def deaths():
    found = glob.glob(f"{os.environ['FAULTS_FOLDER']}/death-2")
    return [os.stat(name).st_mtime for name in found]

def die(number):
    try:
        os.close(os.open(f"{os.environ['FAULTS_FOLDER']}/death-{number}", os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return  # somebody has died of this
    os.kill(os.getpid(), signal.SIGKILL)

publish_many = Session.publish_many
def fatal(self, posts, *, mandatory=False, **more):
    if mandatory and posts:
        die(1)
    found = publish_many(self, posts, mandatory=mandatory, **more)
    if mandatory and posts:
        die(2)
    return found
Session.publish_many = fatal

# Nobody is quick to start what the second one has published.
look = Taker.look
def late(self, session, **more):
    if deaths() and time.time() - deaths()[0] > 4.0:
        look(self, session, **more)
Taker.look = late
"""

KEEPER_THAT_ACKNOWLEDGES_BEFORE_IT_PUBLISHES = """
settle, forget = Keeper._settle, Session.ack
def acknowledge_first(self, chosen):
    for held, _ in chosen:
        forget(self._session, held.delivery)
    self._session.ack = lambda _: None
    try:
        return settle(self, chosen)
    finally:
        del self._session.ack
Keeper._settle = acknowledge_first
"""

KEEPER_THAT_DOES_NOT_MARK_WHAT_IS_SENT_AGAIN = """
post = keeper.job_post
keeper.job_post = lambda session, job, again: post(session, job)
"""

KEEPER_THAT_LEAVES_NO_WORD = """
from jupyter_aiqueue.worker.collector import _Collection
leave_word = _Collection._leave_word
_Collection._leave_word = lambda self, _: leave_word(self, ())
"""

KEEPER_THAT_LOOKS_AT_NO_CONDITION = """
from jupyter_aiqueue.core.hold import Decision
keeper.decide = lambda *_, **__: Decision.RELEASE
"""

KEEPER_THAT_IGNORES_THE_BOUND_OF_A_BATCH = """
decide = keeper.decide
keeper.decide = lambda hold, view, at, in_line: decide(hold, view, at)
"""

KEEPER_THAT_IGNORES_THE_ORDER_OF_A_BATCH = """
Keeper._in_order = lambda self: sorted(self._held.values(), key=lambda h: h.job.id, reverse=True)
"""

#: Name, patch, and the counter that tells.
MUTANTS = [
    (
        "acknowledges before it publishes",
        KEEPER_THAT_ACKNOWLEDGES_BEFORE_IT_PUBLISHES,
        "lost",
    ),
    (
        "does not mark what is sent again",
        KEEPER_THAT_DOES_NOT_MARK_WHAT_IS_SENT_AGAIN,
        "released_twice",
    ),
    ("leaves no word", KEEPER_THAT_LEAVES_NO_WORD, "released_twice"),
    ("looks at no condition", KEEPER_THAT_LOOKS_AT_NO_CONDITION, "early"),
    ("ignores the bound of a batch", KEEPER_THAT_IGNORES_THE_BOUND_OF_A_BATCH, "over_bound"),
    ("ignores the order of a batch", KEEPER_THAT_IGNORES_THE_ORDER_OF_A_BATCH, "out_of_order"),
]


def tried(broker: Broker, folder: Path, mutant: str = "") -> tuple[Counts, list[str]]:
    trial = Trial(
        small_plan(1, 40, 10.0),
        broker,
        None,
        folder,
        prelude=lambda *_: DEATHS + mutant,
        patience=15.0,
        clear=0.0 if mutant else 30.0,
    )
    found = trial.carry_out()
    assert not trial.troubles
    assert len([*folder.glob("death-*")]) == 2, "nobody has died of it"
    return found


def test_the_real_keeper_passes(empty_broker: Broker, tmp_path: Path) -> None:
    counts, said = tried(empty_broker, tmp_path / "trial")
    assert counts.clean, said
    assert counts.released == 34
    assert (counts.expired, counts.cancelled) == (4, 2)
    assert counts.sent_again == 0, "nobody had told of those that were"


@pytest.mark.parametrize(
    ("patch", "counter"),
    [(patch, counter) for _, patch, counter in MUTANTS],
    ids=[f"keeper that {name}" for name, _, _ in MUTANTS],
)
def test_the_fault_is_noticed(
    empty_broker: Broker, tmp_path: Path, patch: str, counter: str
) -> None:
    counts, said = tried(empty_broker, tmp_path / "trial", patch)
    assert getattr(counts, counter) > 0, said
