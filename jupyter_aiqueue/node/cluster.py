"""A cluster of three private nodes on this machine: where its files are and what it is told.

It is for tests and demonstrations of what the loss of a node does. Each member has a folder, a
home directory and processes of its own, so that it can be killed and started again alone. They
share account, cookie and one port mapper.
Source for the settings: https://www.rabbitmq.com/docs/clustering, …/docs/partitions
"""

from __future__ import annotations

import secrets
from pathlib import Path

from ..core.paths import write_private
from .layout import Layout
from .record import Ports

#: Members of a cluster. Two could not tell which of them is cut off.
SIZE = 3


class MemberLayout(Layout):
    """Where things of one member are: in the folder of the cluster, one named by its number."""

    def __init__(self, cluster: Path, number: int) -> None:
        super().__init__(cluster / str(number), f"aiqueue{number}")
        self.number = number
        self.account_file = self.root.parent / "account.json"

    def configuration(self, ports: Ports) -> str:
        """What the member is told by its ``rabbitmq.conf``."""
        settings = {"cluster_partition_handling": "pause_minority"}
        if self.number > 1:
            # Only a node without data looks for others, and the first has none to look for.
            nodes = "cluster_formation.classic_config.nodes"
            settings |= {
                "cluster_formation.peer_discovery_backend": "classic_config",
                f"{nodes}.1": "aiqueue1@localhost",
                f"{nodes}.2": self.node_name,
            }
        lines = (f"{key} = {value}\n" for key, value in settings.items())
        return super().configuration(ports) + "".join(lines)


class ClusterLayout:
    """Where things of the cluster are below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root.expanduser().resolve()
        self.lock = self.root / "up.lock"
        #: The last cluster that answered here; stays after `down`.
        self.record = self.root / "node.json"
        #: Home directory of the port mapper.
        self.home = self.root / "home"
        self.epmd_log = self.root / "epmd.log"
        #: By number, from 1.
        self.members = {number: self.member(number) for number in range(1, SIZE + 1)}

    def member(self, number: int) -> MemberLayout:
        """The layout of one member."""
        return MemberLayout(self.root, number)

    @property
    def homes(self) -> tuple[Path, ...]:
        """The home directories of all processes."""
        return (self.home, *(member.home for member in self.members.values()))

    @property
    def data_locks(self) -> tuple[Path, ...]:
        """The files that the members hold locks on while they run."""
        return tuple(member.in_use for member in self.members.values())

    def make_folders(self) -> None:
        """Make the folders, closed to others, and give every member the same cookie."""
        for folder in (self.root, self.home):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)
        members = list(self.members.values())
        cookie = members[0].cookie() or secrets.token_hex(32)
        for member in members:
            member.make_folders()
            if member.cookie() != cookie:
                write_private(member.cookie_file, cookie)
