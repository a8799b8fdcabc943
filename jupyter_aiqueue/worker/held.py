"""A held job in the keeper's hands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from ..core.events import Event, Kind, make_event
from ..core.hold import Hold
from ..core.job import Job, now
from ..core.message import Message
from ..core.transport import Delivery


class Held:
    """One job, its terms, and the message that holds it."""

    __slots__ = ("delivery", "hold", "job")

    def __init__(self, delivery: Delivery, job: Job, hold: Hold) -> None:
        self.delivery, self.job, self.hold = delivery, job, hold

    def is_in(self, message: Message) -> bool:
        """Whether ``message`` holds it just as before."""
        before = self.delivery.message
        return (before.body, before.headers) == (message.body, message.headers)

    @property
    def line(self) -> tuple[str, str]:
        """Where it goes: its group and priority."""
        return self.job.group, self.job.priority.value

    def submitted(self) -> Event:
        """That it is in line now."""
        batch = self.hold.batch
        name = None if batch is None else batch.id
        return make_event(Kind.SUBMITTED, self.job, timestamp=now(), batch=name)


def in_order(came: Collection[Held]) -> list[Held]:
    """As they go: as they came; those of a batch among themselves as they were made."""
    batches: dict[str, list[Held]] = defaultdict(list)
    for held in came:
        if held.hold.batch is not None:
            batches[held.hold.batch.id].append(held)
    # Ids that were made by one process are in order, whatever came back first.
    turns = {
        name: iter(sorted(of_it, key=lambda held: held.job.id)) for name, of_it in batches.items()
    }
    return [held if held.hold.batch is None else next(turns[held.hold.batch.id]) for held in came]
