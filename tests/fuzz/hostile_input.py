"""What hostile input looks like: bytes of every kind, and good ones with faults in them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

#: As many examples as the profile says; slow machines do not fail for being slow.
patient = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

#: Values that JSON can write, extreme ones among them.
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([2**31, 2**63, 2**64, -(2**63) - 1, 10**40])
    | st.floats()
    | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)

#: Moments as people and programs write them, wrongly too.
moments = st.sampled_from(
    [
        "2026-01-02T03:04:05Z",
        "2026-01-02T03:04:05",
        "2026-01-02",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-13-01T00:00:00Z",
        "",
        0,
        1e300,
    ]
)


def objects(fields: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Objects with some of the ``fields``, each with its own or any other value, and others."""
    mixed = {name: own | json_values for name, own in fields.items()}
    others = st.dictionaries(st.text(max_size=8), json_values, max_size=2)
    return st.builds(
        lambda ours, theirs: {**theirs, **ours}, st.fixed_dictionaries({}, optional=mixed), others
    )


@st.composite
def damaged(draw: st.DrawFn, good: st.SearchStrategy[bytes]) -> bytes:
    """Good bytes, with some cut out, put in or changed."""
    data = bytearray(draw(good))
    for _ in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 5)))
        data[start:end] = draw(st.binary(max_size=5))
    return bytes(data)


def written(values: st.SearchStrategy[Any]) -> st.SearchStrategy[bytes]:
    """``values`` as JSON, damaged or not; and bytes that have nothing to do with them."""
    good = values.map(lambda value: json.dumps(value).encode())
    return good | damaged(good) | st.binary(max_size=200) | st.sampled_from(NASTY)


#: What parsers trip over.
NASTY = (
    b"",
    b"null",
    b"[" * 100_000,
    b'{"a":' * 5000,
    b"9" * 5000,
    b"1e999",
    b'{"event": "started", "job_id": "\\ud800"}',
    b"\xef\xbb\xbf{}",
    b"\xff\xfe{\x00}\x00",
    b'{"a": "\x00"}',
)
