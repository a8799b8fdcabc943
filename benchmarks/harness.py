"""What the benchmarks share: a private node of their own, medians, and the report."""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_aiqueue.core.config import Broker


@contextmanager
def private_node() -> Iterator[tuple[Broker, Path]]:
    """A private node in a temporary folder, stopped at the end; also that folder."""
    from jupyter_aiqueue import node
    from jupyter_aiqueue.core.config import find_broker

    with tempfile.TemporaryDirectory(prefix="aiqueue-bench-") as name:
        folder = Path(name)
        for variable in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            os.environ[variable] = str(folder / variable.lower())
        for variable in [v for v in os.environ if v in ("AIQUEUE_URL", "AIQUEUE_MANAGEMENT_URL")]:
            del os.environ[variable]
        node.up(timeout=120)
        try:
            yield find_broker(), folder
        finally:
            node.down()


def options(description: str, **numbers: int) -> argparse.Namespace:
    """The command line of a benchmark: ``--json`` and the given ``--<name> NUMBER``."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"({default})")
    return parser.parse_args()


def median_ms(seconds: Sequence[float]) -> float:
    """The median in milliseconds."""
    return round(statistics.median(seconds) * 1000, 3)


def spread_ms(seconds: Sequence[float]) -> str:
    """Median and 95 % point for people."""
    ordered = sorted(seconds)
    high = ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]
    return f"{median_ms(seconds):8.2f} ms   (95 %: {high * 1000:8.2f} ms, n={len(seconds)})"


def report(arguments: argparse.Namespace, lines: Sequence[str], figures: dict[str, Any]) -> None:
    """Print for people, or with ``--json`` one object."""
    print(json.dumps(figures) if arguments.json else "\n".join(lines))
