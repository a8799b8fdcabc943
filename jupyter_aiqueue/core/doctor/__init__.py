"""The doctor: looks at everything between a notebook and a worker, and says what to mend.

`examine` is the way in. Each module holds the checks of one kind; a check is a function that is
given a `case.Case` and yields findings.
"""

from __future__ import annotations

from .examination import examine
from .finding import ERROR, NOTE, OK, WARNING, Finding, exit_code, findings_text, grouped

__all__ = [
    "ERROR",
    "NOTE",
    "OK",
    "WARNING",
    "Finding",
    "examine",
    "exit_code",
    "findings_text",
    "grouped",
]
