"""Computing time that forecasts may take, so that whoever collects goes on with its work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

#: The part of a core, and seconds of computing that may be saved up.
_PART, _MOST = 0.02, 0.02


class Allowance:
    """Grows with the time that passes; what takes more than is left has to be paid back."""

    def __init__(self) -> None:
        self._left, self._at = _MOST, time.monotonic()

    @property
    def left(self) -> bool:
        """Whether something may be computed now."""
        moment = time.monotonic()
        self._left = min(_MOST, self._left + _PART * (moment - self._at))
        self._at = moment
        return self._left > 0

    @contextmanager
    def spent(self) -> Iterator[None]:
        """What is computed inside counts (as computing time of this thread)."""
        began = time.thread_time()
        try:
            yield
        finally:
            self._left -= time.thread_time() - began
