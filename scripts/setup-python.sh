#!/usr/bin/env bash
# Makes .venv with numpy and scipy, which only the peers test needs (tests/peers/reference.py).
# usage: scripts/setup-python.sh [python]
set -eu
cd "$(dirname "$0")/.."
python=${1:-python3}
if ! "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
    echo "needs Python 3.10 or newer; give another one: scripts/setup-python.sh /path/to/python" >&2
    exit 1
fi
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check 'numpy>=2,<3' 'scipy>=1.14,<2'
.venv/bin/python -c 'import numpy, scipy; print("numpy", numpy.__version__, "scipy", scipy.__version__)'
