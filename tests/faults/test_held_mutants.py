"""Would anybody notice? Wrong variants of the keeper, each caught by a small form of the trial.

The first keeper dies just before it has published what it releases, the second one just after.
The trial runs with the keeper as it is, where nothing may be wrong, and with one fault patched into
the workers' processes, where the counter that is named must not be 0. (What a keeper owes to the
next one is in `worker/test_keeper_deaths.py`.)
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.held_suite.judge import Counts
from benchmarks.held_suite.plan import small_plan
from benchmarks.held_suite.trial import Trial
from jupyter_aiqueue.core.config import Broker

DEATHS = """
import os, signal
from jupyter_aiqueue.core.transport import Session
from jupyter_aiqueue.worker import keeper, lease
from jupyter_aiqueue.worker.keeper import Keeper

lease.SAFE = 0.0  # the broker lives

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

KEEPER_THAT_LOOKS_AT_NO_CONDITION = """
from jupyter_aiqueue.core.hold import Decision
keeper.decide = lambda *_, **__: Decision.RELEASE
"""

KEEPER_THAT_IGNORES_THE_BOUND_OF_A_BATCH = """
decide = keeper.decide
keeper.decide = lambda hold, view, at, in_line: decide(hold, view, at)
"""

#: Nobody dies: what a dead keeper has published starts before anybody tells that it is in line.
NO_DEATHS = "Session.publish_many = publish_many"

KEEPER_THAT_IGNORES_THE_ORDER_OF_A_BATCH = """
keeper.in_order = lambda came: sorted(came, key=lambda held: held.job.id, reverse=True)
"""

#: Name, patch, and the counter that tells.
MUTANTS = [
    (
        "acknowledges before it publishes",
        KEEPER_THAT_ACKNOWLEDGES_BEFORE_IT_PUBLISHES,
        "lost",
    ),
    ("looks at no condition", KEEPER_THAT_LOOKS_AT_NO_CONDITION, "released_wrongly"),
    (
        "ignores the bound of a batch",
        KEEPER_THAT_IGNORES_THE_BOUND_OF_A_BATCH + NO_DEATHS,
        "over_bound",
    ),
    ("ignores the order of a batch", KEEPER_THAT_IGNORES_THE_ORDER_OF_A_BATCH, "out_of_order"),
]


def tried(broker: Broker, folder: Path, mutant: str = "") -> tuple[Counts, list[str]]:
    trial = Trial(
        small_plan(1, 40, 4.0),
        broker,
        None,
        folder,
        prelude=lambda *_: DEATHS + mutant,
        patience=20.0 if mutant else 60.0,
        clear=0.0 if mutant else 30.0,
    )
    found = trial.carry_out()
    assert not trial.troubles
    deaths = 0 if NO_DEATHS in mutant else 2
    assert len([*folder.glob("death-*")]) == deaths, "nobody has died of it"
    return found


def test_the_real_keeper_passes(empty_broker: Broker, tmp_path: Path) -> None:
    counts, said = tried(empty_broker, tmp_path / "trial")
    assert counts.clean, said
    assert counts.released == 34
    assert (counts.expired, counts.cancelled) == (4, 2)


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
