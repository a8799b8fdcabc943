"""A Jupyter server as somebody starts it, in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import nbformat
import requests
from waiting import eventually

import jupyter_aiqueue
from jupyter_aiqueue.core.job import JobRecord
from jupyter_aiqueue.core.ledger import ledger_path, read_records

BUILD = Path(jupyter_aiqueue.__file__).parent / "labextension"

#: Settings of JupyterLab itself: no question about news in the way of the sidebar.
SETTINGS = {"@jupyterlab/apputils-extension/notification": {"fetchNews": "false"}}


class Lab:
    """JupyterLab with the installed extension, on a folder of notebooks; a context manager.

    Args:
        folder: for notebooks, settings and the log.
        environment: on top of this process's.
        extension: whether the server runs our extension.
        base_url: the prefix of all its addresses, as a hub gives it.
        overrides: the administrator's defaults of our settings.
    """

    token = "token-of-the-test"

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        *,
        extension: bool = True,
        base_url: str = "/",
        overrides: Mapping[str, Any] | None = None,
    ) -> None:
        self.root = folder / "notebooks"
        self.root.mkdir(parents=True)
        self._log = folder / "lab.log"
        settings, runtime, config = folder / "settings", folder / "runtime", folder / "config"
        for name, values in SETTINGS.items():
            file = settings / f"{name}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        runtime.mkdir(mode=0o700)
        config.mkdir()
        enabled = {"ServerApp": {"jpserver_extensions": {"jupyter_aiqueue": extension}}}
        (config / "jupyter_server_config.json").write_text(json.dumps(enabled))
        if overrides:
            defaults = config / "labconfig" / "default_setting_overrides.json"
            defaults.parent.mkdir()
            defaults.write_text(json.dumps({"jupyter-aiqueue:plugin": dict(overrides)}))
        self._base_url, self._port = base_url, _free_port()
        # What was built last in this clone, which need not be what was installed last.
        self._extensions = folder / "labextensions"
        self._extensions.mkdir()
        if BUILD.exists():
            (self._extensions / "jupyter-aiqueue").symlink_to(BUILD)
        self._environment = {
            **os.environ,
            "IPYTHONDIR": str(folder / "ipython"),
            "JUPYTERLAB_SETTINGS_DIR": str(settings),
            "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
            "JUPYTER_CONFIG_DIR": str(config),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(runtime),
            **(environment or {}),
        }

    def __enter__(self) -> Lab:
        port = self._port
        self.url = f"http://127.0.0.1:{port}{self._base_url}"
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
                    *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}"),
                    *("--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}"),
                    f"--ServerApp.root_dir={self.root}",
                    f"--ServerApp.base_url={self._base_url}",
                    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
                    f"--LabApp.extra_labextensions_path={self._extensions}",
                    f"--JupyterNotebookApp.extra_labextensions_path={self._extensions}",
                    "--LabApp.expose_app_in_browser=True",
                ],
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(self._answers, timeout=60, message="JupyterLab does not start")
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def stop(self) -> None:
        """Stop the server; `start` starts it again at the same address."""
        self._stop()

    def start(self) -> None:
        """Start a server that was stopped."""
        self.__enter__()

    def _answers(self) -> bool:
        assert self._process.poll() is None, f"JupyterLab ended at once: {self.said}"
        try:
            return requests.get(f"{self.url}api", timeout=5).ok
        except requests.ConnectionError:
            return False

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def said(self) -> str:
        """What the server printed."""
        return self._log.read_text()

    def notebook(self, name: str, *cells: str) -> str:
        """Make a notebook; gives its path below the server's root."""
        content = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
        )
        nbformat.write(content, self.root / name)
        return name

    def submit(self, notebook: str, name: str, **options: Any) -> str:
        """Submit a job as a person in another tab would; gives its id."""
        job = {"task": "train_model", "notebook": notebook, "name": name, "again": True, **options}
        return str(self._ask("POST", "jobs", job)["job"]["job_id"])

    def group(self, name: str) -> dict[str, Any]:
        """The load of a group as the server's interface gives it."""
        load = self._ask("GET", "load")
        found = [group for group in load["groups"] if group["name"] == name]
        assert found, f"nothing is known of {name}: {load}"
        return dict(found[0])

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = requests.request(
            method,
            f"{self.url}aiqueue/api/{path}",
            json=body,
            headers={"Authorization": f"token {self.token}"},
            timeout=30,
        )
        assert answer.ok, answer.text
        return dict(answer.json())

    def recorded(self, notebook: str) -> dict[str, JobRecord]:
        """The jobs in the ledger beside a notebook, by id."""
        path = ledger_path(self.root / notebook)
        return read_records(path) if path.exists() else {}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
