"""From parts to sentences."""

from __future__ import annotations


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def because(reason: str | None) -> str:
    """What follows what happened: ``: exit code 1``."""
    return f": {reason.strip().rstrip('.')}" if reason else ""
