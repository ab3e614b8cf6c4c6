#!/usr/bin/env python3
"""Puts the last run of the benches into the first two sections of docs/speed.md (that on notebooks is scripts/kernel_speed.py's):

    cargo bench -p ravine && python3 scripts/speed.py

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

# Group, measured, baseline, least ratio of the baseline's time to the measured one.
OPTIMIZERS = [
    ("heavy ball on Rosenbrock, n = 2, 1000 steps", "program", "hand", 0.3),
    ("heavy ball on Rosenbrock, n = 2, 1000 steps", "program, value and slope recorded in each step", "hand", 0.15),
    ("heavy ball on Rosenbrock, n = 2, 1000 steps", "program, each point measured apart from the steps", "hand", None),
    ("gradient descent on a dense quadratic, n = 100, 100 steps", "program", "hand", 0.75),
    ("gradient descent on a logistic loss, 1000 by 100, 10 steps", "program", "hand", 1),
    ("Adam, 1e6 parameters, one step", "program", "hand", 0.6),
    ("Adam, 1e6 parameters, one step", "clip, Adam, decay", "program", 0.67),
    ("from edited text to the first step", "optimizer and solve", None, "20 ms"),
]
SPEED = pathlib.Path("docs/speed.md")


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


def table(rows, times, better):
    """A table; `better` of the baseline's time and the measured one is the ratio."""
    lines = []
    for group, measured, baseline, aim in rows:
        a, b = times.get((group, measured)), times.get((group, baseline))
        if a is None:
            continue
        ratio = f"{better(b, a):.2g}" if b else ""
        base = f"{baseline}: {show(b)}" if b else ""
        lines.append(f"| {group} | {measured}: {show(a)} | {base} | {ratio} | {aim or ''} |")
    return "\n".join(lines)


def main():
    times = fastest()
    text = f"""# Speed

Programs evaluated beside loops written by hand in Rust, on one thread. A hand-written loop is compiled for
the processor family's common base, as a user's would be, and calls the platform's functions.

Measured {datetime.date.today()} on {processor()}, by

```
cargo bench -p ravine && python3 scripts/speed.py
```

| what | measured | baseline | ratio | aim at most |
|---|---|---|---|---|
{table(ROWS, times, lambda b, a: a / b)}

Tests hold to counts, not to times: `tests/suite/cost.rs` fixes how many kernels, passes and registers
an evaluation of these programs takes, and that it allocates nothing from the second time on.

## Optimizers

Optimizers written in the language beside loops with the same steps by hand: here a ratio is the loop's time over the program's.

| what | measured | baseline | ratio | aim at least |
|---|---|---|---|---|
{table(OPTIMIZERS, times, lambda b, a: b / a)}

"""
    rest = SPEED.read_text()
    SPEED.write_text(text + rest[rest.index("## Large sparse systems"):])


main()
