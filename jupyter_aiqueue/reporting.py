"""What a training script tells of its progress; needs the standard library only.

The protocol is open: JSON lines appended to the file named by ``AIQUEUE_REPORT``. A script
in another language, or in an environment without this package, writes them itself::

    {"progress": 0.3, "metrics": {"loss": 0.41, "epoch": 3}}
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping
from typing import Any

#: Names the file to append to; workers set it for every job.
VARIABLE = "AIQUEUE_REPORT"


def report(progress: float | None = None, metrics: Mapping[str, Any] | None = None) -> None:
    """Tell how far the experiment is and what it has measured; nothing outside a job.

    Args:
        progress: the part that is done, 0 to 1.
        metrics: numbers (or other JSON values) by name. Later values replace earlier ones of
            the same name; NaN and infinities become null.

    Raises:
        ValueError: the progress is not between 0 and 1.
        TypeError: something is not a number or cannot be written as JSON.
        OSError: the worker's file cannot be written.
    """
    line: dict[str, Any] = {"time": round(time.time(), 3)}
    if progress is not None:
        line["progress"] = _checked(progress)
    if metrics is not None:
        if not isinstance(metrics, Mapping):
            raise TypeError(f"metrics must be a mapping of names, not {type(metrics).__name__}.")
        line["metrics"] = _finite({str(name): value for name, value in metrics.items()})
    text = json.dumps(line, allow_nan=False) + "\n"
    path = os.environ.get(VARIABLE)
    if not path:
        return
    # One write to a file opened for appending: lines of several processes do not mix.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _checked(progress: float) -> float:
    try:
        value = float(progress)
    except (TypeError, ValueError) as error:
        raise TypeError(f"progress must be a number, not {progress!r}.") from error
    if not 0 <= value <= 1:
        raise ValueError(f"progress must be between 0 and 1, not {value!r}.")
    return value


def _finite(value: Any) -> Any:
    """``value`` as plain JSON: numbers of NumPy or PyTorch too, non-finite ones as None."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    item = getattr(value, "item", None)
    if callable(item):
        plain = item()
        if plain is None or isinstance(plain, (bool, int, float, str)):
            return _finite(plain)
    raise TypeError(f"A metric must be a JSON value, not {type(value).__name__}.")
