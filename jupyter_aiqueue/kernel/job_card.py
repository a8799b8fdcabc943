"""One job as a card: HTML for notebooks, lines for terminals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..core.job import JobRecord, State, now
from ..core.text import duration, job_text, percent, span, start_text
from .html import bar, esc, mark, page, prose
from .words import clock, config_value, metric, number, size, tr

if TYPE_CHECKING:
    from ..core.collect.foresight import Foresight
    from ..core.load import Expected


def card_html(
    record: JobRecord,
    place: int | None = None,
    notes: Sequence[str] = (),
    foresight: Foresight | None = None,
) -> str:
    """The job as HTML.

    Args:
        place: jobs ahead of it when it was submitted; None when not known.
        notes: warnings for whoever submitted it, one sentence each.
        foresight: what is expected of it now; None when nobody says.
    """
    title = _title(record)
    head = (
        f'<div class="aiq-head">{mark(record.state, cancelling(record))}'
        f'<span class="aiq-title">{esc(title)}</span>'
        f'<span class="aiq-id aiq-dim" title="{esc(tr("job id"))}">{esc(record.job_id)}</span>'
        "</div>"
    )
    parts = [head]
    if record.progress is not None or record.metrics:
        parts.append(_progress(record))
    if record.reason:
        parts.append(f"<div>{esc(record.reason)}</div>")
    foresight = foresight if record.state is State.QUEUED else None
    hint = "" if foresight is None else f' title="{esc(str(foresight))}"'
    facts = "".join(f"<span{hint}>{esc(fact)}</span>" for fact in expectations(foresight))
    facts += "".join(
        f"<span>{esc(fact)}</span>" for fact in _facts(record, None if foresight else place)
    )
    parts.append(f'<div class="aiq-facts">{facts}</div>')
    config = " ".join(config_items(record))
    if config:
        parts.append(f'<div class="aiq-dim"><code>{esc(config)}</code></div>')
    parts += [f'<div class="aiq-note">{prose(note)}</div>' for note in [*notes, *_remarks(record)]]
    parts += [f'<div class="aiq-dim">{prose(hint)}</div>' for hint in _hints(record)]
    if not record.state.is_final:
        parts.append(f'<div class="aiq-foot">{esc(tr("as of"))} {clock(now())}</div>')
    card = f'<div class="aiq-card aiq-{record.state.value}">{"".join(parts)}</div>'
    return page(card, label=f"{title}: {tr(record.state.value)}")


def card_text(
    record: JobRecord,
    place: int | None = None,
    notes: Sequence[str] = (),
    foresight: Foresight | None = None,
) -> str:
    """The job as lines."""
    lines = [job_text(record)]
    if record.state is State.QUEUED and foresight is not None:
        lines += [f"  {sentence}" for sentence in foresight.sentences]
    elif record.state is State.QUEUED and place is not None and not record.attempt:
        lines.append(f"  {place} ahead when it was submitted")
    lines += [f"  Warning: {note}" for note in [*notes, *_remarks(record)]]
    lines += [f"  {hint}" for hint in _hints(record)]
    return "\n".join(lines)


def expectations(foresight: Foresight | None) -> list[str]:
    """Place in line, start and end of a job that waits, a few words each."""
    if foresight is None:
        return []
    ahead = foresight.ahead + foresight.ahead_of_higher
    return [
        f"{tr('place in line')} {number(ahead + 1)}",
        _when(foresight.start, tr("starts in"), tr("starts at once"), tr("start unknown")),
        _when(foresight.finish, tr("ends in"), "", tr("end unknown")),
    ]


def _when(expected: Expected, label: str, at_once: str, unknown: str) -> str:
    if expected.low is None or expected.high is None:
        return f"{unknown} ({tr(expected.missing)})" if expected.missing else unknown
    if at_once and start_text(expected) == "at once":
        return at_once
    return f"{label} {span(expected.low, expected.high)}"


def config_items(record: JobRecord) -> list[str]:
    """The config as ``key=value``, without the id that is there for plain consumers."""
    return [
        f"{key}={config_value(value)}" for key, value in record.config.items() if key != "task_id"
    ]


def lasted(record: JobRecord) -> float | None:
    """Seconds that the last attempt took; None if that is not known, as of a lost worker's."""
    return None if record.result is None else record.result.duration_s


def cancelling(record: JobRecord) -> str:
    """What follows the state while a cancel is on its way."""
    return f" ({tr('cancelling')})" if record.cancelling and not record.state.is_final else ""


def _title(record: JobRecord) -> str:
    if record.name and record.task:
        return f"{record.name} ({record.task})"
    return record.name or record.task or tr("job")


def _progress(record: JobRecord) -> str:
    done = ""
    if record.progress is not None:
        done = f"{bar(record.progress)}<span>{percent(record.progress)}</span>"
    metrics = "".join(
        f'<span><span class="aiq-dim">{esc(key)}</span> {esc(metric(value))}</span>'
        for key, value in record.metrics.items()
    )
    return f'<div class="aiq-progress">{done}<span class="aiq-facts">{metrics}</span></div>'


def _facts(record: JobRecord, place: int | None) -> list[str]:
    state = record.state
    facts = [record.group or tr("unknown")]
    if record.priority is not None:
        facts.append(f"{tr('priority')} {tr(record.priority.value)}")
    if state is State.QUEUED and place is not None and not record.attempt:
        facts.append(f"{number(place)} {tr('ahead when submitted')}")
    if record.started_at is not None and record.max_attempts > 1:
        facts.append(f"{tr('attempt')} {record.attempt}/{record.max_attempts}")
    if record.worker and state not in (State.QUEUED, State.HELD):
        facts.append(f"{tr('worker')} {record.worker}")
    if state is State.HELD and record.hold:
        facts.append(f"{tr('waits for')} {record.hold}")
    if state in (State.QUEUED, State.HELD):
        facts.append(f"{tr('submitted')} {clock(record.submitted_at)}")
    elif state is State.RUNNING:
        facts.append(f"{tr('started')} {clock(record.started_at)}")
    elif state is State.RETRYING:
        facts.append(f"{tr('next attempt')} {clock(record.next_attempt_at)}")
    else:
        facts += _end(record)
    return facts


def _end(record: JobRecord) -> list[str]:
    facts = [f"{tr('ended')} {clock(record.ended_at)}"]
    seconds = lasted(record)
    if seconds is not None:
        facts.append(f"{tr('duration')} {duration(seconds)}")
    if record.result is not None:
        if record.result.exit_code and record.state is not State.CANCELLED:
            facts.append(f"{tr('exit code')} {record.result.exit_code}")
        if record.result.peak_memory_bytes is not None:
            facts.append(f"{tr('memory')} {size(record.result.peak_memory_bytes)}")
    return facts


def _remarks(record: JobRecord) -> list[str]:
    if not record.duplicates:
        return []
    times = "once" if record.duplicates == 1 else f"{record.duplicates} times"
    return [f"It was executed {times} more beside its first end, which is the one that counts."]


def _hints(record: JobRecord) -> list[str]:
    if record.state not in (State.DEAD, State.FAILED):
        return []
    job_id = record.job_id
    return [f"`%job_log {job_id}` shows its output; `%job_retry {job_id}` submits it again."]
