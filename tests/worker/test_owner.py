"""Whether whoever ran a job still lives: said only when it is sure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace
from scene import environment, make_job

from jupyter_aiqueue.worker import owner as owner_module
from jupyter_aiqueue.worker import processes
from jupyter_aiqueue.worker.folder import RunFolder
from jupyter_aiqueue.worker.owner import Owner, this_process

pytestmark = pytest.mark.skipif(not processes.ON_LINUX, reason="known on Linux only")

#: Writes itself down as the owner of the first attempt of a job, and waits.
OWN = """
import sys
from pathlib import Path
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.worker.folder import RunFolder

folder = RunFolder(Job(id="j1", config={}, group="train"), root=Path(sys.argv[1]))
folder.make()
folder.own("abc", "w1")
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def here() -> Owner:
    return this_process("abc", "w1")


def test_an_owner_lives_until_its_process_ends(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", OWN, str(tmp_path)],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        process.stdout.readline()
        owner = RunFolder(make_job(id="j1"), root=tmp_path).owner()
        assert owner is not None
        assert (owner.token, owner.worker, owner.pid) == ("abc", "w1", process.pid)
        assert owner.alive is True
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert owner.alive is False, "a zombie runs nothing"
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert owner.alive is False


def test_a_process_that_has_the_same_number_later_is_not_the_owner(here: Owner) -> None:
    assert here.alive is True
    assert here.started is not None
    assert replace(here, started=here.started - 1).alive is False


def test_of_processes_elsewhere_nothing_is_known(here: Owner) -> None:
    dead = replace(here, started=0)
    assert dead.alive is False
    assert replace(dead, namespace="pid:[1] time:[1]").alive is None
    assert replace(dead, namespace=None).alive is None
    assert replace(dead, boot=None).alive is None
    assert replace(dead, boot="another", machine=None).alive is None
    assert replace(dead, boot="another", machine="another").alive is None


def test_nothing_outlives_the_boot_of_its_machine(
    here: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_module, "_machine", lambda: "this")
    assert replace(here, boot="the last", machine="this").alive is False
    assert replace(here, boot="the last", machine="that").alive is None


def test_only_addresses_that_cards_were_made_with_tell_machines_apart() -> None:
    assert owner_module._is_universal("a0:36:9f:12:34:56")
    assert not owner_module._is_universal("52:54:00:12:34:56")
    assert not owner_module._is_universal("")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": "x"}', b"\xff", b'{"pid": 1}'])
def test_an_owner_that_cannot_be_read_is_not_known(tmp_path: Path, content: bytes) -> None:
    folder = RunFolder(make_job(), root=tmp_path)
    assert folder.owner() is None
    folder.make()
    assert folder.owner() is None
    (folder.path / "owner.json").write_bytes(content)
    assert folder.owner() is None
