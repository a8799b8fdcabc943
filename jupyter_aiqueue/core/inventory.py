"""What is on a broker: lists of the management API, for a look at everything now and then.

Lists cost the broker as much as a hundred questions about single queues, so nothing that
repeats itself asks for them (`management`).
"""

from __future__ import annotations

from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import requests

from .errors import ManagementUnavailable
from .management import Management, MayNotSee, json_object

#: Queues of a page of a list, the most that the API gives; and pages that are asked for at most.
_PAGE, _PAGES = 500, 20

T = TypeVar("T")


class QueueInfo(msgspec.Struct, frozen=True):
    """One queue of a list: what it is, and where its copies are."""

    name: str
    type: str = "classic"
    durable: bool = True
    arguments: dict[str, Any] = {}
    #: Names of the nodes that hold a copy (quorum queues and streams), and of those that are up.
    members: tuple[str, ...] = ()
    online: tuple[str, ...] = ()


class ExchangeInfo(msgspec.Struct, frozen=True):
    """One exchange."""

    type: str
    durable: bool = True
    arguments: dict[str, Any] = {}


class Binding(msgspec.Struct, frozen=True):
    """What a queue receives from an exchange (``source``; empty for the default exchange)."""

    source: str
    routing_key: str
    arguments: dict[str, Any] = {}


class Policy(msgspec.Struct, frozen=True, rename="kebab"):
    """A policy, or an operator's policy, which limits what the others say."""

    name: str
    pattern: str
    definition: dict[str, Any]
    priority: int = 0
    apply_to: str = "all"


class ClusterNode(msgspec.Struct, frozen=True):
    """One node of the cluster; bytes, and counts of open files. None where it does not say."""

    name: str
    running: bool = True
    mem_alarm: bool | None = None
    disk_free_alarm: bool | None = None
    disk_free: int | None = None
    disk_free_limit: int | None = None
    fd_used: int | None = None
    fd_total: int | None = None


class Inventory(Management):
    """A client of the management API that also asks for lists."""

    def queues(self, pattern: str) -> list[QueueInfo]:
        """The queues whose name matches ``pattern``. Costs the broker more than single ones."""
        found: list[QueueInfo] = []
        for page in range(1, _PAGES + 1):
            answer = self.get(
                f"/api/queues/{self.vhost_path}",
                name=pattern,
                use_regex="true",
                page=str(page),
                page_size=str(_PAGE),
                columns="name,type,durable,arguments,members,online",
            )
            found += self._convert(answer.get("items"), list[QueueInfo])
            if page >= int(answer.get("page_count") or 0):
                break
        return found

    def exchange(self, name: str) -> ExchangeInfo | None:
        """One exchange; None when there is none of that name."""
        path = f"/api/exchanges/{self.vhost_path}/{quote(name, safe='')}"
        response = self.request("GET", path)
        if response.status_code == 404:
            return None
        self.check(response)
        return self._convert(json_object(response), ExchangeInfo)

    def bindings(self, queue: str) -> list[Binding]:
        """What a queue is bound to; nothing when it is not there."""
        path = f"/api/queues/{self.vhost_path}/{quote(queue, safe='')}/bindings"
        response = self.request("GET", path)
        if response.status_code == 404:
            return []
        return self._list(response, Binding)

    def policies(self, *, operator: bool = False) -> list[Policy]:
        """The policies of the virtual host, or those of the operator. Raises `MayNotSee`."""
        kind = "operator-policies" if operator else "policies"
        return self._list(self.request("GET", f"/api/{kind}/{self.vhost_path}"), Policy)

    def nodes(self) -> list[ClusterNode]:
        """The nodes of the cluster. Raises `MayNotSee` without the tag ``monitoring``."""
        columns = {"columns": ",".join(ClusterNode.__struct_fields__)}
        return self._list(self.request("GET", "/api/nodes", params=columns), ClusterNode)

    def tags(self) -> tuple[str, ...]:
        """The tags of this account."""
        tags = self.get("/api/whoami").get("tags") or ()
        # Brokers before 3.9 sent one string.
        return tuple(tags.split(",") if isinstance(tags, str) else map(str, tags))

    def permissions(self, user: str) -> tuple[str, str, str] | None:
        """The patterns of an account: configure, write, read; None when it has none.

        Raises:
            MayNotSee: only administrators may see them.
        """
        path = f"/api/permissions/{self.vhost_path}/{quote(user, safe='')}"
        response = self.request("GET", path)
        if response.status_code == 404:
            return None
        self._see(response)
        found = json_object(response)
        return str(found.get("configure")), str(found.get("write")), str(found.get("read"))

    def _list(self, response: requests.Response, of: type[T]) -> list[T]:
        self._see(response)
        try:
            return self._convert(response.json(), list[of])  # type: ignore[valid-type]
        except ValueError:
            return self._convert(None, list[of])  # type: ignore[valid-type]

    def _see(self, response: requests.Response) -> None:
        """Like `_check`, where an account that is known may lack a tag."""
        if response.status_code in (401, 403):
            raise MayNotSee(
                f"The management API at {self.location} does not show this to user "
                f"{self.user!r}. It takes another tag (`rabbitmqctl set_user_tags`)."
            )
        self.check(response)

    def _convert(self, found: Any, kind: type[T]) -> T:
        try:
            return msgspec.convert(found, kind, strict=False)
        except msgspec.ValidationError as error:
            raise ManagementUnavailable(
                f"The management API at {self.location} answers in a way that is not known here. "
                "Check its URL and the broker's version."
            ) from error
