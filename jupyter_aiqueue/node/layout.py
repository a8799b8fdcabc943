"""The files and ports of a private node.

A node's folder holds account, cookie and locks, and in a folder of its own what RabbitMQ writes
and is told (messages, log, configuration).
Source for settings and variables: https://www.rabbitmq.com/docs/configure
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import socket
import sys
from collections.abc import Collection, Iterable
from datetime import datetime, timezone
from pathlib import Path
from urllib.parse import quote

import msgspec
import psutil

from ..core.paths import write_private
from .find import Server
from .record import Ports

VHOST = "aiqueue"

#: Starts with other ports when another program takes one between our look and RabbitMQ's start.
PORT_TRIES = 4

#: Below the range that systems hand out to outgoing connections (32768 on Linux).
_PORT_RANGE = range(20_000, 32_000)
#: A run may hold a delivery for days; the default of 30 minutes would take it away.
_CONSUMER_TIMEOUT_MS = 7 * 24 * 3600 * 1000
#: Messages on their way back from retry and lease queues that found no way while the node was
#: starting are sent on again after this; the default is three minutes.
_DEAD_LETTERING_TIMEOUT_MS = 10_000
_DISK_FREE_LIMIT = 200_000_000
_MEMORY_LIMIT = 1_000_000_000
#: Default 512 MB, kept in memory as well; a private node sees a few messages per second.
_WAL_SIZE = 32_000_000
_LOG_SIZE = 10_000_000
#: Erlang starts one scheduler per core; a queue for one person needs few.
_MAX_SCHEDULERS = 4


class Account(msgspec.Struct, frozen=True):
    """The one account of a private node."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"<Account {self.username}>"


