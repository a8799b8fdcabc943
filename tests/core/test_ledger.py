"""The file beside the notebook: nothing is lost, nothing counts twice."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jupyter_aiqueue.core import ledger as ledger_module
from jupyter_aiqueue.core.errors import LedgerError
from jupyter_aiqueue.core.events import Kind, encode_event, make_event
from jupyter_aiqueue.core.job import Job, State, new_job_id
from jupyter_aiqueue.core.ledger import Ledger, Removal, ledger_path, read_ledger, read_records

from .histories import START, histories

JOB = Job(id="j1", config={"epochs": 3}, group="train", notebook="/n/train.ipynb")


def at(seconds: float) -> dict:
    return {"timestamp": START + timedelta(seconds=seconds)}


SUBMITTED = make_event(Kind.SUBMITTED, JOB, **at(0))
STARTED = make_event(Kind.STARTED, JOB, run="a", worker="w", **at(1))
SUCCEEDED = make_event(Kind.SUCCEEDED, JOB, run="a", worker="w", progress=1.0, **at(2))
SECOND_END = make_event(Kind.SUCCEEDED, JOB, run="b", worker="w2", **at(3))


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "train.jobs.jsonl"


def shown(records):
    """Records without where they are kept."""
    return {
        job_id: msgspec.structs.replace(record, ledger=None, notebook=None)
        for job_id, record in records.items()
    }


def test_the_ledger_of_a_notebook_is_beside_it():
    assert ledger_path("/n/train.ipynb") == Path("/n/train.jobs.jsonl")
    assert ledger_path("/n/v1.2.ipynb") == Path("/n/v1.2.jobs.jsonl")


def test_what_is_written_is_read_again(path):
    changed = Ledger(path, "/n/train.ipynb").append([SUBMITTED, STARTED, SUCCEEDED])
    assert [record.state for record in changed] == [State.SUCCEEDED]
    assert read_ledger(path) == [SUBMITTED, STARTED, SUCCEEDED]
    record = read_records(path)["j1"]
    assert (record.state, record.worker, record.progress) == (State.SUCCEEDED, "w", 1.0)
    assert record.notebook == str(path.with_name("train.ipynb"))
    assert record.ledger == str(path)


def test_a_removed_record_is_not_shown_and_what_happened_stays_in_the_file(path):
    ledger = Ledger(path, "/n/train.ipynb")
    ledger.append([SUBMITTED, STARTED, SUCCEEDED])
    ledger.remove([Removal("j1")])
    ledger.remove([Removal("j1")])
    for reader in (ledger, Ledger(path)):
        reader.refresh()
        assert (reader.records, reader.history("j1"), reader.knows("j1")) == ({}, [], True)
    assert read_ledger(path) == [SUBMITTED, STARTED, SUCCEEDED]
    assert path.read_text().splitlines()[-1] == '{"removed":"j1"}'


def test_a_removed_record_does_not_come_back_with_late_or_repeated_events(path):
    Ledger(path).append([SUBMITTED, SUCCEEDED])
    Ledger(path).remove([Removal("j1")])
    assert Ledger(path).append([SUCCEEDED, STARTED, SECOND_END]) == []
    assert read_records(path) == {}
    assert [event.event for event in read_ledger(path)][2:] == [Kind.STARTED, Kind.DUPLICATE]


@pytest.mark.parametrize("place", range(4))
def test_a_removal_counts_wherever_it_stands_in_the_file(path, place):
    lines = [encode_event(event) for event in (SUBMITTED, STARTED, SUCCEEDED)]
    lines.insert(place, b'{"removed":"j1"}')
    path.write_bytes(b"\n".join(lines) + b"\n")
    assert read_records(path) == {}


def test_the_removal_of_a_job_that_is_not_over_waits_for_its_end(path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED, STARTED])
    ledger.remove([Removal("j1"), Removal("never heard of")])
    assert ledger.records["j1"].state is State.RUNNING
    assert ledger.append([SUCCEEDED]) == []
    assert ledger.records == {}


def test_pandas_reads_it_as_json_lines(path):
    Ledger(path, "/n/train.ipynb").append([SUBMITTED, STARTED, SUCCEEDED])
    table = pd.read_json(path, lines=True)
    assert list(table["event"].dropna()) == ["submitted", "started", "succeeded"]


@given(histories(), st.randoms(), st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_order_and_any_repetition_of_events_give_the_same_record(
    tmp_path, history, random, data
):
    straight = Ledger(tmp_path / f"{new_job_id()}.jobs.jsonl")
    straight.append(history)
    mixed = [*history, *data.draw(st.lists(st.sampled_from(history), max_size=5))]
    random.shuffle(mixed)
    crooked = Ledger(tmp_path / f"{new_job_id()}.jobs.jsonl")
    while mixed:
        size = random.randint(1, len(mixed))
        crooked.append(mixed[:size])
        del mixed[:size]
    assert shown(crooked.records) == shown(straight.records)
    assert shown(read_records(crooked.path)) == shown(straight.records)
    assert len(read_ledger(crooked.path)) == len(history)


def test_a_repeated_event_is_written_once(path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED, SUBMITTED])
    assert ledger.append([SUBMITTED]) == []
    assert Ledger(path).append([SUBMITTED]) == []  # nor by a writer that has just come
    assert read_ledger(path) == [SUBMITTED]


def test_a_second_end_is_written_as_a_duplicate_and_does_not_count(path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED, STARTED, SUCCEEDED])
    failed = make_event(Kind.DEAD, JOB, run="b", reason="exit code 1", **at(9))
    (record,) = ledger.append([failed])
    assert (record.state, record.duplicates) == (State.SUCCEEDED, 1)
    kinds = [event.event for event in read_ledger(path)]
    assert kinds.count(Kind.SUCCEEDED) == 1
    assert (kinds[-1], read_ledger(path)[-1].of) == (Kind.DUPLICATE, Kind.DEAD)
    assert ledger.append([failed]) == []  # and only once, however often it is told


def test_two_ends_that_come_together_are_one_end_and_one_duplicate(path):
    (record,) = Ledger(path).append([SUCCEEDED, SECOND_END])
    assert (record.state, record.worker, record.duplicates) == (State.SUCCEEDED, "w", 1)


def test_two_ends_that_somebody_merged_into_the_file_count_once(path):
    path.write_bytes(b"\n".join(map(encode_event, [SUCCEEDED, SECOND_END])) + b"\n")
    record = read_records(path)["j1"]
    assert (record.worker, record.duplicates) == ("w", 1)


def test_a_torn_last_line_is_closed_off_and_its_event_is_written_again(path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED])
    torn = encode_event(STARTED)[:40]
    with path.open("ab") as file:
        file.write(torn)
    assert read_records(path)["j1"].state is State.QUEUED
    Ledger(path).append([STARTED, SUCCEEDED])
    assert torn in path.read_bytes().splitlines()
    assert read_ledger(path) == [SUBMITTED, STARTED, SUCCEEDED]


def test_a_last_line_that_only_lacks_its_newline_counts_once(path):
    Ledger(path).append([SUBMITTED])
    with path.open("ab") as file:
        file.write(encode_event(SUCCEEDED))  # as some editors leave a file
    record = Ledger(path).append([SUCCEEDED, SECOND_END])[0]
    assert (record.worker, record.duplicates) == ("w", 1)


def test_a_torn_header_is_closed_off(path):
    path.write_bytes(b'{"ledger":"12')
    Ledger(path, "/n/train.ipynb").append([SUBMITTED])
    assert read_ledger(path) == [SUBMITTED]


def test_foreign_lines_are_kept_and_passed_over(path):
    foreign = [b"# a note", b'{"my": "line"}', b"", b"\xff\xfe\x00", b"<<<<<<< HEAD", b"null"]
    path.write_bytes(b"\r\n".join(foreign) + b"\n" + encode_event(SUBMITTED) + b"\n")
    Ledger(path).append([STARTED])
    assert all(line in path.read_bytes().splitlines() for line in foreign)
    assert read_ledger(path) == [SUBMITTED, STARTED]
    assert read_records(path)["j1"].state is State.RUNNING


class FullDisk:
    """A disk with room for some more bytes."""

    def __init__(self, room: int) -> None:
        self.room = room
        self._write = os.write

    def write(self, descriptor: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = self._write(descriptor, data[: self.room])
        self.room -= written
        return written


@pytest.mark.parametrize("room", [0, 25])
def test_a_full_disk_leaves_the_ledger_as_it_was(path, monkeypatch, room):
    ledger = Ledger(path, "/n/train.ipynb")
    ledger.append([SUBMITTED])
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.os, "write", FullDisk(room).write)
        with pytest.raises(LedgerError, match=r"No space left.*inbox"):
            ledger.append([STARTED, SUCCEEDED])
    assert path.read_bytes() == before
    assert ledger.records["j1"].state is State.QUEUED
    ledger.append([STARTED, SUCCEEDED])  # there is room again
    assert read_ledger(path) == [SUBMITTED, STARTED, SUCCEEDED]


def test_a_disk_so_full_that_not_even_cutting_works_costs_a_torn_line_only(path, monkeypatch):
    ledger = Ledger(path)
    ledger.append([SUBMITTED])

    def broken(*_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.os, "write", FullDisk(25).write)
        patch.setattr(ledger_module.os, "ftruncate", broken)
        with pytest.raises(LedgerError):
            ledger.append([STARTED])
    ledger.append([STARTED])
    assert read_ledger(path) == [SUBMITTED, STARTED]


def test_what_the_disk_did_not_confirm_does_not_count_as_written(path, monkeypatch):
    ledger = Ledger(path)
    ledger.append([SUBMITTED])

    def broken(_):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(ledger_module.os, "fsync", broken)
        with pytest.raises(LedgerError, match="Input/output error"):
            ledger.append([STARTED])
    assert ledger.append([STARTED]) != []
    assert read_ledger(path) == [SUBMITTED, STARTED]


def test_a_write_in_small_pieces_is_finished(path, monkeypatch):
    write = os.write
    monkeypatch.setattr(ledger_module.os, "write", lambda fd, data: write(fd, data[:7]))
    Ledger(path).append([SUBMITTED, STARTED])
    assert read_ledger(path) == [SUBMITTED, STARTED]


def test_a_read_only_folder_is_an_error_that_names_the_file(path, monkeypatch):
    # By a patch, because root may write everywhere.
    def refused(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(ledger_module.os, "open", refused)
    with pytest.raises(LedgerError, match=r"train\.jobs\.jsonl.*Permission denied"):
        Ledger(path).append([SUBMITTED])
    assert not path.exists()


def test_a_folder_in_the_place_of_the_ledger_is_an_error(path):
    path.mkdir()
    with pytest.raises(LedgerError, match=r"train\.jobs\.jsonl"):
        Ledger(path).append([SUBMITTED])
    with pytest.raises(LedgerError, match=r"train\.jobs\.jsonl"):
        read_ledger(path)


def test_a_ledger_that_is_not_there_is_an_error_for_who_asks_for_it(path):
    with pytest.raises(LedgerError, match="no ledger"):
        read_records(path)
    assert Ledger(path).refresh() is False


def test_a_file_that_was_replaced_is_read_from_its_start(path, tmp_path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED, STARTED, SUCCEEDED])
    other = tmp_path / "other.jobs.jsonl"
    Ledger(other).append([make_event(Kind.SUBMITTED, msgspec.structs.replace(JOB, id="j2"))])
    other.replace(path)  # as git does
    assert ledger.refresh()
    assert list(ledger.records) == ["j2"]
    ledger.append([SUBMITTED])  # known of the old file, not of this one
    assert set(read_records(path)) == {"j1", "j2"}


def test_a_file_that_was_cut_is_read_from_its_start(path):
    ledger = Ledger(path)
    ledger.append([SUBMITTED, STARTED, SUCCEEDED])
    path.write_bytes(encode_event(SUBMITTED) + b"\n")
    ledger.refresh()
    assert ledger.records["j1"].state is State.QUEUED


def test_a_file_that_was_removed_starts_anew(path):
    ledger = Ledger(path, "/n/train.ipynb")
    ledger.append([SUBMITTED])
    path.unlink()
    assert ledger.refresh()
    assert ledger.records == {}
    ledger.append([STARTED])
    assert read_ledger(path) == [STARTED]


def test_a_file_that_is_replaced_while_we_wait_for_its_lock_gets_the_events(
    path, tmp_path, monkeypatch
):
    Ledger(path).append([SUBMITTED])
    other = tmp_path / "other.jobs.jsonl"
    Ledger(other).append([make_event(Kind.SUBMITTED, msgspec.structs.replace(JOB, id="j2"))])
    flock = ledger_module.fcntl.flock

    def slow_lock(descriptor, how):
        flock(descriptor, how)
        if other.exists():
            other.replace(path)

    monkeypatch.setattr(ledger_module.fcntl, "flock", slow_lock)
    Ledger(path).append([STARTED])
    assert [event.event for event in read_ledger(path)] == [Kind.SUBMITTED, Kind.STARTED]
    assert set(read_records(path)) == {"j1", "j2"}


def test_two_writers_at_once_lose_nothing_and_write_nothing_twice(path, tmp_path):
    write = """
