"""Messages that nobody should send, and good ones between them, by a seed.

Properties and headers are written byte by byte: a client library would refuse most of this,
but the broker takes it, and so a worker has to. Every body holds a number of its own, so that
each message can be found again.
"""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pika

#: In the order in which AMQP 0-9-1 writes them; the first has the highest bit.
_PROPERTIES = (
    "content_type",
    "content_encoding",
    "headers",
    "delivery_mode",
    "priority",
    "correlation_id",
    "reply_to",
    "expiration",
    "message_id",
    "timestamp",
    "type",
    "user_id",
    "app_id",
    "cluster_id",
)


class RawProperties(pika.BasicProperties):  # type: ignore[misc]
    """Properties of which every byte is given: shortstr as bytes, a table as `table` makes it."""

    def __init__(self, **fields: bytes | int) -> None:
        super().__init__()
        self.raw = properties(**fields)

    def encode(self) -> list[bytes]:
        return [self.raw]


def properties(**fields: bytes | int) -> bytes:
    """The properties of a content header: flags, then values."""
    flags, parts = 0, []
    for index, name in enumerate(_PROPERTIES):
        value = fields.pop(name, None)
        if value is None:
            continue
        flags |= 1 << (15 - index)
        if isinstance(value, int):
            parts.append(struct.pack(">Q" if name == "timestamp" else "B", value))
        else:
            parts.append(value if name == "headers" else _short(value))
    assert not fields, f"no such property: {fields}"
    return struct.pack(">H", flags) + b"".join(parts)


def table(entries: dict[bytes, bytes]) -> bytes:
    """A table; values are made by `text` and `value`."""
    content = b"".join(_short(key) + value for key, value in entries.items())
    return struct.pack(">I", len(content)) + content


def text(content: str | bytes) -> bytes:
    """A long string as a field value; of bytes also what is no UTF-8."""
    data = content.encode() if isinstance(content, str) else content
    return b"S" + struct.pack(">I", len(data)) + data


def number(content: int) -> bytes:
    """A number as a field value."""
    return b"l" + struct.pack(">q", content)


def value(chance: random.Random, depth: int = 0) -> bytes:
    """A field value of any type that RabbitMQ takes (its table of types, without the unused)."""
    kinds: list[Callable[[], bytes]] = [
        lambda: b"t" + bytes([chance.choice([0, 1, 255])]),
        lambda: b"b" + chance.randbytes(1),
        lambda: b"B" + chance.randbytes(1),
        lambda: b"s" + chance.randbytes(2),
        lambda: b"u" + chance.randbytes(2),
        lambda: b"I" + chance.randbytes(4),
        lambda: b"i" + chance.randbytes(4),
        lambda: b"l" + chance.randbytes(8),
        # Infinite ones the broker does not take.
        lambda: b"f" + struct.pack(">f", chance.choice([0.5, -1e30])),
        lambda: b"d" + struct.pack(">d", chance.choice([0.5, 1e300])),
        lambda: b"D" + chance.randbytes(5),
        lambda: b"T" + struct.pack(">Q", chance.choice([0, 1_700_000_000_000, 2**63, 2**64 - 1])),
        lambda: b"V",
        lambda: text(chance.choice([b"", b"x", b"\xff\xfe", b"\0", "ä".encode() * 50])),
        lambda: b"x" + struct.pack(">I", 3) + chance.randbytes(3),
        lambda: b"F" + table({b"k": value(chance, depth + 1)}),
        lambda: _array([value(chance, depth + 1) for _ in range(chance.randrange(3))]),
    ]
    return chance.choice(kinds[:-2] if depth > 3 else kinds)()


def nested(depth: int) -> bytes:
    """A table in a table in a table."""
    content = b"V"
    for _ in range(depth):
        content = b"F" + table({b"k": content})
    return content


def _array(values: list[bytes]) -> bytes:
    content = b"".join(values)
    return b"A" + struct.pack(">I", len(content)) + content


def _short(content: bytes) -> bytes:
    return bytes([len(content)]) + content


class Hostile(NamedTuple):
    """One message as it is sent."""

    kind: str
    body: bytes
    properties: RawProperties
    #: The job id that it has if it is taken for a job.
    job_id: str
    #: Whether it is a job that has to succeed.
    good: bool = False


def messages(count: int, seed: int, *, prefix: str = "h") -> Iterator[Hostile]:
    """``count`` messages, the same for the same seed.

    Args:
        prefix: of every job id, so that several rounds do not meet.
    """
    chance = random.Random(seed)
    makers = [maker for maker, weight in _MAKERS.items() for _ in range(weight)]
    for serial in range(count):
        if serial % 10 == 9:
            yield _good(chance, f"{prefix}{serial}", serial)
        elif serial % 500 == 250:
            yield _large(chance, f"{prefix}{serial}", serial)
        else:
            yield chance.choice(makers)(chance, f"{prefix}{serial}", serial)


