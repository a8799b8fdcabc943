"""This machine: files, folders, disk, and the private node if there is one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import psutil

from .. import paths
from ..config import parse_url
from ..errors import AIQueueError, ConfigError
from .case import Case, Unseen
from .finding import ERROR, NOTE, OK, WARNING, Finding

#: Open files of a process: a worker needs about ten for each slot, a server some for each kernel.
_FEWEST_FILES = 256

#: The same of a private node: two for each connection, and its own.
_FEWEST_OF_NODE = 1024

#: Bytes on a disk below which a run's output may not fit, and below which a ledger may not.
_LITTLE, _NOTHING = 1_000_000_000, 50_000_000

_RAISE_FILES = "ulimit -n 8192"


def private_node(case: Case) -> Iterator[Finding]:
    """A private node that is damaged, passed over, or short of open files."""
    file = paths.connection_file()
    try:
        content = json.loads(file.read_text())
        where = parse_url(content["url"]).location
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError, ConfigError):
        yield Finding(
            WARNING,
            f"The private node's connection file {file} is damaged.",
            "Run `jupyter aiqueue down` and `jupyter aiqueue up`.",
            "jupyter aiqueue down\njupyter aiqueue up",
        )
        return
    try:
        broker = case.broker
    except (AIQueueError, Unseen):
        return
    if broker.origin != "private node":
        if where == broker.location:
            return
        yield Finding(
            NOTE,
            f"A private node is set up at {where}, but {broker.location} is used: "
            f"{broker.origin} comes first.",
        )
        return
    files = _files_of(content.get("pid"))
    if files is not None and files < _FEWEST_OF_NODE:
        yield Finding(
            WARNING,
            f"The private node may open {files} files; each connection takes some.",
            "Raise the limit, and start it again.",
            f"{_RAISE_FILES}\njupyter aiqueue down\njupyter aiqueue up",
        )


def _files_of(pid: object) -> int | None:
    """The limit on open files of a process; None where that is not told."""
    try:
        if not isinstance(pid, int):
            return None
        return int(psutil.Process(pid).rlimit(psutil.RLIMIT_NOFILE)[0])
    except (AttributeError, OSError, ValueError, psutil.Error):
        return None  # Linux tells, others do not


def open_files(case: Case) -> Iterator[Finding]:  # noqa: ARG001
    """How many files this process, and what it starts, may open."""
    try:
        import resource
    except ImportError:
        return
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= _FEWEST_FILES:
        count = "any number of" if soft == resource.RLIM_INFINITY else str(soft)
        yield Finding(OK, f"This process may open {count} files.")
    else:
        yield Finding(
            WARNING,
            f"This process may open {soft} files only, too few for a worker or a Jupyter server "
            "with several kernels.",
            "Raise the limit in the shell that starts them.",
            _RAISE_FILES,
        )


def folders(case: Case) -> Iterator[Finding]:
    """Whether what has to be kept can be written."""
    wrong = False
    for folder, purpose in (
        (paths.data_dir(), "inbox name and ledger list have no place"),
        (paths.run_root(), "a worker here cannot run anything"),
        (case.beside, "ledgers cannot be kept beside its notebooks"),
    ):
        there = _existing(folder)
        if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
            wrong = True
            yield Finding(
                WARNING if folder == case.beside else ERROR,
                f"The folder {there} cannot be written: {purpose}.",
                "Make it writable"
                + ("." if folder == case.beside else ", or point JUPYTER_DATA_DIR to one that is."),
                f"chmod u+rwx {there}",
            )
    if not wrong:
        yield Finding(OK, f"Folders can be written: {paths.data_dir()} and {case.beside}.")


def disk(case: Case) -> Iterator[Finding]:
    """How much room there is for runs and ledgers."""
    seen: set[int] = set()
    for folder, purpose in (
        (paths.run_root(), "runs and their output"),
        (case.beside, "ledgers beside notebooks"),
    ):
        there = _existing(folder)
        device = there.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(there).free
        gigabytes = f"{free / 1e9:.1f} GB"
        if free >= _LITTLE:
            yield Finding(OK, f"Disk space at {there}: {gigabytes}.")
        else:
            yield Finding(
                ERROR if free < _NOTHING else WARNING,
                f"Little disk space is left at {there} for {purpose}: {gigabytes}.",
                "Make room; old runs may go, each in a folder named after its job.",
                f"du -sh {paths.run_root()}/* | sort -h | tail",
            )


def _existing(folder: Path) -> Path:
    """``folder``, or the nearest one above it that is there."""
    return next((p for p in (folder, *folder.parents) if p.exists()), Path("/"))
