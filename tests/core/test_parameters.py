"""Config values as people write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.errors import ConfigError
from jupyter_aiqueue.core.parameters import (
    parse_config,
    parse_pairs,
    parse_value,
    read_config_file,
)

from .histories import configs


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10),
        ("-3", -3),
        ("010", 10),
        ("0x10", 16),
        ("1e-3", 0.001),
        ("1E5", 1e5),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("[1, 2]", [1, 2]),
        ("{a: 1}", {"a": 1}),
        ("[1e-3, no]", [0.001, "no"]),
        ('"10"', "10"),
        ("'true'", "true"),
        ("", ""),
        (" ", " "),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("1:30:00", "1:30:00"),
        ("2026-01-02", "2026-01-02"),
        ("2026-01-02T03:04:05", "2026-01-02T03:04:05"),
        ("1_000", "1_000"),
        (".nan", ".nan"),
        (".inf", ".inf"),
        ("nan", "nan"),
        ("inf", "inf"),
        ("1e999", "1e999"),
        ("*.csv", "*.csv"),
        ("&x", "&x"),
        ("!!python/object:os.system", "!!python/object:os.system"),
        ("#fff", "#fff"),
        ("a: b", "a: b"),
        ("a # b", "a # b"),
        ("@home", "@home"),
        ("%x", "%x"),
        ("[1, 2", "[1, 2"),
        ("{a: }", {"a": None}),
        ("- x", "- x"),
        ("C:\\data", "C:\\data"),
        ("/data/train_set_v2", "/data/train_set_v2"),
        ("resnet50", "resnet50"),
        ("a\nb: c", "a\nb: c"),
        ("[" * 300, "[" * 300),
        ("1.2.3", "1.2.3"),
    ],
)
def test_a_word_is_the_value_that_everybody_means(text, value):
    found = parse_value(text)
    assert found == value
    assert type(found) is type(value)


@given(st.text())
def test_any_text_gives_a_json_value_and_nothing_is_run(text):
    json.dumps(parse_value(text), allow_nan=False)


@given(st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_as_python_writes_them_are_read_as_they_were(number):
    assert parse_value(repr(number)) == number


def test_pairs_are_a_config():
    pairs = ["epochs=10", "lr=1e-3", "data=/a=b", "empty="]
    assert parse_pairs(pairs) == {"epochs": 10, "lr": 0.001, "data": "/a=b", "empty": ""}


@pytest.mark.parametrize("pair", ["epochs", "=10", ""])
def test_what_is_no_pair_is_an_error_with_an_example(pair):
    with pytest.raises(ConfigError, match="epochs=10"):
        parse_pairs([pair])


@pytest.mark.parametrize(
    "text",
    [
        '{"epochs": 10, "lr": 1e-3, "data": {"path": "/d"}}',
        "epochs: 10\nlr: 1e-3\ndata:\n  path: /d\n",
        'epochs = 10\nlr = 1e-3\n[data]\npath = "/d"\n',
        "# a comment\nepochs: 10\nlr: 1e-3\ndata: {path: /d}\n",
    ],
    ids=["json", "yaml", "toml", "commented"],
)
def test_json_yaml_and_toml_are_told_apart(text):
    assert parse_config(text, source="the cell") == {
        "epochs": 10,
        "lr": 0.001,
        "data": {"path": "/d"},
    }


@given(configs)
def test_a_config_written_as_json_is_read_as_it_was(config):
    assert parse_config(json.dumps(config), source="x", kind="JSON") == config


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n- 2",
        "just text",
        "42",
        "{",
        "a: [",
        "a = ",
        '{"a": 1',
        "1: 2",
        "a: 1\na: 2",
        "a: !!python/name:os.system",
    ],
)
def test_what_is_no_config_is_an_error_that_names_its_source(text):
    with pytest.raises(ConfigError, match="the cell"):
        parse_config(text, source="the cell")


@pytest.mark.parametrize("text", ["", "\n", "# nothing yet\n"])
def test_nothing_is_an_empty_config(text):
    assert parse_config(text, source="the cell") == {}


def test_dates_are_text_in_every_format():
    for text in ("day: 2026-01-02", "day = 2026-01-02"):
        assert parse_config(text, source="x") == {"day": "2026-01-02"}


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.json", '{"a": 1}'), ("a.yaml", "a: 1"), ("a.toml", "a = 1"), ("a", "a: 1")],
)
def test_a_file_is_read_by_its_ending(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert read_config_file(tmp_path / name) == {"a": 1}


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "broken.json").write_text("{")
    for name in ("missing.yaml", "binary.yaml", "broken.json", "."):
        with pytest.raises(ConfigError, match=str(tmp_path)):
            read_config_file(tmp_path / name)
