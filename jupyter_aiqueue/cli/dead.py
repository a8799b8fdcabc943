"""Dead letters: look at them, send them back, save or discard them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from ..core.errors import ConfigError
from .command import Commands, add_terms, open_client, show, show_again, sort

if TYPE_CHECKING:
    from ..core.dead import DeadLetter
    from ..core.job import JobRecord


def add(commands: Commands) -> None:
    """``dead``."""
    dead = commands.add(
        "dead",
        _dead,
        "Jobs that could not be worked, and why. With a job id: everything about it.",
    )
    dead.add_argument(
        "words",
        nargs="*",
        metavar="GROUP|ID|KEY=VALUE",
        help="a group, job ids or parts of them, and with --retry changed config values",
    )
    dead.add_argument("--group", metavar="NAME", help="only those of this group")
    dead.add_argument("--reason", metavar="WORD", help="only those with this reason")
    dead.add_argument(
        "-n",
        "--limit",
        type=int,
        metavar="N",
        help="at most this many (50, with --json 1000); 0: all",
    )
    dead.add_argument(
        "--save", metavar="FOLDER", help="write each as files: the body, and what is known of it"
    )
    acts = dead.add_mutually_exclusive_group()
    acts.add_argument("--retry", action="store_true", help="submit them again, as new jobs")
    acts.add_argument(
        "--discard", action="store_true", help="remove them; with --save: once they are on disk"
    )
    dead.add_argument("--yes", action="store_true", help="do not ask before acting on many")
    add_terms(dead)


def _dead(options: argparse.Namespace) -> int:
    from ..core.parameters import parse_pairs
    from ..core.submitting import Terms

    terms = Terms.of(options, but="group")
    words, pairs = sort(options.words)
    if pairs and not options.retry:
        raise ConfigError(f"{pairs[0]!r} changes a config: that goes with --retry.")
    if terms.said and not options.retry:
        raise ConfigError(f"--{next(iter(terms.said))} is for new jobs: it goes with --retry.")
    if options.save and options.retry:
        raise ConfigError("--save goes alone or with --discard; retry in a second command.")
    with open_client() as client:
        group, jobs = client.which_dead(words, options.group)
        which = {"group": group, "reason": options.reason}
        if options.save:
            saved = client.save_dead(options.save, jobs, discard=options.discard, **which)
            return _done(options, "saved", saved, saved.notes)
        if options.retry or options.discard:
            if not (jobs or options.yes):
                _ask(options, client.dead(limit=0, **which).total)
            if options.discard:
                discarded = client.discard_dead(jobs, **which)
                return _done(options, "discarded", discarded, discarded.notes)
            changes = parse_pairs(pairs)
            retried = client.retry_dead(jobs, changes=changes, terms=terms, **which)
            return show_again(options, retried, retried.notes)
        limit = (1000 if options.json else 50) if options.limit is None else options.limit or None
        letters = client.dead(jobs=jobs, limit=limit, **which)
        records = [client.recorded(letter.job_id) if jobs else None for letter in letters]
    if options.json:
        for note in letters.notes:
            print(note, file=sys.stderr)
        content = {
            "dead": [_letter(*pair) for pair in zip(letters, records, strict=True)],
            "total": letters.total,
            "reasons": {reason or "unknown": n for reason, n in letters.counts},
        }
        print(msgspec.json.encode(content).decode())
    else:
        from ..core.dead.text import letter_text, letters_text

        cards = [letter_text(*pair) for pair in zip(letters, records, strict=True)]
        print("\n\n".join(cards) if jobs else letters_text(letters))
    return 0


def _letter(letter: DeadLetter, record: JobRecord | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.structs.asdict(letter)
    found["id"] = letter.id
    if record is not None:
        found["log_tail"] = record.log_tail
    found["body"] = letter.body.decode("utf-8", "backslashreplace")
    return found


def _ask(options: argparse.Namespace, count: int) -> None:
    """Have the user agree to act on ``count`` letters; raises `ConfigError` if not."""
    act = "discard" if options.discard else "retry"
    if options.json or not sys.stdin.isatty():
        raise ConfigError(f"This would {act} {count} dead letters: add --yes to do it.")
    print(f"{act.capitalize()} {count} dead letters? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("Nothing was done.")


def _done(
    options: argparse.Namespace, what: str, items: Sequence[object], notes: Sequence[str]
) -> int:
    names = [str(item) for item in items]
    for note in notes:
        print(note, file=sys.stderr)
    text = "\n".join(f"{what}: {name}" for name in names) or f"Nothing was {what}."
    return show(options, {what: names}, text)
