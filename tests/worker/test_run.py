"""One run: started, watched, ended with everything it started."""

from __future__ import annotations

import json
import os
import signal
import threading
from io import FileIO
from pathlib import Path
from typing import Any

import pytest
from scene import CHILD, alive, eventually, make_job, pids

from jupyter_aiqueue.worker.folder import FolderTaken, RunFolder, folder_name
from jupyter_aiqueue.worker.output import Output
from jupyter_aiqueue.worker.run import CannotStart, Ended, Run, Stop, child_environment
from jupyter_aiqueue.worker.tasks import Limits, Task


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(make_job(), root=tmp_path / "runs")
    folder.make()
    return folder


def make_run(folder: RunFolder, config: dict[str, Any], **options: Any) -> Run:
    script = folder.path / "child.py"
    script.write_text(CHILD)
    task = Task(name="child", command=("python", str(script)), directory=str(folder.path))
    return Run(
        task.argv(config),
        folder=folder,
        directory=task.directory,
        environment=child_environment(folder, "j1", 1, {}),
        token=f"test-{os.urandom(4).hex()}",
        limits=options.pop("limits", Limits(kill_after=0.5)),
        **options,
    )


def finish(run: Run) -> Ended:
    run.start()
    return run.wait()


def test_a_run_tells_its_exit_code_its_output_and_what_it_took(folder: RunFolder) -> None:
    run = make_run(folder, {"say": "hällo", "allocate": 50_000_000, "sleep": 0.3, "exit-code": 3})
    ended = finish(run)
    assert ended.exit_code == 3
    assert ended.stopped is None
    assert ended.duration_s is not None
    assert ended.duration_s >= 0.3
    assert ended.cpu_s is not None
    assert ended.cpu_s > 0
    assert ended.peak_memory_bytes is not None
    assert 50_000_000 < ended.peak_memory_bytes < 1_000_000_000
    assert run.output.tail() == (0, "hällo\n")
    assert folder.log.read_text() == "hällo\n"


def test_a_signal_is_a_negative_exit_code(folder: RunFolder) -> None:
    assert finish(make_run(folder, {"signal": 9})).exit_code == -9


