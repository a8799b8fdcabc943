"""The doctor against real troubles: each is found, and its command mends it."""

from __future__ import annotations

import json
import resource
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, urlsplit

import msgspec
import pytest

from jupyter_aiqueue import cli
from jupyter_aiqueue.core import paths, topology
from jupyter_aiqueue.core.config import TLS, Broker
from jupyter_aiqueue.core.doctor import Finding, examination, examine, exit_code, roles
from jupyter_aiqueue.core.doctor.examination import Check
from jupyter_aiqueue.core.errors import ConfigError
from jupyter_aiqueue.core.job import now
from jupyter_aiqueue.core.message import Message
from jupyter_aiqueue.core.provision import provision
from jupyter_aiqueue.core.status import Heartbeat, encode
from jupyter_aiqueue.core.topology import Catalog, Queue
from jupyter_aiqueue.core.transport import connect

from .conftest import Api
from .wire import closed_port, speaking_tls

CATALOG = Catalog(groups=("train", "infer"), retry_delays=(1,))

#: Workers of this test, which its broker would remember in the next.
BEATING: set[str] = set()


@pytest.fixture(scope="module")
def set_up(module_broker: Broker) -> Broker:
    """A broker set up for `CATALOG`, for all tests here."""
    provision(module_broker, CATALOG)
    return module_broker


@pytest.fixture
def patient(set_up: Broker, tmp_path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    """The same, cleaned after the test of what does not belong to it."""
    for name in ("DATA", "RUNTIME", "CONFIG"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / "jupyter" / name.lower()))
    monkeypatch.chdir(tmp_path)
    yield set_up
    while BEATING:
        beat(set_up, BEATING.pop(), state="stopped")
    api = Api(set_up)
    for kind in ("policies", "operator-policies"):
        for policy in api.get(f"{kind}/{set_up.vhost}"):
            if policy["name"] != "aiqueue-work":
                api.delete(f"{kind}/{set_up.vhost}/{policy['name']}")
    ours = {queue.name for queue in topology.queues(Catalog(retry_delays=(1, 2, 3)))}
    for queue in api.get(f"queues/{set_up.vhost}?columns=name"):
        if queue["name"] not in ours:
            api.delete(f"queues/{set_up.vhost}/{quote(queue['name'], safe='')}")


@pytest.fixture
def broken(patient: Broker) -> Iterator[Broker]:
    """The same, mended after a test that may break it."""
    yield patient
    provision(patient, CATALOG)


@pytest.fixture
def account(set_up: Broker) -> Iterator[Callable[..., Broker]]:
    """Makes accounts: ``account(patterns, tags)`` is the broker as seen by it."""
    api, made = Api(set_up), []

    def make(patterns: roles.Patterns, tags: str = "") -> Broker:
        name = f"doctor{len(made)}"
        api.put(f"users/{name}", password="s3cr3t-pw", tags=tags)
        made.append(name)
        allow(set_up, name, patterns.configure, patterns.write, patterns.read)
        url = f"http://{str(set_up.management_url).rsplit('@', 1)[-1].removeprefix('http://')}"
        return msgspec.structs.replace(
            set_up, username=name, password="s3cr3t-pw", management_url=url
        )

    yield make
    for name in made:
        api.delete(f"users/{name}")


def allow(broker: Broker, user: str, configure: str, write: str, read: str) -> None:
    Api(broker).put(
        f"permissions/{broker.vhost}/{user}", configure=configure, write=write, read=read
    )


def look(broker: Broker, inbox: str = "someone") -> list[Finding]:
    return examine(lambda: broker, inbox)


def of(findings: list[Finding], text: str) -> Finding:
    """The one finding that says ``text``."""
    found = [finding for finding in findings if text in finding.what]
    assert len(found) == 1, [(finding.level, finding.what) for finding in findings]
    return found[0]


def bad(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.level in ("warning", "error")]


