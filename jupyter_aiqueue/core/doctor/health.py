"""The broker itself: alarms, nodes, copies of queues, the delivery timeout."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from .. import paths
from ..text import duration
from ..versions import band
from .case import Case, Unseen
from .finding import ERROR, NOTE, OK, WARNING, Finding
from .policies import matching

#: Seconds between renewals of a lease, if a tasks file says nothing else (`worker.tasks`).
_RENEWAL = 20.0

#: A delivery is held a little longer than one renewal; this many are on the safe side.
_SAFE_RENEWALS = 2

#: Open files of a node below which a class of users is too many: each connection takes one.
_FEW_FILES = 1024

#: The part of its open files that a node may use before it is said.
_MOST_FILES = 0.8

#: Copies that a queue has in a cluster, unless its operator says otherwise.
_COPIES = 3

_MILLISECOND = 0.001


def alarms(case: Case) -> Iterator[Finding]:
    """Whether the broker takes messages."""
    found = case.management.alarms()
    if found == "none":
        yield Finding(OK, "No alarm: the broker takes messages.")
        return
    case.blocked = True
    yield Finding(
        ERROR,
        f"The broker has an alarm ({found}) and takes no messages until it is over.",
        "Its operator has to free memory or disk.",
        "rabbitmq-diagnostics alarms\nrabbitmq-diagnostics memory_breakdown",
    )


def nodes(case: Case) -> Iterator[Finding]:
    """What each node says of itself."""
    found = case.nodes
    for node in found:
        if not node.running:
            yield Finding(
                ERROR if len(found) < 3 else WARNING,
                f"The node {node.name} is down.",
                "Its operator has to start it.",
                _start_command(case, node.name),
            )
            continue
        for alarm, what in ((node.mem_alarm, "memory"), (node.disk_free_alarm, "disk")):
            if alarm:
                yield Finding(
                    ERROR,
                    f"The node {node.name} is short of {what}.",
                    f"Its operator has to free {what}.",
                    f"rabbitmq-diagnostics -n {node.name} status",
                )
        files = node.fd_total or 0
        if 0 < files < _FEW_FILES or (0 < files < (node.fd_used or 0) / _MOST_FILES):
            yield Finding(
                WARNING,
                f"The node {node.name} may open {files} files and uses {node.fd_used}: every "
                "connection takes one.",
                "Its operator has to raise the limit (LimitNOFILE of its systemd unit, or "
                "`ulimit -n` where it is started).",
                f"rabbitmq-diagnostics -n {node.name} status",
            )
    running = sum(node.running for node in found)
    yield Finding(OK, f"Nodes that run: {running} of {len(found)}.")


def _start_command(case: Case, node: str) -> str:
    if case.broker.origin == "private node":
        return "jupyter aiqueue up"
    return f"ssh {shlex.quote(node.partition('@')[2])} sudo systemctl start rabbitmq-server"


def members(case: Case) -> Iterator[Finding]:
    """Whether queues have the copies that they need to go on without a node."""
    queues = [queue for queue in case.queues.values() if queue.members]
    try:
        cluster = len(case.nodes)
    except Unseen:
        cluster = len(case.broker.hosts)
    stuck = [q.name for q in queues if len(q.online) * 2 <= len(q.members)]
    away = [q.name for q in queues if len(q.online) < len(q.members) and q.name not in stuck]
    few = [q.name for q in queues if len(q.members) < min(_COPIES, cluster)]
    if stuck:
        yield Finding(
            ERROR,
            f"Queues have no majority of their nodes, and stand still: {_some(stuck)}.",
            "Start the nodes that are away.",
            "rabbitmqctl cluster_status",
        )
    if away:
        yield Finding(
            WARNING,
            f"Queues miss a node: {_some(away)}.",
            "They work; start the node before another one goes.",
            "rabbitmqctl cluster_status",
        )
    if few:
        vhost = shlex.quote(f"^{re.escape(case.broker.vhost)}$")
        yield Finding(
            WARNING,
            f"Queues have fewer copies than the cluster could give them: {_some(few)}.",
            "They were declared before the cluster was complete. Add copies, on each node that "
            "lacks them.",
            f"rabbitmq-queues grow NODE all --vhost-pattern {vhost} --queue-pattern '^aiqueue\\.'",
        )
    if queues and not (stuck or away or few):
        copies = min(len(queue.members) for queue in queues)
        yield Finding(OK, f"All queues have their nodes; copies of each: {copies}.")


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def delivery_timeout(case: Case) -> Iterator[Finding]:
    """How long a worker may hold a message, where that can be known."""
    limit = _SAFE_RENEWALS * _RENEWAL
    seconds, source = _by_policy(case) or _of_private_node(case) or (None, "")
    if seconds is None:
        yield Finding(
            NOTE if case.broker.origin == "private node" else OK,
            "The broker's delivery timeout cannot be read by clients (30 minutes by default). "
            f"Workers renew what they hold every {_RENEWAL:.0f} s, so that any above {limit:.0f} s "
            "does no harm.",
        )
    elif seconds > limit:
        yield Finding(
            OK,
            f"The delivery timeout is {duration(seconds)} ({source}); workers renew what they "
            f"hold every {_RENEWAL:.0f} s.",
        )
    else:
        yield Finding(
            WARNING,
            f"The delivery timeout is {duration(seconds)} ({source}), and workers renew what they "
            f"hold every {_RENEWAL:.0f} s: jobs may be taken away from them.",
            f"Raise it, or lower `renew` under `[lease]` in the workers' tasks files to less than "
            f"{seconds / _SAFE_RENEWALS:.0f} s.",
            _raise_command(case),
        )


def _raise_command(case: Case) -> str | None:
    if case.broker.origin == "private node":
        return "jupyter aiqueue down\njupyter aiqueue up"
    return None


def _by_policy(case: Case) -> tuple[float, str] | None:
    """The shortest timeout that a policy sets for a queue that workers take from."""
    if not band(case.session.version).queue_timeouts:
        return None
    try:
        found = matching(case, "consumer-timeout")
    except Unseen:
        return None
    return min(((value * _MILLISECOND, f"policy {name}") for name, value in found), default=None)


def _of_private_node(case: Case) -> tuple[float, str] | None:
    """What the private node's own configuration says."""
    if case.broker.origin != "private node":
        return None
    try:
        folder = Path(json.loads(paths.connection_file().read_text())["data_dir"])
        # Of a single node, and of the members of a cluster.
        files = [*folder.glob("*/rabbitmq.conf"), *folder.glob("*/*/rabbitmq.conf")]
        texts = [file.read_text() for file in files]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    settings = [
        int(value)
        for text in texts
        for value in re.findall(r"^\s*consumer_timeout\s*=\s*(\d+)\s*$", text, re.MULTILINE)
    ]
    return (min(settings) * _MILLISECOND, "of the private node") if settings else None
