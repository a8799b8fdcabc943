"""Dead letters: what `%dead_jobs` returns, as a table or as one card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.dead import DeadLetter, Letters
from ..core.dead.letter import UNKNOWN
from ..core.dead.text import (
    attempts,
    body_text,
    headers_text,
    label,
    letter_text,
    letters_text,
    log_lines,
    shown,
)
from ..core.job import JobRecord, State
from ..core.text import short_id
from .html import esc, mark, page, prose
from .table import Cell, Column, table_html
from .words import clock, config_value, number, tr

if TYPE_CHECKING:
    import pandas as pd

#: Characters of a body in a table.
_BODY = 80


class DeadLetters(Letters):
    """Dead letters that show themselves: counts by reason, then one row each."""

    #: Letters that get a row; None: all.
    rows: int | None = None

    @classmethod
    def of(cls, letters: Letters, rows: int | None = None) -> DeadLetters:
        """The same letters, of which ``rows`` get a row."""
        same = cls(letters, letters.kinds, letters.notes)
        same.rows = rows
        return same

    def table(self) -> pd.DataFrame:
        """They as a pandas table: see `Client.dead_table`."""
        from ..core.table import dead_table

        return dead_table(self)

    def __repr__(self) -> str:
        return letters_text(self, self.rows)

    def _repr_html_(self) -> str:
        title = tr("Dead letters")
        notes = "".join(f'<div class="aiq-note">{prose(note)}</div>' for note in self.notes)
        if not self.total:
            empty = f'<div class="aiq-dim">{esc(tr("No dead letters."))}</div>'
            return page(notes or empty, label=title)
        rows = len(self[: self.rows])
        foot = [shown(self, rows)] if self.total > rows else []
        foot.append(
            "`%dead_jobs ID` shows everything about one; `%job_retry ID --key value` submits it "
            "again, `%dead_jobs --retry-all` all of them."
        )
        feet = "".join(f'<div class="aiq-foot">{prose(line)}</div>' for line in foot)
        return page(self._reasons(), self._rows(), notes, feet, label=title)

    def _reasons(self) -> str:
        columns = (
            Column(tr("Reason")),
            Column(tr("Dead letters"), right=True),
            Column(tr("Group"), wraps=True),
        )
        rows = [
            (
                Cell(reason or tr(UNKNOWN)),
                Cell(number(count)),
                Cell(", ".join(self.groups(reason))),
            )
            for reason, count in self.counts
        ]
        return table_html(columns, rows)

    def _rows(self) -> str:
        columns = (
            Column(tr("Reason")),
            Column(tr("Job")),
            Column(tr("Group")),
            Column(tr("What happened"), wraps=True),
            Column(tr("Attempts"), right=True),
            Column(tr("Died")),
        )
        return table_html(columns, [_row(letter) for letter in self[: self.rows]])


class DeadLetterCards(list[tuple[DeadLetter, JobRecord | None]]):
    """Single dead letters with everything that helps to judge them.

    Each comes with what a ledger here knows of its job, if any does.
    """

    def __repr__(self) -> str:
        return "\n\n".join(letter_text(letter, record) for letter, record in self)

    def _repr_html_(self) -> str:
        return page(*(_card(*pair) for pair in self), label=tr("Dead letters"))


def _row(letter: DeadLetter) -> tuple[Cell, ...]:
    name = label(letter)
    return (
        Cell(letter.reason or tr(UNKNOWN)),
        Cell(
            name or short_id(letter.id), small=short_id(letter.id) if name else "", hint=letter.id
        ),
        Cell(letter.group),
        Cell(letter.why or "", small="" if letter.job else body_text(letter, _BODY)),
        Cell(attempts(letter)),
        Cell(
            clock(letter.died),
            small=f"{tr('worker')} {letter.worker}" if letter.worker else "",
            hint=letter.dead_at or "",
        ),
    )


def _card(letter: DeadLetter, record: JobRecord | None) -> str:
    head = (
        f'<div class="aiq-head">{mark(State.DEAD)}'
        f'<span class="aiq-title">{esc(label(letter) or tr("Message"))}</span>'
        f'<span class="aiq-id aiq-dim" title="{esc(tr("job id"))}">{esc(letter.id)}</span></div>'
    )
    facts = "".join(f"<span>{esc(fact)}</span>" for fact in _facts(letter))
    parts = [
        head,
        f"<div>{esc(letter.why or '')}</div>",
        f'<div class="aiq-facts">{facts}</div>',
    ]
    if letter.job is not None:
        items = [f"{k}={config_value(v)}" for k, v in letter.job.config.items() if k != "task_id"]
        parts.append(f"<div><code>{esc(' '.join(items))}</code></div>")
        hint = f"`%job_retry {letter.id} --key value` submits it again."
    else:
        parts.append(f"<div><code>{esc(body_text(letter))}</code></div>")
        hint = (
            f"`%dead_jobs {letter.id} --save FOLDER` writes the message as it is into files; with "
            "`--discard` it is removed then."
        )
    if letter.history:
        entries = "".join(f"<li>{esc(entry)}</li>" for entry in letter.history)
        parts.append(f"<div>{esc(tr('History'))}<ul>{entries}</ul></div>")
    parts += [
        _folded(tr("Last output"), "\n".join(log_lines(letter, record)), is_open=True),
        _folded(tr("Headers"), headers_text(letter)),
        f'<div class="aiq-foot">{prose(hint)}</div>',
    ]
    return f'<div class="aiq-card aiq-dead">{"".join(parts)}</div>'


def _facts(letter: DeadLetter) -> list[str]:
    facts = [letter.reason or tr(UNKNOWN), letter.group]
    if attempts(letter):
        facts.append(f"{tr('attempt')} {attempts(letter)}")
    if letter.worker:
        facts.append(f"{tr('worker')} {letter.worker}")
    facts.append(f"{tr('Died')} {clock(letter.died)}")
    if letter.job is None:
        facts.append(f"{number(len(letter.body))} B")
    elif letter.job.user:
        facts.append(letter.job.user)
    return facts


def _folded(title: str, text: str, *, is_open: bool = False) -> str:
    """A text of many lines under a title that hides it."""
    if not text:
        return ""
    return (
        f"<details{' open' if is_open else ''}><summary>{esc(title)}</summary>"
        f'<div class="aiq-log"><code>{esc(text)}</code></div></details>'
    )
