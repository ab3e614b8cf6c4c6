#!/usr/bin/env python3
"""Ravine beside its peers on the same numbers; prints docs/peers.md:

    cargo build --release && python3 scripts/peers.py SUITE > docs/peers.md

SUITE is the folder with the peers' scripts (`bench.py` runs a peer on a task, `tasks.py` makes the data and checks any
answer). The peers are installed into .venv-peers the first time. Options: --only TASK[,TASK], --reps N (3), --ravine FILE.

Each peer and each program runs in a process of its own, one after the other, N times; the fastest counts, as the machine
may be shared. Times are from data in memory to the answer: modelling, compilation and solve, without reading files and
without starting or importing. What is printed of an answer was computed from the point by the task's own check, not by
the solver that found it.
"""

import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGES = "numpy scipy cvxpy clarabel osqp scs highspy casadi scikit-learn piqp".split()
# Task, its name in tasks.py (None where it has no data), the variables of the program in the check's order, and what the
# check's second figure is.
TASKS = [
    ("portfolio", "portfolio", ["x"], "Frank-Wolfe gap and infeasibility"),
    ("lasso", "lasso", ["x"], "relative duality gap"),
    ("logreg_a9a", "logreg", ["x"], "largest entry of the gradient"),
    ("rosen2", None, ["x"], "largest entry of the gradient"),
    ("rosen1e4", None, ["a", "c"], "largest entry of the gradient"),
    ("transport", "transport", ["X"], "largest violation"),
    ("maxcut", "maxcut", ["X"], "relative dual gap and error of the diagonal"),
    ("lsq1e8", "lsq", ["x"], "relative error of x"),
    ("poisson512", "poisson", ["x"], "relative residual"),
    ("nnls", "nnls", ["x"], "scaled KKT residual"),
]
SINGLE = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def peers_python():
    """The interpreter of .venv-peers, made if it is missing."""
    python = ROOT / ".venv-peers/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", ROOT / ".venv-peers"], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def peer_rows(python, suite, task, reps):
    """The answers of every installed peer: (name, seconds, objective, check), fastest first."""
    listed = subprocess.run([python, suite / "bench.py", "list"], capture_output=True, text=True, check=True)
    names = [line.split()[1] for line in listed.stdout.splitlines() if line.split()[0] == task]
    rows = []
    for name in names:
        runs = []
        for _ in range(reps):
            p = None
            try:
                p = subprocess.run([python, suite / "bench.py", "run", task, name], capture_output=True, text=True,
                                   timeout=150, env={**os.environ, **SINGLE})
                runs.append(json.loads(p.stdout.strip().splitlines()[-1]))
            except (subprocess.TimeoutExpired, IndexError, json.JSONDecodeError):
                reason = p.stderr.strip().splitlines()[-1:] if p else ["over 150 s"]
                print(f"{task} {name}: {' '.join(reason)}", file=sys.stderr)
                break
        if runs:
            best = min(runs, key=lambda r: r["wall_s"])
            rows.append((name, best["wall_s"], best["objective"], best["kkt_or_gap"]))
    return sorted(rows, key=lambda r: r[1])


# Runs in the peers' interpreter: the check needs numpy, and the task's data.
CHECK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, tasks as K
task, data, names, answer = sys.argv[2], sys.argv[3], sys.argv[4].split(","), json.load(sys.stdin)
v = [np.array(answer[n], dtype=float) for n in names]
if task.startswith("rosen"):
    x = v[0] if len(v) == 1 else np.stack(v, axis=1).ravel()
    f, g = K.rosen_fg(x)
    r = f, np.abs(g).max()
else:
    r = getattr(K, data + "_check")(getattr(K, data)(), v[0])
print(json.dumps([float(k) for k in r]))
"""


def ravine_row(python, suite, ravine, task, data, names, reps):
    """The answer of the program benches/peers/TASK.opt."""
    folder = ROOT / "target/peers" / task
    folder.mkdir(parents=True, exist_ok=True)
    if data and not any(folder.glob("*.mtx")):
        subprocess.run([python, suite / "tasks.py", "export", data, folder], check=True)
    program = folder / f"{task}.opt"
    shutil.copy(ROOT / "benches/peers" / f"{task}.opt", program)
    best = None
    for _ in range(reps):
        p = subprocess.run([ravine, "run", "--json", "--threads", "1", program], capture_output=True, text=True, timeout=600)
        report = json.loads(p.stdout)
        solves = [r for r in report["results"] if r["kind"] == "solve"]
        if not solves:
            print(f"{task} ravine: {report['diagnostics'][:1]}", file=sys.stderr)
            return None
        seconds = solves[0]["time"]["compile"] + solves[0]["time"]["solve"]
        if best is None or seconds < best[0]:
            best = seconds, solves[0]
    seconds, solve = best
    p = subprocess.run([python, "-c", CHECK, suite, task, data or "", ",".join(names)], input=json.dumps(solve["variables"]),
                       capture_output=True, text=True, check=True)
    objective, check = json.loads(p.stdout)
    return f"Ravine, `{solve['method']}`: {solve['status']}", seconds, objective, check


def show(seconds):
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("suite", type=pathlib.Path)
    options.add_argument("--only", default="")
    options.add_argument("--reps", type=int, default=3)
    options.add_argument("--ravine", type=pathlib.Path, default=ROOT / "target/release/ravine")
    given = options.parse_args()
    suite, python = given.suite.resolve(), peers_python()
    only = set(filter(None, given.only.split(",")))
    print("# Beside the peers\n")
    print("The programs of `benches/peers/` and the same tasks in other tools, on the same numbers, one thread each. Times are from data")
    print("in memory to the answer (modelling, compilation, solve), the fastest of several processes; the last column is computed from")
    print("the returned point by the task's own check. A ratio above 1 says that the best peer was slower; a peer whose check is above")
    print("1e-6 and a hundred times ours is not counted.\n")
    print(f"Measured {datetime.date.today()}, by `python3 scripts/peers.py SUITE`.")
    for task, data, names, what in TASKS:
        if only and task not in only:
            continue
        own = ravine_row(python, suite, given.ravine.resolve(), task, data, names, given.reps)
        rows = peer_rows(python, suite, task, given.reps)
        print(f"\n## {task}\n\n| tool | time | objective | {what} |\n|---|---|---|---|")
        for name, seconds, objective, check in ([own] if own else []) + rows:
            print(f"| {name} | {show(seconds)} | {objective:.12g} | {check:.1e} |")
        # A peer that is fast and wrong is not the best one.
        good = [r for r in rows if own and abs(r[3]) <= max(1e-6, 100 * abs(own[3]))]
        if good:
            print(f"\nBest peer `{good[0][0]}`: ratio {good[0][1] / own[1]:.2f}.")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
