"""Finding RabbitMQ's server script and the Erlang that goes with it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_aiqueue.core.errors import NodeError, RabbitMQNotInstalled
from jupyter_aiqueue.node import find


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing installed; returns its root."""
    monkeypatch.delenv(find.SERVER_VARIABLE, raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "usr/sbin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "python"))
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(find, "_OS_RELEASE", tmp_path / "os-release")
    monkeypatch.setattr(find, "_KNOWN_PLACES", (tmp_path / "usr/lib/rabbitmq/bin",))
    return tmp_path


@pytest.fixture
def debian(bare: Path) -> Path:
    """RabbitMQ as Debian packages it: the wrapper on the PATH, the script in the library."""
    for name in ("erl", "epmd"):
        program(bare / "usr/bin" / name)
    program(bare / "usr/lib/rabbitmq/bin/rabbitmq-server")
    wrapper = program(bare / "usr/lib/rabbitmq/bin/rabbitmq-script-wrapper")
    (bare / "usr/sbin").mkdir()
    (bare / "usr/sbin/rabbitmq-server").symlink_to(wrapper)
    return bare


def test_debians_script_is_found_with_its_erlang(debian: Path) -> None:
    server = find.find_server()
    assert server.script == debian / "usr/lib/rabbitmq/bin/rabbitmq-server"
    assert server.erl == debian / "usr/bin/erl"
    assert server.epmd == debian / "usr/bin/epmd"


def test_a_wrapper_on_the_path_leads_to_the_script_behind_it(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_KNOWN_PLACES", ())
    assert find.find_server().script == debian / "usr/lib/rabbitmq/bin/rabbitmq-server"


def test_a_wrapper_that_refuses_users_and_hides_its_script_is_not_used(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(find, "_KNOWN_PLACES", ())
    (debian / "usr/sbin/rabbitmq-server").unlink()
    program(debian / "usr/sbin/rabbitmq-server", 'echo "Only root or rabbitmq should run this"')
    with pytest.raises(RabbitMQNotInstalled):
        find.find_server()


def test_the_conda_environment_goes_before_the_system(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = debian / "envs/lab"
    inside = program(prefix / "lib/rabbitmq/sbin/rabbitmq-server")
    erl = program(prefix / "bin/erl")
    program(prefix / "lib/erlang/bin/epmd")
    monkeypatch.setenv("CONDA_PREFIX", str(prefix))
    # conda's erl is a link into its own folder, where epmd is too.
    erl.unlink()
    erl.symlink_to(program(prefix / "lib/erlang/bin/erl"))

    server = find.find_server()

    assert server.script == inside
    assert server.erl == prefix / "bin/erl"
    assert server.epmd == prefix / "lib/erlang/bin/epmd"


def test_homebrews_erlang_is_found_beside_its_rabbitmq(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brew = bare / "opt/homebrew"
    cellar = program(brew / "Cellar/rabbitmq/4.1.0/sbin/rabbitmq-server")
    (brew / "opt").mkdir()
    (brew / "opt/rabbitmq").symlink_to(cellar.parent.parent)
    program(brew / "opt/erlang/bin/erl")
    program(brew / "opt/erlang/erts-15.0/bin/epmd")
    monkeypatch.setattr(find, "_KNOWN_PLACES", (brew / "opt/rabbitmq/sbin",))

    server = find.find_server()

    assert server.script == brew / "opt/rabbitmq/sbin/rabbitmq-server"
    assert server.erl == brew / "opt/erlang/bin/erl"
    assert server.epmd == brew / "opt/erlang/erts-15.0/bin/epmd"


def test_the_variable_goes_before_everything(debian: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = program(debian / "my/rabbitmq-server")
    monkeypatch.setenv("PATH", str(debian / "usr/bin"))
    monkeypatch.setenv(find.SERVER_VARIABLE, str(own))
    assert find.find_server().script == own


def test_a_variable_that_names_nothing_is_an_error_that_names_it(
    debian: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(find.SERVER_VARIABLE, "/no/such/script")
    with pytest.raises(NodeError, match=r"AIQUEUE_RABBITMQ_SERVER is /no/such/script"):
        find.find_server()


@pytest.mark.parametrize(
    ("release", "command"),
    [
        ("ID=debian\n", "sudo apt-get install rabbitmq-server"),
        ('ID=linuxmint\nID_LIKE="ubuntu debian"\n', "sudo apt-get install rabbitmq-server"),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', "sudo dnf install rabbitmq-server"),
        ("ID=arch\n", "sudo pacman -S rabbitmq"),
        ("", "conda install -c conda-forge rabbitmq-server"),
    ],
)
def test_without_rabbitmq_the_error_has_the_command_of_this_linux(
    bare: Path, release: str, command: str
) -> None:
    (bare / "os-release").write_text(release)
    with pytest.raises(RabbitMQNotInstalled) as caught:
        find.find_server()
    assert f"`{command}`" in str(caught.value)
    assert ("systemctl disable" in str(caught.value)) == ("apt-get" in command)


def test_without_rabbitmq_the_error_has_homebrews_command_on_a_mac(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RabbitMQNotInstalled, match="`brew install rabbitmq`"):
        find.find_server()


def test_in_a_conda_environment_the_error_has_condas_command(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (bare / "os-release").write_text("ID=debian\n")
    (bare / "python/conda-meta").mkdir(parents=True)
    with pytest.raises(RabbitMQNotInstalled, match="`conda install -c conda-forge rabbitmq"):
        find.find_server()


def test_rabbitmq_without_erlang_is_said_to_be_so(debian: Path) -> None:
    (debian / "usr/bin/erl").unlink()
    with pytest.raises(RabbitMQNotInstalled, match="Erlang it needs"):
        find.find_server()