import sys
from pathlib import Path
from jupyter_aiqueue.core.ledger import Ledger, read_ledger
ledger = Ledger(Path(sys.argv[1]))
for event in read_ledger(sys.argv[2]):
    ledger.append([event])
"""
    source = tmp_path / "source.jobs.jsonl"
    events = []
    for number in range(100):
        job = msgspec.structs.replace(JOB, id=f"j{number}")
        events += [make_event(Kind.SUBMITTED, job), make_event(Kind.SUCCEEDED, job, run="a")]
    Ledger(source).append(events)
    writers = [
        subprocess.Popen([sys.executable, "-c", write, str(path), str(source)]) for _ in range(2)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    lines = path.read_bytes().splitlines()
    assert len(lines) == 1 + len(events)  # one header
    assert sorted(e.id for e in read_ledger(path)) == sorted(e.id for e in events)


def test_ten_thousand_events_are_read_once(path, monkeypatch):
    jobs = [msgspec.structs.replace(JOB, id=f"j{number}") for number in range(2500)]
    kinds = (Kind.SUBMITTED, Kind.STARTED, Kind.RETRYING, Kind.SUCCEEDED)
    Ledger(path).append(make_event(kind, job, run="a") for job in jobs for kind in kinds)
    read = []
    decode = ledger_module.decode_event

    def counted(line):
        read.append(line)
        return decode(line)

    monkeypatch.setattr(ledger_module, "decode_event", counted)
    ledger = Ledger(path)
    assert ledger.refresh()
    assert len(ledger.records) == 2500
    assert {record.state for record in ledger.records.values()} == {State.SUCCEEDED}
    assert not ledger.refresh()
    Ledger(path).append([SUBMITTED])
    del read[:]
    ledger.refresh()
    assert len(read) == 1


def test_the_header_names_the_notebook_and_is_written_once(path):
    Ledger(path, "/n/train.ipynb").append([SUBMITTED])
    Ledger(path, "/n/train.ipynb").append([STARTED])
    headers = [line for line in map(json.loads, path.read_text().splitlines()) if "ledger" in line]
    assert len(headers) == 1
    assert (headers[0]["notebook"], headers[0]["version"]) == ("train.ipynb", 1)


def test_a_ledger_that_went_along_with_its_notebook_names_the_new_one(path):
    Ledger(path, "/n/train.ipynb").append([SUBMITTED])
    moved = path.rename(path.with_name("final.jobs.jsonl"))
    assert read_records(moved)["j1"].notebook == str(path.with_name("final.ipynb"))


def test_an_event_is_on_disk_before_append_returns(path, monkeypatch):
    done = []
    monkeypatch.setattr(ledger_module.os, "fsync", lambda fd: done.append(os.fstat(fd).st_size))
    Ledger(path).append([SUBMITTED, STARTED])
    assert path.stat().st_size in done
