"""The way to the broker: address, hosts, TLS, version, management API."""

from __future__ import annotations

import ipaddress
import shlex
import socket
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from urllib.parse import urlsplit

import msgspec

from ..config import Broker
from ..errors import AIQueueError, ManagementUnavailable
from ..transport import connect
from ..versions import band
from .case import Case, Unseen
from .finding import ERROR, NOTE, OK, WARNING, Finding, of_error

#: Days before the end of a certificate when its renewal is asked for.
_RENEW_WITHIN = 21

_DAY = 24 * 3600


def address(case: Case) -> Iterator[Finding]:
    """Which broker, as whom, and whether others can listen."""
    broker = case.broker
    yield Finding(OK, f"Broker {broker.location}, user {broker.username} (from {broker.origin}).")
    if broker.tls is None and not is_local(broker):
        yield Finding(
            WARNING,
            "The connection is not encrypted: the password and all configs can be read on the way.",
            "Use an amqps:// URL; ask the broker's operator for its port.",
            "export AIQUEUE_URL=amqps://USER:PASSWORD@HOST:5671/VHOST",
        )
    if broker.tls is not None and not broker.tls.verify:
        yield Finding(
            WARNING,
            "The broker's certificate is not checked (verify=verify_none): anybody on the way can "
            "pretend to be the broker.",
            "Name the certificate authority with cacertfile=… in the URL instead.",
            "export AIQUEUE_URL='amqps://USER:PASSWORD@HOST:5671/VHOST?cacertfile=/PATH/ca.pem'",
        )


def hosts(case: Case) -> Iterator[Finding]:
    """Connect; of a cluster, see which nodes answer."""
    session = case.session
    yield Finding(OK, f"Connected, and user {case.broker.username} may use the virtual host.")
    all_hosts = session.broker.hosts
    if len(all_hosts) < 2:
        return
    with ThreadPoolExecutor(len(all_hosts)) as threads:
        troubles = list(threads.map(lambda host: _trouble_with(session.broker, host), all_hosts))
    away = [error for error in troubles if error is not None]
    if not away:
        yield Finding(OK, f"All {len(all_hosts)} hosts of the broker URL answer.")
    for error in away:
        yield msgspec.structs.replace(
            of_error(error, WARNING),
            command="rabbitmqctl cluster_status",
        )


def _trouble_with(broker: Broker, host: tuple[str, int]) -> AIQueueError | None:
    try:
        connect(msgspec.structs.replace(broker, hosts=(host,)), "jupyter_aiqueue doctor").close()
    except AIQueueError as error:
        return error
    return None


def certificate(case: Case) -> Iterator[Finding]:
    """How long the broker's certificate is good for."""
    broker = case.broker
    if broker.tls is None:
        return
    if not broker.tls.verify:
        yield Finding(
            NOTE, "When the broker's certificate ends was not looked at: it is unchecked."
        )
        return
    for host, port in broker.hosts:
        try:
            end = _certificate_end(broker, host, port)
        except (OSError, ValueError):
            continue  # that it does not answer, or not so, is said by `hosts`
        days = (end - datetime.now(timezone.utc)).total_seconds() / _DAY
        until = f"The certificate of {host} is good until {end:%Y-%m-%d}"
        if days > _RENEW_WITHIN:
            yield Finding(OK, f"{until}.")
        else:
            yield Finding(
                WARNING,
                f"{until}: {max(0, int(days))} more days. Then nobody can connect.",
                "The broker's operator has to renew it.",
            )


def _certificate_end(broker: Broker, host: str, port: int) -> datetime:
    assert broker.tls is not None
    with (
        socket.create_connection((host, port), timeout=broker.connect_timeout) as plain,
        broker.tls.context().wrap_socket(plain, server_hostname=host) as speaking,
    ):
        found = speaking.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(found["notAfter"])), timezone.utc)


def version(case: Case) -> Iterator[Finding]:
    """What the broker's version means."""
    number = case.session.version
    found = band(number)
    if not found.supported:
        yield Finding(
            ERROR,
            f"RabbitMQ {number} is too old. {' '.join(found.matters)}",
            "Its operator has to upgrade it.",
        )
        return
    yield Finding(
        OK if found.known else NOTE,
        f"RabbitMQ {number or 'of an unknown version'}. {' '.join(found.matters)}",
    )


def management(case: Case) -> Iterator[Finding]:
    """Whether the management API can be used."""
    broker = case.broker
    if not broker.management_url:
        yield Finding(
            NOTE,
            "No management API is configured; rates, alarms and policies stay unknown.",
            "Name it if the broker has one.",
            "export AIQUEUE_MANAGEMENT_URL=https://HOST:15671",
        )
    elif urlsplit(broker.management_url).scheme == "http" and not is_local_host(
        urlsplit(broker.management_url).hostname or ""
    ):
        yield Finding(
            WARNING,
            "The management API is asked without encryption: the password can be read on the way.",
            "Ask the broker's operator for its https:// URL.",
            "export AIQUEUE_MANAGEMENT_URL=https://HOST:15671",
        )
    try:
        api = case.management
    except Unseen:
        yield Finding(
            NOTE,
            f"The management API does not let user {broker.username} in; rates, alarms and "
            "policies stay unknown.",
            "Workers need it not. For a notebook's account, the operator sets a tag:",
            f"rabbitmqctl set_user_tags {shlex.quote(broker.username)} management",
        )
        return
    except ManagementUnavailable as error:
        if broker.management_url:
            yield of_error(error, WARNING)
        return
    if api.overview().stats_disabled:
        yield Finding(
            NOTE,
            "The management API answers, but the broker's statistics are switched off; rates stay "
            "unknown.",
            "The operator may set `management_agent.disable_metrics_collector = false`.",
        )
    else:
        yield Finding(OK, f"The management API at {api.location} answers.")


def is_local(broker: Broker) -> bool:
    """Whether the broker is on this machine, by its address."""
    return all(is_local_host(host) for host, _ in broker.hosts)


def is_local_host(host: str) -> bool:
    """Whether ``host`` is this machine's loopback."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
