"""JupyterLab on the examples, with a broker and a worker; Ctrl-C ends them all.

make lab
"""

from __future__ import annotations

import contextlib
import signal
import sys
from types import FrameType

import playground

#: Ctrl-C, a polite request, a closed terminal.
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """Serve until interrupted; return the exit status."""
    playground.enter()
    for number in ENDINGS:
        signal.signal(number, interrupt)
    with contextlib.suppress(KeyboardInterrupt), playground.node_and_worker():
        log = playground.OUTPUT / "worker.log"
        print(f"The worker's output goes to {log.relative_to(playground.ROOT)}. Ctrl-C ends all.")
        lab = [sys.executable, "-m", "jupyterlab", "quickstart.ipynb", *sys.argv[1:]]
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
    sys.exit(main())
