"""Brokers of a test's own, that it may kill, stop and start again.

Knows nothing of pytest, so that benchmarks can use it, too.
"""

from __future__ import annotations

import os
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.node import Node, Ports
from jupyter_aiqueue.node.cluster import SIZE, ClusterLayout, MemberLayout
from jupyter_aiqueue.node.gather import Gathering
from jupyter_aiqueue.node.layout import Layout
from jupyter_aiqueue.node.process import is_alive, stop_all
from jupyter_aiqueue.node.start import Start, Teller

#: Seconds that a start may take, per node: the machine may be busy.
_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 60.0
_KILL_TIMEOUT = 10.0


class OwnNode(ABC):
    """A private RabbitMQ below a folder, of one node or of three; no connection file tells of it.

    It is provisioned at its first start and keeps data, account and (where they are still free)
    ports over `kill`, `stop` and `start`. Members are counted from 0, as the broker's hosts.
    """

    def __init__(self) -> None:
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """What was started last."""
        assert self._node is not None
        return self._node

    @property
    def broker(self) -> Broker:
        """Its address or addresses, with the account that may do everything."""
        return self.node.broker()

    @property
    def members(self) -> tuple[Node, ...]:
        """Its nodes."""
        return self.node.members or (self.node,)

    @property
    @abstractmethod
    def data(self) -> tuple[Path, ...]:
        """The folders in which the nodes keep their messages."""

    @property
    @abstractmethod
    def homes(self) -> tuple[Path, ...]:
        """The home directories by which all processes of it are known."""

    @abstractmethod
    def _up(self, deadline: float) -> Node:
        """Start what does not run."""

    def start(self) -> Broker:
        """Start what does not run; returns when all of it answers (in 4-10 s, three in 12-20 s)."""
        self._node = self._up(time.monotonic() + _START_TIMEOUT * SIZE)
        return self.broker

    def kill(self) -> None:
        """End all of it as a power failure would (SIGKILL); returns when it is gone."""
        _kill(*(member.pid for member in self.members))

    def stop(self) -> None:
        """Stop all of it in good order (SIGTERM); the data stay."""
        stop_all(_STOP_TIMEOUT, *self.homes)

    def close(self) -> None:
        """End everything of it, quickly."""
        stop_all(0, *self.homes)

    def kill_member(self, index: int) -> None:
        """Kill one node."""
        _kill(self.members[index].pid)

    def start_member(self, index: int) -> None:
        """Start one node again; returns when it answers. Others, if there are, have to run."""
        self.start()


class _Configured(Layout):
    def __init__(self, root: Path, extra_config: str) -> None:
        super().__init__(root)
        self._extra_config = extra_config

    def configuration(self, ports: Ports) -> str:
        return f"{super().configuration(ports)}{self._extra_config}\n"


class _Single(OwnNode):
    def __init__(self, folder: Path, extra_config: str) -> None:
        super().__init__()
        self._layout = _Configured(folder, extra_config)

    @property
    def data(self) -> tuple[Path, ...]:
        return (self._layout.data,)

    @property
    def homes(self) -> tuple[Path, ...]:
        return self._layout.homes

    def _up(self, deadline: float) -> Node:
        if self._node is not None and _lives(self._node.pid):
            return self._node
        stop_all(0, *self.homes)
        self._layout.make_folders()
        return Start(self._layout, deadline, Teller(None), None).run()


class _ConfiguredMember(MemberLayout):
    def __init__(self, cluster: Path, number: int, extra_config: str) -> None:
        super().__init__(cluster, number)
        self._extra_config = extra_config

    def configuration(self, ports: Ports) -> str:
        return f"{super().configuration(ports)}{self._extra_config}\n"


class _ConfiguredCluster(ClusterLayout):
    def __init__(self, root: Path, extra_config: str) -> None:
        self._extra_config = extra_config
        super().__init__(root)

    def member(self, number: int) -> MemberLayout:
        return _ConfiguredMember(self.root, number, self._extra_config)


class _Cluster(OwnNode):
    def __init__(self, folder: Path, extra_config: str) -> None:
        super().__init__()
        self._layout = _ConfiguredCluster(folder, extra_config)

    @property
    def data(self) -> tuple[Path, ...]:
        return tuple(member.data for member in self._layout.members.values())

    @property
    def homes(self) -> tuple[Path, ...]:
        return self._layout.homes

    def _up(self, deadline: float) -> Node:
        if self._node is not None and all(_lives(member.pid) for member in self.members):
            return self._node
        self._layout.make_folders()
        return Gathering(self._layout, deadline, Teller(None)).run()

    def start_member(self, index: int) -> None:
        deadline = time.monotonic() + _START_TIMEOUT
        self._node = Gathering(self._layout, deadline, Teller(None)).run_member(index + 1)


def _lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


def _kill(*pids: int) -> None:
    machines = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    for machine in machines:
        os.kill(machine.pid, signal.SIGKILL)
    _, alive = psutil.wait_procs(machines, timeout=_KILL_TIMEOUT)
    assert not any(map(is_alive, alive)), f"these outlived SIGKILL: {alive}"


@contextmanager
def own_node(folder: Path, *, nodes: int = 1, extra_config: str = "") -> Iterator[OwnNode]:
    """A started broker with its data in ``folder``, ended when the block is left.

    Args:
        folder: must be the broker's alone; also tells its processes from others.
        nodes: 1, or 3 for a cluster, whose queues have a member on each node.
        extra_config: further lines of ``rabbitmq.conf``, such as ``consumer_timeout = 60000``;
            a line here replaces one of ours with the same name.
    """
    assert nodes in (1, SIZE), nodes
    kind = _Single if nodes == 1 else _Cluster
    one = kind(folder, extra_config)
    try:
        one.start()
        yield one
    finally:
        one.close()
