"""Dramatiq."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from .contender import NotSubmitted
from .others import Other, config_of
from .schedule import PlannedJob

QUEUE = "dramatiq-jobs"


class DramatiqContender(Other):
    """Dramatiq with confirms, one thread per slot, prefetch 1."""

    name = "dramatiq"

    def settings(self) -> dict[str, str]:
        """Versions, and what differs from its defaults."""
        return {
            "dramatiq": version("dramatiq"),
            "settings": "confirm_delivery, 1 process, queue prefetch 1",
            "queues": "classic, durable (it has no other)",
        }

    def worker(
        self,
        worker: int,  # noqa: ARG002
        incarnation: int,  # noqa: ARG002
        hosts: list[tuple[str, int]],
    ) -> tuple[list[str], dict[str, str]]:
        """As its documentation starts it."""
        argv = [sys.executable, "-m", "dramatiq", "benchmarks.fault_suite.dramatiq_app"]
        argv += ["--processes", "1", "--threads", str(self.schedule.slots)]
        environment = {**self.environment(hosts), "dramatiq_queue_prefetch": "1"}
        return argv, environment

    def submit(self, job: PlannedJob) -> None:
        """With a confirm."""
        from .dramatiq_app import job as actor

        try:
            actor.send_with_options(kwargs=config_of(job), max_retries=job.max_attempts - 1)
        except Exception as error:  # one of its own, or of pika's
            raise NotSubmitted(repr(error)) from error

    def possible_queues(self) -> list[str]:
        """Its queue, and the one in which retries wait."""
        return [QUEUE, f"{QUEUE}.DQ"]

    def number_of(self, message: Any) -> int:
        """Of its message."""
        return int(message["kwargs"]["number"])
