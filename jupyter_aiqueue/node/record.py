"""What is known of a private node: kept beside its data, and published for clients."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..core.config import Broker, parse_url
from ..core.paths import write_private


class Ports(msgspec.Struct, frozen=True):
    """The loopback ports of a node."""

    amqp: int
    management: int
    #: Erlang's own protocol between nodes, and its port mapper.
    distribution: int
    epmd: int


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A private node, or a cluster of them. Its repr holds no password, its URLs do.

    Of a cluster, `url` and `management_url` name all members; what only one node can have
    (process, ports, log) is that of the first member.
    """

    version: int = 1
    url: str
    management_url: str
    pid: int
    epmd_pid: int
    node_name: str
    #: Everything that lasts: messages, account, configuration.
    data_dir: str
    log_dir: str
    ports: Ports
    #: UTC, ISO 8601.
    started_at: str
    #: The version of RabbitMQ, for example ``3.10.8``.
    rabbitmq: str | None = None
    #: What the last `up` found wrong and did about it, a sentence each.
    notes: tuple[str, ...] = ()
    #: The nodes of a cluster, each as a node of its own; empty for a single node.
    members: tuple[Node, ...] = ()

    def broker(self, connect_timeout: float = 5.0) -> Broker:
        """The node as a broker to connect to."""
        return parse_url(
            self.url,
            management_url=self.management_url,
            origin="private node",
            connect_timeout=connect_timeout,
        )

    @property
    def location(self) -> str:
        """The address without credentials, for people."""
        return parse_url(self.url).location

    def __repr__(self) -> str:
        if self.members:
            return f"<Cluster of {len(self.members)} at {self.location}>"
        return f"<Node {self.node_name} at {self.location}, process {self.pid}>"

    __str__ = __repr__


def read_node(file: Path) -> Node | None:
    """The node that ``file`` tells of; None when there is no such file or it is damaged."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=Node)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_node(file: Path, node: Node) -> None:
    """Write ``node`` to ``file``, readable by its owner only."""
    text = msgspec.json.format(msgspec.json.encode(node), indent=2).decode()
    write_private(file, text + "\n")
