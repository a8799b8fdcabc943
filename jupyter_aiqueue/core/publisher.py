"""Publishing jobs and events, confirmed by the broker."""

from __future__ import annotations

import msgspec

from . import topology
from .errors import InvalidJob, NotProvisioned, PermissionRefused, UnknownGroup
from .events import Event, encode_event
from .events import routing_key as event_key
from .hold import Hold, held_message
from .job import Job
from .message import APP_ID, SENT_AGAIN, Message, encode_job
from .message import routing_key as job_key
from .pipeline import Post
from .status import encode
from .stream import last, write
from .topology import Catalog
from .transport import Session, Unroutable

#: Bytes: AMQP's own limit.
_LONGEST_KEY = 255


def publish_job(session: Session, job: Job, *, again: bool = False) -> None:
    """Publish ``job``; when this returns, the broker has it on disk in its queue.

    Args:
        again: it was published before, and it is not known whether it got there. Workers make
            sure that it runs once.

    Raises:
        UnknownGroup: no queue of that group; the known groups are named; nothing was published.
        InvalidJob, NotConfirmed, NotProvisioned, BrokerBlocked, BrokerUnreachable.
    """
    post = job_post(session, job, again=again)
    try:
        session.publish(post.exchange, post.key, post.message, mandatory=True)
    except Unroutable as error:
        raise no_such_group(session, job.group) from error


def publish_held(session: Session, job: Job, hold: Hold, *, again: bool = False) -> None:
    """Publish ``job`` to be held; when this returns, the broker has it on disk.

    Raises:
        NotProvisioned: the broker was set up by an earlier version.
        InvalidJob, NotConfirmed, BrokerBlocked, BrokerUnreachable.
    """
    post = job_post(session, job, hold, again=again)
    try:
        session.publish(post.exchange, post.key, post.message, mandatory=True)
    except Unroutable as error:
        raise keeps_no_held_jobs(session) from error


def job_post(session: Session, job: Job, hold: Hold | None = None, *, again: bool = False) -> Post:
    """What puts ``job`` into its line, or where it is held. Raises `InvalidJob`.

    Args:
        again: as in `publish_job`.
    """
    user, key = session.broker.username, topology.HELD_KEY
    if hold is None:
        message, key = encode_job(job, user_id=user), job_key(job)
        if len(key.encode()) > _LONGEST_KEY:
            raise InvalidJob("bad-name", f"No routing key can be as long as {key!r:.80}.")
    else:
        message = held_message(job, hold, user_id=user)
    if again:
        message.headers[SENT_AGAIN] = 1
    return Post(topology.JOBS, key, message)


def no_such_group(session: Session, group: str) -> UnknownGroup:
    """The error for a job that no queue took; names the groups that there are."""
    try:
        known = f"it has {', '.join(read_catalog(session).groups)}"
    except PermissionRefused:
        known = "which ones it has, this account may not see"
    return UnknownGroup(
        f"The broker at {session.broker.location} has no group {group!r}; {known}. "
        "Nothing was submitted."
    )


def keeps_no_held_jobs(session: Session) -> NotProvisioned:
    """The error for a held job that no queue took."""
    return NotProvisioned(
        f"The broker at {session.broker.location} keeps no held jobs: it was set up by an "
        "earlier version. Its operator has to run `jupyter aiqueue provision` again. Nothing "
        "was submitted."
    )


def publish_event(session: Session, event: Event) -> None:
    """Publish ``event``; when this returns, everybody who keeps such events has it."""
    post = event_post(event)
    session.publish(post.exchange, post.key, post.message)


def event_post(event: Event) -> Post:
    """What publishes ``event``."""
    message = Message(
        body=encode_event(event),
        message_id=event.id,
        type=event.event.value,
        app_id=APP_ID,
        content_type="application/json",
        timestamp=int(event.timestamp.timestamp()),
        persistent=not event.event.is_live,
    )
    return Post(topology.EVENTS, event_key(event), message)


def publish_control(session: Session, key: str, body: msgspec.Struct) -> None:
    """Tell or ask the workers something: one of the structs of `core.status`."""
    message = Message(body=encode(body), app_id=APP_ID, content_type="application/json")
    session.publish(topology.CONTROL, key, message)


def publish_release(session: Session, key: str, body: msgspec.Struct) -> None:
    """Like `publish_control`, and see that it is kept: nothing else tells of it.

    Raises:
        NotConfirmed: it is not.
        BrokerUnreachable, NotProvisioned, BrokerBlocked.
    """
    message = Message(body=encode(body), app_id=APP_ID, content_type="application/json")
    try:
        write(session, topology.CONTROL, key, topology.CONTROL_LOG, message)
    except PermissionRefused:  # an account that may not look
        session.publish(topology.CONTROL, key, message, mandatory=True)


def publish_catalog(session: Session, catalog: Catalog) -> None:
    """Make ``catalog`` the one that everybody reads."""
    message = Message(body=encode(catalog), app_id=APP_ID, content_type="application/json")
    session.publish(topology.STATUS, topology.CATALOG_KEY, message, mandatory=True)


def read_catalog(session: Session) -> Catalog:
    """The groups and retry delays that `provision` set up. Raises `NotProvisioned`."""
    try:
        message = last(session, topology.CATALOG_LOG)
    except NotProvisioned:
        message = None  # no such stream: the sentence below says it for people
    if message is not None:
        try:
            return msgspec.json.decode(message.body, type=Catalog)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise NotProvisioned(
                f"The catalog of groups at {session.broker.location} cannot be read by this "
                "version. Run `jupyter aiqueue provision` with the newest version in use."
            ) from error
    raise NotProvisioned(
        f"The broker at {session.broker.location} has not been set up for this. "
        "Its operator has to run `jupyter aiqueue provision`."
    )
