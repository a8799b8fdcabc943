"""Which answer an error of ours becomes: one table for every endpoint."""

from __future__ import annotations

from ..core import errors


class JobOver(errors.JobError):
    """What was asked needs a job that has not ended."""


class JobRepeated(errors.JobError):
    """What was asked has succeeded before, and it was not said that it is meant again."""


class JobNotHeld(errors.JobError):
    """What was asked needs a job that is held."""


#: Status and reason by kind of error; the first that fits counts. An empty reason stands for
#: the error's own.
_TABLE: tuple[tuple[type[errors.AIQueueError], int, str], ...] = (
    (errors.InvalidJob, 400, ""),
    (errors.UnknownGroup, 400, "unknown-group"),
    (errors.AmbiguousJob, 400, "ambiguous-job"),
    (errors.JobNotFound, 404, "unknown-job"),
    (errors.JobNotOver, 409, "job-not-over"),
    (JobOver, 409, "job-over"),
    (JobRepeated, 409, "already-succeeded"),
    (JobNotHeld, 409, "job-not-held"),
    (errors.NoBroker, 503, "no-broker"),
    (errors.ConfigError, 503, "no-broker"),
    (errors.NotProvisioned, 503, "not-provisioned"),
    (errors.AccessRefused, 503, "broker-refused"),
    (errors.PermissionRefused, 503, "broker-refused"),
    (errors.BrokerBlocked, 503, "broker-refused"),
    (errors.NotConfirmed, 503, "broker-refused"),
    (errors.BrokerError, 503, "broker-unreachable"),
    (errors.LedgerError, 503, "ledger-unreadable"),
)


def refusal(error: errors.AIQueueError) -> tuple[int, str]:
    """HTTP status and reason, a stable word, for ``error``.

    Its text may be sent along: messages of our own errors never carry credentials. Errors of
    others have no place here, and become a bare 500.
    """
    for kind, status, reason in _TABLE:
        if isinstance(error, kind):
            return status, reason or getattr(error, "reason", "bad-request")
    return 500, "internal"
