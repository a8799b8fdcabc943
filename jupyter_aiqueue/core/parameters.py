"""Config values as people write them: single words, ``key=value`` pairs, YAML, JSON, TOML.

YAML is read by the rules of YAML 1.2's core schema (https://yaml.org/spec/1.2.2/#103-core-schema),
not those of 1.1 that PyYAML has by default: ``1e-3`` is a number, ``no``, ``12:30`` and dates are
text, ``010`` is ten, and a key that is there twice is an error.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    import yaml

_FORMATS = {".json": "JSON", ".toml": "TOML", ".yaml": "YAML", ".yml": "YAML"}

#: How a first line looks that is TOML and not YAML: `key = …` or `[table]`.
_TOML_LINE = re.compile(r"\s*[\w.\"'-]+\s*=|\s*\[[^,]*\]\s*$")


_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")


def parse_value(text: str) -> Any:
    """One value by YAML rules: ``10`` is a number, ``true`` a boolean, ``[1, 2]`` a list.

    ``'"10"'`` (in quotes of its own) is text. What is no JSON value (``.nan``) or no YAML at
    all (``*.csv``, ``#fff``) stays the text that it is.
    """
    import yaml

    if "\n" in text or not text.strip():
        return text
    try:
        if text.lstrip()[:1] in ("[", "{", '"', "'"):
            value = _load_yaml(text)
        else:
            # A plain word: not YAML's comments, aliases and `a: b`, which nobody means here.
            loader: Any = _loader()("")
            try:
                tag = loader.resolve(yaml.ScalarNode, text, (True, False))
                value = loader.construct_object(yaml.ScalarNode(tag, text))
            finally:
                loader.dispose()
        json.dumps(value, allow_nan=False)
    except (yaml.YAMLError, TypeError, ValueError, RecursionError):
        return text
    return value


def parse_duration(text: str) -> float:
    """Seconds of ``90``, ``30m``, ``1h30m``, ``2h``, ``1.5d``. Raises `ConfigError`."""
    if _DURATION.fullmatch(text):
        parts = re.findall(r"([\d.]+)([smhd])", text)
        return float(sum(float(number) * _UNIT[unit] for number, unit in parts))
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(
            f"{text!r} is no duration: seconds (90), or with units (30m, 2h, 1h30m)"
        ) from error


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


def parse_config(text: str, *, source: str, kind: str | None = None) -> dict[str, Any]:
    """A config written as JSON, YAML or TOML.

    Args:
        source: what the text is, for errors.
        kind: ``JSON``, ``YAML`` or ``TOML``; whichever it is when None.

    Raises:
        ConfigError: it cannot be read (says in which line), or is not a mapping of names.
    """
    try:
        config = _read(text, kind)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{source} cannot be read as {kind or _guess(text)}: {error}.") from error
    return {} if config is None else _checked(config, source)  # None: nothing but comments


def _checked(config: Any, source: str) -> dict[str, Any]:
    if not isinstance(config, dict):
        raise ConfigError(f"{source} must be a mapping of names to values, like `epochs: 10`.")
    odd = next((key for key in config if not isinstance(key, str)), None)
    if odd is not None:
        raise ConfigError(f"{source}: the name {odd!r} must be text; put it in quotes.")
    return config


def read_config_file(path: Path) -> dict[str, Any]:
    """The config in a file, whose ending tells the format; raises `ConfigError`."""
    return parse_config(_text_of(path), source=str(path), kind=_FORMATS.get(path.suffix.lower()))


def read_configs_file(path: Path) -> list[dict[str, Any]]:
    """The configs in a file: a list of mappings (JSON, YAML), or a single one. `ConfigError`."""
    text, source, kind = _text_of(path), str(path), _FORMATS.get(path.suffix.lower())
    with suppress(ValueError, RecursionError):  # what is wrong is said below
        found = _read(text, kind)
        if isinstance(found, list):
            if not found:
                raise ConfigError(f"{source} is an empty list: there is no config in it.")
            return [
                _checked(config, f"Config {number} of {source}")
                for number, config in enumerate(found, 1)
            ]
    return [parse_config(text, source=source, kind=kind)]


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The config file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The config file {path} is not UTF-8 text.") from error


def _read(text: str, kind: str | None) -> Any:
    if kind is not None:
        return _READERS[kind](text)
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)
        except ValueError:
            return _load_yaml(text)
    # TOML before YAML: `a = "b: c"` would also be a YAML mapping, but not the one meant.
    try:
        return _load_toml(text)
    except ValueError:
        if _guess(text) == "TOML":
            raise
        return _load_yaml(text)


def _guess(text: str) -> str:
    """What a text that cannot be read was most probably meant to be."""
    if text.lstrip().startswith("{"):
        return "JSON"
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    return "TOML" if lines and _TOML_LINE.match(lines[0]) else "YAML"


def _load_toml(text: str) -> Any:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    return _plain(tomllib.loads(text))


def _plain(value: Any) -> Any:
    """TOML's dates and times as text."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    return value


def _load_yaml(text: str) -> Any:
    """One YAML document; raises `ValueError` with a short text and the line."""
    import yaml

    try:
        loader = _loader()(text)
        try:
            return loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = "" if mark is None else f" in line {mark.line + 1}"
        raise ValueError(f"{error.problem or 'not YAML'}{where}") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from error


_READERS: dict[str, Callable[[str], Any]] = {
    "JSON": json.loads,
    "TOML": _load_toml,
    "YAML": _load_yaml,
}


@lru_cache(maxsize=1)
def _loader() -> type[yaml.SafeLoader]:
    """PyYAML's safe loader with the types of YAML 1.2, and without repeated keys."""
    import yaml

    class CoreLoader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012 (PyYAML's way)

    def construct_int(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        text = str(loader.construct_scalar(node))
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)

    def construct_float(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
        # Python reads `.inf` and `.nan` without their dot.
        text = str(loader.construct_scalar(node)).lower()
        return float(re.sub(r"\.(inf|nan)", r"\1", text))

    def construct_mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
        loader.flatten_mapping(node)
        mapping: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            key = loader.construct_object(key_node, deep=True)
            mark = key_node.start_mark
            if isinstance(key, (list, dict)):
                raise yaml.constructor.ConstructorError(None, None, "a name that is no text", mark)
            if key in mapping:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} is there twice", mark)
            mapping[key] = loader.construct_object(value_node, deep=True)
        return mapping

    for tag, pattern, first in (
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        (
            "float",
            r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
            "-+0123456789.",
        ),
        ("null", r"~|null|Null|NULL", "~nN"),
    ):
        CoreLoader.add_implicit_resolver(
            f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), [*first]
        )
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("^$"), [""])
    CoreLoader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
    CoreLoader.add_constructor("tag:yaml.org,2002:int", construct_int)
    CoreLoader.add_constructor("tag:yaml.org,2002:float", construct_float)
    CoreLoader.add_constructor("tag:yaml.org,2002:map", construct_mapping)
    return CoreLoader
