"""What all checks look at: the broker, a connection, the management API, the catalog.

Everything is found out when the first check wants it, and once. What cannot be had is said by
that check; for later ones it is `Unseen`, so that one trouble is told once.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from .. import topology
from ..config import Broker
from ..errors import (
    AIQueueError,
    BrokerBlocked,
    BrokerUnreachable,
    InvalidJob,
    PermissionRefused,
)
from ..inventory import ClusterNode, Inventory, Policy, QueueInfo
from ..management import MayNotSee
from ..publisher import read_catalog
from ..status import Heartbeat, decode_heartbeat
from ..stream import replay
from ..topology import Catalog
from ..transport import Session, connect

T = TypeVar("T")

#: How far back heartbeats are read.
_HEARTBEATS = "100s"

#: Connections that may be lost during one examination.
_CONNECTIONS = 3

#: Seconds that one question to the management API may take.
_MANAGEMENT_TIMEOUT = 5.0

#: Queues of ours, except other people's inboxes, of which there may be thousands.
_OURS = r"^aiqueue\.(?!inbox\.)"


#: What is said of an account's rights says which.
MORE_RIGHTS = "more rights of this account"


class Unseen(Exception):
    """A check could not look, for want of ``needs``; why is said elsewhere."""

    def __init__(self, needs: str) -> None:
        super().__init__(needs)
        self.needs = needs


class Case:
    """One examination. A context manager.

    Args:
        find: tells the broker.
        inbox: tells the inbox that job events go to.
        beside: folder of the notebook, where ledgers go.
    """

    def __init__(self, find: Callable[[], Broker], inbox: Callable[[], str], beside: Path) -> None:
        self.beside = beside
        #: The broker takes no messages now: what would publish is not tried again.
        self.blocked = False
        self._find, self._find_inbox = find, inbox
        self._known: dict[str, Any] = {}
        #: What could not be had, and what it takes.
        self._failed: dict[str, str] = {}
        self._session: Session | None = None
        self._connections = 0

    def __enter__(self) -> Case:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._session is not None:
            self._session.close()
        if "management" in self._known:
            self._known["management"].close()

    @property
    def broker(self) -> Broker:
        """The broker that would be used. Raises `ConfigError`, `NoBroker`."""
        return self._once("broker", "a broker", self._find)

    @property
    def inbox(self) -> str:
        """The name of the inbox. Raises `ConfigError`."""
        return self._once("inbox", "a name for the inbox", self._find_inbox)

    @property
    def session(self) -> Session:
        """A connection; a new one when the last was lost."""
        if self._session is None:
            broker = self.broker
            self._session = self._once(
                f"session {self._connections}",
                "a connection to the broker",
                lambda: connect(broker, "jupyter_aiqueue doctor"),
            )
        return self._session

    @property
    def publishing(self) -> Session:
        """A connection, for a check that publishes."""
        if self.blocked:
            raise Unseen("a broker that takes messages")
        return self.session

    @property
    def management(self) -> Inventory:
        """The management API, which has answered."""

        def answering() -> Inventory:
            timeout = min(_MANAGEMENT_TIMEOUT, self.broker.connect_timeout)
            management = Inventory(self.broker, timeout=timeout)
            try:
                management.overview()
            except AIQueueError:
                management.close()
                raise
            return management

        return self._once("management", "the management API", answering)

    @property
    def catalog(self) -> Catalog:
        """What the broker is set up for. Raises `NotProvisioned`."""
        session = self.session
        return self._once("catalog", "the catalog of groups", lambda: read_catalog(session))

    @property
    def queues(self) -> dict[str, QueueInfo]:
        """Our queues by name, as the management API lists them."""
        api = self.management
        found = self._once("queues", "the list of queues", lambda: api.queues(_OURS))
        return {queue.name: queue for queue in found}

    @property
    def policies(self) -> list[Policy]:
        """The policies of the virtual host."""
        api = self.management
        return self._once("policies", "an account that sees policies", api.policies)

    @property
    def operator_policies(self) -> list[Policy]:
        """What the operator limits policies by."""
        api = self.management
        return self._once(
            "operator policies",
            "an account that sees operator policies",
            lambda: api.policies(operator=True),
        )

    @property
    def nodes(self) -> list[ClusterNode]:
        """The nodes of the cluster."""
        return self._once("nodes", "the tag `monitoring`", self.management.nodes)

    @property
    def beats(self) -> dict[str, Heartbeat]:
        """The newest heartbeat of each worker that was heard lately."""
        session = self.publishing  # reading up to now writes a probe

        def hear() -> dict[str, Heartbeat]:
            found: dict[str, Heartbeat] = {}
            for message in replay(session, topology.STATUS, topology.STATUS_LOG, since=_HEARTBEATS):
                with suppress(InvalidJob):
                    beat = decode_heartbeat(message.body)
                    found[beat.worker] = beat
            return found

        return self._once("beats", "heartbeats", hear)

    @property
    def vhost(self) -> str:
        """The virtual host, quoted for a shell."""
        return shlex.quote(self.broker.vhost)

    def provision(self, *more: str) -> str:
        """The command that sets the broker up for what it is set up for, as far as that is known.

        Args:
            more: groups to add.
        """
        command = "jupyter aiqueue provision"
        catalog: Catalog | None = self._known.get("catalog")
        if catalog is not None:
            # Without them, it would be set up for the usual groups instead.
            groups = " ".join((*catalog.groups, *more))
            delays = " ".join(map(str, catalog.retry_delays))
            command += f" --groups {groups} --retry-delays {delays}"
        return command

    def trouble(self, error: AIQueueError) -> None:
        """A check failed: the connection that it used may be gone."""
        if isinstance(error, BrokerBlocked):
            self.blocked = True
        if isinstance(error, (BrokerUnreachable, BrokerBlocked)) and self._session is not None:
            self._session.close()
            self._session = None
            self._connections += 1
            if self._connections >= _CONNECTIONS:
                self._failed[f"session {self._connections}"] = "a connection that lasts"

    def _once(self, key: str, needs: str, find: Callable[[], T]) -> T:
        if key in self._failed:
            raise Unseen(self._failed[key])
        if key not in self._known:
            try:
                self._known[key] = find()
            except PermissionRefused as error:
                self._failed[key] = MORE_RIGHTS
                raise Unseen(MORE_RIGHTS) from error
            except MayNotSee as error:
                self._failed[key] = needs
                raise Unseen(needs) from error
            except Exception:
                self._failed[key] = needs
                raise
        found: T = self._known[key]
        return found
