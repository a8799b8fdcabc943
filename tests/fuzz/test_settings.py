"""What people write into files and on command lines: read, or an error that says what is wrong."""

from __future__ import annotations

import json
import math
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path

import pytest
from hostile_input import NASTY, damaged, patient, written
from hypothesis import given
from hypothesis import strategies as st

from jupyter_aiqueue.core.config import Broker, find_broker, load_settings, parse_url
from jupyter_aiqueue.core.errors import ConfigError, NoBroker
from jupyter_aiqueue.core.parameters import (
    parse_config,
    parse_duration,
    parse_pairs,
    parse_value,
    read_config_file,
)
from jupyter_aiqueue.worker.tasks import load_tasks

SAMPLE = b"""
group = "train"
slots = 2
default_task = "a"
[retry]
delays = [10, 60]
attempts = 3
[limits]
log_tail = 1000
kill_after = 1.5
drain = 60
[lease]
time = 60
renew = 10
grace = 5
[tasks.a]
command = ["python", "a.py"]
directory = "."
python = "python3"
timeout = 5
environment = { A = "b" }
[tasks.a.flags]
x = "--x"
y = false
[tasks.a.retry]
delays = [1]
"""

toml_values = st.sampled_from(
    [
        *("0", "-1", "1", "1e400", "nan", "inf", "-inf", "9" * 400, "true", "''", "'a'", "'.'"),
        *("'/'", "'~nobody-at-all/x'", "'~'", "'a\\u0000b'", '"\\u0000"', '"\\u0000/x"', "[]"),
        *("[[]]", "['']", "['a']", "[1]", "[0, 1]", "{}", "{ a = 1 }", "{ a = '--a' }"),
        *("2026-01-02", "03:04:05", "2026-01-02T03:04:05Z", "'" + "x" * 5000 + "'"),
        *("'" + "x/" * 3000 + "'", "[" * 3000 + "]" * 3000, "['a', '\\ud800']", "'\\x7f'"),
    ]
)
_KEYS = """
    group slots default_task delays attempts log_tail log_file kill_after drain time renew grace
    command directory python timeout environment flags retry name lease limits tasks x
"""
_HEADS = """
    [retry] [limits] [lease] [tasks] [tasks.a] [tasks.a.flags] [tasks.a.environment]
    [tasks.a.retry] [tasks.''] [[tasks]] [[tasks.a]] [x]
"""
keys, heads = st.sampled_from(_KEYS.split()), st.sampled_from(_HEADS.split())
toml_lines = st.lists(st.builds("{} = {}".format, keys, toml_values) | heads, max_size=8)
task_files = (
    toml_lines.map(lambda lines: "\n".join(lines).encode())
    # Most of what is read is one wrong value in a good file.
    | st.builds(
        lambda key, value: b"\n".join(
            f"{key} = {value}".encode() if line.startswith(key.encode() + b" =") else line
            for line in SAMPLE.split(b"\n")
        ),
        keys,
        toml_values,
    )
    | damaged(st.just(SAMPLE))
    | st.binary(max_size=100)
    | st.sampled_from(NASTY)
)


@patient
@given(task_files)
def test_a_tasks_file_is_read_or_refused(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "aiqueue.toml"
        file.write_bytes(content)
        try:
            tasks = load_tasks(file)
        except ConfigError:
            return
    lease, limits = tasks.lease, tasks.limits
    assert 0 < lease.renewal <= lease.time / 3 + 1e-6
    assert math.isfinite(lease.time + lease.grace)
    assert limits.kill_after >= 0
    assert limits.drain >= 0
    assert tasks.slots >= 1
    for task in tasks.tasks.values():
        assert task.argv({})
        assert task.timeout is None or task.timeout > 0
        assert all(delay >= 1 for delay in tasks.retry_of(task).delays or ())


_URL_PARTS = """
    amqp amqps http :// : / @ user host [::1] [ ] %2F % ? # 5672 99999 -1 verify=verify_none
    cacertfile= & ä
"""
url_parts = st.lists(
    st.sampled_from([*_URL_PARTS.split(), " "]) | st.text(max_size=3), max_size=12
).map("".join)


@patient
@given(st.text(max_size=30) | url_parts | url_parts.map("amqp://u:p@".__add__))
def test_a_broker_url_is_read_or_refused(url: str) -> None:
    try:
        broker = parse_url(url)
    except ConfigError:
        return
    assert isinstance(broker, Broker)
    assert broker.hosts
    assert all(host and 0 < port < 65_536 for host, port in broker.hosts)
    assert broker.location


@patient
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), url_parts)
def test_a_password_is_never_shown(password: str, rest: str) -> None:
    secret = f"SECRET{password}SECRET"
    url = f"amqp://user:{secret}@{rest}"
    try:
        broker = parse_url(url)
        shown = f"{broker} {broker!r} {broker.location}"
    except ConfigError as error:
        shown = "".join(traceback.format_exception(error))
    assert "SECRET" not in shown


@patient
@given(written(st.fixed_dictionaries({"url": url_parts | st.none() | st.integers()})))
def test_a_connection_file_is_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        for name in ("AIQUEUE_URL", "AIQUEUE_MANAGEMENT_URL"):
            patch.delenv(name, raising=False)
        for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR"):
            patch.setenv(name, folder)
        (Path(folder) / "aiqueue-node.json").write_bytes(data)
        with suppress(ConfigError, NoBroker):
            assert find_broker().hosts


@patient
@given(
    written(
        st.fixed_dictionaries(
            {"AIQueue": st.dictionaries(st.sampled_from(["url", "connect_timeout"]), st.integers())}
        )
    )
)
def test_a_configuration_file_is_read_or_refused(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_CONFIG_DIR", folder)
        (Path(folder) / "jupyter_aiqueue_config.json").write_bytes(data)
        with suppress(ConfigError):
            load_settings()


texts = st.text(max_size=30) | st.text("0123456789.-+eExo_:~[]{}\"'#&*!|>%@, \n\t", max_size=20)


@patient
@given(texts)
def test_a_value_is_what_json_can_write_whatever_was_typed(text: str) -> None:
    json.dumps(parse_value(text), allow_nan=False)
    assert parse_pairs([f"k={text}"]).keys() == {"k"}
    with suppress(ConfigError):
        assert isinstance(parse_duration(text), float)


sample_configs = st.sampled_from(
    [b"a: 1\nb: [1, 2]\n", b'a = 1\n[b]\nc = "d"\n', b'{"a": {"b": [1, null]}}', b"a: &x 1\nb: *x"]
)
#: The YAML parser takes seconds for the large ones.
small = [data for data in NASTY if len(data) < 10_000]


@patient
@given(damaged(sample_configs) | st.binary(max_size=50) | st.sampled_from(small))
def test_a_config_is_read_or_refused(content: bytes) -> None:
    text = content.decode("utf-8", "replace")
    with tempfile.TemporaryDirectory() as folder:
        for ending in ("", ".json", ".toml", ".yaml"):
            file = Path(folder) / f"config{ending}"
            file.write_bytes(content)
            with suppress(ConfigError):
                assert all(isinstance(key, str) for key in read_config_file(file))
    with suppress(ConfigError):
        assert all(isinstance(key, str) for key in parse_config(text, source="it"))


def test_what_is_assumed_here_holds() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "aiqueue.toml"
        file.write_bytes(SAMPLE)
        assert load_tasks(file).lease.renewal == 10
