"""Asking a node whether it works, and setting it up."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..core import topology
from ..core.config import Broker
from ..core.errors import BrokerError, NotProvisioned
from ..core.management import Management
from ..core.provision import provision
from ..core.publisher import read_catalog
from ..core.topology import Catalog
from ..core.transport import connect
from .layout import VHOST

_NAME = "jupyter_aiqueue up"
_INTERVAL = 0.25
#: Seconds after which a node that was provisioned once counts as empty.
_SETTLE_TIMEOUT = 15.0
_KEPT_TIMEOUT = 5.0


def version_if_it_answers(broker: Broker) -> str | None:
    """RabbitMQ's version if AMQP and the management API take our account, else None."""
    try:
        with connect(broker, _NAME):
            pass
        management = Management(broker)
        try:
            return management.overview().version
        finally:
            management.close()
    except BrokerError:
        return None


def provision_node(
    broker: Broker, groups: Sequence[str] | None, deadline: float, *, again: bool
) -> tuple[Catalog, bool]:
    """Set the node up, or see that it still is (``again``); ``groups`` None keeps its groups.

    After a restart a stream is said not to exist until its leader is back, within a second.
    Setting up with the usual groups in that moment would replace the user's own.

    Returns:
        What it is set up for, and whether it had lost what an earlier start had set up.

    Raises:
        BrokerError: it still refuses something after a while.
    """
    settled = time.monotonic() + _SETTLE_TIMEOUT
    deadline = min(deadline, settled + _SETTLE_TIMEOUT)
    while True:
        try:
            found = _catalog(broker)
            if found is not None or not again or time.monotonic() > settled:
                catalog = found or Catalog()
                if groups is not None:
                    catalog = msgspec.structs.replace(catalog, groups=tuple(groups))
                provision(broker, catalog)
                return catalog, again and found is None
        except BrokerError:
            if time.monotonic() > (deadline if again else min(deadline, settled)):
                raise
        time.sleep(_INTERVAL)


def _catalog(broker: Broker) -> Catalog | None:
    with connect(broker, _NAME) as session:
        try:
            return read_catalog(session)
        except NotProvisioned:
            return None


def wait_until_kept(data: Path, catalog: Catalog, vhost: str = VHOST) -> None:
    """Wait until a crash of the node could no longer cost it the queues of ``catalog``.

    Ra writes the table that tells which files belong to which quorum queue, and to the
    coordinator of streams, up to a second after they are declared (`ra_directory`: auto_save).
    A node that is killed before that finds neither again. Seen with RabbitMQ 3.10.8.
    """
    expected = [("coordination", "rabbit_stream_coordinator")] + [
        ("quorum", f"{vhost}_{queue.name}")
        for queue in topology.queues(catalog)
        if queue.arguments.get("x-queue-type") == "quorum"
    ]
    deadline = time.monotonic() + _KEPT_TIMEOUT
    for system, name in expected:
        # A version that keeps the table elsewhere is not waited for.
        while (tables := list(data.glob(f"*/{system}/*/names.dets"))) and not any(
            name.encode() in table.read_bytes() for table in tables
        ):
            if time.monotonic() > deadline:
                return
            time.sleep(_INTERVAL)
