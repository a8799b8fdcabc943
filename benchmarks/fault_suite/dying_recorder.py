"""A recorder that kills itself after its first write, before it acknowledges what it wrote.

python dying_recorder.py INBOX
"""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import Any

from jupyter_aiqueue.core.config import find_broker
from jupyter_aiqueue.core.recorder import Recorder


def die(*_: Any) -> None:
    """In the place of the acknowledgement."""
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    setattr(Recorder, "_ack", die)  # noqa: B010
    Recorder(find_broker, sys.argv[1]).start()
    time.sleep(600)
