"""What a worker can run: its tasks file (TOML), and a job's config as command line.

A message never names a command. It names a task, and only tasks of this file run::

    group = "train"

    [tasks.train_model]
    command = ["python", "train_model.py"]
    timeout = 86400

    [tasks.train_model.flags]
    model_type = "--model"
    data_path = "--data"
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from ..core.arguments import arguments
from ..core.errors import ConfigError, InvalidJob
from ..core.job import DEFAULT_MAX_ATTEMPTS, check_word
from ..core.message import MAX_ATTEMPTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: The tasks file that is used when none is named.
DEFAULT_FILE = "aiqueue.toml"

#: Seconds. A renewal, a third of the lease at most, stays below the 30 minutes after which a
#: broker takes back what was not acknowledged (its ``consumer_timeout``).
_LONGEST_LEASE = 3600
_SHORTEST_RENEWAL = 0.1

#: Raised by what cannot be a path: too long, a NUL character, the home of nobody.
_NO_PATH = (OSError, ValueError, RuntimeError)


class Retry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens after a failed attempt.

    ``delays``: seconds before the second, third, … attempt, the last one for all further
    ones; the broker must have a retry queue for each. None takes those of the broker.
    ``attempts``: for jobs whose submitter does not say.
    """

    delays: tuple[int, ...] | None = None
    attempts: int = DEFAULT_MAX_ATTEMPTS

    def __post_init__(self) -> None:
        if self.delays is not None and (not self.delays or min(self.delays) < 1):
            raise ValueError("`delays` needs whole seconds from 1")
        if not 1 <= self.attempts <= MAX_ATTEMPTS:
            raise ValueError(f"`attempts` must be 1 to {MAX_ATTEMPTS}")


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of every run."""

    #: Bytes of output that travel with events.
    log_tail: int = 65_536
    #: Bytes of output that are kept in the run's folder.
    log_file: int = 1_000_000_000
    #: Seconds between asking a process tree to stop (SIGTERM) and killing it.
    kill_after: float = 10.0
    #: Seconds that running jobs may take to finish when the worker is told to drain.
    drain: float = 600.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"`{name}` must not be negative or infinite")
        if self.log_tail > 500_000:
            raise ValueError("`log_tail` must be at most 500000 bytes: it travels with events")


class Lease(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long running jobs stay their worker's own while the broker hears nothing from it.

    ``time``: seconds after the last renewal. ``renew``: seconds between renewals, a third of
    the time at most, so that one that fails can be repeated; None takes that third.
    ``grace``: seconds that whoever may still run a job is asked for, before the attempt
    counts as lost.
    """

    time: float = 60.0
    renew: float | None = None
    grace: float = 30.0

    def __post_init__(self) -> None:
        if not 1 <= self.time <= _LONGEST_LEASE:
            raise ValueError(f"`time` must be 1 to {_LONGEST_LEASE} seconds")
        if self.renew is not None and not self.renew >= _SHORTEST_RENEWAL:
            raise ValueError(f"`renew` must be at least {_SHORTEST_RENEWAL} seconds")
        # A hair's breadth more is allowed: 1.1 is a third of 3.3, but not in binary.
        if self.renew is not None and self.renew > self.time / 3 + 1e-9:
            raise ValueError(
                f"`renew` must be at most a third of `time` ({self.time / 3:g} seconds), so that "
                "a renewal that fails can be repeated before the lease is over"
            )
        if not 1 <= self.grace <= _LONGEST_LEASE:
            raise ValueError(f"`grace` must be 1 to {_LONGEST_LEASE} seconds")

    @property
    def renewal(self) -> float:
        """Seconds between renewals."""
        return self.time / 3 if self.renew is None else self.renew


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that can be run."""

    name: str
    command: tuple[str, ...]
    #: Working directory, absolute.
    directory: str
    #: Interpreter that a leading "python" of the command stands for.
    python: str = sys.executable
    #: Seconds an attempt may take when the job does not say.
    timeout: float | None = None
    environment: dict[str, str] = {}
    #: Flag by config key; False leaves the key out, True gives it its usual flag.
    flags: dict[str, str | bool] = {}
    retry: Retry | None = None

    def __post_init__(self) -> None:
        if not self.command or not all(self.command):
            raise ValueError("`command` must be a list of one or more words")
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise ValueError("`timeout` must be more than 0 seconds; leave it out for no limit")
        for name, value in self.environment.items():
            if not name or "=" in name or "\0" in name + value:
                raise ValueError(f"`environment` cannot hold {name!r:.80}: no '=', no NUL")
        for key, flag in self.flags.items():
            if isinstance(flag, str) and not flag.startswith("-"):
                raise ValueError(f"the flag of `{key}` must start with '-', not {flag!r}")

    def argv(self, config: dict[str, Any]) -> list[str]:
        """The command line for ``config``; raises `InvalidJob` (see `arguments`)."""
        first, *rest = self.command
        return [self.python if first == "python" else first, *rest, *arguments(config, self.flags)]


class Tasks(msgspec.Struct, frozen=True, kw_only=True):
    """A tasks file."""

    tasks: dict[str, Task]
    file: Path | None = None
    group: str | None = None
    slots: int = 1
    #: Runs jobs that name no task; a single task is the default by itself.
    default_task: str | None = None
    retry: Retry = Retry()
    limits: Limits = Limits()
    lease: Lease = Lease()

    def find(self, name: str | None) -> Task:
        """The task of a job; raises `InvalidJob` with the reason ``unknown-task``."""
        if name is None:
            name = self.default_task
            if name is None and len(self.tasks) == 1:
                (name,) = self.tasks
        known = ", ".join(sorted(self.tasks))
        if name is None:
            raise InvalidJob(
                "unknown-task",
                f"The job names no task and the worker has no default one; it knows {known}.",
            )
        if name not in self.tasks:
            raise InvalidJob(
                "unknown-task",
                f"The worker has no task {name!r:.80}; it knows {known}. Name one of its own with "
                "`--task`, also at a retry, or declare this one in the worker's tasks file.",
            )
        return self.tasks[name]

    def retry_of(self, task: Task | None) -> Retry:
        """What applies after a failed attempt of ``task``."""
        return task.retry if task is not None and task.retry is not None else self.retry

    def delays(self) -> set[int]:
        """Every delay that the file names, seconds."""
        retries = [self.retry, *(task.retry for task in self.tasks.values())]
        return {delay for retry in retries if retry for delay in retry.delays or ()}


class _Top(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    tasks: dict[str, dict[str, Any]]
    group: str | None = None
    slots: int = 1
    default_task: str | None = None
    retry: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    lease: dict[str, Any] = {}


def load_tasks(path: str | Path) -> Tasks:
    """Read and check a tasks file.

    Raises:
        ConfigError: naming the file, the table and what is wrong with it.
    """
    file = Path(path).expanduser().absolute()
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(
            f"There is no tasks file {file}. It declares what the worker may run, for example:\n"
            '[tasks.train_model]\ncommand = ["python", "train_model.py"]'
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"The tasks file {file} cannot be read: {error}") from error
    top = _convert(file, "the top of the file", content, _Top)
    if not top.tasks:
        raise ConfigError(f"The tasks file {file} declares no task: add a table [tasks.NAME].")
    tasks = {name: _task(file, name, table) for name, table in top.tasks.items()}
    if top.slots < 1:
        raise ConfigError(f"{file}, the top of the file: `slots` must be at least 1.")
    if top.default_task is not None and top.default_task not in tasks:
        raise ConfigError(
            f"{file}, the top of the file: `default_task` is {top.default_task!r}, but the tasks "
            f"are {', '.join(sorted(tasks))}."
        )
    if top.group is not None:
        try:
            check_word("group", top.group)
        except InvalidJob as error:
            raise ConfigError(f"{file}, the top of the file: {error}") from error
    return Tasks(
        tasks=tasks,
        file=file,
        group=top.group,
        slots=top.slots,
        default_task=top.default_task,
        retry=_convert(file, "[retry]", top.retry, Retry),
        limits=_convert(file, "[limits]", top.limits, Limits),
        lease=_convert(file, "[lease]", top.lease, Lease),
    )


def _task(file: Path, name: str, table: dict[str, Any]) -> Task:
    where = f"[tasks.{name}]"
    if "name" in table:
        raise ConfigError(f"{file}, {where}: unknown key `name`.")
    for part in ("flags", "environment", "retry"):
        if part in table and not isinstance(table[part], dict):
            raise ConfigError(f"{file}, {where}: `{part}` must be a table.")
    retry = table.get("retry")
    if retry is not None:
        retry = _convert(file, f"[tasks.{name}.retry]", retry, Retry)
    rest = {key: value for key, value in table.items() if key != "retry"}
    task = _convert(file, where, {"directory": ".", **rest, "name": name}, Task)
    directory = _directory(file, where, task.directory)
    python = _interpreter(file, where, task.python) if "python" in table else task.python
    return msgspec.structs.replace(task, directory=str(directory), python=python, retry=retry)


def _directory(file: Path, where: str, name: str) -> Path:
    try:
        directory = (file.parent / Path(name).expanduser()).absolute()
        found = directory.is_dir()
    except _NO_PATH as error:
        raise ConfigError(f"{file}, {where}: `directory` cannot be used: {error}.") from error
    if not found:
        raise ConfigError(f"{file}, {where}: the directory {directory} does not exist.")
    return directory


def _interpreter(file: Path, where: str, python: str) -> str:
    try:
        given = Path(python).expanduser()
        # A bare name is looked up as a shell does it, a path starts from the file.
        name = str(file.parent / given) if len(given.parts) > 1 else python
        found = shutil.which(name)
    except _NO_PATH as error:
        raise ConfigError(f"{file}, {where}: `python` cannot be used: {error}.") from error
    if found is None:
        raise ConfigError(f"{file}, {where}: there is no interpreter {name}.")
    return found


_T = TypeVar("_T")


def _convert(file: Path, where: str, table: dict[str, Any], kind: type[_T]) -> _T:
    known: frozenset[str] = frozenset(getattr(kind, "__struct_fields__", ()))
    for key in table:
        if key not in known:
            shown = ", ".join(_public(known, kind))
            raise ConfigError(f"{file}, {where}: unknown key `{key}`; known are {shown}.")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{file}, {where}: {error}.") from error


def _public(known: frozenset[str], kind: type[Any]) -> Iterator[str]:
    return (key for key in sorted(known) if not (kind is Task and key == "name"))
