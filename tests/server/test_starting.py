"""Start and stop: nothing heavy is imported, no broker is needed, kernels are told where to go."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from browsing import Call, eventually
from happenings import kinds, life, lines, make_job, make_notebook, tell
from jupyter_server.serverapp import ServerApp
from tornado.testing import bind_unused_port
from traitlets.config import Config

from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.server.app import AIQueueExtension

HEAVY = {"pandas", "numpy", "ipywidgets", "matplotlib", "IPython", "rich", "requests", "pika"}


def test_loading_the_extension_imports_nothing_heavy() -> None:
    code = (
        "import sys, jupyter_server.serverapp, jupyter_server.extension.application\n"
        "before = set(sys.modules)\n"
        "import jupyter_aiqueue\n"
        "jupyter_aiqueue._jupyter_server_extension_points()\n"
        "print(*{name.split('.')[0] for name in set(sys.modules) - before})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    loaded = set(done.stdout.split())
    assert "jupyter_aiqueue" in loaded
    assert not loaded & HEAVY


async def test_kernels_are_told_the_inbox_and_that_somebody_records(
    no_broker: None, extension: AIQueueExtension
) -> None:
    assert os.environ["AIQUEUE_INBOX"] == (paths.data_dir() / "inbox").read_text().strip()
    assert os.environ["AIQUEUE_RECORDER"] == "server"
    assert not [name for name in os.environ if name.startswith("AIQUEUE_") and "URL" in name]

    await extension.stop_extension()

    assert "AIQUEUE_INBOX" not in os.environ
    assert "AIQUEUE_RECORDER" not in os.environ


@pytest.fixture
def not_recording(jp_server_config: Config) -> None:
    jp_server_config.AIQueueExtension.record = False
    jp_server_config.AIQueueExtension.inbox = "my-inbox"


async def test_a_server_that_shall_not_record_leaves_it_to_others(
    broker: Broker, not_recording: None, api: Call, notebook: Path
) -> None:
    assert os.environ["AIQUEUE_INBOX"] == "my-inbox"
    assert "AIQUEUE_RECORDER" not in os.environ

    reply = await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})

    assert reply.status == 201
    assert any("Nobody records" in note for note in reply.data["notes"])
    assert not notebook.with_name("train.jobs.jsonl").exists()


@pytest.fixture
def bad_inbox(jp_server_config: Config) -> None:
    jp_server_config.AIQueueExtension.inbox = "not a word"


async def test_a_wrong_setting_does_not_keep_the_server_from_starting(
    broker: Broker, bad_inbox: None, api: Call
) -> None:
    (trouble,) = (await api("GET", "jobs")).data["troubles"]

    assert "not a word" in trouble
    assert "AIQUEUE_RECORDER" not in os.environ
    assert (await api("GET", "load")).data["broker"]["state"] == "up"


@pytest.fixture
def configured(no_broker: None, jp_config_dir: Path) -> str:
    (jp_config_dir / "jupyter_aiqueue_config.py").write_text(
        "c = get_config()\n"
        "c.AIQueue.url = 'amqp://alice:open-sesame@127.0.0.1:9/lab'\n"
        "c.AIQueueExtension.queues = ['ai_task_queue']\n"
    )
    return "open-sesame"


async def test_the_configured_account_is_used_and_stays_out_of_the_server_s_log_and_settings(
    configured: str, api: Call, extension: AIQueueExtension, jp_serverapp: ServerApp, caplog: Any
) -> None:
    load = (await api("GET", "load")).data

    assert load["broker"]["location"] == "amqp://127.0.0.1:9/lab"
    assert extension.queues == ["ai_task_queue"]
    assert configured not in str(jp_serverapp.config)
    assert configured not in str(jp_serverapp.web_app.settings)
    logged = [record.getMessage() for record in caplog.get_records("setup")]
    assert any("Config changed" in line for line in logged), "the log is not the debug log"
    assert configured not in "\n".join([*logged, caplog.text])


@pytest.fixture
def late_broker(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> str:
    """The broker's address, which nobody is told yet."""
    url = os.environ["AIQUEUE_URL"]
    monkeypatch.delenv("AIQUEUE_URL")
    return url


