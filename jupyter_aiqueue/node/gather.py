"""Starting the members of a cluster: all that do not run, or a single one."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from ..core.errors import BrokerError, NodeError
from ..core.inventory import Inventory
from .answer import provision_node, wait_until_kept
from .cluster import ClusterLayout
from .find import find_server
from .layout import PORT_TRIES, choose_ports, is_free, urls
from .lock import hold_data
from .machine import Ended, launch_machine, launch_port_mapper, wait_for_answer
from .process import is_ours, stop_all
from .record import Node, Ports, read_node, write_node
from .start import CLEANUP_TIMEOUT, Teller
from .trouble import StartLogs

_INTERVAL = 0.2

#: Starts of the whole cluster until the dead-lettering of all nodes works.
_DEAD_LETTERING_TRIES = 3


class Gathering:
    """Brings the cluster in ``layout`` together.

    Used under the layout's lock. When something cannot be started, nothing keeps running that
    did not run before, and the data of earlier times are left as they are.
    """

    def __init__(
        self,
        layout: ClusterLayout,
        deadline: float,
        teller: Teller,
        groups: Sequence[str] | None = None,
    ) -> None:
        self._layout = layout
        self._deadline = deadline
        self._teller = teller
        self._groups = groups
        self._server = find_server()
        self._account = layout.members[1].account()
        #: The cluster that last worked on these data; None when none ever did.
        self._last = read_node(layout.record)
        self._logs: dict[int, StartLogs] = {}

    def run(self) -> Node:
        """Start every member that does not run.

        Returns when all answer and know each other, and the cluster is provisioned.

        Raises:
            NodeError: a member does not come up.
            BrokerError: the cluster cannot be provisioned.
        """
        layout, again = self._layout, self._last is not None
        if not again:
            self._clear_away()
        running = self._running()
        missing = [number for number in layout.members if number not in running]
        if running:
            for number in missing:
                name = layout.members[number].node_name
                self._teller.note(f"{name} had ended; it is started again.")
        with self._undone(missing, running):
            for tries_left in range(_DEAD_LETTERING_TRIES - 1, -1, -1):
                cluster = self._gather(missing, running)
                self._wait_until_joined(cluster)
                # Only now: a quorum queue has its members where nodes run when it is declared.
                catalog, lost = provision_node(
                    cluster.broker(), self._groups, self._deadline, again=again
                )
                alone = again and not running
                if not alone or not tries_left or not self._dead_lettering_failed():
                    break
            for member in layout.members.values():
                wait_until_kept(member.data, catalog)
            write_node(layout.record, cluster)
        if lost:
            self._teller.note(
                "The cluster has lost what it held: its queues had to be made again. Jobs that "
                "waited in it have to be submitted again."
            )
        return cluster

    def run_member(self, number: int) -> Node:
        """Start one member beside those that run; returns the cluster when it answers.

        Raises:
            NodeError: there is no such member, no other one runs, or it does not come up.
        """
        running = self._running()
        if self._last is None or not running:
            raise NodeError(
                f"No member of the cluster in {self._layout.root} runs, and one alone would wait "
                "for the others. Start all of them with `jupyter aiqueue up`."
            )
        if number not in self._layout.members:
            raise NodeError(f"The members of the cluster are {[*self._layout.members]}.")
        if number in running:
            return self._last
        with self._undone([number], running):
            cluster = self._gather([number], running)
            write_node(self._layout.record, cluster)
        return cluster

    def _dead_lettering_failed(self) -> bool:
        """Whether jobs that wait for a retry, or whose lease runs out, would be stuck.

        Who leads a queue may change twice within an instant of a common start. Then what moves
        its expired messages may end, and with it what would start another one on that node
        (RabbitMQ 3.10.8). Only another start helps.
        """
        failed = any(logs.dead_lettering_failed() for logs in self._logs.values())
        if failed:
            self._teller.note(
                "A node has lost its dead-lettering while all of them started; they are started "
                "once more."
            )
        return failed

    # -- what is there -------------------------------------------------------------------------

    def _known(self) -> dict[int, Node]:
        return dict(enumerate(self._last.members, start=1)) if self._last else {}

    def _running(self) -> dict[int, Node]:
        members = self._layout.members
        return {
            number: node
            for number, node in self._known().items()
            if is_ours(node.pid, members[number].home)
        }

    def _clear_away(self) -> None:
        """Make room for a first start: what an interrupted one left is not one cluster's."""
        stop_all(CLEANUP_TIMEOUT, *self._layout.homes)
        for member in self._layout.members.values():
            if member.data.is_dir():
                self._teller.note(
                    f"Data of {member.node_name} that belong to no cluster are now in "
                    f"{member.put_aside()}."
                )

    @contextmanager
    def _undone(self, missing: Sequence[int], running: dict[int, Node]) -> Iterator[None]:
        """On any failure, also an interrupt, end ``missing``, and forget a first start."""
        try:
            yield
        except BaseException:
            self._stop(missing, running)
            if self._last is None:
                for member in self._layout.members.values():
                    shutil.rmtree(member.data, ignore_errors=True)
            raise

    def _stop(self, missing: Sequence[int], running: dict[int, Node]) -> None:
        homes = [self._layout.members[number].home for number in missing]
        if not running:
            homes.append(self._layout.home)
        stop_all(CLEANUP_TIMEOUT, *homes)

    # -- starting ------------------------------------------------------------------------------

    def _gather(self, missing: Sequence[int], running: dict[int, Node]) -> Node:
        """The cluster, when ``missing`` have been started."""
        if missing:
            names = ", ".join(self._layout.members[number].node_name for number in missing)
            self._teller.say(f"Starting RabbitMQ ({self._server.script}) as {names}.")
        wish = {number: node.ports for number, node in self._known().items()}
        stumbled = False
        for _ in range(PORT_TRIES):
            self._stop(missing, running)  # what a killed one or the last try has left
            try:
                return self._once(self._choose_ports(missing, running, wish), running)
            except Ended:
                self._teller.note("Another program took a port of a node; others are tried.")
                wish = {}
            except NodeError as error:
                # Members that start in the same moment may trip over each other: one asks
                # another for its feature flags before that knows them (RabbitMQ 3.10.8).
                if stumbled or self._last is None or time.monotonic() > self._deadline:
                    raise
                stumbled = True
                self._teller.note(f"{str(error).partition('. ')[0]}; it is tried once more.")
        raise NodeError(f"In {PORT_TRIES} tries another program took a port of a node. Try again.")

    def _once(self, ports: dict[int, Ports], running: dict[int, Node]) -> Node:
        members = self._known()
        epmd = self._port_mapper(ports)
        # Without data a node joins the first, so that has to be there. With data all wait for
        # each other, so they have to start together.
        batches = [[*ports]] if self._last else [[1], [n for n in ports if n != 1]]
        for batch in batches:
            for number in batch:
                members[number] = self._launch(number, ports[number], epmd)
            for number in batch:
                version = self._wait(number, members[number])
                members[number] = msgspec.structs.replace(members[number], rabbitmq=version)
        for number in running:
            self._wait(number, members[number])
        return self._cluster([members[number] for number in sorted(members)])

    def _cluster(self, members: Sequence[Node]) -> Node:
        url, management_url = urls([member.ports for member in members], self._account)
        return msgspec.structs.replace(
            members[0],
            url=url,
            management_url=management_url,
            data_dir=str(self._layout.root),
            started_at=max(member.started_at for member in members),
            members=tuple(members),
        )

    def _choose_ports(
        self, missing: Sequence[int], running: dict[int, Node], wish: dict[int, Ports]
    ) -> dict[int, Ports]:
        """Ports of those to start; the port mapper's is the same for all."""
        used = {port for node in running.values() for port in msgspec.structs.astuple(node.ports)}
        chosen: dict[int, Ports] = {}
        epmd = next((node.ports.epmd for node in running.values()), None)
        for number in missing:
            ports = choose_ports(wish.get(number), used)
            epmd = epmd or ports.epmd
            chosen[number] = msgspec.structs.replace(ports, epmd=epmd)
            used |= {*msgspec.structs.astuple(chosen[number])}
        return chosen

    def _port_mapper(self, ports: dict[int, Ports]) -> int:
        """The process id of the port mapper, which is started if it does not run."""
        layout, last = self._layout, self._last
        if last is not None and is_ours(last.epmd_pid, layout.home):
            return last.epmd_pid
        number, own = next(iter(ports.items()))
        member = layout.members[number]
        return launch_port_mapper(self._server, member, own.epmd, layout.home, layout.epmd_log)

    def _launch(self, number: int, ports: Ports, epmd: int) -> Node:
        member = self._layout.members[number]
        member.write_files(ports, self._account)
        member.start_log.unlink(missing_ok=True)
        self._logs[number] = StartLogs(member.start_log, member.server_log, self._layout.epmd_log)
        data_lock = hold_data(member.in_use)
        try:
            return launch_machine(self._server, member, ports, self._account, epmd, data_lock)
        finally:
            os.close(data_lock)

    def _wait(self, number: int, node: Node) -> str:
        """Wait until a member answers; returns RabbitMQ's version."""
        try:
            version = wait_for_answer(node, self._deadline)
        except Ended as ended:
            ports = node.ports
            own = (ports.amqp, ports.management, ports.distribution)
            logs = self._logs.get(number)
            if not all(map(is_free, own)) or (logs and logs.port_was_taken()):
                raise
            raise self._failure(number, "ended while it was starting") from ended
        if version is None:
            raise self._failure(number, "did not answer in time")
        return version

    def _wait_until_joined(self, cluster: Node) -> None:
        wanted = {member.node_name for member in cluster.members}
        inventory = Inventory(cluster.members[0].broker())
        found: set[str] = set()
        try:
            while True:
                try:
                    found = {node.name for node in inventory.nodes() if node.running}
                except BrokerError as error:
                    if time.monotonic() > self._deadline:
                        raise NodeError(f"The cluster does not answer. {error}") from error
                if found == wanted:
                    return
                if time.monotonic() > self._deadline:
                    lost = ", ".join(sorted(wanted - found))
                    raise NodeError(
                        f"These nodes have not joined the cluster in {self._layout.root}: {lost}. "
                        "Run `jupyter aiqueue down` and `jupyter aiqueue up`."
                    )
                time.sleep(_INTERVAL)
        finally:
            inventory.close()

    def _failure(self, number: int, what: str) -> NodeError:
        member = self._layout.members[number]
        text = (
            f"{member.node_name} {what}. Its logs are in {member.logs}, its data in {member.data}. "
            "`jupyter aiqueue down` ends what runs of the cluster."
        )
        logs = self._logs.get(number)
        words = logs.last_words((self._account.password, member.cookie())) if logs else ""
        return NodeError(text + (f"\nIts last words:\n{words}" if words else ""))