def run(broker: Broker, command: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do what a finding's command says, as the operator: ours as it is, others by the API."""
    assert command
    api = Api(broker)
    for line in command.splitlines():
        words = shlex.split(line)
        if words[:2] == ["jupyter", "aiqueue"]:
            account = f"{broker.username}:{quote(broker.password, safe='')}"
            host, port = broker.hosts[0]
            monkeypatch.setenv("AIQUEUE_URL", f"amqp://{account}@{host}:{port}/{broker.vhost}")
            monkeypatch.setenv("AIQUEUE_MANAGEMENT_URL", str(broker.management_url))
            assert cli.main(words[2:]) == 0
        elif words[1] == "set_permissions":
            assert words[2:4] == ["-p", broker.vhost]
            allow(broker, *words[4:])
        elif words[1] == "set_policy":
            assert words[2:7] == ["-p", broker.vhost, "--apply-to", "queues", "--priority"]
            priority, name, pattern, definition = words[7:]
            api.put(
                f"policies/{broker.vhost}/{name}",
                pattern=pattern,
                definition=json.loads(definition),
                priority=int(priority),
                **{"apply-to": "queues"},
            )
        elif words[1] in ("clear_policy", "clear_operator_policy"):
            kind = words[1].removeprefix("clear_").replace("policy", "policies")
            api.delete(f"{kind.replace('_', '-')}/{broker.vhost}/{words[4]}")
        elif words[1] == "delete_queue":
            api.delete(f"queues/{broker.vhost}/{words[2]}")
        else:
            assert words[1] == "list_queues", line


def beat(broker: Broker, worker: str = "box", ahead: float = 0.0, **fields) -> None:
    """One heartbeat, by a clock that is ``ahead``."""
    said = Heartbeat(
        worker=worker,
        timestamp=now() + timedelta(seconds=ahead),
        **({"groups": ("train", "infer"), "slots": 2} | fields),
    )
    if said.state != "stopped":
        BEATING.add(worker)
    with connect(broker, "worker") as session:
        session.publish(topology.STATUS, f"worker.{worker}", Message(body=encode(said)))


# -- accounts --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("notebook", "may submit jobs, watch and cancel them, and record", "may not work"),
        ("worker", "may work for train, infer", "may not submit"),
        ("monitor", "may look at the load, and do nothing else", "may not work"),
        ("operator", "may set up, policies included", "may not submit"),
    ],
)
def test_each_role_is_recognised_by_what_its_account_may_do(patient, account, role, may, may_not):
    patterns = dict(roles.roles(CATALOG.groups))[role]
    findings = look(account(patterns, patterns.tag))

    assert of(findings, may).level == "ok"
    assert "set_permissions" in str(of(findings, may_not).command)
    assert not bad(findings)
    assert exit_code(findings) == 0
    assert not any("default exchange" in finding.what for finding in findings)
    assert "s3cr3t-pw" not in str(findings)


@pytest.mark.parametrize(
    ("role", "stream", "without"),
    [
        ("notebook", "lore", "cannot see when its jobs would start"),
        ("worker", "lore", "neither collects the load nor releases held jobs"),
    ],
)
def test_what_older_patterns_lack_for_forecasts_keeps_no_role_from_its_work(
    patient, account, role, stream, without
):
    patterns = dict(roles.roles(CATALOG.groups))[role]
    assert without not in str(look(account(patterns, patterns.tag)))
    lacking = msgspec.structs.replace(patterns, read=patterns.read.replace(f"|{stream}", ""))
    findings = look(account(lacking, patterns.tag))

    finding = of(findings, without)
    assert finding.level == "note"
    assert "it lacks read on aiqueue.lore.log." in finding.what
    assert exit_code(findings) == 0
    assert of(findings, "This account may submit" if role == "notebook" else "may work for")


def test_an_account_without_rights_gets_them_from_the_command(patient, account, monkeypatch):
    broker = account(roles.Patterns("^$", "^$", "^$"))
    findings = look(broker)

    finding = of(findings, "may neither submit jobs nor work nor look at the load")
    assert finding.level == "error"
    assert "write on aiqueue.jobs" in finding.what
    assert exit_code(findings) == 2
    assert "rights of this account: " in of(findings, "without more rights").what
    run(patient, finding.command, monkeypatch)
    assert of(look(broker), "may submit jobs")


