"""Which notebook this kernel belongs to.

A kernel is not told, and what it was told when it started is stale after a rename. The Jupyter
server that started it knows: its sessions name each kernel's notebook. That server is found by
the file that every server keeps in Jupyter's runtime folder.
"""

from __future__ import annotations

import json
import os
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyter_core.paths import jupyter_runtime_dir

from ..core.environment import NOTEBOOK_VARIABLE

#: Seconds that a found path is used without asking again, while its file is still there.
_KEEP = 15.0

#: Seconds for all servers together.
_PATIENCE = 1.0

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class NotebookFinder:
    """Finds the notebook of one kernel, and notices when it is renamed.

    Args:
        shell: the kernel's IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._asked = float("-inf")
        self._found: Path | None = None

    def find(self, configured: str = "") -> Path | None:
        """The notebook's absolute path, or None when it is not known.

        The first of these that says something: ``configured``, the environment variable
        AIQUEUE_NOTEBOOK, the Jupyter server, what the front end left in the kernel, and what
        the kernel was told at its start. Takes a few milliseconds, at most a second.
        """
        told = configured or os.environ.get(NOTEBOOK_VARIABLE)
        if told:
            return Path(told).expanduser().absolute()
        recent = time.monotonic() - self._asked < _KEEP
        if not recent or (self._found is not None and not self._found.exists()):
            self._found = self._from_server() or self._from_front_end() or _from_start()
            self._asked = time.monotonic()
        return self._found

    def quick(self, configured: str = "") -> Path | None:
        """Like `find`, but asks nobody."""
        told = configured or os.environ.get(NOTEBOOK_VARIABLE)
        if told:
            return Path(told).expanduser().absolute()
        return self._found or self._from_front_end() or _from_start()

    def _from_server(self) -> Path | None:
        kernel_id = _kernel_id()
        if kernel_id is None:
            return None
        deadline = time.monotonic() + _PATIENCE
        for server in _servers():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            for session in _sessions(server, left):
                path = _notebook_of(session, kernel_id)
                if path is not None:
                    absolute = Path(str(server.get("root_dir") or "/")) / path
                    # A contents manager may keep notebooks elsewhere than in files.
                    return absolute if absolute.parent.is_dir() else None
        return None

    def _from_front_end(self) -> Path | None:
        # Visual Studio Code puts the path there before it runs the first cell.
        return _existing(self._shell.user_ns.get("__vsc_ipynb_file__"))


def _from_start() -> Path | None:
    return _existing(os.environ.get("JPY_SESSION_NAME"))


def _existing(name: Any) -> Path | None:
    if isinstance(name, str) and name.endswith(".ipynb"):
        path = Path(name)
        if path.is_absolute() and path.exists():
            return path
    return None


def _kernel_id() -> str | None:
    """From the name of the connection file, ``kernel-<id>.json``."""
    if "ipykernel" not in sys.modules:
        return None
    from ipykernel.connect import get_connection_file

    with suppress(RuntimeError, OSError):  # not inside a kernel, or the file is gone
        name = Path(get_connection_file()).stem
        if name.startswith("kernel-"):
            return name.removeprefix("kernel-")
    return None


def _servers() -> Iterator[dict[str, Any]]:
    """This user's running servers; first the one that started this kernel."""
    parent = os.environ.get("JPY_PARENT_PID") or str(os.getppid())
    folder = Path(jupyter_runtime_dir())
    files = sorted(folder.glob("jpserver-*.json"), key=_changed, reverse=True)
    for file in sorted(files, key=lambda file: file.stem != f"jpserver-{parent}"):
        try:
            server = json.loads(file.read_text())
        except (OSError, ValueError):
            continue
        if isinstance(server, dict):
            yield server


def _changed(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _sessions(server: dict[str, Any], timeout: float) -> list[Any]:
    """The sessions of a server, or none when it does not answer."""
    try:
        # The address is this user's own server's, but its token goes over loopback only.
        url = urlsplit(str(server.get("url")))
        if url.hostname not in _LOOPBACK or url.port is None:
            return []
        connection: HTTPConnection
        if url.scheme == "https":
            # On loopback the certificate is often the user's own and names another host.
            context = ssl._create_unverified_context()  # noqa: S323
            connection = HTTPSConnection(url.hostname, url.port, timeout=timeout, context=context)
        else:
            connection = HTTPConnection(url.hostname, url.port, timeout=timeout)
        try:
            headers = {"Authorization": f"token {server.get('token') or ''}"}
            connection.request("GET", f"{url.path.rstrip('/')}/api/sessions", headers=headers)
            response = connection.getresponse()
            sessions = json.loads(response.read()) if response.status == 200 else []
        finally:
            connection.close()
    except (OSError, ValueError, HTTPException):
        return []
    return sessions if isinstance(sessions, list) else []


def _notebook_of(session: Any, kernel_id: str) -> str | None:
    try:
        if session["kernel"]["id"] != kernel_id:
            return None
        path = str(session["path"])
    except (TypeError, KeyError):
        return None
    # Real-time collaboration puts a drive before the path: `RTC:folder/x.ipynb`.
    path = path.split(":", 1)[-1].lstrip("/")
    return path if path.endswith(".ipynb") else None
