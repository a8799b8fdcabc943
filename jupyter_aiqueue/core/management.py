"""The management HTTP API: what AMQP does not tell about a queue or the broker.

Asked for single queues with ``columns``, never for lists, which cost the broker a hundred
times more (https://www.rabbitmq.com/docs/monitoring). Its numbers are up to ten seconds old
by nature; `AGE_S` says so. For a look at everything, now and then, there is `inventory`.
"""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import msgspec
import requests

from .config import Broker, single_urls
from .errors import ManagementUnavailable

#: Seconds that the broker's statistics lag behind, on average (it collects every 5 s).
AGE_S = 5.0

_COLUMNS = "messages_ready,messages_unacknowledged,consumers,message_stats"


class MayNotSee(ManagementUnavailable):
    """This account's tags do not open this part of the API."""


class QueueStats(msgspec.Struct, frozen=True):
    """What the API says about one queue; None where it says nothing."""

    ready: int | None = None
    unacknowledged: int | None = None
    consumers: int | None = None
    #: Messages per second.
    publish_rate: float | None = None
    ack_rate: float | None = None


class Overview(msgspec.Struct, frozen=True):
    """What the API says about the broker."""

    version: str | None = None
    #: Statistics are switched off on this broker: counts are not to be had here.
    stats_disabled: bool = False
    #: Rates are kept: a queue without one has had no traffic. (Some brokers keep none.)
    keeps_rates: bool = False


class Room(msgspec.Struct, frozen=True):
    """What is left before publishers are blocked, at the node that is worst off; None: unknown."""

    #: Memory in use, as a share of its limit.
    memory: float | None = None
    #: Bytes free on the disk.
    disk_free: int | None = None


