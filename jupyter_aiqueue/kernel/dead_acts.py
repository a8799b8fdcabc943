"""What `%job_retry` and `%dead_jobs` do."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from IPython.core.error import UsageError

from ..core.dead.letter import LIMIT
from ..core.errors import AIQueueError
from ..core.parameters import parse_pairs
from ..core.submitting import Terms
from .dead_letters import DeadLetterCards, DeadLetters
from .job_tables import Jobs

if TYPE_CHECKING:
    from ..core.client import Client
    from ..core.handle import JobHandle

Shown: TypeAlias = "DeadLetters | DeadLetterCards | Jobs | None"

#: Rows of a table of jobs that were sent again together.
_MOST_ROWS = 50


def retry(client: Client, options: Namespace) -> list[JobHandle]:
    """Submit the jobs of ``options.words`` again; says what was not possible with some of them.

    Raises:
        AIQueueError: with one of them it was not possible.
    """
    words, changes = _sorted(options)
    if not words:
        raise UsageError("Which job? Give its id before what changes.")
    handles: list[JobHandle] = []
    failed: AIQueueError | None = None
    for job_id in words:
        try:
            handle = client.retry(job_id, changes, **Terms.of(options).said)
        except AIQueueError as error:
            failed = failed or error
            if len(words) > 1:
                _say(str(error))
        else:
            handle.notes += options.slips
            handles.append(handle)
            if len(words) > 1:
                _say(f"{handle.record.retry_of} is submitted again as {handle.id}")
    if failed is not None:
        raise failed
    return handles


def sort_out(client: Client, options: Namespace) -> Shown:
    """Show dead letters, save them, discard them, or send them again.

    Raises:
        UsageError, AIQueueError.
    """
    words, changes = _sorted(options)
    _check(options, words, changes)
    group, jobs = client.which_dead(words, options.group)
    which: dict[str, Any] = {"group": group, "reason": options.reason}
    if options.save is not None:
        folder = Path(options.save).expanduser()
        saved = client.save_dead(folder, jobs, discard=options.discard, **which)
        removed = " and removed" if options.discard else ""
        _say(f"Saved in {folder}{removed}: {len(saved)} dead letters.", *saved.notes)
        return None
    if options.discard:
        discarded = client.discard_dead(jobs, **which)
        _say(f"Removed: {len(discarded)} dead letters.", *discarded.notes)
        return None
    if options.retry_all:
        terms = Terms.of(options, but="group")
        again = client.retry_dead(jobs, changes=changes, terms=terms, **which)
        _say(f"Submitted again: {len(again)} jobs.", *again.notes)
        return table_of(again) if again else None
    rows = options.n if options.n > 0 else None
    limit = None if rows is None else max(rows, LIMIT)
    letters = client.dead(jobs=jobs, limit=limit, **which)
    if jobs:
        return DeadLetterCards((one, client.recorded(one.job_id)) for one in letters)
    return DeadLetters.of(letters, rows)


def table_of(handles: Sequence[JobHandle]) -> Jobs:
    """New jobs as a table; says what their submitter should know."""
    _say(*dict.fromkeys(note for handle in handles for note in handle.notes))
    return Jobs((handle.record for handle in handles[:_MOST_ROWS]), total=len(handles))


def _sorted(options: Namespace) -> tuple[list[str], dict[str, Any]]:
    """Names, and changes of a config, written as ``key=value`` or ``--key value``."""
    names = [word for word in options.words if "=" not in word]
    pairs = [word for word in options.words if "=" in word]
    return names, parse_pairs(pairs) | dict(options.pairs)


def _check(options: Namespace, words: Sequence[str], changes: dict[str, Any]) -> None:
    """Refuse what `%dead_jobs` cannot mean."""
    changed = [*changes, *Terms.of(options, but="group").said]
    if changed and not options.retry_all:
        raise UsageError(f"--{changed[0]} is not known here, except with --retry-all.")
    if options.retry_all and (options.save is not None or options.discard):
        raise UsageError("--retry-all goes alone: each letter is removed once its job is safe.")
    named = words or options.group or options.reason is not None
    if options.discard and options.save is None and not named:
        raise UsageError(
            "Name what to remove: job ids, a group or --reason. Or save all of it first: "
            "--save FOLDER --discard."
        )


def _say(*lines: str) -> None:
    for line in lines:
        print(line)  # noqa: T201
