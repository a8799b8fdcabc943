"""The doctor: looks at everything between a notebook and a worker, and says what to mend."""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from . import paths, topology
from .config import Broker, parse_url
from .errors import AIQueueError, ConfigError, ManagementUnavailable
from .job import Priority
from .load import Load
from .management import Management
from .measure import measure
from .publisher import read_catalog
from .recorder import inbox_depth
from .topology import Catalog
from .transport import Session, connect

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"

#: RabbitMQ before this lacks the streams that hold heartbeats and cancels.
_OLDEST = (3, 10)

#: RabbitMQ from this on has not been tried.
_NEWEST = (5, 0)


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: ``level`` is ``ok``, ``note``, ``warning`` or ``error``."""

    level: str
    #: What was found, one sentence.
    what: str
    #: What to do about it; None when nothing is needed.
    fix: str | None = None


def examine(find: Callable[[], Broker], inbox: str) -> list[Finding]:
    """Look at everything; nothing is raised for what is wrong, it is found.

    Takes a few connection timeouts at most.

    Args:
        find: tells the broker; what it raises becomes a finding.
        inbox: name of the inbox that job events go to.
    """
    findings: list[Finding] = []
    broker: Broker | None = None
    try:
        broker = find()
    except AIQueueError as error:
        findings.append(_of_error(error))
    else:
        findings += _address(broker)
        findings += _broker(broker, inbox)
    findings += _private_node(broker)
    findings += _folders()
    return findings


def _broker(broker: Broker, inbox: str) -> Iterator[Finding]:
    try:
        with connect(broker, "jupyter_aiqueue doctor") as session:
            yield _version(session)
            catalog = None
            try:
                catalog = read_catalog(session)
            except AIQueueError as error:
                yield _of_error(error)
            if catalog is not None:
                yield from _queues(session, catalog)
            yield _inbox(session, inbox)
    except AIQueueError as error:
        yield _of_error(error)
        yield from _management(broker)
        return
    yield from _management(broker)
    if catalog is not None:
        yield from _workers(measure(broker))


def _address(broker: Broker) -> Iterator[Finding]:
    yield Finding(OK, f"Broker {broker.location}, user {broker.username} (from {broker.origin}).")
    if broker.tls is None and not all(_is_loopback(host) for host, _ in broker.hosts):
        yield Finding(
            WARNING,
            "The connection is not encrypted: the password and all configs can be read on the way.",
            "Use an amqps:// URL; ask the broker's operator for its port.",
        )
    if broker.tls is not None and not broker.tls.verify:
        yield Finding(
            WARNING,
            "The broker's certificate is not checked (verify=verify_none).",
            "Name the certificate authority with cacertfile=… in the URL instead.",
        )


def _version(session: Session) -> Finding:
    version = session.version
    match = re.match(r"(\d+)\.(\d+)", version or "")
    if match is None:
        return Finding(NOTE, f"Connected; the broker does not tell its version ({version}).")
    number = (int(match[1]), int(match[2]))
    if number < _OLDEST:
        return Finding(
            ERROR,
            f"RabbitMQ {version} is too old: it lacks what heartbeats and cancels need.",
            "RabbitMQ 3.10 or newer is needed.",
        )
    if number >= _NEWEST:
        return Finding(NOTE, f"Connected to RabbitMQ {version}, which nobody has tried with this.")
    return Finding(OK, f"Connected to RabbitMQ {version}.")


def _queues(session: Session, catalog: Catalog) -> Iterator[Finding]:
    names = [topology.work_queue(group, p) for group in catalog.groups for p in Priority]
    names += [topology.dead_queue(group) for group in catalog.groups]
    names += [topology.retry_queue(delay) for delay in catalog.retry_delays]
    missing, refused = [], None
    for name in names:
        try:
            if not session.exists(name):
                missing.append(name)
        except AIQueueError as error:
            refused = error
    if refused is not None:
        yield _of_error(refused, WARNING)
    if missing:
        yield Finding(
            ERROR,
            f"Queues are missing: {', '.join(missing)}.",
            "The broker's operator has to run `jupyter aiqueue provision`.",
        )
    elif refused is None:
        yield Finding(OK, f"Set up for the groups {', '.join(catalog.groups)}.")


def _inbox(session: Session, inbox: str) -> Finding:
    try:
        if not session.exists(topology.inbox_queue(inbox)):
            return Finding(OK, f"The inbox {inbox!r} will be made by the first submit.")
    except AIQueueError as error:
        return _of_error(error)
    waiting, recorders = inbox_depth(session, inbox)
    if recorders:
        behind = f"; {waiting} events wait for it" if waiting else ""
        return Finding(OK, f"The inbox {inbox!r} is recorded{behind}.")
    return Finding(
        WARNING if waiting else NOTE,
        f"Nobody records the inbox {inbox!r} now; {waiting} events wait in it, safely.",
        "The Jupyter server's extension records (`jupyter server extension list`), or "
        "`jupyter aiqueue recorder`, or a kernel while it uses the magics.",
    )


def _management(broker: Broker) -> Iterator[Finding]:
    if not broker.management_url:
        yield Finding(
            NOTE,
            "No management API is configured; rates and alarms stay unknown.",
            "Set AIQUEUE_MANAGEMENT_URL, for example to https://mq.example.org:15671.",
        )
        return
    try:
        management = Management(broker, timeout=min(3.0, broker.connect_timeout))
        try:
            overview, alarms = management.overview(), management.alarms()
        finally:
            management.close()
    except ManagementUnavailable as error:
        yield _of_error(error, WARNING)
        return
    if overview.stats_disabled:
        yield Finding(
            NOTE,
            "The management API answers, but the broker's statistics are switched off; rates stay "
            "unknown.",
            "The operator may set `management_agent.disable_metrics_collector = false`.",
        )
    else:
        yield Finding(OK, f"The management API at {management.location} answers.")
    if alarms not in (None, "none"):
        yield Finding(
            ERROR,
            f"The broker has an alarm ({alarms}) and takes no messages until it is over.",
            "Its operator has to free memory or disk.",
        )


def _workers(load: Load) -> Iterator[Finding]:
    for group in load.groups:
        if group.workers.value is None:
            yield Finding(WARNING, f"Which workers serve {group.name} is unknown.")
            continue
        for worker in group.worker_list:
            if worker.state == "lost":
                yield Finding(
                    WARNING,
                    f"Worker {worker.worker} of {group.name} fell silent {worker.age_s or 0:.0f} s "
                    "ago.",
                    f"See whether it still runs on {worker.host or 'its machine'}.",
                )
        if group.dead.value:
            yield Finding(
                NOTE,
                f"Dead letters in {group.name}: {group.dead.value:.0f}.",
                f"`%dead_jobs {group.name}` or `jupyter aiqueue dead {group.name}` tells why.",
            )
    served = [group for group in load.groups if group.workers.value]
    for group in served:
        workers, slots = int(group.workers.value or 0), int(group.slots.value or 0)
        yield Finding(OK, f"Workers of {group.name}: {workers}, with slots: {slots}.")
    for group in load.groups:
        if group.workers.value == 0 and (group.waiting.value or not served):
            waiting = f"; jobs that wait: {group.waiting.value:.0f}" if group.waiting.value else ""
            yield Finding(
                WARNING if group.waiting.value else NOTE,
                f"No worker serves group {group.name}{waiting}.",
                f"Start one where the experiments shall run: `jupyter aiqueue worker --group "
                f"{group.name}`.",
            )


def _private_node(broker: Broker | None) -> Iterator[Finding]:
    file = paths.connection_file()
    try:
        content = json.loads(file.read_text())
        where = parse_url(content["url"]).location
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        yield Finding(
            WARNING,
            f"The private node's connection file {file} is damaged.",
            "Run `jupyter aiqueue down` and `jupyter aiqueue up`.",
        )
        return
    if broker is not None and broker.origin != "private node":
        yield Finding(
            NOTE,
            f"A private node is set up at {where}, but {broker.location} is used: "
            f"{broker.origin} comes first.",
        )


def _folders() -> Iterator[Finding]:
    folder = paths.data_dir()
    existing = next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
    if not os.access(existing, os.W_OK):
        yield Finding(
            ERROR,
            f"The folder {existing} cannot be written: inbox name and ledger list have no place.",
            "Make it writable, or point JUPYTER_DATA_DIR to a folder that is.",
        )


def _of_error(error: AIQueueError, level: str = ERROR) -> Finding:
    """Errors of ours say what is wrong and then what to do."""
    what, _, fix = str(error).partition(". ")
    return Finding(level, what.rstrip(".") + ".", fix or None)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