@pytest.mark.parametrize(
    ("lacking", "verb"),
    [
        ("aiqueue.events", "write"),
        ("aiqueue.events", "read"),
        ("aiqueue.inbox.someone", "configure"),
        ("aiqueue.inbox.someone", "write"),
        ("amq.gen", "configure"),
        ("amq.gen", "write"),
        ("aiqueue.status.log", "read"),
    ],
)
def test_one_missing_right_is_named(patient, account, lacking, verb):
    part = lacking.replace(".", r"\.")
    patterns = msgspec.structs.replace(
        roles.NOTEBOOK, **{verb: rf"^(?!{part}){getattr(roles.NOTEBOOK, verb).lstrip('^')}"}
    )
    broker = account(patterns)

    (named,) = [f.what for f in look(broker) if "submit" in f.what and "it lacks" in f.what]

    assert f"{verb} on {lacking}" in named
    if (lacking, verb) != ("amq.gen", "configure"):  # what cannot be made cannot be used
        assert named.endswith(f"it lacks {verb} on {lacking}.")


def test_probing_rights_changes_nothing(patient):
    api = Api(patient)

    def state():
        names = sorted(q["name"] for q in api.get(f"queues/{patient.vhost}?columns=name"))
        names = [name for name in names if not name.startswith("amq.gen")]
        return names, api.get(f"bindings/{patient.vhost}"), api.get(f"exchanges/{patient.vhost}")

    with connect(patient, "test") as session:
        session.publish(topology.JOBS, "train.low", Message(body=b"{}"), mandatory=True)
        before = state()[0], len(state()[1]), len(state()[2])
        look(patient)
        assert (state()[0], len(state()[1]), len(state()[2])) == before
        counts = {q.name: session.count(q.name).ready for q in topology.queues(CATALOG)}
        assert {k: v for k, v in counts.items() if v and not k.endswith(".log")} == {
            "aiqueue.train.low": 1
        }
        taken = session.get("aiqueue.train.low")
        assert not taken.message.redelivered
        session.ack(taken)


def test_an_account_that_may_do_everything_may_do_too_much(patient, monkeypatch):
    findings = look(patient)

    assert of(findings, "default exchange").level == "note"  # on loopback
    assert "set_permissions" in str(of(findings, "default exchange").command)
    assert of(findings, "it is an operator's").level == "note"
    assert "`.*`" in of(findings, f"User {patient.username} (").what
    private = look(msgspec.structs.replace(patient, origin="private node"))
    assert not any("default exchange" in finding.what for finding in private)


# -- what is set up --------------------------------------------------------------------------


def test_a_healthy_broker_has_nothing_to_mend(patient):
    beat(patient)
    findings = look(patient)

    assert not bad(findings)
    for text in (
        "Set up for the groups train, infer",
        "All 7 exchanges are there",
        "bound to their exchanges",
        "Our policy is set",
        "No alarm",
        "All queues have their nodes",
        "clock agrees",
        "Workers whose clocks agree",
        "Workers of train: 1, with slots: 2",
    ):
        assert of(findings, text).level == "ok"
    assert not any("Not looked at" in finding.what for finding in findings)


def test_a_broker_that_was_not_set_up_says_so_once(empty_broker):
    findings = look(empty_broker)

    finding = of(findings, "has not been set up")
    assert (finding.level, finding.command) == ("error", "jupyter aiqueue provision")
    assert "queues" in of(findings, "without the catalog").what
    assert of(findings, "may submit jobs")


@pytest.mark.parametrize("with_management", [True, False])
def test_a_deleted_queue_is_missed_and_made_again_by_the_command(
    broken, monkeypatch, with_management
):
    Api(broken).delete(f"queues/{broken.vhost}/aiqueue.infer.high")
    seen = broken if with_management else msgspec.structs.replace(broken, management_url=None)

    finding = of(look(seen), "Queues are missing")

    assert finding.level == "error"
    assert "aiqueue.infer.high" in finding.what
    run(broken, finding.command, monkeypatch)
    assert not bad(look(broken))


def test_a_removed_binding_is_missed_and_made_again_by_the_command(broken, monkeypatch):
    with connect(broken, "test") as session, session.throwaway("unbinding") as channel:
        channel.queue_unbind("aiqueue.train.low", "aiqueue.jobs", "train.low")

    finding = of(look(broken), "lost bindings")

    assert finding.level == "error"
    assert "aiqueue.train.low from aiqueue.jobs (train.low)" in finding.what
    run(broken, finding.command, monkeypatch)
    assert of(look(broken), "bound to their exchanges")


