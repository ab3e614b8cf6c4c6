"""Runs a program with Ravine, asks an independent peer, and says where the two cannot both be right.

Nothing rests on the peer's word alone where it need not: objective and feasibility are computed from Ravine's own point with the
peer's expressions, and duals are held to what defines them: by convexity `v(d) >= v(0) + y*d` for every loosening d of rows and bounds.
"""

import json
import os
import subprocess
import warnings

import casadi as ca
import cvxpy as cp
import numpy as np

# From worst to mildest.
KINDS = ["number", "verdict", "crash", "dual", "threads", "unsolved", "refused"]
ANSWERS = {"optimal", "locally optimal", "stationary"}
TIGHT = dict(tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)


def numbers(v):
    """JSON's answer as an array: `inf` is written as text."""
    return np.array(v, dtype=float)


def ravine(binary, path, threads=1, limit=20):
    """The report of a program, or (None, what went wrong)."""
    try:
        p = subprocess.run(
            [binary, "run", "--json", "--threads", str(threads), path],
            capture_output=True,
            text=True,
            timeout=limit,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads)},
        )
    except subprocess.TimeoutExpired:
        return None, f"no end within {limit} s"
    try:
        report = json.loads(p.stdout)
    except json.JSONDecodeError:
        return None, f"exit {p.returncode}: {(p.stderr or p.stdout).strip()[-300:]}"
    if p.returncode == 70:
        return None, "exit 70: " + "; ".join(d["message"] for d in report["diagnostics"])
    return report, ""


def oracle(problem):
    """(verdict, value) of the peers; `unknown` where they do not say, or two of them disagree (both have been caught wrong)."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            problem.solve(solver=cp.CLARABEL, **TIGHT)
            if "inaccurate" in problem.status:
                problem.solve(solver=cp.CLARABEL)
            status, value = problem.status, problem.value
            if problem.is_lp():
                problem.solve(solver=cp.HIGHS)
                near = status != "optimal" or abs(value - problem.value) <= 1e-5 * (1 + abs(problem.value))
                status, value = (problem.status, problem.value) if problem.status == status and near else ("unknown", np.nan)
        except cp.error.DCPError:
            raise
        except (cp.error.SolverError, ValueError, ArithmeticError):
            return "unknown", np.nan
    return (status, value) if status in ("optimal", "infeasible", "unbounded") else ("unknown", np.nan)


def judge_convex(program, run, answer, reduced):
    """Disagreements of one run with CVXPY: (kind, words)."""
    problem = program.problem(run)
    verdict, best = oracle(problem)
    status, sign = answer["status"], 1 if program.sense == "minimize" else -1
    if status == "optimal" and not program.variables.keys() <= answer["variables"].keys():
        yield "number", "optimal without a point"
    elif status == "optimal":
        for name, (_, x) in program.variables.items():
            x.save_value(numbers(answer["variables"][name]) / program.units[name])
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            own = problem.objective.value
            wrong = max([float(np.max(c.violation())) / (1 + size_of(c)) for c in problem.constraints], default=0.0)
        printed = float(answer["objective"]) / program.unit
        own = float(np.squeeze(own)) if own is not None else np.nan
        scale = 1 + abs(own if verdict != "optimal" else best)
        tolerance = program.tolerance * scale + 1e-7 / program.unit  # the promise is 1e-8*(1 + |objective|) in the user's units
        if wrong > 1e-6:
            yield "number", f"violation {wrong:.1e} at the point"
        if not abs(printed - own) <= tolerance:
            yield "number", f"prints {printed:.10g}, the point has {own:.10g}"
        # Near the edge of a domain the peer's evaluation of a point is no better than ours: both have to say so.
        if verdict == "optimal" and min(sign * (own - best), sign * (printed - best)) > tolerance:
            yield "number", f"{own:.10g}, peer {best:.10g}"
        elif verdict == "infeasible" and wrong > 1e-8 or verdict == "unbounded":
            yield "verdict", f"optimal {own:.10g}, peer {verdict}"
        if verdict == "optimal" and program.duals and abs(own - best) <= tolerance:
            yield from judge_duals(program, run, answer, reduced, best, sign)
    elif status in ("infeasible", "unbounded"):
        if {status, verdict} == {"infeasible", "unbounded"}:  # a program can be both to a peer that found a ray
            possible, _ = oracle(cp.Problem(cp.Minimize(0), problem.constraints))
            verdict = {"optimal": "unbounded"}.get(possible, possible)
        if verdict not in (status, "unknown"):
            yield "verdict", f"{status}, peer {verdict} {best}"
    elif status == "stationary" and verdict == "optimal":
        value = float(answer["objective"]) / program.unit
        if not sign * (value - best) <= 1e-5 * (1 + abs(best)):
            yield "number", f"stationary {value:.10g}, the program is convex and the peer has {best:.10g}"
    elif verdict != "unknown" and run.exact and not ahead(program, answer, verdict, best, sign):
        yield "unsolved", f"{status} ({answer['reason'][:80]}), peer {verdict} {best}"


def ahead(program, answer, verdict, best, sign):
    """Does an answer without a claim beat the peer's value?"""
    value = answer["objective"]
    return (
        verdict == "optimal"
        and answer["status"] == "feasible"
        and value is not None
        and sign * (float(value) / program.unit - best) < 0
    )


