"""Real kernels: what survives them, what they display, what loading costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import nbformat
import pytest
import requests
from acting import ActingWorker, kinds
from jupyter_client import BlockingKernelClient, KernelManager
from jupyter_client.manager import start_new_kernel
from nbclient import NotebookClient
from waiting import eventually

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.ledger import ledger_path, read_records
from jupyter_aiqueue.core.recorder import Recorder

#: Seconds for one cell on a busy machine.
PATIENCE = 60

Message = dict[str, Any]


@contextmanager
def running_kernel() -> Iterator[tuple[KernelManager, BlockingKernelClient]]:
    manager, client = start_new_kernel(kernel_name="python3", env=dict(os.environ))
    try:
        run(client, "%load_ext jupyter_aiqueue")
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: BlockingKernelClient, code: str) -> list[Message]:
    """Run a cell; what it published."""
    found: list[Message] = []
    reply = client.execute_interactive(code, output_hook=found.append, timeout=PATIENCE)
    assert reply["content"]["status"] == "ok", reply["content"]
    return found


def outputs(messages: list[Message], kind: str) -> list[Message]:
    return [m["content"] for m in messages if m["header"]["msg_type"] == kind]


def printed(messages: list[Message]) -> str:
    return "".join(content["text"] for content in outputs(messages, "stream"))


def test_a_job_outlives_the_kernel_that_is_killed_right_after_the_submit(
    broker: Broker, notebook: Path, worker: ActingWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a kernel that records nothing itself, killed when the submit returns
    monkeypatch.setenv("AIQUEUE_RECORDER", "server")
    monkeypatch.setenv("AIQUEUE_INBOX", "kept")
    with running_kernel() as (manager, client):
        job_id = printed(run(client, "%submit_train --model mlp -o job\nprint(job.id)")).strip()
        os.kill(manager.provisioner.pid, signal.SIGKILL)

    # When a worker runs the job, and a recorder comes later
    worker.finish(worker.take(), {"accuracy": 0.9})
    recorder = Recorder(lambda: broker, "kept")
    recorder.start()
    try:
        eventually(lambda: len(kinds(notebook)) == 3, message="the ledger has not all events")
    finally:
        recorder.stop()

    # Then the ledger has the whole life of the job
    assert kinds(notebook) == ["submitted", "started", "succeeded"]
    assert read_records(ledger_path(notebook))[job_id].metrics == {"accuracy": 0.9}


def test_a_display_goes_on_after_its_cell_and_a_restarted_kernel_follows_the_same_job(
    broker: Broker, notebook: Path, worker: ActingWorker
) -> None:
    with running_kernel() as (manager, client):
        # When a job is submitted as the last thing of a cell
        shown = outputs(run(client, "%submit_train --model mlp --name first"), "display_data")

        # Then its display is updated, though no cell runs
        assert [set(content["data"]) for content in shown] == [{"text/html", "text/plain"}]
        display_id = shown[0]["transient"]["display_id"]
        assert "queued" in shown[0]["data"]["text/plain"]
        job = worker.take()
        worker.finish(job)
        update = next_update(client, display_id, "succeeded")
        assert "aria-valuenow" in update["data"]["text/html"]

        # And after a restart the job is the same
        manager.restart_kernel(now=True)
        client.wait_for_ready(timeout=PATIENCE)
        run(client, "%load_ext jupyter_aiqueue")
        shown = outputs(run(client, f"%job {job.id[-8:]}"), "display_data")
        assert job.id in shown[0]["data"]["text/html"]
        assert "succeeded" in shown[0]["data"]["text/plain"]


def next_update(client: BlockingKernelClient, display_id: str, word: str) -> Message:
    """Wait for the update of a display that says ``word``."""
    while True:
        message = client.get_iopub_msg(timeout=PATIENCE)
        if message["header"]["msg_type"] == "update_display_data":
            content: Message = message["content"]
            assert content["transient"]["display_id"] == display_id
            if word in content["data"]["text/plain"]:
                return content


def test_a_notebook_run_without_a_front_end_keeps_the_last_state(
    broker: Broker, notebook: Path
) -> None:
    cells = ["%load_ext jupyter_aiqueue", "%submit_train --model mlp --wait -o job", "job.metrics"]
    content = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])

    def act() -> None:
        with ActingWorker(broker) as worker:
            worker.finish(worker.take(), {"accuracy": 0.9})

    actor = threading.Thread(target=act)
    actor.start()
    NotebookClient(content, kernel_name="python3", timeout=PATIENCE).execute()
    actor.join()

    # The handle is shown once, though it is also the cell's result.
    (shown,) = content.cells[1].outputs
    assert shown.output_type == "display_data"
    assert "succeeded" in shown.data["text/plain"]
    assert "0.9" in content.cells[2].outputs[0].data["text/plain"]


def test_a_real_server_tells_the_notebook_also_after_a_rename(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), root / "first.ipynb")
    options = [f"--ServerApp.root_dir={root}", "--IdentityProvider.token=t", "--port=0"]
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            # Given a notebook with a kernel, as JupyterLab opens it
            base = server_url(server.pid)
            path = {"path": "first.ipynb", "name": "first.ipynb", "type": "notebook"}
            session = ask(base, "POST", "sessions", {**path, "kernel": {"name": "python3"}})
            client = BlockingKernelClient()
            runtime = Path(os.environ["JUPYTER_RUNTIME_DIR"])
            client.load_connection_file(str(runtime / f"kernel-{session['kernel']['id']}.json"))
            client.start_channels()
            client.wait_for_ready(timeout=PATIENCE)
            run(client, "from jupyter_aiqueue.kernel.notebook import NotebookFinder")
            run(client, "finder = NotebookFinder(get_ipython())")
            assert printed(run(client, "print(finder.find())")).strip() == f"{root}/first.ipynb"

            # When it is renamed as JupyterLab does
            ask(base, "PATCH", "contents/first.ipynb", {"path": "second.ipynb"})
            ask(base, "PATCH", f"sessions/{session['id']}", {"path": "second.ipynb"})

            # Then the running kernel knows
            assert printed(run(client, "print(finder.find())")).strip() == f"{root}/second.ipynb"
            client.stop_channels()
            ask(base, "DELETE", f"sessions/{session['id']}")
        finally:
            server.terminate()


def server_url(pid: int) -> str:
    """Where the server of a process answers."""
    file = Path(os.environ["JUPYTER_RUNTIME_DIR"]) / f"jpserver-{pid}.json"
    eventually(file.exists, timeout=PATIENCE, message="the server does not start")
    url: str = eventually(lambda: json.loads(file.read_text() or "{}").get("url"), message="no URL")
    eventually(lambda: answers(url), timeout=PATIENCE, message="the server does not answer")
    return url


def answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(f"{url}api", timeout=PATIENCE).ok
    return False


def ask(base: str, method: str, what: str, body: Any = None) -> Any:
    response = requests.request(
        method,
        f"{base}api/{what}",
        json=body,
        headers={"Authorization": "token t"},
        timeout=PATIENCE,
    )
    response.raise_for_status()
    return response.json() if response.content else None


def test_an_error_in_a_kernel_is_one_line_with_its_own_name(
    notebook: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIQUEUE_URL", "amqp://127.0.0.1:1/lab")
    with running_kernel() as (_, client):
        found: list[Message] = []
        client.execute_interactive(
            "%submit_train --epochs 1", output_hook=found.append, timeout=PATIENCE
        )

    (error,) = outputs(found, "error")
    assert error["ename"] == "BrokerUnreachable"
    assert len(error["traceback"]) == 1
    assert error["evalue"] in error["traceback"][0]


def test_loading_the_extension_imports_nothing_heavy() -> None:
    script = """
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
before = set(sys.modules)
shell.run_line_magic("load_ext", "jupyter_aiqueue")
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    told = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=PATIENCE
    )

    loaded = {name.partition(".")[0] for name in json.loads(told.stdout.splitlines()[-1])}
    heavy = {
        "ipywidgets",
        "matplotlib",
        "msgspec",
        "numpy",
        "pandas",
        "pika",
        "requests",
        "rich",
        "tornado",
        "yaml",
    }
    assert "jupyter_aiqueue" in loaded
    assert loaded & heavy == set()


def test_unloading_ends_what_runs_in_the_background(
    broker: Broker, notebook: Path, shell: Any
) -> None:
    before = set(threading.enumerate())
    shell.run_line_magic("submit_train", "--model mlp")
    assert set(threading.enumerate()) - before

    shell.run_line_magic("unload_ext", "jupyter_aiqueue")

    eventually(
        lambda: (
            not [
                t for t in set(threading.enumerate()) - before if not isinstance(t, threading.Timer)
            ]
        ),
        message="threads are left",
    )
