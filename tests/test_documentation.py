"""What the documentation names is there: files, headings, magics, commands, in both languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_aiqueue.cli.entry import _parser
from jupyter_aiqueue.kernel.magics import AIQueueMagics

ROOT = Path(__file__).parents[1]
PAGES = [
    *("README.md", "README.zh-CN.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").glob("*.md"))),
]


def text_of(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def anchors(text: str) -> set[str]:
    """The headings as GitHub links to them."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    text = text_of(page)
    astray = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"\w+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        if not target.exists() or (anchor and anchor not in anchors(target.read_text("utf-8"))):
            astray.append(link)

    assert astray == []


def test_every_picture_is_shown_somewhere() -> None:
    text = "".join(text_of(page) for page in PAGES)
    pictures = {picture.name for picture in (ROOT / "docs/images").glob("*.png")}

    # The dark ones are for who looks at a change of the front end.
    assert [name for name in pictures if "-dark" not in name and name not in text] == []


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md", "docs/users.md"])
def test_every_magic_that_is_named_exists(page: str) -> None:
    known = {*AIQueueMagics.magics["line"], "load_ext", "env"}

    assert set(re.findall(r"(?<![\w%])%{1,2}([a-z_]{3,})", text_of(page))) - known == set()


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_exists(page: str) -> None:
    (subparsers,) = (a for a in _parser()._actions if a.metavar == "COMMAND")
    assert subparsers.choices is not None
    named = set(re.findall(r"jupyter aiqueue ([a-z]+)", text_of(page)))

    assert named - set(subparsers.choices) == set()


def test_the_readme_says_the_same_in_both_languages() -> None:
    def code(page: str) -> list[list[str]]:
        """The examples without their comments."""
        blocks = re.findall(r"^```\w*\n(.*?)^```", text_of(page), re.DOTALL | re.MULTILINE)
        return [[re.sub(r"\s*#.*", "", line) for line in block.splitlines()] for block in blocks]

    def shape(page: str) -> list[str]:
        """What kind of part follows on what."""
        return re.findall(r"^(#+ |- |\| `%)", text_of(page), re.MULTILINE)

    assert code("README.zh-CN.md") == code("README.md")
    assert shape("README.zh-CN.md") == shape("README.md")
