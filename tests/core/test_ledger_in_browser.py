"""The front end reads ledgers by itself: it and this package make the same of one file.

Its specs hold the same file against what the front end makes of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from jupyter_aiqueue.core.ledger import read_records

FILE = Path(__file__).parents[2] / "labextension" / "src" / "__tests__" / "ledger.json"

#: What the front end has no use for, or knows by other means.
NOT_THERE = {"ledger", "notebook", "timeout"}


def test_the_front_ends_example_is_what_this_package_makes_of_it(tmp_path: Path) -> None:
    example = json.loads(FILE.read_text("utf-8"))
    ledger = tmp_path / "train.jobs.jsonl"
    ledger.write_text("\n".join(example["lines"]) + "\n", "utf-8")

    assert shown(ledger) == example["records"]


def shown(ledger: Path) -> dict[str, Any]:
    """The records of a ledger as the front end has them."""
    return {
        job_id: {k: v for k, v in msgspec.to_builtins(record).items() if k not in NOT_THERE}
        for job_id, record in read_records(ledger).items()
    }
