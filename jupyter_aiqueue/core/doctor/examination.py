"""One examination: every check in turn, and what could not be looked at."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..config import Broker
from ..errors import AIQueueError, BrokerBlocked, PermissionRefused
from . import (
    clocks,
    connection,
    groups,
    health,
    leases,
    machine,
    policies,
    recording,
    rights,
    setup,
)
from .case import MORE_RIGHTS, Case, Unseen
from .finding import (
    BROKER,
    CLOCKS,
    CONNECTION,
    JOBS,
    MACHINE,
    NOTE,
    POLICIES,
    RECORDING,
    RIGHTS,
    SETUP,
    WARNING,
    Finding,
    of_error,
)

_log = logging.getLogger(__name__)


class Check(NamedTuple):
    """A function that looks, and what it looks at, for people."""

    topic: str
    what: str
    look: Callable[[Case], Iterable[Finding]]


#: The order matters: the first that needs something says why it cannot be had.
CHECKS = (
    Check(CONNECTION, "the broker's address", connection.address),
    Check(RECORDING, "the inbox's name", recording.name),
    Check(CONNECTION, "the connection", connection.hosts),
    Check(CONNECTION, "the certificate", connection.certificate),
    Check(CONNECTION, "the version", connection.version),
    Check(CONNECTION, "the management API", connection.management),
    Check(BROKER, "alarms", health.alarms),
    Check(SETUP, "the catalog", setup.catalog),
    Check(SETUP, "exchanges", setup.exchanges),
    Check(SETUP, "queues", setup.queues),
    Check(SETUP, "bindings", setup.bindings),
    Check(SETUP, "queues left over", setup.leftovers),
    Check(POLICIES, "policies", policies.ours),
    Check(POLICIES, "other policies", policies.others),
    Check(POLICIES, "operator policies", policies.operators),
    Check(RIGHTS, "rights", rights.rights),
    Check(BROKER, "nodes", health.nodes),
    Check(BROKER, "copies of queues", health.members),
    Check(BROKER, "the delivery timeout", health.delivery_timeout),
    Check(CLOCKS, "the broker's clock", clocks.of_broker),
    Check(CLOCKS, "the workers' clocks", clocks.of_workers),
    Check(JOBS, "groups and their workers", groups.served),
    Check(JOBS, "groups that are not known", groups.unknown),
    Check(JOBS, "dead letters", groups.dead),
    Check(JOBS, "leases", leases.leases),
    Check(RECORDING, "the inbox", recording.inbox),
    Check(MACHINE, "the private node", machine.private_node),
    Check(MACHINE, "open files", machine.open_files),
    Check(MACHINE, "folders", machine.folders),
    Check(MACHINE, "disk space", machine.disk),
)


def examine(
    find: Callable[[], Broker],
    inbox: str | Callable[[], str],
    *,
    beside: str | Path | None = None,
) -> list[Finding]:
    """Look at everything; nothing is raised for what is wrong, it is found.

    Nothing is changed. Takes a few connection timeouts at most.

    Args:
        find: tells the broker; what it raises becomes a finding.
        inbox: name of the inbox that job events go to, or what tells it.
        beside: folder of the notebook; the current one when None.
    """
    findings: list[Finding] = []
    unseen: dict[str, list[str]] = {}
    tell = inbox if callable(inbox) else lambda: inbox
    with Case(find, tell, Path.cwd() if beside is None else Path(beside)) as case:
        for check in CHECKS:
            for finding in _perform(check, case, unseen):
                # One trouble may meet several checks; it is told where it was met first.
                if all(finding.what != other.what for other in findings):
                    findings.append(
                        msgspec.structs.replace(finding, topic=finding.topic or check.topic)
                    )
    for needs, what in unseen.items():
        findings.append(
            Finding(NOTE, f"Not looked at without {needs}: {', '.join(what)}.", topic=CONNECTION)
        )
    return findings


def _perform(check: Check, case: Case, unseen: dict[str, list[str]]) -> list[Finding]:
    """What a check finds; when it fails, that is a finding, too."""
    found: list[Finding] = []
    try:
        # One by one: what was found before it failed counts.
        for finding in check.look(case):
            found.append(finding)
    except Unseen as missing:
        unseen.setdefault(missing.needs, []).append(check.what)
    except PermissionRefused:
        unseen.setdefault(MORE_RIGHTS, []).append(check.what)
    except AIQueueError as error:
        case.trouble(error)
        # Whichever check met it: an alarm is the broker's.
        topic = BROKER if isinstance(error, BrokerBlocked) else check.topic
        found.append(msgspec.structs.replace(of_error(error), topic=topic))
    except Exception as error:
        _log.debug("looking at %s", check.what, exc_info=True)
        found.append(
            Finding(
                WARNING,
                f"Looking at {check.what} failed for a fault of the doctor's own "
                f"({type(error).__name__}).",
                "Please report it; nothing else is affected.",
            )
        )
    return found
