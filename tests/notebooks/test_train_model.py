"""The example's training script, by hand and as a worker runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sklearn")

SCRIPT = Path(__file__).parents[2] / "notebooks" / "train_model.py"

#: Runs a script in an environment that lacks the package.
WITHOUT_THE_PACKAGE = """
import runpy, sys
sys.modules["jupyter_aiqueue"] = None
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def run(*command: str | Path, report: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AIQUEUE_")}
    if report:
        environment["AIQUEUE_REPORT"] = str(report)
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def lines_of(report: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in report.read_text().splitlines()]


@pytest.mark.parametrize("model", ["mlp", "logistic", "svm"])
def test_every_model_learns_the_digits_and_reports_every_epoch(tmp_path: Path, model: str) -> None:
    report = tmp_path / "report.jsonl"

    done = run(SCRIPT, "--model", model, "--data", "digits", "--epochs", "8", report=report)

    assert done.returncode == 0, done.stderr
    lines = lines_of(report)
    assert [line["metrics"]["epoch"] for line in lines] == list(range(1, 9))
    assert lines[-1]["progress"] == 1.0
    assert lines[-1]["metrics"]["accuracy"] > 0.9
    assert lines[-1]["metrics"]["loss"] < lines[0]["metrics"]["loss"]
    assert f"accuracy {lines[-1]['metrics']['accuracy']:.4f}" in done.stdout


def test_the_script_reports_the_same_where_the_package_is_not_installed(tmp_path: Path) -> None:
    flags = ("--model", "logistic", "--epochs", "3")

    with_it, without = tmp_path / "with.jsonl", tmp_path / "without.jsonl"
    assert run(SCRIPT, *flags, report=with_it).returncode == 0
    done = run("-c", WITHOUT_THE_PACKAGE, SCRIPT, *flags, report=without)

    assert done.returncode == 0, done.stderr
    what_is_said = [(line["progress"], line["metrics"]) for line in lines_of(without)]
    assert what_is_said == [(line["progress"], line["metrics"]) for line in lines_of(with_it)]


def test_the_script_runs_by_hand_without_a_worker() -> None:
    done = run(SCRIPT, "--epochs", "1")

    assert done.returncode == 0, done.stderr
    assert "epoch   1/1" in done.stdout


def test_the_same_seed_gives_the_same_model(tmp_path: Path) -> None:
    reports = [tmp_path / "one.jsonl", tmp_path / "two.jsonl"]
    for report in reports:
        assert run(SCRIPT, "--epochs", "2", "--seed", "7", report=report).returncode == 0

    first, second = ([line["metrics"] for line in lines_of(report)] for report in reports)
    assert first == second


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("--model", "resnet50"), "invalid choice: 'resnet50'"),
        (("--epochs", "0"), "--epochs must be at least 1"),
        (("--lr", "-1"), "--lr must be above 0"),
    ],
)
def test_a_flag_it_cannot_use_ends_it_with_status_2_and_says_why(
    flags: tuple[str, str], complaint: str
) -> None:
    done = run(SCRIPT, *flags)

    assert done.returncode == 2
    assert complaint in done.stderr
