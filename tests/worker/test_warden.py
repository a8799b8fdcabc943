"""Workers that are killed with SIGKILL, and what is left running then: nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from scene import CHILD, alive, environment, eventually, pids

from jupyter_aiqueue.worker import processes
from jupyter_aiqueue.worker.warden import Warden

#: What a worker does with its runs, without a broker: `worker.py FOLDER MOMENT FLAGS…`.
WORKER = """
import os, signal, subprocess, sys, threading, time
from pathlib import Path

from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.worker.folder import RunFolder
from jupyter_aiqueue.worker.run import Run, child_environment
from jupyter_aiqueue.worker.tasks import Limits
from jupyter_aiqueue.worker.warden import Warden

folder, moment, *flags = sys.argv[1:]
warden = Warden()
warden.start()
print(warden.token, warden._process.pid, flush=True)
runs = RunFolder(Job(id="j1", config={}, group="train"), root=Path(folder))
runs.make()
run = Run(
    [sys.executable, f"{folder}/child.py", *flags],
    folder=runs,
    directory=folder,
    environment=child_environment(runs, "j1", 1, {}),
    token="abc",
    limits=Limits(),
    warden=warden,
)
if moment == "start":
    # Dies when the child's process is there, which is not the child's program yet.
    subprocess._USE_VFORK = False
    here = subprocess if hasattr(subprocess, "_fork_exec") else subprocess._posixsubprocess
    name = "_fork_exec" if hasattr(subprocess, "_fork_exec") else "fork_exec"
    fork_exec = getattr(here, name)

    def fork_and_die(*arguments):
        fork_exec(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(here, name, fork_and_die)
run.start()
threading.Thread(target=run.wait, daemon=True).start()
while True:
    time.sleep(0.1)
    warden.check()
"""

#: A program that overwrites its environment, as one does that changes its title.
UNMARKED = """
import ctypes, os, sys, time
fields = open("/proc/self/stat").read().rpartition(")")[2].split()
start, end = int(fields[47]), int(fields[48])
ctypes.memset(start, 0, end - start)
open(sys.argv[1], "w").write(str(os.getpid()))
time.sleep(600)
"""

on_linux = pytest.mark.skipif(not processes.ON_LINUX, reason="reads /proc")


class Playing:
    """A worker's process, its warden, and what it runs."""

    def __init__(self, folder: Path, moment: str, flags: tuple[str, ...]) -> None:
        (folder / "child.py").write_text(CHILD)
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(folder), moment, *flags],
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.token, warden = self.process.stdout.readline().split()
        self.warden = int(warden)

    def marked(self) -> list[int]:
        mark = f"{processes.WORKER}={self.token}"
        return [row.pid for row in processes.table() if processes.carries(row.pid, mark)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)

    def all_over(self) -> None:
        """Waits until the warden has ended, and finds nothing of the worker then."""
        eventually(lambda: not alive(self.warden), "the warden does not end", timeout=15)
        assert self.marked() == []


