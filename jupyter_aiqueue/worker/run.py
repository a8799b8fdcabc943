"""One run: a subprocess in a session of its own, from start to the last of its processes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec

from ..core.errors import AIQueueError
from ..core.job import now
from . import processes
from .folder import RunFolder
from .output import Output
from .reports import Reports
from .tasks import Limits
from .tree import Tree
from .warden import Warden

#: Seconds between looks at the report file, and between events of one kind for one job.
_LOOK = 0.25
_LIVE = 1.0

#: Seconds after the start when memory is measured: often at first, so that short runs have
#: numbers too, then every `_SAMPLE`.
_FIRST_SAMPLES = (0.03, 0.1, 0.3)
_SAMPLE = 1.0

#: Seconds to wait for killed processes to be gone; one that waits for a device may not be.
_AFTER_KILL = 5.0


class CannotStart(AIQueueError):
    """The command of a task could not be started."""


class Stop(Enum):
    """Why a run was stopped from outside."""

    CANCEL = "cancel"
    TIMEOUT = "timeout"
    GIVE_BACK = "give back"
    #: The job has ended on another worker.
    ELSEWHERE = "elsewhere"


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended. Negative exit codes are signals; None: it never started."""

    exit_code: int | None
    stopped: Stop | None = None
    duration_s: float | None = None
    cpu_s: float | None = None
    peak_memory_bytes: int | None = None
    #: Processes that could not be ended.
    left: int = 0
    #: Why it could not be started, or why how it ended is not known.
    error: str | None = None


