"""Faults are tried on the broker that the tests of the core share."""

from core.conftest import broker, provisioned

__all__ = ["broker", "provisioned"]