@contextmanager
def playing(folder: Path, *flags: str, moment: str = "never") -> Iterator[Playing]:
    folder.mkdir(exist_ok=True)
    scene = Playing(folder, moment, flags)
    try:
        yield scene
    finally:
        scene.kill()
        assert scene.process.stdout is not None
        scene.process.stdout.close()
        for pid in [scene.warden, *scene.marked()]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_a_killed_worker_leaves_no_child_behind_also_none_that_is_deaf_or_left_its_session(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pids"
    with playing(tmp_path, "--spawn", str(file), "--deaf", "--sleep", "600") as scene:
        family = pids(file)
        assert all(alive(pid) for pid in family)
        scene.kill()
        eventually(lambda: not alive(family[1]), "the grandchild goes on", timeout=10)
        eventually(lambda: not alive(family[0]), "the deaf child goes on", timeout=10)
        scene.all_over()


def test_a_child_that_was_just_being_started_when_its_worker_was_killed_is_ended(
    tmp_path: Path,
) -> None:
    flags = ("--sleep", "600")
    with (
        playing(tmp_path / "a", *flags, moment="start") as first,
        playing(tmp_path / "b", *flags, moment="start") as second,
        playing(tmp_path / "c", *flags, moment="start") as third,
    ):
        for scene in (first, second, third):
            assert scene.process.wait(20) == -signal.SIGKILL
            scene.all_over()


@on_linux
def test_a_child_that_has_lost_its_mark_is_ended_too_also_by_another_warden(
    tmp_path: Path,
) -> None:
    script, file = tmp_path / "unmarked.py", tmp_path / "pid"
    script.write_text(UNMARKED)
    warden = Warden()
    warden.start()
    marked = {**os.environ, processes.WORKER: warden.token}
    child = subprocess.Popen(
        [sys.executable, str(script), str(file)], env=marked, start_new_session=True
    )
    try:
        warden.watch(child.pid)
        assert pids(file) == [child.pid]
        assert not processes.carries(child.pid, warden.mark)
        assert warden._process is not None
        warden._process.kill()
        warden._process.wait(10)
        warden._next_start = 0.0
        warden.check()
        warden.close()
        assert child.wait(10) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait(10)
        warden.close()


def test_a_session_that_was_forgotten_is_left_alone(tmp_path: Path) -> None:
    warden = Warden()
    warden.start()
    stranger = subprocess.Popen(["sleep", "600"], start_new_session=True)
    try:
        warden.watch(stranger.pid)
        warden.forget(stranger.pid)
        warden.close()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait(10)


def test_a_warden_does_not_hear_what_is_meant_for_its_worker_and_holds_none_of_its_files() -> None:
    warden = Warden()
    warden.start()
    assert warden._process is not None
    process = psutil.Process(warden._process.pid)
    try:
        assert os.getsid(process.pid) == process.pid
        if processes.ON_LINUX:
            status = Path(f"/proc/{process.pid}/status")
            ignored = 1 << (signal.SIGINT - 1) | 1 << (signal.SIGTERM - 1)

            def is_deaf() -> bool:
                (line,) = (x for x in status.read_text().splitlines() if x.startswith("SigIgn"))
                return int(line.split()[1], 16) & ignored == ignored

            eventually(is_deaf, "it does not ignore signals")
            links = [
                Path(f"/proc/{process.pid}/fd/{n.name}") for n in status.with_name("fd").iterdir()
            ]
            files = {int(link.name): str(link.readlink()) for link in links}
            assert sorted(files) == [0, 1, 2]
            assert (files[1], files[2]) == (os.devnull, os.devnull)
        assert "AIQUEUE_WORKER" not in process.environ()
    finally:
        warden.close()
    assert not alive(process.pid)


def test_a_warden_that_died_is_replaced_but_not_again_and_again() -> None:
    warden = Warden()
    warden.start()
    try:
        assert warden._process is not None
        first = warden._process.pid
        warden.check()
        assert warden._process.pid == first
        warden._process.kill()
        warden._process.wait(10)
        warden.check()
        assert warden._process.pid == first, "it was started a moment ago"
        warden._next_start = 0.0
        warden.check()
        assert warden._process.pid != first
        assert alive(warden._process.pid)
    finally:
        warden.close()


def test_a_worker_whose_warden_cannot_be_started_works_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    warden = Warden()
    warden.start()
    warden.watch(1)
    warden.check()
    warden.close()
    warden.check()
    assert warden._process is None


def test_a_worker_that_ends_well_leaves_nothing_of_its_own_behind() -> None:
    warden = Warden()
    warden.start()
    child = subprocess.Popen(
        ["sleep", "600"], env={**os.environ, processes.WORKER: warden.token}, start_new_session=True
    )
    try:
        warden.close()
        assert child.wait(10) == -signal.SIGTERM
    finally:
        child.kill()
        child.wait(10)
