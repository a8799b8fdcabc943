"""What was found, and how it is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

import msgspec

from ..errors import AIQueueError

OK, NOTE, WARNING, ERROR = "ok", "note", "warning", "error"

#: Worst first.
_LEVELS = (ERROR, WARNING, NOTE, OK)

#: What findings are about, in the order of the way to the broker; headings for people.
CONNECTION, RIGHTS, SETUP, POLICIES, BROKER, CLOCKS, JOBS, RECORDING, MACHINE = TOPICS = (
    "Connection",
    "Rights of this account",
    "Set-up",
    "Policies",
    "Broker",
    "Clocks",
    "Jobs and workers",
    "Recording",
    "This machine",
)

#: A shape for each level, so that colour is never needed to tell them apart.
SIGNS = {OK: "✓", NOTE: "i", WARNING: "!", ERROR: "✗"}


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at: ``level`` is ``ok``, ``note``, ``warning`` or ``error``."""

    level: str
    #: What was found, one sentence.
    what: str
    #: What to do about it; None when nothing is needed.
    fix: str | None = None
    #: The same as commands to copy into a shell, one a line, where that can be said.
    command: str | None = None
    #: One of `TOPICS`.
    topic: str = ""


def of_error(error: AIQueueError, level: str = ERROR) -> Finding:
    """Errors of ours say what is wrong and then what to do."""
    what, _, fix = str(error).partition(". ")
    return Finding(level, what.rstrip(".") + ".", fix or None)


def exit_code(findings: Iterable[Finding]) -> int:
    """For a command: 0 nothing to mend (there may be notes), 1 a warning, 2 an error."""
    return max((_CODES.get(finding.level, 0) for finding in findings), default=0)


_CODES = {WARNING: 1, ERROR: 2}


def grouped(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    """Findings by topic; the worst topic first, and the worst of a topic first."""
    by_topic: dict[str, list[Finding]] = {}
    for finding in findings:
        by_topic.setdefault(finding.topic, []).append(finding)
    for found in by_topic.values():
        found.sort(key=_badness)

    def place(item: tuple[str, list[Finding]]) -> tuple[int, int]:
        topic, found = item
        return _badness(found[0]), TOPICS.index(topic) if topic in TOPICS else len(TOPICS)

    return sorted(by_topic.items(), key=place)


def findings_text(findings: Iterable[Finding], tr: Callable[[str], str] = str) -> str:
    """Findings as lines for a terminal.

    Args:
        tr: translates headings.
    """
    lines = []
    findings = list(findings)
    for topic, found in grouped(findings):
        if topic:
            lines.append(tr(topic))
        for finding in found:
            lines.append(f"  {SIGNS.get(finding.level, '?')} {finding.what}")
            if finding.fix:
                lines.append(f"    → {finding.fix}")
            lines += [f"      {line}" for line in (finding.command or "").splitlines()]
    return "\n".join([*lines, summary(findings)])


def summary(findings: Iterable[Finding]) -> str:
    """How many there are of each level: ``1 error, 2 notes, 12 in order.``."""
    counts = Counter(finding.level for finding in findings)
    words = [
        f"{counts[level]} {level}" + ("" if counts[level] == 1 else "s")
        for level in _LEVELS[:-1]
        if counts[level]
    ]
    return ", ".join([*words, f"{counts[OK]} in order"]) + "."


def _badness(finding: Finding) -> int:
    return _LEVELS.index(finding.level) if finding.level in _LEVELS else len(_LEVELS)