def test_an_inbox_that_lost_its_binding_is_told(patient):
    with connect(patient, "test") as session:
        session.declare(msgspec.structs.replace(topology.inbox("someone"), bindings=()))

    assert "aiqueue.inbox.someone" in of(look(patient), "lost bindings").what


@pytest.mark.parametrize("with_management", [True, False])
def test_a_queue_of_the_wrong_type_is_found_and_mended(broken, monkeypatch, with_management):
    api = Api(broken)
    api.delete(f"queues/{broken.vhost}/aiqueue.train.low")
    with connect(broken, "test") as session:
        session.declare(Queue("aiqueue.train.low", {"x-queue-type": "classic"}))
    seen = broken if with_management else msgspec.structs.replace(broken, management_url=None)

    finding = of(look(seen), "is not as it has to be")

    assert finding.level == "error"
    assert "aiqueue.train.low" in finding.what
    assert "x-queue-type" in finding.what
    assert "quorum" in finding.what
    run(broken, finding.command, monkeypatch)
    assert not bad(look(broken))


def test_a_missing_exchange_and_one_of_the_wrong_type_are_found(broken, monkeypatch):
    with connect(broken, "test") as session:
        with session.throwaway("deleting") as channel:
            channel.exchange_delete("aiqueue.dead")
        with session.throwaway("deleting") as channel:
            channel.exchange_delete("aiqueue.control")
            channel.exchange_declare("aiqueue.control", "fanout", durable=True)
    findings = look(broken)

    assert "aiqueue.dead" in of(findings, "Exchanges are missing").what
    assert "is of type fanout" in of(findings, "aiqueue.control is of").what
    without = look(msgspec.structs.replace(broken, management_url=None))
    assert "aiqueue.dead" in of(without, "Exchanges are missing").what
    with connect(broken, "test") as session, session.throwaway("deleting") as channel:
        channel.exchange_delete("aiqueue.control")
    run(broken, of(findings, "Exchanges are missing").command, monkeypatch)
    assert not bad(look(broken))


def test_queues_of_a_group_that_left_are_told_with_what_waits_in_them(patient, monkeypatch):
    with connect(patient, "test") as session:
        for name in ("aiqueue.old.low", "aiqueue.dead.old", "aiqueue.retry.77"):
            session.declare(Queue(name, {"x-queue-type": "quorum"}))
        session.declare(
            Queue("aiqueue.lease.high", {"x-queue-type": "quorum"})  # a worker called "high"
        )
        with session.throwaway("putting") as channel:
            channel.confirm_delivery()
            channel.basic_publish("", "aiqueue.old.low", b"{}")
    findings = look(patient)

    waiting = of(findings, "Messages wait in aiqueue.old.low")
    assert waiting.level == "warning"
    assert "--groups train infer old" in str(waiting.command)
    empty = of(findings, "aiqueue.dead.old belongs to nothing")
    assert empty.level == "note"
    assert of(findings, "aiqueue.retry.77 belongs to nothing")
    run(patient, empty.command, monkeypatch)
    assert not any("aiqueue.dead.old" in finding.what for finding in look(patient))


# -- policies --------------------------------------------------------------------------------


def test_a_policy_that_wins_over_ours_is_found_and_its_command_makes_ours_win(patient, monkeypatch):
    Api(patient).put(
        f"policies/{patient.vhost}/everything",
        pattern=".*",
        definition={"queue-leader-locator": "balanced"},
        priority=10,
    )
    finding = of(look(patient), "The policy everything")

    assert finding.level == "error"
    assert "priority 10" in finding.what
    run(patient, finding.command, monkeypatch)
    findings = look(patient)
    assert of(findings, "Our policy is set")
    assert not bad(findings)


@pytest.mark.parametrize(
    ("definition", "priority", "says"),
    [
        ({"message-ttl": 1000}, 0, "aiqueue.dead.train, aiqueue.dead.infer, aiqueue.retry.1"),
        ({"delivery-limit": 5}, 1, "sets delivery-limit = 5 on aiqueue.dead.train"),
        ({"dead-letter-routing-key": "x"}, 0, "dead-letter-routing-key = x"),
        ({"max-age": "1h"}, 0, "aiqueue.catalog.log"),
    ],
)
def test_a_policy_that_would_lose_messages_is_found_and_cleared(
    patient, monkeypatch, definition, priority, says
):
    Api(patient).put(
        f"policies/{patient.vhost}/careless",
        pattern="^aiqueue",
        definition=definition,
        priority=priority,
    )
    finding = of(look(patient), "The policy careless")

    assert finding.level == "error"
    assert says in finding.what
    run(patient, finding.command, monkeypatch)
    assert not bad(look(patient))