def size_of(constraint):
    return max((float(np.max(np.abs(a.value))) for a in constraint.args if a.value is not None and np.size(a.value)), default=0.0)


def judge_duals(program, run, answer, reduced, best, sign):
    rows = {
        n: (numbers(answer["duals"][n]) * program.row_units[n] / program.unit, program.rows[n])
        for n in program.rows
        if n not in run.without and program.rows[n].right
    }
    bounds = {n: reduced[n] * program.units[n] / program.unit for n in reduced}
    # Sign and complementarity, at Ravine's point: no multiplier of the wrong sign, none where there is room.
    for n, (y, row) in rows.items():
        a, low, high = row.left.peer.value, row.right.peer, row.high.peer if row.high else None
        low, high = {"<=": (-np.inf, low), ">=": (low, np.inf), "==": (low, low), "between": (low, high)}[row.op]
        low, high = (v.value if hasattr(v, "value") else v for v in (low, high))
        yield from judge_signs(f"dual({n})", sign * y, a - low, high - a, row.op)
    for n, y in bounds.items():
        x, shape = program.variables[n][1].value, program.variables[n][1].shape
        low, high = program.bounds.get(n, (np.full(shape, -np.inf), np.full(shape, np.inf)))
        free = np.ones(shape, dtype=bool)
        for _, i, _ in (f for f in run.fixing if f[0] == n):
            free[i] = False
        yield from judge_signs(f"reduced({n})", np.where(free, sign * y, 0), x - low, high - x, "bounds")
    if not rows and not bounds:
        return
    # The promise of the multipliers; few entries at a time, as a program with all rows shifted often has no point.
    draw = lambda shape: size * program.rng.standard_normal(shape) * (program.rng.random(shape) < share)
    for trial in range(3):
        size, share = 10.0 ** -program.rng.integers(0, 3), (1, 0.3, 0.1)[trial]
        step = {n: draw(y.shape) for n, (y, _) in rows.items()}
        shift = {n: draw(y.shape) for n, y in bounds.items()}
        slope = sum(np.sum(step[n] * y) for n, (y, _) in rows.items()) + sum(np.sum(shift[n] * y) for n, y in bounds.items())
        for way in (1, -1):
            loosened = program.problem(run, {n: way * d for n, d in step.items()}, {n: way * d for n, d in shift.items()})
            verdict, value = oracle(loosened)
            short = sign * (best + way * slope - value)
            if verdict == "optimal" and short > 1e-5 * (1 + abs(best) + abs(slope)):
                yield "dual", f"duals promise {best + way * slope:.8g} for a loosening that gives {value:.8g} (size {size})"
                return


def judge_signs(name, y, below, above, op):
    """`y` in the sense of minimizing, with the room below and above: a lower limit pushes up, an upper one down (two-sided rows: down for both)."""
    small, room = 1e-5 * (1 + np.max(np.abs(y), initial=0)), 1e-3
    if op == "between":
        wrong = (y > small) | ((y < -small) & (np.minimum(below, above) > room))
    else:
        wrong = ((y > small) & (below > room)) | ((y < -small) & (above > room))
    if np.any(wrong):
        yield "dual", f"{name} is {literal(y)} with room {literal(below)} below, {literal(above)} above"


def literal(a):
    return np.array2string(np.asarray(a), precision=6, threshold=20)


