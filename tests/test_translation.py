"""The sidebar's Chinese texts: JupyterLab finds them by the entry point `jupyterlab.locale`."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jupyter_aiqueue

ROOT = Path(__file__).parents[1]
SOURCES = ROOT / "labextension" / "src"
CATALOGUE = Path(jupyter_aiqueue.__file__).parent.joinpath(
    "locale", "zh_CN", "LC_MESSAGES", "jupyter_aiqueue.json"
)

#: A text to translate, after ``__``, or the first of the two for one and for several, after ``_n``.
TEXT = re.compile(r"trans\._([_n])\(\s*'((?:[^'\\]|\\.)*)'")


def shown() -> dict[str, int]:
    """Every text of the sidebar, and how many translations it needs.

    Chinese has one form for any number; JupyterLab takes none for several that has only one.
    """
    found: dict[str, int] = {}
    for file in SOURCES.rglob("*.ts*"):
        if "__tests__" in file.parts:
            continue
        source = file.read_text("utf-8")
        texts = TEXT.findall(source)
        # Each is written out where it is used, or it could not be found here.
        assert len(texts) == len(re.findall(r"trans\._[_n]\(", source)), file
        found.update({text: 2 if kind == "n" else 1 for kind, text in texts})
    return found


def test_every_text_of_the_sidebar_is_there_in_chinese_and_no_other() -> None:
    catalogue = json.loads(CATALOGUE.read_text("utf-8"))

    head = catalogue.pop("")

    assert (head["domain"], head["language"]) == ("jupyter_aiqueue", "zh-CN")
    assert head["plural_forms"]
    assert {text: len(forms) for text, forms in catalogue.items()} == shown()
    for text, forms in catalogue.items():
        for chinese in forms:
            assert sorted(re.findall(r"%\d", chinese)) == sorted(re.findall(r"%\d", text)), text


def test_jupyterlab_is_told_where_they_are() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")

    # The name is the domain that the sidebar asks for, and that of the file.
    assert '[project.entry-points."jupyterlab.locale"]\njupyter_aiqueue = ' in project
    assert "load('jupyter_aiqueue')" in (SOURCES / "index.ts").read_text("utf-8")
