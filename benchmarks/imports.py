"""What importing costs: the server extension and ``%load_ext``, beyond what hosts them.

    python benchmarks/imports.py [--json] [--runs 15]

Every run is a fresh interpreter that imports the host first, then ours.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.harness import median_ms, options, report, spread_ms

_SERVER = """
import time
began = time.perf_counter()
import jupyter_server.serverapp, jupyter_server.extension.application, jupyter_events
host = time.perf_counter()
import jupyter_aiqueue
jupyter_aiqueue._jupyter_server_extension_points()
print(host - began, time.perf_counter() - host)
"""

_KERNEL = """
import time
began = time.perf_counter()
import ipykernel.ipkernel
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
host = time.perf_counter()
shell.run_line_magic("load_ext", "jupyter_aiqueue")
print(host - began, time.perf_counter() - host)
"""


def measure(program: str, runs: int) -> tuple[list[float], list[float]]:
    """Seconds that the host took, and that ours took beyond it, per run."""
    hosts, ours = [], []
    for number in range(runs + 1):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        host, own = map(float, done.stdout.split()[-2:])
        if number:  # the first run fills the file cache
            hosts.append(host)
            ours.append(own)
    return hosts, ours


def main() -> None:
    """Measure both and print medians and ratios."""
    arguments = options(__doc__ or "", runs=15)
    server_host, server = measure(_SERVER, arguments.runs)
    kernel_host, kernel = measure(_KERNEL, arguments.runs)
    figures = {
        "server_extension_s": round(median_ms(server) / 1000, 4),
        "server_ratio": round(median_ms(server) / median_ms(server_host), 3),
        "load_ext_s": round(median_ms(kernel) / 1000, 4),
        "load_ext_ratio": round(median_ms(kernel) / median_ms(kernel_host), 3),
    }
    lines = [
        f"Jupyter Server itself   {spread_ms(server_host)}",
        f"  + server extension    {spread_ms(server)}   ratio {figures['server_ratio']}",
        f"IPython kernel itself   {spread_ms(kernel_host)}",
        f"  + %load_ext           {spread_ms(kernel)}   ratio {figures['load_ext_ratio']}",
    ]
    report(arguments, lines, figures)


if __name__ == "__main__":
    main()