def judge_smooth(program, run, answer, reduced):
    """Disagreements of one run with Ipopt, and with the conditions of Karush, Kuhn and Tucker."""
    names = list(program.variables)
    symbols = [program.variables[n][1] for n in names]
    x = ca.vertcat(*[ca.vec(s) for s in symbols])
    sign = 1 if program.sense == "minimize" else -1
    goal, rows = sign * program.objective.peer, []
    for name, row in [(n, r) for n, r in program.rows.items() if n not in run.without]:
        e = ca.vec(ca.MX(row.left.peer - row.right.peer))
        width = row.high.peer - row.right.peer if row.high else 0.0
        low, high = {"<=": (-np.inf, 0), ">=": (0, np.inf), "==": (0, 0), "between": (0, width)}[row.op]
        rows.append((e, np.full(e.numel(), low), np.full(e.numel(), high), name, row.op))
    g = ca.vertcat(*[r[0] for r in rows]) if rows else ca.MX(0, 1)
    gl, gu = (np.concatenate([r[k] for r in rows]) if rows else np.zeros(0) for k in (1, 2))
    flat = lambda pick: np.concatenate([np.ravel(pick(n), order="F") for n in names])
    shape = {n: program.variables[n][1].numel() for n in names}

    def bounds(side, none):
        all_of = {n: np.array(program.bounds[n][side] if n in program.bounds else np.full(shape[n], none)) for n in names}
        for name, i, v in run.fixing:
            all_of[name][i] = v
        return flat(all_of.get)

    low, high = bounds(0, -np.inf), bounds(1, np.inf)
    solver = ca.nlpsol(
        "peer",
        "ipopt",
        dict(x=x, f=goal, g=g),
        {
            "show_eval_warnings": False,
            "ipopt.print_level": 0,
            "print_time": False,
            "ipopt.sb": "yes",
            "ipopt.max_iter": 500,
            "ipopt.bound_relax_factor": 0,
        },
    )
    values = ca.Function("values", [x], [goal, g])

    def peer(start, lo=low, hi=high):
        try:
            r = solver(x0=start, lbx=lo, ubx=hi, lbg=gl, ubg=gu)
        except RuntimeError:
            return None
        return float(r["f"]) if solver.stats()["success"] else None

    start = flat(lambda n: program.starts.get(n, np.zeros(shape[n])))
    elsewhere = lambda: [peer(np.clip(start + program.rng.standard_normal(len(start)) * s, low, high)) for s in (0, 1, 3)]
    status = answer["status"]
    if status in ANSWERS or status == "feasible":
        point = flat(lambda n: numbers(answer["variables"][n]))
        f, rest = (np.array(v).ravel() for v in values(point))
        wrong = max(
            np.max(gl - rest, initial=0),
            np.max(rest - gu, initial=0),
            np.max(low - point, initial=0),
            np.max(point - high, initial=0),
        )
        if wrong > 1e-6 * (1 + np.abs(point).max()):
            yield "number", f"violation {wrong:.1e} at the point"
        if not abs(sign * f[0] - float(answer["objective"])) <= 1e-7 * (1 + abs(f[0])):
            yield "number", f"prints {answer['objective']}, the point has {sign * f[0]:.10g}"
        if program.possible is False:
            yield "verdict", f"{status}, and no point exists"
        if status == "feasible":
            if (found := peer(start)) is not None and run.exact:
                yield "unsolved", f"feasible {sign * f[0]:.10g} ({answer['reason'][:80]}), peer {sign * found:.10g}"
            return
        if program.duals and answer["duals"].keys() >= {r[3] for r in rows}:
            y = [sign * numbers(answer["duals"][r[3]]).ravel() for r in rows]
            z = flat(lambda n: sign * reduced.get(n, np.zeros(shape[n])))
            # Cones promise the value, which is 1e-10 off where a slope is 1e-5.
            close = 1e-4 if "gap" in answer["residuals"] else 1e-6
            yield from judge_multipliers(x, goal, g, point, rows, y, z, low, high, rest, close)
        if program.best is not None:
            if status == "optimal" and f[0] > program.best + 1e-5 * (1 + abs(f[0])):
                yield "number", f"optimal {f[0]:.10g}, {program.best:.10g} is known"
            return
        near = 1e-2 * (1 + np.abs(point))
        tries = (
            [("nearby", peer(point, np.maximum(low, point - near), np.minimum(high, point + near)))]
            if status != "stationary"
            else []
        )
        if status != "stationary" and not rows:
            tries.append(("beside it", beside(program, values, point, low, high, f[0])))
        if status == "optimal":
            tries += [("elsewhere", found) for found in elsewhere()]
        for where, found in tries:
            if found is not None and found < f[0] - (2e-6 if where != "beside it" else 1e-7) * (1 + abs(f[0])):
                yield "number", f"{status} {sign * f[0]:.10g}, {where} {sign * found:.10g}"
                break
    elif program.possible is False:
        if "infeasible" not in status:
            yield "unsolved", f"{status} ({answer['reason'][:80]}), and no point exists"
    else:
        claimed = status in ("infeasible", "unbounded")
        found = [v for v in (elsewhere() if claimed else [peer(start)]) if v is not None]
        if found or claimed and program.possible:
            words = f"peer {sign * found[0]:.10g} from the same start" if found else "and it has a point"
            yield "verdict" if claimed else "unsolved", f"{status} ({answer['reason'][:80]}), {words}"


