"""What `%job_log -f` prints, and that nothing of it is missing or told twice."""

from __future__ import annotations

import io

from jupyter_aiqueue.core.events import Kind, make_event
from jupyter_aiqueue.core.job import Job
from jupyter_aiqueue.kernel.log import LogPrinter

JOB = Job(id="one", config={}, group="train")


def printed(*events):
    out = io.StringIO()
    printer = LogPrinter(out)
    for event in events:
        printer.take(event)
    return out.getvalue()


def test_what_came_with_the_end_only_is_printed():
    text = printed(
        make_event(Kind.LOG, JOB, log="epoch 1\n", log_offset=0),
        make_event(Kind.FAILED, JOB, log="epoch 1\nTraceback\n", log_offset=0),
    )
    assert text == "epoch 1\nTraceback\n"


def test_a_tail_that_was_printed_is_not_printed_again():
    text = printed(
        make_event(Kind.LOG, JOB, log="abc", log_offset=0),
        make_event(Kind.LOG, JOB, log="def", log_offset=3),
        make_event(Kind.SUCCEEDED, JOB, log="cdef", log_offset=2),
    )
    assert text == "abcdef"


def test_each_attempt_is_printed_to_its_end():
    text = printed(
        make_event(Kind.LOG, JOB, log="a", log_offset=0),
        make_event(Kind.RETRYING, JOB, log="ab", log_offset=0, reason="exit code 1"),
        make_event(Kind.STARTED, JOB, worker="w"),
        make_event(Kind.LOG, JOB, log="c", log_offset=0),
        make_event(Kind.SUCCEEDED, JOB, log="cd", log_offset=0),
    )
    assert [line for line in text.splitlines() if not line.startswith("──")] == ["ab", "cd"]


def test_a_misspelt_option_is_noticed():
    import argparse

    from jupyter_aiqueue.kernel.arguments import slips

    parser = argparse.ArgumentParser()
    parser.add_argument("--priority")
    parser.add_argument("--model")
    assert slips(parser, ["prority", "lr", "epochs"]) == [
        "--prority became a value of the config. Did you mean --priority?"
    ]
