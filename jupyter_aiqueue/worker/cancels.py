"""Which jobs were cancelled."""

from __future__ import annotations

from collections import OrderedDict

#: Cancels remembered; the control stream keeps thirty days of them.
_MOST = 100_000


class Cancels:
    """Ids of cancelled jobs. Used in the link's thread."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, job_id: object) -> bool:
        return job_id in self._ids

    def add(self, job_id: str) -> None:
        """Remember one."""
        self._ids[job_id] = None
        self._ids.move_to_end(job_id)
        while len(self._ids) > _MOST:
            self._ids.popitem(last=False)