def test_an_operator_policy_hurts_even_where_ours_wins(patient, monkeypatch):
    Api(patient).put(
        f"operator-policies/{patient.vhost}/caps",
        pattern=".*",
        definition={"max-length": 100},
        priority=0,
    )
    finding = of(look(patient), "The operator policy caps")

    assert "max-length = 100 on aiqueue.train.high" in finding.what
    run(patient, finding.command, monkeypatch)
    assert not bad(look(patient))


def test_a_policy_for_something_else_is_left_alone(patient):
    Api(patient).put(
        f"policies/{patient.vhost}/theirs",
        pattern="^(?!aiqueue\\.)",
        definition={"message-ttl": 1000},
        priority=99,
    )
    assert not bad(look(patient))


def test_our_policy_is_missed_and_changes_to_it_are_told(broken, monkeypatch):
    api = Api(broken)
    api.put(
        f"policies/{broken.vhost}/aiqueue-work",
        pattern="^aiqueue\\.train\\.low$",
        definition={"delivery-limit": 3},
    )
    changed = of(look(broken), "is not as `provision` sets it")
    assert "delivery-limit is 3 instead of 50" in changed.what
    api.delete(f"policies/{broken.vhost}/aiqueue-work")
    finding = of(look(broken), "aiqueue-work is not set")
    assert finding.level == "error"
    run(broken, finding.command, monkeypatch)
    assert of(look(broken), "Our policy is set")


def test_an_alternate_exchange_on_jobs_is_told(patient):
    Api(patient).put(
        f"policies/{patient.vhost}/keep-all",
        pattern="^aiqueue.jobs$",
        definition={"alternate-exchange": "elsewhere"},
        **{"apply-to": "exchanges"},
    )
    assert of(look(patient), "an alternate exchange").level == "error"


# -- jobs, workers, leases -------------------------------------------------------------------


def test_a_worker_that_is_gone_is_told_and_so_are_its_leases(patient):
    queue = topology.lease("gone")
    with connect(patient, "test") as session:
        session.declare(queue)
        session.publish(
            topology.LEASE, "train.low", Message(body=b"{}", headers={"aiq-lease": "gone"})
        )
        silent = of(look(patient), "Worker gone has been silent for minutes")
        assert (silent.level, "--name gone" in str(silent.command)) == ("warning", True)
        # Heard a moment ago: it may come back.
        beat(patient, "gone", ahead=-20.0, interval=0.5)
        findings = look(patient)
        assert of(findings, "Worker gone of train fell silent").level == "warning"
        assert of(findings, "Worker gone is away from its lease queue").level == "note"
        session.ack(session.get(queue.name))
    assert "gone" in of(look(patient), "Empty lease queues").what


def test_leases_are_seen_without_management_as_far_as_workers_are_heard(patient):
    beat(patient, "quiet")
    with connect(patient, "test") as session:
        session.declare(topology.lease("quiet"))
        session.publish(
            topology.LEASE, "train.low", Message(body=b"{}", headers={"aiq-lease": "quiet"})
        )
    seen = msgspec.structs.replace(patient, management_url=None)
    assert of(look(seen), "Worker quiet is away from its lease queue")


def test_workers_of_a_group_that_left_and_foreign_consumers_are_told(patient, monkeypatch):
    beat(patient, "astray", groups=("render",))
    with connect(patient, "test") as session:
        session.consume("aiqueue.infer.low", lambda _: None)
        findings = look(patient)

    stray = of(findings, "Workers serve group render")
    assert stray.level == "warning"
    assert "--groups train infer render" in str(stray.command)
    assert of(findings, "consumes aiqueue.infer.low").level == "note"


# -- clocks ----------------------------------------------------------------------------------