def test_a_child_knows_its_job_and_nothing_of_the_broker(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", "amqp://u:secret@h/")
    monkeypatch.setenv("AIQUEUE_MANAGEMENT_URL", "http://u:secret@h/")
    file = folder.path / "environment.json"
    finish(make_run(folder, {"environment": str(file)}))
    told = json.loads(file.read_text())
    assert "secret" not in file.read_text()
    assert told["AIQUEUE_JOB_ID"] == "j1"
    assert told["AIQUEUE_ATTEMPT"] == "1"
    assert told["AIQUEUE_CONFIG"] == str(folder.config)
    assert told["AIQUEUE_REPORT"] == str(folder.report)
    assert told["PYTHONUNBUFFERED"] == "1"


def test_progress_and_output_are_told_while_it_runs(folder: RunFolder) -> None:
    reports: list[tuple[float | None, dict[str, Any]]] = []
    printed: list[tuple[int, str]] = []
    go = folder.path / "go"
    run = make_run(
        folder,
        {
            "say": "first",
            "report": '{"progress": 0.5, "metrics": {"loss": 1}}',
            "wait-for": str(go),
        },
        on_report=lambda *told: reports.append(told),
        on_output=lambda *told: printed.append(told),
    )
    run.start()
    watcher = threading.Thread(target=run.wait)
    watcher.start()
    eventually(lambda: reports and printed, "nothing was told")
    go.touch()
    watcher.join(10)
    assert reports == [(0.5, {"loss": 1})]
    assert "".join(text for _, text in printed).rstrip() == "first"
    assert printed[0][0] == 0


@pytest.mark.parametrize("deaf", [False, True])
def test_stopping_ends_the_whole_tree_also_what_left_the_session(
    folder: RunFolder, deaf: bool
) -> None:
    file = folder.path / "pids"
    run = make_run(folder, {"spawn": str(file), "sleep": 600, "deaf": deaf})
    run.start()
    watcher = threading.Thread(target=lambda: results.append(run.wait()))
    results: list[Ended] = []
    watcher.start()
    processes = pids(file)
    assert all(alive(pid) for pid in processes)
    run.stop(Stop.CANCEL)
    run.stop(Stop.GIVE_BACK)
    watcher.join(15)
    assert [alive(pid) for pid in processes] == [False, False]
    assert results[0].stopped is Stop.CANCEL, "the first reason counts"
    assert results[0].exit_code == (-signal.SIGKILL if deaf else -signal.SIGTERM)
    assert results[0].left == 0


def test_a_time_limit_ends_the_whole_tree(folder: RunFolder) -> None:
    file = folder.path / "pids"
    ended = finish(make_run(folder, {"spawn": str(file), "sleep": 600}, timeout=1.0))
    assert ended.stopped is Stop.TIMEOUT
    assert [alive(pid) for pid in pids(file)] == [False, False]


def test_what_a_command_leaves_behind_is_ended_with_it(folder: RunFolder) -> None:
    file = folder.path / "pids"
    ended = finish(make_run(folder, {"spawn": str(file)}))
    assert ended.exit_code == 0
    assert [alive(pid) for pid in pids(file)] == [False, False]


def test_a_stopped_process_is_ended_too(folder: RunFolder) -> None:
    file = folder.path / "pids"
    run = make_run(folder, {"spawn": str(file), "sleep": 600})
    run.start()
    watcher = threading.Thread(target=run.wait)
    watcher.start()
    processes = pids(file)
    os.kill(processes[0], signal.SIGSTOP)
    run.stop(Stop.CANCEL)
    watcher.join(15)
    assert [alive(pid) for pid in processes] == [False, False]


def test_a_time_limit_kills_what_does_not_hear_it_stopped_or_not(folder: RunFolder) -> None:
    file = folder.path / "pids"
    flags = {"spawn": str(file), "sleep": 600, "deaf": True}
    run = make_run(folder, flags, timeout=2.0)
    run.start()
    processes = pids(file)
    os.kill(processes[1], signal.SIGSTOP)
    ended = run.wait()
    assert ended.stopped is Stop.TIMEOUT
    assert ended.exit_code == -signal.SIGKILL
    assert [alive(pid) for pid in processes] == [False, False]
    assert ended.left == 0


def test_a_run_that_cannot_be_watched_does_not_run(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(folder, {"sleep": 600})

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(CannotStart, match="could not be watched: can't start new thread"):
            run.start()
    assert run._process.wait(10) == -signal.SIGKILL


def test_a_worker_that_ignores_sigchld_says_that_it_does_not_know_how_its_runs_ended(
    folder: RunFolder,
) -> None:
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        ended = finish(make_run(folder, {}))
        cancelled = make_run(folder, {"sleep": 600})
        cancelled.stop(Stop.CANCEL)
        assert finish(cancelled).stopped is Stop.CANCEL
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert ended.exit_code is None
    assert ended.error is not None
    assert "SIGCHLD" in ended.error


@pytest.mark.parametrize(
    ("printed", "last"),
    [
        (b"", None),
        (b"\n \t\n", None),
        (b"Traceback\nValueError: no data\n\n", "ValueError: no data"),
        (
            b"\x1b[31mValueError:\x1b[0m bad\x00\x07 value\x1b]0;title\x07\n",
            "ValueError: bad value",
        ),
        (b"10 %\r20 %\r100 %\r\n", "100 %"),
        (b"\xff\n", "\ufffd"),
        (b"x" * 5000, "x" * 199 + "…"),
    ],
)
def test_the_last_line_that_says_something_is_known(
    folder: RunFolder, printed: bytes, last: str | None
) -> None:
    output = Output(folder.log, file_limit=1000, tail_limit=1000)
    read, write = os.pipe()
    os.write(write, printed)
    os.close(write)
    with FileIO(read) as pipe:
        output.pump(pipe)
    assert output.last_line() == last


def test_a_command_that_is_not_there_cannot_start(folder: RunFolder) -> None:
    run = make_run(folder, {})
    run._argv[0] = "/no/such/program"
    with pytest.raises(CannotStart, match=r"/no/such/program could not be started"):
        run.start()


def test_the_log_file_and_the_tail_are_bounded(folder: RunFolder) -> None:
    limits = Limits(log_file=1000, log_tail=100)
    run = make_run(folder, {"say": "ä" * 5000 + "end"}, limits=limits)
    finish(run)
    offset, tail = run.output.tail()
    assert tail.endswith("end\n")
    assert len(tail.encode()) <= 100
    assert offset + len(tail) == 5004
    assert folder.log.stat().st_size < 1100
    assert "keeps no more" in folder.log.read_text()


def test_a_folder_is_made_once_and_returns_after_a_give_back(tmp_path: Path) -> None:
    job = make_job()
    RunFolder(job, root=tmp_path).make()
    with pytest.raises(FolderTaken):
        RunFolder(job, root=tmp_path).make()
    RunFolder(job, 1, root=tmp_path).make()


def test_different_ids_never_share_a_folder() -> None:
    ids = ["a.b", "a_b", "a/b", "../a", "ä", "a" * 101, "a" * 102, "."]
    names = [folder_name(job_id) for job_id in ids]
    assert len(set(names)) == len(ids)
    assert all(name not in (".", "..") and "/" not in name and len(name) < 120 for name in names)


def test_a_run_that_is_stopped_while_it_starts_is_stopped_all_the_same(folder: RunFolder) -> None:
    run = make_run(folder, {"sleep": 600})
    run.stop(Stop.GIVE_BACK)
    ended = finish(run)
    assert ended.stopped is Stop.GIVE_BACK
    assert ended.exit_code == -signal.SIGTERM
