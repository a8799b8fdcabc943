"""Who may ask what, what bad input gets, and what a broker that is away does to answers."""

from __future__ import annotations

import asyncio
import inspect
import logging
import re
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from browsing import DESCRIPTION, Call, eventually
from happenings import life, make_job, tell
from jupyter_server.auth import Authorizer
from jupyter_server.serverapp import ServerApp
from traitlets.config import Config

from jupyter_aiqueue import __version__
from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.server.app import AIQueueExtension
from jupyter_aiqueue.server.routes import ROUTES

VERBS = ("get", "head", "post", "put", "patch", "delete")

OPERATIONS = [
    (path, verb) for path, verbs in DESCRIPTION["paths"].items() for verb in verbs if verb in VERBS
]


class ReadersOnly(Authorizer):
    """Permits reading; remembers what it was asked."""

    asked: list[tuple[str, str]] = []  # noqa: RUF012  # one server at a time

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.append((action, resource))
        return action == "read"


@pytest.fixture
def readers_only(jp_server_config: Config) -> list[tuple[str, str]]:
    jp_server_config.ServerApp.authorizer_class = ReadersOnly
    ReadersOnly.asked = []
    return ReadersOnly.asked


def test_the_description_has_every_operation_and_no_other() -> None:
    built = {
        (path, verb)
        for path, endpoint in ROUTES.items()
        for verb in VERBS
        if verb in vars(endpoint)
    }

    assert built == set(OPERATIONS)


def test_every_operation_is_authenticated_and_then_authorized_by_name() -> None:
    for path, verb in OPERATIONS:
        assert re.match(
            r"\s*@tornado\.web\.authenticated\n"
            r'\s*@authorized\(action="(read|execute)", resource="aiqueue"\)\n',
            inspect.getsource(getattr(ROUTES[path], verb)),
        ), (path, verb)


async def test_whoever_is_not_logged_in_is_refused(
    no_broker: None, extension: AIQueueExtension, jp_fetch: Any
) -> None:
    for path, verb in OPERATIONS:
        reply = await ask(jp_fetch, path, verb, headers={"Authorization": "token wrong"})
        assert reply.code == 403, (path, verb)


async def test_reading_is_one_permission_and_changing_another(
    no_broker: None,
    readers_only: list[tuple[str, str]],
    extension: AIQueueExtension,
    jp_fetch: Any,
) -> None:
    for path, verb in OPERATIONS:
        readers_only.clear()
        reply = await ask(jp_fetch, path, verb)
        assert readers_only == [("read" if verb == "get" else "execute", "aiqueue")]
        assert (reply.code == 403) == (verb != "get"), (path, verb)


async def ask(jp_fetch: Any, path: str, verb: str, **options: Any) -> Any:
    return await jp_fetch(
        "aiqueue/api" + path.replace("{job_id}", "1"),
        method=verb.upper(),
        body="{}" if verb == "post" else None,
        raise_error=False,
        **options,
    )


async def test_looking_is_no_activity_and_submitting_is(
    no_broker: None, api: Call, jp_serverapp: ServerApp
) -> None:
    settings = jp_serverapp.web_app.settings
    before = settings.get("api_last_activity")

    await api("GET", "load")
    await api("GET", "jobs")
    assert settings.get("api_last_activity") == before

    await api("POST", "jobs")
    assert settings.get("api_last_activity") != before


