"""Follows the renames that people do in Jupyter, so that a ledger stays beside its notebook."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from logging import Logger

    from jupyter_events import EventLogger

SCHEMA = "https://events.jupyter.org/jupyter_server/contents_service/v1"


class Renames:
    """Listens to what the contents service did, after it did it: it cannot be disturbed here.

    A renamed folder is one event. A copied notebook starts a ledger of its own with its first
    job, and a deleted one leaves its ledger: nothing has to be done for either.

    Args:
        threads: one thread, so that renames are followed in their order.
        moved: called there with the old and the new path, as the contents service has them.
    """

    def __init__(
        self,
        logger: EventLogger,
        log: Logger,
        threads: Executor,
        moved: Callable[[str, str], None],
    ) -> None:
        self._logger, self._log = logger, log
        self._threads, self._moved = threads, moved
        logger.add_listener(schema_id=SCHEMA, listener=self._listen)

    def close(self) -> None:
        """Listen no more."""
        self._logger.remove_listener(schema_id=SCHEMA, listener=self._listen)

    async def _listen(
        self,
        logger: EventLogger,  # noqa: ARG002
        schema_id: str,  # noqa: ARG002
        data: dict[str, Any],
    ) -> None:
        if data["action"] != "rename" or not data.get("source_path"):
            return
        old, new = data["source_path"], data["path"]
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._threads, self._moved, old, new)
        except Exception as error:
            self._log.warning("The ledger of %s did not follow to %s: %s", old, new, error)
