"""Brokers of a test's own, that it may kill, stop and start again.

Knows nothing of pytest, so that benchmarks can use it, too.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.node import Node, Ports
from jupyter_aiqueue.node.layout import Layout
from jupyter_aiqueue.node.process import is_alive, stop_all
from jupyter_aiqueue.node.start import Start, Teller

_START_TIMEOUT = 120.0
_STOP_TIMEOUT = 30.0


class _Configured(Layout):
    """A layout whose node is told something more."""

    def __init__(self, root: Path, extra_config: str) -> None:
        super().__init__(root)
        self._extra_config = extra_config

    def configuration(self, ports: Ports) -> str:
        return f"{super().configuration(ports)}{self._extra_config}\n"


class OwnNode:
    """A private RabbitMQ below a folder; no connection file tells of it.

    It is provisioned at its first start and keeps data, account and (where they are still free)
    ports over `kill`, `stop` and `start`.
    """

    def __init__(self, folder: Path, extra_config: str = "") -> None:
        self._layout = _Configured(folder, extra_config)
        self._node: Node | None = None

    @property
    def node(self) -> Node:
        """What was started last."""
        assert self._node is not None
        return self._node

    @property
    def broker(self) -> Broker:
        """Its address, with the account that may do everything."""
        return self.node.broker()

    def start(self) -> Broker:
        """Start it, or start it again; returns when it answers (in 4-10 s)."""
        stop_all(0, self._layout.home)
        self._layout.make_folders()
        deadline = time.monotonic() + _START_TIMEOUT
        self._node = Start(self._layout, deadline, Teller(None), None).run()
        return self.broker

    def kill(self) -> None:
        """End it as a power failure would (SIGKILL); returns when it is gone."""
        machine = psutil.Process(self.node.pid)
        os.kill(machine.pid, signal.SIGKILL)
        with suppress(psutil.NoSuchProcess):
            machine.wait(10)
        assert not is_alive(machine)

    def stop(self) -> None:
        """Stop it in good order (SIGTERM); the data stay."""
        stop_all(_STOP_TIMEOUT, self._layout.home)

    def close(self) -> None:
        """End everything of it, quickly."""
        stop_all(0, self._layout.home)


@contextmanager
def own_node(folder: Path, *, extra_config: str = "") -> Iterator[OwnNode]:
    """A started node with its data in ``folder``, ended when the block is left.

    Args:
        folder: must be the node's alone; also tells its processes from others.
        extra_config: further lines of ``rabbitmq.conf``, such as ``consumer_timeout = 60000``;
            a line here replaces one of ours with the same name.
    """
    one = OwnNode(folder, extra_config)
    try:
        one.start()
        yield one
    finally:
        one.close()
