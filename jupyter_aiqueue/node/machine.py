"""The two programs of a node, the port mapper and the Erlang machine: launched and waited for."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from pathlib import Path

import psutil

from .answer import version_if_it_answers
from .find import Server
from .layout import Account, Layout, is_free
from .process import is_alive, launch
from .record import Node, Ports

_INTERVAL = 0.05


class Ended(Exception):
    """The node ended while it was starting, or could not be used."""


def launch_port_mapper(server: Server, layout: Layout, port: int, home: Path, log: Path) -> int:
    """Launch Erlang's port mapper as a process of ``home``; returns its process id."""
    ports = Ports(amqp=0, management=0, distribution=0, epmd=port)
    return launch(
        [str(server.epmd), "-port", str(port), "-address", "127.0.0.1"],
        environment=layout.environment(server, ports) | {"HOME": str(home)},
        log=log,
    )


def launch_machine(
    server: Server, layout: Layout, ports: Ports, account: Account, epmd_pid: int, data_lock: int
) -> Node:
    """Launch the Erlang machine, which inherits ``data_lock``; does not wait for an answer."""
    machine = launch(
        layout.command(server),
        environment=layout.environment(server, ports),
        log=layout.start_log,
        keep_open=(data_lock,),
    )
    url, management_url = layout.urls(ports, account)
    return Node(
        url=url,
        management_url=management_url,
        pid=machine,
        epmd_pid=epmd_pid,
        node_name=layout.node_name,
        data_dir=str(layout.root),
        log_dir=str(layout.logs),
        ports=ports,
        started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def wait_for_answer(node: Node, deadline: float) -> str | None:
    """Wait until AMQP and management answer.

    Returns:
        RabbitMQ's version; None when ``deadline`` (monotonic seconds) has passed.

    Raises:
        Ended: one of the two processes is gone.
    """
    broker = node.broker()
    try:
        processes = [psutil.Process(node.pid), psutil.Process(node.epmd_pid)]
    except psutil.NoSuchProcess as error:
        raise Ended from error
    while True:
        if not all(map(is_alive, processes)):
            raise Ended
        if not is_free(node.ports.amqp):
            version = version_if_it_answers(broker)
            if version:
                return version
        if time.monotonic() > deadline:
            return None
        time.sleep(_INTERVAL)
