"""What the doctor found, shown as a list: what is wrong first, what is in order folded away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..core.doctor.finding import OK, SIGNS, findings_text, grouped
from .html import esc, page, prose
from .words import tr

if TYPE_CHECKING:
    from ..core.doctor import Finding


class Findings(list["Finding"]):
    """Findings of `jupyter_aiqueue.core.doctor.examine`, as text and HTML."""

    def __repr__(self) -> str:
        return findings_text(self, tr)

    def _repr_html_(self) -> str:
        wrong = [finding for finding in self if finding.level != OK]
        right = [finding for finding in self if finding.level == OK]
        parts = [_topics(wrong)]
        if right:
            folded = "" if wrong else " open"
            parts.append(
                f"<details{folded}><summary>{len(right)} {esc(tr('in order'))}</summary>"
                f"{_topics(right)}</details>"
            )
        return page(*parts, label=tr("Findings"))


def _topics(findings: list[Finding]) -> str:
    return "".join(
        (f'<div class="aiq-title">{esc(tr(topic))}</div>' if topic else "")
        + f'<ul class="aiq-findings">{"".join(map(_item, found))}</ul>'
        for topic, found in grouped(findings)
    )


def _item(finding: Finding) -> str:
    return (
        f'<li class="aiq-level-{esc(finding.level)}"><strong class="aiq-shape" '
        f'title="{esc(tr(finding.level))}">{SIGNS.get(finding.level, "?")}</strong>'
        f"<div>{prose(finding.what)}{_fix(finding)}</div></li>"
    )


def _fix(finding: Finding) -> str:
    said = f'<div class="aiq-dim">→ {prose(finding.fix)}</div>' if finding.fix else ""
    # Each command is selected as a whole by one click, to be copied.
    commands = (finding.command or "").splitlines()
    return said + "".join(f'<code class="aiq-command">{esc(line)}</code>' for line in commands)
