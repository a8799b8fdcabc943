"""How jobs and load look: readable, honest, and safe whatever somebody has sent."""

from __future__ import annotations

import ast
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.collect.foresight import Foresight
from jupyter_aiqueue.core.dead import DeadLetter
from jupyter_aiqueue.core.doctor import Finding
from jupyter_aiqueue.core.doctor.finding import TOPICS
from jupyter_aiqueue.core.forecast import NO_HISTORY, NO_WORKER
from jupyter_aiqueue.core.job import Job, JobRecord, Priority, Result, State, now
from jupyter_aiqueue.core.load import (
    EVENTS,
    HEARTBEATS,
    MANAGEMENT,
    PASSIVE,
    UNKNOWN,
    BrokerLoad,
    Expected,
    GroupLoad,
    Load,
    Measured,
    WorkerLoad,
)
from jupyter_aiqueue.core.plan import NOBODY_TELLS
from jupyter_aiqueue.core.status import Running
from jupyter_aiqueue.core.text import load_text, percent
from jupyter_aiqueue.kernel import words
from jupyter_aiqueue.kernel.chinese import LABELS
from jupyter_aiqueue.kernel.dead_letters import DeadLetterCards, DeadLetters
from jupyter_aiqueue.kernel.findings import Findings
from jupyter_aiqueue.kernel.job_card import card_html, card_text
from jupyter_aiqueue.kernel.job_tables import Jobs
from jupyter_aiqueue.kernel.load_view import load_html
from jupyter_aiqueue.kernel.words import rate, tr

#: What our own HTML is made of. No link, no image, no script.
TAGS = "style div span i strong small code br table thead tbody tr th td ul li details summary"
ATTRIBUTES = (
    "class title role scope style open aria-label aria-hidden aria-valuemin aria-valuemax "
    "aria-valuenow"
)


