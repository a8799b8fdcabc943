"""Where files of ours live on this machine."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir


def data_dir() -> Path:
    """Things that last: the private node's data, the inbox name, the list of ledgers."""
    return Path(jupyter_data_dir()) / "aiqueue"


def runtime_dir() -> Path:
    """Things of this boot: connection files."""
    return Path(jupyter_runtime_dir())


def connection_file() -> Path:
    """The private node's connection file (mode 0600): address, account and process id."""
    return runtime_dir() / "aiqueue-node.json"


def run_root() -> Path:
    """Where workers keep one folder per job: log, config and report."""
    return data_dir() / "runs"


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` at once, readable by the owner only."""
    _temporary(path, text).replace(path)


def keep_private(path: Path, text: str) -> str:
    """Make ``path`` of ``text`` unless it is there; returns what is in it.

    Of several processes that do this at once, all get the text of the first.
    """
    with suppress(FileNotFoundError):
        return path.read_text()
    temporary = _temporary(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    except OSError:  # a file system without links
        temporary.replace(path)
    temporary.unlink(missing_ok=True)
    return path.read_text()


def _temporary(path: Path, text: str) -> Path:
    """``text`` in a new file beside ``path``, on disk."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return temporary
