"""Where RabbitMQ's server script is on this machine, and the Erlang that goes with it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..core.errors import NodeError, RabbitMQNotInstalled

SERVER_VARIABLE = "AIQUEUE_RABBITMQ_SERVER"

_SCRIPT = "rabbitmq-server"
#: Debian, Ubuntu, Fedora, Arch; Homebrew on Apple silicon, Intel and Linux; the generic archive.
_KNOWN_PLACES = (
    Path("/usr/lib/rabbitmq/bin"),
    Path("/opt/homebrew/opt/rabbitmq/sbin"),
    Path("/usr/local/opt/rabbitmq/sbin"),
    Path("/home/linuxbrew/.linuxbrew/opt/rabbitmq/sbin"),
    Path("/opt/rabbitmq/sbin"),
)
_OS_RELEASE = Path("/etc/os-release")


class Server(NamedTuple):
    """The programs that make up a node."""

    script: Path
    erl: Path
    epmd: Path


def find_server() -> Server:
    """The RabbitMQ of this machine: the named one, the conda environment's, the system's.

    Raises:
        RabbitMQNotInstalled: there is none; the text has the command that installs it.
        NodeError: ``AIQUEUE_RABBITMQ_SERVER`` names something that cannot be run.
    """
    named = os.environ.get(SERVER_VARIABLE)
    if named:
        script = _behind_wrapper(Path(named).expanduser())
        if script is None:
            raise NodeError(
                f"{SERVER_VARIABLE} is {named}, which is not a program that can be run. "
                f"Name the script {_SCRIPT} of a RabbitMQ installation, or unset the variable."
            )
    else:
        script = next(_scripts(), None)
        if script is None:
            raise RabbitMQNotInstalled(
                f"No RabbitMQ server was found on this machine. Install it with `{_command()}`."
                f"{_remark()} If it is somewhere unusual, set {SERVER_VARIABLE} to its "
                f"script {_SCRIPT}."
            )
    erl = _find_erl(script)
    if erl is None:
        raise RabbitMQNotInstalled(
            f"RabbitMQ is at {script}, but the Erlang it needs (the program `erl`) is not on "
            f"this machine. Install both with `{_command()}`."
        )
    epmd = _find_epmd(erl)
    if epmd is None:
        raise RabbitMQNotInstalled(
            f"The Erlang at {erl} has no `epmd`, which RabbitMQ needs. Install a complete one "
            f"with `{_command()}`."
        )
    return Server(script, erl, epmd)


def _scripts() -> Iterator[Path]:
    """Server scripts that may be run by anybody, the preferred one first."""
    folders = [
        prefix / "lib" / "rabbitmq" / folder
        for prefix in _conda_prefixes()
        for folder in ("sbin", "bin")
    ]
    for folder in (*folders, *_KNOWN_PLACES):
        script = _behind_wrapper(folder / _SCRIPT)
        if script is not None:
            yield script
    on_path = shutil.which(_SCRIPT)
    script = _behind_wrapper(Path(on_path)) if on_path else None
    if script is not None:
        yield script


def _conda_prefixes() -> list[Path]:
    """The conda environment of this Python, then the activated one."""
    found = [Path(sys.prefix)] if (Path(sys.prefix) / "conda-meta").is_dir() else []
    if os.environ.get("CONDA_PREFIX"):
        found.append(Path(os.environ["CONDA_PREFIX"]))
    return found


def _behind_wrapper(script: Path) -> Path | None:
    """The script itself, or the one that a package's wrapper would call; None if not runnable.

    Packages put a wrapper on the PATH that changes to the system's RabbitMQ account, or refuses
    other users.
    """
    if not _runnable(script):
        return None
    target = script.resolve()
    if target.name == "rabbitmq-script-wrapper" or _refuses_users(target):
        inner = target.with_name(_SCRIPT)
        return inner if inner != target and _runnable(inner) else None
    return script


def _refuses_users(script: Path) -> bool:
    try:
        return b"Only root or rabbitmq" in script.read_bytes()
    except OSError:
        return False


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def _find_erl(script: Path) -> Path | None:
    """The Erlang of the same installation, else the first on the PATH."""
    for prefix in (*script.parents[:-1], *script.resolve().parents[:-1]):
        for place in (prefix / "opt" / "erlang" / "bin" / "erl", prefix / "bin" / "erl"):
            if _runnable(place):
                return place
    on_path = shutil.which("erl")
    return Path(on_path) if on_path else None


def _find_epmd(erl: Path) -> Path | None:
    beside = [erl.with_name("epmd"), erl.resolve().with_name("epmd")]
    runtime = sorted(erl.resolve().parent.parent.glob("erts-*/bin/epmd"))
    return next((place for place in (*beside, *runtime) if _runnable(place)), None)


def _command() -> str:
    """The one command that installs RabbitMQ here."""
    if _conda_prefixes():
        return "conda install -c conda-forge rabbitmq-server"
    if sys.platform == "darwin":
        return "brew install rabbitmq"
    family = _linux_family()
    if family & {"debian", "ubuntu"}:
        return "sudo apt-get install rabbitmq-server"
    if family & {"fedora", "rhel"}:
        return "sudo dnf install rabbitmq-server"
    if "arch" in family:
        return "sudo pacman -S rabbitmq"
    return "conda install -c conda-forge rabbitmq-server"


def _remark() -> str:
    if "apt-get" in _command():
        return (
            " The system service that it starts is not needed: "
            "`sudo systemctl disable --now rabbitmq-server` stops it."
        )
    return ""


def _linux_family() -> set[str]:
    """ID and ID_LIKE of this distribution."""
    try:
        lines = _OS_RELEASE.read_text().splitlines()
    except OSError:
        return set()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    values = {key: value.strip("\"'") for key, value in pairs}
    return {values.get("ID", ""), *values.get("ID_LIKE", "").split()} - {""}
