"""The urn: run times of jobs that have not ended yet, drawn together.

A Pólya urn in three storeys. A job's run time is one of the remembered runs of its config, or
that of another job of its config drawn just before, or (with a probability that falls with the
number of these) comes from the storey above: its task, then its group, then longer than
anything seen. So ten waiting jobs of a config that nobody has run share one uncertainty instead
of averaging it away. What is drawn is blurred by as much as so few runs leave open.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from .history import Bools, Floats, Level, RunTimes
from .situation import Likeness

#: Beyond the longest run that was seen, run times fall off as a Pareto law with this exponent.
TAIL = 2.0

#: With fewer runs of a group than about so many, long ones are likely to be missing.
_EARLY = 10


class _Storey:
    """One level for all jobs: where each finds its runs and the jobs drawn before it."""

    def __init__(
        self,
        likes: Sequence[Likeness],
        level_of: Callable[[Likeness], Level],
        key_of: Callable[[Likeness], object],
        *,
        share: bool,
    ) -> None:
        numbers: dict[object, int] = {}
        levels: list[Level] = []
        members: list[list[int]] = []
        number = np.empty(len(likes), np.intp)
        earlier = np.zeros(len(likes), np.intp)
        for row, like in enumerate(likes):
            key = key_of(like)
            if key not in numbers:
                numbers[key] = len(levels)
                levels.append(level_of(like))
                members.append([])
            number[row] = which = numbers[key]
            earlier[row] = len(members[which]) if share else 0
            members[which].append(row)
        self.logs = np.concatenate([level.logs for level in levels])
        self.failed = np.concatenate([level.failed for level in levels])
        sizes = np.array([len(level.logs) for level in levels])
        firsts = np.cumsum(sizes) - sizes
        self.rows = np.concatenate([np.array(rows) for rows in members])
        counts = np.array([len(rows) for rows in members])
        self.first, self.first_row = firsts[number], (np.cumsum(counts) - counts)[number]
        self.runs, self.earlier = sizes[number], earlier
        most = [float(level.logs.max()) if len(level.logs) else 0.0 for level in levels]
        self.longest = np.array(most)[number]
        self.doubt = np.array([level.doubt for level in levels])[number]
        variance = np.array([level.variance for level in levels])[number]
        # With n runs their own spread lacks 2/n of the variance that the next one has.
        self.blur = np.sqrt(2 * variance / np.maximum(self.runs + self.earlier, 1))


def draw(
    history: RunTimes,
    likes: Sequence[Likeness],
    samples: int,
    random: np.random.Generator,
    *,
    given: tuple[Floats, Bools] | None = None,
    share: bool = True,
) -> tuple[Floats, Bools]:
    """Draw run times for ``likes``, which may copy from those before them.

    Args:
        given: the result for the first rows of ``likes``, which is known already.
        share: whether jobs may copy from one another at all.

    Returns:
        Logarithms of seconds and whether the attempt fails, both of shape (jobs, samples).
    """
    jobs, known = len(likes), 0 if given is None else len(given[0])
    shape = (jobs, samples)
    logs, failed = np.zeros(shape), np.zeros(shape, bool)
    if jobs == 0:
        return logs, failed
    blur = np.zeros(shape)
    # Each draw's row, or that of the one it copies.
    source = np.repeat(np.arange(jobs), samples).reshape(shape)
    if given is not None:
        logs[:known], failed[:known] = given
    storeys = (
        _Storey(likes, history.config, lambda like: like, share=share),
        _Storey(likes, history.task, lambda like: (like.group, like.task), share=share),
        _Storey(likes, history.group, lambda like: like.group, share=share),
    )
    flat_logs, flat_failed = logs.ravel(), failed.ravel()
    flat_blur, flat_source = blur.ravel(), source.ravel()
    open_ = np.arange(known * samples, jobs * samples)
    row = np.repeat(np.arange(known, jobs), samples)
    for storey in storeys:
        balls = storey.runs + storey.earlier
        ball = (random.random(len(open_), np.float32) * (balls + storey.doubt)[row]).astype(np.intp)
        found = ball < balls[row]
        flat_blur[open_] = np.where(found, storey.blur[row], 0.0)
        runs = np.flatnonzero(ball < storey.runs[row])
        which = storey.first[row[runs]] + ball[runs]
        here = open_[runs]
        flat_logs[here], flat_failed[here] = storey.logs[which], storey.failed[which]
        copies = np.flatnonzero(found & (ball >= storey.runs[row]))
        copied = row[copies]
        flat_source[open_[copies]] = storey.rows[
            (storey.first_row - storey.runs)[copied] + ball[copies]
        ]
        left = np.flatnonzero(~found)
        open_, row = open_[left], row[left]
    flat_logs[open_] = storeys[-1].longest[row] + random.exponential(1 / TAIL, len(open_))
    # Less half the variance, the mean stays: a long line takes no longer because little is known
    # of each config. But when little is known of all, short runs are those that ended first.
    known_runs = storeys[-1].runs[-1]
    kept = known_runs / (known_runs + _EARLY)
    blur *= random.standard_normal(shape, np.float32) - blur / 2 * kept
    return _follow(source, logs, failed, blur)


def _follow(
    source: NDArray[np.intp], logs: Floats, failed: Bools, blur: Floats
) -> tuple[Floats, Bools]:
    """Resolve who copies whom, adding up the blur of each step (by pointer doubling)."""
    samples = source.shape[1]
    at = (source * samples + np.arange(samples)).ravel()
    flat, fails, path = logs.ravel(), failed.ravel(), blur.ravel()
    copies = going = np.flatnonzero(at != np.arange(len(at)))
    own = np.ones(len(at), bool)
    own[copies] = False
    flat[own] += path[own]
    path[own] = 0.0
    while len(going):
        onto = at[going]
        step, further = path[onto], at[onto]
        path[going] += step
        at[going] = further
        going = going[further != onto]
    flat[copies] = flat[at[copies]] + path[copies]
    fails[copies] = fails[at[copies]]
    return logs, failed
