"""The magics: each is a few options and something of `core` to call."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class
from traitlets import Unicode

from ..core.errors import AIQueueError
from .arguments import duration
from .magic import magic, option, without_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..core.client import Client
    from ..core.handle import JobHandle
    from ..core.job import JobRecord
    from ..core.load import Load
    from ..core.plan import Plan
    from .dead_acts import Shown
    from .findings import Findings
    from .job_tables import Jobs
    from .panel import Panel
    from .workbench import Workbench

_STATES = ("held", "queued", "running", "retrying", "succeeded", "failed", "cancelled", "dead")

_WORDS = option("words", metavar="ID", nargs="+", help="job ids, or parts of them")
_ONE_JOB = option("job", metavar="ID", help="job id, or a part of it")
_JOB_OR_NEWEST = option(
    "job", metavar="ID", nargs="?", help="job id, or a part of it; else the newest job"
)
_OUTPUT = option("-o", "--output", metavar="VAR", help="bind the handle to this variable")
_QUEUES = option(
    "--queue",
    nargs="+",
    action="extend",
    default=[],
    metavar="NAME",
    help="also show these plain queues; the broker may know nothing of this package",
)

#: What a retry may have otherwise than the job that it repeats; its group is said where it can be.
_TERMS = (
    option("--task", metavar="NAME", help="run this task instead"),
    option("--priority", choices=["high", "normal", "low"], help="with this priority instead"),
    option("--retries", type=int, metavar="N", help="other attempts beyond the first"),
    option("--timeout", type=duration, metavar="TIME", help="for one attempt: 90, 30m, 2h"),
    option("--name", help="another label for people"),
)


#: What is to run, where and how; other values of the config follow.
_EXPERIMENT = (
    option("--model", metavar="NAME", help="config value model_type"),
    option("--data", metavar="PATH", help="config value data_path, as the worker sees it"),
    option("--task", default="train_model", help="what to run (train_model)"),
    option("--group", default="train", help="worker group (train)"),
    option(
        "--priority",
        choices=["high", "normal", "low"],
        default="normal",
        help="which line to wait in (normal)",
    ),
    option("--retries", type=int, metavar="N", help="attempts beyond the first (2)"),
)


@magics_class
class AIQueueMagics(Magics):
    """What ``%load_ext jupyter_aiqueue`` gives.

    Args:
        shell: the IPython shell.
        bench: what the magics share.
    """

    notebook = Unicode(
        "",
        help="""Path of the notebook that submitted jobs belong to. Found out when empty: from
        AIQUEUE_NOTEBOOK, the Jupyter server, or the front end.""",
    ).tag(config=True)

    def __init__(self, shell: Any, bench: Workbench) -> None:
        super().__init__(shell)
        self._bench = bench
        self._names: dict[str, Any] = shell.user_ns
        #: That no notebook is known is said once.
        self._said_homeless = False

    # -- the load ------------------------------------------------------------------------

    @magic(_QUEUES, option("--json", action="store_true", help="print the snapshot as JSON"))
    def queue_status(self, options: Namespace) -> Load | None:
        """How busy the system is: jobs waiting and running, workers, rates.

        Every number has its source and age; what is not known says "unknown".
        """
        load = self._bench.measure(options.queue)
        if not options.json:
            return load
        import msgspec

        _say(msgspec.json.encode(load).decode())
        return None

    @magic(_ONE_JOB)
    def queue_why(self, options: Namespace) -> None:
        """Why a job is where it is, in one sentence; what is behind it below.

        Who is ahead of it, what the workers do, when it would start; what a held job waits for,
        and what that is now. It may be somebody else's job.
        """
        _say(str(self._client().why(options.job)))

    @magic()
    def queue_doctor(self, _: Namespace) -> Findings:
        """Check everything between this notebook and the workers; say how to mend what is wrong."""
        from ..core.config import find_broker, find_inbox
        from ..core.doctor import examine
        from .findings import Findings

        return Findings(examine(find_broker, find_inbox))

    @magic(
        option("file", metavar="FILE", nargs="?", help="YAML, JSON or TOML: a config, or a list"),
        option("--count", type=int, default=1, metavar="N", help="as many jobs of each config (1)"),
        *_EXPERIMENT,
        option(
            "--at",
            action="append",
            default=[],
            metavar="TIME",
            help="and if submitted then: 06:00, or a date and time; may be repeated",
        ),
        option("--json", action="store_true", help="print the plan as JSON"),
        cell=True,
        config=True,
    )
    def queue_plan(self, options: Namespace) -> Plan | None:
        """When a batch would be done if it were submitted now, in an hour, tonight.

        The file holds one config as for %submit_train, or a list of them (YAML, JSON): one job
        each, or --count of them. Other `--key value` pairs, and the cell, are values that all of
        them have. Nothing is sent.
        """
        plan = self._client().plan(
            options.task,
            _configs(options),
            count=options.count,
            at=options.at,
            group=options.group,
            priority=options.priority,
            retries=options.retries,
        )
        for slip in options.slips:
            _say(slip)
        if not options.json:
            return plan
        import msgspec

        _say(msgspec.json.encode(plan).decode())
        return None

    @magic(_QUEUES)
    def queue_panel(self, options: Namespace) -> Panel:
        """The load, a form to submit, and your jobs, live, in one panel."""
        client = self._client()
        from .panel import Panel

        panel = Panel(client, queues=options.queue)
        self._bench.add_panel(panel)
        return panel

    # -- submitting ----------------------------------------------------------------------

    @magic(
        option("--config", metavar="FILE", help="read the config from YAML, JSON or TOML"),
        *_EXPERIMENT,
        option("--timeout", type=duration, metavar="TIME", help="for one attempt: 90, 30m, 2h"),
        option("--name", help="a label for people"),
        option(
            "--when",
            metavar="CONDITION",
            help="hold it until: 'wait < 10m', 'depth < 5', 'free_slots > 0', 'after 22:00'",
        ),
        option("--by", metavar="TIME", help="release it by then in any case: 08:00, or a date"),
        option("--expire", action="store_true", help="drop it at --by instead"),
        option("--dry-run", action="store_true", help="send nothing; say what would become of it"),
        option("--again", action="store_true", help="though the same has succeeded before"),
        option("--wait", action="store_true", help="wait until the job has ended"),
        _OUTPUT,
        cell=True,
        config=True,
    )
    def submit_train(self, options: Namespace) -> JobHandle | None:
        """Submit an experiment; when this returns, the broker has it on disk.

        Other `--key value` pairs are the experiment's config, with types by YAML rules: 10 and
        1e-3 are numbers, true is a boolean, [64, 32] a list, everything else text ('"10"' is
        text, too). A key without a value is true; a repeated one is a list. After a lone `--`
        also the names below are keys of the config.

        What has succeeded before, with the same task and config, is submitted with --again only.
        With --dry-run nothing is sent, and you are told what would become of it. With --when the
        broker holds the job for that moment, whether or not kernel and server
        live; %job_release puts it in line at once, %job_cancel drops it.

        %%submit_train takes the config as YAML, JSON or TOML in the cell; what is on the line
        wins over the cell, and the cell over the file of --config.
        """
        _check_variable(options.output)
        config = _config(options)
        terms = {
            "group": options.group,
            "priority": options.priority,
            "retries": options.retries,
            "timeout": options.timeout,
            "name": options.name,
        }
        hold = {"when": options.when, "by": options.by, "expire": options.expire}
        if options.dry_run:
            _say(str(self._client().rehearse(options.task, config, **terms, **hold)))
            return None
        if not options.again:
            self._client().check_new(options.task, config, **terms, **hold)
        handle = self._client().submit(options.task, config, **terms, **hold)
        handle.notes += options.slips
        if self._client().notebook is None and not self._said_homeless:
            self._said_homeless = True
            handle.notes.append(
                "It is not known which notebook this is: its jobs are recorded in "
                f"{self._client().ledgers.unattached}. AIQUEUE_NOTEBOOK tells the notebook's path."
            )
        if options.output is not None:
            self._names[options.output] = handle
        if options.wait:
            self._bench.display.show(handle)
            try:
                handle.wait()
            except KeyboardInterrupt as interrupt:
                without_traceback(interrupt, f"Stopped waiting; job {handle.id} goes on.")
                raise
        return handle

    @magic(
        _WORDS,
        option("--group", metavar="NAME", help="in this worker group instead"),
        *_TERMS,
        _OUTPUT,
        config=True,
    )
    def job_retry(self, options: Namespace) -> JobHandle | Jobs:
        """Submit jobs that have ended again, as new jobs.

        Other `--key value` pairs change their configs, as in %submit_train; `key=value` does, too,
        and after a lone `--` so do the names below. What is not said stays as it was. A
        dead letter is removed once the new job is safe. A job that only its dead letter knows
        can be sent again as well.
        """
        from .dead_acts import retry, table_of

        _check_variable(options.output)
        handles = retry(self._client(), options)
        if options.output is not None:
            self._names[options.output] = handles[0] if len(handles) == 1 else handles
        return handles[0] if len(handles) == 1 else table_of(handles)

    # -- jobs ----------------------------------------------------------------------------

    @magic(
        option("--all", action="store_true", help="of all notebooks, not only this one"),
        option(
            "--state",
            nargs="+",
            choices=_STATES,
            metavar="STATE",
            help="only in these states: " + ", ".join(_STATES),
        ),
        option("-n", type=int, default=20, metavar="N", help="at most this many (20); 0: all"),
    )
    def jobs(self, options: Namespace) -> Jobs:
        """Recorded jobs of this notebook, newest first."""
        from .job_tables import Jobs

        client = self._client()
        records = client.records(notebook=None if options.all else client.notebook)
        if options.state:
            records = [record for record in records if record.state.value in options.state]
        return Jobs(records[: options.n] if options.n > 0 else records, total=len(records))

    @magic(_JOB_OR_NEWEST)
    def job(self, options: Namespace) -> JobHandle:
        """One job, with a display that follows it; also after a restart of the kernel."""
        return self._job(options.job)

    @magic(
        _JOB_OR_NEWEST,
        option("-f", "--follow", action="store_true", help="go on until the job ends"),
    )
    def job_log(self, options: Namespace) -> None:
        """The last lines that a job has printed."""
        handle = self._job(options.job)
        if options.follow and not handle.state.is_final:
            from .log import follow

            follow(self._client(), handle)
        else:
            _say(handle.log().rstrip("\n") or _no_log(handle.record))

    @magic(option("jobs", metavar="ID", nargs="+", help="job ids, or parts of them"))
    def job_cancel(self, options: Namespace) -> None:
        """Stop jobs, or keep them from starting."""
        self._each(options.jobs, self._client().cancel)

    @magic(option("jobs", metavar="ID", nargs="+", help="job ids, or parts of them"))
    def job_release(self, options: Namespace) -> None:
        """Put held jobs in line now, whatever they wait for."""
        self._each(options.jobs, self._client().release)

    @magic(
        option(
            "words", metavar="GROUP|ID", nargs="*", help="a group, or job ids, or parts of them"
        ),
        option("--group", metavar="NAME", help="only those of this group"),
        option("--reason", metavar="WORD", help="only those with this reason"),
        option("-n", type=int, default=50, metavar="N", help="show at most this many (50); 0: all"),
        option("--retry-all", action="store_true", help="submit them again, as new jobs"),
        option("--save", metavar="FOLDER", help="write each as files: body, and what is known"),
        option(
            "--discard", action="store_true", help="remove them; with --save: once they are on disk"
        ),
        *_TERMS,
        config=True,
    )
    def dead_jobs(self, options: Namespace) -> Shown:
        """Jobs that could not be worked, and why; with a job id everything about it.

        Messages that cannot be read as jobs are here, too: --save writes them into files, and
        --discard removes what is named by ids, a group or --reason.

        With --retry-all, --task and the options below it change the new jobs, and other
        `--key value` pairs their configs. Each new job is confirmed by the broker before its
        dead letter is removed.

        The result is a list; its table() is a pandas DataFrame.
        """
        from .dead_acts import sort_out

        return sort_out(self._client(), options)

    def _each(self, jobs: Iterable[str], act: Callable[[str], str]) -> None:
        """Act on each of several jobs, and say what came of it; the first error is raised."""
        failed: AIQueueError | None = None
        jobs = list(jobs)
        for job_id in jobs:
            try:
                _say(act(job_id))
            except AIQueueError as error:
                failed = failed or error
                if len(jobs) > 1:
                    _say(str(error))
        if failed is not None:
            raise failed

    def _client(self) -> Client:
        return self._bench.client(self.notebook)

    def _job(self, job_id: str | None) -> JobHandle:
        """A job by its id; the newest one of this notebook without."""
        client = self._client()
        if job_id:
            return client.job(job_id)
        newest = client.records(notebook=client.notebook, limit=1)
        if not newest:
            raise UsageError("No job is recorded yet; give a job id.")
        return client.job(newest[0].job_id)


def _config(options: Namespace) -> dict[str, Any]:
    """File, cell and line, the later over the earlier."""
    from ..core.parameters import read_config_file

    config: dict[str, Any] = {}
    if options.config is not None:
        config |= read_config_file(Path(options.config).expanduser())
    return config | _said_here(options)


def _configs(options: Namespace) -> list[dict[str, Any]]:
    """The same with a file that may hold several."""
    from ..core.parameters import read_configs_file

    configs: list[dict[str, Any]] = [{}]
    if options.file is not None:
        configs = read_configs_file(Path(options.file).expanduser())
    return [config | _said_here(options) for config in configs]


def _said_here(options: Namespace) -> dict[str, Any]:
    """Cell and line."""
    from ..core.parameters import parse_config

    config: dict[str, Any] = {}
    if options.cell is not None:
        config |= parse_config(options.cell, source="The cell")
    if options.model is not None:
        config["model_type"] = options.model
    if options.data is not None:
        config["data_path"] = options.data
    config |= options.pairs
    return config


def _check_variable(name: str | None) -> None:
    if name is not None and not name.isidentifier():
        raise UsageError(f"-o {name}: that is no name of a variable.")


def _no_log(record: JobRecord) -> str:
    if record.result is None and record.started_at is not None and record.state.is_final:
        # Its worker was lost: what it has printed stayed where it was.
        return (
            f"What job {record.job_id} printed is not known here: it is on the machine of worker "
            f"{record.worker}, in the job's run folder."
        )
    return f"Job {record.job_id} has printed nothing."


def _say(text: str) -> None:
    print(text)  # noqa: T201
