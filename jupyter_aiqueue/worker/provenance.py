"""Where and with what a run happened: host, interpreter, environment, commit."""

from __future__ import annotations

import platform
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

from ..core.revision import answer_of, git_commit
from .tasks import Task

#: Seconds that an answer of git is good for.
_FRESH = 10.0


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
                commit = git_commit(directory)
                self._commits[directory] = time.monotonic(), commit
            return commit

    def python(self, task: Task) -> str | None:
        """Version of the interpreter that ``task`` runs with; None when it runs none."""
        if task.command[0] != "python":
            return None
        with self._lock:
            if task.python not in self._versions:
                said = answer_of([task.python, "--version"], directory=None)
                self._versions[task.python] = (said or "").removeprefix("Python ")
            return self._versions[task.python] or None
