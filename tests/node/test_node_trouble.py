"""Reading from logs why a node did not start."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_aiqueue.node.trouble import StartLogs

STAMP = "2026-11-21 22:42:47.947152+00:00"

#: As RabbitMQ 3.10.8 prints them.
BOOT_FAILED = f"""\
{STAMP} [info] <0.223.0> Feature flags: list of feature flags found:

BOOT FAILED
===========
Error during startup: {{error,
                          {{cannot_read_file,
                              "/d/cluster_nodes.config",
                              {{1,erl_parse,["syntax error before: ",[]]}}}}}}

{{"Kernel pid terminated",application_controller,"{{application_start_failure,…"}}
Kernel pid terminated (application_controller) (…)

Crash dump is being written to: /d/erl_crash.dump...done
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "rabbitmq.log"
    file.write_text(f"{STAMP} [error] <0.1.0> of the start before: eaddrinuse\n")
    return file


def append(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_what_was_logged_before_the_start_does_not_count(log: Path) -> None:
    logs = StartLogs(log)
    assert not logs.port_was_taken()
    assert logs.last_words() == ""


def test_the_reason_is_told_without_decoration_and_once(log: Path) -> None:
    logs = StartLogs(log)
    append(log, BOOT_FAILED + BOOT_FAILED)
    words = logs.last_words().splitlines()
    assert words[0] == "Error during startup: {error,"
    assert '"/d/cluster_nodes.config"' in words[2]
    assert len(words) == 4


#: As RabbitMQ 3.10.8 told of it, when the leader of a queue changed twice in 35 ms.
DEAD_LETTERING = f"""\
{STAMP} [info] <0.223.0> Running boot step rabbit_fifo_dlx_sup defined by app rabbit
{STAMP} [error] <0.531.0>     supervisor: {{local,rabbit_fifo_dlx_sup}}
{STAMP} [error] <0.531.0>     errorContext: shutdown
{STAMP} [error] <0.531.0>     reason: reached_max_restart_intensity
"""


def test_dead_lettering_that_ended_is_noticed(log: Path) -> None:
    logs = StartLogs(log)
    first, *rest = DEAD_LETTERING.splitlines(keepends=True)
    append(log, first)
    assert not logs.dead_lettering_failed()
    append(log, "".join(rest))
    assert logs.dead_lettering_failed()
    assert not StartLogs(log).dead_lettering_failed()


def test_without_a_reason_the_last_lines_are_told(log: Path) -> None:
    logs = StartLogs(log)
    append(log, "\n".join(f"line {number}" for number in range(100)))
    assert logs.last_words().splitlines() == [f"line {number}" for number in range(92, 100)]


def test_secrets_are_not_told(log: Path) -> None:
    logs = StartLogs(log)
    append(log, "cannot use s3cret in c00kie\n")
    assert logs.last_words(("s3cret", "c00kie", "")) == "cannot use … in …"


@pytest.mark.parametrize(
    "line",
    [
        "{not_a_dets_file,",
        '{{"Cannot read schema",',
        "{unknown_wal_file_format,<<40,139,130,167>>,145}",
        "rabbit_version:recorded/0, line 36",
        'throw:{feature_flags_file_read_error,"/d/x",{1,erl_parse,["syntax error"]}}',
    ],
)
def test_unreadable_files_are_recognised(log: Path, line: str) -> None:
    logs = StartLogs(log)
    assert not logs.data_are_damaged()
    append(log, f"{STAMP} [error] <0.2.0> {line}\n")
    assert logs.data_are_damaged()


@pytest.mark.parametrize(
    "line",
    [
        f"{STAMP} [info] <0.2.0> checked for not_a_dets_file",
        f'{STAMP} [error] <0.2.0> {{cannot_read_file,"/d/cluster_nodes.config",eacces}}',
        f"{STAMP} [error] <0.2.0> enospc",
    ],
)
def test_other_trouble_is_not_taken_for_damaged_data(log: Path, line: str) -> None:
    logs = StartLogs(log)
    append(log, line + "\n")
    assert not logs.data_are_damaged()


@pytest.mark.parametrize(
    "line", ["{error,eaddrinuse}", "epmd: failed to bind on ipaddr: Address already in use"]
)
def test_a_taken_port_is_recognised(log: Path, line: str) -> None:
    logs = StartLogs(log)
    append(log, line + "\n")
    assert logs.port_was_taken()


def test_the_version_that_tried_is_known(log: Path) -> None:
    logs = StartLogs(log)
    assert logs.version() is None
    append(log, f"{STAMP} [info] <0.2.0>  Starting RabbitMQ 4.0.5 on Erlang 27.2 [jit]\n")
    assert logs.version() == "4.0.5"


def test_a_log_that_was_rotated_is_read_from_its_beginning(log: Path) -> None:
    logs = StartLogs(log)
    log.write_text("short\n")
    assert logs.last_words() == "short"
