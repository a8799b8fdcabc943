"""A tape of everything that is published, and tasks for workers to run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from scene import Proxy, Tape, make_tasks

from jupyter_aiqueue.core.config import Broker
from jupyter_aiqueue.worker.tasks import Tasks


@pytest.fixture
def tape(broker: Broker) -> Iterator[Tape]:
    tape = Tape(broker)
    yield tape
    tape.close()


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return make_tasks(tmp_path)


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxy]:
    proxy = Proxy(broker.hosts[0])
    yield proxy
    proxy.close()
