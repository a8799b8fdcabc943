"""The decorator that makes a magic of a method: options, help, and errors as one line."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

from IPython.core import magic as ipython
from IPython.core import magic_arguments

from ..core.errors import AIQueueError
from .arguments import HelpAsked, parse, parse_with_config, slips

Method = Callable[[Any, argparse.Namespace], Any]


class Option(NamedTuple):
    """One argument, as `argparse` takes it."""

    names: tuple[str, ...]
    settings: dict[str, Any]


def option(*names: str, **settings: Any) -> Option:
    """One argument of a magic; see `argparse.ArgumentParser.add_argument`."""
    return Option(names, settings)


def magic(*options: Option, cell: bool = False, config: bool = False) -> Callable[[Method], Any]:
    """Make a line magic of a method that takes the parsed options.

    An error of this package is shown as one line, without a traceback; a script that runs the
    magic still catches the exception that it is.

    Args:
        cell: also a cell magic; ``options.cell`` is the cell's body, None on a line.
        config: unknown ``--key value`` pairs are allowed, and are in ``options.pairs``;
            ``options.slips`` has a sentence for each that looks like an option misspelt.
    """

    def decorate(method: Method) -> Any:
        @functools.wraps(method)
        def run(self: Any, line: str, cell: str | None = None) -> Any:
            try:
                parser = run.parser  # type: ignore[attr-defined]
                if config:
                    parsed, parsed_pairs = parse_with_config(parser, line)
                    parsed.pairs = parsed_pairs
                    parsed.slips = slips(parser, parsed_pairs)
                else:
                    parsed = parse(parser, line)
                parsed.cell = cell
                return method(self, parsed)
            except HelpAsked as asked:
                print(asked)  # noqa: T201
                return None
            except AIQueueError as error:
                without_traceback(error)
                raise

        made: Any = run
        for names, settings in reversed(options):
            made = _ipython(magic_arguments.argument, *names, **settings)(made)
        made = _ipython(magic_arguments.magic_arguments)(made)
        made.parser.formatter_class = _Help
        made.__doc__ = made.parser.format_help()
        mark: Any = ipython.line_cell_magic if cell else ipython.line_magic
        return mark(made)

    return decorate


class _Help(magic_arguments.MagicHelpFormatter):
    """IPython's own, without its markup for documentation tools."""

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """The first lines."""
        argparse.HelpFormatter.add_usage(self, usage, actions, groups, prefix or "%")


def _ipython(maker: Any, *arguments: Any, **settings: Any) -> Any:
    """A decorator of IPython's, whose types are not told."""
    return maker(*arguments, **settings)


def without_traceback(error: BaseException, text: str | None = None) -> None:
    """Have IPython show ``error`` as one line: ``text``, or its own."""
    line = text or f"{type(error).__name__}: {error}"
    # IPython asks exceptions for this before it makes a traceback.
    error._render_traceback_ = lambda: [line]  # type: ignore[attr-defined]
