"""The way in: finds the command, runs it, and says what went wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence

from .._version import __version__
from ..core.errors import AIQueueError
from . import broker, dead, jobs, plan, services
from .command import Commands


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parse(arguments)
    try:
        code: int = options.run(options)
    except AIQueueError as error:
        if options.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"jupyter aiqueue: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left (`| head`)
        return 0
    return code


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    # Words after an option are left over where a list of words began before it.
    words = getattr(options, "words", None)
    if more and (words is None or any(word.startswith("-") for word in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}{_pair(more, words)}")
    if words is not None:
        words += more
    return options


def _pair(more: Sequence[str], words: Sequence[str] | None) -> str:
    """How a config value is written, for who writes it as for a magic: ``--steps 2``."""
    option = next((word for word in more if word.startswith("--")), None)
    if words is None or option is None:
        return ""
    name, _, value = option[2:].partition("=")
    if name == "task":
        return " (the task is the first word: submit TASK KEY=VALUE ...)"
    after = [*more[more.index(option) + 1 :], "VALUE"]
    value = value or ("VALUE" if after[0].startswith("-") else after[0])
    return f" (config values are KEY=VALUE here: {name}={value})"


class _Help(argparse.HelpFormatter):
    """With room beside the names of commands, which are further in than options."""

    def add_arguments(self, actions: Iterable[argparse.Action]) -> None:
        """Those of one section."""
        super().add_arguments(actions)
        self._action_max_length += self._indent_increment


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter aiqueue",
        description="Queue-aware experiments on a shared RabbitMQ.",
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = Commands(parser)
    broker.add_node(commands)
    services.add_worker(commands)
    broker.add_status(commands)
    jobs.add_looking(commands)
    plan.add(commands)
    jobs.add_acting(commands)
    dead.add(commands)
    jobs.add_retry(commands)
    broker.add_doctor(commands)
    services.add_recorder(commands)
    return parser
