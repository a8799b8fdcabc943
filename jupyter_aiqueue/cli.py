"""``jupyter aiqueue …``: the private node, workers, and everything the magics do, for a shell.

Every command takes ``--json``. Exit codes: 0 done, 1 it could not be done (one sentence on
standard error says why), 2 wrong usage.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ._version import __version__
from .core.errors import AIQueueError, ConfigError
from .core.job import State

if TYPE_CHECKING:
    from .core.client import Client
    from .core.dead import DeadLetter
    from .core.handle import JobHandle
    from .core.job import JobRecord
    from .node import Node

Command = Callable[[argparse.Namespace], int]

_ID = "job id, or its beginning or end"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = _parse(arguments)
    try:
        code: int = options.run(options)
    except AIQueueError as error:
        if options.json:
            print(json.dumps({"error": type(error).__name__, "message": str(error)}))
        print(f"jupyter aiqueue: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output has left (`| head`)
        return 0
    return code


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = _parser()
    options, more = parser.parse_known_args(arguments)
    # Words after an option are left over where a list of words began before it.
    words = getattr(options, "words", None)
    if more and (words is None or any(word.startswith("-") for word in more)):
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    if words is not None:
        words += more
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter aiqueue", description="Queue-aware experiments on a shared RabbitMQ."
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def add(name: str, run: Command, summary: str) -> argparse.ArgumentParser:
        command = commands.add_parser(name, help=summary, description=summary)
        command.add_argument("--json", action="store_true", help="print one JSON object")
        command.set_defaults(run=run)
        return command

    up = add("up", _up, "Start your private RabbitMQ node (nothing happens if it runs).")
    up.add_argument("--groups", nargs="+", metavar="GROUP", help="worker groups to set up")
    up.add_argument(
        "--nodes",
        type=int,
        choices=[1, 3],
        help="3: a cluster on this machine, for tests (default: what ran last, at first 1)",
    )
    add("down", _down, "Stop your private node; queues and messages are kept.")

    setup = add("provision", _provision, "Set up a shared broker: queues, policies, groups.")
    setup.add_argument("--groups", nargs="+", metavar="GROUP", help="all worker groups")
    setup.add_argument(
        "--retry-delays", nargs="+", type=int, metavar="SECONDS", help="waits between attempts"
    )

    worker = add("worker", _worker, "Run jobs of a group, or of a plain producer's queue.")
    worker.add_argument("--group", help="worker group (default: the tasks file's, or train)")
    worker.add_argument(
        "--queue", action="append", default=[], metavar="NAME", help="also serve this plain queue"
    )
    worker.add_argument("--slots", type=int, help="jobs at a time (default: the tasks file's)")
    worker.add_argument(
        "--tasks", metavar="FILE", default="aiqueue.toml", help="tasks file (./aiqueue.toml)"
    )
    worker.add_argument("--name", help="name shown to users (default: host and process id)")

    status = add("status", _status, "How busy the system is.")
    status.add_argument(
        "--queue", action="append", default=[], metavar="NAME", help="also show this plain queue"
    )

    jobs = add("jobs", _jobs, "Recorded jobs, newest first.")
    jobs.add_argument("--notebook", metavar="FILE", help="only those of this notebook")
    states = [state.value for state in State]
    jobs.add_argument("--state", nargs="+", choices=states, help="only those in these states")
    jobs.add_argument("-n", "--limit", type=int, default=50, help="at most this many (50)")

    job = add("job", _job, "One job: its state, results, config, and why it is where it is.")
    job.add_argument("id", metavar="ID", help=_ID)
    job.add_argument("--log", action="store_true", help="print the end of its output only")

    submit = add("submit", _submit, "Submit one experiment.")
    submit.add_argument("task", help="task name, as in the workers' tasks file")
    submit.add_argument("words", nargs="*", metavar="KEY=VALUE", help="values by YAML rules")
    submit.add_argument("--config", dest="file", metavar="FILE", help="YAML, JSON or TOML file")
    submit.add_argument("--group", default="train", help="worker group (train)")
    submit.add_argument("--priority", choices=["high", "normal", "low"], default="normal")
    submit.add_argument("--retries", type=int, metavar="N", help="attempts beyond the first (2)")
    submit.add_argument(
        "--timeout", type=_duration, metavar="TIME", help="for one attempt: 90, 30m, 2h"
    )
    submit.add_argument("--name", help="a label for people")
    submit.add_argument("--notebook", metavar="FILE", help="record beside this notebook")
    submit.add_argument("--wait", action="store_true", help="wait until it has ended")

    cancel = add("cancel", _cancel, "Stop a job, or keep it from starting.")
    cancel.add_argument("id", metavar="ID", help=_ID)

    dead = add(
        "dead",
        _dead,
        "Jobs that could not be worked, and why. With a job id: everything about it.",
    )
    dead.add_argument(
        "words",
        nargs="*",
        metavar="GROUP|ID|KEY=VALUE",
        help="a group, job ids or parts of them, and with --retry changed config values",
    )
    dead.add_argument("--reason", metavar="WORD", help="only those with this reason")
    dead.add_argument(
        "-n",
        "--limit",
        type=int,
        metavar="N",
        help="at most this many (50, with --json 1000); 0: all",
    )
    dead.add_argument(
        "--save", metavar="FOLDER", help="write each as files: the body, and what is known of it"
    )
    acts = dead.add_mutually_exclusive_group()
    acts.add_argument("--retry", action="store_true", help="submit them again, as new jobs")
    acts.add_argument(
        "--discard", action="store_true", help="remove them; with --save: once they are on disk"
    )
    dead.add_argument("--yes", action="store_true", help="do not ask before acting on many")

    retry = add("retry", _retry, "Submit jobs that have ended again, as new jobs.")
    retry.add_argument(
        "words",
        nargs="+",
        metavar="ID|KEY=VALUE",
        help="job ids, or their beginnings or ends, and changed config values",
    )

    doctor = add(
        "doctor", _doctor, "Check the connection and the set-up, and say how to mend what is wrong."
    )
    doctor.epilog = "Exit codes: 0 nothing to mend, 1 a warning, 2 an error."
    add("recorder", _recorder, "Record job events beside notebooks, without a Jupyter server.")
    return parser


# -- the node and the broker -----------------------------------------------------------------


def _up(options: argparse.Namespace) -> int:
    from . import node

    def progress(line: str) -> None:
        print(line, file=sys.stderr)

    found = node.up(nodes=options.nodes, progress=progress, groups=options.groups)
    content: dict[str, Any] = {
        "state": "up",
        "location": found.location,
        "rabbitmq": found.rabbitmq,
        "data_dir": found.data_dir,
    }
    if found.members:
        content["nodes"] = _members(found)
    kind = "cluster" if found.members else "node"
    return _show(options, content, f"The private {kind} is up: {found.location}")


def _members(cluster: Node) -> list[dict[str, Any]]:
    """The nodes of a private cluster, and which of them run."""
    from . import node

    return [
        {"name": one.node_name, "location": one.location, "running": node.is_running(one)}
        for one in cluster.members
    ]


def _down(options: argparse.Namespace) -> int:
    from . import node

    stopped = node.down()
    return _show(
        options,
        {"state": "down", "was_running": stopped},
        "The private node is down." if stopped else "No private node was running.",
    )


def _provision(options: argparse.Namespace) -> int:
    from .core.config import find_broker
    from .core.provision import provision
    from .core.topology import DEFAULT_GROUPS, DEFAULT_RETRY_DELAYS, Catalog

    catalog = Catalog(
        groups=tuple(options.groups or DEFAULT_GROUPS),
        retry_delays=tuple(sorted(options.retry_delays or DEFAULT_RETRY_DELAYS)),
    )
    broker = find_broker()
    done = provision(broker, catalog, sweep=True)
    return _show(options, {"location": broker.location, "done": done}, "\n".join(done))


def _worker(options: argparse.Namespace) -> int:
    from .core.config import find_broker
    from .worker.app import Worker, install_signal_handlers
    from .worker.tasks import load_tasks

    find_broker()  # a broker that is not configured at all is an error now, not later
    tasks = load_tasks(options.tasks)
    group = options.group
    if group is None and tasks.group is None and not options.queue:
        group = "train"
    say: dict[str, Any] = {}
    if options.json:
        say["say"] = lambda line: print(json.dumps({"line": line}), flush=True)
    worker = Worker(
        find_broker,
        tasks,
        group=group,
        queues=options.queue,
        slots=options.slots,
        name=options.name,
        **say,
    )
    # Some supervisors ignore it, and their children inherit that: exit codes would be lost.
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    install_signal_handlers(worker)
    return worker.run()


def _recorder(options: argparse.Namespace) -> int:
    from .core.config import find_broker, find_inbox
    from .core.recorder import Recorder

    def tell(record: JobRecord) -> None:
        if options.json:
            print(msgspec.json.encode(record).decode(), flush=True)
        else:
            where = record.ledger or "?"
            print(f"{record.job_id}  {record.state.value:<10} {where}", flush=True)

    stop = threading.Event()
    recorder = Recorder(find_broker, find_inbox(), on_change=tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    recorder.start()
    said, told = False, list[str]()
    while not stop.wait(1.0 if said else 0.05):
        if recorder.connected and not said:
            said = True  # only now is it true
            line = f"Recording the inbox {recorder.inbox!r}; Ctrl-C stops."
            print(line, file=sys.stderr, flush=True)
        for trouble in recorder.troubles:
            if trouble not in told:
                print(trouble, file=sys.stderr)
        told = recorder.troubles
    recorder.stop()
    return 0


# -- looking ---------------------------------------------------------------------------------


def _status(options: argparse.Namespace) -> int:
    from .core.config import find_broker
    from .core.measure import measure
    from .node import status

    broker = find_broker()
    private = status() if broker.origin == "private node" else None
    members = _members(private) if private else []
    load = measure(broker, options.queue)
    if options.json:
        content = msgspec.to_builtins(load) | ({"nodes": members} if members else {})
        print(msgspec.json.encode(content).decode())
    else:
        from .core.text import load_text

        print(load_text(load))
        for member in members:
            state = "running" if member["running"] else "NOT running (`jupyter aiqueue up`)"
            print(f"Node {member['name']} at {member['location']}: {state}")
    return 0 if load.broker.state == "up" else 1


def _jobs(options: argparse.Namespace) -> int:
    with _Client() as client:
        records = client.records(notebook=options.notebook)
    if options.state:
        records = [record for record in records if record.state.value in options.state]
    records = records[: options.limit]
    if options.json:
        print(msgspec.json.encode({"jobs": records}).decode())
    else:
        from .core.text import jobs_text

        print(jobs_text(records))
    return 0


def _job(options: argparse.Namespace) -> int:
    with _Client() as client:
        handle = client.job(options.id)
        if options.log:
            text = handle.log()
            return _show(options, {"job_id": handle.id, "log": text}, text.rstrip("\n"))
        if options.json:
            print(msgspec.json.encode(handle.record).decode())
        else:
            from .core.text import job_text

            print(job_text(handle.record))
    return 0


def _dead(options: argparse.Namespace) -> int:
    from .core.parameters import parse_pairs

    words, pairs = _sort(options.words)
    if pairs and not options.retry:
        raise ConfigError(f"{pairs[0]!r} changes a config: that goes with --retry.")
    if options.save and options.retry:
        raise ConfigError("--save goes alone or with --discard; retry in a second command.")
    with _Client() as client:
        group, jobs = client.which_dead(words)
        which = {"group": group, "reason": options.reason}
        if options.save:
            saved = client.save_dead(options.save, jobs, discard=options.discard, **which)
            return _done(options, "saved", saved, saved.notes)
        if options.retry or options.discard:
            if not (jobs or options.yes):
                _ask(options, client.dead(limit=0, **which).total)
            if options.discard:
                discarded = client.discard_dead(jobs, **which)
                return _done(options, "discarded", discarded, discarded.notes)
            retried = client.retry_dead(jobs, changes=parse_pairs(pairs), **which)
            return _done_again(options, retried, retried.notes)
        limit = (1000 if options.json else 50) if options.limit is None else options.limit or None
        letters = client.dead(jobs=jobs, limit=limit, **which)
        records = [client.recorded(letter.job_id) if jobs else None for letter in letters]
    if options.json:
        for note in letters.notes:
            print(note, file=sys.stderr)
        content = {
            "dead": [_letter(*pair) for pair in zip(letters, records, strict=True)],
            "total": letters.total,
            "reasons": {reason or "unknown": n for reason, n in letters.counts},
        }
        print(msgspec.json.encode(content).decode())
    else:
        from .core.dead.text import letter_text, letters_text

        cards = [letter_text(*pair) for pair in zip(letters, records, strict=True)]
        print("\n\n".join(cards) if jobs else letters_text(letters))
    return 0


def _letter(letter: DeadLetter, record: JobRecord | None) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.structs.asdict(letter)
    found["id"] = letter.id
    if record is not None:
        found["log_tail"] = record.log_tail
    found["body"] = letter.body.decode("utf-8", "backslashreplace")
    return found


def _ask(options: argparse.Namespace, count: int) -> None:
    """Have the user agree to act on ``count`` letters; raises `ConfigError` if not."""
    act = "discard" if options.discard else "retry"
    if options.json or not sys.stdin.isatty():
        raise ConfigError(f"This would {act} {count} dead letters: add --yes to do it.")
    print(f"{act.capitalize()} {count} dead letters? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("Nothing was done.")


def _doctor(options: argparse.Namespace) -> int:
    from .core.config import find_broker, find_inbox
    from .core.doctor import examine, exit_code, findings_text

    findings = examine(find_broker, find_inbox)
    if options.json:
        print(msgspec.json.encode({"findings": findings}).decode())
    else:
        print(findings_text(findings))
    return exit_code(findings)


# -- acting ----------------------------------------------------------------------------------


def _submit(options: argparse.Namespace) -> int:
    from .core.parameters import parse_pairs, read_config_file

    config = read_config_file(Path(options.file)) if options.file else {}
    config |= parse_pairs(options.words)
    with _Client(notebook=options.notebook) as client:
        handle = client.submit(
            options.task,
            config,
            group=options.group,
            priority=options.priority,
            retries=options.retries,
            timeout=options.timeout,
            name=options.name,
        )
        for note in handle.notes:
            print(note, file=sys.stderr)
        if not options.wait:
            client.job(handle.id)  # so that the next command knows it, too
            return _show(
                options, {"job_id": handle.id, "place": handle.place}, f"Submitted {handle.id}"
            )
        record = handle.wait()
    if options.json:
        print(msgspec.json.encode(record).decode())
    else:
        from .core.text import job_text

        print(job_text(record))
    return 0 if record.state.value == "succeeded" else 1


def _cancel(options: argparse.Namespace) -> int:
    with _Client() as client:
        message = client.cancel(options.id)
    return _show(options, {"message": message}, message)


def _retry(options: argparse.Namespace) -> int:
    from .core.parameters import parse_pairs

    words, pairs = _sort(options.words)
    changes = parse_pairs(pairs)
    handles: list[JobHandle] = []
    failed: list[AIQueueError] = []
    with _Client() as client:
        for job_id in words:
            try:
                handles.append(client.retry(job_id, changes))
            except AIQueueError as error:
                failed.append(error)
    if not handles:
        raise failed[0] if failed else ConfigError("Which job? Give its id before what changes.")
    notes = [note for handle in handles for note in handle.notes]
    _done_again(options, handles, [*notes, *map(str, failed)], alone=len(words) == 1)
    return 1 if failed else 0


def _sort(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names, and ``KEY=VALUE`` pairs."""
    return [w for w in words if "=" not in w], [w for w in words if "=" in w]