def judge_multipliers(x, goal, g, point, rows, y, z, low, high, rest, close):
    """The conditions of Karush, Kuhn and Tucker in the language's signs, minimizing: `grad f = sum(y*grad row) + reduced`."""
    slopes = ca.Function("slopes", [x], [ca.gradient(goal, x), ca.jacobian(g, x)])
    slope, jacobian = (np.array(ca.DM(v)) for v in slopes(point))
    pull = []  # a lower limit of a two-sided row reads `low - e <= d`
    at = 0
    for (_, gl, gu, _, op), v in zip(rows, y):
        r = rest[at : at + len(v)]
        at += len(v)
        pull.append(np.where((r - gl < gu - r) & (op == "between"), -v, v))
    left = slope.ravel() - (jacobian.T @ np.concatenate(pull) if y else 0) - z
    free = np.where((low < point) & (point < high), slope.ravel(), 0)  # what bounds hold excuses nothing else
    if np.max(np.abs(left)) > close * (1 + np.max(np.abs(free))):
        yield "dual", f"multipliers leave {literal(left)} of a gradient {literal(slope.ravel())}"
        return
    at = 0
    for (_, gl, gu, name, op), v in zip(rows, y):
        r = rest[at : at + len(v)]
        at += len(v)
        yield from judge_signs(f"dual({name})", v, r - gl, gu - r, op)
    yield from judge_signs("reduced", z, point - low, high - point, "bounds")


def beside(program, values, point, low, high, least):
    """The least objective on little spheres around a point, kinks and jumps included."""
    for radius in (1e-2, 1e-3, 1e-4, 1e-6):
        d = program.rng.standard_normal((len(point), 200))
        d[:, :50] = np.sign(d[:, :50]) * (program.rng.random((len(point), 50)) < 0.5)
        at = np.clip(point[:, None] + radius * d / np.maximum(np.linalg.norm(d, axis=0), 1e-9), low[:, None], high[:, None])
        least = min(least, np.nanmin(np.array(values(at)[0])))
    return least


def judge(program, binary, path):
    """All disagreements of a program that was saved at `path`: (kind, words)."""
    report, trouble = ravine(binary, path)
    if report is None:
        return [("crash", trouble)], []
    found = []
    solves = [r for r in report["results"] if r["kind"] == "solve"]
    for d in report["diagnostics"]:
        if d["level"] == "error" and d["code"] not in ("R0216", "R0707") and "no method is built" not in d["message"]:
            found.append(("refused", f"{d['code']} {d['message']}"))
    values = {r["expression"]: r["value"] for r in report["results"] if r["kind"] == "value"}
    printed = [numbers(r["value"]) for r in report["results"] if r["kind"] == "value"]
    for (text, right), got in zip(program.values, printed):
        if got.shape != np.shape(right) or not np.allclose(
            got, right, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(right))), equal_nan=True
        ):
            found.append(("number", f"{text}: {literal(got)}, right {literal(right)}"))
    for run, answer in zip(program.runs, solves):
        reduced = {v: numbers(values[k]) for v in program.variables if (k := f"{run.name}.reduced({v})") in values}
        one = judge_smooth if program.smooth else judge_convex
        found += [
            (kind, f"{run.name}{run.suffix} [{answer['method']}]: {words}") for kind, words in one(program, run, answer, reduced)
        ]
    if program.threads:
        other, trouble = ravine(binary, path, threads=4)
        if other is None or untimed(other) != untimed(report):
            found.append(("threads", trouble or "1 and 4 threads give different bits"))
    return found, [s["status"] for s in solves]


def untimed(report):
    drop = {"time", "provenance"}
    clean = lambda v: (
        {k: clean(w) for k, w in v.items() if k not in drop}
        if isinstance(v, dict)
        else [clean(w) for w in v]
        if isinstance(v, list)
        else v
    )
    return json.dumps(clean(report))
