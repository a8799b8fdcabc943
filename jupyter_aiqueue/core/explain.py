"""What a failure of the client library (pika) means for a person, as an error of ours."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import Any

from pika import exceptions as px

from .config import Broker
from .errors import (
    AccessRefused,
    BrokerBlocked,
    BrokerError,
    BrokerUnreachable,
    NotProvisioned,
    PermissionRefused,
    TLSFailed,
)


class TookTooLong(px.AMQPConnectionError):  # type: ignore[misc]  # pika is untyped
    """Our own reason for ending a connection."""


def explain(error: BaseException, broker: Broker, what: str | None = None) -> BrokerError:
    """The error of ours that says what ``error`` means for a person."""
    where = broker.location
    doing = f" while {what}" if what else ""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, px.ConnectionBlockedTimeout):
            return BrokerBlocked(
                f"The broker at {where} takes no messages now: a memory or disk alarm. "
                "Its operator has to free memory or disk."
            )
        if isinstance(cause, (px.ChannelClosedByBroker, px.ConnectionClosedByBroker)):
            return _explain_refusal(cause.reply_code, cause.reply_text, broker, doing)
        if isinstance(cause, (px.ProbableAuthenticationError, px.AuthenticationError)):
            return _explain_refusal(403, "ACCESS_REFUSED - Login was refused", broker, doing)
        if isinstance(cause, px.ProbableAccessDeniedError):
            return _explain_refusal(530, str(cause), broker, doing)
    for cause in causes:
        if isinstance(cause, px.ShortStringTooLong):
            return BrokerError(f"A name is longer than the 255 bytes that AMQP allows{doing}.")
        if isinstance(cause, ssl.SSLError):
            reason = (
                cause.verify_message
                if isinstance(cause, ssl.SSLCertVerificationError)
                else (cause.reason or "handshake failed")
            )
            return TLSFailed(
                f"TLS with {where} failed: {reason}. Check amqp:// against amqps://, the port, "
                "and the certificate authority (cacertfile)."
            )
        if isinstance(cause, px.IncompatibleProtocolError):
            return TLSFailed(
                f"What answers at {where} does not speak AMQP in this way. "
                "Check the port, and amqp:// against amqps://."
            )
        if isinstance(cause, socket.gaierror):
            return BrokerUnreachable(f"The host of {where} is not known. Check its name.")
        if isinstance(cause, ConnectionRefusedError):
            return BrokerUnreachable(
                f"Nothing listens at {where}. Is the broker running? For a private node: "
                "`jupyter aiqueue up`."
            )
    if any(isinstance(c, (TookTooLong, TimeoutError, socket.timeout)) for c in causes) or any(
        "timeout" in type(c).__name__.lower() for c in causes
    ):
        hint = "" if what else " Check the host and the port (not that of the management API)."
        return BrokerUnreachable(f"The broker at {where} does not answer{doing}.{hint}")
    return BrokerUnreachable(f"The connection to {where} was lost{doing}.")


def _explain_refusal(code: int, text: str, broker: Broker, doing: str) -> BrokerError:
    where, user = broker.location, broker.username
    if "PRECONDITION_FAILED" in text and "delivery acknowledgement" in text:
        return BrokerUnreachable(f"The broker's consumer timeout passed{doing}.")
    if code == 404:
        missing = _quoted(text).removeprefix("no ")
        return NotProvisioned(
            f"There is no {missing} at {where}{doing}. If it is one of ours, the "
            "broker's operator has to run `jupyter aiqueue provision`."
        )
    if code == 530 and "limit" in text:
        return AccessRefused(
            f"The broker at {where} takes no more connections of user {user!r} or to the virtual "
            f"host {broker.vhost!r}: a limit is reached. Close some, or ask its operator."
        )
    if code == 530 or (code == 403 and "access to vhost" in text):
        return AccessRefused(
            f"The virtual host {broker.vhost!r} at {where} does not exist or is not open to "
            f"user {user!r}. Check the part of the URL after the host's '/'."
        )
    if code == 403 and ("Login" in text or "login" in text or "mechanism" in text):
        return AccessRefused(
            f"The broker at {where} refused user {user!r} or the password. Check both."
        )
    if code == 403:
        return PermissionRefused(
            f"User {user!r} may not do this at {where}{doing}: {_quoted(text)}. "
            "Ask the broker's operator for the permission."
        )
    if code == 320:
        return BrokerUnreachable(f"The broker at {where} is shutting down{doing}.")
    return BrokerError(f"The broker at {where} refused this{doing}: {_quoted(text)}.")


def _quoted(text: str) -> str:
    """The part of a refusal that names the thing, without protocol words."""
    return text.split(" - ", 1)[-1]


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and everything that led to it."""
    todo: list[Any] = [error]
    seen: set[int] = set()
    while todo:
        current = todo.pop(0)
        if not isinstance(current, BaseException) or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        todo += [current.__cause__, current.__context__, getattr(current, "exception", None)]
        todo += [getattr(current, "args", ()), getattr(current, "exceptions", ())]
        for part in list(todo):
            if isinstance(part, (tuple, list)):
                todo.remove(part)
                todo += part
