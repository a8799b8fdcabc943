"""Which job is in which ledger, and ledgers that follow their notebooks."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from jupyter_aiqueue.core.errors import AmbiguousJob, JobNotFound, JobNotOver, LedgerError
from jupyter_aiqueue.core.events import Event, Kind, make_event
from jupyter_aiqueue.core.job import Job, State, new_job_id, now
from jupyter_aiqueue.core.ledger import Ledger, ledger_path, read_ledger, read_records
from jupyter_aiqueue.core.ledgers import Ledgers


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def ledgers(root) -> Ledgers:
    return Ledgers(root)


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def notebook_in(folder: Path, name: str = "train.ipynb") -> Path:
    notebook = folder / name
    notebook.write_text("{}")
    return notebook


def job_of(notebook: Path | None, **fields) -> Job:
    return Job(
        **{
            "id": new_job_id(),
            "config": {},
            "group": "train",
            "notebook": None if notebook is None else str(notebook),
            "submitted_at": now(),
        }
        | fields
    )


def record(ledgers: Ledgers, *events: Event) -> list[Path]:
    """Write events as the recorder does; returns where each went."""
    places = []
    for event in events:
        places.append(ledgers.place(event))
        ledgers.add(places[-1], [event])
    return places


def test_a_job_is_recorded_beside_its_notebook(ledgers, folder):
    notebook = notebook_in(folder)
    job = job_of(notebook)
    (place,) = record(ledgers, make_event(Kind.SUBMITTED, job))
    assert place == folder / "train.jobs.jsonl"
    (found,) = ledgers.records(notebook)
    assert (found.job_id, found.notebook, found.ledger) == (job.id, str(notebook), str(place))


def test_a_job_of_no_notebook_goes_to_the_ledger_of_such_jobs(ledgers, root):
    job = job_of(None)
    record(ledgers, make_event(Kind.SUBMITTED, job))
    assert read_records(root / "unattached.jobs.jsonl")[job.id].notebook is None
    assert ledgers.find(job.id).job_id == job.id


@pytest.mark.parametrize(
    "path", ["/of/another/machine/train.ipynb", "relative/train.ipynb", "C:\\x.ipynb"]
)
def test_a_job_of_another_machines_path_is_kept_all_the_same(ledgers, path):
    job = job_of(Path(path))
    assert record(ledgers, make_event(Kind.SUBMITTED, job)) == [ledgers.unattached]


def test_all_events_of_a_job_go_to_one_ledger(ledgers, folder):
    job = job_of(notebook_in(folder))
    places = record(
        ledgers,
        make_event(Kind.SUBMITTED, job),
        make_event(Kind.STARTED, msgspec.structs.replace(job, notebook=None), run="a"),
    )
    assert len(set(places)) == 1


def test_another_process_sees_what_was_recorded_and_where(ledgers, folder, root):
    first, second = job_of(notebook_in(folder)), job_of(None)
    record(ledgers, make_event(Kind.SUBMITTED, first), make_event(Kind.SUBMITTED, second))
    other = Ledgers(root)
    assert [r.job_id for r in other.records()] == [second.id, first.id]  # newest first
    record(ledgers, make_event(Kind.STARTED, first, run="a"))
    assert other.find(first.id).state is State.RUNNING


def test_a_renamed_notebook_takes_its_ledger_along(ledgers, folder):
    notebook = notebook_in(folder)
    job = job_of(notebook)
    record(ledgers, make_event(Kind.SUBMITTED, job))
    new = notebook.rename(folder / "final.ipynb")
    ledgers.moved(notebook, new)
    assert not ledger_path(notebook).exists()
    assert ledgers.records(new)[0].notebook == str(new)
    assert ledgers.records(notebook) == []


def test_events_after_a_rename_follow_the_notebook(ledgers, folder, root):
    notebook = notebook_in(folder)
    recorded, in_flight = job_of(notebook), job_of(notebook)
    record(ledgers, make_event(Kind.SUBMITTED, recorded))
    new = notebook.rename(folder / "final.ipynb")
    ledgers.moved(notebook, new)
    # Both also for a recorder that was started after the rename.
    for one in (ledgers, Ledgers(root)):
        one.refresh()
        for job in (recorded, in_flight):
            event = make_event(Kind.STARTED, job, run=str(id(one)))
            assert record(one, event) == [ledger_path(new)]
    assert not ledger_path(notebook).exists()


def test_a_chain_of_renames_is_followed(ledgers, folder):
    names = [notebook_in(folder, "a.ipynb")]
    job = job_of(names[0])
    for name in ("b.ipynb", "c.ipynb"):
        names.append(names[-1].rename(folder / name))
        ledgers.moved(names[-2], names[-1])
    assert record(ledgers, make_event(Kind.SUBMITTED, job)) == [folder / "c.jobs.jsonl"]


def test_a_kernel_that_does_not_know_of_the_rename_still_records_beside_the_notebook(
    ledgers, folder
):
    notebook = notebook_in(folder)
    new = notebook.rename(folder / "final.ipynb")
    ledgers.moved(notebook, new)
    later = job_of(notebook, submitted_at=now() + timedelta(seconds=5))
    assert record(ledgers, make_event(Kind.SUBMITTED, later)) == [ledger_path(new)]


def test_a_new_notebook_of_the_old_name_has_a_ledger_of_its_own(ledgers, folder):
    notebook = notebook_in(folder)
    new = notebook.rename(folder / "final.ipynb")
    ledgers.moved(notebook, new)
    notebook_in(folder)
    later = job_of(notebook, submitted_at=now() + timedelta(seconds=5))
    assert record(ledgers, make_event(Kind.SUBMITTED, later)) == [ledger_path(notebook)]


def test_a_renamed_folder_takes_all_its_ledgers_along(ledgers, folder, root):
    deep = folder / "deep"
    deep.mkdir()
    first, second = notebook_in(folder, "a.ipynb"), notebook_in(deep, "b.ipynb")
    jobs = [job_of(first), job_of(second)]
    record(ledgers, *(make_event(Kind.SUBMITTED, job) for job in jobs))
    new = folder.rename(folder.with_name("renamed"))
    ledgers.moved(folder, new)
    in_flight = job_of(second, submitted_at=jobs[1].submitted_at)
    expected = [new / "a.jobs.jsonl", new / "deep" / "b.jobs.jsonl"]
    for one in (ledgers, Ledgers(root)):
        one.refresh()
        run = str(id(one))
        assert record(one, *(make_event(Kind.STARTED, job, run=run) for job in jobs)) == expected
        assert one.find(jobs[1].id).notebook == str(new / "deep" / "b.ipynb")
        assert one.place(make_event(Kind.SUBMITTED, in_flight)) == expected[1]
    assert not folder.exists()


def test_a_folder_whose_name_begins_like_the_renamed_one_stays(ledgers, tmp_path):
    one, two = tmp_path / "exp", tmp_path / "exp2"
    one.mkdir()
    two.mkdir()
    job = job_of(notebook_in(two))
    record(ledgers, make_event(Kind.SUBMITTED, job))
    ledgers.moved(one, one.rename(tmp_path / "other"))
    assert record(ledgers, make_event(Kind.STARTED, job)) == [two / "train.jobs.jsonl"]


def test_a_rename_onto_a_name_with_a_ledger_keeps_both_histories(ledgers, folder):
    old, new = notebook_in(folder), folder / "final.ipynb"
    jobs = [job_of(old), job_of(new)]
    record(ledgers, *(make_event(Kind.SUBMITTED, job) for job in jobs))
    with ledger_path(old).open("a") as file:
        file.write("# my own line\n")
    ledgers.moved(old, old.rename(new))
    assert {r.job_id for r in ledgers.records(new)} == {job.id for job in jobs}
    assert len(read_ledger(ledger_path(new))) == 2
    kept = list(folder.glob("train.jobs.jsonl.merged*"))
    assert len(kept) == 1
    assert "# my own line" in kept[0].read_text()
    assert len(ledgers.records()) == 2


def test_merging_twice_under_one_name_keeps_every_old_file(ledgers, folder):
    for _ in range(2):
        old, new = notebook_in(folder), folder / "final.ipynb"
        record(ledgers, *(make_event(Kind.SUBMITTED, job_of(n)) for n in (old, new)))
        ledgers.moved(old, old.rename(new))
    assert len(list(folder.glob("train.jobs.jsonl.merged*"))) == 2
    assert len(ledgers.records(folder / "final.ipynb")) == 4


def test_a_ledger_that_cannot_follow_is_an_error_and_stays_complete(ledgers, folder, monkeypatch):
    notebook = notebook_in(folder)
    job = job_of(notebook)
    record(ledgers, make_event(Kind.SUBMITTED, job))
    new = notebook.rename(folder / "final.ipynb")

    def refused(self, target):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(LedgerError, match=r"train\.jobs\.jsonl.*Permission denied"):
            ledgers.moved(notebook, new)
    assert ledgers.find(job.id).job_id == job.id
    assert record(ledgers, make_event(Kind.STARTED, job)) == [ledger_path(notebook)]


def test_a_copied_notebook_starts_a_ledger_of_its_own(ledgers, folder):
    notebook = notebook_in(folder)
    record(ledgers, make_event(Kind.SUBMITTED, job_of(notebook)))
    copy = notebook_in(folder, "train-Copy1.ipynb")
    assert ledgers.records(copy) == []


def test_a_job_is_found_by_a_part_of_its_id(ledgers):
    record(
        ledgers,
        *(make_event(Kind.SUBMITTED, job_of(None, id=i)) for i in ("alpha-1", "alpha-2", "beta-1")),
    )
    assert ledgers.find("beta").job_id == "beta-1"
    assert ledgers.find("a-2").job_id == "alpha-2"
    assert ledgers.find("alpha-1").job_id == "alpha-1"
    assert ledgers.find("eta-").job_id == "beta-1"
    with pytest.raises(AmbiguousJob, match="alpha-1, alpha-2"):
        ledgers.find("alpha")
    for unknown in ("gamma", "", "lph"):
        with pytest.raises(JobNotFound):
            ledgers.find(unknown)


def test_a_whole_id_is_never_ambiguous(ledgers):
    record(
        ledgers,
        *(make_event(Kind.SUBMITTED, job_of(None, id=i)) for i in ("1", "11", "21")),
    )
    assert ledgers.find("1").job_id == "1"


def test_live_progress_shows_until_the_attempt_is_over(ledgers):
    job = job_of(None)
    record(ledgers, make_event(Kind.STARTED, job, run="a"))
    live = make_event(Kind.PROGRESS, job, run="a.1", progress=0.5, metrics={"loss": 2})
    assert ledgers.apply_live(live).progress == 0.5
    assert ledgers.find(job.id).metrics == {"loss": 2}
    record(ledgers, make_event(Kind.RETRYING, job, run="a", progress=0.4))
    assert ledgers.find(job.id).state is State.RETRYING
    second = msgspec.structs.replace(job, attempt=2)
    record(ledgers, make_event(Kind.STARTED, second, run="b"))
    assert ledgers.find(job.id).progress is None
    assert len(read_ledger(ledgers.unattached)) == 3  # nothing live is written


def test_progress_of_an_unknown_job_is_ignored(ledgers):
    assert ledgers.apply_live(make_event(Kind.PROGRESS, job_of(None), progress=0.5)) is None


def test_what_find_returns_does_not_change_by_itself(ledgers):
    job = job_of(None)
    record(ledgers, make_event(Kind.SUBMITTED, job))
    before = ledgers.find(job.id)
    record(ledgers, make_event(Kind.STARTED, job, run="a"))
    assert before.state is State.QUEUED


def test_one_ledger_that_cannot_be_read_does_not_hide_the_others(ledgers, folder, monkeypatch):
    broken, fine = job_of(notebook_in(folder)), job_of(None)
    record(ledgers, make_event(Kind.SUBMITTED, broken), make_event(Kind.SUBMITTED, fine))
    ledger_path(folder / "train.ipynb").unlink()
    ledger_path(folder / "train.ipynb").mkdir()
    assert fine.id in {r.job_id for r in ledgers.records()}


def test_a_damaged_list_of_ledgers_costs_nothing_that_was_recorded(ledgers, folder, root):
    notebook = notebook_in(folder)
    job = job_of(notebook)
    record(ledgers, make_event(Kind.SUBMITTED, job))
    (root / "ledgers.json").write_text("{ half")
    other = Ledgers(root)
    assert other.records(notebook)[0].job_id == job.id
    record(other, make_event(Kind.STARTED, job, run="a"))
    assert Ledgers(root).find(job.id).state is State.RUNNING


def test_a_ledger_that_was_deleted_is_forgotten(ledgers, folder):
    notebook = notebook_in(folder)
    record(ledgers, make_event(Kind.SUBMITTED, job_of(notebook)))
    ledger_path(notebook).unlink()
    assert ledgers.records() == []


def test_somebody_elses_ledger_beside_a_notebook_is_read(ledgers, folder):
    notebook = notebook_in(folder)
    job = job_of(notebook)
    Ledger(ledger_path(notebook)).append([make_event(Kind.SUBMITTED, job)])  # as by git pull
    assert [r.job_id for r in ledgers.records(notebook)] == [job.id]


def test_the_record_of_a_job_that_is_over_is_removed_for_everybody(ledgers, root, folder):
    over, other = (job_of(notebook_in(folder)) for _ in range(2))
    record(ledgers, *(make_event(Kind.SUBMITTED, job) for job in (over, other)))
    with pytest.raises(JobNotOver, match="queued"):
        ledgers.remove(over.id)
    record(ledgers, make_event(Kind.CANCELLED, over))
    with pytest.raises(JobNotFound):
        ledgers.remove(over.id[:-1])

    assert ledgers.remove(over.id).state is State.CANCELLED

    for reader in (ledgers, Ledgers(root)):
        assert [found.job_id for found in reader.records()] == [other.id]
        with pytest.raises(JobNotFound):
            reader.find(over.id)
    with pytest.raises(JobNotFound):
        ledgers.remove(over.id)
    # Late news of it go where the rest is, and do not bring it back.
    assert ledgers.place(make_event(Kind.STARTED, over, run="late")) == ledger_path(
        folder / "train.ipynb"
    )


def test_a_removed_record_stays_removed_when_its_notebook_is_renamed(ledgers, folder):
    old, new = notebook_in(folder, "old.ipynb"), notebook_in(folder, "new.ipynb")
    jobs = [job_of(old), job_of(new)]
    for job in jobs:
        record(ledgers, make_event(Kind.SUBMITTED, job), make_event(Kind.CANCELLED, job))
    ledgers.remove(jobs[0].id)

    ledgers.moved(old, new)  # beside a notebook that has a ledger

    assert [found.job_id for found in ledgers.records(new)] == [jobs[1].id]
    assert len(read_ledger(ledger_path(new))) == 4
    later = notebook_in(folder, "later.ipynb")
    ledgers.moved(new, later)
    assert [found.job_id for found in ledgers.records(later)] == [jobs[1].id]
