"""The Celery application: the settings that its documentation names for not losing tasks."""

from __future__ import annotations

from typing import Any

from celery import Celery

from .others import DELAYS, Failed, broker_url, work

QUEUE = "celery-jobs"

app = Celery("faults", broker=broker_url())
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=True,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    task_default_queue=QUEUE,
    task_default_queue_type="quorum",
    # Delayed retries through a quorum queue need a topic exchange.
    task_default_exchange=QUEUE,
    task_default_exchange_type="topic",
    task_default_routing_key=QUEUE,
    task_ignore_result=True,
    worker_send_task_events=False,
)


def _job(self: Any, **config: Any) -> None:
    """Run one job."""
    tried: int = self.request.retries
    try:
        work(config, tried + 1)
    except Failed as error:
        if tried >= config["retries"]:
            raise
        raise self.retry(
            exc=error, countdown=DELAYS[tried], max_retries=config["retries"]
        ) from error


job = app.task(bind=True, name="job")(_job)
