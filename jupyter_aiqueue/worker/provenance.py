"""Where and with what a run happened: host, interpreter, environment, commit."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from .tasks import Task

#: Seconds that an answer of git is good for, and that git may take.
_FRESH = 10.0
_PATIENCE = 3.0


class Provenance:
    """Answers that take a moment are kept for a while, for all slots together."""

    def __init__(self) -> None:
        self.host = platform.node()
        self._lock = threading.Lock()
        self._commits: dict[str, tuple[float, str | None]] = {}
        self._versions = {sys.executable: platform.python_version()}
        self._asker = ThreadPoolExecutor(1, thread_name_prefix="aiqueue git")

    def ask_commit(self, directory: str) -> Future[str | None]:
        """`commit` in the background."""
        return self._asker.submit(self.commit, directory)

    def commit(self, directory: str) -> str | None:
        """The commit of a working directory, ``-dirty`` when files differ; None outside git."""
        with self._lock:
            asked, commit = self._commits.get(directory, (float("-inf"), None))
            if time.monotonic() - asked > _FRESH:
                commit = _git_commit(directory)
                self._commits[directory] = time.monotonic(), commit
            return commit

    def python(self, task: Task) -> str | None:
        """Version of the interpreter that ``task`` runs with; None when it runs none."""
        if task.command[0] != "python":
            return None
        with self._lock:
            if task.python not in self._versions:
                said = _ask([task.python, "--version"], directory=None)
                self._versions[task.python] = (said or "").removeprefix("Python ")
            return self._versions[task.python] or None


def _git_commit(directory: str) -> str | None:
    commit = _ask(["git", "rev-parse", "HEAD"], directory)
    if not commit:
        return None
    changed = _ask(["git", "status", "--porcelain", "--untracked-files=no"], directory)
    return f"{commit}-dirty" if changed else commit


def _ask(command: list[str], directory: str | None) -> str | None:
    try:
        done = subprocess.run(
            command,
            cwd=directory,
            # Not to be in the way of somebody who works in that directory.
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
