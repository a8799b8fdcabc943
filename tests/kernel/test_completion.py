"""Tab completion: without a broker, and without waiting."""

from __future__ import annotations

from pathlib import Path

import pytest
from acting import ActingWorker, kinds
from IPython.core.interactiveshell import InteractiveShell
from waiting import eventually

from jupyter_aiqueue.core.events import Kind
from jupyter_aiqueue.core.job import Priority

AWAY = "amqp://127.0.0.1:1/lab"


def completions(shell: InteractiveShell, line: str) -> list[str]:
    return shell.Completer.complete(line_buffer=line, cursor_pos=len(line))[1]


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("%submit_train --pri", ["--priority"]),
        ("%submit_train --priority ", ["high", "normal", "low"]),
        ("%submit_train --epochs 3 --priority h", ["high"]),
        ("%submit_train --group in", ["infer"]),
        ("%%submit_train --group in", ["infer"]),
        ("%dead_jobs tr", ["train"]),
        ("%jobs --state succ", ["succeeded"]),
        ("%queue_status --j", ["--json"]),
        ("submit_train --na", ["--name"]),
    ],
)
def test_options_and_their_values_are_offered_without_a_broker(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch, line: str, found: list[str]
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", AWAY)

    assert completions(shell, line) == found


def test_job_ids_are_offered_where_they_make_sense(
    shell: InteractiveShell, notebook: Path, worker: ActingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = shell.run_line_magic("submit_train", "--name one")
    second = shell.run_line_magic("submit_train", "--name two")
    worker.finish(worker.take())
    eventually(lambda: "succeeded" in kinds(notebook), message="the end is not recorded")
    third = shell.run_line_magic("submit_train", "--name three --priority high --again")
    worker.tell(Kind.DEAD, worker.take(priority=Priority.HIGH), reason="exit code 1")
    eventually(lambda: "dead" in kinds(notebook), message="the end is not recorded")
    # A restarted kernel, and no broker
    shell.run_line_magic("reload_ext", "jupyter_aiqueue")
    monkeypatch.setenv("AIQUEUE_URL", AWAY)

    assert completions(shell, "%job ") == [third.id, second.id, first.id]
    assert completions(shell, f"%job {first.id[:-2]}") == [first.id]
    assert completions(shell, "%job_cancel ") == [second.id]
    assert completions(shell, "%job_retry ") == [third.id, first.id]
    assert completions(shell, "%dead_jobs ") == ["train", "infer", "preprocess", third.id]
