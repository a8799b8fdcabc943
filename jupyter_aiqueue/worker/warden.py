"""The warden: a small process that outlives its worker and ends what a killed one leaves behind.

It reads a pipe whose other end only the worker holds. However the worker ends, the kernel
closes that end, and the warden ends every process that carries the worker's mark
(`processes`). What a terminal sends to everybody does not reach it: it has a session of its
own. It holds none of the worker's files open, so whoever waits for the end of the worker's
output does not wait for the warden.
"""

from __future__ import annotations

import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from contextlib import suppress

from . import processes

_log = logging.getLogger(__name__)

#: Seconds between two attempts to have a warden.
_AGAIN = 5.0

#: Seconds that a worker waits at its end for the warden's.
_LEAVE = 3.0


class Warden:
    """Starts the warden of this worker, and another one when it has died.

    Never raises: a worker without a warden works, but what it runs may outlive it.
    """

    def __init__(self) -> None:
        #: Tells this worker's processes from all others.
        self.token = secrets.token_hex(8)
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: int | None = None
        self._leaders: set[int] = set()
        self._lock = threading.Lock()
        self._next_start = 0.0
        self._closed = False

    @property
    def mark(self) -> str:
        """The environment entry that every process of this worker carries."""
        return f"{processes.WORKER}={self.token}"

    def start(self) -> None:
        """Start the warden process; does not wait until it is ready, which need not be."""
        with self._lock:
            self._start()

    def check(self) -> None:
        """To be called every now and then: starts another warden when there is none."""
        with self._lock:
            alive = self._process is not None and self._process.poll() is None
            if alive or self._closed or time.monotonic() < self._next_start:
                return
            if self._process is not None:
                code = self._process.returncode
                _log.warning("the warden process ended (%s); starting another one", code)
            self._start()

    def watch(self, leader: int) -> None:
        """Have the session that the process ``leader`` leads ended as well, marked or not."""
        with self._lock:
            self._leaders.add(leader)
            self._tell(f"+{leader}\n")

    def forget(self, leader: int) -> None:
        """The session is no more, and its number may soon be somebody else's."""
        with self._lock:
            self._leaders.discard(leader)
            self._tell(f"-{leader}\n")

    def close(self) -> None:
        """The worker ends: whatever is still marked is ended, and then the warden."""
        with self._lock:
            self._closed = True
            self._tell(".\n")
            self._close_pipe()
            process, self._process = self._process, None
        if process is not None:
            with suppress(subprocess.TimeoutExpired):  # it has somebody to end that does not
                process.wait(_LEAVE)

    def _start(self) -> None:
        self._next_start = time.monotonic() + _AGAIN
        self._close_pipe()
        # Neither end is inherited by what this process starts.
        theirs, ours = os.pipe()
        try:
            self._process = subprocess.Popen(
                _command(self.mark),
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                # Not the mark itself, and nothing that tells of the broker.
                env={k: v for k, v in os.environ.items() if not k.startswith("AIQUEUE_")},
                start_new_session=True,
            )
        except OSError as error:
            os.close(ours)
            _log.warning("the warden process cannot be started: %s", error.strerror)
            return
        finally:
            os.close(theirs)
        # A warden that does not read shall not hold anybody up.
        os.set_blocking(ours, False)
        self._pipe = ours
        self._tell("".join(f"+{leader}\n" for leader in self._leaders))

    def _tell(self, text: str) -> None:
        if self._pipe is not None:
            with suppress(OSError):  # it has died: `check` starts another one
                os.write(self._pipe, text.encode())

    def _close_pipe(self) -> None:
        if self._pipe is not None:
            os.close(self._pipe)
            self._pipe = None


def _command(mark: str) -> list[str]:
    if processes.ON_LINUX:
        # Alone, without site-packages: it starts at once and takes little memory.
        return [sys.executable, "-I", "-S", processes.__file__, mark]
    return [sys.executable, "-m", processes.__name__, mark]
