"""Which broker, which inbox; and that no text of ours repeats a password."""

from __future__ import annotations

import json
import os
import stat
import threading
import traceback

import pytest
from rich.pretty import pretty_repr

from jupyter_aiqueue.core import paths
from jupyter_aiqueue.core.config import find_broker, find_inbox, load_settings, parse_url
from jupyter_aiqueue.core.errors import AIQueueError, ConfigError, InvalidJob, NoBroker

SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("AIQUEUE_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "")
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    for name in ("DATA", "RUNTIME", "CONFIG"):
        folder = tmp_path / name.lower()
        folder.mkdir()
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(folder))
    return tmp_path


def configure(folder, text: str, ending: str = "py") -> None:
    (folder / "config" / f"jupyter_aiqueue_config.{ending}").write_text(text)


def private_node(url: str = "amqp://u:p@node/") -> None:
    paths.write_private(
        paths.connection_file(), json.dumps({"url": url, "management_url": "http://node:1"})
    )


# -- the order ---------------------------------------------------------------------------


def test_argument_then_environment_then_file_then_private_node(own_folders, monkeypatch):
    with pytest.raises(NoBroker, match="jupyter aiqueue up"):
        find_broker()
    private_node()
    assert (find_broker().hosts, find_broker().origin) == ((("node", 5672),), "private node")
    configure(own_folders, 'c.AIQueue.url = "amqp://file"')
    assert (find_broker().hosts, find_broker().origin) == ((("file", 5672),), "configuration file")
    monkeypatch.setenv("AIQUEUE_URL", "amqp://environment")
    assert find_broker().hosts == (("environment", 5672),)
    assert find_broker().origin == "AIQUEUE_URL"
    assert find_broker("amqp://argument").hosts == (("argument", 5672),)


def test_the_management_url_has_the_same_order(own_folders, monkeypatch):
    private_node()
    assert find_broker().management_url == "http://node:1"
    configure(own_folders, 'c.AIQueue.management_url = "http://file:1"')
    assert find_broker().management_url == "http://file:1"
    monkeypatch.setenv("AIQUEUE_MANAGEMENT_URL", "http://environment:1")
    assert find_broker().management_url == "http://environment:1"
    assert find_broker(None, "http://argument:1").management_url == "http://argument:1"


def test_a_broker_of_ones_own_does_not_get_the_private_nodes_management_api(monkeypatch):
    private_node()
    monkeypatch.setenv("AIQUEUE_URL", "amqp://shared")
    assert find_broker().management_url is None


def test_the_inbox_has_the_same_order_and_is_made_once(own_folders, monkeypatch):
    made = find_inbox()
    assert made == find_inbox()
    assert stat.S_IMODE((paths.data_dir() / "inbox").stat().st_mode) == 0o600
    configure(own_folders, 'c.AIQueue.inbox = "file"')
    assert find_inbox() == "file"
    monkeypatch.setenv("AIQUEUE_INBOX", "environment")
    assert find_inbox() == "environment"
    assert find_inbox("argument") == "argument"


def test_an_inbox_that_would_break_a_routing_key_is_refused(monkeypatch):
    monkeypatch.setenv("AIQUEUE_INBOX", "a.b")
    with pytest.raises(InvalidJob, match="inbox"):
        find_inbox()


def test_an_inbox_for_a_user_name_with_dots_and_signs_is_made(monkeypatch):
    monkeypatch.setenv("JUPYTERHUB_USER", "anna.müller@example.org")
    assert find_inbox().startswith("anna-m-ller-example-org-")


def test_a_changed_configuration_file_is_read_again(own_folders):
    configure(own_folders, 'c.AIQueue.url = "amqp://one"')
    assert find_broker().hosts == (("one", 5672),)
    configure(own_folders, 'c.AIQueue.url = "amqp://another"')
    os.utime(own_folders / "config" / "jupyter_aiqueue_config.py", (1, 1))
    assert find_broker().hosts == (("another", 5672),)


def test_a_json_file_configures_too(own_folders):
    configure(own_folders, '{"AIQueue": {"connect_timeout": 1.5}}', "json")
    assert load_settings().connect_timeout == 1.5
    assert find_broker("amqp://h").connect_timeout == 1.5


# -- URLs --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "hosts", "vhost", "account"),
    [
        ("amqp://h", (("h", 5672),), "/", ("guest", "guest")),
        ("amqp://h/", (("h", 5672),), "/", ("guest", "guest")),
        ("amqp://u:p@h:1/lab", (("h", 1),), "lab", ("u", "p")),
        ("amqp://u:p@h/%2F", (("h", 5672),), "/", ("u", "p")),
        ("amqp://u:p@h/a%2Fb", (("h", 5672),), "a/b", ("u", "p")),
        ("amqp://a%40b:p%2F%3A%23@h", (("h", 5672),), "/", ("a@b", "p/:#")),
        ("amqp://u:p@[::1]:99/x", (("::1", 99),), "x", ("u", "p")),
        ("amqps://h", (("h", 5671),), "/", ("guest", "guest")),
        ("amqp://u:p@a/x amqp://b:7", (("a", 5672), ("b", 7)), "x", ("u", "p")),
        ("amqp://u:p,q@a:1,b,[::1]:2/x", (("a", 1), ("b", 5672), ("::1", 2)), "x", ("u", "p,q")),
        (" amqp://h ", (("h", 5672),), "/", ("guest", "guest")),
    ],
)
def test_a_url_is_read_as_rabbitmq_specifies(url, hosts, vhost, account):
    broker = parse_url(url)
    assert (broker.hosts, broker.vhost, (broker.username, broker.password)) == (
        hosts,
        vhost,
        account,
    )


