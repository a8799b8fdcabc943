"""Ledgers with anything in them: no good line is lost, and nothing but our own error is raised."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hostile_input import json_values, objects, patient, written
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.events import Event, Kind, encode_event, make_event
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.core.ledger import Ledger, read_ledger, read_records

#: Headers, or what looks like one.
headers = objects(
    {
        "ledger": st.text(max_size=5),
        "version": st.integers(),
        "notebook": st.text(max_size=10) | st.sampled_from(["..", "a/b.ipynb", "a.\0", "."]),
    }
).map(lambda fields: {"ledger": "x", **fields})

garbage = written(headers | json_values).map(
    # In one piece: what ends a line ends it.
    lambda data: data.replace(b"\n", b"").replace(b"\r", b"")
)


def good(number: int, kind: Kind) -> Event:
    return make_event(kind, Job(id=f"j{number}", config={"n": number}, group="train"))


good_events = st.builds(
    good, st.integers(0, 3), st.sampled_from([Kind.SUBMITTED, Kind.STARTED, Kind.SUCCEEDED])
)
lines = st.lists(garbage | good_events, max_size=8)


def ends(events: list[Event]) -> dict[str, str]:
    """The first end of each job."""
    found: dict[str, str] = {}
    for event in events:
        if event.event.is_final:
            found.setdefault(event.job_id, event.event.value)
    return found


@patient
@given(lines, st.binary(max_size=50).map(lambda data: data.replace(b"\n", b"")), good_events)
def test_good_lines_are_read_kept_and_added_to_whatever_is_between_them(
    content: list[bytes | Event], torn: bytes, more: Event
) -> None:
    events = [line for line in content if isinstance(line, Event)]
    encoded = [encode_event(e) if isinstance(e, Event) else e for e in content]
    data = b"".join(line + b"\n" for line in encoded) + torn
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.jobs.jsonl"
        file.write_bytes(data)
        ours = {event.id for event in events}
        assert [e for e in read_ledger(file) if e.id in ours] == events
        ledger = Ledger(file)
        ledger.refresh()
        for event in events:
            record = ledger.records[event.job_id]
            assert record.attempt >= event.attempt
            assert record.notebook is None or record.notebook
        for job_id, state in ends(events).items():
            assert ledger.records[job_id].state.value == state
        ledger.append([more])
        written_now = file.read_bytes()
        assert written_now.startswith(data)
        assert encode_event(more) in written_now or any(e.id == more.id for e in events)
        assert repr(read_records(file)) == repr(ledger.records)
        ledger.append([more, *events])
        assert file.read_bytes() == written_now, "what is there is not written again"


@patient
@given(st.lists(good_events, max_size=6), st.data())
def test_a_ledger_that_was_cut_anywhere_is_as_one_to_which_the_rest_never_came(
    events: list[Event], data: st.DataObject
) -> None:
    whole = b"".join(encode_event(event) + b"\n" for event in events)
    cut = data.draw(st.integers(0, len(whole)))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "train.jobs.jsonl"
        file.write_bytes(whole[:cut])
        ledger = Ledger(file)
        ledger.refresh()
        left = whole[:cut].count(b"\n")
        assert set(ledger.records) == {event.job_id for event in events[:left]}
        # They were not acknowledged, and come again.
        ledger.append(events)
        assert {e.id for e in read_ledger(file)} >= {event.id for event in events}
        assert read_records(file).keys() == {event.job_id for event in events}
