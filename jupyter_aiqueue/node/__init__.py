"""The private node: a real RabbitMQ for one user, on loopback, started by this software."""

from __future__ import annotations

from .lifecycle import down, status, up
from .record import Node, Ports

__all__ = ["Node", "Ports", "down", "status", "up"]
