"""Queue-aware experimentation in Jupyter, on RabbitMQ.

``%load_ext jupyter_aiqueue`` gives the magics; `Client` is the same for scripts; `report` is
what a training script calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from .core.client import Client
    from .reporting import report

__all__ = ["Client", "__version__", "report"]

# Loaded when asked for: importing this package is part of starting every kernel and server.
_LAZY = {"Client": "core.client", "report": "reporting"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def load_ipython_extension(ipython: Any) -> None:
    """``%load_ext jupyter_aiqueue``: register the magics."""
    from .kernel.extension import load

    load(ipython)


def unload_ipython_extension(ipython: Any) -> None:
    """``%unload_ext jupyter_aiqueue``: stop what runs in the background."""
    from .kernel.extension import unload

    unload(ipython)


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-aiqueue"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from .server.app import AIQueueExtension

    return [{"module": "jupyter_aiqueue", "app": AIQueueExtension}]
