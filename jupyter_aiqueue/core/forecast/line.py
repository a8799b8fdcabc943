"""The line: jobs taken one by one into the slots that get free, in many samples at once.

The order is that of `jupyter_aiqueue.worker.take`: high, normal, low, and every tenth take the
other way round.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .history import Floats

#: As in `jupyter_aiqueue.worker.take`, which a core module does not know.
FAIRNESS = 10

#: Who comes first. Index: which classes have a job there (1 high, 2 normal, 4 low), plus 8 in a
#: reversed take. (With none there, what is taken does not matter any more.)
_FIRST = np.array([0, 0, 1, 0, 2, 0, 1, 0, 0, 0, 1, 1, 2, 2, 2, 2], np.intp)


class Line:
    """Three classes of jobs, in the order in which each class is served.

    Args:
        ready: for each class, when each job is there: seconds from now, shape (jobs, samples).
        seconds: for each class, how long each job occupies its slot, of the same shape.
    """

    def __init__(self, ready: Sequence[Floats], seconds: Sequence[Floats]) -> None:
        samples = seconds[0].shape[1]
        never = np.full((1, samples), np.inf)
        nothing = np.zeros((1, samples))
        self._ready = np.concatenate([part for one in ready for part in (one, never)])
        self._seconds = np.concatenate([part for one in seconds for part in (one, nothing)])
        sizes = np.array([len(one) + 1 for one in seconds], np.intp)
        self._ends = np.cumsum(sizes) - 1
        self._begins = self._ends - sizes + 1

    def start(
        self,
        free: Floats,
        cls: int,
        place: int,
        random: np.random.Generator,
        leaves: Floats | None = None,
    ) -> Floats:
        """When the job at ``place`` of class ``cls`` starts.

        Args:
            free: when each slot gets free, seconds from now, shape (samples, slots); changed.
            leaves: when each slot is there no longer, of the same shape; None if they stay.

        Returns:
            Seconds from now, shape (samples,).
        """
        samples = len(free)
        columns = np.arange(samples)
        ready, seconds = self._ready.ravel(), self._seconds.ravel()
        at_slot, slots = columns * free.shape[1], free.ravel()
        ends = self._ends * samples
        # Where each class is served next, as an index into `ready`, shape (3, samples).
        next_ = self._begins[:, None] * samples + columns
        heads, nexts = ready[next_], next_.ravel()
        head = heads.ravel()
        last = (ends[:, None] + columns).ravel()
        target = (self._begins[cls] + place) * samples
        turn = random.integers(FAIRNESS, size=samples)
        bits = np.array([[1.0], [2.0], [4.0]])
        start = np.full(samples, np.nan)
        waiting = np.ones(samples, bool)
        reverse = [np.where((turn + step) % FAIRNESS == 0, 8.0, 0.0) for step in range(FAIRNESS)]
        for step in range(len(ready)):
            slot = at_slot + free.argmin(axis=1)
            time = slots[slot]
            there = (heads <= time) * bits
            code = there.sum(axis=0) + reverse[step % FAIRNESS]
            taken = _FIRST[code.astype(np.intp)] * samples + columns
            job = nexts[taken]
            if step >= place:
                mine = waiting & (job == target + columns)
                start[mine] = time[mine]
                waiting &= ~mine
                if not waiting.any():
                    break
            until = time + seconds[job]
            if leaves is not None:
                until[until > leaves.ravel()[slot]] = np.inf
            slots[slot] = until
            job = np.minimum(job + samples, last[taken])
            nexts[taken] = job
            head[taken] = ready[job]
        return start
