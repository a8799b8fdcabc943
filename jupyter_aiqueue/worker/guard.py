"""Keeping a trouble with one job from ending what serves all of them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..core.errors import BrokerError, BrokerUnreachable
from .console import Console

_log = logging.getLogger(__name__)


def guarded(console: Console, work: Callable[[], object]) -> None:
    """Do ``work``; what goes wrong is said, and only a lost connection, everybody's, is raised."""
    try:
        work()
    except BrokerUnreachable:
        raise
    except BrokerError as error:
        console.trouble(f"{error} Trying again.")
    except Exception as error:
        _log.exception("a fault of the worker's own")
        console.trouble(f"the worker met a fault of its own and goes on: {error!r}")
