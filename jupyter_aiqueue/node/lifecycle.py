"""Starting and stopping the private node."""

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
from .layout import Layout
from .lock import hold_data, locked
from .process import belonging, is_ours, stop_all
from .record import Node, read_node, write_node
from .start import CLEANUP_TIMEOUT, Start, Teller

_INTERVAL = 0.05
#: Seconds that a running node gets to answer before it is replaced.
_ANSWER_TIMEOUT = 20.0


def up(
    *,
    timeout: float = 60.0,
    progress: Callable[[str], None] | None = None,
    groups: Sequence[str] | None = None,
    data_dir: str | Path | None = None,
) -> Node:
    """Start the private node, or return the one that runs.

    It is provisioned, and its connection file is written for clients to find.

    Args:
        timeout: seconds until it must answer; then everything that was started is ended.
        progress: called with sentences for people.
        groups: the worker groups; None keeps those that there are, or makes the usual ones.
        data_dir: holds the node's folder ``node`` instead of Jupyter's data directory.

    Raises:
        RabbitMQNotInstalled: with the command that installs it.
        NodeError: it does not come up; the text has the last words of its log.
        BrokerError: it came up but could not be provisioned; it was stopped again.
    """
    deadline = time.monotonic() + timeout
    teller = Teller(progress)
    layout = _wanted_layout(None if data_dir is None else Path(data_dir))
    with _explained(layout):
        layout.make_folders()
        with locked(
            layout.lock, deadline, lambda: teller.say("Waiting for another `up` or `down` to end.")
        ):
            node = _running(layout, deadline, teller)
            if node is not None:
                provision_node(node.broker(), groups, deadline, again=True)
                _publish(node)
            else:
                node = Start(layout, deadline, teller, groups).run()
                try:
                    _publish(node)
                except OSError:
                    stop_all(CLEANUP_TIMEOUT, layout.home)
                    raise
    teller.say(f"RabbitMQ {node.rabbitmq} runs at {node.location}.")
    return msgspec.structs.replace(node, notes=tuple(teller.notes))


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
    for layout in _known_layouts():
        if not layout.root.is_dir():
            continue
        with (
            _explained(layout),
            locked(
                layout.lock,
                time.monotonic() + timeout,
                lambda: teller.say("Waiting for another `up` or `down` to end."),
            ),
        ):
            stopped = stop_all(timeout, layout.home) or stopped
            os.close(hold_data(layout.in_use))
    with _explained(None):
        paths.connection_file().unlink(missing_ok=True)
    teller.say("The private node is stopped." if stopped else "No private node was running.")
    return stopped


def status() -> Node | None:
    """The private node that runs on this machine; None when there is none.

    Looks at processes only: a node that runs may still be too busy to answer.
    """
    for file in (paths.connection_file(), _default_layout().record):
        node = read_node(file)
        if node is not None and _runs(node):
            return node
    return None


# -- which node --------------------------------------------------------------------------


def _default_layout() -> Layout:
    return Layout(paths.data_dir() / "node")


def _known_layouts() -> list[Layout]:
    """Where the published node has its data, and where it has them by default."""
    layouts = [_default_layout()]
    published = read_node(paths.connection_file())
    if published is not None and Path(published.data_dir) != layouts[0].root:
        layouts.insert(0, Layout(Path(published.data_dir)))
    return layouts


def _wanted_layout(data_dir: Path | None) -> Layout:
    """The layout to start: there is one node per connection file."""
    wanted = _default_layout() if data_dir is None else Layout(data_dir / "node")
    published = read_node(paths.connection_file())
    if published is None or Path(published.data_dir) == wanted.root or not _runs(published):
        return wanted
    if data_dir is None:
        return Layout(Path(published.data_dir))
    raise NodeError(
        f"A private node runs with its data in {published.data_dir}. Stop it with "
        f"`jupyter aiqueue down` before one is started in {wanted.root}."
    )


def _runs(node: Node) -> bool:
    return is_ours(node.pid, Layout(Path(node.data_dir)).home)


@contextmanager
def _explained(layout: Layout | None) -> Iterator[None]:
    """Turn errors of the operating system into ones for people."""
    try:
        yield
    except OSError as error:
        where = error.filename or (layout.root if layout else paths.connection_file())
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
    if node is not None and _runs(node):
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
