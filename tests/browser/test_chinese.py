"""The sidebar in JupyterLab's Chinese."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

from lab import Lab
from playwright.sync_api import expect
from sidebar import Tab

from jupyter_aiqueue.core.config import Broker

OpenTab = Callable[..., Tab]

#: A language pack that makes JupyterLab know the language, and this package's own entry point,
#: which a clone that was installed before it had one does not have.
ENTRY_POINTS = """
[jupyterlab.languagepack]
zh_CN = some_language_pack
[jupyterlab.locale]
jupyter_aiqueue = jupyter_aiqueue
"""


def install_language_pack(folder: Path) -> dict[str, str]:
    """Make one in ``folder``; gives the environment that it is found in."""
    (folder / "some_language_pack").mkdir(parents=True)
    (folder / "some_language_pack" / "__init__.py").touch()
    about = folder / "some_language_pack-1.0.dist-info"
    about.mkdir()
    about.joinpath("METADATA").write_text("Metadata-Version: 2.1\nName: some_language_pack\n")
    about.joinpath("entry_points.txt").write_text(ENTRY_POINTS)
    known = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{known}" if known else str(folder)}


def test_whoever_chose_chinese_reads_chinese(
    broker: Broker, tmp_path: Path, open_tab: OpenTab
) -> None:
    lab = Lab(tmp_path / "lab", install_language_pack(tmp_path / "packs"))
    chosen = tmp_path / "lab/settings/@jupyterlab/translation-extension"
    chosen.mkdir(parents=True)
    chosen.joinpath("plugin.jupyterlab-settings").write_text(json.dumps({"locale": "zh_CN"}))
    with lab:
        notebook = lab.notebook("mine.ipynb")
        held = lab.submit(notebook, "patient", when="free_slots > 99")
        waiting = lab.submit(notebook, "mine")
        tab = open_tab(lab)
        tab.scope("all")

        expect(tab.sidebar.get_by_role("heading", name="实验队列")).to_be_visible()
        expect(tab.sidebar.locator("#jp-AIQueue-load-title")).to_have_text("负载")
        tab.expect_job(held, "held")
        expect(tab.job(held)).to_contain_text("等待条件：free_slots > 99")
        expect(tab.job(held).get_by_role("button", name="立即放行 patient")).to_be_visible()
        expect(tab.sidebar.locator('[data-aiq-number="held"]')).to_have_count(0)  # not known
        # No worker is there to tell.
        expect(tab.job(waiting)).to_contain_text("开始时间未知")
        start = tab.sidebar.locator('[data-aiq-group="train"] [data-aiq-number="start"]')
        expect(start).to_have_text("开始时间未知")
