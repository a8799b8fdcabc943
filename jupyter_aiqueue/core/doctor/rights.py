"""What this account may do, and what more than it needs."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ..errors import AIQueueError, ManagementUnavailable
from ..topology import Catalog
from . import roles
from .case import Case, Unseen
from .connection import is_local
from .finding import ERROR, NOTE, OK, WARNING, Finding
from .probe import Prober
from .roles import CONFIGURE, DEFAULT_EXCHANGE, WRITE, Right

#: Missing rights that are named.
_NAMED = 6


def rights(case: Case) -> Iterator[Finding]:
    """Which of the roles this account can play."""
    prober = Prober(case.publishing)
    try:
        catalog = case.catalog
    except (AIQueueError, Unseen):
        catalog = Catalog()
    notebook = prober.missing(roles.notebook(case.inbox))
    served = [group for group in catalog.groups if not prober.missing(roles.worker(group))]
    operates = not prober.missing(roles.operator(catalog))
    yield Finding(OK, f"User {case.broker.username}{_told(case)}.")
    if not notebook:
        yield Finding(OK, "This account may submit jobs, watch and cancel them, and record.")
        yield from _without(
            prober,
            roles.letters(catalog.groups),
            "This account may not look at dead letters",
            "Only who may see everybody's configs needs it.",
        )
        yield from _without(
            prober,
            roles.foresight(),
            "This account cannot see when its jobs would start, and counts the load by itself",
            "The operator gives it the patterns of its role, which are in docs/operators.md.",
        )
    if served:
        yield Finding(OK, f"This account may work for {', '.join(served)}.")
        yield from _without(
            prober,
            roles.collector(),
            "A worker with this account neither collects the load nor releases held jobs",
            "Another worker has to be able to; docs/operators.md has the patterns.",
        )
    if operates:
        yield _operator(case)
    idle = notebook and not served and not operates
    if idle and prober.missing(roles.monitor()):
        yield Finding(
            ERROR,
            "This account may neither submit jobs nor work nor look at the load: for submitting, "
            f"it lacks {_list(notebook)}.",
            "The operator has to give it the rights of its role, for notebooks these:",
            _command(case, roles.NOTEBOOK),
        )
    elif notebook:
        if idle:
            yield Finding(OK, "This account may look at the load, and do nothing else.")
        yield Finding(
            NOTE,
            f"This account may not submit and record: it lacks {_list(notebook)}.",
            "That is as it should be, unless notebooks use it. Then the operator runs:",
            _command(case, roles.NOTEBOOK),
        )
    if not served:
        missing = prober.missing(roles.worker(catalog.groups[0]))
        yield Finding(
            NOTE,
            f"This account may not work for {catalog.groups[0]}: it lacks {_list(missing)}.",
            "That is as it should be, unless workers use it. Then the operator runs:",
            _command(case, roles.worker_patterns(catalog.groups)),
        )
    yield from _too_much(case, prober, operates=operates, served=bool(served))
    for name in prober.limited:
        yield Finding(
            NOTE,
            f"Topic permissions limit what this account may publish to {name}; for which keys is "
            "not known here.",
        )


def _told(case: Case) -> str:
    """What the management API tells of the account."""
    told = []
    try:
        patterns = case.management.permissions(case.broker.username)
        if patterns:
            verbs = (CONFIGURE, WRITE, roles.READ)
            told += [f"{verb} `{one}`" for verb, one in zip(verbs, patterns, strict=True)]
    except (ManagementUnavailable, Unseen):
        told.append("its patterns are shown to administrators only; what it may do was tried")
    try:
        tags = case.management.tags()
        if case.management.user == case.broker.username:
            told.append(f"tags: {', '.join(tags) or 'none'}")
    except (ManagementUnavailable, Unseen):
        pass
    return f" ({', '.join(told)})"


def _without(prober: Prober, wanted: list[Right], what: str, fix: str) -> Iterator[Finding]:
    """A note if rights are missing that an account can do without: ``what`` is so then."""
    missing = prober.missing(wanted)
    if missing:
        yield Finding(NOTE, f"{what}: it lacks {_list(missing)}.", fix)


def _operator(case: Case) -> Finding:
    try:
        tags = set(case.management.tags())
    except (ManagementUnavailable, Unseen):
        return Finding(OK, "This account may set up; whether it may set policies is not known.")
    if tags & {"policymaker", "administrator"}:
        return Finding(OK, "This account may set up, policies included.")
    return Finding(
        NOTE,
        "This account may set up, but not set policies: it lacks the tag `policymaker`.",
        "For an operator's account, that is needed.",
        f"rabbitmqctl set_user_tags {_user(case)} {' '.join([*sorted(tags), 'policymaker'])}",
    )


def _too_much(case: Case, prober: Prober, *, operates: bool, served: bool) -> Iterator[Finding]:
    broker = case.broker
    if broker.origin == "private node":
        return  # one person's own
    if prober.may(Right(DEFAULT_EXCHANGE, WRITE)):
        patterns = roles.NOTEBOOK
        if operates:
            patterns = roles.OPERATOR
        elif served:
            patterns = roles.worker_patterns(case.catalog.groups)
        yield Finding(
            NOTE if is_local(broker) else WARNING,
            "This account may publish straight into any queue of the virtual host (write on the "
            "default exchange, amq.default), past all other rules.",
            "Nobody needs that. The operator gives it the patterns of its role:",
            _command(case, patterns),
        )
    if operates:
        yield Finding(
            NOTE,
            "This account may change and delete what is set up: it is an operator's.",
            "Notebooks and workers need accounts with less; docs/operators.md has their patterns.",
        )


def _list(missing: list[Right]) -> str:
    named = ", ".join(map(str, missing[:_NAMED]))
    return named + (f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else "")


def _command(case: Case, patterns: roles.Patterns) -> str:
    return patterns.command(_user(case), case.vhost)


def _user(case: Case) -> str:
    return shlex.quote(case.broker.username)
