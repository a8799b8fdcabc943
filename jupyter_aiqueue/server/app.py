"""The server extension: what it is configured with, when its parts start and stop."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.services.contents.fileio import FileManagerMixin
from traitlets import Bool, Float, List, Unicode
from traitlets.config import Config

from ..core.config import INBOX_VARIABLE, find_inbox
from ..core.environment import RECORDER_VARIABLE
from ..core.errors import AIQueueError
from .announcer import Announcer
from .contents import Renames
from .jobs import Jobs
from .loads import Loads
from .root import Root
from .routes import handlers

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

#: Seconds that the parts get to stop.
_STOP_PATIENCE = 2.0


class AIQueueExtension(ExtensionApp):
    """Records the jobs of one user, measures the load while somebody looks, answers the browser.

    Nothing here needs the broker: what is away is looked for until it is there.
    """

    #: Of the configuration file, ``jupyter_aiqueue_config``, which is the package's own.
    name = "aiqueue"
    load_other_extensions = True

    inbox = Unicode(
        "",
        help="""Name of the inbox that events of this server's jobs go to. When empty, the one of
        the environment (AIQUEUE_INBOX) or the configuration (AIQueue.inbox), else one made and
        kept.""",
    ).tag(config=True)
    record = Bool(
        True,
        help="""Whether this server writes the ledgers. When off, kernels write their own, or
        `jupyter aiqueue recorder` does.""",
    ).tag(config=True)
    queues = List(
        Unicode(), help="Queues of plain producers to show beside the worker groups."
    ).tag(config=True)
    interval = Float(
        2.0, min=0.1, help="Seconds between two measurements of the load, while somebody looks."
    ).tag(config=True)
    pace = Float(
        0.5,
        min=0.1,
        help="""Seconds between two counts of the lines alone, while somebody looks: one small
        question per queue, so that a submit is seen at once.""",
    ).tag(config=True)
    minimum_interval = Float(
        0.5,
        min=0.1,
        help="""The shortest `interval` and `pace` that count, seconds: for the administrator of a
        broker that many servers look at.""",
    ).tag(config=True)
    minimum_refresh = Float(
        1.0,
        min=0.1,
        help="""The shortest time between two questions of one browser page about the load or about
        jobs, seconds, whatever its user has set: for the administrator of a server with many
        pages. What changes is pushed to them all the same.""",
    ).tag(config=True)

    def update_config(self, config: Config) -> None:
        """Take in ``config``, without the broker's account.

        What an extension is configured with is shared with the server, and logged by it with
        ``--debug``. The account is read where it is needed (`core.config.find_broker`).
        """
        super().update_config(Config({k: v for k, v in config.items() if k != "AIQueue"}))

    def initialize_settings(self) -> None:
        """Make the parts. Nothing here waits for the broker."""
        serverapp: Any = self.serverapp
        # Files are read by one thread, as they are locked by one; the first look at a broker
        # that is away takes seconds, and so may everything that is asked of it.
        self.reading = ThreadPoolExecutor(1, "aiqueue reading")
        self.watching = ThreadPoolExecutor(1, "aiqueue watching")
        self.asking = ThreadPoolExecutor(8, "aiqueue asking")
        # A forecast computes for some milliseconds: the loop shares the processor with one.
        self.forecasting = ThreadPoolExecutor(1, "aiqueue forecasting")
        self._environment: dict[str, str | None] = {}

        has_files = isinstance(serverapp.contents_manager, FileManagerMixin)
        root = Root(serverapp.contents_manager.root_dir if has_files else None)
        inbox, problem = None, None
        try:
            inbox = find_inbox(self.inbox or None)
        except AIQueueError as error:
            problem = f"Nothing is recorded: {error}"
            self.log.warning(problem)
        self._announcer = Announcer(serverapp.event_logger, self.log)
        self.jobs = Jobs(root, self._announcer, inbox, problem)
        self.loads = Loads(
            self._announcer,
            self.queues,
            interval=max(self.interval, self.minimum_interval),
            pace=max(self.pace, self.minimum_interval),
            minimum_refresh=self.minimum_refresh,
        )
        self._renames = Renames(serverapp.event_logger, self.log, self.reading, self.jobs.moved)
        if inbox is not None:
            self._tell_kernels(INBOX_VARIABLE, inbox)
            if self.record:
                self._tell_kernels(RECORDER_VARIABLE, "server")

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers.extend(handlers(self))

    async def _start_jupyter_server_extension(
        self,
        serverapp: ServerApp,  # noqa: ARG002
    ) -> None:
        self._announcer.open()
        if self.record:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.asking, self.jobs.record)

    async def stop_extension(self) -> None:
        """Stop everything that runs, and disconnect."""
        self._renames.close()
        self._announcer.close()
        await asyncio.gather(
            asyncio.to_thread(self.jobs.stop, _STOP_PATIENCE),
            asyncio.to_thread(self.loads.stop, _STOP_PATIENCE),
        )
        for threads in (self.reading, self.watching, self.asking, self.forecasting):
            threads.shutdown(wait=False, cancel_futures=True)
        for name, before in self._environment.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self._environment.clear()

    def _tell_kernels(self, name: str, value: str) -> None:
        """Kernels inherit the server's environment."""
        self._environment[name] = os.environ.get(name)
        os.environ[name] = value
