"""``jupyter aiqueue …``: the private node, workers, and everything the magics do, for a shell.

Every command takes ``--json``. Exit codes: 0 done, 1 it could not be done (one sentence on
standard error says why), 2 wrong usage.
"""

from .entry import main

__all__ = ["main"]
