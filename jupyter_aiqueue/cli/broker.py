"""The private node, the set-up of a broker, and how they are."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any

import msgspec

from .command import Commands, show

if TYPE_CHECKING:
    from ..node import Node


def add_node(commands: Commands) -> None:
    """``up``, ``down`` and ``provision``."""
    up = commands.add("up", _up, "Start your private RabbitMQ node (nothing happens if it runs).")
    up.add_argument("--groups", nargs="+", metavar="GROUP", help="worker groups to set up")
    up.add_argument(
        "--nodes",
        type=int,
        choices=[1, 3],
        help="3: a cluster on this machine, for tests (default: what ran last, at first 1)",
    )
    commands.add("down", _down, "Stop your private node; queues and messages are kept.")

    setup = commands.add(
        "provision", _provision, "Set up a shared broker: queues, policies, groups."
    )
    setup.add_argument("--groups", nargs="+", metavar="GROUP", help="all worker groups")
    setup.add_argument(
        "--retry-delays", nargs="+", type=int, metavar="SECONDS", help="waits between attempts"
    )


def add_status(commands: Commands) -> None:
    """``status``."""
    status = commands.add("status", _status, "How busy the system is.")
    status.add_argument(
        "--queue", action="append", default=[], metavar="NAME", help="also show this plain queue"
    )


def add_doctor(commands: Commands) -> None:
    """``doctor``."""
    doctor = commands.add(
        "doctor", _doctor, "Check the connection and the set-up, and say how to mend what is wrong."
    )
    doctor.epilog = "Exit codes: 0 nothing to mend, 1 a warning, 2 an error."


def _up(options: argparse.Namespace) -> int:
    from .. import node

    def progress(line: str) -> None:
        print(line, file=sys.stderr)

    found = node.up(nodes=options.nodes, progress=progress, groups=options.groups)
    content: dict[str, Any] = {
        "state": "up",
        "location": found.location,
        "rabbitmq": found.rabbitmq,
        "data_dir": found.data_dir,
    }
    if found.members:
        content["nodes"] = _members(found)
    kind = "cluster" if found.members else "node"
    return show(options, content, f"The private {kind} is up: {found.location}")


def _members(cluster: Node) -> list[dict[str, Any]]:
    """The nodes of a private cluster, and which of them run."""
    from .. import node

    return [
        {"name": one.node_name, "location": one.location, "running": node.is_running(one)}
        for one in cluster.members
    ]


def _down(options: argparse.Namespace) -> int:
    from .. import node

    stopped = node.down()
    return show(
        options,
        {"state": "down", "was_running": stopped},
        "The private node is down." if stopped else "No private node was running.",
    )


def _provision(options: argparse.Namespace) -> int:
    from ..core.config import find_broker
    from ..core.provision import provision
    from ..core.topology import DEFAULT_GROUPS, DEFAULT_RETRY_DELAYS, Catalog

    catalog = Catalog(
        groups=tuple(options.groups or DEFAULT_GROUPS),
        retry_delays=tuple(sorted(options.retry_delays or DEFAULT_RETRY_DELAYS)),
    )
    broker = find_broker()
    done = provision(broker, catalog, sweep=True)
    return show(options, {"location": broker.location, "done": done}, "\n".join(done))


def _status(options: argparse.Namespace) -> int:
    from ..core.config import find_broker
    from ..core.measure import measure
    from ..node import status

    broker = find_broker()
    private = status() if broker.origin == "private node" else None
    members = _members(private) if private else []
    load = measure(broker, options.queue)
    if options.json:
        content = msgspec.to_builtins(load) | ({"nodes": members} if members else {})
        print(msgspec.json.encode(content).decode())
    else:
        from ..core.text import load_text

        print(load_text(load))
        for member in members:
            state = "running" if member["running"] else "NOT running (`jupyter aiqueue up`)"
            print(f"Node {member['name']} at {member['location']}: {state}")
    return 0 if load.broker.state == "up" else 1


def _doctor(options: argparse.Namespace) -> int:
    from ..core.config import find_broker, find_inbox
    from ..core.doctor import examine, exit_code, findings_text

    findings = examine(find_broker, find_inbox)
    if options.json:
        print(msgspec.json.encode({"findings": findings}).decode())
    else:
        print(findings_text(findings))
    return exit_code(findings)
