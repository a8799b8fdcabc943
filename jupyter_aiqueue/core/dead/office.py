"""The dead letter office: looks into the dead queues of all groups, and settles letters."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeAlias

from ..errors import PermissionRefused, UnknownGroup
from ..publisher import read_catalog
from ..transport import Session
from .letter import LIMIT, DeadLetter, LetterKind, Letters, Selection
from .queue import Held, Look

#: Seconds that letters are held while something is done with them; then they are given back
#: and looked at anew, so that no delivery is held too long for the broker.
_ROUND = 20.0

#: What is done with one letter. It calls the function that it is given to remove the letter,
#: and only when what shall outlive the letter is safe.
Act: TypeAlias = Callable[[Session, DeadLetter, Callable[[], None]], None]


def look(session: Session, selection: Selection, *, limit: int | None = LIMIT) -> Letters:
    """Dead letters, without removing any.

    Args:
        limit: at most so many; None: all that memory is good for. `Letters.total` counts all.

    Raises:
        UnknownGroup, PermissionRefused, JobNotFound, AmbiguousJob, BrokerError.
    """
    with _opened(session, selection) as (looks, notes):
        kinds: Counter[LetterKind] = Counter()
        others: Counter[LetterKind] = Counter()

        def wants(letter: DeadLetter) -> bool:
            if not selection.fits(letter):
                others[letter.kind] += selection.fits_but_for_reason(letter)
                return False
            kinds[letter.kind] += 1
            return True

        held: list[Held] = []
        for one in looks:
            held += one.read(wants, limit=None if limit is None else max(0, limit - len(held)))
        notes += [note for one in looks for note in one.notes]
        if any(one.full for one in looks):
            notes.append(
                "Not all are shown, because they are large: choose by group, reason or id."
            )
        if not kinds:
            notes += selection.no_such_reason(+others)
        letters = [one.letter for one in held]
        chosen = selection.check(letters, notes)
        if selection.jobs:
            letters = [letter for letter in letters if letter.id in chosen]
            kinds = Counter(letter.kind for letter in letters)
        return Letters(letters, kinds, notes)


def settle(
    session: Session,
    selection: Selection,
    act: Act,
    *,
    wants: Callable[[DeadLetter], bool] = lambda _: True,
) -> list[str]:
    """Do ``act`` with every letter of ``selection``, in rounds; returns what was not seen.

    Letters that ``act`` does not remove stay, and may come again in the next round. What it
    raises ends all this; then the letters that were not removed are back.

    Args:
        wants: leaves out letters that ``act`` would not remove.

    Raises:
        UnknownGroup, PermissionRefused, JobNotFound, AmbiguousJob, BrokerError.
    """

    found = False
    others: Counter[LetterKind] = Counter()

    def fits(letter: DeadLetter) -> bool:
        nonlocal found
        if not selection.fits(letter):
            others[letter.kind] += selection.fits_but_for_reason(letter)
            return False
        found = True
        return wants(letter)

    while True:
        with _opened(session, selection) as (looks, notes):
            held = [(one, h) for one in looks for h in one.read(fits, limit=None)]
            notes += [note for one in looks for note in one.notes]
            if not found:
                notes += selection.no_such_reason(+others)
            chosen = selection.check((h.letter for _, h in held), notes)
            removed: list[Held] = []
            deadline = time.monotonic() + _ROUND
            for one, h in held:
                if selection.jobs and h.letter.id not in chosen:
                    continue
                act(session, h.letter, partial(_remove, one, h, removed))
                if time.monotonic() > deadline and not selection.jobs:
                    break
            else:
                if selection.jobs or not any(one.more for one in looks):
                    return notes
            if not removed:
                more = "More dead letters are there than can be held at once: choose some of them."
                return [*notes, more]


def _remove(look: Look, held: Held, removed: list[Held]) -> None:
    look.remove(held)
    removed.append(held)


@contextmanager
def _opened(session: Session, selection: Selection) -> Iterator[tuple[list[Look], list[str]]]:
    """A look at each group of ``selection``, and notes on those that may not be read."""
    known = read_catalog(session).groups
    if selection.group is not None and selection.group not in known:
        raise UnknownGroup(
            f"The broker at {session.broker.location} has no group {selection.group!r}; "
            f"it has {', '.join(known)}."
        )
    with ExitStack() as stack:
        looks, refused = [], list[PermissionRefused]()
        for group in known if selection.group is None else (selection.group,):
            try:
                looks.append(stack.enter_context(Look(session, group)))
            except PermissionRefused as error:
                refused.append(error)
        if refused and not looks:
            raise refused[0]
        yield looks, [str(error) for error in refused]
