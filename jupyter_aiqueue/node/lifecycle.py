"""Starting and stopping the private node, or a cluster of them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from ..core import paths
from ..core.errors import NodeError
from .answer import provision_node, version_if_it_answers
from .cluster import SIZE, ClusterLayout
from .gather import Gathering
from .layout import Layout
from .lock import hold_data, locked
from .process import belonging, is_ours, stop_all
from .record import Node, read_node, write_node
from .start import CLEANUP_TIMEOUT, Start, Teller

_INTERVAL = 0.05
#: Seconds that a running node gets to answer before it is replaced.
_ANSWER_TIMEOUT = 20.0
#: Seconds that a start may take, per node.
_START_TIMEOUT = 60.0

_Place = Layout | ClusterLayout


def up(
    *,
    nodes: int | None = None,
    timeout: float | None = None,
    progress: Callable[[str], None] | None = None,
    groups: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
) -> Node:
    """Start the private node, or return the one that runs.

    It is provisioned, and its connection file is written for clients to find.

    Args:
        nodes: 1, or 3 for a cluster, whose members that had ended are started again; each of the
            two has data of its own. None is what ran last, at first a single node.
        timeout: seconds until it must answer (60 per node); then everything that was started is
            ended.
        progress: called with sentences for people.
        groups: the worker groups; None keeps those that there are, or makes the usual ones.
        data_dir: holds the folder ``node`` or ``cluster`` instead of Jupyter's data directory.

    Raises:
        RabbitMQNotInstalled: with the command that installs it.
        NodeError: it does not come up; the text has the last words of its log.
        BrokerError: it came up but could not be provisioned; it was stopped again.
    """
    if nodes not in (None, 1, SIZE):
        raise NodeError(f"A private broker has 1 node or {SIZE}, not {nodes}.")
    teller = Teller(progress)
    place = _wanted_place(None if data_dir is None else Path(data_dir), nodes)
    size = SIZE if isinstance(place, ClusterLayout) else 1
    deadline = time.monotonic() + (_START_TIMEOUT * size if timeout is None else timeout)
    with _explained(place):
        place.make_folders()
        with _locked(place, deadline, teller):
            if isinstance(place, ClusterLayout):
                node = Gathering(place, deadline, teller, groups).run()
                _publish(node)
            else:
                node = _up_single(place, deadline, teller, groups)
    teller.say(f"RabbitMQ {node.rabbitmq} runs at {node.location}.")
    return msgspec.structs.replace(node, notes=tuple(teller.notes))


def _up_single(
    layout: Layout, deadline: float, teller: Teller, groups: Sequence[str] | None
) -> Node:
    node = _running(layout, deadline, teller)
    if node is not None:
        provision_node(node.broker(), groups, deadline, again=True)
        _publish(node)
        return node
    node = Start(layout, deadline, teller, groups).run()
    try:
        _publish(node)
    except OSError:
        stop_all(CLEANUP_TIMEOUT, layout.home)
        raise
    return node


def start_member(number: int, *, timeout: float = _START_TIMEOUT) -> Node:
    """Start one node of the running cluster again, after it has ended; returns the cluster.

    Args:
        number: which, counted from 1.
        timeout: seconds until it must answer.

    Raises:
        NodeError: no cluster runs, it has no such node, or the node does not come up.
    """
    cluster = status()
    if cluster is None or not cluster.members:
        raise NodeError("No private cluster runs. Start one with `jupyter aiqueue up --nodes 3`.")
    place, teller = ClusterLayout(Path(cluster.data_dir)), Teller(None)
    deadline = time.monotonic() + timeout
    with _explained(place), _locked(place, deadline, teller):
        cluster = Gathering(place, deadline, teller).run_member(number)
        _publish(cluster)
    return cluster


def down(timeout: float = 30.0, *, progress: Callable[[str], None] | None = None) -> bool:
    """Stop the private node and everything that belongs to it; its data stay.

    Args:
        timeout: seconds that RabbitMQ gets to close its files before it is killed.
        progress: called with sentences for people.

    Returns:
        Whether there was anything to stop.

    Raises:
        NodeError: another `up` or `down` does not end, or it runs on another machine.
    """
    teller = Teller(progress)
    stopped = False
    for place in _known_places():
        if not place.root.is_dir():
            continue
        with _explained(place), _locked(place, time.monotonic() + timeout, teller):
            stopped = stop_all(timeout, *place.homes) or stopped
            for lock in place.data_locks:
                os.close(hold_data(lock))
    with _explained(None):
        paths.connection_file().unlink(missing_ok=True)
    teller.say("The private node is stopped." if stopped else "No private node was running.")
    return stopped


def status() -> Node | None:
    """The private node that runs on this machine; None when there is none.

    Looks at processes only: a node that runs may still be too busy to answer.
    """
    files = [place.record for place in _places(paths.data_dir())]
    for file in (paths.connection_file(), *files):
        node = read_node(file)
        if node is not None and is_running(node):
            return node
    return None


def is_running(node: Node) -> bool:
    """Whether the processes of a node, or of any node of a cluster, live."""
    if node.members:
        return any(map(is_running, node.members))
    return is_ours(node.pid, Layout(Path(node.data_dir)).home)


# -- which node --------------------------------------------------------------------------


def _places(base: Path) -> tuple[Layout, ClusterLayout]:
    """Where the single node is, and where the cluster."""
    return Layout(base / "node"), ClusterLayout(base / "cluster")


def _place_of(node: Node) -> _Place:
    root = Path(node.data_dir)
    return ClusterLayout(root) if node.members else Layout(root)


def _known_places() -> list[_Place]:
    """Where the published node has its data, and where they are by default."""
    places: list[_Place] = [*_places(paths.data_dir())]
    published = read_node(paths.connection_file())
    if published is not None and Path(published.data_dir) not in [one.root for one in places]:
        places.insert(0, _place_of(published))
    return places


def _wanted_place(data_dir: Path | None, nodes: int | None) -> _Place:
    """What to start: there is one node, or cluster, per connection file."""
    single, cluster = _places(data_dir or paths.data_dir())
    wanted = _last_used(single, cluster) if nodes is None else cluster if nodes > 1 else single
    running = status()
    if running is None or Path(running.data_dir) == wanted.root:
        return wanted
    if data_dir is None and nodes in (None, len(running.members) or 1):
        return _place_of(running)
    kind = f"cluster of {len(running.members)} nodes" if running.members else "private node"
    raise NodeError(
        f"A {kind} runs with its data in {running.data_dir}. Stop it with `jupyter aiqueue down` "
        f"before one is started in {wanted.root}. Its data stay: `jupyter aiqueue up --nodes "
        f"{len(running.members) or 1}` brings it back with the jobs that wait in it."
    )


def _last_used(single: Layout, cluster: ClusterLayout) -> _Place:
    """The one that was started last; the single node if none ever was."""
    of_single, of_cluster = read_node(single.record), read_node(cluster.record)
    if of_cluster is None:
        return single
    return cluster if of_single is None or of_cluster.started_at > of_single.started_at else single


@contextmanager
def _locked(place: _Place, deadline: float, teller: Teller) -> Iterator[None]:
    with locked(
        place.lock, deadline, lambda: teller.say("Waiting for another `up` or `down` to end.")
    ):
        yield


@contextmanager
def _explained(place: _Place | None) -> Iterator[None]:
    """Turn errors of the operating system into ones for people."""
    try:
        yield
    except OSError as error:
        where = error.filename or (place.root if place else paths.connection_file())
        raise NodeError(
            f"{where}: {error.strerror or error}. The private node keeps its data there; "
            "check the permissions and the free space, or set JUPYTER_DATA_DIR and "
            "JUPYTER_RUNTIME_DIR to folders of your own."
        ) from error


def _publish(node: Node) -> None:
    if read_node(paths.connection_file()) != node:
        write_node(paths.connection_file(), node)


# -- what is there ----------------------------------------------------------------------------


def _running(layout: Layout, deadline: float, teller: Teller) -> Node | None:
    """The node that runs and answers; whatever else is left of one is cleared away."""
    node = read_node(layout.record)
    if node is not None and is_running(node):
        until = min(deadline, time.monotonic() + _ANSWER_TIMEOUT)
        while is_ours(node.pid, layout.home):
            if version_if_it_answers(node.broker()):
                return node
            if time.monotonic() > until:
                break
            time.sleep(_INTERVAL)
        teller.note(f"The node that ran (process {node.pid}) did not answer; it is replaced.")
    elif node is not None and paths.connection_file().exists():
        teller.note(f"The last node (process {node.pid}) ended without `down`.")
    elif belonging(layout.home):
        teller.note("An earlier start was interrupted; what was left of it is ended.")
    stop_all(CLEANUP_TIMEOUT, layout.home)
    return None