class Management:
    """A client of one broker's management API; of a cluster, that of any node that answers."""

    def __init__(self, broker: Broker, *, timeout: float | None = None) -> None:
        if not broker.management_url:
            raise ManagementUnavailable(
                "No management API is configured (AIQUEUE_MANAGEMENT_URL); rates and alarms "
                "stay unknown."
            )
        try:
            parts = [urlsplit(url) for url in single_urls(broker.management_url)]
            self._locations = [_location(one) for one in parts]
        except ValueError:  # its text may quote the password
            self._locations = []
        if not self._locations or not all(self._locations):
            raise ManagementUnavailable(
                "The URL of the management API must look like http[s]://host:15672 "
                "(AIQUEUE_MANAGEMENT_URL)."
            )
        login = parts[0]
        #: The virtual host, as it is written in a path.
        self.vhost_path = quote(broker.vhost, safe="")
        self._timeout = timeout or broker.connect_timeout
        self._session = requests.Session()
        self._session.trust_env = False  # ~/.netrc must not replace the account
        self._session.auth = (
            (unquote(login.username), unquote(login.password or ""))
            if login.username
            else (broker.username, broker.password)
        )
        self.user = self._session.auth[0]
        if broker.tls is not None:
            self._session.verify = broker.tls.verify and (broker.tls.ca_file or True)
        #: Seconds that the broker's clock is ahead of ours, to a second or so; None when it has
        #: not answered yet.
        self.clock_ahead: float | None = None

    @property
    def location(self) -> str:
        """The address without credentials; of several nodes, the one that is asked now."""
        return self._locations[0]

    def overview(self) -> Overview:
        """The broker's version and whether it collects statistics."""
        found = self.get("/api/overview", columns="rabbitmq_version,disable_stats,rates_mode")
        return Overview(
            version=found.get("rabbitmq_version"),
            stats_disabled=bool(found.get("disable_stats")),
            keeps_rates=found.get("rates_mode") in ("basic", "detailed"),
        )

    def queue(self, name: str) -> QueueStats:
        """Counts and rates of one queue."""
        path = f"/api/queues/{self.vhost_path}/{quote(name, safe='')}"
        response = self.request("GET", path, params={"columns": _COLUMNS})
        if response.status_code == 404:
            raise ManagementUnavailable(f"There is no such queue at {self.location}.")
        self.check(response)
        found = json_object(response)
        stats = found.get("message_stats") or {}

        def rate(key: str) -> float | None:
            value = (stats.get(f"{key}_details") or {}).get("rate")
            return None if value is None else float(value)

        return QueueStats(
            ready=found.get("messages_ready"),
            unacknowledged=found.get("messages_unacknowledged"),
            consumers=found.get("consumers"),
            publish_rate=rate("publish"),
            ack_rate=rate("ack"),
        )

    def empty_queues(self, prefix: str) -> list[str]:
        """Names of up to 500 queues that begin with ``prefix`` and hold nothing at all.

        Also nothing that is on its way to where it is dead-lettered: a passive declare does not
        count that.
        """
        found = self.get(
            f"/api/queues/{self.vhost_path}",
            name=f"^{re.escape(prefix)}",
            use_regex="true",
            columns="name,messages",
            page="1",
            page_size="500",
        )
        # A queue that the statistics do not know yet has no count.
        return [item["name"] for item in found.get("items", ()) if item.get("messages") == 0]

    def alarms(self) -> str:
        """``none``, or the sentence of the alarm that blocks publishers."""
        response = self.request("GET", "/api/health/checks/alarms")
        if response.status_code == 503:
            found = json_object(response)
            told = found.get("alarms")
            each = [_alarm(one) for one in told] if isinstance(told, list) else []
            return ", ".join(each) or str(found.get("reason") or "an alarm is in effect")
        self.check(response)
        return "none"

    def room(self) -> Room:
        """Memory and disk of the nodes. Raises `MayNotSee` without the tag `monitoring`."""
        response = self.request(
            "GET", "/api/nodes", params={"columns": "mem_used,mem_limit,disk_free"}
        )
        self.check(response)
        nodes = [node for node in json_list(response) if isinstance(node, dict)]
        memory = [
            node["mem_used"] / node["mem_limit"]
            for node in nodes
            if node.get("mem_limit") and node.get("mem_used") is not None
        ]
        free = [node["disk_free"] for node in nodes if isinstance(node.get("disk_free"), int)]
        return Room(memory=max(memory, default=None), disk_free=min(free, default=None))

    def set_policy(
        self, name: str, pattern: str, definition: dict[str, Any], *, priority: int = 0
    ) -> None:
        """Set a policy for queues whose name matches ``pattern``."""
        response = self.request(
            "PUT",
            f"/api/policies/{self.vhost_path}/{quote(name, safe='')}",
            json={
                "pattern": pattern,
                "definition": definition,
                "priority": priority,
                "apply-to": "queues",
            },
        )
        self.check(response)

    def close(self) -> None:
        """Close the HTTP connections."""
        self._session.close()

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """One object of the API. Raises `ManagementUnavailable`."""
        response = self.request("GET", path, params=query)
        self.check(response)
        return json_object(response)

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask, whatever the answer is. Raises `ManagementUnavailable` when there is none."""
        for _ in self._locations[1:]:
            try:
                return self._ask(method, path, options)
            except ManagementUnavailable:
                # The next node, from now on.
                self._locations.append(self._locations.pop(0))
        return self._ask(method, path, options)

    def _ask(self, method: str, path: str, options: dict[str, Any]) -> requests.Response:
        asked = time.time()
        try:
            response = self._session.request(
                method,
                self.location + path,
                timeout=self._timeout,
                allow_redirects=False,
                **options,
            )
        except requests.exceptions.SSLError as error:
            raise ManagementUnavailable(
                f"TLS with the management API at {self.location} failed. Check its URL and the "
                "certificate authority."
            ) from error
        except (requests.exceptions.RequestException, ValueError) as error:
            raise ManagementUnavailable(
                f"The management API at {self.location} does not answer. Is the plugin on "
                "(`rabbitmq-plugins enable rabbitmq_management`) and the port right?"
            ) from error
        self.clock_ahead = _clock_ahead(response, (asked + time.time()) / 2)
        return response

    def check(self, response: requests.Response) -> None:
        """Raise `ManagementUnavailable` for an answer that is a refusal."""
        code = response.status_code
        if code in (200, 201, 204):
            return
        if code == 401:
            raise MayNotSee(
                f"The management API at {self.location} refuses user {self.user!r}: wrong "
                "password, or the account lacks the tag `management` "
                "(`rabbitmqctl set_user_tags`)."
            )
        if code == 404:
            raise ManagementUnavailable(
                f"The management API at {self.location} does not know what was asked for, or "
                "this is not a management API."
            )
        reason = re.sub(r"\s+", " ", str(json_object(response).get("reason") or ""))[:200]
        raise ManagementUnavailable(
            f"The management API at {self.location} answered {code}"
            + (f": {reason.rstrip('.')}." if reason else ".")
        )


def _location(parts: SplitResult) -> str:
    """The address without credentials; nothing if it is none of a management API."""
    host, port = parts.hostname, parts.port
    if not host or parts.scheme not in ("http", "https"):
        return ""
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))


def _alarm(told: Any) -> str:
    if not isinstance(told, dict):
        return "an alarm"
    return f"{told.get('resource') or 'an'} alarm on {told.get('node') or 'a node'}"


def _clock_ahead(response: requests.Response, at: float) -> float | None:
    """What the answer's date says, at our time ``at``; whole seconds are halved in the mean."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).timestamp() + 0.5 - at
    except (KeyError, ValueError, TypeError):
        return None


def json_object(response: requests.Response) -> dict[str, Any]:
    """The answer, or nothing when it is no JSON object."""
    try:
        found = response.json()
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def json_list(response: requests.Response) -> list[Any]:
    """The answer, or nothing when it is no JSON list."""
    try:
        found = response.json()
    except ValueError:
        return []
    return found if isinstance(found, list) else []
