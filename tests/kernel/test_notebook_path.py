"""Which notebook a kernel belongs to."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_aiqueue.kernel import notebook as module
from jupyter_aiqueue.kernel.notebook import NotebookFinder

KERNEL = "0a6a9aa1-560a-40c2-8a0b-cf34fcd40ea8"


class Server:
    """As much of a Jupyter server as tells sessions."""

    def __init__(self, root: Path) -> None:
        self.sessions: Any = []
        self.asked: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.headers["Authorization"])
                found = self.path == "/base/api/sessions"
                body = json.dumps(outer.sessions).encode()
                self.send_response(200 if found else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.write(root, "127.0.0.1")

    def write(self, root: Path, host: str) -> None:
        """The file in the runtime folder."""
        content = {
            "url": f"http://{host}:{self.port}/base/",
            "token": "secret",
            "root_dir": str(root),
        }
        folder = Path(os.environ["JUPYTER_RUNTIME_DIR"])
        (folder / "jpserver-4242.json").write_text(json.dumps(content))

    def open(self, path: str, kernel: str = KERNEL) -> None:
        """One session."""
        self.sessions = [
            {"path": "other.ipynb", "type": "notebook", "kernel": {"id": "another"}},
            {"path": "console", "type": "console", "kernel": None},
            {"path": path, "type": "notebook", "kernel": {"id": kernel}},
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "deep").mkdir(parents=True)
    for name in ("a.ipynb", "deep/b.ipynb", "stale.ipynb"):
        (folder / name).write_text("{}")
    return folder


@pytest.fixture
def server(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "_kernel_id", lambda: KERNEL)
    made = Server(root)
    yield made
    made.close()


@pytest.fixture
def finder() -> NotebookFinder:
    return NotebookFinder(SimpleNamespace(user_ns={}))


def test_the_server_that_has_the_kernel_tells(
    finder: NotebookFinder, server: Server, root: Path
) -> None:
    server.open("deep/b.ipynb")

    assert finder.find() == root / "deep" / "b.ipynb"
    assert server.asked == ["token secret"]


def test_a_rename_is_noticed_at_once_and_nothing_is_asked_before(
    finder: NotebookFinder, server: Server, root: Path
) -> None:
    server.open("a.ipynb")
    assert finder.find() == finder.find() == root / "a.ipynb"
    assert len(server.asked) == 1

    (root / "a.ipynb").rename(root / "deep" / "renamed.ipynb")
    server.open("deep/renamed.ipynb")

    assert finder.find() == root / "deep" / "renamed.ipynb"


def test_what_the_kernel_was_told_at_its_start_is_used_when_no_server_knows_it(
    finder: NotebookFinder, server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.open("a.ipynb", kernel="another")
    monkeypatch.setenv("JPY_SESSION_NAME", str(root / "stale.ipynb"))

    assert finder.find() == root / "stale.ipynb"


@pytest.mark.parametrize("name", ["no-such.ipynb", "deep/", "deep", ""])
def test_what_is_no_notebook_is_not_taken_for_one(
    finder: NotebookFinder, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("JPY_SESSION_NAME", f"{root}/{name}" if name else "")

    assert finder.find() is None


def test_what_is_said_outright_wins(
    finder: NotebookFinder, server: Server, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.open("a.ipynb")
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(root / "said.ipynb"))

    assert finder.find() == root / "said.ipynb"
    assert finder.find(str(root / "set.ipynb")) == root / "set.ipynb"
    assert server.asked == []


def test_the_token_goes_over_loopback_only(
    finder: NotebookFinder, server: Server, root: Path
) -> None:
    server.open("a.ipynb")
    server.write(root, "0.0.0.0")

    assert finder.find() is None
    assert server.asked == []


@pytest.mark.parametrize("sessions", [{"message": "forbidden"}, ["x", None, {}], "x"])
def test_odd_answers_are_passed_over(finder: NotebookFinder, server: Server, sessions: Any) -> None:
    server.sessions = sessions

    assert finder.find() is None


def test_a_drive_of_real_time_collaboration_is_no_folder(
    finder: NotebookFinder, server: Server, root: Path
) -> None:
    server.open("RTC:deep/b.ipynb")

    assert finder.find() == root / "deep" / "b.ipynb"


def test_visual_studio_code_leaves_the_path_in_the_kernel(root: Path) -> None:
    shell = SimpleNamespace(user_ns={"__vsc_ipynb_file__": str(root / "a.ipynb")})

    assert NotebookFinder(shell).find() == root / "a.ipynb"


def test_a_server_that_is_gone_is_passed_over(
    finder: NotebookFinder, server: Server, root: Path
) -> None:
    server.open("a.ipynb")
    server.close()

    assert finder.find() is None
