"""What the doctor found, shown as a list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .html import esc, page, prose
from .words import tr

if TYPE_CHECKING:
    from ..core.doctor import Finding

_SIGNS = {"ok": "✓", "note": "i", "warning": "!", "error": "✗"}


class Findings(list["Finding"]):
    """Findings of `jupyter_aiqueue.core.doctor.examine`, as text and HTML."""

    def __repr__(self) -> str:
        lines = []
        for finding in self:
            lines.append(f"{_SIGNS.get(finding.level, '?')} {finding.what}")
            if finding.fix:
                lines.append(f"  → {finding.fix}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        items = "".join(
            f'<li class="aiq-level-{esc(finding.level)}"><strong class="aiq-shape" '
            f'title="{esc(tr(finding.level))}">{_SIGNS.get(finding.level, "?")}</strong>'
            f"<span>{prose(finding.what)}{_fix(finding)}</span></li>"
            for finding in self
        )
        return page(f'<ul class="aiq-findings">{items}</ul>', label=tr("Findings"))


def _fix(finding: Finding) -> str:
    return f'<br><span class="aiq-dim">→ {prose(finding.fix)}</span>' if finding.fix else ""
