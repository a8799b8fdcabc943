"""Held jobs through the deaths of two collectors and a broker, and an exact count of them.

    python benchmarks/held.py [--jobs 1000] [--horizon 75] [--seed 1] [--json]

A mix of jobs is held: for a time, a short line, a free slot, a deadline at which they go or expire,
as a polite batch, to be cancelled, to be released by hand. Meanwhile whoever collects, as the
snapshot says, is killed twice (SIGKILL), and the broker once; it comes back after a moment.

Then every job is to have been released once, at its moment or after it, or to have ended as it
should; ``lost``, ``released_twice``, ``recorded_twice``, ``early``, ``over_bound``,
``out_of_order`` and ``released_wrongly`` have to be 0, or the exit code is 1 and the folder of the
trial is kept.
``sent_again`` were put in line a second time because the keeper died between publishing and
acknowledging; they ran once. AIQUEUE_RABBITMQ_SERVER chooses the RabbitMQ.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import options, report
from benchmarks.held_suite.plan import make_plan
from benchmarks.held_suite.trial import Trial
from tests.brokers import own_node


def main() -> int:
    """Run; returns the exit code."""
    arguments = options(__doc__.partition("\n")[0], jobs=1000, horizon=75, seed=1)
    plan = make_plan(arguments.seed, arguments.jobs, arguments.horizon)

    def say(line: str) -> None:
        if not arguments.json:
            print(f"seed {plan.seed}: {line}", file=sys.stderr, flush=True)

    folder = Path(tempfile.mkdtemp(prefix=f"aiqueue-held-{plan.seed}-"))
    with own_node(folder / "broker") as node:
        trial = Trial(plan, node.broker, node, folder / "trial", say=say)
        counts, sentences = trial.carry_out()
    good = counts.clean and not trial.troubles and len(trial.killed) == len(plan.kills)
    figures = {
        "seed": plan.seed,
        **msgspec.structs.asdict(counts),
        "collectors_killed": trial.killed,
        "broker_restarts": int(plan.outage is not None),
        "seconds": round(trial.seconds, 1),
        "sentences": sentences[:20],
        "troubles": trial.troubles,
    }
    report(arguments, [f"{key:>18}  {value}" for key, value in figures.items()], figures)
    if good:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"what is left of it is in {folder}", file=sys.stderr)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
