"""``%load_ext`` and ``%unload_ext``. Cheap: what talks to the broker is imported when used."""

from __future__ import annotations

import atexit
from typing import Any
from weakref import WeakKeyDictionary

from .completion import Completer
from .magics import AIQueueMagics
from .workbench import Workbench

_benches: WeakKeyDictionary[Any, Workbench] = WeakKeyDictionary()


def load(ipython: Any) -> None:
    """Register magics, displays and completion in the shell ``ipython``."""
    if ipython in _benches:
        return
    bench = _benches[ipython] = Workbench(ipython)
    magics = AIQueueMagics(ipython, bench)
    ipython.register_magics(magics)
    bench.display.register()
    Completer(magics, bench).register(ipython)
    atexit.register(bench.close)


def unload(ipython: Any) -> None:
    """Take displays back and stop what runs in the background.

    The magics stay, as IPython cannot forget any; the first use starts everything anew.
    """
    bench = _benches.pop(ipython, None)
    if bench is not None:
        atexit.unregister(bench.close)
        bench.display.unregister()
        bench.close()