def child_environment(
    folder: RunFolder, job_id: str, attempt: int, extra: Mapping[str, str]
) -> dict[str, str]:
    """The environment of a run: the worker's, without anything that tells of the broker."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AIQUEUE_")}
    environment |= {"PYTHONUNBUFFERED": "1", **extra}
    environment |= {
        "AIQUEUE_REPORT": str(folder.report),
        "AIQUEUE_CONFIG": str(folder.config),
        "AIQUEUE_JOB_ID": job_id,
        "AIQUEUE_ATTEMPT": str(attempt),
    }
    return environment


class Run:
    """A subprocess and how it goes. `stop` may be called from any thread, also before `start`.

    Args:
        token: tells this run apart from all others; its processes carry it.
        timeout: seconds the run may take.
        warden: ends the run's processes if this one is killed.
        on_report: called in the thread of `wait` with progress and metrics when they changed.
        on_output: called there with position and text of new output.
        later: seconds after the start, and what is then called there, in order of time. Work
            that can wait shall not compete with the start of the child.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        folder: RunFolder,
        directory: str,
        environment: Mapping[str, str],
        token: str,
        limits: Limits,
        timeout: float | None = None,
        warden: Warden | None = None,
        on_report: Callable[[float | None, dict[str, Any]], None] | None = None,
        on_output: Callable[[int, str], None] | None = None,
        later: Sequence[tuple[float, Callable[[], object]]] = (),
    ) -> None:
        self.output = Output(folder.log, file_limit=limits.log_file, tail_limit=limits.log_tail)
        self.reports = Reports(folder.report)
        self.started_at = now()
        self._argv, self._directory = list(argv), directory
        self._environment = {**environment, processes.RUN: token}
        if warden is not None:
            self._environment[processes.WORKER] = warden.token
        self._token, self._warden = token, warden
        self._limits, self._timeout = limits, timeout
        self._on_report, self._on_output = on_report, on_output
        self._later = list(later)
        self._attention = threading.Event()
        self._stop: Stop | None = None
        self._lock = threading.Lock()
        self._exited = False
        self._status: tuple[int | None, float, int] | None = None

    def stop(self, why: Stop) -> None:
        """Have the whole process tree ended; the first reason counts."""
        with self._lock:
            self._stop = self._stop or why
        self._attention.set()

    @property
    def stopping(self) -> Stop | None:
        """Why it is being stopped, or None."""
        return self._stop

    def start(self) -> None:
        """Start the subprocess. Raises `CannotStart`."""
        self._begun = time.monotonic()
        self.started_at = now()
        try:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self._directory,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise CannotStart(
                f"{self._argv[0]} could not be started in {self._directory}: {reason}"
            ) from error
        if self._warden is not None:
            self._warden.watch(self._process.pid)
        self._tree = Tree(self._process.pid, self._token)
        pipe: Any = self._process.stdout
        self._pump = threading.Thread(target=self.output.pump, args=(pipe,), daemon=True)
        try:
            self._pump.start()
            threading.Thread(target=self._await_exit, daemon=True).start()
        except RuntimeError as error:  # no more threads
            self._abandon()
            raise CannotStart(f"{self._argv[0]} could not be watched: {error}") from error

    def wait(self) -> Ended:
        """Watch the run until its last process is gone."""
        try:
            return self._watch()
        except BaseException:
            self._abandon()
            raise
        finally:
            if self._warden is not None:
                self._warden.forget(self._process.pid)

    def _abandon(self) -> None:
        """Whatever went wrong with the watching: nothing runs on unwatched."""
        self._tree.signal(signal.SIGKILL)
        self._clean_up(time.monotonic())

    def _watch(self) -> Ended:
        samples = list(_FIRST_SAMPLES)
        next_sample = self._begun + samples.pop(0)
        deadline = float("inf") if self._timeout is None else self._begun + self._timeout
        kill_at = float("inf")
        while not self._exited:
            next_call = self._begun + self._later[0][0] if self._later else float("inf")
            moment = time.monotonic()
            self._attention.wait(max(0.0, min(_LOOK, next_sample - moment, next_call - moment)))
            self._attention.clear()
            moment = time.monotonic()
            if moment >= deadline:
                self.stop(Stop.TIMEOUT)
            if self._stop is not None and kill_at == float("inf") and not self._exited:
                self._tree.signal(signal.SIGTERM)
                kill_at = moment + self._limits.kill_after
            elif moment >= kill_at and not self._exited:
                self._tree.signal(signal.SIGKILL)
            if moment >= next_sample and not self._exited:
                self._tree.sample(whole=not samples)
                next_sample = moment + (samples.pop(0) if samples else _SAMPLE)
            if moment >= next_call and not self._exited:
                self._later.pop(0)[1]()
            self._tell()
        # Read now: what comes during the clean-up does not change how the command ended.
        stopped, duration = self._stop, time.monotonic() - self._begun
        left = self._clean_up(min(kill_at, time.monotonic() + self._limits.kill_after))
        self._finish_output()
        code, cpu, memory = self._collect()
        unknown = "its exit code went elsewhere: the worker was started with SIGCHLD ignored"
        return Ended(
            exit_code=code,
            error=unknown if code is None and stopped is None else None,
            stopped=stopped,
            duration_s=round(duration, 3),
            cpu_s=round(max(cpu, self._tree.cpu_s or 0.0), 3),
            peak_memory_bytes=self._peak(memory),
            left=left,
        )

    def _await_exit(self) -> None:
        try:
            if hasattr(os, "waitid"):
                # Not reaped yet: as long as it is a zombie, its id names nobody else.
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
            else:
                self._reap()
        except ChildProcessError:
            pass  # see `_reap`
        finally:
            self._exited = True
            self._attention.set()

    def _reap(self) -> None:
        try:
            _, status, usage = os.wait4(self._process.pid, 0)
        except ChildProcessError:
            # The kernel does not keep it for a process that ignores SIGCHLD (wait(2)).
            self._process.returncode, self._status = 0, (None, 0.0, 0)
            return
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self._status = code, usage.ru_utime + usage.ru_stime, usage.ru_maxrss

    def _collect(self) -> tuple[int | None, float, int]:
        if self._status is None:
            self._reap()
        assert self._status is not None
        return self._status

    def _peak(self, ru_maxrss: int) -> int | None:
        # The kernel counts what the child shared with this process before it ran its own
        # program, so only a number above our own tells something of the child.
        import resource

        unit = 1 if os.uname().sysname == "Darwin" else 1024
        if ru_maxrss > resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
            return max(ru_maxrss * unit, self._tree.peak_memory or 0)
        return self._tree.peak_memory

    def _clean_up(self, kill_at: float) -> int:
        """End what the command left behind; return how many could not be ended."""
        asked = False
        while left := self._tree.members():
            moment = time.monotonic()
            if moment > kill_at + _AFTER_KILL:
                break
            if moment >= kill_at:
                self._tree.signal(signal.SIGKILL)
            elif not asked:
                self._tree.signal(signal.SIGTERM)
                asked = True
            time.sleep(0.02)
        return len(left)

    def _finish_output(self) -> None:
        # The pipe ends with its last writer; a writer that cannot be killed shall not hold us.
        self._pump.join(_AFTER_KILL)
        if self._process.stdout is not None and not self._pump.is_alive():
            self._process.stdout.close()
        self.reports.read(final=True)

    _told_report = _told_output = 0.0
    _news = False

    def _tell(self) -> None:
        moment = time.monotonic()
        self._news = self.reports.read() or self._news
        if self._news and self._on_report and moment - self._told_report >= _LIVE:
            self._told_report, self._news = moment, False
            self._on_report(self.reports.progress, dict(self.reports.metrics))
        if self._on_output and moment - self._told_output >= _LIVE:
            news = self.output.news()
            if news is not None:
                self._told_output = moment
                self._on_output(*news)
