"""Which broker, which inbox: explicit argument, environment, configuration file, private node.

The first of these that says something wins. The configuration file is
``jupyter_aiqueue_config.py`` (or ``.json``) on Jupyter's configuration path, with lines like
``c.AIQueue.url = "amqps://alice:…@mq.example.org/lab"``.
"""

from __future__ import annotations

import getpass
import json
import os
import re
import secrets
import ssl
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

import msgspec
from jupyter_core.paths import jupyter_config_path
from traitlets import Float, TraitError, Unicode
from traitlets.config import Config, Configurable
from traitlets.config.loader import (
    ConfigFileNotFound,
    JSONFileConfigLoader,
    PyFileConfigLoader,
)

from . import paths
from .errors import ConfigError, NoBroker
from .job import check_word

URL_VARIABLE = "AIQUEUE_URL"
MANAGEMENT_VARIABLE = "AIQUEUE_MANAGEMENT_URL"
INBOX_VARIABLE = "AIQUEUE_INBOX"

_CONFIG_NAME = "jupyter_aiqueue_config"


class AIQueue(Configurable):
    """Settings shared by magics, command line, server extension and workers."""

    url = Unicode(
        "",
        help="""The broker: amqp[s]://user:password@host:port/vhost. Several nodes of one
        cluster may be given: amqp://user:password@host:port,host:port/vhost, or whole URLs
        separated by spaces. For TLS the query parameters cacertfile,
        certfile, keyfile and verify=verify_none of RabbitMQ's URI specification are known.""",
    ).tag(config=True)
    management_url = Unicode(
        "",
        help="""The management API: http[s]://[user:password@]host:port. Optional. Several nodes
        may be given as in the broker's URL; the first that answers is asked.""",
    ).tag(config=True)
    inbox = Unicode(
        "", help="Name of the inbox that job events go to. Made and kept when empty."
    ).tag(config=True)
    connect_timeout = Float(
        5.0, min=0.1, help="Seconds to wait for the broker before saying that it is away."
    ).tag(config=True)


class TLS(msgspec.Struct, frozen=True):
    """How to check the broker's certificate and which to show; paths of PEM files."""

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify: bool = True

    def context(self) -> ssl.SSLContext:
        """A client context; raises `ConfigError` naming a file that cannot be used."""
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"The TLS files of the broker URL cannot be used: {error}. "
                "Check cacertfile, certfile and keyfile."
            ) from error
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """A broker's address and account. Its repr and `location` hold no password."""

    hosts: tuple[tuple[str, int], ...]
    vhost: str = "/"
    username: str = "guest"
    password: str = "guest"  # noqa: S105  # RabbitMQ's own default
    tls: TLS | None = None
    management_url: str | None = None
    connect_timeout: float = 5.0
    #: Where this came from, for `doctor` and error texts.
    origin: str = "argument"

    @property
    def location(self) -> str:
        """The address without credentials, for people."""
        scheme = "amqps" if self.tls else "amqp"
        hosts = ",".join(_host_port(host, port) for host, port in self.hosts)
        return f"{scheme}://{hosts}/{quote(self.vhost, safe='')}"

    def __repr__(self) -> str:
        return f"<Broker {self.username}@{self.location}>"

    __str__ = __repr__

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """For `rich`, which would print every field, the password among them."""
        return [("username", self.username), ("location", self.location)]


