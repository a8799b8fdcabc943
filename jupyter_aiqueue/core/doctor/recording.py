"""Recording: whether events of jobs get from the inbox into ledgers."""

from __future__ import annotations

from collections.abc import Iterator

from .. import topology
from ..recorder import inbox_depth
from .case import Case
from .finding import NOTE, OK, WARNING, Finding


def name(case: Case) -> Iterator[Finding]:
    """Whether the inbox has a name; the sentence that tells it comes with `inbox`."""
    _ = case.inbox
    yield from ()


def inbox(case: Case) -> Iterator[Finding]:
    """How many events wait, and whether somebody records them."""
    name, session = case.inbox, case.session
    if not session.exists(topology.inbox_queue(name)):
        yield Finding(OK, f"The inbox {name!r} will be made by the first submit.")
        return
    waiting, recorders = inbox_depth(session, name)
    if recorders:
        behind = f"; {waiting} events wait for it" if waiting else ""
        yield Finding(OK, f"The inbox {name!r} is recorded{behind}.")
        return
    yield Finding(
        WARNING if waiting else NOTE,
        f"Nobody records the inbox {name!r} now; {waiting} events wait in it, safely.",
        "The Jupyter server's extension records (`jupyter server extension list`), or a kernel "
        "while it uses the magics, or this command:",
        "jupyter aiqueue recorder",
    )
