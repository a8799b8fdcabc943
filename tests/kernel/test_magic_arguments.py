"""The argument line of a magic."""

from __future__ import annotations

import argparse
import json
import shlex
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from IPython.core.error import UsageError

from jupyter_aiqueue.kernel.arguments import HelpAsked, duration, parse, parse_with_config

KNOWN = {"model", "name", "timeout", "wait", "queue", "output"}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("submit_train", add_help=False)
    made.add_argument("--model")
    made.add_argument("--name")
    made.add_argument("--timeout", type=duration)
    made.add_argument("--wait", action="store_true")
    made.add_argument("--queue", nargs="+", action="extend", default=[])
    made.add_argument("-o", "--output")

    def error(message: str) -> Any:
        raise UsageError(message)

    made.error = error  # type: ignore[method-assign]
    return made


def config_of(line: str) -> dict[str, Any]:
    return parse_with_config(parser(), line)[1]


@pytest.mark.parametrize(
    ("line", "config"),
    [
        ("--epochs 10 --lr 1e-3", {"epochs": 10, "lr": 0.001}),
        ("--epochs=10 --lr=.5", {"epochs": 10, "lr": 0.5}),
        ("--shift -3 --scale -0.5", {"shift": -3, "scale": -0.5}),
        ("--amp --epochs 3 --resume", {"amp": True, "epochs": 3, "resume": True}),
        ("--layer 64 --layer 32 --layer 16", {"layer": [64, 32, 16]}),
        ("--layers [64, 32] --x 1", {"layers": [64, 32], "x": 1}),
        (
            "--opt '{name: adam, betas: [0.9, 0.99]}'",
            {"opt": {"name": "adam", "betas": [0.9, 0.99]}},
        ),
        ("--opt {name: adam} --x 1", {"opt": {"name": "adam"}, "x": 1}),
        ("--tag '\"10\"'", {"tag": "10"}),
        ("--note 'two words'", {"note": "two words"}),
        (
            "--day 2024-01-31 --at 12:30 --answer no",
            {"day": "2024-01-31", "at": "12:30", "answer": "no"},
        ),
        ("--colour #fff --files *.csv", {"colour": "#fff", "files": "*.csv"}),
        ("--empty '' --none null", {"empty": "", "none": None}),
        ("--batch-size 8 --optimizer.lr 0.1", {"batch-size": 8, "optimizer.lr": 0.1}),
        # Names that only begin like known ones are the config's.
        (
            "--mode fast --time 3 --wait-for x --o 1",
            {"mode": "fast", "time": 3, "wait-for": "x", "o": 1},
        ),
        ("--x 1 -- --name run --timeout 3", {"x": 1, "name": "run", "timeout": 3}),
    ],
)
def test_unknown_pairs_become_a_config_with_types(line: str, config: dict[str, Any]) -> None:
    assert config_of(line) == config


def test_a_task_without_its_option_is_guessed() -> None:
    made = parser()
    made.add_argument("--task")

    with pytest.raises(UsageError, match=r"did you mean --lr 0\.1"):
        parse_with_config(made, "lr=0.1 --epochs 3")
    with pytest.raises(UsageError, match="is not known here"):
        parse_with_config(parser(), "lr=0.1")
    with pytest.raises(UsageError, match="did you mean --task finetune"):
        parse_with_config(made, "finetune --lr 0.1")
    with pytest.raises(UsageError, match="need quotes"):
        parse_with_config(made, "--name my run")


def test_known_options_are_found_wherever_they_stand() -> None:
    options, config = parse_with_config(
        parser(), "--epochs 3 --name 'my run' --timeout 1h30m -o job --lr 0.1 --wait --flag"
    )

    assert options.name == "my run"
    assert options.timeout == 5400
    assert options.output == "job"
    assert options.wait is True
    assert config == {"epochs": 3, "lr": 0.1, "flag": True}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("oops", "'oops' is not known"),
        ("--epochs 3 4", "'4' is not known"),
        ("--layers [64, 32", "not closed"),
        ("--name 'open", "No closing quotation"),
        ("--timeout soon", "no duration"),
        ("-x 3", "'-x' is not known"),
        ("--name", "expected one argument"),
    ],
)
def test_a_fault_of_the_user_is_a_usage_error_that_names_it(line: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        config_of(line)


def test_help_is_asked_for_anywhere_but_after_the_separator() -> None:
    with pytest.raises(HelpAsked):
        config_of("--epochs 3 --help")
    with pytest.raises(HelpAsked):
        parse(parser(), "-h")
    assert config_of("-- --help") == {"help": True}


def test_a_line_without_config_takes_no_unknown_pairs() -> None:
    assert parse(parser(), "--queue a b --queue c").queue == ["a", "b", "c"]
    with pytest.raises(UsageError, match="--epochs"):
        parse(parser(), "--epochs 3")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("1.5", 1.5), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("1.5d", 129600)],
)
def test_durations_are_seconds_or_have_units(text: str, seconds: float) -> None:
    assert duration(text) == seconds


keys = st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True).filter(lambda k: k not in KNOWN)
texts = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = scalars | st.lists(scalars, max_size=4) | st.dictionaries(texts, scalars, max_size=3)


@given(st.dictionaries(keys, values, max_size=5))
@example({"a": ["{"]})
def test_what_is_written_as_json_arrives_as_it_was(config: dict[str, Any]) -> None:
    line = " ".join(
        f"--{key} {shlex.quote(json.dumps(value, ensure_ascii=False))}"
        for key, value in config.items()
    )

    assert config_of(line) == config


@given(st.text(max_size=60))
@example("--a [{")
@example("--=3")
@example("-- -- --")
@example('--a "\\')
def test_no_line_breaks_the_parser(line: str) -> None:
    try:
        options, config = parse_with_config(parser(), line)
    except (UsageError, HelpAsked):
        return
    assert isinstance(options, argparse.Namespace)
    assert all(isinstance(key, str) and key for key in config)
