"""A shell with the magics, and a notebook to belong to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from acting import ActingWorker
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from jupyter_aiqueue.core.config import Broker


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of the test's own, also for tests that ask for no broker."""
    for name in list(os.environ):
        if name.startswith(("AIQUEUE_", "JPY_")) and name != "AIQUEUE_RABBITMQ_SERVER":
            monkeypatch.delenv(name)
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
        folder = tmp_path / "jupyter" / name.lower()
        folder.mkdir(mode=0o700, parents=True)
        monkeypatch.setenv(name, str(folder))


@pytest.fixture
def notebook(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An empty notebook that the magics take for theirs."""
    if "broker" in request.fixturenames:
        request.getfixturevalue("broker")  # which clears the environment
    path = tmp_path / "work" / "train.ipynb"
    path.parent.mkdir()
    nbformat.write(nbformat.v4.new_notebook(), path)
    monkeypatch.setenv("AIQUEUE_NOTEBOOK", str(path))
    return path


@pytest.fixture
def bare_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[InteractiveShell]:
    """IPython as it is."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("COLUMNS", "160")
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(config=config)
    try:
        yield shell
    finally:
        shell.run_line_magic("unload_ext", "jupyter_aiqueue")
        InteractiveShell.clear_instance()


@pytest.fixture
def shell(bare_shell: InteractiveShell) -> InteractiveShell:
    """IPython with the magics."""
    bare_shell.run_line_magic("load_ext", "jupyter_aiqueue")
    return bare_shell


@pytest.fixture
def worker(broker: Broker) -> Iterator[ActingWorker]:
    """A worker that does as it is told."""
    with ActingWorker(broker) as actor:
        yield actor
