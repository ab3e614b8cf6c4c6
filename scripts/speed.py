#!/usr/bin/env python3
"""Turns the last run of the benches into docs/speed.md (its section on notebooks is scripts/kernel_speed.py's):

    cargo bench --bench expressions && python3 scripts/speed.py > docs/speed.md

Needs nothing but Python. Times are the fastest of the samples of each bench, as the machine may be shared; ratios are
within one run.
"""

import datetime
import json
import os
import pathlib
import re

# Group, measured, baseline, largest ratio wanted (None where there is no baseline).
ROWS = [
    ("rosenbrock value+gradient, n = 1000", "program", "hand", 6),
    ("rosenbrock value+gradient, n = 100000", "program", "hand", 6),
    ("logistic value+gradient, 1000 by 100", "program, index form", "hand", 1),
    ("logistic value+gradient, 1000 by 100", "program, matrix form", "hand", 1),
    ("rational pattern, 1e6 instances", "program", "hand", 6),
    ("exp, sin, log pattern, 1e6 instances", "program", "hand", 1),
    ("sparse product, 9e4 rows of 5", "linalg", "hand", None),
    ("from text to machine, logistic value+gradient", "index form", "matrix form", 2),
    ("transport 200 by 200", "lower, rewrite, compile the objective", None, "50 ms"),
]


def fastest():
    """Seconds by (group, function)."""
    found = {}
    for path in pathlib.Path("target/criterion").glob("*/*/new/benchmark.json"):
        about = json.loads(path.read_text())
        sample = json.loads((path.parent / "sample.json").read_text())
        best = min(t / n for t, n in zip(sample["times"], sample["iters"]))
        found[about["group_id"], about["function_id"]] = best / 1e9
    return found


def show(seconds):
    for unit, size in (("s", 1), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)
    vector = "AVX-512" if " avx512f" in text else "AVX2" if " avx2" in text else "no AVX2"
    return f"{name.group(1) if name else 'unknown processor'} ({vector}), {os.cpu_count()} cores, shared"


def main():
    times = fastest()
    print("# Speed\n")
    print("Programs evaluated beside loops written by hand in Rust, on one thread. A hand-written loop is compiled for")
    print("the processor family's common base, as a user's would be, and calls the platform's functions.\n")
    print(f"Measured {datetime.date.today()} on {processor()}, by\n")
    print("```\ncargo bench --bench expressions && python3 scripts/speed.py > docs/speed.md\n```\n")
    print("| what | measured | baseline | ratio | aim at most |")
    print("|---|---|---|---|---|")
    for group, measured, baseline, aim in ROWS:
        a, b = times.get((group, measured)), times.get((group, baseline))
        if a is None:
            continue
        ratio = f"{a / b:.2f}" if b else ""
        base = f"{baseline}: {show(b)}" if b else ""
        print(f"| {group} | {measured}: {show(a)} | {base} | {ratio} | {aim or ''} |")
    print("\nTests hold to counts, not to times: `tests/suite/cost.rs` fixes how many kernels, passes and registers")
    print("an evaluation of these programs takes, and that it allocates nothing from the second time on.")


main()
