"""All claims of a worker, and which jobs it remembers to have settled."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from ..core.transport import Session
from .claim import Claim

#: Higher than the version of any message: nothing of the job may be worked any more.
FINAL = (1_000_000_000, 0)

#: Settled jobs that are remembered.
_MOST_OVER = 10_000

#: Seconds for which jobs of plain producers are: they may use an id again.
_PLAIN_OVER = 900.0

#: Ended jobs whose message has not come back yet, after a lost connection.
_MOST_STRAYS = 1000


class _Over(NamedTuple):
    version: tuple[int, int]
    #: Monotonic seconds.
    until: float


class Claims:
    """A collection for use in the link's thread."""

    def __init__(self) -> None:
        self._all: list[Claim] = []
        self._over: OrderedDict[str, _Over] = OrderedDict()

    def __iter__(self) -> Iterator[Claim]:
        return iter(list(self._all))

    def __len__(self) -> int:
        return len(self._all)

    def add(self, claim: Claim) -> None:
        """Take charge of a claim."""
        self._all.append(claim)

    def drop(self, claim: Claim) -> None:
        """Its message is the broker's again, and nothing was decided about it."""
        self._all.remove(claim)

    def begin(self, claim: Claim) -> None:
        """Its job is being started; what an earlier attempt of it waits for is of no use now."""
        claim.begun = True
        assert claim.job is not None
        self._all = [
            other
            for other in self._all
            if other is claim or not other.waiting or not _same_job(other, claim.job.id)
        ]

    def join(self, session: Session, claim: Claim, other: Claim) -> bool:
        """``other`` is of the same job: ``claim`` holds its message from now on.

        Returns:
            Whether that is of a higher version.
        """
        assert other.job is not None
        self._all.remove(other)
        return claim.hold(session, other.delivery, other.job, other.given_back)

    def of(self, job_id: str) -> Claim | None:
        """The claim of a job that was started here and is not settled."""
        found = [c for c in self._all if c.begun and _same_job(c, job_id)]
        return max(found, key=lambda c: (not c.ended, c.version), default=None)

    def over(self, job_id: str) -> tuple[int, int] | None:
        """The latest version of a job's message that is known to be settled."""
        found = self._over.get(job_id)
        return found.version if found is not None and time.monotonic() < found.until else None

    def is_over(self, job_id: str) -> None:
        """The job has come to its end elsewhere."""
        self._remember(job_id, _Over(FINAL, float("inf")))

    def reconnected(self) -> None:
        """The broker has every message back.

        What was started here stays, and waits for its message. What was decided from a message
        alone is decided again when it comes back.
        """
        self._all = [claim for claim in self._all if claim.begun]

    def sweep(self) -> None:
        """Drop what is settled, and remember that it was."""
        for claim in self._all:
            done = claim.settled or claim.told
            if done and claim.job is not None and claim.settles is not None:
                if claim.job.inbox is None:
                    over = _Over(claim.settles, time.monotonic() + _PLAIN_OVER)
                else:
                    over = _Over(FINAL if claim.final else claim.settles, float("inf"))
                self._remember(claim.job.id, over)
        self._all = [claim for claim in self._all if not claim.settled and not claim.told]
        strays = [claim for claim in self._all if claim.waiting]
        for claim in strays[:-_MOST_STRAYS]:
            self._all.remove(claim)

    def _remember(self, job_id: str, over: _Over) -> None:
        self._over[job_id] = max(over, self._over.get(job_id, over))
        self._over.move_to_end(job_id)
        while len(self._over) > _MOST_OVER:
            self._over.popitem(last=False)


def _same_job(claim: Claim, job_id: str) -> bool:
    return claim.job is not None and claim.job.id == job_id
