"""A place to try the package out: Jupyter folders of its own, a private node, a worker.

All of it lives in ``demo-output/``, so that neither your own private node nor your Jupyter
settings are touched. ``make demo`` and ``make lab`` share it: JupyterLab shows what the demo did.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_aiqueue import node
from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.measure import measure

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
OUTPUT = ROOT / "demo-output"
WORKER_LOG = OUTPUT / "worker.log"

#: Seconds that a new worker gets to say that it is there.
_START_TIMEOUT = 30.0

#: Seconds that a stopping process gets, before and after the second request.
_STOP_TIMEOUT = 10.0


class PlaygroundError(Exception):
    """The playground cannot be used; the text says why."""


def enter() -> None:
    """Point this process and its children to the playground's folders."""
    for name in list(os.environ):
        if name.startswith(("AIQUEUE_", "JUPYTER_", "JPY_")) and name != "AIQUEUE_RABBITMQ_SERVER":
            del os.environ[name]
    for name, folder in {
        "JUPYTER_DATA_DIR": "jupyter/data",
        "JUPYTER_RUNTIME_DIR": "jupyter/runtime",
        "JUPYTER_CONFIG_DIR": "jupyter/config",
        "IPYTHONDIR": "ipython",
    }.items():
        path = OUTPUT / folder
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.environ[name] = str(path)


@contextmanager
def node_and_worker() -> Iterator[None]:
    """A private node and a worker with the examples' tasks, both gone afterwards.

    A node that is already up (``make lab`` in another terminal) stays up.

    Raises:
        AIQueueError: the node does not start.
        PlaygroundError: the worker does not, or this machine is set up for another broker.
    """
    was_up = node.status() is not None
    node.up(progress=print)
    try:
        if find_broker().origin != "private node":
            raise PlaygroundError(
                "A configuration file of this machine (`jupyter --paths`) names a broker; the "
                "demo would submit there. Set JUPYTER_NO_CONFIG=1 to leave it aside."
            )
        with running(worker_command(), log=WORKER_LOG) as worker:
            wait_for(worker)
            yield
    finally:
        if not was_up:
            node.down(progress=print)


def worker_command() -> list[str]:
    """The command that an operator would type."""
    program = Path(sys.executable).with_name("jupyter-aiqueue")
    return [str(program), "worker", "--tasks", str(NOTEBOOKS / "aiqueue.toml")]


def wait_for(worker: subprocess.Popen[bytes]) -> None:
    """Wait until the broker has heard of a worker."""
    deadline = time.monotonic() + _START_TIMEOUT
    while not any(group.workers.value for group in measure(find_broker()).groups):
        if worker.poll() is not None or time.monotonic() > deadline:
            raise PlaygroundError("The worker did not start. It said:\n" + worker_said())
        time.sleep(0.2)


def worker_said(lines: int = 20) -> str:
    """The last lines of the worker's own output."""
    text = WORKER_LOG.read_text(errors="replace") if WORKER_LOG.exists() else ""
    return "\n".join(text.splitlines()[-lines:])


@contextmanager
def running(command: list[str], log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` beside this program, and end it gently.

    It gets a session of its own: a Ctrl-C in the terminal reaches this program alone, which
    then stops the parts in their order.
    """
    output = log.open("ab") if log else None
    try:
        process = subprocess.Popen(
            command,
            cwd=NOTEBOOKS,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            # A worker takes the second request as "now", a Jupyter server has ended by then.
            for stop in (process.terminate, process.terminate, process.kill):
                stop()
                try:
                    process.wait(_STOP_TIMEOUT)
                    break
                except subprocess.TimeoutExpired:
                    continue
    finally:
        if output:
            output.close()


if __name__ == "__main__" and sys.argv[1:] == ["down"]:
    enter()
    node.down(progress=print)
