"""Which jobs were cancelled: what the control stream says, and what comes now."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from ..core import topology
from ..core.errors import InvalidJob
from ..core.message import Message
from ..core.status import decode_ask_log, decode_cancel
from ..core.stream import replay
from ..core.transport import Delivery, Session

#: Cancels remembered; the stream keeps thirty days of them.
_MOST = 100_000


class Cancels:
    """Ids of cancelled jobs, and whom to tell of new ones. Used in the link's thread.

    Args:
        on_cancel: called with every id as it becomes known.
        on_ask_log: called with the session and the id of a job whose log is asked for.
    """

    def __init__(
        self,
        on_cancel: Callable[[str], None],
        on_ask_log: Callable[[Session, str], None],
    ) -> None:
        self._on_cancel, self._on_ask_log = on_cancel, on_ask_log
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, job_id: str) -> bool:
        return job_id in self._ids

    def listen(self, session: Session) -> None:
        """Hear of cancels from now on, and read those of before.

        In this order, so that none falls between. When it returns, every cancel that the
        broker confirmed earlier is known.
        """
        queue = session.temporary_queue(
            [(topology.CONTROL, "cancel.*"), (topology.CONTROL, "log.*")], max_length=10_000
        )

        def arrived(delivery: Delivery) -> None:
            session.ack(delivery)
            self._take(session, delivery.message)

        session.consume(queue, arrived, prefetch=50)
        for message in replay(session, topology.CONTROL, topology.CONTROL_LOG):
            self._take(session, message)

    def _take(self, session: Session, message: Message) -> None:
        try:
            if message.routing_key.startswith("log."):
                self._on_ask_log(session, decode_ask_log(message.body).job_id)
                return
            job_id = decode_cancel(message.body).job_id
        except InvalidJob:
            return  # not a message of ours: nothing to obey
        self._ids[job_id] = None
        self._ids.move_to_end(job_id)
        while len(self._ids) > _MOST:
            self._ids.popitem(last=False)
        self._on_cancel(job_id)
