"""Setting up a broker: exchanges, queues, policies and the catalog of groups.

An operator's command. Workers and notebooks never redeclare any of this.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from . import topology
from .config import Broker
from .errors import ManagementUnavailable, NotProvisioned
from .job import Priority
from .management import Management
from .publisher import publish_catalog, read_catalog
from .topology import Catalog
from .transport import Session, connect

#: The broker gives up on a message that was delivered this often: a last guard, far above the
#: attempts that workers count themselves.
_DELIVERY_LIMIT = 50

#: Of our policies: one policy counts per queue, and a catch-all of the operator's usually has 0.
POLICY_PRIORITY = 10


def policies(catalog: Catalog) -> dict[str, tuple[str, dict[str, Any]]]:
    """The tunables, by policy name: a pattern for queue names and the definition."""
    groups = "|".join(re.escape(group) for group in catalog.groups)
    priorities = "|".join(priority.value for priority in Priority)
    return {
        "aiqueue-work": (
            f"^aiqueue\\.({groups})\\.({priorities})$",
            {
                "dead-letter-exchange": topology.DEAD,
                "dead-letter-strategy": "at-least-once",
                # at-least-once needs it (https://www.rabbitmq.com/docs/quorum-queues)
                "overflow": "reject-publish",
                "delivery-limit": _DELIVERY_LIMIT,
            },
        ),
    }


def provision(broker: Broker, catalog: Catalog | None = None, *, sweep: bool = False) -> list[str]:
    """Set up ``broker`` for ``catalog``; repeatable. Returns what was done, a line each.

    Groups that an earlier call made and that are not named now keep their queues, but leave
    the catalog.

    Args:
        sweep: delete the lease queues that killed workers left behind. Not right after a start
            of the broker: it does not count then what it is only about to load.

    Raises:
        PermissionRefused: the account may not configure ``aiqueue.*``.
        BrokerError: something of the same name is there with other properties.
    """
    catalog = catalog or Catalog()
    done: list[str] = []
    with connect(broker, "jupyter_aiqueue provision") as session:
        current = _current(session)
        for exchange in topology.EXCHANGES:
            session.declare_exchange(exchange)
        done.append(f"{len(topology.EXCHANGES)} exchanges: declared")
        queues = topology.queues(catalog)
        for queue in queues:
            session.declare(queue)
        done.append(f"{len(queues)} queues for {', '.join(catalog.groups)}: declared")
        done += _set_policies(broker, catalog)
        if current != catalog:
            publish_catalog(session, catalog)
            done.append("catalog of groups: published")
        if sweep:
            done += _sweep_leases(session)
    return done


def _sweep_leases(session: Session) -> list[str]:
    """Delete the lease queues that workers which were killed have left behind, empty.

    A worker that is only cut off declares its own again when it is back.
    """
    try:
        management = Management(session.broker)
        try:
            names = management.empty_queues(topology.lease_queue(""))
        finally:
            management.close()
    except ManagementUnavailable:
        return []  # they do no harm
    swept = 0
    for name in names:
        with suppress(NotProvisioned):  # its worker has just ended
            if session.count(name) == (0, 0):
                session.delete(name)
                swept += 1
    return [f"{swept} empty lease queue(s) of workers that are gone: deleted"] if swept else []


def _current(session: Session) -> Catalog | None:
    try:
        return read_catalog(session)
    except NotProvisioned:
        return None


def _set_policies(broker: Broker, catalog: Catalog) -> list[str]:
    done = []
    wanted = policies(catalog)
    try:
        management = Management(broker)
        try:
            for name, (pattern, definition) in wanted.items():
                management.set_policy(name, pattern, definition, priority=POLICY_PRIORITY)
                done.append(f"policy {name}: set")
        finally:
            management.close()
    except ManagementUnavailable as error:
        done.append(f"policies: NOT set. {error} Somebody with shell access can run:")
        for name, (pattern, definition) in wanted.items():
            done.append(f"  {policy_command(broker, name, pattern, definition)}")
    return done


def policy_command(
    broker: Broker,
    name: str,
    pattern: str,
    definition: dict[str, Any],
    priority: int = POLICY_PRIORITY,
) -> str:
    """What somebody with shell access to the broker runs to set a policy of ours."""
    return (
        f"rabbitmqctl set_policy -p '{broker.vhost}' --apply-to queues --priority {priority} "
        f"{name} '{pattern}' '{json.dumps(definition)}'"
    )
