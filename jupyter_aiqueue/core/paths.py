"""Where files of ours live on this machine."""

from __future__ import annotations

import os
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
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
