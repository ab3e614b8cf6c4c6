#!/usr/bin/env python3
"""Measures the kernel as Jupyter's own client sees it, for the section on notebooks in docs/speed.md:

    cargo build --release --workspace && .venv/bin/python scripts/kernel_speed.py target/release/ravine-kernel

Needs the .venv of scripts/setup-python.sh. Times are medians, with the largest of the samples beside them, as the machine may be shared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time

from jupyter_client.manager import KernelManager

LONG = """param n: Int = 100000
var x: Vector[n]
minimize sum(i in 1..n-1) (100*(x[i+1] - x[i]^2)^2 + (1 - x[i])^2)
solve from x = -1.2 to 1e-300"""


def started():
    begin = time.perf_counter()
    manager = KernelManager(kernel_name="ravine")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    return manager, client, time.perf_counter() - begin


def reply(client, ident):
    while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != ident:
        pass


def idle(client, ident):
    """Waits for `idle`; the number of messages heard for the request."""
    heard = 0
    while True:
        m = client.get_iopub_msg(timeout=60)
        if m["parent_header"].get("msg_id") == ident:
            heard += 1
            if m["content"].get("execution_state") == "idle":
                return heard


def run(client, code):
    ident = client.execute(code)
    reply(client, ident)
    return idle(client, ident)


def row(what, times, how):
    ms = [1e3 * t for t in times]
    print(f"| {what} | {statistics.median(ms):.3g} ms | {max(ms):.3g} ms | {how} |")


def main(program):
    with tempfile.TemporaryDirectory() as prefix:
        subprocess.run([program, "install", "--prefix", prefix], check=True, stdout=subprocess.DEVNULL)
        os.environ["JUPYTER_PATH"] = prefix + "/share/jupyter"
        print("| what | median | largest | how |\n|---|---|---|---|")
        starts = []
        for _ in range(10):
            manager, client, took = started()
            starts.append(took)
            client.stop_channels()
            manager.shutdown_kernel()
        row("start", starts, "from `start_kernel` to the client's `wait_for_ready`, which polls; 10 starts")
        manager, client, _ = started()
        run(client, "let a = 1")
        trips = []
        for _ in range(500):
            begin = time.perf_counter()
            run(client, "print a")
            trips.append(time.perf_counter() - begin)
        row("round trip of a cell", trips, "`print a`, from sending to its reply and `idle`; 500 cells")
        latencies = []
        for _ in range(20):
            ident = client.execute(LONG)
            while client.get_iopub_msg(timeout=60)["msg_type"] != "execute_input":
                pass
            time.sleep(0.4)
            begin = time.perf_counter()
            manager.interrupt_kernel()
            reply(client, ident)
            latencies.append(time.perf_counter() - begin)
            idle(client, ident)
        row("interrupt", latencies, "of a solve with 100 000 variables, from `interrupt_kernel` to the reply; 20 times")
        begin, heard = time.perf_counter(), 0
        idents = [client.execute("print a") for _ in range(2000)]
        for ident in idents:
            reply(client, ident)
        for ident in idents:
            heard += 1 + idle(client, ident)
        took = time.perf_counter() - begin
        print(f"\n2000 cells sent at once: {len(idents) / took:.0f} cells and {heard / took:.0f} messages a second.")
        begin = time.perf_counter()
        heard = run(client, "print a\n" * 20000)
        took = time.perf_counter() - begin
        print(f"20 000 lines printed by one cell: {took:.2g} s, in {heard} messages.")
        client.stop_channels()
        manager.shutdown_kernel()


main(os.path.abspath(sys.argv[1]))
