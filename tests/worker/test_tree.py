"""The processes of a run: all of them are found, and none that is somebody else's is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from scene import alive, eventually, pids

from jupyter_aiqueue.worker import processes
from jupyter_aiqueue.worker.processes import end_marked
from jupyter_aiqueue.worker.tree import Tree

#: A command that leaves a daemon behind, as servers do, and ends. The daemon does not hear
#: SIGTERM.
DAEMON = """
import os, signal, sys, time
if os.fork():
    os.wait()
    sys.exit()
os.setsid()
if os.fork():
    os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1] + ".tmp", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + ".tmp", sys.argv[1])
time.sleep(600)
"""


def mark_of(token: str) -> str:
    return f"{processes.RUN}={token}"


@contextmanager
def command(token: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        words, env={**os.environ, processes.RUN: token}, start_new_session=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture
def token() -> str:
    return f"test-{os.urandom(4).hex()}"


@contextmanager
def daemon(token: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A command that has ended, and its daemon that goes on."""
    file = folder / "daemon"
    with command(token, sys.executable, "-c", DAEMON, str(file)) as process:
        (pid,) = pids(file)
        try:
            assert process.wait(10) == 0
            yield process.pid, pid
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_daemon_is_found_by_its_mark_also_when_nothing_else_ties_it_to_the_run(
    token: str, tmp_path: Path
) -> None:
    with daemon(token, tmp_path) as (root, pid):
        assert [process.pid for process in Tree(root, token).members()] == [pid]
        assert Tree(root, token + "0").members() == []


def test_what_is_left_of_a_run_is_asked_to_end_and_then_killed(token: str, tmp_path: Path) -> None:
    with daemon(token, tmp_path) as (_, pid), command(token, "sleep", "600") as process:
        assert end_marked(mark_of(token + "0")) == 0
        assert process.poll() is None
        os.kill(pid, signal.SIGSTOP)
        assert end_marked(mark_of(token), kill_after=0.3) == 0
        assert process.wait(10) == -signal.SIGTERM
        assert not alive(pid)


def test_what_descends_from_a_run_is_ended_with_it_although_it_carries_no_mark(
    token: str,
) -> None:
    script = "import subprocess; subprocess.run(['sleep', '600'], env={}, start_new_session=True)"
    with command(token, sys.executable, "-c", script) as process:
        (child,) = eventually(lambda: Tree(process.pid, "").members(), "no child")
        assert end_marked(mark_of(token), kill_after=0.3) == 0
        assert not alive(child.pid)


def test_a_session_whose_number_is_somebody_elses_now_is_left_alone(token: str) -> None:
    with command(token + "0", "sleep", "600") as process:
        found = processes.row(process.pid)
        assert found is not None
        before = processes.Row(found.pid, 1, found.pid, found.started - 1, zombie=False)
        assert end_marked(mark_of(token), [before]) == 0
        assert process.poll() is None
        assert end_marked(mark_of(token), [found]) == 0
        assert process.wait(10) == -signal.SIGTERM


def test_a_process_that_cannot_be_ended_is_not_waited_for_for_ever(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = mark_of(token)

    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    with command(token, "sleep", "600"), monkeypatch.context() as patch:
        patch.setattr(os, "kill", lambda pid, number: None)
        assert end_marked(mark, kill_after=0.1, within=0.3) == 1
        patch.setattr(os, "kill", refuse)
        assert end_marked(mark, kill_after=0.1, within=60) == 0, "it is not ours to end"
