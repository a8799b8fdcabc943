"""What the surroundings of this process tell about its notebook and its recorder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

#: The notebook that this process works for, where no Jupyter server tells.
NOTEBOOK_VARIABLE = "AIQUEUE_NOTEBOOK"

#: ``server`` in kernels whose Jupyter server records; set by the server extension.
RECORDER_VARIABLE = "AIQUEUE_RECORDER"


def notebook_of_this_kernel() -> str | None:
    """As the environment tells; the magics find out more (a rename since the kernel's start)."""
    told = os.environ.get(NOTEBOOK_VARIABLE)
    if told:
        return told
    session = os.environ.get("JPY_SESSION_NAME", "")
    return session if session.endswith(".ipynb") and os.path.isfile(session) else None  # noqa: PTH113


def server_records() -> bool:
    """Whether the Jupyter server that started this kernel records its jobs."""
    return os.environ.get(RECORDER_VARIABLE) == "server"


def environment_name(python: str = sys.executable) -> str:
    """Name of the conda or virtual environment of an interpreter, or of its folder."""
    prefix = Path(sys.prefix) if python == sys.executable else Path(python).parent.parent
    if os.environ.get("CONDA_PREFIX") == str(prefix):
        return os.environ.get("CONDA_DEFAULT_ENV") or prefix.name
    # A ".venv" in every project: the project tells more.
    return prefix.parent.name if prefix.name == ".venv" else prefix.name
