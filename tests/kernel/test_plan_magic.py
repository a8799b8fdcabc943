"""Plans in the notebook: the table, the chart and its text."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.job import Priority
from jupyter_aiqueue.core.load import Expected
from jupyter_aiqueue.core.plan import LineAhead, PastLoad, Plan, Submission
from jupyter_aiqueue.kernel.plan_chart import plan_chart
from jupyter_aiqueue.kernel.plan_view import VEGALITE, outputs

NOON = datetime(2026, 3, 3, 12, 0, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)


def expected(low: float, middle: float, high: float, **more: Any) -> Expected:
    return Expected(low=low, middle=middle, high=high, inside=33, of=40, **more)


@pytest.fixture
def plan() -> Plan:
    """Two moments, a day with two hours in which nobody looked, and a line that gets shorter."""
    past = [
        PastLoad(at=NOON - timedelta(minutes=5 * n), waiting=n / 30, running=2, slots=4, free=2)
        for n in range(287, 0, -1)
        if not 100 <= n < 124
    ]
    return Plan(
        timestamp=NOON,
        group="train",
        priority=Priority.NORMAL,
        task="fit",
        jobs=40,
        submissions=(
            Submission(
                label="now",
                at=NOON,
                first=expected(0, 0.1, 0.3, at_once=True),
                half=expected(1800, 2000, 2600),
                done=expected(4000, 5000, 9000),
            ),
            Submission(
                label="tonight",
                at=NOON + 10 * HOUR,
                first=expected(36_000, 36_000, 40_000),
                half=expected(38_000, 40_000, 50_000),
                done=expected(40_000, 48_000, 60_000),
                before=120,
            ),
        ),
        past=tuple(past),
        ahead=tuple(
            LineAhead(at=NOON + n * HOUR, low=0, middle=5 - n, high=9 - n) for n in range(5)
        ),
        basis="runs: 4 of the task",
        arrivals_from_s=7000.0,
        arrivals_over_s=7000.0,
    )


def layers(part: dict[str, Any]) -> list[dict[str, Any]]:
    """The marks of a part, wherever they are nested."""
    return [m for layer in part["layer"] for m in layer.get("layer", [layer])]


def test_the_chart_is_what_vega_lite_takes(plan: Plan) -> None:
    altair = pytest.importorskip("altair", reason="it has the schema of Vega-Lite 5")
    altair.Chart.from_dict(plan_chart(plan), validate=True)


def test_the_chart_shows_the_day_the_line_ahead_and_the_ends(plan: Plan) -> None:
    chart = plan_chart(plan)
    assert chart["$schema"].endswith("vega-lite/v5.json")
    load, ends = chart["vconcat"]
    past, ahead, now = load["layer"]
    drawn = [layer["encoding"]["y"]["field"] for layer in past["layer"][:3]]
    assert drawn == ["waiting", "running", "free"]
    rows = past["data"]["values"]
    assert len(rows) == len(plan.past) + 1
    gap = [row for row in rows if row["waiting"] is None]
    assert len(gap) == 1, "nobody looked for two hours: the lines are broken once"
    assert rows[-1]["t"] == (NOON.timestamp() - 300) * 1000
    assert [row["high"] for row in ahead["data"]["values"]] == [9, 8, 7, 6, 5]
    assert now["data"]["values"] == [{"t": NOON.timestamp() * 1000}]
    assert [row["submitted"] for row in ends["data"]["values"]] == ["now", "tonight"]
    assert ends["data"]["values"][0]["high"] == (NOON.timestamp() + 9000) * 1000
    for part in (load, ends):
        scales = [mark["encoding"]["x"].get("scale") for mark in layers(part)]
        assert len(list(filter(None, scales))) == 1, "Vega-Lite warns where several name a domain"
    begin, end = now["encoding"]["x"]["scale"]["domain"]
    assert begin == plan.past[0].at.timestamp() * 1000
    assert end == (NOON.timestamp() + 60_000) * 1000
    known = {field for row in [*rows, *ahead["data"]["values"]] for field in row}
    used = {
        layer["encoding"][axis]["field"]
        for layer in layers(load)
        for axis in layer["encoding"]
        if axis in ("x", "y", "y2")
    }
    assert used <= known
    assert len(json.dumps(chart)) < 40_000, "it is kept in the notebook"


def test_the_chart_suits_every_theme(plan: Plan) -> None:
    chart = plan_chart(plan)
    assert chart["background"] == "transparent"
    for colour in (chart["config"]["axis"]["labelColor"], *chart["config"]["range"]["category"]):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        assert 60 < 0.3 * red + 0.6 * green + 0.1 * blue < 170, "neither light nor dark"


def test_what_is_not_known_is_not_drawn(plan: Plan) -> None:
    nothing = Expected(missing="no history yet")
    unknown = Submission(label="now", at=NOON, first=nothing, half=nothing, done=nothing)
    bare = Plan(
        timestamp=NOON,
        group="train",
        priority=Priority.LOW,
        task=None,
        jobs=1,
        submissions=(unknown,),
        past=plan.past[-3:],
    )
    assert len(plan_chart(bare)["vconcat"]) == 1
    ((table, _), (chart, _)) = outputs(bare)
    assert table["text/html"].count("no history yet") == 1
    assert table["text/plain"].count("no history yet") == 1
    assert chart["text/plain"].startswith("Waiting in the last 24 h")


def test_table_and_chart_are_two_outputs_that_say_the_same(plan: Plan) -> None:
    (table, _), (chart, metadata) = outputs(plan)
    assert set(table) == {"text/plain", "text/html"}
    assert set(chart) == {"text/plain", VEGALITE}
    assert VEGALITE == "application/vnd.vegalite.v5+json"
    assert metadata[VEGALITE]["embed_options"]["actions"]["editor"] is False
    for said in ("40 jobs of fit", "at once", "33 of the last 40 landed inside", "120 more jobs"):
        assert said in table["text/html"]
        assert said in table["text/plain"]
    assert chart[VEGALITE]["description"] in chart["text/plain"].replace("\n", " ")


def test_labels_are_chinese_where_the_reader_is(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    (table, _), (chart, _) = outputs(plan)
    assert "全部完成" in table["text/html"]
    text = json.dumps(chart[VEGALITE], ensure_ascii=False)
    assert all(word in text for word in ("等待", "空闲槽位", "今晚"))
    assert '"Waiting"' not in text


def test_the_magic_says_what_would_become_of_a_file_of_configs(
    shell: InteractiveShell, notebook: Path, broker: Broker
) -> None:
    (notebook.parent / "configs.yaml").write_text("- lr: 0.1\n- lr: 0.2\n")
    made = shell.run_line_magic(
        "queue_plan", f"{notebook.parent}/configs.yaml --count 5 --epochs 3 --at 2999-01-01"
    )
    assert (made.jobs, made.task) == (10, "train_model")
    assert len(made.submissions) == 4
    data, _ = shell.display_formatter.format(made)
    assert "no worker tells of the load" in data["text/plain"]
    with capture_output() as said:
        assert shell.run_line_magic("queue_plan", "--json --group infer") is None
    assert json.loads(said.stdout)["group"] == "infer"
    with pytest.raises(InvalidJob):
        shell.run_line_magic("queue_plan", "--count 0")