def _good(chance: random.Random, job_id: str, serial: int) -> Hostile:
    body = json.dumps({"serial": serial, "lr": chance.random()}).encode()
    return Hostile("good", body, RawProperties(message_id=job_id.encode()), job_id, good=True)


def _large(chance: random.Random, job_id: str, serial: int) -> Hostile:
    # Around the limit of 1 MiB for a body, from both sides.
    body = json.dumps({"serial": serial, "x": "y" * chance.randint(900_000, 1_200_000)}).encode()
    return Hostile("large body", body, RawProperties(message_id=job_id.encode()), job_id)


def _odd_body(chance: random.Random, job_id: str, serial: int) -> Hostile:
    def beside(more: str) -> bytes:
        return f'{{"serial": {serial}, {more}}}'.encode()

    no_objects = [b"[%d]", b'"%d"', b"%d", b" \n%d", b"[[[%d]]]", b"null%d"]
    depth = chance.choice([99, 101, 150, 5_000, 100_000])
    bodies: dict[str, bytes] = {
        "random bytes": chance.randbytes(chance.randint(1, 300)) + b"#%d" % serial,
        "torn JSON": beside('"lr": ')[:-1],
        "no JSON number": beside(chance.choice(['"lr": NaN', '"lr": -Infinity'])),
        "a number out of range": beside('"lr": 1e999'),
        "a number of many digits": beside(f'"n": {"9" * 5000}'),
        "no object": chance.choice(no_objects) % serial,
        "no UTF-8": beside('"a": "?"').replace(b"?", b"\xff\xc0\x80"),
        "UTF-16": beside('"a": 1').decode().encode("utf-16"),
        "a byte order mark": b"\xef\xbb\xbf" + beside('"a": 1'),
        "half a character": beside('"a": "\\ud800"'),
        "deep": beside(f'"a": {"[" * depth + "]" * depth}'),
        "deep objects": beside('"a": ' + '{"a":' * 400 + "1" + "}" * 400),
        "keys twice": beside(f'"serial": {serial}, "lr": 1, "lr": 2'),
        "keys that are no flags": beside(f"{json.dumps(chance.choice(_KEYS))}: 1"),
        "values like flags": beside('"a": ["--fail", "-x"], "b": "--fail"'),
        "text with NUL": beside('"a": "\\u0000"'),
        "many keys": beside(", ".join(f'"k{number}": 1' for number in range(3000))),
    }
    kind = chance.choice(list(bodies))
    return Hostile(kind, bodies[kind], RawProperties(message_id=job_id.encode()), job_id)


_KEYS = ["", "a b", "-x", "--help", "ä", "a\nb", "1", "=", "a" * 5000, "\u202e", "$(id)", "a=b"]


def _odd_id(chance: random.Random, job_id: str, serial: int) -> Hostile:
    ids: list[tuple[object, bytes | None]] = [
        (None, None),
        ([1], None),
        ({"a": 1}, None),
        (True, None),
        (1.5, None),
        ("", b""),
        (None, b"\0" + job_id.encode()),
        (None, b"\xff" + job_id.encode()),
        (None, b"x" * 250 + b"%05d" % serial),
        (job_id, None),
        (serial, None),
        (None, f"{job_id}/../../etc".encode()),
        (None, f"..{job_id}.#.*".encode()),
        (None, f"{job_id}\u00e4\u4e2d".encode()),
    ]
    task_id, message_id = chance.choice(ids)
    config = {"serial": serial} | ({} if task_id is None else {"task_id": task_id})
    sent = RawProperties() if message_id is None else RawProperties(message_id=message_id)
    known = str(task_id) if message_id is None else message_id.decode("utf-8", "backslashreplace")
    return Hostile("odd job id", json.dumps(config).encode(), sent, known)


def _odd_header(chance: random.Random, job_id: str, serial: int) -> Hostile:
    names = [b"group", b"priority", b"max-attempts", b"timeout", b"name", b"inbox", b"notebook"]
    names += [b"user", b"submitted", b"retry-of", b"queue", b"history", b"delay", b"worker"]
    names += [b"reason", b"why", b"dead-at", b"given-back", b"unreadable", b"nonsense"]
    entries = {b"aiq-" + name: value(chance) for name in chance.sample(names, chance.randint(1, 3))}
    return _with_headers("an odd header of ours", entries, job_id, serial)


