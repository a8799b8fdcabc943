"""Celery."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Any

from .contender import NotSubmitted
from .others import Other, config_of
from .schedule import PlannedJob

QUEUE = "celery-jobs"

#: Its queues of delays double from one second; retries here wait for at most a few.
_DELAY_LEVELS = 28


class CeleryContender(Other):
    """Celery with late acknowledgement, confirms and quorum queues."""

    name = "celery"

    def settings(self) -> dict[str, str]:
        """Versions, and what `celery_app` sets."""
        return {
            "celery": version("celery"),
            "kombu": version("kombu"),
            "settings": "acks_late, reject_on_worker_lost, confirm_publish, prefetch 1, "
            "cancel_long_running_tasks_on_connection_loss, prefork",
            "queues": "quorum, native delayed delivery",
        }

    def prepare(self) -> None:
        """Have the queues made, as ours are, before anything is killed."""
        super().prepare()
        from kombu.transport.native_delayed_delivery import (
            bind_queue_to_native_delayed_delivery_exchange,
            declare_native_delayed_delivery_exchanges_and_queues,
        )

        from .celery_app import app

        with app.connection_for_write() as connection:
            declare_native_delayed_delivery_exchanges_and_queues(connection, "quorum")
            queue = app.amqp.queues[QUEUE].bind(connection.default_channel)
            queue.declare()
            bind_queue_to_native_delayed_delivery_exchange(connection, queue)

    def worker(
        self,
        worker: int,
        incarnation: int,
        hosts: list[tuple[str, int]],
    ) -> tuple[list[str], dict[str, str]]:
        """As its documentation starts it."""
        argv = [sys.executable, "-m", "celery", "-A", "benchmarks.fault_suite.celery_app"]
        argv += ["worker", "--concurrency", str(self.schedule.slots)]
        argv += ["--hostname", f"w{worker}-{incarnation}@faults", "--loglevel", "WARNING"]
        return argv, self.environment(hosts)

    def submit(self, job: PlannedJob) -> None:
        """With a confirm."""
        from .celery_app import job as task

        try:
            task.apply_async(kwargs=config_of(job), retry=False)
        except Exception as error:  # one of kombu's, of the transport's, or of the system's
            raise NotSubmitted(repr(error)) from error

    def possible_queues(self) -> list[str]:
        """Its queue, and those in which retries wait."""
        return [QUEUE, *(f"celery_delayed_{level}" for level in range(_DELAY_LEVELS))]

    def number_of(self, message: Any) -> int:
        """Of ``[args, kwargs, embed]``."""
        return int(message[1]["number"])