class Layout:
    """Where things are below ``root``."""

    def __init__(self, root: Path, member: str = "aiqueue") -> None:
        # Processes are recognised by these paths, so there may be only one spelling.
        self.root = root.expanduser().resolve()
        self.node_name = f"{member}@localhost"
        self.lock = self.root / "up.lock"
        self.in_use = self.root / "in-use.lock"
        #: The last node that answered here; stays after `down`.
        self.record = self.root / "node.json"
        self.account_file = self.root / "account.json"
        #: Home directory of all processes, by which they are known; holds the cookie.
        self.home = self.root / "home"
        self.cookie_file = self.home / ".erlang.cookie"
        #: The same under the names that a cluster has for its several ones.
        self.homes: tuple[Path, ...] = (self.home,)
        self.data_locks: tuple[Path, ...] = (self.in_use,)
        self.member = self.root / member
        self.data = self.member / "data"
        self.logs = self.member / "log"
        #: What the server script and the Erlang machine print.
        self.start_log = self.logs / "start.log"
        self.epmd_log = self.logs / "epmd.log"
        self.server_log = self.logs / "rabbitmq.log"
        self.config = self.member / "rabbitmq.conf"
        self.plugins = self.member / "enabled_plugins"
        self.definitions = self.member / "definitions.json"

    def make_folders(self) -> None:
        """Make the folders, closed to others."""
        for folder in (self.root, self.home, self.member, self.logs):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.root.chmod(0o700)

    def account(self) -> Account:
        """The account, made at the first call and kept."""
        try:
            return msgspec.json.decode(self.account_file.read_bytes(), type=Account)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            pass  # A new password is as good: the definitions set it at each start.
        account = Account(username="aiqueue", password=secrets.token_urlsafe(24))
        write_private(self.account_file, msgspec.json.encode(account).decode())
        return account

    def write_files(self, ports: Ports, account: Account) -> None:
        """Write configuration, definitions, plugin list and cookie."""
        write_private(self.config, self.configuration(ports))
        write_private(self.definitions, json.dumps(definitions(account)))
        write_private(self.plugins, "[rabbitmq_management].\n")
        if not self.cookie():
            write_private(self.cookie_file, secrets.token_hex(32))
        self.cookie_file.chmod(0o400)

    def cookie(self) -> str:
        """The secret that lets Erlang nodes talk to each other; empty when there is none."""
        try:
            return self.cookie_file.read_text()
        except OSError:
            return ""

    def configuration(self, ports: Ports) -> str:
        """What the node is told by its ``rabbitmq.conf``."""
        memory = min(_MEMORY_LIMIT, psutil.virtual_memory().total * 4 // 10)
        settings = {
            "listeners.tcp.1": f"127.0.0.1:{ports.amqp}",
            "management.tcp.ip": "127.0.0.1",
            "management.tcp.port": ports.management,
            "load_definitions": self.definitions,
            "consumer_timeout": _CONSUMER_TIMEOUT_MS,
            "disk_free_limit.absolute": _DISK_FREE_LIMIT,
            "vm_memory_high_watermark.absolute": memory,
            "raft.wal_max_size_bytes": _WAL_SIZE,
            "log.console": "false",
            "log.file": self.server_log.name,
            "log.file.level": "info",
            "log.file.rotation.size": _LOG_SIZE,
            "log.file.rotation.count": 3,
        }
        return "".join(f"{key} = {value}\n" for key, value in settings.items())

    def environment(self, server: Server, ports: Ports) -> dict[str, str]:
        """A clean environment: RabbitMQ reads even ``CONFIG_FILE`` of the caller's."""
        folders = [server.erl.parent, server.script.parent, "/usr/bin", "/bin", "/usr/sbin"]
        return {
            "PATH": os.pathsep.join([*map(str, folders), os.environ.get("PATH", "")]),
            "HOME": str(self.home),
            # Erlang decodes file names by it.
            "LC_ALL": "en_US.UTF-8" if sys.platform == "darwin" else "C.UTF-8",
            "ERL_EPMD_PORT": str(ports.epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP": str(self.logs / "erl_crash.dump"),
            "RABBITMQ_NODENAME": self.node_name,
            "RABBITMQ_DIST_PORT": str(ports.distribution),
            "RABBITMQ_MNESIA_BASE": str(self.data),
            "RABBITMQ_LOG_BASE": str(self.logs),
            "RABBITMQ_CONFIG_FILE": str(self.config),
            "RABBITMQ_ADVANCED_CONFIG_FILE": os.devnull,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.plugins),
            # Makes the script become the Erlang machine instead of its parent.
            "RABBITMQ_ALLOW_INPUT": "1",
        }

    def command(self, server: Server) -> list[str]:
        """The server script and what it hands on to Erlang."""
        schedulers = min(_MAX_SCHEDULERS, os.cpu_count() or 1)
        return [
            str(server.script),
            "-noinput",
            *("+S", f"{schedulers}:{schedulers}"),
            # Without this the distribution port listens on all interfaces, guarded by the
            # cookie only.
            *("-kernel", "inet_dist_use_interface", "{127,0,0,1}"),
            # There is no key for it in rabbitmq.conf.
            "-rabbit",
            "dead_letter_worker_publisher_confirm_timeout",
            str(_DEAD_LETTERING_TIMEOUT_MS),
        ]

    def urls(self, ports: Ports, account: Account) -> tuple[str, str]:
        """The AMQP and the management URL, with credentials."""
        return urls([ports], account)

    def put_aside(self) -> Path:
        """Move the member's data out of the way, keeping it; returns where it is now."""
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        target = self.root.with_name(f"{self.root.name}.broken-{stamp}")
        number = 1
        while target.exists():
            number += 1
            target = self.root.with_name(f"{self.root.name}.broken-{stamp}-{number}")
        self.data.rename(target)
        return target


def urls(members: Iterable[Ports], account: Account) -> tuple[str, str]:
    """The AMQP and the management URL of nodes that belong together, with credentials."""
    login = f"{quote(account.username, safe='')}:{quote(account.password, safe='')}"
    members = list(members)
    amqp = ",".join(f"127.0.0.1:{ports.amqp}" for ports in members)
    management = ",".join(f"127.0.0.1:{ports.management}" for ports in members)
    return f"amqp://{login}@{amqp}/{VHOST}", f"http://{login}@{management}"


def definitions(account: Account) -> dict[str, object]:
    """What the node imports when it starts: the account (hashed) and the virtual host."""
    return {
        "users": [
            {
                "name": account.username,
                "password_hash": password_hash(account.password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator",
            }
        ],
        "vhosts": [{"name": VHOST}],
        "permissions": [
            {
                "user": account.username,
                "vhost": VHOST,
                "configure": ".*",
                "write": ".*",
                "read": ".*",
            }
        ],
    }


def password_hash(password: str, salt: bytes | None = None) -> str:
    """RabbitMQ's salted SHA-256 (https://www.rabbitmq.com/docs/passwords)."""
    salt = secrets.token_bytes(4) if salt is None else salt
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def choose_ports(preferred: Ports | None = None, taken: Collection[int] = ()) -> Ports:
    """Four free loopback ports not in ``taken``, the preferred ones where they are free."""
    chosen: list[int] = []
    taken = set(taken)
    for wish in msgspec.structs.astuple(preferred) if preferred else (None,) * 4:
        port = wish if wish is not None else secrets.choice(_PORT_RANGE)
        while port in taken or not is_free(port):
            port = secrets.choice(_PORT_RANGE)
        chosen.append(port)
        taken.add(port)
    return Ports(*chosen)


def is_free(port: int) -> bool:
    """Whether a server could listen on the loopback ``port`` now."""
    with socket.socket() as probe:
        # As servers do: connections of the last one that linger do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
