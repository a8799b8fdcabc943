"""The management API: what it says, and what is said when it does not."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import msgspec
import pytest
from waiting import eventually

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.core.errors import ManagementUnavailable
from jupyter_aiqueue.core.inventory import Inventory
from jupyter_aiqueue.core.management import Management, MayNotSee, Room
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.topology import Queue

from .looks import clear
from .wire import Server, closed_port, silent, speaking_tls

BROKER = Broker(hosts=(("127.0.0.1", 1),), username="me", password="s3cr3t", vhost="a/b")


@pytest.fixture
def fake():
    """A management API that answers as told; ``asked`` keeps the paths."""
    answers: dict[str, tuple[int, object]] = {}
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers.get("Authorization", "")))
            code, body = answers.get(urlsplit(self.path).path, (404, {}))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    management = Inventory(msgspec.structs.replace(BROKER, management_url=url))
    management.answers, management.asked = answers, asked
    yield management
    management.close()
    server.shutdown()
    server.server_close()


def client(url: str | None, **fields) -> Management:
    return Management(
        msgspec.structs.replace(BROKER, management_url=url, connect_timeout=1.0, **fields)
    )


def unavailable(work) -> str:
    with pytest.raises(ManagementUnavailable) as caught:
        work()
    return clear(caught.value, "s3cr3t")


def test_a_real_broker_tells_its_version_alarms_and_queues(broker, session):
    session.declare(Queue("plain", {"x-queue-type": "classic"}))
    session.publish("", "plain", Message(body=b""))
    management = Management(broker)
    assert management.overview().version == session.version
    assert not management.overview().stats_disabled
    assert management.alarms() == "none"
    eventually(lambda: management.room().memory, timeout=30, message="its memory is not told")
    assert 0 < (management.room().memory or 0) < 1
    assert management.room().disk_free

    def told():
        stats = management.queue("plain")
        return (stats.ready, stats.unacknowledged, stats.consumers) == (1, 0, 0)

    # It collects every five seconds, and not everything at once.
    eventually(told, timeout=30, message="the broker does not count the message")


def test_of_several_nodes_one_that_answers_is_asked(fake):
    fake.answers["/api/overview"] = (200, {"rabbitmq_version": "4.0.5"})
    host = fake.location.removeprefix("http://")
    several = client(
        f"http://you:s3cr3t@127.0.0.1:{closed_port()},127.0.0.1:{closed_port()},{host}"
    )
    assert several.overview().version == "4.0.5"
    assert several.location == fake.location
    several.close()


def test_when_no_node_answers_one_is_named():
    several = client(f"http://127.0.0.1:{closed_port()},127.0.0.1:{closed_port()}")
    text = unavailable(several.overview)
    assert f"at {several.location} does not answer" in text


def test_a_single_queue_is_asked_for_with_columns_and_never_a_list(fake):
    fake.answers["/api/queues/a%2Fb/my%20queue%2F%231"] = (
        200,
        {
            "messages_ready": 3,
            "messages_unacknowledged": 2,
            "consumers": 1,
            "message_stats": {"publish_details": {"rate": 0.5}, "ack_details": {"rate": 0}},
        },
    )
    stats = fake.queue("my queue/#1")
    assert (stats.ready, stats.unacknowledged, stats.consumers) == (3, 2, 1)
    assert (stats.publish_rate, stats.ack_rate) == (0.5, 0.0)
    ((path, _),) = fake.asked
    assert "columns=" in path
    assert "messages_ready" in path


def test_what_is_not_said_is_unknown_and_not_zero(fake):
    fake.answers["/api/queues/a%2Fb/q"] = (200, {"message_stats": {}})
    assert set(msgspec.structs.astuple(fake.queue("q"))) == {None}


def test_statistics_that_are_switched_off_are_noticed(fake):
    fake.answers["/api/overview"] = (200, {"rabbitmq_version": "3.13.7", "disable_stats": True})
    assert fake.overview().stats_disabled
    assert fake.overview().version == "3.13.7"


def test_an_alarm_is_told_with_its_reason(fake):
    fake.answers["/api/health/checks/alarms"] = (503, {"reason": "There are alarms in effect"})
    assert fake.alarms() == "There are alarms in effect"
    alarms = [{"node": "rabbit@mq1", "resource": "memory"}, {"node": "rabbit@mq2"}, "?"]
    fake.answers["/api/health/checks/alarms"] = (503, {"reason": "x", "alarms": alarms})
    assert fake.alarms() == "memory alarm on rabbit@mq1, an alarm on rabbit@mq2, an alarm"


def test_of_several_nodes_the_one_that_is_worst_off_counts(fake):
    fake.answers["/api/nodes"] = (
        200,
        [
            {"mem_used": 10, "mem_limit": 100, "disk_free": 7},
            {"mem_used": 90, "mem_limit": 100, "disk_free": 9},
            {"name": "a node that is down"},
        ],
    )
    assert fake.room() == Room(memory=0.9, disk_free=7)
    fake.answers["/api/nodes"] = (200, [{"name": "a node that is down"}])
    assert fake.room() == Room()


def test_a_wrong_password_is_said(fake):
    fake.answers["/api/overview"] = (401, {"error": "not_authorised"})
    text = unavailable(fake.overview)
    assert "'me'" in text
    assert "password" in text


def test_an_account_without_a_tag_is_said_by_a_real_broker(account):
    text = unavailable(Management(account("^$", "^$", "^$")).overview)
    assert "management" in text


def test_an_account_with_nothing_but_the_management_tag_sees_queues_and_alarms(account, session):
    session.declare(Queue("plain", {"x-queue-type": "classic"}))
    management = Management(account("^$", "^$", "^$", tags="management"))
    assert management.overview().version
    assert management.alarms() == "none"
    management.queue("plain")
    unavailable(management.room)


@pytest.mark.parametrize("code", [302, 404, 500, 502])
def test_any_other_answer_is_an_error_with_its_reason(fake, code):
    fake.answers["/api/overview"] = (code, {"reason": "because\n  of   that"})
    text = unavailable(fake.overview)
    if code in (500, 502):
        assert "because of that" in text


@pytest.mark.parametrize("body", [b"<html>", b"", b"[]", b"null", b"\xff"])
def test_an_answer_that_is_no_json_object_tells_nothing(fake, body):
    fake.answers["/api/overview"] = (200, body)
    assert fake.overview().version is None


def test_a_closed_port_a_silent_server_and_a_broker_port_are_said(broker):
    def hang_up(client):
        client.sendall(b"AMQP\x00\x00\x09\x01")
        client.close()

    with silent() as stuck, Server(hang_up) as other:
        for port in (closed_port(), stuck.port, other.port):
            text = unavailable(client(f"http://127.0.0.1:{port}").overview)
            assert "rabbitmq_management" in text


def test_an_unknown_host_is_said():
    unavailable(client("http://no-such-host.invalid:15672").overview)


def test_tls_that_fails_is_said(certificate):
    with speaking_tls(*certificate) as server:
        text = unavailable(client(f"https://localhost:{server.port}").overview)
    assert "TLS" in text


@pytest.mark.parametrize(
    "url",
    ["localhost:15672", "amqp://me:s3cr3t@h", "http://me:s3cr3t@h:port", "http://", "http://[::1"],
)
def test_a_bad_url_is_refused_without_repeating_it(url):
    assert "AIQUEUE_MANAGEMENT_URL" in unavailable(lambda: client(url))


def test_no_url_is_said():
    assert "AIQUEUE_MANAGEMENT_URL" in unavailable(lambda: client(None))


def test_the_url_may_hold_an_account_of_its_own_and_a_path():
    management = client("https://other:p%40ss@mq.example.org/rabbit/")
    assert management.location == "https://mq.example.org/rabbit"
    assert management._session.auth == ("other", "p@ss")


def test_a_netrc_file_does_not_replace_the_account(fake, tmp_path, monkeypatch):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login wrong password wrong\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    fake.answers["/api/overview"] = (200, {})
    fake.overview()
    import base64

    assert fake.asked[0][1] == "Basic " + base64.b64encode(b"me:s3cr3t").decode()


def test_a_policy_that_is_refused_is_said(account):
    management = Management(account("^$", "^$", "^$", tags="management"))
    unavailable(lambda: management.set_policy("p", "^x$", {"max-length": 1}))


# -- lists -----------------------------------------------------------------------------------


def test_a_real_broker_lists_queues_bindings_exchanges_policies_and_nodes(broker, session):
    session.declare(Queue("other", {"x-queue-type": "quorum"}))
    api = Inventory(broker)
    queues = {queue.name: queue for queue in api.queues(r"^aiqueue\.train\.")}
    assert set(queues) == {f"aiqueue.train.{p}" for p in ("high", "normal", "low")}
    high = queues["aiqueue.train.high"]
    assert (high.type, high.durable, high.arguments["x-queue-type"]) == ("quorum", True, "quorum")
    assert ("aiqueue.jobs", "train.high") in {
        (binding.source, binding.routing_key) for binding in api.bindings("aiqueue.train.high")
    }
    assert api.exchange("aiqueue.retry").type == "headers"
    assert api.exchange("no such") is None
    assert "aiqueue-work" in {policy.name for policy in api.policies()}
    assert api.policies(operator=True) == []
    assert [node.running for node in api.nodes()] == [True]
    assert "administrator" in api.tags()
    assert api.permissions(broker.username) == (".*", ".*", ".*")
    assert api.permissions("nobody-of-this-name") is None
    assert abs(api.clock_ahead) < 5


def test_what_an_account_may_not_see_is_told_apart_from_what_is_not_there(account):
    api = Inventory(account("^$", "^$", "^$", tags="management"))
    for look in (api.nodes, lambda: api.permissions("someone")):
        with pytest.raises(MayNotSee) as caught:
            look()
        clear(caught.value)
    assert api.tags() == ("management",)
    with pytest.raises(MayNotSee):
        Inventory(account("^$", "^$", "^$")).overview()


def test_long_lists_are_asked_for_in_pages(fake):
    fake.answers["/api/queues/a%2Fb"] = (200, {"page_count": 3, "items": [{"name": "q"}]})
    assert len(fake.queues("^q$")) == 3
    for number, (path, _) in enumerate(fake.asked, start=1):
        assert f"page={number}&" in path
    assert all("columns=" in path for path, _ in fake.asked)


@pytest.mark.parametrize("body", [b"<html>", b"{}", b"[1]", b"null", b'[{"name": 5}]'])
def test_a_list_that_is_none_is_an_error_with_a_sentence(fake, body):
    fake.answers["/api/policies/a%2Fb"] = (200, body)
    if body != b"<html>":
        assert "not known here" in unavailable(fake.policies)
    else:
        unavailable(fake.policies)


def test_tags_of_older_brokers_come_as_one_string(fake):
    fake.answers["/api/whoami"] = (200, {"name": "me", "tags": "management,policymaker"})
    assert fake.tags() == ("management", "policymaker")
