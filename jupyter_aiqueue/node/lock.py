"""File locks: one `up` or `down` at a time, one running node per data directory.

The second kind is inherited by the node's process and ends with it, however that dies. On a
shared file system it also keeps a second machine from starting a node on the same data.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..core.errors import NodeError

#: What file systems answer that have no locks: then the checks of processes have to do.
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}
_INTERVAL = 0.1
#: Seconds until the lock of a process that just ended must be free.
_RELEASE_TIMEOUT = 3.0


def try_lock(file: Path) -> int | None:
    """Lock ``file`` and return its descriptor; None if somebody else has it.

    Closing the descriptor ends the lock, unless a child process has inherited it.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            os.close(descriptor)
            raise
    return descriptor


@contextmanager
def locked(file: Path, deadline: float, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the lock on ``file``, waiting for it until ``deadline`` (monotonic seconds).

    ``on_wait`` is called once if there is somebody to wait for.
    """
    descriptor = try_lock(file)
    if descriptor is None:
        on_wait()
    while descriptor is None:
        if time.monotonic() > deadline:
            raise NodeError(
                f"Another process is still starting or stopping the private node (it holds "
                f"{file}). Try again in a moment."
            )
        time.sleep(_INTERVAL)
        descriptor = try_lock(file)
    try:
        yield
    finally:
        os.close(descriptor)


def hold_data(file: Path) -> int:
    """Lock a node's data for its lifetime; returns the descriptor that its process inherits."""
    deadline = time.monotonic() + _RELEASE_TIMEOUT
    while (descriptor := try_lock(file)) is None:
        if time.monotonic() > deadline:
            owner = ""
            with suppress(OSError):
                owner = file.read_text().strip()
            raise NodeError(
                f"The private node runs on another machine ({owner or 'unknown'}) that shares "
                f"{file.parent}. Run `jupyter aiqueue down` there, or set JUPYTER_DATA_DIR to a "
                "folder of this machine."
            )
        time.sleep(_INTERVAL)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, socket.gethostname().encode() + b"\n")
    return descriptor
