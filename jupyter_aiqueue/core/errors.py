"""The one error tree of this package.

Every message is written to be shown to a person: it says what was wrong, where, and what
to do next. Messages never carry credentials, so they may be sent to a browser or a log.
Exceptions of pika, requests and the operating system are wrapped here and do not leak.
"""

from __future__ import annotations


class AIQueueError(Exception):
    """Base of all errors of this package."""


class ConfigError(AIQueueError):
    """A setting, an environment variable or a configuration file is wrong."""


# -- the broker --------------------------------------------------------------------------


class BrokerError(AIQueueError):
    """The broker could not be reached or refused what was asked."""


class NoBroker(BrokerError):
    """No broker is configured and no private node is running."""


class BrokerUnreachable(BrokerError):
    """Nothing answers at the broker's address, or the connection was lost."""


class AccessRefused(BrokerError):
    """The broker refused the user name, the password or the virtual host."""


class PermissionRefused(BrokerError):
    """The account is known but may not do this operation."""


class TLSFailed(BrokerError):
    """The TLS handshake failed: a certificate, a host name, or plain against TLS."""


class BrokerBlocked(BrokerError):
    """The broker does not take publishes now (a memory or disk alarm)."""


class NotProvisioned(BrokerError):
    """The broker lacks a queue or an exchange of ours: `jupyter aiqueue provision`."""


class NotConfirmed(BrokerError):
    """The broker did not confirm a publish; the message may or may not be there."""


class ManagementUnavailable(BrokerError):
    """The management API does not answer, is off, or refuses this account."""


# -- jobs --------------------------------------------------------------------------------


class JobError(AIQueueError):
    """Something about one job."""


class UnknownGroup(JobError):
    """The worker group does not exist on this broker; nothing was published."""


class InvalidJob(JobError):
    """A job that cannot be sent or worked as it is.

    ``reason`` is a short stable word for grouping dead letters, for example
    ``malformed-json``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class JobNotFound(JobError):
    """No ledger and no queue that can be read here knows this job id."""


class AmbiguousJob(JobError):
    """A shortened job id fits more than one job."""


class JobNotOver(JobError):
    """What was asked needs a job that has ended."""


class AlreadySucceeded(JobError):
    """A job that did exactly this has succeeded; nothing was published.

    Args:
        before: which one, and what came of it, one sentence or two.
    """

    def __init__(self, before: str) -> None:
        super().__init__(f"{before} Nothing was submitted; `--again` submits it once more.")
        self.before = before


# -- ledgers -----------------------------------------------------------------------------


class LedgerError(AIQueueError):
    """A ledger cannot be read or written."""


# -- the private node --------------------------------------------------------------------


class NodeError(AIQueueError):
    """The private node could not be started or stopped."""


class RabbitMQNotInstalled(NodeError):
    """No RabbitMQ server was found on this machine."""
