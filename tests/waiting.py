"""Waiting for a condition in tests, with a bound and a message."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_INTERVAL = 0.05


def eventually(condition: Callable[[], T], *, timeout: float = 10.0, message: str) -> T:
    """Call ``condition`` until it returns something true, and return that.

    Fails with ``message`` after ``timeout`` seconds.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{message} (waited {timeout:g} s; last seen: {value!r})")
        time.sleep(_INTERVAL)
