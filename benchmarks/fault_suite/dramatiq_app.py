"""The Dramatiq actor: confirms on, and acknowledged when done, as it always does."""

from __future__ import annotations

from typing import Any

import dramatiq
from dramatiq.brokers.rabbitmq import RabbitmqBroker
from dramatiq.middleware import CurrentMessage

from .others import DELAYS, broker_url, work

QUEUE = "dramatiq-jobs"

broker = RabbitmqBroker(url=broker_url(), confirm_delivery=True)
broker.add_middleware(CurrentMessage())
dramatiq.set_broker(broker)


def _job(**config: Any) -> None:
    """Run one job; how often it is tried, its message says."""
    message = CurrentMessage.get_current_message()
    work(config, 1 + (message.options.get("retries", 0) if message is not None else 0))


job = dramatiq.actor(
    queue_name=QUEUE,
    actor_name="job",
    min_backoff=DELAYS[0] * 1000,
    max_backoff=DELAYS[-1] * 1000,
)(_job)