def _forged_header(chance: random.Random, job_id: str, serial: int) -> Hostile:
    forged: list[dict[bytes, bytes]] = [
        {b"aiq-group": text("infer")},
        {b"aiq-group": text("a.b")},
        {b"aiq-group": text("no-such-group"), b"aiq-priority": text("high")},
        {b"aiq-priority": text("urgent")},
        {b"aiq-queue": text("some-queue")},
        {b"aiq-inbox": text("*.#")},
        {b"aiq-inbox": text("live")},
        {b"aiq-notebook": text("/etc/../\0passwd")},
        {b"aiq-name": text("x" * 5000)},
        {b"aiq-user": text("\u202e" * 100)},
        {b"aiq-timeout": text("nan")},
        {b"aiq-timeout": text("1e-9")},
        {b"aiq-timeout": number(-1)},
        {b"aiq-submitted": text("0001-01-01T00:00:00+23:59")},
        {b"aiq-submitted": text("9999-12-31T23:59:59-23:59")},
        {b"aiq-submitted": text("yesterday")},
        {b"aiq-history": text(json.dumps(["x" * 300] * 100))},
        {b"aiq-history": text("[" * 30_000)},
        {b"aiq-max-attempts": number(0)},
        {b"aiq-max-attempts": number(2**62)},
        {b"aiq-delay": text("1")},
        {b"aiq-given-back": number(-5)},
        {b"aiq-given-back": number(999_999)},
    ]
    return _with_headers("a forged header", chance.choice(forged), job_id, serial)


def _forged_owner(chance: random.Random, job_id: str, serial: int) -> Hostile:
    """A message that says that somebody else began its job."""
    forged: list[dict[bytes, bytes]] = [
        {b"aiq-lease": text("nobody")},
        {b"aiq-lease": text("")},
        {b"aiq-lease": value(chance)},
        {b"aiq-attempt": number(2)},
        {b"aiq-attempt": number(1000), b"aiq-max-attempts": number(3)},
        {b"aiq-attempt": number(chance.choice([0, -1, 1001, 2**62]))},
        {b"aiq-attempt": text("2")},
        {b"aiq-lease": text("nobody"), b"aiq-attempt": number(3)},
    ]
    return _with_headers("a forged owner", chance.choice(forged), job_id, serial)


def _foreign_header(chance: random.Random, job_id: str, serial: int) -> Hostile:
    foreign: list[dict[bytes, bytes]] = [
        {b"note": value(chance), b"\xff\xfe": value(chance)},
        {b"": text("x")},
        {b"k" * 255: text("x")},
        {b"x-death": _array([b"F" + table({b"count": number(99), b"queue": text("a")})])},
        {b"x-delivery-count": number(2**62), b"x-first-death-queue": text("a")},
        {b"x-match": text("all")},
        {b"CC": _array([text("nowhere")])},
        {b"BCC": _array([text("nowhere")])},
        {b"deep": nested(chance.choice([5, 300]))},
        {b"long": text("x" * chance.choice([1000, 40_000, 70_000, 100_000]))},
        {b"k%d" % i: value(chance) for i in range(200)},
        {b"when": b"T" + struct.pack(">Q", 1_700_000_000_000)},
    ]
    return _with_headers("a foreign header", chance.choice(foreign), job_id, serial)


def _with_headers(kind: str, entries: dict[bytes, bytes], job_id: str, serial: int) -> Hostile:
    sent = RawProperties(message_id=job_id.encode(), headers=table(entries))
    return Hostile(kind, json.dumps({"serial": serial}).encode(), sent, job_id)


def _odd_property(chance: random.Random, job_id: str, serial: int) -> Hostile:
    odd: list[dict[str, bytes | int]] = [
        {"type": b"rm -rf /"},
        {"type": b"\xff\xfe"},
        {"type": b"t" * 255},
        {"type": b""},
        {"priority": 255},
        {"delivery_mode": 1},
        {"timestamp": 2**64 - 1},
        {"timestamp": 1_700_000_000_000},
        {"content_type": b"\0\xff"},
        {"content_encoding": b"gzip"},
        {"app_id": b"\xff" * 255},
        {"correlation_id": b"\xfe" * 255},
        {"reply_to": b"amq.nowhere"},
        {"cluster_id": b"\xff"},
    ]
    fields = chance.choice(odd)
    sent = RawProperties(message_id=job_id.encode(), **fields)
    kind = "an odd " + next(iter(fields)).replace("_", " ")
    return Hostile(kind, json.dumps({"serial": serial}).encode(), sent, job_id)


def _same_id(chance: random.Random, job_id: str, serial: int) -> Hostile:
    # About every tenth of these is the first one with its id.
    shared = f"{job_id.rstrip('0123456789')}same{serial // 200}-{chance.randrange(2)}"
    body = json.dumps({"serial": serial}).encode()
    return Hostile("an id twice", body, RawProperties(message_id=shared.encode()), shared)


def _failing(chance: random.Random, job_id: str, serial: int) -> Hostile:
    attempts = chance.randint(1, 3)
    sent = RawProperties(
        message_id=job_id.encode(), headers=table({b"aiq-max-attempts": number(attempts)})
    )
    body = json.dumps({"serial": serial, "fail": True}).encode()
    return Hostile("failing", body, sent, job_id)


#: How often each is among what is not good.
_MAKERS: dict[Callable[[random.Random, str, int], Hostile], int] = {
    _odd_body: 90,
    _odd_id: 20,
    _odd_header: 40,
    _forged_header: 15,
    _forged_owner: 1,
    _foreign_header: 15,
    _odd_property: 10,
    _same_id: 15,
    _failing: 2,
}
