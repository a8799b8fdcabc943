"""A worker whose training script does as many epochs as the test allows it, and no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import psutil
from waiting import eventually

#: Takes the flags that training scripts take. It goes on when the file with its job's id
#: says so: a number of epochs, or "fail".
SCRIPT = """
import argparse, math, os, subprocess, sys, time
from pathlib import Path
from jupyter_aiqueue import report

parser = argparse.ArgumentParser()
parser.add_argument("--model")
parser.add_argument("--data")
parser.add_argument("--epochs", type=int, default=4)
parser.add_argument("--lr", type=float)
parser.add_argument("--loaders", type=int, default=0)
flags = parser.parse_args()

stage, job = Path(os.environ["STAGE"]), os.environ["AIQUEUE_JOB_ID"]
# Like data loaders that a cancel of the script alone would leave behind.
forever = [sys.executable, "-c", "import time; time.sleep(600)"]
children = [subprocess.Popen(forever, start_new_session=True) for _ in range(flags.loaders)]
pids = [os.getpid(), *(child.pid for child in children)]
(stage / f"{job}.new").write_text(" ".join(map(str, pids)))
(stage / f"{job}.new").rename(stage / f"{job}.pids")

def allowed(epoch):
    if (stage / "everything").exists():
        return True
    word = (stage / job).read_text() if (stage / job).exists() else "0"
    if word == "fail":
        sys.exit(f"CUDA out of memory in epoch {epoch}")
    return epoch <= int(word)

print(f"{flags.model} on {flags.data}", flush=True)
abandoned = time.monotonic() + 300
for epoch in range(1, flags.epochs + 1):
    while not allowed(epoch):
        if time.monotonic() > abandoned:
            sys.exit("the test is gone")
        time.sleep(0.02)
    loss, accuracy = 0.06 + 2.2 * math.exp(-0.4 * epoch), 0.98 - 0.9 * math.exp(-0.5 * epoch)
    print(f"epoch {epoch:2d}/{flags.epochs}  loss {loss:.4f}  accuracy {accuracy:.4f}", flush=True)
    report(
        progress=epoch / flags.epochs,
        metrics={"epoch": epoch, "loss": round(loss, 4), "accuracy": round(accuracy, 4)},
    )
"""

TASKS = """
group = "train"
slots = 2
[limits]
kill_after = 2.0
[tasks.train_model]
command = ["python", "train_model.py"]
[tasks.train_model.environment]
STAGE = "{stage}"
[tasks.train_model.flags]
model_type = "--model"
data_path = "--data"
"""


class Training:
    """A worker with two slots, in a process of its own; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stage = folder / "stage"
        self._stage.mkdir(parents=True)
        self._log = folder / "worker.log"
        (folder / "train_model.py").write_text(SCRIPT)
        (folder / "aiqueue.toml").write_text(TASKS.format(stage=self._stage))

    def __enter__(self) -> Training:
        command = [sys.executable, "-m", "jupyter_aiqueue.cli", "worker", "--name", "gpu-box"]
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, "--tasks", str(self._folder / "aiqueue.toml")],
                cwd=self._folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.let_everything(True)
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def said(self) -> str:
        """What the worker printed."""
        return self._log.read_text()

    def let(self, job: str, word: int | str) -> None:
        """Allow a job so many epochs in all, or make it "fail"."""
        new = self._stage / f"{job}.word"
        new.write_text(str(word))
        new.rename(self._stage / job)

    def let_everything(self, go: bool) -> None:
        """Let all jobs run to their end from now on, or only as they are told."""
        if go:
            (self._stage / "everything").touch()
        else:
            (self._stage / "everything").unlink()

    def processes(self, job: str) -> list[psutil.Process]:
        """The script of a job and its children, once they run."""
        file = self._stage / f"{job}.pids"
        text = eventually(
            lambda: file.exists() and file.read_text(), timeout=30, message=f"{job} never started"
        )
        return [psutil.Process(int(pid)) for pid in str(text).split()]
