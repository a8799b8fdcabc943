"""Planning a batch: when it would be done."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from .command import Commands, add_experiment, check_task, open_client, show


def add(commands: Commands) -> None:
    """``plan``."""
    plan = commands.add(
        "plan", _plan, "When a batch would be done if submitted now, in an hour, tonight."
    )
    config = "YAML, JSON or TOML: a config, or a list"
    add_experiment(plan, words="values that all jobs have", config=config)
    plan.add_argument(
        "--count", type=int, default=1, metavar="N", help="as many jobs of each config (1)"
    )
    plan.add_argument(
        "--at",
        action="append",
        default=[],
        metavar="TIME",
        help="and if submitted then: 06:00, or a date and time; may be repeated",
    )


def _plan(options: argparse.Namespace) -> int:
    from ..core.parameters import parse_pairs, read_configs_file

    check_task(options.task, "plan")
    configs = read_configs_file(Path(options.file)) if options.file else [{}]
    pairs = parse_pairs(options.words)
    with open_client() as client:
        made = client.plan(
            options.task,
            [config | pairs for config in configs],
            count=options.count,
            at=options.at,
            group=options.group,
            priority=options.priority,
            retries=options.retries,
        )
    return show(options, msgspec.to_builtins(made), str(made))
