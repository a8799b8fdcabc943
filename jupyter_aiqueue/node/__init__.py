"""The private node: a real RabbitMQ for one user, on loopback, started by this software."""

from __future__ import annotations

from .lifecycle import down, is_running, start_member, status, up
from .record import Node, Ports

__all__ = ["Node", "Ports", "down", "is_running", "start_member", "status", "up"]