def test_a_worker_whose_clock_is_off_is_told_from_one_that_is_gone(patient):
    beat(patient, "late", ahead=-60.0, interval=1.0)
    beat(patient, "early", ahead=60.0, interval=1.0)
    stop = threading.Event()

    def go_on() -> None:
        while not stop.wait(0.2):
            beat(patient, "early", ahead=60.0, interval=1.0)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        findings = look(patient)
    finally:
        stop.set()
        thread.join()
    finding = of(findings, "The clock of worker early")
    assert finding.level == "warning"
    assert "60 s ahead of" in finding.what
    assert finding.command == "timedatectl set-ntp true"
    assert not any("The clock of worker late" in finding.what for finding in findings)


# -- a management API that says what a healthy one does not ------------------------------------


@contextmanager
def api_that_says(
    broker: Broker, answers: dict[str, object], *, ahead: float = 0.0
) -> Iterator[Broker]:
    """The broker with a management API before its own: some answers are others."""
    real = Api(broker)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path.removeprefix("/api/")
            code, body = 200, answers.get(path)
            if body is None:
                try:
                    body = real.get(self.path.removeprefix("/api/"))
                except Exception:
                    code, body = 404, {}
            if isinstance(body, tuple):
                code, body = body
            data = json.dumps(body).encode()
            self.send_response_only(code)
            self.send_header("Date", formatdate(time.time() + ahead, usegmt=True))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        yield msgspec.structs.replace(broker, management_url=url)
    finally:
        server.shutdown()
        server.server_close()


def test_an_alarm_is_an_error_and_nothing_is_published_then(patient):
    alarm = (503, {"reason": "resource alarm on node a"})
    with api_that_says(patient, {"health/checks/alarms": alarm}) as broker:
        findings = look(broker)

    finding = of(findings, "resource alarm on node a")
    assert finding.level == "error"
    assert "rabbitmq-diagnostics alarms" in str(finding.command)
    assert "rights" in of(findings, "without a broker that takes messages").what


def test_nodes_that_are_down_or_short_of_something_are_told(patient):
    nodes = [
        {"name": "rabbit@one", "running": True, "fd_used": 90, "fd_total": 100},
        {"name": "rabbit@two", "running": False},
        {"name": "rabbit@three", "running": True, "mem_alarm": True},
    ]
    queues = {
        "page_count": 1,
        "items": [
            {"name": name, "type": "quorum", "arguments": {}, "members": members, "online": online}
            for name, members, online in (
                ("aiqueue.x.high", ["a", "b", "c"], ["a"]),
                ("aiqueue.x.normal", ["a", "b", "c"], ["a", "b"]),
                ("aiqueue.x.low", ["a"], ["a"]),
            )
        ],
    }
    answers = {"nodes": nodes, f"queues/{patient.vhost}": queues}
    with api_that_says(patient, answers) as broker:
        findings = look(broker)

    assert of(findings, "rabbit@two is down").level == "warning"
    assert of(findings, "rabbit@three is short of memory").level == "error"
    assert of(findings, "may open 100 files and uses 90").level == "warning"
    assert "aiqueue.x.high" in of(findings, "no majority").what
    assert of(findings, "miss a node").what.count("aiqueue.x") == 1
    assert "rabbitmq-queues grow" in str(of(findings, "fewer copies").command)


def test_the_brokers_clock_is_compared(patient):
    with api_that_says(patient, {}, ahead=-90.0) as broker:
        finding = of(look(broker), "The broker's clock is")
    assert finding.level == "warning"
    assert "behind" in finding.what


def test_answers_that_nobody_expects_are_findings(patient):
    answers = {
        f"queues/{patient.vhost}": {"items": [{"nam": 1}]},
        f"policies/{patient.vhost}": {"what": "ever"},
        "nodes": [1, 2],
        "whoami": [],
    }
    with api_that_says(patient, answers) as broker:
        findings = look(broker)
    assert of(findings, "in a way that is not known here")
    assert not any("fault of the doctor's own" in finding.what for finding in findings)


# -- the way there ---------------------------------------------------------------------------


def test_of_a_cluster_the_hosts_that_do_not_answer_are_named(patient):
    port = closed_port()
    two = msgspec.structs.replace(patient, hosts=(*patient.hosts, ("127.0.0.1", port)))

    finding = of(look(two), "Nothing listens")

    assert finding.level == "warning"
    assert str(port) in finding.what
    both = msgspec.structs.replace(patient, hosts=patient.hosts * 2)
    assert of(look(both), "All 2 hosts").level == "ok"