def _done_again(
    options: argparse.Namespace,
    handles: Sequence[JobHandle],
    notes: Sequence[str],
    *,
    alone: bool = False,
) -> int:
    """Show new jobs; ``alone``: the one that was asked for."""
    jobs = [{"job_id": handle.id, "retry_of": handle.record.retry_of} for handle in handles]
    lines = [f"{job['retry_of']} is submitted again as {job['job_id']}" for job in jobs]
    for note in notes:
        print(note, file=sys.stderr)
    content = jobs[0] if alone else {"jobs": jobs}
    return _show(options, content, "\n".join(lines) or "No dead letters.")


def _done(
    options: argparse.Namespace, what: str, items: Sequence[object], notes: Sequence[str]
) -> int:
    names = [str(item) for item in items]
    for note in notes:
        print(note, file=sys.stderr)
    text = "\n".join(f"{what}: {name}" for name in names) or "No dead letters."
    return _show(options, {what: names}, text)


def _duration(text: str) -> float:
    from .core.parameters import parse_duration

    try:
        return parse_duration(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


class _Client:
    """A client for one command; what waits in the inbox is recorded on the way."""

    def __init__(self, notebook: str | None = None) -> None:
        from .core.client import Client

        self._client = Client(notebook=notebook)

    def __enter__(self) -> Client:
        return self._client

    def __exit__(self, *exc: object) -> None:
        self._client.close()


def _show(options: argparse.Namespace, content: dict[str, Any], text: str) -> int:
    print(json.dumps(content) if options.json else text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