def test_tls_options_of_a_url_are_read():
    broker = parse_url(
        "amqps://h/?cacertfile=/ca.pem&certfile=/c.pem&keyfile=/k.pem&verify=verify_none"
    )
    assert broker.tls.ca_file == "/ca.pem"
    assert (broker.tls.cert_file, broker.tls.key_file, broker.tls.verify) == (
        "/c.pem",
        "/k.pem",
        False,
    )
    assert parse_url("amqps://h").tls.verify
    assert parse_url("amqp://h").tls is None


def test_a_certificate_file_that_is_missing_is_named():
    broker = parse_url("amqps://h/?cacertfile=/missing.pem")
    with pytest.raises(ConfigError, match="cacertfile"):
        broker.tls.context()


def test_a_location_is_a_url_without_the_account():
    assert parse_url("amqp://u:p@[::1]/a%2Fb").location == "amqp://[::1]:5672/a%2Fb"
    assert parse_url("amqps://u:p@a amqps://b").location == "amqps://a:5671,b:5671/%2F"
    several = parse_url("amqp://u:p@a:1,b:2/x")
    assert parse_url(several.location).hosts == several.hosts


BAD_URLS = [
    f"amqp://u:{SECRET}@",
    f"http://u:{SECRET}@h",
    f"amqp://u:{SECRET}@h:port",
    f"amqp://u:{SECRET}@h:99999",
    f"amqp://u:{SECRET}@h:1,",
    f"amqp://u:{SECRET}@a:1,b:port/x",
    f"amqp://u:{SECRET}@[::1/x",
    f"amqp://u:a[{SECRET}@h/x",
    f"amqp://u:{SECRET}/x@h",
    f"amqp://u:1/{SECRET}@h",
    f"amqp://u:1?{SECRET}@h",
    f"amqp://u:1#{SECRET}@h",
    f"u:{SECRET}@h",
    SECRET,
]


@pytest.mark.parametrize("url", BAD_URLS, ids=range(len(BAD_URLS)))
def test_a_bad_url_is_refused_without_repeating_it(url):
    with pytest.raises(ConfigError) as caught:
        parse_url(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["", "   "])
def test_an_empty_url_is_refused(url):
    with pytest.raises(ConfigError):
        parse_url(url)


@pytest.mark.parametrize("show", [repr, str, "{}".format, pretty_repr], ids=lambda f: f.__name__)
def test_a_broker_shows_no_password(show):
    broker = parse_url(f"amqp://user:{SECRET}@h/x", management_url=f"http://user:{SECRET}@h:15672")
    assert SECRET not in show(broker)
    assert "user" in show(broker)


# -- files that cannot be read -----------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        f'c.AIQueue.url = "amqp://u:{SECRET}@h',
        f'raise RuntimeError("{SECRET}")',
        f'c.AIQueue.url = ["{SECRET}"]',
        f'c.AIQueue.connect_timeout = "{SECRET}"',
        f"c.AIQueue.connect_timeout = -1  # {SECRET}",
        f'c.AIQueue.url = "http://u:{SECRET}@h"',
    ],
    ids=["syntax", "raises", "list", "text", "negative", "scheme"],
)
def test_a_bad_configuration_file_is_refused_without_repeating_it(own_folders, text):
    configure(own_folders, text)
    with pytest.raises(AIQueueError) as caught:
        find_broker()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_bad_configuration_names_the_file_and_line_or_the_setting(own_folders):
    configure(own_folders, "\n\nc.AIQueue.url = (")
    with pytest.raises(ConfigError, match=r"jupyter_aiqueue_config\.py.*line 3"):
        find_broker()
    configure(own_folders, "c.AIQueue.connect_timeout = []")
    with pytest.raises(ConfigError, match=r"connect_timeout"):
        find_broker()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"url": 5}', "{}", f'{{"url": "x{SECRET}"}}'])
def test_a_damaged_connection_file_is_an_error_that_helps(own_folders, text):
    paths.write_private(paths.connection_file(), text)
    with pytest.raises(ConfigError) as caught:
        find_broker()
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_data_folder_that_cannot_be_written_is_an_error_that_helps(own_folders):
    (own_folders / "data" / "aiqueue").write_text("a file in the way")
    with pytest.raises(ConfigError, match="AIQUEUE_INBOX"):
        find_inbox()


def test_private_files_are_replaced_at_once_and_readable_by_their_owner_only(tmp_path):
    file = tmp_path / "new" / "file"
    paths.write_private(file, "one")
    paths.write_private(file, "two")
    assert file.read_text() == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_processes_that_need_an_inbox_at_the_same_time_agree_on_one(own_folders):
    together = threading.Barrier(8)
    names = []

    def find() -> None:
        together.wait()
        names.append(find_inbox())

    threads = [threading.Thread(target=find) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 8
    assert len(set(names)) == 1
