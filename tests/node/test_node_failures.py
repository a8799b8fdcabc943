"""Starts that cannot succeed: what is said, and that nothing of them is left.

The server script is replaced by small ones that fail in a known way; the rest is real.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from waiting import eventually

from jupyter_aiqueue import node
from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.errors import NodeError
from jupyter_aiqueue.node import lock
from jupyter_aiqueue.node.find import SERVER_VARIABLE
from jupyter_aiqueue.node.layout import Layout
from jupyter_aiqueue.node.process import belonging, is_ours
from jupyter_aiqueue.node.record import Node, Ports, write_node

pytestmark = pytest.mark.skipif(
    not shutil.which("epmd"), reason="needs Erlang's epmd beside the scripts of these tests"
)


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    """Folders of the test's own, and where a node would be in them."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    return Layout(paths.data_dir() / "node")


@pytest.fixture
def server(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Makes the lines that it is called with the server script."""

    def make(lines: str) -> None:
        script = tmp_path / "rabbitmq-server"
        script.write_text(f"#!/bin/sh\n{lines}\n")
        script.chmod(0o755)
        monkeypatch.setenv(SERVER_VARIABLE, str(script))

    return make


def a_record(layout: Layout, pid: int) -> Node:
    return Node(
        url="amqp://aiqueue:x@127.0.0.1:1/aiqueue",
        management_url="http://aiqueue:x@127.0.0.1:2",
        pid=pid,
        epmd_pid=pid,
        node_name=layout.node_name,
        data_dir=str(layout.root),
        log_dir=str(layout.logs),
        ports=Ports(1, 2, 3, 4),
        started_at="2026-01-01T00:00:00+00:00",
        rabbitmq="3.10.8",
    )


def test_a_node_that_dies_is_reported_with_its_last_words_without_credentials(
    layout: Layout, server: Callable[[str], None]
) -> None:
    # Given a server that prints the cookie and the password and dies
    layout.make_folders()
    password = layout.account().password
    server(f'echo "no license for {password} $(cat "$HOME/.erlang.cookie")"; exit 1')

    # When it is started
    with pytest.raises(NodeError) as caught:
        node.up(timeout=30)

    # Then the error has its words and not its secrets, and nothing is left
    text = str(caught.value)
    assert "no license for … …" in text
    assert password not in text
    assert str(layout.logs) in text
    assert not belonging(layout.home)
    assert not paths.connection_file().exists()
    assert not list(layout.root.parent.glob("node.broken-*"))


@pytest.mark.parametrize(
    ("banner", "hint"),
    [
        ("Starting RabbitMQ 3.9.1 on Erlang 24", "this is RabbitMQ 3.9.1"),
        ("an early end", "if this is another version"),
    ],
)
def test_data_that_another_version_wrote_stay_where_they_are(
    layout: Layout, server: Callable[[str], None], banner: str, hint: str
) -> None:
    # Given data of 3.10.8 and a server that cannot read them
    layout.make_folders()
    layout.data.mkdir()
    (layout.data / "queue").write_text("job")
    write_node(layout.record, a_record(layout, 2**22 + 1))
    damage = "{unknown_wal_file_format," if "3.9.1" in banner else "feature flags missing"
    server(f"echo '{banner}'; echo 'Error during startup: {damage}'; exit 1")

    with pytest.raises(NodeError) as caught:
        node.up(timeout=30)

    # Then the error tells the version to use, and the data are as they were
    assert "RabbitMQ 3.10.8" in str(caught.value)
    assert hint in str(caught.value)
    assert (layout.data / "queue").read_text() == "job"


def test_data_that_were_not_to_blame_are_put_back(
    layout: Layout, server: Callable[[str], None]
) -> None:
    # Given a server that complains of its files and does not start without them either
    layout.make_folders()
    layout.data.mkdir()
    (layout.data / "queue").write_text("job")
    write_node(layout.record, a_record(layout, 2**22 + 1))
    server('test -d "$RABBITMQ_MNESIA_BASE" && echo not_a_dets_file; exit 1')

    with pytest.raises(NodeError, match="does not even start without data"):
        node.up(timeout=30)

    assert (layout.data / "queue").read_text() == "job"
    assert not list(layout.root.parent.glob("node.broken-*"))


def test_a_node_that_does_not_answer_in_time_is_ended(
    layout: Layout, server: Callable[[str], None]
) -> None:
    server("echo still thinking; exec sleep 600")
    with pytest.raises(NodeError, match=r"did not answer in time[\s\S]*still thinking"):
        node.up(timeout=0.5)
    assert not belonging(layout.home)
    assert node.status() is None


def test_an_interrupted_start_leaves_nothing(layout: Layout, server: Callable[[str], None]) -> None:
    # Given a start in another process that takes long
    server("exec sleep 600")
    # Whoever runs the tests in the background has it ignored.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    starter = subprocess.Popen(
        [sys.executable, "-c", heeding + "from jupyter_aiqueue import node; node.up(timeout=100)"],
        stderr=subprocess.DEVNULL,
    )
    try:
        eventually(
            lambda: len(belonging(layout.home)) >= 2,
            timeout=30,
            message="the port mapper and the server were not started",
        )
        # When it is interrupted
        starter.send_signal(signal.SIGINT)
        starter.wait(30)
    finally:
        starter.kill()
        starter.wait()

    # Then everything that it had started is ended
    assert not belonging(layout.home)


def test_what_a_killed_start_left_is_found_by_down(
    layout: Layout, server: Callable[[str], None]
) -> None:
    server("exec sleep 600")
    starter = subprocess.Popen(
        [sys.executable, "-c", "from jupyter_aiqueue import node; node.up(timeout=100)"]
    )
    try:
        eventually(
            lambda: len(belonging(layout.home)) >= 2,
            timeout=30,
            message="the port mapper and the server were not started",
        )
    finally:
        starter.kill()
        starter.wait()
    assert belonging(layout.home)

    assert node.down() is True

    assert not belonging(layout.home)
    assert node.down() is False


def test_a_process_that_got_the_recorded_number_is_left_alone(layout: Layout) -> None:
    # Given a record whose process id belongs to somebody else now
    layout.make_folders()
    with subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            record = a_record(layout, stranger.pid)
            write_node(paths.connection_file(), record)
            write_node(layout.record, record)

            # Then it is not taken for the node, and not ended
            assert not is_ours(stranger.pid, layout.home)
            assert node.status() is None
            assert node.down() is False
            assert stranger.poll() is None
            assert not paths.connection_file().exists()
        finally:
            stranger.kill()


def test_data_in_use_on_another_machine_are_not_touched(
    layout: Layout, server: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given the lock of a node that is not among this machine's processes
    server("exec sleep 600")
    layout.make_folders()
    monkeypatch.setattr(lock, "_RELEASE_TIMEOUT", 0.1)
    monkeypatch.setattr(lock.socket, "gethostname", lambda: "mars")
    held = lock.hold_data(layout.in_use)
    try:
        for call in (node.up, node.down):
            with pytest.raises(NodeError, match=r"another machine \(mars\)"):
                call(timeout=5)
    finally:
        os.close(held)
    assert not belonging(layout.home)


def test_up_waits_for_another_up_and_says_so(layout: Layout, server: Callable[[str], None]) -> None:
    server("exit 1")
    layout.make_folders()
    said: list[str] = []
    held = lock.try_lock(layout.lock)
    assert held is not None
    try:
        with pytest.raises(NodeError, match="Another process is still starting or stopping"):
            node.up(timeout=0.3, progress=said.append)
    finally:
        os.close(held)
    assert said == ["Waiting for another `up` or `down` to end."]


def test_the_data_lock_lives_as_long_as_the_process_that_inherited_it(layout: Layout) -> None:
    layout.make_folders()
    held = lock.hold_data(layout.in_use)
    with subprocess.Popen(["sleep", "600"], pass_fds=(held,)) as heir:
        os.close(held)
        assert lock.try_lock(layout.in_use) is None
        heir.kill()
        heir.wait()
    free = lock.try_lock(layout.in_use)
    assert free is not None
    os.close(free)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_data_directory_that_cannot_be_written_is_named(
    layout: Layout, server: Callable[[str], None]
) -> None:
    server("exit 1")
    layout.root.parent.mkdir(parents=True)
    layout.root.parent.chmod(0o500)
    try:
        with pytest.raises(NodeError, match="check the permissions"):
            node.up(timeout=5)
    finally:
        layout.root.parent.chmod(0o700)


def test_a_file_in_the_place_of_the_data_directory_is_named(
    layout: Layout, server: Callable[[str], None]
) -> None:
    server("exit 1")
    layout.root.parent.mkdir(parents=True)
    layout.root.write_text("not a folder")
    with pytest.raises(NodeError, match=str(layout.root)):
        node.up(timeout=5)


def test_down_without_a_node_makes_no_folders(layout: Layout) -> None:
    assert node.down() is False
    assert node.status() is None
    assert not layout.root.exists()


def test_processes_of_others_with_our_folder_on_their_command_line_are_not_ours(
    layout: Layout,
) -> None:
    layout.make_folders()
    layout.start_log.write_text("")
    with subprocess.Popen(["tail", "-f", str(layout.start_log)]) as reader:
        try:
            assert psutil.pid_exists(reader.pid)
            assert not is_ours(reader.pid, layout.home)
        finally:
            reader.kill()
