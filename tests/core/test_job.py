"""Identity of jobs."""

from __future__ import annotations

import threading
import time

import pytest

from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.job import State, check_job_id, check_word, names, new_job_id


def test_ids_made_by_many_threads_at_once_are_unique_and_grow_in_each_thread():
    found: list[list[str]] = [[] for _ in range(8)]
    together = threading.Barrier(len(found))

    def make(into: list[str]) -> None:
        together.wait()
        into.extend(new_job_id() for _ in range(2000))

    threads = [threading.Thread(target=make, args=(into,)) for into in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [one for into in found for one in into]
    assert len(set(every)) == 16_000
    assert all(into == sorted(into) for into in found)


def test_an_id_made_later_sorts_later_than_one_made_earlier_by_another_process(monkeypatch):
    earlier = new_job_id()
    monkeypatch.setattr("jupyter_aiqueue.core.job._last_id", 0)  # as in a new process
    at = time.time_ns() + 5_000_000
    monkeypatch.setattr("jupyter_aiqueue.core.job.time.time_ns", lambda: at)
    assert new_job_id() > earlier


def test_ids_still_grow_when_the_clock_goes_back(monkeypatch):
    earlier = new_job_id()
    monkeypatch.setattr("jupyter_aiqueue.core.job.time.time_ns", lambda: 1)
    assert new_job_id() > earlier


def test_an_id_is_26_characters_that_cannot_be_mistaken_for_each_other():
    assert len(new_job_id()) == 26
    assert not set("".join(new_job_id() for _ in range(200))) & set("ilouILOU")


@pytest.mark.parametrize("word", ["train", "a" * 64, "GPU-2_x"])
def test_a_word_of_letters_digits_and_dashes_can_name_a_group(word):
    assert check_word("group", word) == word


@pytest.mark.parametrize("word", ["", "a.b", "a b", "ä", "a" * 65, "#", "*", "a\n"])
def test_what_would_break_a_routing_key_cannot_name_a_group(word):
    with pytest.raises(InvalidJob) as refused:
        check_word("group", word)
    assert refused.value.reason == "bad-name"


@pytest.mark.parametrize("job_id", ["train_001", "a b", "实验", "x" * 200])
def test_ids_of_plain_producers_may_be_any_printable_text(job_id):
    assert check_job_id(job_id) == job_id


@pytest.mark.parametrize("job_id", ["", "a\nb", "x" * 201, "实" * 100, "\ud800"])
def test_ids_that_amqp_or_people_could_not_write_are_refused(job_id):
    with pytest.raises(InvalidJob):
        check_job_id(job_id)


def test_an_id_is_named_by_its_ends_and_by_four_characters_from_anywhere():
    job_id = "01m80x0j1717jv4yfxqq284t2x"
    assert all(names(part, job_id) for part in ("01", "2x", "fxqq", "yfxqq2", job_id))
    assert not any(names(part, job_id) for part in ("", "fxq", "fxqz", f"{job_id}0"))


def test_just_the_four_ends_are_final():
    assert {state.value for state in State if state.is_final} == {
        "succeeded",
        "failed",
        "cancelled",
        "dead",
    }