async def test_the_description_is_served(
    no_broker: None, extension: AIQueueExtension, jp_fetch: Any
) -> None:
    reply = await jp_fetch("aiqueue", "api", "openapi.yaml")

    assert reply.headers["Content-Type"] == "application/yaml"
    assert reply.body.startswith(b"openapi: 3.1")


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"{", "bad-request"),
    (b"[]", "bad-request"),
    (b'{"config": "\xff"}', "bad-request"),
    (b'{"config": [1]}', "bad-request"),
    (b'{"config": {"lr": NaN}}', "bad-request"),
    (b'{"retrys": 3}', "bad-request"),
    (b'{"retries": "3"}', "bad-request"),
    (b'{"retries": -1}', "bad-retries"),
    (b'{"timeout": 0}', "bad-timeout"),
    (b'{"priority": "urgent"}', "bad-request"),
    (b'{"group": "no such.group"}', "bad-name"),
    (b'{"group": "nobody"}', "unknown-group"),
    (b'{"config": {"x": "%s"}}' % (b"x" * 5_000_000), "too-large"),
    (b'{"notebook": "none.ipynb"}', "bad-path"),
    (b'{"notebook": ""}', "bad-path"),
    (b'{"notebook": "../train.ipynb"}', "bad-path"),
    (b'{"notebook": "a/../../train.ipynb"}', "bad-path"),
    (b'{"notebook": "a\\u0000.ipynb"}', "bad-path"),
]


async def test_a_bad_body_gets_a_400_and_submits_nothing(broker: Broker, api: Call) -> None:
    for raw, reason in BAD_BODIES:
        reply = await api("POST", "jobs", raw=raw)
        assert (reply.status, reply.data["reason"]) == (400, reason), raw[:60]

    assert (await api("GET", "jobs")).data["total"] == 0


async def test_an_unknown_group_is_told_which_there_are(broker: Broker, api: Call) -> None:
    reply = await api("POST", "jobs", {"config": {}, "group": "nobody"})

    assert "train" in reply.data["message"]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"limit": "0"}, "bad-limit"),
        ({"limit": "1001"}, "bad-limit"),
        ({"limit": "ten"}, "bad-limit"),
        ({"limit": "9" * 100}, "bad-limit"),
        ({"offset": "-1"}, "bad-offset"),
        ({"state": "running,asleep"}, "bad-state"),
        ({"notebook": "../x.ipynb"}, "bad-path"),
        ({"notebook": ""}, "bad-path"),
    ],
)
async def test_a_bad_query_gets_a_400(
    query: dict[str, str], reason: str, no_broker: None, api: Call
) -> None:
    reply = await api("GET", "jobs", **query)

    assert (reply.status, reply.data["reason"]) == (400, reason)


async def test_an_unknown_job_gets_a_404_and_a_vague_id_a_400(broker: Broker, api: Call) -> None:
    one, other = make_job(id="lab-1"), make_job(id="lab-2")
    tell(broker, *life(one), *life(other))

    async def both() -> bool:
        return bool((await api("GET", "jobs")).data["total"] == 2)

    await eventually(both)
    for method, path in [
        ("GET", "jobs/{}"),
        ("GET", "jobs/{}/log"),
        ("GET", "jobs/{}/forecast"),
        ("POST", "jobs/{}/cancel"),
        ("POST", "jobs/{}/release"),
        ("POST", "jobs/{}/retry"),
    ]:
        reply = await api(method, path.format("nothing"))
        assert (reply.status, reply.data["reason"]) == (404, "unknown-job")
        reply = await api(method, path.format("lab"))
        assert (reply.status, reply.data["reason"]) == (400, "ambiguous-job")


async def test_without_a_broker_everything_is_answered_and_says_so(
    no_broker: None, api: Call
) -> None:
    status, load = await api("GET", "load")
    assert (status, load["broker"]["state"], load["version"]) == (200, "down", __version__)
    assert "jupyter aiqueue up" in load["broker"]["message"]

    async def told() -> Any:
        status, data = await api("GET", "jobs")
        assert (status, data["jobs"]) == (200, [])
        return data["troubles"]

    (trouble,) = await eventually(told)
    assert "jupyter aiqueue up" in trouble

    refused = await api("POST", "jobs", {"config": {}})
    assert (refused.status, refused.data["reason"]) == (503, "no-broker")
    assert "jupyter aiqueue up" in refused.data["message"]


