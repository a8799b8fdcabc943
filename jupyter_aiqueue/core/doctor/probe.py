"""What an account may do, found out without doing it.

The broker checks permissions before anything else, and by name only: a queue and an exchange of
one name have the same ones. So each question is put in a form that the broker then refuses for
another reason, or that has no effect: a declaration with an argument of the wrong type, a
consumer with one, a message of a key that nothing is bound to. Tried with 3.10.8 and 4.0.5;
what is checked is in https://www.rabbitmq.com/docs/access-control
"""

from __future__ import annotations

import secrets
from contextlib import suppress

from ..errors import BrokerBlocked, BrokerError, BrokerUnreachable, NotConfirmed, PermissionRefused
from ..message import Message
from ..transport import Session
from .roles import CONFIGURE, DEFAULT_EXCHANGE, READ, TEMPORARY, WRITE, Right


class Prober:
    """Asks for rights, each once. For one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._known: dict[Right, bool] = {}
        self._temporary: str | None = None
        #: Exchanges whose keys are limited by topic permissions.
        self.limited: list[str] = []

    def may(self, right: Right) -> bool:
        """Whether the account has ``right``.

        Raises:
            BrokerUnreachable, BrokerBlocked: it could not be found out.
        """
        if right not in self._known:
            self._known[right] = self._ask(right)
        return self._known[right]

    def missing(self, rights: list[Right]) -> list[Right]:
        """Those of ``rights`` that the account lacks."""
        return [right for right in rights if not self.may(right)]

    def _ask(self, right: Right) -> bool:
        try:
            if right.name == TEMPORARY:
                return self._ask_temporary(right.verb)
            if right.verb == CONFIGURE:
                self._declare(right.name)
            elif right.verb == READ:
                self._consume(right.name)
            else:
                self._publish("" if right.name == DEFAULT_EXCHANGE else right.name)
        except PermissionRefused as error:
            if right.verb == WRITE and "access to topic" in str(error):
                self.limited.append(right.name)
                return True
            return False
        except (BrokerUnreachable, BrokerBlocked):
            raise
        except BrokerError:
            return True  # refused for the reason that was meant
        return True

    def _ask_temporary(self, verb: str) -> bool:
        if self._temporary is None:
            if verb != CONFIGURE and not self.may(Right(TEMPORARY, CONFIGURE)):
                return False  # what cannot be made cannot be used
            self._temporary = self._session.temporary_queue([], max_length=1)
        if verb == READ:
            self._consume(self._temporary)
        elif verb == WRITE:
            self._publish(self._temporary)
        return True

    def _declare(self, name: str) -> None:
        with self._session.throwaway(f"asking for the right to make {name}") as channel:
            channel.queue_declare(name, durable=True, arguments={"x-message-ttl": "no number"})

    def _consume(self, name: str) -> None:
        with self._session.throwaway(f"asking for the right to read {name}") as channel:
            channel.basic_consume(name, lambda *_: None, arguments={"x-priority": "no number"})

    def _publish(self, exchange: str) -> None:
        # Should an exchange keep what fits nowhere (an alternate exchange), it expires.
        message = Message(body=b"", expiration=1, persistent=False)
        with suppress(NotConfirmed):
            self._session.publish(exchange, f"doctor-{secrets.token_hex(8)}", message)