def _host_port(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_url(url: str, **fields: Any) -> Broker:
    """Read the AMQP URLs of one cluster's nodes, as `single_urls` takes them.

    Raises:
        ConfigError: not such a URL. The text does not repeat the URL, which holds a password.
    """
    try:
        parts = [urlsplit(one) for one in single_urls(url)]
        hosts = tuple((p.hostname or "", p.port or _default_port(p.scheme)) for p in parts)
    except ValueError:
        # The parser's own text, which a traceback would show, may quote the URL.
        raise ConfigError(
            "The broker URL cannot be read: its host or port is wrong, or its password holds "
            "characters that must be written as %XX."
        ) from None
    if not parts or any(p.scheme not in ("amqp", "amqps") for p in parts):
        raise ConfigError(
            "The broker URL must look like amqp://user:password@host:5672/vhost or amqps://…."
        )
    if any(not host for host, _ in hosts):
        raise ConfigError("The broker URL names no host.")
    if any("@" in p.path + p.query + p.fragment for p in parts):
        # Else a part of the password would be taken for the virtual host, and shown.
        raise ConfigError(
            "The broker URL cannot be read: in a user name, password or virtual host, write "
            "'/' as %2F, '?' as %3F, '#' as %23 and '@' as %40."
        )
    first = parts[0]
    path = first.path
    options = {key: values[-1] for key, values in parse_qs(first.query).items()}
    tls = None
    if first.scheme == "amqps":
        tls = TLS(
            ca_file=options.get("cacertfile"),
            cert_file=options.get("certfile"),
            key_file=options.get("keyfile"),
            verify=options.get("verify") != "verify_none",
        )
    return Broker(
        hosts=hosts,
        # As RabbitMQ's URI specification says: no path is "/", "/x" is "x".
        vhost=unquote(path[1:]) if len(path) > 1 else "/",
        username=unquote(first.username or "guest"),
        password=unquote(first.password or "guest"),
        tls=tls,
        **fields,
    )


def single_urls(text: str) -> list[str]:
    """One URL per node of ``text``: URLs separated by spaces, each with one or more hosts.

    ``http://me:secret@one:15672,two:15672`` names two nodes.
    """
    found = []
    for url in text.split():
        scheme, mark, rest = url.partition("://")
        end = next((at for at, letter in enumerate(rest) if letter in "/?#"), len(rest))
        login, at_sign, hosts = rest[:end].rpartition("@")
        found += [f"{scheme}{mark}{login}{at_sign}{one}{rest[end:]}" for one in hosts.split(",")]
    return found


def _default_port(scheme: str) -> int:
    return 5671 if scheme == "amqps" else 5672


def find_broker(url: str | None = None, management_url: str | None = None) -> Broker:
    """The broker to use, by the order of this module's first line.

    Raises:
        NoBroker: nothing is configured and no private node is running.
        ConfigError: what is configured cannot be read.
    """
    settings = load_settings()
    management = management_url or os.environ.get(MANAGEMENT_VARIABLE) or settings.management_url
    fields: dict[str, Any] = {"connect_timeout": settings.connect_timeout}
    for text, origin in (
        (url, "argument"),
        (os.environ.get(URL_VARIABLE), URL_VARIABLE),
        (settings.url, "configuration file"),
    ):
        if text:
            return parse_url(text, origin=origin, management_url=management or None, **fields)
    file = paths.connection_file()
    try:
        content = json.loads(file.read_text())
        return parse_url(
            content["url"],
            origin="private node",
            management_url=management or content.get("management_url"),
            **fields,
        )
    except FileNotFoundError:
        raise NoBroker(
            "No broker is configured and no private node is running. Start one with "
            f"`jupyter aiqueue up`, or set {URL_VARIABLE} to your group's broker."
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"The private node's connection file {file} cannot be read "
            f"({type(error).__name__}). Run `jupyter aiqueue down` and `jupyter aiqueue up`."
        ) from error


def find_inbox(inbox: str | None = None) -> str:
    """The inbox to use: argument, environment, configuration file, or one made and kept."""
    name = inbox or os.environ.get(INBOX_VARIABLE) or load_settings().inbox
    return check_word("inbox", name) if name else _own_inbox()


def _own_inbox() -> str:
    """A name of this user's data directory, made once: containers share host and user names."""
    file = paths.data_dir() / "inbox"
    name = f"{re.sub(r'[^A-Za-z0-9_-]', '-', _user_name())[:40]}-{secrets.token_hex(4)}"
    try:
        kept = paths.keep_private(file, name + "\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The name of your inbox cannot be kept in {file} ({error}). "
            f"Set {INBOX_VARIABLE} to a name of your own."
        ) from error
    return check_word("inbox", kept.strip())


def _user_name() -> str:
    try:
        return os.environ.get("JUPYTERHUB_USER") or getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "jupyter"  # containers may run under a user id without a name


def load_settings() -> AIQueue:
    """The settings of the configuration files on Jupyter's path; nearer files win."""
    stamps = tuple(_stamp(file) for file in _config_files())
    try:
        return AIQueue(config=_load(stamps))
    except TraitError as error:
        # The text of the error shows the value, which may be a URL.
        name = getattr(error, "args", ("",))[0]
        named = next((trait for trait in AIQueue.class_trait_names() if f"'{trait}'" in name), "?")
        raise ConfigError(
            f"The setting c.AIQueue.{named} in {_CONFIG_NAME} has a wrong type or value."
        ) from None


def _config_files() -> list[Path]:
    return [
        Path(folder) / f"{_CONFIG_NAME}{ending}"
        for folder in reversed(jupyter_config_path())
        for ending in (".json", ".py")
    ]


def _stamp(file: Path) -> tuple[str, int]:
    try:
        return str(file), file.stat().st_mtime_ns
    except OSError:
        return str(file), 0


@lru_cache(maxsize=1)
def _load(stamps: tuple[tuple[str, int], ...]) -> Config:
    merged = Config()
    for name, changed in stamps:
        if not changed:
            continue
        file = Path(name)
        loader: Any = (
            JSONFileConfigLoader(file.name, str(file.parent))
            if file.suffix == ".json"
            else PyFileConfigLoader(file.name, str(file.parent))
        )
        try:
            merged.merge(loader.load_config())
        except ConfigFileNotFound:
            continue
        except Exception as error:
            line = getattr(error, "lineno", None)
            where = f" in line {line}" if line else ""
            # Not chained: a traceback would show the line, which may hold a password.
            raise ConfigError(
                f"The configuration file {file} cannot be read: {type(error).__name__}{where}."
            ) from None
    return merged
