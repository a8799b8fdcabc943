"""JupyterLab finds the front end's texts by the entry point `jupyterlab.locale`.

That every text is there is a spec of the front end: catalog.spec.tsx.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_jupyterlab_is_told_where_they_are() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    # The name is the domain that the front end asks for, and that of the file.
    assert '[project.entry-points."jupyterlab.locale"]\njupyter_aiqueue = ' in project
    assert "load('jupyter_aiqueue')" in (ROOT / "labextension/src/index.ts").read_text("utf-8")
    assert (ROOT / "jupyter_aiqueue/locale/zh_CN/LC_MESSAGES/jupyter_aiqueue.json").is_file()
