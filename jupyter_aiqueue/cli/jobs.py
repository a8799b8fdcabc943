"""Recorded jobs, and everything that is done with one: submit, look, cancel, retry."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..core.errors import AIQueueError, ConfigError
from ..core.job import State
from .command import (
    ID,
    Commands,
    add_experiment,
    add_terms,
    check_task,
    duration,
    open_client,
    show,
    show_again,
    sort,
)

if TYPE_CHECKING:
    from ..core.handle import JobHandle


def add_looking(commands: Commands) -> None:
    """``jobs``, ``job`` and ``why``."""
    jobs = commands.add("jobs", _jobs, "Recorded jobs, newest first.")
    jobs.add_argument("--notebook", metavar="FILE", help="only those of this notebook")
    states = [state.value for state in State]
    jobs.add_argument("--state", nargs="+", choices=states, help="only those in these states")
    jobs.add_argument("-n", "--limit", type=int, default=50, help="at most this many (50)")

    job = commands.add("job", _job, "One job: its state, results and config.")
    job.add_argument("id", metavar="ID", help=ID)
    job.add_argument("--log", action="store_true", help="print the end of its output only")

    why = commands.add("why", _why, "Why a job is where it is, and when it would start.")
    why.add_argument("id", metavar="ID", help=f"{ID}; it may be somebody else's")


def add_acting(commands: Commands) -> None:
    """``submit``, ``release`` and ``cancel``."""
    submit = commands.add("submit", _submit, "Submit one experiment.")
    add_experiment(submit, words="values by YAML rules", config="YAML, JSON or TOML file")
    submit.add_argument(
        "--timeout", type=duration, metavar="TIME", help="for one attempt: 90, 30m, 2h"
    )
    submit.add_argument("--name", help="a label for people")
    submit.add_argument(
        "--when",
        metavar="CONDITION",
        help="hold it until: 'wait < 10m', 'depth < 5', 'free_slots > 0', 'after 22:00'",
    )
    submit.add_argument(
        "--by", metavar="TIME", help="release it by then in any case: 08:00, or a date and time"
    )
    submit.add_argument("--expire", action="store_true", help="drop it at --by instead")
    submit.add_argument(
        "--dry-run", action="store_true", help="send nothing; say what would become of it"
    )
    submit.add_argument(
        "--again", action="store_true", help="though exactly this has succeeded before"
    )
    submit.add_argument("--notebook", metavar="FILE", help="record beside this notebook")
    submit.add_argument("--wait", action="store_true", help="wait until it has ended")

    release = commands.add("release", _release, "Put a held job in line now.")
    release.add_argument("id", metavar="ID", help=ID)

    cancel = commands.add("cancel", _cancel, "Stop a job, or keep it from starting.")
    cancel.add_argument("id", metavar="ID", help=ID)


def add_retry(commands: Commands) -> None:
    """``retry``."""
    retry = commands.add("retry", _retry, "Submit jobs that have ended again, as new jobs.")
    retry.add_argument(
        "words",
        nargs="+",
        metavar="ID|KEY=VALUE",
        help="job ids, or parts of them, and changed config values",
    )
    retry.add_argument("--group", metavar="NAME", help="in this worker group instead")
    add_terms(retry)


def _jobs(options: argparse.Namespace) -> int:
    with open_client() as client:
        records = client.records(notebook=options.notebook)
    if options.notebook and not records and not Path(options.notebook).exists():
        raise ConfigError(f"There is no notebook {options.notebook}, and no ledger of one.")
    if options.state:
        records = [record for record in records if record.state.value in options.state]
    records = records[: options.limit]
    if options.json:
        print(msgspec.json.encode({"jobs": records}).decode())
    else:
        from ..core.text import jobs_text

        print(jobs_text(records))
    return 0


def _job(options: argparse.Namespace) -> int:
    with open_client() as client:
        handle = client.job(options.id)
        if options.log:
            text = handle.log()
            return show(options, {"job_id": handle.id, "log": text}, text.rstrip("\n"))
        if options.json:
            print(msgspec.json.encode(handle.record).decode())
        else:
            from ..core.text import job_text

            print(job_text(handle.record))
    return 0


def _why(options: argparse.Namespace) -> int:
    with open_client() as client:
        found = client.why(options.id)
    return show(options, msgspec.to_builtins(found), str(found))


def _submit(options: argparse.Namespace) -> int:
    from ..core.parameters import parse_pairs, read_config_file

    check_task(options.task, "submit")
    config = read_config_file(Path(options.file)) if options.file else {}
    config |= parse_pairs(options.words)
    terms = {
        "group": options.group,
        "priority": options.priority,
        "retries": options.retries,
        "timeout": options.timeout,
        "name": options.name,
    }
    hold = {"when": options.when, "by": options.by, "expire": options.expire}
    with open_client(notebook=options.notebook) as client:
        if options.dry_run:
            rehearsed = client.rehearse(options.task, config, **terms, **hold)
            content = {"sentences": rehearsed.sentences, **msgspec.to_builtins(rehearsed)}
            return show(options, content, str(rehearsed))
        if not options.again:
            client.check_new(options.task, config, **terms, **hold)
        handle = client.submit(options.task, config, **terms, **hold)
        for note in handle.notes:
            print(note, file=sys.stderr)
        if not options.wait:
            client.job(handle.id)  # so that the next command knows it, too
            return show(
                options, {"job_id": handle.id, "place": handle.place}, f"Submitted {handle.id}"
            )
        print(f"Submitted {handle.id}", file=sys.stderr)
        try:
            record = handle.wait()
        except KeyboardInterrupt:
            print(
                f"Stopped waiting; job {handle.id} goes on. `jupyter aiqueue job {handle.id}` "
                "shows it.",
                file=sys.stderr,
            )
            raise
    if options.json:
        print(msgspec.json.encode(record).decode())
    else:
        from ..core.text import job_text

        print(job_text(record))
    return 0 if record.state.value == "succeeded" else 1


def _cancel(options: argparse.Namespace) -> int:
    with open_client() as client:
        message = client.cancel(options.id)
    return show(options, {"message": message}, message)


def _release(options: argparse.Namespace) -> int:
    with open_client() as client:
        message = client.release(options.id)
    return show(options, {"message": message}, message)


def _retry(options: argparse.Namespace) -> int:
    from ..core.parameters import parse_pairs
    from ..core.submitting import Terms

    words, pairs = sort(options.words)
    changes, terms = parse_pairs(pairs), Terms.of(options).said
    handles: list[JobHandle] = []
    failed: list[AIQueueError] = []
    with open_client() as client:
        for job_id in words:
            try:
                handles.append(client.retry(job_id, changes, **terms))
            except AIQueueError as error:
                failed.append(error)
    if not handles:
        raise failed[0] if failed else ConfigError("Which job? Give its id before what changes.")
    show_again(options, handles, [str(error) for error in failed], alone=len(words) == 1)
    return 1 if failed else 0
