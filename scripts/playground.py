"""A place to try the package out: Jupyter folders of its own, a private node, a worker.

All of it lives in ``demo-output/``, so that neither your own private node nor your Jupyter
settings are touched. ``make demo`` and ``make lab`` share it: JupyterLab shows what the demo did.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
OUTPUT = ROOT / "demo-output"

#: Seconds that a stopping process gets before it is killed.
PATIENCE = 10.0

_COMMAND = Path(sys.executable).with_name("jupyter-aiqueue")


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
    """
    was_up = is_up()
    aiqueue("up")
    try:
        with running(
            [str(_COMMAND), "worker", "--tasks", str(NOTEBOOKS / "aiqueue.toml")],
            log=OUTPUT / "worker.log",
        ):
            yield
    finally:
        if not was_up:
            aiqueue("down")


def aiqueue(*arguments: str) -> None:
    """Run ``jupyter aiqueue ...``; a failure ends this program with its status."""
    done = subprocess.run([_COMMAND, *arguments], check=False)
    if done.returncode:
        sys.exit(done.returncode)


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
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.terminate()  # a worker takes a second SIGTERM as "now"
                try:
                    process.wait(PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
    finally:
        if output:
            output.close()


if __name__ == "__main__":
    enter()
    aiqueue(*sys.argv[1:])
