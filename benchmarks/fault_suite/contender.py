"""Who is tried: what the suite has to know of a system that works jobs off a broker."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from pathlib import Path

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import BrokerError
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.transport import connect

from .count import Final
from .faults import Recorders
from .schedule import PlannedJob, Schedule

#: The job script that everybody runs.
SCRIPT = Path(__file__).with_name("job.py")


#: Stands for a job that is not known.
UNKNOWN = -1


class NotSubmitted(Exception):
    """Nothing, or not surely anything, was submitted."""


class Contender(ABC):
    """One system. Its methods are called in the order in which they stand here.

    Args:
        broker: the broker, directly.
        folder: for files; it is the working directory of the workers.
    """

    #: Shown in tables.
    name: str

    #: Kill a worker with all processes of its own, because it has no supervisor of them.
    killed_whole = False

    def __init__(self, schedule: Schedule, broker: Broker, folder: Path) -> None:
        self.schedule, self.broker, self.folder = schedule, broker, folder
        self.broken: list[str] = []

    @abstractmethod
    def settings(self) -> dict[str, str]:
        """Versions and settings, for people."""

    @abstractmethod
    def prepare(self) -> None:
        """Set up the broker and the files."""

    @abstractmethod
    def worker(
        self, worker: int, incarnation: int, hosts: list[tuple[str, int]]
    ) -> tuple[list[str], dict[str, str]]:
        """Command and environment of a worker that reaches the broker at ``hosts``."""

    @abstractmethod
    def submit(self, job: PlannedJob) -> None:
        """Submit; raises `NotSubmitted`."""

    @abstractmethod
    def finals(self) -> dict[int, list[Final]]:
        """Every recorded end until now, by number."""

    @abstractmethod
    def waiting(self) -> int:
        """How many messages are where jobs wait, not counting those that a worker holds."""

    @abstractmethod
    def left(self) -> set[int]:
        """Numbers of jobs of which a message is where jobs wait, `UNKNOWN` among them.

        Called when no worker runs any more. Queues that cannot be looked into (a broker that
        is killed may leave some that never answer again) are added to `broken`.
        """

    def look_into(self, queues: Iterable[str], number_of: Callable[[Message], int]) -> set[int]:
        """Numbers of the jobs whose messages are in ``queues``, which they stay in."""
        found: set[int] = set()
        for queue in queues:
            try:
                # What was looked at goes back when the session closes.
                with connect(self.broker, "fault suite, looking") as session:
                    while (delivery := session.get(queue)) is not None:
                        found.add(number_of(delivery.message))
            except BrokerError:
                self.broken.append(queue)
        return found

    def all_finals(self) -> dict[int, list[Final]]:
        """Every recorded end, looked for more thoroughly; called once, at the end."""
        return self.finals()

    def recorders(self) -> Recorders | None:
        """Who records, to be killed; None where nobody does."""
        return None

    def letters(self) -> set[int] | None:
        """Numbers of jobs with a dead letter; None where there are none."""
        return None

    @abstractmethod
    def close(self) -> None:
        """Leave the broker alone."""
