"""A seeded storm of faults, and an exact count of what came of it.

    python benchmarks/faults.py [--jobs 300] [--workers 4] [--nodes 1] [--seed 1..5] [--json]
    python benchmarks/faults.py --against celery dramatiq
    python benchmarks/faults.py --scenario consumer-timeout

Every counter but ``jobs`` has to be 0; the exit code is 1 otherwise. The schedule depends on the
seed and the parameters only, so that a failing seed can be run again. The folder of a failing
run is kept, and named. AIQUEUE_RABBITMQ_SERVER chooses the RabbitMQ.

``--against`` runs the part of the schedule that has a meaning for everybody on other libraries,
too: no Jupyter server, no recorder, a single node.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.fault_suite import scenarios
from benchmarks.fault_suite.contender import Contender
from benchmarks.fault_suite.ours import Ours
from benchmarks.fault_suite.report import as_json, complaints, injected, settings, table
from benchmarks.fault_suite.run import Outcome, Run
from benchmarks.fault_suite.schedule import OURS_ONLY, FaultKind, Schedule, make_schedule
from tests.brokers import OwnNode, own_node

#: Others, by name: the module that has them, so that only what is asked for has to be installed.
_OTHERS = {
    "celery": ("celery_contender", "CeleryContender"),
    "dramatiq": ("dramatiq_contender", "DramatiqContender"),
}

#: Seconds that all jobs get to end after the last fault; the same for everybody.
_PATIENCE = 240.0


def main() -> int:
    """Run; returns the exit code."""
    options = _options()
    if options.scenario is not None:
        return scenarios.run(options.scenario, as_json=options.json)
    kinds = set(options.only)
    if options.against:
        kinds -= OURS_ONLY
    good = True
    outcomes: list[Outcome] = []
    for seed in options.seed:
        schedule = make_schedule(
            seed,
            jobs=options.jobs,
            workers=options.workers,
            nodes=options.nodes,
            horizon=options.horizon,
            kinds=sorted(kinds),
            killers=options.killers,
        )
        folder = Path(tempfile.mkdtemp(prefix=f"aiqueue-faults-{seed}-"))
        with own_node(folder / "broker", nodes=options.nodes) as node:
            outcomes += _on(node, schedule, folder, options)
        ours = next(o for o in reversed(outcomes) if o.contender == Ours.name)
        if _good(ours):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            good = False
            print(complaints(ours), file=sys.stderr)
            print(f"seed {seed} failed; what is left of it is in {folder}", file=sys.stderr)
    if not options.json:
        print(table(outcomes))
        for line in settings(outcomes):
            print(line)
    return 0 if good else 1


def _on(
    node: OwnNode, schedule: Schedule, folder: Path, options: argparse.Namespace
) -> list[Outcome]:
    def say(line: str) -> None:
        print(f"seed {schedule.seed}, {name}: {line}", file=sys.stderr, flush=True)

    found: list[Outcome] = []
    for name in [Ours.name, *options.against]:
        make: Callable[[Any, Any, Any], Contender] = Ours if name == Ours.name else _other(name)
        run = Run(
            schedule,
            make,
            node.broker,
            node,
            folder / name,
            say=(lambda _: None) if options.json else say,
            patience=_PATIENCE,
        )
        outcome = run.carry_out()
        found.append(outcome)
        (folder / f"{name}.json").write_text(as_json(outcome))
        if options.json:
            print(as_json(outcome), flush=True)
        else:
            say(injected(outcome))
    return found


def _other(name: str) -> Callable[[Any, Any, Any], Contender]:
    module, kind = _OTHERS[name]
    found: type[Contender] = getattr(import_module(f"benchmarks.fault_suite.{module}"), kind)
    return found


def _good(outcome: Outcome) -> bool:
    return outcome.counts.clean and not outcome.troubles


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per run")
    parser.add_argument("--seed", type=_seeds, default=[1], help="a number, or 1..5 (1)")
    parser.add_argument("--jobs", type=int, default=300, help="(300)")
    parser.add_argument("--workers", type=int, default=4, help="(4)")
    parser.add_argument("--nodes", type=int, default=1, choices=[1, 3], help="of RabbitMQ (1)")
    parser.add_argument("--killers", type=int, help="jobs that kill their worker (1 of 150)")
    parser.add_argument("--horizon", type=float, help="seconds in which faults happen")
    parser.add_argument(
        "--only",
        nargs="+",
        type=FaultKind,
        default=tuple(FaultKind),
        metavar="FAULT",
        help=f"of {', '.join(kind.value for kind in FaultKind)}",
    )
    parser.add_argument(
        "--against", nargs="+", choices=sorted(_OTHERS), default=[], help="compare with these"
    )
    parser.add_argument("--scenario", choices=sorted(scenarios.SCENARIOS), help="run this instead")
    options = parser.parse_args()
    if options.against and options.nodes != 1:
        parser.error("--against needs --nodes 1")
    return options


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("..")
    return list(range(int(first), int(last or first) + 1))


if __name__ == "__main__":
    sys.exit(main())
