"""The report protocol, from both sides."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_aiqueue import report
from jupyter_aiqueue.worker.reports import Reports


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "report.jsonl"
    monkeypatch.setenv("AIQUEUE_REPORT", str(path))
    return path


class Number:
    """A number of NumPy or PyTorch."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


def test_what_a_script_reports_is_read(file: Path) -> None:
    reports = Reports(file)
    assert not reports.read()
    report(0.25, {"loss": 0.5, "epoch": 1})
    report(progress=0.5, metrics={"loss": Number(0.25), "worst": float("nan"), "all": (1, 2)})
    assert reports.read()
    assert reports.progress == 0.5
    assert reports.metrics == {"loss": 0.25, "epoch": 1, "worst": None, "all": [1, 2]}
    assert not reports.read()


def test_outside_a_job_a_report_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIQUEUE_REPORT", raising=False)
    report(progress=0.5)


@pytest.mark.parametrize("progress", [-0.1, 1.1, float("nan"), float("inf")])
def test_progress_outside_its_range_is_refused(file: Path, progress: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        report(progress=progress)
    assert not file.exists()


@pytest.mark.parametrize(
    ("progress", "metrics"), [("much", None), (None, {"a": object()}), (None, [1])]
)
def test_what_is_no_number_is_refused(file: Path, progress: Any, metrics: Any) -> None:
    with pytest.raises(TypeError):
        report(progress=progress, metrics=metrics)
    assert not file.exists()


def test_lines_of_several_processes_do_not_mix(file: Path) -> None:
    code = "from jupyter_aiqueue import report\nfor n in range(200): report(metrics={'x' * 500: n})"
    processes = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = file.read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 600


def test_an_unfinished_line_is_read_when_it_is_finished(tmp_path: Path) -> None:
    file = tmp_path / "report.jsonl"
    reports = Reports(file)
    file.write_bytes(b'{"progress": 0.1}\n{"progr')
    reports.read()
    assert reports.progress == 0.1
    with file.open("ab") as more:
        more.write(b'ess": 0.9}')
    reports.read()
    assert reports.progress == 0.1
    reports.read(final=True)
    assert reports.progress == 0.9
    assert reports.broken == 0


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"\xff\xfe",
        b"[1]",
        b'{"progress": 7, "metrics": 3}',
        b'{"progress": "half"}',
        b'{"progress": 1e999}',
        b'{"metrics": {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}}",
        b'{"metrics": {"a": "' + b"x" * 100_000 + b'"}}',
        b"x" * 2_000_000,
    ],
)
def test_a_broken_line_costs_only_itself(tmp_path: Path, line: bytes) -> None:
    file = tmp_path / "report.jsonl"
    file.write_bytes(b'{"metrics": {"a": 1}}\n' + line + b'\n{"metrics": {"b": 2}}\n')
    reports = Reports(file)
    reports.read()
    assert reports.metrics == {"a": 1, "b": 2}
    assert reports.progress in (None, 1.0)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=2000), cut=st.integers(0, 2000))
def test_no_bytes_whatever_stop_the_reading(tmp_path: Path, data: bytes, cut: int) -> None:
    file = tmp_path / "report.jsonl"
    file.write_bytes(data[:cut])
    reports = Reports(file)
    reports.read()
    file.write_bytes(data + b'\n{"progress": 0.5}\n')
    reports.read(final=True)
    assert reports.progress == 0.5


def test_how_the_metrics_went_is_kept_with_the_times_of_the_reports(file: Path) -> None:
    reports = Reports(file)
    now = time.time()
    lines = [
        {"time": now - 2, "metrics": {"loss": 0.5}},
        {"time": "soon", "metrics": {"loss": 0.25}},
        {"time": 10**12, "metrics": {"accuracy": 0.75}},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    reports.read()

    series = reports.series(now - 3)
    assert series is not None
    assert series.metrics == {"loss": [0.5, 0.25, None], "accuracy": [None, None, 0.75]}
    assert series.seconds[0] == pytest.approx(1, abs=0.01)
    assert all(3 <= second < 60 for second in series.seconds[1:])