async def test_a_private_node_that_is_started_later_is_found(
    late_broker: str, broker: Broker, api: Call, notebook: Path
) -> None:
    assert (await api("GET", "load")).data["broker"]["state"] == "down"
    assert (await api("POST", "jobs")).status == 503

    paths.write_private(paths.connection_file(), json.dumps({"url": late_broker}))

    reply = await api("POST", "jobs", {"config": {}, "notebook": "train.ipynb"})
    assert reply.status == 201
    ledger = notebook.with_name("train.jobs.jsonl")
    await eventually(lambda: kinds(ledger) == ["submitted"])

    async def up() -> bool:
        load = (await api("GET", "load")).data
        jobs = (await api("GET", "jobs")).data
        return bool(load["broker"]["state"] == "up" and not jobs["troubles"])

    await eventually(up)


class LiveServer:
    """A Jupyter server in a process of its own."""

    def __init__(self, root: Path, log: Path) -> None:
        socket, self._port = bind_unused_port()
        socket.close()
        self._root, self._log = root, log
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root"),
                    *("--ip=127.0.0.1", f"--port={self._port}", "--ServerApp.port_retries=0"),
                    *(f"--ServerApp.root_dir={self._root}", "--IdentityProvider.token=t"),
                    "--ServerApp.jpserver_extensions={'jupyter_aiqueue': True}",
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 60
        while True:
            try:
                self.get("api/status").raise_for_status()
                return
            except requests.ConnectionError:
                assert self.process.poll() is None, self._log.read_text()
                assert time.monotonic() < deadline, self._log.read_text()
                time.sleep(0.1)

    def get(self, path: str) -> requests.Response:
        return self._call("GET", path)

    def post(self, path: str, body: dict[str, Any]) -> requests.Response:
        return self._call("POST", path, json=body)

    def _call(self, method: str, path: str, **options: Any) -> requests.Response:
        url = f"http://127.0.0.1:{self._port}/{path}"
        headers = {"Authorization": "token t"}
        return requests.request(method, url, headers=headers, timeout=30, **options)

    def end(self, number: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def live_server(tmp_path: Path, root: Path) -> Iterator[LiveServer]:
    server = LiveServer(root, tmp_path / "server.log")
    server.start()
    try:
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait(20)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_what_happens_while_the_server_is_off_is_recorded_when_it_is_on_again(
    how: signal.Signals, broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQUEUE_INBOX", "alice")
    notebook = make_notebook(tmp_path / "lab" / "train.ipynb")
    ledger = notebook.with_name("train.jobs.jsonl")
    with live_server(tmp_path, notebook.parent) as server:
        submitted = server.post(
            "aiqueue/api/jobs", {"config": {"epochs": 3}, "notebook": "train.ipynb"}
        )
        assert submitted.status_code == 201, submitted.text
        first = make_job(notebook, id=submitted.json()["job"]["job_id"])
        assert server.end(how) == (0 if how is signal.SIGTERM else -signal.SIGKILL)

        second = make_job(notebook)
        tell(broker, *life(first)[1:], *life(second))
        assert "succeeded" not in kinds(ledger)

        server.start()
        await eventually(lambda: len(lines(ledger)) >= 6)
        jobs = server.get("aiqueue/api/jobs?notebook=train.ipynb").json()
        assert server.end(signal.SIGTERM) == 0

    told = [(line["job_id"], line["event"]) for line in lines(ledger)]
    assert sorted(told) == sorted(
        (job.id, kind) for job in (first, second) for kind in ("submitted", "started", "succeeded")
    )
    assert {job["job_id"]: job["state"] for job in jobs["jobs"]} == {
        first.id: "succeeded",
        second.id: "succeeded",
    }
