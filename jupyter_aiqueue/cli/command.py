"""What commands have in common: how one is declared, gets a client, and shows what came of it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.errors import ConfigError

if TYPE_CHECKING:
    from ..core.client import Client
    from ..core.handle import JobHandle

#: Gets the options, returns the exit code.
Run = Callable[[argparse.Namespace], int]

#: Help for a job id.
ID = "job id, or a part of it"


class Commands:
    """The commands of ``parser``, in the order in which its help lists them."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(self, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
        """Declare one; its arguments are added to what is returned."""
        command = self._commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--json", action="store_true", help="print one JSON object")
        command.set_defaults(run=run)
        return command


def check_task(word: str, command: str) -> None:
    """Raises `ConfigError` where the task is missing: ``word`` is a config value, or a file."""
    if "=" in word:
        raise ConfigError(
            f"{word!r} is a config value, and the task comes first: "
            f"`jupyter aiqueue {command} TASK KEY=VALUE ...`."
        )
    if Path(word).suffix.lower() in (".yaml", ".yml", ".json", ".toml"):
        raise ConfigError(
            f"{word!r} is a config file, and the task comes first: "
            f"`jupyter aiqueue {command} TASK --config {word}`."
        )


@contextmanager
def open_client(notebook: str | None = None) -> Iterator[Client]:
    """A client for one command; what waits in the inbox is recorded on the way."""
    from ..core.client import Client

    client = Client(notebook=notebook)
    try:
        yield client
    finally:
        client.close()


def add_experiment(command: argparse.ArgumentParser, *, words: str, config: str) -> None:
    """Declare what is to run, with which config, where and how."""
    command.add_argument("task", help="task name, as in the workers' tasks file")
    command.add_argument("words", nargs="*", metavar="KEY=VALUE", help=words)
    command.add_argument("--config", dest="file", metavar="FILE", help=config)
    command.add_argument("--group", default="train", help="worker group (train)")
    command.add_argument(
        "--priority",
        choices=["high", "normal", "low"],
        default="normal",
        help="which line to wait in (normal)",
    )
    command.add_argument("--retries", type=int, metavar="N", help="attempts beyond the first (2)")


def add_terms(command: argparse.ArgumentParser) -> None:
    """Declare what a retry may have otherwise than the job that it repeats, but its group."""
    terms = command.add_argument_group("what the new job shall have otherwise than the old one")
    terms.add_argument("--task", metavar="NAME", help="what it runs")
    terms.add_argument("--priority", choices=["high", "normal", "low"], help="its place in line")
    terms.add_argument("--retries", type=int, metavar="N", help="attempts beyond the first")
    terms.add_argument(
        "--timeout", type=duration, metavar="TIME", help="for one attempt: 90, 30m, 2h"
    )
    terms.add_argument("--name", help="its label for people")


def sort(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names, and ``KEY=VALUE`` pairs."""
    return [w for w in words if "=" not in w], [w for w in words if "=" in w]


def show(options: argparse.Namespace, content: dict[str, Any], text: str) -> int:
    """Print ``content`` for ``--json``, else ``text``; the exit code of what went well."""
    print(json.dumps(content) if options.json else text)
    return 0


def show_again(
    options: argparse.Namespace,
    handles: Sequence[JobHandle],
    notes: Sequence[str],
    *,
    alone: bool = False,
) -> int:
    """Show new jobs, and what their submitter should know; ``alone``: the one asked for."""
    jobs = [{"job_id": handle.id, "retry_of": handle.record.retry_of} for handle in handles]
    lines = [f"{job['retry_of']} is submitted again as {job['job_id']}" for job in jobs]
    for note in dict.fromkeys([*(n for handle in handles for n in handle.notes), *notes]):
        print(note, file=sys.stderr)
    content = jobs[0] if alone else {"jobs": jobs}
    return show(options, content, "\n".join(lines) or "Nothing was submitted again.")


def duration(text: str) -> float:
    """A type of argument: seconds, as 90, 30m or 2h."""
    from ..core.parameters import parse_duration

    try:
        return parse_duration(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
