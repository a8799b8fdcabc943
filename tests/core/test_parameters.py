"""Config values as people write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jupyter_aiqueue.core.errors import ConfigError
from jupyter_aiqueue.core.parameters import (
    parse_config,
    parse_pairs,
    parse_value,
    read_config_file,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("010", 10),
        ("+3", 3),
        ("0x1F", 31),
        ("1e-3", 0.001),
        ("4.", 4.0),
        (".5", 0.5),
        ("true", True),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("~/data", "~/data"),
        ("12:30", "12:30"),
        ("2024-01-31", "2024-01-31"),
        ("1_000", "1_000"),
        ("#fff", "#fff"),
        ("*.csv", "*.csv"),
        ("[0-9]*.csv", "[0-9]*.csv"),
        ("a: b", "a: b"),
        (".nan", ".nan"),
        ('"10"', "10"),
        ("[1, 2.5, x]", [1, 2.5, "x"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("", ""),
    ],
)
def test_one_value_is_typed_by_the_rules_of_yaml(text: str, value: Any) -> None:
    found = parse_value(text)

    assert found == value
    assert type(found) is type(value)


CONFIG = {"model_type": "resnet50", "lr": 0.0003, "layers": [64, 32], "day": "2024-01-31"}


@pytest.mark.parametrize(
    "text",
    [
        "model_type: resnet50\nlr: 3e-4\nlayers: [64, 32]\nday: 2024-01-31\n",
        '{"model_type": "resnet50", "lr": 3e-4, "layers": [64, 32], "day": "2024-01-31"}',
        'model_type = "resnet50"\nlr = 3e-4\nlayers = [64, 32]\nday = 2024-01-31\n',
        "# a comment\n\nmodel_type: resnet50\nlr: 3e-4\nlayers:\n  - 64\n  - 32\nday: 2024-01-31",
        "{model_type: resnet50, lr: 3e-4, layers: [64, 32], day: 2024-01-31}",
    ],
)
def test_yaml_json_and_toml_say_the_same(text: str) -> None:
    assert parse_config(text, source="The cell") == CONFIG


def test_toml_whose_text_looks_like_yaml_stays_toml() -> None:
    assert parse_config('note = "a: b"\n[optimizer]\nname = "adam"', source="x") == {
        "note": "a: b",
        "optimizer": {"name": "adam"},
    }


def test_nothing_but_comments_is_an_empty_config() -> None:
    assert parse_config("# later\n", source="x") == {}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- 1\n- 2", "mapping of names"),
        ("hello", "mapping of names"),
        ("a: 1\nb: 2\na: 3", "'a' is there twice in line 3"),
        ("a: [1, 2", "YAML.*line 1"),
        ("a = \n", "TOML.*line 1"),
        ('{"a": \n', "JSON"),
        ("1: x", "the name 1 must be text"),
        ("a: !!python/object/apply:os.system [id]", "YAML"),
        ("a: &a [*a]", "YAML"),
    ],
)
def test_what_cannot_be_read_says_where(text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse_config(text, source="The cell")

    assert str(caught.value).startswith("The cell")


def test_the_ending_of_a_file_tells_its_format(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("epochs = 3")
    (tmp_path / "a.yml").write_text("epochs: 3")
    (tmp_path / "wrong.json").write_text("epochs: 3")

    assert read_config_file(tmp_path / "a.toml") == {"epochs": 3}
    assert read_config_file(tmp_path / "a.yml") == {"epochs": 3}
    with pytest.raises(ConfigError, match=r"wrong\.json cannot be read as JSON"):
        read_config_file(tmp_path / "wrong.json")
    with pytest.raises(ConfigError, match=r"none\.yml cannot be read: No such file"):
        read_config_file(tmp_path / "none.yml")


def test_pairs_need_a_key_and_a_value() -> None:
    assert parse_pairs(["epochs=10", "path=a=b"]) == {"epochs": 10, "path": "a=b"}
    with pytest.raises(ConfigError, match="KEY=VALUE"):
        parse_pairs(["epochs"])
