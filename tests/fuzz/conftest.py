"""Property tests with hostile input, short by default.

A longer run: ``python -m pytest tests/fuzz --hypothesis-profile=long``.
"""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("long", max_examples=20_000, deadline=None)
