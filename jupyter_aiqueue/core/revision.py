"""The revision of a folder: what git says of it."""

from __future__ import annotations

import os
import subprocess

#: Seconds that git may take.
_PATIENCE = 3.0


def git_commit(directory: str) -> str | None:
    """The commit of a working directory, ``-dirty`` when files differ; None outside git."""
    commit = answer_of(["git", "rev-parse", "HEAD"], directory)
    if not commit:
        return None
    changed = answer_of(["git", "status", "--porcelain", "--untracked-files=no"], directory)
    return f"{commit}-dirty" if changed else commit


def answer_of(command: list[str], directory: str | None) -> str | None:
    """What a short command prints; None when it cannot be run, fails or takes too long."""
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