class Inspector(HTMLParser):
    """Notes what a browser would make of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)


def check(html: str) -> Inspector:
    """Well-formed, and made of our own pieces only."""
    found = Inspector(html)
    assert found.open == []
    assert found.tags <= set(TAGS.split())
    assert found.attributes <= set(ATTRIBUTES.split())
    return found


def record(state: State = State.RUNNING, **fields: Any) -> JobRecord:
    defaults: dict[str, Any] = {
        "job_id": "01m805f9wv4cna3nk2kxtc9agh",
        "task": "train_model",
        "group": "train",
        "priority": Priority.NORMAL,
        "submitted_at": now(),
        "started_at": now(),
        "attempt": 1,
        "worker": "box-1",
    }
    return JobRecord(state=state, **{**defaults, **fields})


texts = st.text(max_size=30) | st.sampled_from(
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "`<b>`", "&lt;b&gt;", "</div>"]
)
json_values = st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts)
moments = st.none() | st.just(now())


@given(
    state=st.sampled_from(State),
    texts=st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("job_id", "task", "group", "name", "worker", "reason"), texts)
    ),
    config=st.dictionaries(texts, json_values, max_size=3),
    metrics=st.dictionaries(texts, json_values, max_size=3),
    progress=st.none() | st.floats(0, 1),
    note=texts,
    ended_at=moments,
)
def test_nothing_that_anybody_sends_becomes_html(
    state: State,
    texts: dict[str, str],
    config: dict[str, Any],
    metrics: dict[str, Any],
    progress: float | None,
    note: str,
    ended_at: Any,
) -> None:
    job = record(state, config=config, metrics=metrics, progress=progress, ended_at=ended_at)
    for name, value in texts.items():
        setattr(job, name, value)

    check(card_html(job, 3, [note]))
    check(Jobs([job, job], total=9)._repr_html_())
    assert card_text(job, 3, [note])
    strange = DeadLetter(
        group=note, reason=note, why=note, job_id=None, job=None, body=note.encode(), worker=note
    )
    dead = Job(id="j", config=config, group="train", name=note, history=(note,), user=note)
    known = msgspec.structs.replace(strange, job=dead, job_id=note, headers={note: [note]})
    check(DeadLetters([strange, known], notes=[note])._repr_html_())
    check(DeadLetterCards([(strange, None), (known, job)])._repr_html_())
    assert repr(DeadLetterCards([(strange, None), (known, job)]))
    check(Findings([Finding("warning", note, note)])._repr_html_())


@given(name=texts)
def test_no_name_of_a_worker_or_queue_becomes_html(name: str) -> None:
    busy = Running(
        job_id=name, group=name, priority=Priority.LOW, name=name, user=name, since=now()
    )
    worker = WorkerLoad(worker=name, state="active", slots=1, running=(busy,), environment=name)
    load = Load(
        timestamp=now(),
        broker=BrokerLoad(state="up", location=name, version=name, message=name, alarms=name),
        groups=(
            GroupLoad(name=name, worker_list=(worker,)),
            GroupLoad(name=name, queue=name),
        ),
        notes=(name,),
    )

    check(load_html(load))


def test_a_running_job_shows_how_far_it_is_and_as_of_when() -> None:
    job = record(progress=0.625, metrics={"loss": 0.412345, "epoch": 6}, name="first")

    html = card_html(job)

    assert 'aria-valuenow="62"' in html
    text = check(html).text
    assert "62 %" in text
    assert "0.4123" in text
    assert "as of" in text
    assert "box-1" in text


def test_a_queued_job_shows_its_place_in_line_and_the_warnings() -> None:
    job = record(State.QUEUED, attempt=0, started_at=None, worker=None)

    text = check(card_html(job, 3, ["Nobody records: run `jupyter aiqueue recorder`."])).text

    assert "3 ahead when submitted" in text
    assert "jupyter aiqueue recorder" in text


def expecting(**start: Any) -> Foresight:
    start = {"low": 720.0, "middle": 1000.0, "high": 1500.0, "inside": 33, "of": 40} | start
    return Foresight(
        start=Expected(**start),
        finish=Expected(low=1500.0, middle=2000.0, high=9000.0),
        ahead=2,
        ahead_of_higher=1,
        basis="64 runs of the same task",
    )


def test_a_queued_job_shows_what_is_expected_of_it_instead_of_what_was() -> None:
    job = record(State.QUEUED, attempt=0, started_at=None, worker=None)

    html = card_html(job, 3, [], expecting())
    text = card_text(job, 3, [], expecting())

    shown = check(html).text
    assert "place in line 4" in shown
    assert "starts in 12–25 min" in shown
    assert "ends in 25 min – 2 h 30 min" in shown
    assert "ahead when submitted" not in shown
    assert "33 of the last 40 landed inside" in html  # on hover
    assert "Ahead of it: 1 of higher and 2 of its own priority." in text
    assert "It starts in 12–25 min (80 % range; 33 of the last 40 landed inside)." in text


def test_what_cannot_be_expected_says_why() -> None:
    job = record(State.QUEUED, attempt=0, started_at=None, worker=None)
    nothing = expecting(low=None, middle=None, high=None, missing=NO_WORKER)

    assert f"start unknown ({NO_WORKER})" in check(card_html(job, 3, [], nothing)).text
    at_once = expecting(low=0.0, middle=0.1, high=0.3, at_once=True)
    assert "starts at once" in check(card_html(job, 3, [], at_once)).text


def test_what_was_expected_is_not_shown_of_a_job_that_runs() -> None:
    job = record(State.RUNNING)

    assert "starts in" not in card_html(job, 3, [], expecting())
    assert "It starts" not in card_text(job, 3, [], expecting())


def test_a_held_job_shows_what_it_waits_for() -> None:
    job = record(State.HELD, hold="wait < 10m", attempt=0, started_at=None, worker=None)

    assert "waits for wait < 10m" in check(card_html(job)).text
    assert "wait < 10m" in card_text(job)


def test_how_long_the_oldest_waits_is_told_on_hover() -> None:
    group = GroupLoad(
        name="train", waiting=Measured(3, PASSIVE, 0.0), oldest=Measured(850.0, EVENTS, 0.0)
    )
    load = Load(timestamp=now(), broker=BrokerLoad(state="up"), groups=(group,))

    assert "the oldest waits for 14 min" in load_html(load)


def test_a_job_whose_place_is_not_known_does_not_claim_one() -> None:
    job = record(State.QUEUED, attempt=0, started_at=None, worker=None)

    assert "ahead" not in card_html(job, None)
    assert "ahead" not in card_text(job, None)


def test_a_dead_job_says_why_and_how_to_send_it_back() -> None:
    job = record(
        State.DEAD,
        reason="exit code 1",
        result=Result(exit_code=1, duration_s=3.0),
        ended_at=now(),
        attempt=3,
    )

    for shown in (check(card_html(job)).text, card_text(job)):
        assert "exit code 1" in shown
        assert f"%job_retry {job.job_id}" in shown


def test_an_unfinished_job_is_never_rounded_up_to_all_of_it() -> None:
    assert percent(0.999) == "99 %"
    assert percent(1.0) == "100 %"
    assert percent(0.29) == "29 %"
    assert "99 %" in card_text(record(progress=0.999))
    assert "99 %" in repr(Jobs([record(progress=0.999)]))


def test_a_job_that_ended_before_it_began_has_had_no_attempt() -> None:
    for state in (State.CANCELLED, State.DEAD):
        job = record(state, started_at=None, max_attempts=3)
        assert "attempt" not in card_text(job)
        assert "0/3" in repr(Jobs([job]))
    assert "1/3" in repr(Jobs([record(State.CANCELLED)]))
    assert "2/3" in repr(Jobs([record(State.DEAD, started_at=None, attempt=2)]))


def test_a_job_between_attempts_says_when_it_goes_on() -> None:
    at = now() + timedelta(seconds=3600)
    text = card_text(record(State.RETRYING, next_attempt_at=at))

    assert f"attempt 2 at {at.isoformat(timespec='seconds')} (in " in text
    due = record(State.RETRYING, next_attempt_at=now())
    assert "(due)" in card_text(due)


def test_the_load_as_text_names_workers_that_take_no_jobs() -> None:
    worker = WorkerLoad(worker="box-1", state="draining", slots=1)
    beat = Measured(1, HEARTBEATS, 1.0)
    group = GroupLoad(name="train", workers=beat, slots=beat, worker_list=(worker,))

    text = load_text(Load(timestamp=now(), broker=BrokerLoad(state="up"), groups=(group,)))

    assert "1 (1 slot)" in text
    assert "Worker box-1 of train takes no new jobs (it is draining)." in text


def test_what_is_not_known_is_never_zero() -> None:
    nothing = Load(
        timestamp=now(), broker=BrokerLoad(state="up"), groups=(GroupLoad(name="train"),)
    )

    html = load_html(nothing)

    assert html.count(">unknown<") == 8
    assert ">0<" not in html
    assert rate(None) == "unknown"
    assert rate(0.0) == "0/min"
    assert rate(0.05) == "3/min"
    assert rate(2.5) == "2.5/s"


def test_every_number_of_the_load_has_its_source_and_age_as_a_hint() -> None:
    group = GroupLoad(
        name="train",
        waiting=Measured(4, PASSIVE, 0.2),
        running=Measured(1, HEARTBEATS, 3.4),
        dead=UNKNOWN,
    )
    load = Load(timestamp=now(), broker=BrokerLoad(state="up"), groups=(group,))

    html = load_html(load)

    assert 'title="passive declare, 0.2 s">4<' in html
    assert 'title="heartbeats, 3.4 s">1<' in html
    assert "heartbeats 3.4 s · passive declare 0.2 s" in check(html).text


def test_lost_workers_are_said_to_be() -> None:
    lost = WorkerLoad(worker="box-2", state="lost", slots=2, age_s=31.0)
    group = GroupLoad(name="train", workers=Measured(1, HEARTBEATS, 1.0), worker_list=(lost,))
    load = Load(
        timestamp=now() - timedelta(seconds=5), broker=BrokerLoad(state="up"), groups=(group,)
    )

    text = check(load_html(load)).text

    assert "1 lost" in text
    assert "box-2" in text
    assert "31 s" in text


@pytest.mark.parametrize(
    ("variables", "word"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "等待"),
        ({"LANG": "en_US.UTF-8"}, "Waiting"),
        ({"LANG": "C"}, "Waiting"),
        ({"LANGUAGE": "zh", "LANG": "en_US.UTF-8"}, "等待"),
    ],
)
def test_labels_are_in_the_language_of_the_user(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], word: str
) -> None:
    for name in ("LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert tr("Waiting") == word


def test_the_language_chosen_in_jupyterlab_wins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    settings = tmp_path / "@jupyterlab" / "translation-extension" / "plugin.jupyterlab-settings"
    settings.parent.mkdir(parents=True)
    settings.write_text('{"locale": "zh_CN"}')
    monkeypatch.setenv("JUPYTERLAB_SETTINGS_DIR", str(tmp_path))
    monkeypatch.setenv("LANG", "en_US.UTF-8")

    assert tr("Waiting") == "等待"


def test_every_label_is_there_in_chinese_and_no_other() -> None:
    used = {label.value for label in (*State, *Priority)}
    used |= {"active", "draining", "stopped", "lost"}  # states of workers
    used |= {"ok", "note", "warning", "error", *TOPICS}  # of findings
    used |= {PASSIVE, HEARTBEATS, MANAGEMENT, EVENTS}
    used |= {NO_HISTORY, NO_WORKER, NOBODY_TELLS, "at once"}  # of what is expected
    used |= {"now", "in an hour", "tonight", "tomorrow night"}  # of plans
    for file in Path(words.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "tr":
                used |= {
                    part.value
                    for part in ast.walk(node.args[0])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }

    assert used == set(LABELS)


def test_a_run_whose_end_nobody_saw_has_no_duration() -> None:
    at = now()
    lost = JobRecord(job_id="j1", state=State.DEAD, attempt=1, started_at=at, ended_at=at)

    assert "duration" not in card_html(lost)
