#!/usr/bin/env python3
"""Ravine against independent solvers on random programs:

    cargo build --release && python3 scripts/differential [FAMILY...] [--seed S] [--count N] [--binary FILE] [--out FOLDER]

Each family makes COUNT programs from consecutive seeds (the same seed makes the same program), runs them, and holds verdict, objective,
feasibility and duals against CVXPY (HiGHS, Clarabel) or Ipopt. A disagreement prints one line with the saved program; at the end
stands a table. The families are the functions of families.py and nonlinear.py. Exit code 1 if a number, a verdict or a dual is in doubt, or a run broke.
"""

import argparse
import collections
import os
import pathlib
import sys
import time
import warnings
import zlib

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
try:
    import cvxpy  # noqa: F401
except ImportError:
    from peers import peers_python

    python = peers_python()
    os.execv(python, [str(python), str(HERE), *sys.argv[1:]])

import nonlinear  # noqa: E402, F401
import numpy as np  # noqa: E402
from families import FAMILIES  # noqa: E402
from judge import KINDS, judge  # noqa: E402
from program import Program  # noqa: E402


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--count", type=int, default=20)
    options.add_argument("--binary", type=pathlib.Path, default=HERE.parent.parent / "target/release/ravine")
    options.add_argument("--out", type=pathlib.Path, default=HERE.parent.parent / "target/differential")
    given = options.parse_args()
    if unknown := set(given.families) - set(FAMILIES):
        options.error(f"no family {', '.join(unknown)}; there are {', '.join(FAMILIES)}")
    warnings.filterwarnings("ignore", message="Objective contains too many")
    given.out.mkdir(parents=True, exist_ok=True)
    table = []
    for family in given.families or FAMILIES:
        counts, statuses, began = collections.Counter(), collections.Counter(), time.time()
        for seed in range(given.seed, given.seed + given.count):
            program = Program(np.random.default_rng([seed, zlib.crc32(family.encode())]), f"{family} {seed}")
            FAMILIES[family](program)
            if not program.runs:
                program.solve()
            path = given.out / f"{family}-{seed}.opt"
            path.write_text(program.text())
            found, ended = judge(program, given.binary.resolve(), path)
            statuses.update(ended or ["not built"])
            for kind, words in found:
                counts[kind] += 1
                print(f"{kind:8} {path}: {words}", flush=True)
            if not found:
                path.unlink()
        table.append((family, given.count, counts, statuses, time.time() - began))
    print(f"\n| family | programs | {' | '.join(KINDS)} | statuses | seconds |\n|---|---|{'---|' * len(KINDS)}---|---|")
    for family, count, counts, statuses, seconds in table:
        ends = ", ".join(f"{n} {s}" for s, n in statuses.most_common())
        print(f"| {family} | {count} | {' | '.join(str(counts[k]) for k in KINDS)} | {ends} | {seconds:.0f} |")
    sys.exit(any(counts[k] for _, _, counts, _, _ in table for k in KINDS[:5]))


main()