async def test_a_broker_that_was_never_set_up_is_told_from_one_that_is_away(
    empty_broker: Broker, api: Call
) -> None:
    reply = await api("POST", "jobs", {"config": {}})

    assert (reply.status, reply.data["reason"]) == (503, "not-provisioned")


@pytest.fixture
def wrong_password(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> str:
    host, port = broker.hosts[0]
    url = f"amqp://{broker.username}:open-sesame@{host}:{port}/{broker.vhost}"
    monkeypatch.setenv("AIQUEUE_URL", url)
    return "open-sesame"


async def test_a_wrong_password_is_told_of_without_the_password(
    wrong_password: str, api: Call, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    refused = await api("POST", "jobs", {"config": {}})
    load = await api("GET", "load")

    async def told() -> Any:
        return (await api("GET", "jobs")).data["troubles"]

    troubles = await eventually(told)
    assert (refused.status, refused.data["reason"]) == (503, "broker-refused")
    assert load.data["broker"]["state"] == "down"
    for text in (refused.data["message"], load.data["broker"]["message"], *troubles):
        assert "password" in text
    everything = f"{refused}{load}{troubles}{caplog.text}"
    assert wrong_password not in everything


async def test_an_error_of_somebody_else_tells_the_browser_nothing(
    no_broker: None,
    extension: AIQueueExtension,
    jp_fetch: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(job_id: str) -> dict[str, Any]:
        raise RuntimeError("amqp://alice:open-sesame@mq.example.org")

    monkeypatch.setattr(extension.jobs, "get", fail)

    reply = await jp_fetch("aiqueue", "api", "jobs", "1", raise_error=False)

    assert reply.code == 500
    assert b"open-sesame" not in reply.body


@pytest.fixture
def silent_broker(no_broker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        port = listener.getsockname()[1]
        monkeypatch.setenv("AIQUEUE_URL", f"amqp://alice:open-sesame@127.0.0.1:{port}/lab")
        yield


async def test_a_broker_that_never_answers_keeps_nobody_else_waiting(
    silent_broker: None, api: Call, jp_fetch: Any
) -> None:
    slow = [asyncio.create_task(api("POST", "jobs", {"config": {}})) for _ in range(6)]
    slow += [asyncio.create_task(api("GET", "load")) for _ in range(3)]
    await asyncio.sleep(0)

    await jp_fetch("api", "status")
    assert (await api("GET", "jobs")).status == 200

    assert not any(task.done() for task in slow), "the test's broker answered"
    replies = await asyncio.gather(*slow)
    assert {reply.status for reply in replies[:6]} == {503}
    assert {reply.data["reason"] for reply in replies[:6]} == {"broker-unreachable"}
    assert {reply.data["broker"]["state"] for reply in replies[6:]} == {"down"}


async def test_who_knows_the_past_of_the_load_is_told_what_is_new(
    broker: Broker, api: Call
) -> None:
    async def measured_twice() -> Any:
        load = (await api("GET", "load")).data
        return len(load["history"]["train"]) > 1 and load

    load = await eventually(measured_twice)
    known = [point["timestamp"] for point in load["history"]["train"]]

    later = (await api("GET", "load", since=known[0])).data

    told = [point["timestamp"] for point in later["history"]["train"]]
    assert known[1] in told
    assert known[0] not in told
    for wrong in ("yesterday", "2026-11-21T10:00:00"):
        refused = await api("GET", "load", since=wrong)
        assert (refused.status, refused.data["reason"]) == (400, "bad-since")


@pytest.fixture
def patient(jp_server_config: Config) -> None:
    jp_server_config.AIQueueExtension.minimum_refresh = 45.0


async def test_the_administrator_says_how_often_browsers_may_ask(
    no_broker: None, patient: None, api: Call
) -> None:
    assert (await api("GET", "load")).data["minimum_refresh"] == 45.0
