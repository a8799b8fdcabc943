"""The tasks file: what it may say, and how it says what is wrong."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jupyter_aiqueue.core.errors import ConfigError, InvalidJob
from jupyter_aiqueue.worker.tasks import Lease, Retry, load_tasks


def write(folder: Path, text: str) -> Path:
    file = folder / "aiqueue.toml"
    file.write_text(text)
    return file


def test_a_tasks_file_says_everything_about_its_tasks(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    file = write(
        tmp_path,
        """
        group = "infer"
        slots = 3
        default_task = "train"
        [retry]
        delays = [5, 50]
        attempts = 4
        [limits]
        log_tail = 1000
        kill_after = 2
        drain = 30
        [lease]
        time = 90
        renew = 15.5
        grace = 10
        [tasks.train]
        command = ["python", "train.py", "--fast"]
        directory = "code"
        timeout = 60
        environment = { OMP_NUM_THREADS = "2" }
        [tasks.train.flags]
        model_type = "--model"
        secret = false
        [tasks.train.retry]
        delays = [1]
        [tasks.clean]
        command = ["rm-cache"]
        """,
    )
    tasks = load_tasks(file)
    assert (tasks.group, tasks.slots, tasks.default_task) == ("infer", 3, "train")
    assert (tasks.limits.log_tail, tasks.limits.kill_after, tasks.limits.drain) == (1000, 2, 30)
    assert tasks.lease == Lease(time=90, renew=15.5, grace=10)
    train = tasks.find("train")
    assert train.directory == str(tmp_path / "code")
    assert train.environment == {"OMP_NUM_THREADS": "2"}
    assert tasks.retry_of(train) == Retry(delays=(1,))
    assert tasks.retry_of(tasks.find("clean")) == Retry(delays=(5, 50), attempts=4)
    assert tasks.delays() == {1, 5, 50}
    assert train.argv({"model_type": "resnet50", "secret": "x", "epochs": 3}) == [
        sys.executable,
        "train.py",
        "--fast",
        "--model",
        "resnet50",
        "--epochs",
        "3",
    ]
    assert tasks.find("clean").argv({}) == ["rm-cache"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "tasks"),
        ("[tasks]", "declares no task"),
        ("speed = 3\n[tasks.a]\ncommand = ['x']", "the top of the file: unknown key `speed`"),
        ("[tasks.a]\ncomand = ['x']", "[tasks.a]: unknown key `comand`"),
        ("[tasks.a]\ncommand = ['x']\nname = 'b'", "[tasks.a]: unknown key `name`"),
        ("[tasks.a]\ntimeout = 3", "[tasks.a]"),
        ("[tasks.a]\ncommand = []", "[tasks.a]: `command` must be a list"),
        ("[tasks.a]\ncommand = 'x'", "[tasks.a]"),
        ("[tasks.a]\ncommand = ['x']\ntimeout = 0", "[tasks.a]: `timeout` must be"),
        ("[tasks.a]\ncommand = ['x']\ndirectory = 'none'", "none does not exist"),
        ("[tasks.a]\ncommand = ['x']\npython = 'no-such-python'", "there is no interpreter"),
        ("[tasks.a]\ncommand = ['x']\nflags = { m = 'model' }", "must start with '-'"),
        ("[tasks.a]\ncommand = ['x']\nflags = 3", "[tasks.a]: `flags` must be a table"),
        ("[tasks.a]\ncommand = ['x']\nenvironment = { N = 3 }", "[tasks.a]"),
        ("[retry]\ndelays = [0]\n[tasks.a]\ncommand = ['x']", "[retry]: `delays` needs"),
        ("[retry]\nattempts = 1001\n[tasks.a]\ncommand = ['x']", "`attempts` must be 1 to 1000"),
        ("[tasks.a]\ncommand = ['x']\ntimeout = inf", "leave it out for no limit"),
        ("[tasks.a]\ncommand = ['x']\nenvironment = { 'A=' = '' }", "`environment` cannot hold"),
        ("[tasks.a]\ncommand = ['x']\ndirectory = '~nobody-at-all'", "`directory` cannot be used"),
        ("[tasks.a]\ncommand = ['x']\npython = '~nobody-at-all/p'", "`python` cannot be used"),
        (f"a = {'[' * 3000}", "cannot be read"),
        ("[limits]\nkill_after = inf\n[tasks.a]\ncommand = ['x']", "or infinite"),
        ("[retry]\ndelay = [1]\n[tasks.a]\ncommand = ['x']", "[retry]: unknown key `delay`"),
        ("[limits]\ndrain = -1\n[tasks.a]\ncommand = ['x']", "[limits]: `drain` must not"),
        ("[limits]\ndrain = nan\n[tasks.a]\ncommand = ['x']", "[limits]: `drain` must not"),
        ("[lease]\ntime = 0.5\n[tasks.a]\ncommand = ['x']", "[lease]: `time` must be 1 to 3600"),
        ("[lease]\ntime = inf\n[tasks.a]\ncommand = ['x']", "[lease]: `time` must be 1 to 3600"),
        ("[lease]\ntime = nan\n[tasks.a]\ncommand = ['x']", "[lease]: `time` must be 1 to 3600"),
        ("[lease]\nrenew = 0\n[tasks.a]\ncommand = ['x']", "[lease]: `renew` must be at least"),
        ("[lease]\nrenew = nan\n[tasks.a]\ncommand = ['x']", "[lease]: `renew` must be at least"),
        ("[lease]\nrenew = 20.1\n[tasks.a]\ncommand = ['x']", "at most a third of `time` (20 sec"),
        ("[lease]\ngrace = 0\n[tasks.a]\ncommand = ['x']", "[lease]: `grace` must be 1 to 3600"),
        ("[lease]\ngrace = '9'\n[tasks.a]\ncommand = ['x']", "[lease]"),
        ("[lease]\nterm = 9\n[tasks.a]\ncommand = ['x']", "known are grace, renew, time"),
        ("lease = 9\n[tasks.a]\ncommand = ['x']", "the top of the file"),
        ("slots = 0\n[tasks.a]\ncommand = ['x']", "`slots` must be at least 1"),
        ("default_task = 'b'\n[tasks.a]\ncommand = ['x']", "the tasks are a"),
        ("group = 'a.b'\n[tasks.a]\ncommand = ['x']", "'a.b' is not usable"),
        ("[tasks.a", "cannot be read"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_table(tmp_path: Path, text: str, said: str) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load_tasks(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)


def test_a_lease_is_renewed_every_third_of_its_time_unless_told_otherwise(tmp_path: Path) -> None:
    assert load_tasks(write(tmp_path, "[tasks.a]\ncommand = ['x']")).lease == Lease()
    assert (Lease().time, Lease().renewal, Lease().grace) == (60, 20, 30)
    assert Lease(time=90).renewal == 30
    assert Lease(time=3, renew=1, grace=2).renewal == 1
    assert Lease(time=3.3, renew=1.1).renewal == 1.1


def test_a_missing_file_is_explained_with_an_example(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"\[tasks\.train_model\]"):
        load_tasks(tmp_path / "none.toml")


def test_a_task_that_is_not_declared_is_refused_with_how_to_name_another(tmp_path: Path) -> None:
    tasks = load_tasks(write(tmp_path, "[tasks.finetune]\ncommand = ['x']"))
    with pytest.raises(InvalidJob) as caught:
        tasks.find("train_model")
    for said in ("'train_model'", "it knows finetune", "`--task`"):
        assert said in str(caught.value)


def test_the_only_task_is_the_default_and_one_of_several_is_not(tmp_path: Path) -> None:
    one = load_tasks(write(tmp_path, "[tasks.a]\ncommand = ['x']"))
    assert one.find(None).name == "a"
    two = load_tasks(write(tmp_path, "[tasks.a]\ncommand = ['x']\n[tasks.b]\ncommand = ['x']"))
    with pytest.raises(InvalidJob, match="names no task") as caught:
        two.find(None)
    assert caught.value.reason == "unknown-task"
    with pytest.raises(InvalidJob, match="knows a, b"):
        two.find("rm")


def test_python_stands_for_the_workers_own_interpreter_or_the_tasks(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    tasks = load_tasks(
        write(
            tmp_path,
            "[tasks.a]\ncommand = ['python', 'x.py']\n"
            "[tasks.b]\ncommand = ['python', 'x.py']\npython = 'bin/python'\n",
        )
    )
    assert tasks.find("a").argv({})[0] == sys.executable
    assert tasks.find("b").argv({})[0] == str(tmp_path / "bin" / "python")
