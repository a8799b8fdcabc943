"""The line: jobs taken one by one into the slots that get free, in many samples at once.

The order is that of `jupyter_aiqueue.worker.take`: high, normal, low, and every tenth take the
other way round.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
        """When the job at ``place`` of class ``cls`` starts; takes what `starts` takes.

        Returns:
            Seconds from now, shape (samples,).
        """
        begun: Floats = self.starts(free, random, leaves, to=(cls, place))[cls][place]
        return begun

    def starts(
        self,
        free: Floats,
        random: np.random.Generator,
        leaves: Floats | None = None,
        *,
        to: tuple[int, int | NDArray[np.intp]] | None = None,
        until: float = np.inf,
    ) -> list[Floats]:
        """When each job starts.

        Args:
            free: when each slot gets free, seconds from now, shape (samples, slots); changed.
                With ``to``, it is then as it was when the job there had been taken.
            leaves: when each slot is there no longer, of the same shape; None if they stay.
            to: a class, and a place in it (or one for each sample): what is taken after the
                job there is not played.
            until: nor what is taken later than that.

        Returns:
            For each class seconds from now, shape (jobs, samples); infinite where a job is not
            taken, or that is not known.
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
        turn = random.integers(FAIRNESS, size=samples)
        bits = np.array([[1.0], [2.0], [4.0]])
        starts = np.full(ready.shape, np.inf)
        earliest = 0
        arrived = np.zeros(samples, bool)
        if to is not None:
            cls, place = to
            targets = (self._begins[cls] + np.asarray(place)) * samples + columns
            earliest = int(np.min(place))
        reverse = [np.where((turn + step) % FAIRNESS == 0, 8.0, 0.0) for step in range(FAIRNESS)]
        for step in range(len(self._ready) + free.shape[1]):
            slot = at_slot + free.argmin(axis=1)
            # A slot that nobody waits for is idle until somebody comes.
            soonest = heads.min(axis=0)
            time = np.maximum(slots[slot], soonest)
            there = (heads <= time) * bits
            code = there.sum(axis=0) + reverse[step % FAIRNESS]
            taken = _FIRST[code.astype(np.intp)] * samples + columns
            job = nexts[taken]
            following = np.minimum(job + samples, last[taken])
            begun, over = time, time + seconds[job]
            if leaves is not None:
                left = leaves.ravel()[slot]
                over[over > left] = np.inf
                gone = time > left  # it has left while it was idle
                begun = np.where(gone, starts[job], time)
                following = np.where(gone, job, following)
            nobody = soonest == np.inf
            if nobody.any():  # who would come is not known: it stays idle
                over = np.where(nobody, slots[slot], over)
            if arrived.any():  # samples differ: none goes on while it waits for the others
                begun = np.where(arrived, starts[job], begun)
                over = np.where(arrived, slots[slot], over)
                following = np.where(arrived, job, following)
            starts[job] = begun
            slots[slot] = over
            nexts[taken] = following
            head[taken] = ready[following]
            if to is not None and step >= earliest:
                arrived = next_[cls] > targets
                if arrived.all():
                    break
            if time.min() > until or nobody.all():
                break
        rows = starts.reshape(-1, samples)
        return [rows[begin:end] for begin, end in zip(self._begins, self._ends, strict=True)]