def test_a_certificate_that_ends_soon_is_told(certificate):
    cert, key = certificate
    with speaking_tls(cert, key) as server:
        broker = Broker(
            hosts=(("localhost", server.port),), tls=TLS(ca_file=cert), connect_timeout=2.0
        )
        findings = look(broker)
        unchecked = look(msgspec.structs.replace(broker, tls=TLS(verify=False)))

    assert of(findings, "The certificate of localhost is good until").level == "warning"
    assert of(unchecked, "certificate is not checked").level == "warning"


def test_a_password_that_travels_in_the_open_to_the_management_api_is_told(patient):
    away = msgspec.structs.replace(
        patient, management_url="http://mq.invalid:15672", connect_timeout=1.0
    )
    findings = look(away)
    assert of(findings, "asked without encryption").level == "warning"
    assert "policies" in of(findings, "Not looked at without the management API").what


def test_a_broker_that_is_away_is_an_error_and_the_rest_is_looked_at():
    away = Broker(hosts=(("127.0.0.1", closed_port()),), password="s3cr3t-pw", connect_timeout=1.0)
    findings = look(away)

    assert exit_code(findings) == 2
    assert "jupyter aiqueue up" in str(of(findings, "Nothing listens").fix)
    assert "queues" in of(findings, "without a connection").what
    assert of(findings, "Disk space").level == "ok"
    assert "s3cr3t-pw" not in str(findings)


# -- this machine, and the doctor itself -----------------------------------------------------


def test_too_few_open_files_are_told(patient):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (250, hard))
    try:
        finding = of(look(patient), "may open 250 files only")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (finding.level, finding.command) == ("warning", "ulimit -n 8192")


def test_a_full_disk_and_a_closed_folder_are_told(patient, tmp_path, monkeypatch):
    from jupyter_aiqueue.core.doctor import machine

    usage = type("Usage", (), {"free": 10_000_000})
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: usage)
    notebooks = tmp_path / "file"
    notebooks.write_text("not a folder")
    findings = examine(lambda: patient, "someone", beside=notebooks / "below")

    assert of(findings, "Little disk space").level == "error"
    assert of(findings, f"The folder {notebooks} cannot be written").level == "warning"


def test_the_delivery_timeout_of_a_private_node_is_read_from_its_configuration(patient, tmp_path):
    member = tmp_path / "node" / "aiqueue"
    member.mkdir(parents=True)
    file = paths.connection_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    content = {"url": "amqp://me:pw@127.0.0.1:1/x", "data_dir": str(tmp_path / "node"), "pid": 0}
    file.write_text(json.dumps(content))
    own = msgspec.structs.replace(patient, origin="private node")

    (member / "rabbitmq.conf").write_text("consumer_timeout = 30000\n")
    assert of(look(own), "delivery timeout is 30 s").level == "warning"
    (member / "rabbitmq.conf").write_text("consumer_timeout = 604800000\n")
    assert of(look(own), "delivery timeout is 7 d").level == "ok"
    assert of(look(patient), "cannot be read by clients").level == "ok"


def test_an_inbox_without_a_name_is_a_finding_like_others(patient):
    def nameless() -> str:
        raise ConfigError("The name of your inbox cannot be kept in /x. Set AIQUEUE_INBOX.")

    findings = examine(lambda: patient, nameless)

    finding = of(findings, "cannot be kept in /x")
    assert (finding.level, finding.topic) == ("error", "Recording")
    assert of(findings, "Set up for")
    assert "rights" in of(findings, "without a name for the inbox").what


def test_a_check_that_fails_is_a_finding_and_no_traceback(patient, monkeypatch):
    def broken(_):
        raise ZeroDivisionError("hunter2")
        yield

    checks = (Check("Broker", "the weather", broken), *examination.CHECKS)
    monkeypatch.setattr(examination, "CHECKS", checks)
    findings = look(patient)

    finding = of(findings, "the weather")
    assert finding.level == "warning"
    assert "ZeroDivisionError" in finding.what
    assert "hunter2" not in str(findings)
    assert of(findings, "Set up for")
