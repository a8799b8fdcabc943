"""What a worker says."""

from __future__ import annotations

import io
import re

import pytest
from scene import make_job

from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.worker.console import Console, duration, short_id, write_line
from jupyter_aiqueue.worker.sentences import progress


def test_a_line_tells_when_which_and_what() -> None:
    lines: list[str] = []
    Console(lines.append).job("01m8046s2620eyc4hk36dgs99w", "resnet", "started (normal)")
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d  …36dgs99w  resnet            started \(normal\)", lines[0]
    )


def test_a_trouble_that_lasts_is_said_once() -> None:
    lines: list[str] = []
    console = Console(lines.append)
    for what in ("away", "away", "refused", "away"):
        console.trouble(what)
    console.over()
    console.trouble("away")
    assert [line.split("  ")[1] for line in lines] == ["away", "refused", "away", "away"]


def test_ids_and_durations_are_short() -> None:
    assert short_id("train_001") == "train_001"
    assert short_id("01m8046s2620eyc4hk36dgs99w") == "…36dgs99w"
    told = [duration(seconds) for seconds in (None, 0.26, 59.9, 60, 3599, 7384)]
    assert told == ["an unknown time", "0.3 s", "59.9 s", "1 min 0 s", "59 min 59 s", "2 h 03 min"]


def test_progress_names_the_first_metrics() -> None:
    metrics = {"loss": 0.123456, "epoch": 3, "note": "x" * 100}
    event = make_event(Kind.PROGRESS, make_job(), progress=0.5, metrics=metrics)
    assert progress(event) == f"50%  loss 0.1235  epoch 3  note {'x' * 20}"


def test_other_peoples_words_stay_in_their_line() -> None:
    lines: list[str] = []
    Console(lines.append).job("a\nb", "x\x1b[2Jy", "failed: one\rtwo\u2028three")
    assert lines[0].isprintable()
    assert "x [2Jy" in lines[0]


def test_an_output_that_is_gone_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    closed = io.StringIO()
    closed.close()
    for output in (Gone(), closed):
        monkeypatch.setattr("sys.stdout", output)
        write_line("a line")
