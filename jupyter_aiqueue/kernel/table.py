"""A table element: rows of cells under columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .html import esc


class Column(NamedTuple):
    """A column: its title, and how its cells are set."""

    title: str
    #: Numbers: to the right, digits under digits.
    right: bool = False
    #: Long texts: lines may be broken.
    wraps: bool = False


class Cell(NamedTuple):
    """One cell: its text, or its HTML instead; small print below; a hint for the pointer."""

    text: str = ""
    html: str | None = None
    small: str = ""
    hint: str = ""


def table_html(columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> str:
    """The table as HTML."""
    head = "".join(
        f'<th scope="col"{_class(column)}>{esc(column.title)}</th>' for column in columns
    )
    body = "".join(
        "<tr>" + "".join(_cell(*pair) for pair in zip(columns, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<table class="aiq-t"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _class(column: Column) -> str:
    return f' class="aiq-{"r" if column.right else "w" if column.wraps else "n"}"'


def _cell(column: Column, cell: Cell) -> str:
    content = esc(cell.text) if cell.html is None else cell.html
    small = f"<small>{esc(cell.small)}</small>" if cell.small else ""
    hint = f' title="{esc(cell.hint)}"' if cell.hint else ""
    return f"<td{_class(column)}{hint}>{content}{small}</td>"
