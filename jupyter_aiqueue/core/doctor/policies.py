"""Policies: ours, and those of others that win over ours or would lose messages.

One policy counts for a queue: of those that match, the one with the highest priority; an
operator policy is added to it, and the smaller limit counts.
Source: https://www.rabbitmq.com/docs/policies
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from .. import topology
from ..inventory import Policy
from ..job import Priority
from ..provision import POLICY_PRIORITY, policies, policy_command
from .case import Case
from .finding import ERROR, OK, WARNING, Finding

#: What a policy may be for, and still be for a queue of each type.
_FOR = {
    "quorum": {"all", "queues", "quorum_queues"},
    "stream": {"all", "queues", "streams"},
    "classic": {"all", "queues", "classic_queues"},
}

#: What makes a queue lose or misdirect messages that have to stay.
_LOSES = ("message-ttl", "expires", "max-length", "max-length-bytes", "dead-letter-routing-key")

#: A stream whose messages have to stay, whatever their age; the others may be short.
_LOSES_CATALOG = ("max-age",)

#: A job may be delivered and given back this often without a fault of its own.
_FEWEST_DELIVERIES = 20

#: Where a look, a connection lost or a recorder's restart counts as a delivery.
_FEWEST_LOOKS = 1000


def ours(case: Case) -> Iterator[Finding]:
    """Whether our policies are set, and whether they count."""
    catalog = case.catalog
    there = {policy.name: policy for policy in case.policies}
    wrong = 0
    for name, (pattern, definition) in policies(catalog).items():
        found = there.get(name)
        if found is None:
            wrong += 1
            yield Finding(
                ERROR,
                f"The policy {name} is not set: what the broker gives up on is lost instead of "
                "kept as a dead letter.",
                "The operator has to set it: `provision` does with the tag `policymaker`.",
                policy_command(case.broker, name, pattern, definition),
            )
            continue
        if (found.pattern, found.definition) != (pattern, definition):
            wrong += 1
            difference = _difference(found, pattern, definition)
            yield Finding(
                WARNING,
                f"The policy {name} is not as `provision` sets it: {difference}.",
                "Set it again, unless it is meant so.",
                policy_command(case.broker, name, pattern, definition, found.priority),
            )
        for winner in _winners_over(found, case):
            wrong += 1
            priority = max(POLICY_PRIORITY, winner.priority + 1)
            yield Finding(
                ERROR,
                f"The policy {winner.name} ({winner.pattern}, priority {winner.priority}) wins "
                f"over {name} (priority {found.priority}), which has no effect on some work "
                "queues then.",
                "Give ours the higher priority, or let the pattern of the other leave out "
                "`aiqueue.`.",
                policy_command(case.broker, name, pattern, definition, priority),
            )
    if not wrong:
        yield Finding(OK, "Our policy is set, and none wins over it.")


def _difference(found: Policy, pattern: str, definition: dict[str, Any]) -> str:
    parts = [] if found.pattern == pattern else [f"its pattern is {found.pattern}"]
    parts += [
        f"{key} is {found.definition.get(key, 'not set')} instead of "
        f"{definition.get(key, 'not set')}"
        for key in sorted(definition.keys() | found.definition.keys())
        if definition.get(key) != found.definition.get(key)
    ]
    return "; ".join(parts)


def _winners_over(policy: Policy, case: Case) -> list[Policy]:
    """Policies that count instead of ``policy`` on a queue that it is for, or may do so."""
    names = [topology.work_queue(group, p) for group in case.catalog.groups for p in Priority]
    return [
        other
        for other in case.policies
        if other.name != policy.name
        and other.priority >= policy.priority
        and any(_applies(other, name, "quorum") for name in names)
    ]


def others(case: Case) -> Iterator[Finding]:
    """Policies that would lose messages of ours."""
    our_names = set(policies(case.catalog))
    yield from _harmful(case, [p for p in case.policies if p.name not in our_names], "policy")
    for policy in case.policies:
        if "alternate-exchange" in policy.definition and _is_for_exchange(policy, topology.JOBS):
            yield Finding(
                ERROR,
                f"The policy {policy.name} gives {topology.JOBS} an alternate exchange: a job for "
                "a group that does not exist counts as accepted, and is lost to its sender.",
                f"Let its pattern leave out {topology.JOBS}, or clear it.",
                f"rabbitmqctl clear_policy -p {case.vhost} {policy.name}",
            )


def operators(case: Case) -> Iterator[Finding]:
    """The same of operator policies, which nothing overrides."""
    _ = case.catalog
    yield from _harmful(case, case.operator_policies, "operator policy")


def _harmful(case: Case, found: Iterable[Policy], kind: str) -> Iterator[Finding]:
    command = "clear_operator_policy" if kind.startswith("operator") else "clear_policy"
    queues = [*topology.queues(case.catalog), topology.inbox(case.inbox)]
    queues.append(topology.lease("any-worker"))
    for policy in found:
        hurt: dict[str, list[str]] = {}
        for queue in queues:
            if not _applies(policy, queue.name, queue.arguments["x-queue-type"]):
                continue
            if kind == "policy" and not _counts(policy, queue.name, case.policies):
                continue
            for key in _harm(policy.definition, queue):
                hurt.setdefault(key, []).append(queue.name)
        for key, names in hurt.items():
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            yield Finding(
                ERROR,
                f"The {kind} {policy.name} ({policy.pattern}) sets {key} = "
                f"{policy.definition[key]} on {', '.join(names[:3])}{more}: messages that have to "
                "stay, or their way, get lost.",
                "Let its pattern leave out `aiqueue.`, for example with `^(?!aiqueue\\.)` at its "
                "start, or clear it.",
                f"rabbitmqctl {command} -p {case.vhost} {policy.name}",
            )


def _harm(definition: dict[str, Any], queue: topology.Queue) -> list[str]:
    """Keys of ``definition`` that ``queue`` does not bear."""
    kind = queue.arguments["x-queue-type"]
    if kind == "classic":
        return []  # hints, which may be lost
    if kind == "stream":
        return [
            key
            for key in ("expires", *_LOSES_CATALOG)
            if key in definition and (key == "expires" or queue.name == topology.CATALOG_LOG)
        ]
    found = [key for key in _LOSES if key in definition]
    limit = definition.get("delivery-limit")
    fewest = _FEWEST_LOOKS if "x-delivery-limit" in queue.arguments else _FEWEST_DELIVERIES
    if isinstance(limit, int) and limit < fewest:
        found.append("delivery-limit")
    return found


def _counts(policy: Policy, queue: str, among: list[Policy]) -> bool:
    """Whether no other policy wins over ``policy`` on a queue."""
    return not any(
        other.priority > policy.priority and _matches(other.pattern, queue)
        for other in among
        if other.apply_to != "exchanges"
    )


def _applies(policy: Policy, queue: str, kind: str) -> bool:
    return policy.apply_to in _FOR.get(kind, set()) and _matches(policy.pattern, queue)


def _is_for_exchange(policy: Policy, exchange: str) -> bool:
    return policy.apply_to in ("all", "exchanges") and _matches(policy.pattern, exchange)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return False  # what Erlang's dialect knows more than Python's


def matching(case: Case, key: str) -> list[tuple[str, int]]:
    """Policies that set the number ``key`` on a queue that workers take from: name, value."""
    names = [topology.work_queue(group, p) for group in case.catalog.groups for p in Priority]
    names.append(topology.lease_queue("any-worker"))
    return [
        (policy.name, policy.definition[key])
        for policy in (*case.policies, *case.operator_policies)
        if isinstance(policy.definition.get(key), int)
        and any(_applies(policy, name, "quorum") for name in names)
    ]
