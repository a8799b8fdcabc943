"""Reading a ledger of 10,000 events into job records, beside json and pandas.

python benchmarks/ledger.py [--json] [--events 10000] [--runs 7]
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import median_ms, options, report, spread_ms
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, Result, new_job_id, now
from jupyter_aiqueue.core.ledger import Ledger, read_records


def write(path: Path, events: int) -> None:
    """A ledger of jobs that were submitted, started, retried, started and succeeded."""
    ledger = Ledger(path, str(path.with_suffix(".ipynb")))
    batch: list[Event] = []
    while len(batch) < events:
        config = {"model_type": "mlp", "data_path": "digits", "epochs": 10, "lr": 0.01}
        job = Job(
            id=new_job_id(), config=config, group="train", task="train_model", submitted_at=now()
        )
        result = Result(exit_code=0, duration_s=12.5, cpu_s=11.0, peak_memory_bytes=2**28)
        batch += [
            make_event(Kind.SUBMITTED, job),
            make_event(Kind.STARTED, job, worker="gpu-1", run="a"),
            make_event(Kind.RETRYING, job, worker="gpu-1", run="a", reason="exit code 1"),
            make_event(Kind.STARTED, job, worker="gpu-2", run="b"),
            make_event(
                Kind.SUCCEEDED,
                job,
                worker="gpu-2",
                run="b",
                result=result,
                progress=1.0,
                metrics={"accuracy": 0.97, "loss": 0.1},
                log="epoch 10: 0.97\n" * 20,
            ),
        ]
    ledger.append(batch[:events])


def main() -> None:
    """Read the same file in three ways, in turn."""
    arguments = options(__doc__ or "", events=10_000, runs=7)
    import pandas as pd

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.jobs.jsonl"
        write(path, arguments.events)
        size = path.stat().st_size

        def plain() -> object:
            with path.open() as file:
                return [json.loads(line) for line in file]

        readers: dict[str, Callable[[], object]] = {
            "ours": lambda: read_records(path),
            "json": plain,
            "pandas": lambda: pd.read_json(path, lines=True),
        }
        times: dict[str, list[float]] = {name: [] for name in readers}
        for number in range(arguments.runs + 1):
            for name, read in readers.items():
                began = time.perf_counter()
                read()
                if number:
                    times[name].append(time.perf_counter() - began)
    ours = median_ms(times["ours"])
    figures = {
        "events": arguments.events,
        "bytes": size,
        "read_ms": ours,
        "json_ratio": round(ours / median_ms(times["json"]), 2),
        "pandas_ratio": round(ours / median_ms(times["pandas"]), 2),
    }
    lines = [
        f"{arguments.events:,} events, {size:,} bytes",
        f"  job records (ours)    {spread_ms(times['ours'])}",
        f"  json.loads per line   {spread_ms(times['json'])}   ratio {figures['json_ratio']}",
        f"  pandas.read_json      {spread_ms(times['pandas'])}   ratio {figures['pandas_ratio']}",
    ]
    report(arguments, lines, figures)


if __name__ == "__main__":
    main()
