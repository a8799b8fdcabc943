"""What `provision` sets up: catalog, exchanges, queues, bindings, and what is left of old ones."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from .. import topology
from ..errors import BrokerError, NotProvisioned, PermissionRefused
from ..inventory import Binding, QueueInfo
from ..topology import Exchange, Queue
from .case import Case, Unseen
from .finding import ERROR, NOTE, OK, WARNING, Finding, of_error

_OPERATOR = "The broker's operator has to set it up again; what is there stays."

#: Queues that belong to a group: two of its own name, and one for each priority.
_OF_GROUP = re.compile(
    r"aiqueue\.(?:(?:dead|wake)\.([^.]+)|(?!(?:dead|wake|lease|retry)\.)([^.]+)\.(?:high|normal|low))"
)

#: Queues of a retry delay.
_OF_DELAY = re.compile(r"aiqueue\.retry\.\d+")


def catalog(case: Case) -> Iterator[Finding]:
    """Whether it was set up at all, and for which groups."""
    try:
        found = case.catalog
    except NotProvisioned as error:
        yield Finding(ERROR, of_error(error).what, of_error(error).fix, case.provision())
        return
    yield Finding(OK, f"Set up for the groups {', '.join(found.groups)}.")


def exchanges(case: Case) -> Iterator[Finding]:
    """Whether all exchanges are there, of the right type."""
    _ = case.catalog  # without it, nothing is expected
    missing, wrong = [], []
    for exchange in topology.EXCHANGES:
        try:
            kind = _type_of(case, exchange)
        except NotProvisioned:
            kind = None
        if kind is None:
            missing.append(exchange.name)
        elif kind != exchange.type:
            wrong.append((exchange, kind))
    if missing:
        yield Finding(
            ERROR,
            f"Exchanges are missing: {', '.join(missing)}.",
            _OPERATOR,
            case.provision(),
        )
    for exchange, kind in wrong:
        yield Finding(
            ERROR,
            f"The exchange {exchange.name} is of type {kind}, and has to be of type "
            f"{exchange.type}.",
            "The operator has to delete it (in the management UI, for example) and set up again.",
            case.provision(),
        )
    if not missing and not wrong:
        yield Finding(OK, f"All {len(topology.EXCHANGES)} exchanges are there.")


def _type_of(case: Case, exchange: Exchange) -> str | None:
    try:
        found = case.management.exchange(exchange.name)
    except Unseen:
        with case.session.throwaway(f"looking at {exchange.name}") as channel:
            channel.exchange_declare(exchange.name, exchange.type, passive=True)
        return exchange.type  # as far as this account can tell
    return found.type if found else None


def queues(case: Case) -> Iterator[Finding]:
    """Whether all queues are there, with the properties that they need."""
    expected = topology.queues(case.catalog)
    missing, wrong = [], []
    for queue in expected:
        if not case.session.exists(queue.name):
            missing.append(queue.name)
        elif difference := _difference(case, queue):
            wrong.append((queue, difference))
    if missing:
        yield Finding(
            ERROR, f"Queues are missing: {', '.join(missing)}.", _OPERATOR, case.provision()
        )
    for queue, difference in wrong:
        yield Finding(
            ERROR,
            f"The queue {queue.name} is not as it has to be: {difference}.",
            "That cannot be changed. The operator has to let it run empty, delete it and set up "
            "again.",
            f"rabbitmqctl delete_queue {queue.name} -p {case.vhost} --if-empty\n{case.provision()}",
        )
    if not missing and not wrong:
        yield Finding(OK, f"All {len(expected)} queues are there.")


def _difference(case: Case, queue: Queue) -> str | None:
    """What is other than it has to be; None when nothing is, or when that cannot be seen."""
    try:
        found = case.queues.get(queue.name)
    except Unseen:
        return _refused_difference(case, queue)
    return None if found is None else _other(queue.arguments, found)


def _other(wanted: dict[str, Any], found: QueueInfo) -> str | None:
    arguments = {"x-queue-type": found.type, **found.arguments}
    differing = [
        f"{key} is {arguments.get(key, 'not set')} instead of {wanted.get(key, 'not set')}"
        for key in sorted(wanted.keys() | arguments.keys())
        if arguments.get(key) != wanted.get(key)
    ]
    if not found.durable:
        differing.append("it is not durable")
    return "; ".join(differing) or None


def _refused_difference(case: Case, queue: Queue) -> str | None:
    """Declared as it is, nothing happens; otherwise the broker says what is other."""
    try:
        with case.session.throwaway(f"comparing {queue.name}") as channel:
            channel.queue_declare(queue.name, durable=True, arguments=queue.arguments)
    except PermissionRefused:
        return None  # this account may not compare
    except BrokerError as error:
        match = re.search(r"inequivalent arg '([^']+)'", str(error))
        if match is None:
            raise
        return f"{match[1]} is not {queue.arguments.get(match[1], 'as it has to be')}"
    return None


def bindings(case: Case) -> Iterator[Finding]:
    """Whether all queues get what they are there for."""
    expected = [queue for queue in topology.queues(case.catalog) if queue.name in case.queues]
    inbox = topology.inbox(case.inbox)
    if case.session.exists(inbox.name):
        expected.append(inbox)
    lost = []
    for queue in expected:
        found = case.management.bindings(queue.name)
        lost += [
            f"{queue.name} from {exchange} ({key or arguments})"
            for exchange, key, arguments in queue.bindings
            if not _is_among(found, exchange, key, arguments)
        ]
    if not lost:
        yield Finding(OK, "All queues are bound to their exchanges.")
        return
    yield Finding(
        ERROR,
        f"Queues have lost bindings, and what goes there is lost or refused: {', '.join(lost)}.",
        _OPERATOR + " An inbox is bound again by the next submit.",
        case.provision(),
    )


def _is_among(found: list[Binding], exchange: str, key: str, arguments: dict[str, Any]) -> bool:
    return any(
        (binding.source, binding.routing_key, binding.arguments) == (exchange, key, arguments)
        for binding in found
    )


def leftovers(case: Case) -> Iterator[Finding]:
    """Queues of groups and delays that are not set up any more."""
    catalog = case.catalog
    delays = {topology.retry_queue(delay) for delay in catalog.retry_delays}
    for name in sorted(case.queues):
        match = _OF_GROUP.fullmatch(name)
        old_group = match and (match[1] or match[2]) not in catalog.groups
        old_delay = _OF_DELAY.fullmatch(name) and name not in delays
        if old_group or old_delay:
            yield _leftover(case, name, match and (match[1] or match[2]))


def _leftover(case: Case, name: str, group: str | None) -> Finding:
    quoted = shlex.quote(name)
    # Not with --if-empty: quorum queues do not support it.
    delete = f"rabbitmqctl delete_queue {quoted} -p {case.vhost}"
    ready = case.session.count(name).ready
    if not ready or name.startswith(topology.wake_queue("")):  # hints go by themselves
        return Finding(
            NOTE,
            f"The queue {name} belongs to nothing that is set up now, and is empty.",
            "The operator may delete it.",
            delete,
        )
    return Finding(
        WARNING,
        f"Messages wait in {name}, which belongs to nothing that is set up now: {ready}.",
        "Set its group (or retry delay) up again, so that they are taken; or empty it.",
        case.provision(group) if group else f"rabbitmqctl purge_queue {quoted} -p {case.vhost}",
    )
