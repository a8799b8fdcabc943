"""What people install: a wheel, built from the sdist, in an environment without Node.js."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILT = ROOT / "jupyter_aiqueue" / "labextension" / "package.json"

#: Building and installing with all dependencies takes minutes where nothing is cached.
pytestmark = pytest.mark.timeout(900)


def run(*command: str | Path, env: dict[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(word) for word in command],
        env=env,
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-4000:]}"
    return done


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which calling Node.js fails, and no Jupyter folder is the user's."""
    traps = tmp_path_factory.mktemp("traps")
    for name in ("node", "npm", "npx", "yarn", "jlpm", "jupyter-builder"):
        trap = traps / name
        trap.write_text(f"#!/bin/sh\necho {name} was called >&2\nexit 1\n")
        trap.chmod(0o755)
    ours = ("AIQUEUE_", "JUPYTER_", "SKIP_JUPYTER_BUILDER", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    environment["PATH"] = f"{traps}{os.pathsep}{os.environ['PATH']}"
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        environment[name] = str(tmp_path_factory.mktemp(name.lower()))
    return environment


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory, without_node: dict[str, str]) -> Path:
    """The bin folder of a new environment with nothing but the wheel and what it requires."""
    if not BUILT.exists():
        reason = "The labextension is not built: `make test` builds it."
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--outdir", folder, ROOT, env=without_node, cwd=folder)
    (wheel,) = folder.glob("*.whl")
    assert len(list(folder.glob("*.tar.gz"))) == 1, "the wheel is built from the sdist"
    venv.create(folder / "fresh", with_pip=True)
    python = folder / "fresh" / "bin" / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel, env=without_node, cwd=folder)
    return python.parent


def test_the_server_extension_is_enabled_by_installing_the_wheel(
    fresh: Path, without_node: dict[str, str]
) -> None:
    command = (fresh / "jupyter-server", "extension", "list")
    done = run(*command, env=without_node, cwd=fresh)

    assert any("jupyter_aiqueue" in line and "OK" in line for line in done.stdout.splitlines()), (
        done.stdout
    )


def test_the_prebuilt_labextension_is_in_the_wheel_and_its_entry_is_there(fresh: Path) -> None:
    folder = fresh.parent / "share" / "jupyter" / "labextensions" / "jupyter-aiqueue"

    package = json.loads((folder / "package.json").read_text())

    assert (folder / package["jupyterlab"]["_build"]["load"]).is_file()
    assert (folder / "install.json").is_file()
    assert (folder / "schemas" / "jupyter-aiqueue").is_dir()


def test_the_command_and_the_magics_work_after_installing_the_wheel(
    fresh: Path, without_node: dict[str, str]
) -> None:
    done = run(fresh / "jupyter", "aiqueue", "--help", env=without_node, cwd=fresh)
    assert "worker" in done.stdout

    lines = "%load_ext jupyter_aiqueue\n%lsmagic"
    done = run(fresh / "ipython", "-c", lines, env=without_node, cwd=fresh)
    assert "submit_train" in done.stdout


def test_versions_of_package_and_labextension_are_the_same(
    fresh: Path, without_node: dict[str, str]
) -> None:
    code = "import jupyter_aiqueue; print(jupyter_aiqueue.__version__)"
    done = run(fresh / "python", "-I", "-c", code, env=without_node, cwd=fresh)

    package = json.loads((ROOT / "labextension" / "package.json").read_text())
    assert done.stdout.strip() == package["version"]
