"""Config values as people write them: ``key=value`` pairs by YAML rules, and config files."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

#: What YAML 1.1 takes for text, though everybody means a number: ``1e-3``.
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)[eE][+-]?\d+")

#: What YAML 1.1 takes for a number to the base of 60, though everybody means a time: ``12:30``.
_CLOCK = re.compile(r"[+-]?\d+(:\d+)+(\.\d*)?")


def parse_value(text: str) -> Any:
    """One value by YAML rules: ``10`` is a number, ``true`` a boolean, ``[1, 2]`` a list.

    What is no JSON value (a date) or no YAML at all stays the text that it is.
    """
    import yaml

    if _NUMBER.fullmatch(text):
        return float(text)
    if _CLOCK.fullmatch(text):
        return text
    try:
        value = yaml.safe_load(text)
        json.dumps(value, allow_nan=False)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        return text
    return _plain(value, text)


def parse_pairs(pairs: Iterable[str]) -> dict[str, Any]:
    """``["epochs=10", "lr=1e-3"]`` as a config.

    Raises:
        ConfigError: a pair has no ``=`` or no key.
    """
    config = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise ConfigError(f"{pair!r} is not KEY=VALUE, for example epochs=10.")
        config[key] = parse_value(text)
    return config


def parse_config(text: str, *, source: str) -> dict[str, Any]:
    """A config written as JSON, YAML or TOML, whichever it is.

    Args:
        source: what the text is, for errors.

    Raises:
        ConfigError: it is none of them, or not a mapping of JSON values.
    """
    import yaml

    config: Any
    try:
        # JSON is YAML, except where YAML 1.1 reads numbers and tabs in its own way.
        config = json.loads(text)
    except ValueError:
        try:
            config = tomllib.loads(text)
        except ValueError:
            try:
                config = yaml.safe_load(text)
            except yaml.YAMLError as error:
                raise ConfigError(
                    f"{source} is neither YAML, JSON nor TOML: {_short(error)}"
                ) from error
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        raise ConfigError(f"{source} must be a mapping of names to values, like `epochs: 10`.")
    return {key: _plain(value, f"{source}: {key}") for key, value in config.items()}


def read_config_file(path: Path) -> dict[str, Any]:
    """The config in a file; raises `ConfigError`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {path} cannot be read: {error}") from error
    return parse_config(text, source=str(path))


def _plain(value: Any, where: str) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    if isinstance(value, dict):
        return {str(key): _plain(item, where) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, where) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise ConfigError(f"{where}: {value!r:.80} is not a JSON value.")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
