"""The argument line of a magic: options that are known, and ``--key value`` pairs of a config."""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from IPython.core.error import UsageError

from ..core.errors import ConfigError
from ..core.parameters import parse_duration, parse_value

_OPEN, _CLOSE = ("[", "{"), ("]", "}")
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"")


class HelpAsked(Exception):
    """The line asks for help; the text is the exception's argument."""


def split(line: str) -> list[str]:
    """Split a line as a POSIX shell does, without its comments.

    Raises:
        UsageError: a quotation is not closed.
    """
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split = True
    lexer.commenters = ""
    if os.name == "nt":
        lexer.escape = ""  # paths have backslashes
    try:
        return list(lexer)
    except ValueError as error:
        raise UsageError(f"{error} in: {line.strip()}") from error


def parse(parser: argparse.ArgumentParser, line: str) -> argparse.Namespace:
    """Parse a line that may hold known options only.

    Raises:
        UsageError: something on it is not known.
        HelpAsked.
    """
    words = split(line)
    _look_for_help(parser, words)
    parser.allow_abbrev = False
    return _known(parser, words)


def parse_with_config(
    parser: argparse.ArgumentParser, line: str
) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Parse a line whose unknown ``--key value`` pairs are a config.

    Values get types by the rules of YAML (see `core.parameters.parse_value`). A key without a value
    is true, a repeated one a list. After ``--`` every key belongs to the config, also those
    that are options otherwise.

    Raises:
        UsageError: a word that belongs to nothing, or a list or mapping that is not closed.
        HelpAsked.
    """
    words = split(line)
    _look_for_help(parser, words)
    parser.allow_abbrev = False
    known = {name: action for action in parser._actions for name in action.option_strings}
    options: list[str] = []
    # After the options, because argparse wants them in one piece.
    names: list[str] = []
    pairs: list[tuple[str, Any]] = []
    all_config = False
    index = 0
    while index < len(words):
        word = words[index]
        index += 1
        if word == "--":
            all_config = True
            continue
        name, equals, attached = word.partition("=")
        action = None if all_config else known.get(name)
        if action is not None:
            options.append(word)
            if not equals:
                taken = _values_of(action, words[index:])
                options += taken
                index += len(taken)
        elif name.startswith("--") and len(name) > 2:
            values = [attached] if equals else _value_at(words, index)
            index += 0 if equals else len(values)
            if equals or values:
                values, more = _close(name, values, words[index:])
                index += more
                pairs.append((name[2:], parse_value(" ".join(values))))
            else:
                pairs.append((name[2:], True))
        elif _is_option(word):
            options.append(word)  # argparse says what is wrong with it
        else:
            names.append(word)
    return _known(parser, options + names, first=words[:1]), _merged(pairs)


def slips(parser: argparse.ArgumentParser, pairs: Iterable[str]) -> list[str]:
    """A sentence for each config key that looks like an option misspelt.

    It stays a config value, because experiments have parameters of any name.
    """
    known = [name for action in parser._actions for name in action.option_strings]
    found = []
    for key in pairs:
        close = difflib.get_close_matches(f"--{key}", known, n=1, cutoff=0.8)
        if close and close[0] != f"--{key}":
            found.append(f"--{key} became a value of the config. Did you mean {close[0]}?")
    return found


def duration(text: str) -> float:
    """`parse_duration`, for argparse."""
    try:
        return parse_duration(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _known(
    parser: argparse.ArgumentParser, words: Sequence[str], first: Sequence[str] = ()
) -> argparse.Namespace:
    """Parse words that the parser has to know; ``first`` is what the line begins with."""
    options, unknown = parser.parse_known_args(words)
    if unknown:
        known = [name for action in parser._actions for name in action.option_strings]
        name, is_pair, value = unknown[0].partition("=")
        if is_pair and name.isidentifier() and "--task" in known:  # it takes a config
            raise UsageError(f"{unknown[0]!r} is no option: did you mean --{name} {value}?")
        if unknown[:1] == list(first) and "--task" in known:
            raise UsageError(f"{unknown[0]!r} is no option: did you mean --task {unknown[0]}?")
        raise UsageError(
            f"{unknown[0]!r} is not known here; `%{parser.prog} --help` tells what is. "
            "Values with spaces need quotes."
        )
    return options


def _look_for_help(parser: argparse.ArgumentParser, words: Sequence[str]) -> None:
    before = words[: words.index("--")] if "--" in words else words
    if "--help" in before or "-h" in before:
        raise HelpAsked(parser.format_help())


def _is_option(word: str) -> bool:
    """Whether a word starts an option: negative numbers and a lone dash do not."""
    return word.startswith("-") and len(word) > 1 and not re.match(r"-[\d.]", word)


def _values_of(action: argparse.Action, following: Sequence[str]) -> list[str]:
    if action.nargs == 0:
        return []
    if action.nargs is None:
        return list(following[:1])
    values = []
    for word in following:
        if _is_option(word):
            break
        values.append(word)
    return values


def _value_at(words: Sequence[str], index: int) -> list[str]:
    return [words[index]] if index < len(words) and not _is_option(words[index]) else []


def _close(name: str, values: list[str], following: Sequence[str]) -> tuple[list[str], int]:
    """Take more words until a list or mapping that begins here is closed: ``[64, 32]``."""
    taken = 0
    if values[0][:1] in _OPEN:
        while _depth(" ".join(values)) > 0:
            if taken == len(following):
                raise UsageError(f"{name} {' '.join(values)}: the bracket is not closed.")
            values = [*values, following[taken]]
            taken += 1
    return values, taken


def _depth(text: str) -> int:
    """Brackets that are open at the end of ``text``, those in quotes not counted."""
    text = _QUOTED.sub("", text)
    return sum(text.count(c) for c in _OPEN) - sum(text.count(c) for c in _CLOSE)


def _merged(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    config: dict[str, Any] = {}
    repeated: set[str] = set()
    for key, value in pairs:
        if key in repeated:
            config[key].append(value)
        elif key in config:
            config[key] = [config[key], value]
            repeated.add(key)
        else:
            config[key] = value
    return config
