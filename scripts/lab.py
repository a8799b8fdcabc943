"""JupyterLab on the examples, with a broker and a worker; Ctrl-C ends them all.

``make lab LAB_ARGS="--no-browser --port 8890"`` passes options on to JupyterLab.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from types import FrameType

import playground

from jupyter_aiqueue.core.errors import AIQueueError

#: Ctrl-C, a polite request, a closed terminal.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until interrupted; return the exit status."""
    for number in ENDINGS:
        signal.signal(number, interrupt)
    with contextlib.suppress(KeyboardInterrupt), playground.node_and_worker():
        log = playground.WORKER_LOG.relative_to(playground.ROOT)
        print(f"The worker's output goes to {log}. Ctrl-C ends all.")
        lab = [sys.executable, "-m", "jupyterlab", "quickstart.ipynb", *sys.argv[1:]]
        if os.geteuid() == 0:
            lab.append("--allow-root")  # a container, most likely
        with playground.running(lab) as process:
            return process.wait()
    return 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """End, once: an impatient second Ctrl-C would leave broker and worker behind."""
    for ending in ENDINGS:
        signal.signal(ending, signal.SIG_IGN)
    print("\nStopping JupyterLab, worker and broker ...")
    raise KeyboardInterrupt


if __name__ == "__main__":
    playground.enter()
    try:
        sys.exit(main())
    except (AIQueueError, playground.PlaygroundError) as problem:
        sys.exit(f"make lab: {problem}")
