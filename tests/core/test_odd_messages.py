"""Messages that the client library cannot decode must not end anybody's connection."""

from __future__ import annotations

import struct

import pika
import pika.data
import pytest

from jupyter_aiqueue.core.errors import InvalidJob
from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job, new_job_id
from jupyter_aiqueue.core.ledgers import Ledgers
from jupyter_aiqueue.core.message import decode_job, plain_config
from jupyter_aiqueue.core.transport import Session

QUEUE = "aiqueue.train.normal"


class Raw(bytes):
    """A header value as it is on the wire: its kind, then its bytes."""


def nested(depth: int) -> Raw:
    inner = struct.pack(">I", 0)
    for _ in range(depth):
        table = b"\x01aF" + inner
        inner = struct.pack(">I", len(table)) + table
    return Raw(b"F" + inner)


@pytest.fixture
def send(session: Session, monkeypatch):
    encode = pika.data.encode_value

    def tolerant(pieces, value):
        if isinstance(value, Raw):
            pieces.append(bytes(value))
            return len(value)
        return encode(pieces, value)

    def publish(**properties):
        with monkeypatch.context() as patch:
            patch.setattr(pika.data, "encode_value", tolerant)
            channel = session._main_channel()
            channel.basic_publish(
                "aiqueue.jobs",
                "train.normal",
                b'{"task_id": "odd"}',
                pika.BasicProperties(**properties),
                mandatory=True,
            )

    return publish


@pytest.mark.parametrize(
    "value",
    [Raw(b"T" + struct.pack(">Q", 1_700_000_000_000)), nested(3000)],
    ids=["a time in milliseconds", "a very deep table"],
)
def test_headers_that_cannot_be_decoded_are_told_of_as_such(session: Session, send, value):
    send(headers={"h": value})
    delivery = session.get(QUEUE)
    assert delivery is not None
    with pytest.raises(InvalidJob, match="headers of the message cannot be read"):
        decode_job(delivery.message, group="train")
    session.ack(delivery)  # the connection is as good as before


def test_properties_that_are_no_text_become_text(session: Session, send):
    send(message_id=b"\xff\xfeid", type=b"\xff", headers={b"\xfe": "x"})
    delivery = session.get(QUEUE)
    assert delivery is not None
    session.ack(delivery)
    assert delivery.message.message_id == "\\xff\\xfeid"
    assert delivery.message.headers["\\xfe"] == "x"


def test_numbers_of_numpy_are_sent_as_numbers():
    numpy = pytest.importorskip("numpy")
    config = {"lr": numpy.float64(0.1), "epochs": numpy.int64(3), "on": numpy.bool_(True)}
    assert plain_config(config) == {"lr": 0.1, "epochs": 3, "on": True}
    with pytest.raises(InvalidJob, match="ndarray"):
        plain_config({"x": numpy.zeros(3)})


@pytest.mark.parametrize("notebook", ["/", "/etc/passwd", "", "/tmp/\0.ipynb", "relative.ipynb"])
def test_an_event_names_no_file_that_is_not_a_notebook(tmp_path, notebook):
    ledgers = Ledgers(tmp_path)
    job = Job(id=new_job_id(), config={}, group="train", notebook=notebook)
    assert ledgers.place(make_event(Kind.SUBMITTED, job)) == ledgers.unattached
