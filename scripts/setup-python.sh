#!/usr/bin/env bash
# Makes .venv with what tests want from Python: numpy and scipy (tests/peers/reference.py) and Jupyter's clients
# (kernel/tests/jupyter).
# usage: scripts/setup-python.sh [python]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "needs Python 3.10 or newer; give another one: scripts/setup-python.sh /path/to/python" >&2
    exit 1
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy>=2,<3' 'scipy>=1.14,<2' -r kernel/tests/requirements.txt
.venv/bin/python -c 'import numpy, scipy; print("numpy", numpy.__version__, "scipy", scipy.__version__)'
.venv/bin/python -c 'import jupyter_client as j, nbconvert as n; print("jupyter_client", j.__version__, "nbconvert", n.__version__)'
