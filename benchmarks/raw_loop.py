"""The floor: a worker of 30 lines of plain pika. Takes one, runs it, acknowledges."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import partial

import pika

url, queue, script = sys.argv[1:4]
connection = pika.BlockingConnection(pika.URLParameters(url))
channel = connection.channel()
channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
channel.basic_qos(prefetch_count=1)


def work(tag: int, config: dict[str, str]) -> None:
    flags = [part for key, value in config.items() for part in (f"--{key}", str(value))]
    subprocess.run([sys.executable, script, *flags], check=False)
    connection.add_callback_threadsafe(partial(channel.basic_ack, tag))


def take(_: object, method: pika.spec.Basic.Deliver, __: object, body: bytes) -> None:
    threading.Thread(target=work, args=(method.delivery_tag, json.loads(body))).start()


channel.basic_consume(queue, take)
print("ready", flush=True)
channel.start_consuming()
