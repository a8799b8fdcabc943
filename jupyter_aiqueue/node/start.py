"""Starting a node once everything else is settled, and what to do when it does not come up."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..core.errors import BrokerError, NodeError
from .answer import provision_node, wait_until_kept
from .find import Server, find_server
from .layout import PORT_TRIES, Account, Layout, choose_ports, is_free
from .lock import hold_data
from .machine import Ended, launch_machine, launch_port_mapper, wait_for_answer
from .process import stop_all
from .record import Node, Ports, read_node, write_node
from .trouble import StartLogs

#: Seconds that a node that did not come up gets to close its files.
CLEANUP_TIMEOUT = 5.0


class Teller:
    """Tells the user what goes on, and remembers what was wrong."""

    def __init__(self, progress: Callable[[str], None] | None) -> None:
        self._progress = progress
        self.notes: list[str] = []

    def say(self, text: str) -> None:
        """Something that is going on."""
        if self._progress is not None:
            self._progress(text)

    def note(self, text: str) -> None:
        """Something that was wrong."""
        self.notes.append(text)
        self.say(text)


class Start:
    """One start of the node in ``layout``, with as many tries as it takes.

    Used under the layout's lock and when nothing of the node runs.
    """

    def __init__(
        self, layout: Layout, deadline: float, teller: Teller, groups: Sequence[str] | None
    ) -> None:
        self._layout = layout
        self._deadline = deadline
        self._teller = teller
        self._groups = groups
        self._server: Server = find_server()
        self._account: Account = layout.account()
        #: The node that last worked on these data; None when none ever did.
        self._last = read_node(layout.record)
        self._logs = StartLogs()

    def run(self) -> Node:
        """Start it; returns when it answers and is provisioned.

        Raises:
            NodeError: it does not come up. Nothing runs then.
            BrokerError: it cannot be provisioned. Nothing runs then.
        """
        layout = self._layout
        self._teller.say(f"Starting RabbitMQ ({self._server.script}).")
        try:
            return self._on_free_ports()
        except Ended as ended:
            if not self._may_begin_anew():
                raise self._failure("RabbitMQ did not start") from ended
        aside = layout.put_aside()
        last, self._last = self._last, None
        self._teller.note(_aside_text(aside, last))
        try:
            return self._on_free_ports()
        except BaseException as error:
            # It was not for the data: the next try gets them back.
            aside.rename(layout.data)
            if isinstance(error, Ended):
                raise self._failure("RabbitMQ does not even start without data") from error
            raise

    def _on_free_ports(self) -> Node:
        wish = self._last.ports if self._last else None
        for _ in range(PORT_TRIES):
            ports = choose_ports(wish)
            try:
                return self._once(ports)
            except Ended:
                lost = [port for port in msgspec.structs.astuple(ports) if not is_free(port)]
                if not lost and not self._logs.port_was_taken():
                    raise
                self._teller.note("Another program took a port of the node; others are tried.")
                wish = None
        raise self._failure(f"In {PORT_TRIES} tries another program took a port of the node")

    def _once(self, ports: Ports) -> Node:
        """Start once. On any failure, also an interrupt, nothing keeps running."""
        layout = self._layout
        layout.write_files(ports, self._account)
        layout.start_log.unlink(missing_ok=True)
        self._logs = StartLogs(layout.start_log, layout.epmd_log, layout.server_log)
        had_data = layout.data.is_dir()
        data_lock = hold_data(layout.in_use)
        try:
            node = self._launch(ports, data_lock)
            version = self._wait(node)
            self._provision(node, had_data=had_data)
            node = msgspec.structs.replace(node, rabbitmq=version)
            write_node(layout.record, node)
        except BaseException:
            stop_all(CLEANUP_TIMEOUT, layout.home)
            if not had_data:
                # Made by this very start; kept, they would pass for somebody's.
                shutil.rmtree(layout.data, ignore_errors=True)
            raise
        finally:
            os.close(data_lock)
        return node

    def _provision(self, node: Node, *, had_data: bool) -> None:
        again = self._last is not None
        try:
            catalog, lost = provision_node(node.broker(), self._groups, self._deadline, again=again)
        except BrokerError as error:
            if had_data and not again:
                # Queues of an interrupted start that RabbitMQ does not find its files for.
                raise Ended from error
            raise
        wait_until_kept(self._layout.data, catalog)
        if lost:
            self._teller.note(
                "The node has lost what it held: its queues had to be made again. Jobs that "
                "waited in it have to be submitted again."
            )

    def _launch(self, ports: Ports, data_lock: int) -> Node:
        layout, server = self._layout, self._server
        epmd = launch_port_mapper(server, layout, ports.epmd, layout.home, layout.epmd_log)
        return launch_machine(server, layout, ports, self._account, epmd, data_lock)

    def _wait(self, node: Node) -> str:
        """Wait until AMQP and management answer; returns RabbitMQ's version."""
        version = wait_for_answer(node, self._deadline)
        if version is None:
            raise self._failure("RabbitMQ did not answer in time and was ended")
        return version

    def _may_begin_anew(self) -> bool:
        """Whether the data are to blame and hold nothing that RabbitMQ could read.

        Data of another version are left alone: that version can read them.
        """
        if not self._layout.data.is_dir():
            return False
        if self._last is None:
            return True
        return self._logs.data_are_damaged() and not self._other_version()

    def _other_version(self) -> bool:
        """Whether another version wrote the data than the one that tried to start."""
        now = self._logs.version()
        return now is not None and self._last is not None and self._last.rabbitmq != now

    def _failure(self, what: str) -> NodeError:
        layout = self._layout
        parts = [f"{what}. Its logs are in {layout.logs}, its data in {layout.data}."]
        if self._last is not None and self._other_version():
            parts.append(
                f" The data were written by RabbitMQ {self._last.rabbitmq}, this is RabbitMQ "
                f"{self._logs.version()}: use that version, or move the data away."
            )
        elif self._last is not None and self._logs.version() is None:
            parts.append(
                f" The data were last used by RabbitMQ {self._last.rabbitmq}: if this is "
                "another version, use that one, or move the data away."
            )
        words = self._logs.last_words((self._account.password, layout.cookie()))
        if words:
            parts.append(f"\nIts last words:\n{words}")
        return NodeError("".join(parts))


def _aside_text(place: Path, last: Node | None) -> str:
    if last is None:
        return (
            "The node's data were half-written by a start that never ended. They are now in "
            f"{place}, and the node starts empty."
        )
    return (
        f"RabbitMQ could not read its own data. They are kept in {place} (last used by RabbitMQ "
        f"{last.rabbitmq}), and the node starts empty: jobs that waited in it have to be "
        "submitted again."
    )
