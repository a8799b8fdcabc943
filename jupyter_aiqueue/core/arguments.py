"""A job's config as words of a command line: how workers run it, and what none of them can."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from .errors import InvalidJob

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")

#: What argparse takes for a number although it starts with "-".
_NEGATIVE = re.compile(r"-\d+|-\d*\.\d+")

#: Bytes: what Linux lets one argument (MAX_ARG_STRLEN), and about what all of them take.
_LONGEST_WORD = 131_000
_LONGEST_LINE = 1_500_000

_TOO_LONG = (
    "is too long for a command line. The script can read the file named by AIQUEUE_CONFIG "
    "instead; `flags` of the task leaves keys out with `false`."
)


def arguments(config: Mapping[str, Any], flags: Mapping[str, str | bool]) -> list[str]:
    """``config`` as flags and values.

    Every key becomes ``--key value``, or the flag that ``flags`` gives it. True is the bare
    flag; False and None are left out; a list gives several values; a mapping is passed as
    JSON. ``task_id`` is left out unless ``flags`` names it. A value that starts with "-" is
    joined to its flag, so that a config cannot add flags of its own.

    Raises:
        InvalidJob: ``bad-parameter``: a key or value that no command line can carry.
    """
    words: list[str] = []
    for key, value in config.items():
        words += _words(key, value, flags.get(key, key != "task_id"))
    # Each word also takes a pointer.
    if sum(len(os.fsencode(word)) + 9 for word in words) > _LONGEST_LINE:
        raise InvalidJob("bad-parameter", f"The config as a whole {_TOO_LONG}")
    return words


def _words(key: str, value: Any, flag: str | bool) -> list[str]:
    if flag is False or value is None or value is False:
        return []
    if not _KEY.fullmatch(key):
        raise InvalidJob(
            "bad-parameter",
            f"The config key {key!r:.80} cannot be a flag: letters, digits, '_', '.' and '-' "
            "can, after a letter or '_'.",
        )
    if flag is True:
        flag = f"--{key}"
    if value is True:
        return [flag]
    if isinstance(value, list):
        return [flag, *(_item(key, item) for item in value)] if value else []
    text = _text(key, value)
    if text.startswith("-") and not _NEGATIVE.fullmatch(text):
        return [f"{flag}={text}"]
    return [flag, text]


def _item(key: str, value: Any) -> str:
    if isinstance(value, float) and value < 0 and value > float("-inf"):
        # argparse takes -1e-05 for a flag, but not -0.00001.
        value = format(Decimal(repr(value)), "f")
    text = _text(key, value)
    if text.startswith("-") and not _NEGATIVE.fullmatch(text):
        raise InvalidJob(
            "bad-parameter",
            f"The list `{key}` holds {text!r:.80}, which a command line would take for a flag.",
        )
    return text


def _text(key: str, value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if "\0" in text:
        raise InvalidJob("bad-parameter", f"The value of `{key}` holds a NUL character.")
    try:
        length = len(os.fsencode(text))
    except UnicodeEncodeError as error:
        raise InvalidJob(
            "bad-parameter", f"The value of `{key}` is not valid text: {error.reason}."
        ) from error
    if length > _LONGEST_WORD:
        raise InvalidJob("bad-parameter", f"The value of `{key}` {_TOO_LONG}")
    return text
