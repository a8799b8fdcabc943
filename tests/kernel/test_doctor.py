"""The doctor: what it finds, and that it says what to do."""

from __future__ import annotations

import json
import socket

import pytest
from waiting import eventually

from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.config import Broker, find_broker, parse_url
from jupyter_aiqueue.core.doctor import Finding, examine, exit_code, findings_text
from jupyter_aiqueue.core.job import now
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.recorder import Recorder
from jupyter_aiqueue.core.status import Heartbeat, encode
from jupyter_aiqueue.core.topology import STATUS, inbox
from jupyter_aiqueue.core.transport import connect
from jupyter_aiqueue.kernel.findings import Findings


def closed_port() -> int:
    """A port of loopback on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def look(broker: Broker, name: str = "someone") -> list[Finding]:
    return examine(lambda: broker, name)


def of(findings: list[Finding], text: str) -> Finding:
    """The one finding that says ``text``."""
    found = [finding for finding in findings if text in finding.what]
    assert len(found) == 1, findings
    return found[0]


def test_a_healthy_system_has_nothing_to_mend(broker: Broker) -> None:
    recorder = Recorder(lambda: broker, "someone")
    recorder.start()
    with connect(broker, "test") as session:
        beat = Heartbeat(
            worker="box", timestamp=now(), groups=("train", "infer", "preprocess"), slots=2
        )
        session.publish(STATUS, "worker.box", Message(body=encode(beat)), mandatory=True)
        try:
            eventually(
                lambda: (
                    session.exists(inbox("someone").name)
                    and session.count(inbox("someone").name).consumers
                ),
                message="nobody records",
            )
            findings = look(broker)
        finally:
            recorder.stop()

    # The account of these tests may do everything, which is said.
    assert {finding.level for finding in findings} == {"ok", "note"}
    assert {f.topic for f in findings if f.level == "note"} == {"Rights of this account"}
    assert exit_code(findings) == 0
    assert of(findings, "RabbitMQ").fix is None
    assert "train, infer, preprocess" in of(findings, "Set up for").what
    assert of(findings, "is recorded")
    assert of(findings, "The management API")
    assert of(findings, "Workers of infer: 1, with slots: 2")


def test_a_broker_that_was_never_set_up_is_an_error_with_the_command(empty_broker: Broker) -> None:
    finding = of(look(empty_broker), "has not been set up")

    assert finding.level == "error"
    assert "jupyter aiqueue provision" in str(finding.fix)


def test_events_that_nobody_records_are_a_warning(broker: Broker) -> None:
    with connect(broker, "test") as session:
        session.declare(inbox("someone"))
        session.publish("aiqueue.events", "someone.train.submitted.x", Message(body=b"{}"))

    finding = of(look(broker), "Nobody records")

    assert finding.level == "warning"
    assert "1 events wait" in finding.what
    assert finding.command == "jupyter aiqueue recorder"


def test_jobs_without_a_worker_and_dead_letters_are_told(broker: Broker) -> None:
    with connect(broker, "test") as session:
        session.publish("aiqueue.jobs", "train.low", Message(body=b"{}"), mandatory=True)
        session.publish("aiqueue.dead", "infer.low", Message(body=b"{}"), mandatory=True)

    findings = look(broker)

    waiting = of(findings, "No worker serves group train")
    assert waiting.level == "warning"
    assert waiting.command == "jupyter aiqueue worker --group train"
    assert of(findings, "No worker serves group preprocess").level == "note"
    letters = of(findings, "Dead letters in infer: 1")
    assert "%dead_jobs infer" in str(letters.fix)
    assert letters.command == "jupyter aiqueue dead infer"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("amqp://someone:hunter2@127.0.0.1:{closed}/lab", "Nothing listens"),
        ("amqp://aiqueue:hunter2@127.0.0.1:{port}/%2F", "refused user"),
    ],
)
def test_a_broker_that_cannot_be_used_is_an_error_without_the_password(
    broker: Broker, url: str, says: str
) -> None:
    port = broker.hosts[0][1]
    wrong = parse_url(url.format(closed=closed_port(), port=port), connect_timeout=2.0)

    findings = look(wrong)

    finding = of(findings, says)
    assert finding.level == "error"
    assert finding.fix
    assert "hunter2" not in str(findings)


def test_no_broker_at_all_is_an_error_with_the_command() -> None:
    finding = of(examine(find_broker, "someone"), "No broker is configured")

    assert finding.level == "error"
    assert "jupyter aiqueue up" in str(finding.fix)


def test_a_management_api_that_does_not_answer_is_a_warning(broker: Broker) -> None:
    api = f"http://127.0.0.1:{closed_port()}"
    url = f"amqp://{broker.username}:{broker.password}@127.0.0.1:{broker.hosts[0][1]}"
    findings = look(parse_url(f"{url}/{broker.vhost}", management_url=api))

    assert of(findings, "does not answer").level == "warning"
    assert of(findings, "Set up for").level == "ok"


def test_an_open_connection_to_another_machine_is_a_warning() -> None:
    away = parse_url("amqp://someone:x@mq.invalid:5672/lab", connect_timeout=1.0)

    finding = of(look(away), "not encrypted")

    assert finding.level == "warning"
    assert "amqps://" in str(finding.fix)


def test_a_private_node_that_is_not_used_is_noted(broker: Broker) -> None:
    file = paths.connection_file()
    file.write_text(json.dumps({"url": "amqp://me:secret@127.0.0.1:9/aiqueue"}))
    url = f"amqp://{broker.username}:{broker.password}@127.0.0.1:{broker.hosts[0][1]}"
    chosen = parse_url(f"{url}/{broker.vhost}", origin="AIQUEUE_URL")

    finding = of(look(chosen), "A private node")
    assert finding.level == "note"
    assert "secret" not in finding.what

    file.write_text("half")
    assert of(look(chosen), "damaged").level == "warning"


# -- how findings look -----------------------------------------------------------------------

FOUND = Findings(
    [
        Finding("ok", "The line is good.", topic="Connection"),
        Finding("note", "Few know.", "Tell `them`.", topic="Connection"),
        Finding("error", "It is broken.", "Mend it:", "mend <it>\nand test", topic="Broker"),
        Finding("warning", "It creaks.", topic="Broker"),
    ]
)


def test_findings_are_told_by_topic_the_worst_first() -> None:
    assert repr(FOUND).splitlines() == [
        "Broker",
        "  ✗ It is broken.",
        "    → Mend it:",
        "      mend <it>",
        "      and test",
        "  ! It creaks.",
        "Connection",
        "  i Few know.",
        "    → Tell `them`.",
        "  ✓ The line is good.",
        "1 error, 1 warning, 1 note, 1 in order.",
    ]
    assert findings_text(FOUND) == repr(FOUND)


def test_html_shows_what_is_wrong_and_folds_the_rest_away() -> None:
    html = FOUND._repr_html_()
    shown, folded = html.split("<details>")

    assert shown.index("Broker") < shown.index("It is broken") < shown.index("It creaks")
    assert shown.index("It creaks") < shown.index("Connection") < shown.index("Few know")
    assert "<code>them</code>" in shown
    assert '<code class="aiq-command">mend &lt;it&gt;</code>' in shown
    assert '<code class="aiq-command">and test</code>' in shown
    assert "user-select:all" in shown
    assert "The line is good" in folded
    assert "1 in order" in folded
    assert "<details open>" in Findings([FOUND[0]])._repr_html_()


def test_findings_have_chinese_headings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "zh_CN")
    assert "连接" in repr(FOUND)
    html = FOUND._repr_html_()
    assert "消息代理" in html
    assert "1 项正常" in html
    assert 'title="错误"' in html


@pytest.mark.parametrize(
    ("levels", "code"),
    [((), 0), (("ok", "note"), 0), (("note", "warning"), 1), (("warning", "error", "ok"), 2)],
)
def test_the_exit_code_is_that_of_the_worst(levels: tuple[str, ...], code: int) -> None:
    assert exit_code(Finding(level, "x") for level in levels) == code
