"""What one kernel keeps for its magics: the client, the notebook it works for, the last load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .display import Display
from .notebook import NotebookFinder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core.client import Client
    from ..core.job import JobRecord
    from ..core.ledgers import Ledgers
    from ..core.load import Load


class Workbench:
    """The state behind the magics of one kernel. Made with the extension, cheap until used.

    Args:
        shell: the IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self.display = Display(shell)
        self.notebook = NotebookFinder(shell)
        #: Groups as last seen, for completion.
        self.groups: tuple[str, ...] = ()
        self._client: Client | None = None
        self._ledgers: Ledgers | None = None
        self._panels: list[Any] = []

    def client(self, configured: str = "") -> Client:
        """The one client of this kernel, for the notebook as it is called now.

        Args:
            configured: the notebook, where somebody has set it.

        Raises:
            NoBroker, ConfigError.
        """
        notebook = self.notebook.find(configured)
        if self._client is None:
            from ..core.client import Client

            self._client = Client(notebook=notebook)
        elif notebook is not None and str(notebook) != self._client.notebook:
            self._client.notebook = str(notebook)
            self._client.ledgers.watch(notebook)
        return self._client

    def measure(self, queues: Sequence[str] = ()) -> Load:
        """The load now. Raises `NoBroker`, `ConfigError`."""
        from ..core.config import find_broker
        from ..core.measure import measure

        load = measure(find_broker(), queues)
        if load.groups:
            self.groups = tuple(group.name for group in load.groups if group.queue is None)
        return load

    def known_jobs(self, configured: str = "") -> list[JobRecord]:
        """Jobs in the ledgers, newest first, without a broker: for completion."""
        if self._client is not None:
            return self._client.ledgers.records()
        if self._ledgers is None:
            from ..core.ledgers import Ledgers

            self._ledgers = Ledgers()
            notebook = self.notebook.quick(configured)
            if notebook is not None:
                self._ledgers.watch(notebook)
        return self._ledgers.records()

    def add_panel(self, panel: Any) -> None:
        """Close ``panel`` with this workbench."""
        self._panels.append(panel)

    def close(self) -> None:
        """End what runs in the background."""
        for panel in self._panels:
            panel.close()
        self._panels.clear()
        if self._client is not None:
            self._client.close()
            self._client = None
