"""A config as a command line, read back by argparse."""

from __future__ import annotations

import argparse
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.arguments import arguments
from jupyter_aiqueue.core.errors import InvalidJob


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"epochs": 10}, ["--epochs", "10"]),
        ({"task_id": "train_001", "epochs": 1}, ["--epochs", "1"]),
        ({"lr": 0.1, "name": "a b"}, ["--lr", "0.1", "--name", "a b"]),
        ({"fast": True, "slow": False, "none": None}, ["--fast"]),
        ({"layers": [1, 2.5, "x"]}, ["--layers", "1", "2.5", "x"]),
        ({"layers": []}, []),
        ({"options": {"a": [1]}}, ["--options", '{"a": [1]}']),
        ({"shift": -3}, ["--shift", "-3"]),
        ({"shift": -1e-05}, ["--shift=-1e-05"]),
        ({"shifts": [-1e-05, 1]}, ["--shifts", "-0.00001", "1"]),
        ({"name": "--output"}, ["--name=--output"]),
        ({"empty": ""}, ["--empty", ""]),
        ({"model_type": "r"}, ["--model", "r"]),
        ({"hidden": 3, "shown": 1}, ["--shown", "1"]),
    ],
)
def test_a_config_becomes_flags(config: dict[str, Any], words: list[str]) -> None:
    flags = {"model_type": "--model", "hidden": False, "shown": True}
    assert arguments(config, flags) == words


def test_a_task_id_is_passed_on_request() -> None:
    assert arguments({"task_id": "t1"}, {"task_id": "--id"}) == ["--id", "t1"]


@pytest.mark.parametrize(
    "config",
    [
        {"a b": 1},
        {"": 1},
        {"-x": 1},
        {"a=b": 1},
        {"name": "a\0b"},
        {"name": "\ud800"},
        {"names": ["a", "--output=/etc/passwd"]},
        {"big": "x" * 200_000},
        {"many": list(range(500_000))},
    ],
)
def test_what_no_command_line_can_carry_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(InvalidJob) as caught:
        arguments(config, {})
    assert caught.value.reason == "bad-parameter"


def test_a_key_that_is_left_out_may_be_anything() -> None:
    assert (
        arguments({"a b": None, "c d": 1, "big": "x" * 200_000}, {"c d": False, "big": False}) == []
    )


_values = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20),
    st.integers(-(10**12), 10**12),
    st.floats(allow_nan=False, allow_infinity=False),
)


@given(value=_values)
def test_argparse_reads_back_what_was_sent(value: Any) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--value", type=type(value))
    parser.add_argument("--other")
    options = parser.parse_args(arguments({"value": value, "other": "o"}, {}))
    assert options.value == value
    assert options.other == "o"


@given(values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=5))
def test_argparse_reads_back_a_list_of_numbers(values: list[float]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--values", type=float, nargs="+")
    options = parser.parse_args(arguments({"values": values}, {}))
    assert options.values == pytest.approx(values)
