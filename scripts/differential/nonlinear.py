"""Families of smooth programs with rows that are not affine, fits of curves, and least maxima.

Rows that are not proved convex have a method by name, `augmented_lagrangian()`; what it calls an answer is held to its multipliers
(`judge.py`), not to the peer's value. Every program but those of `impossible` is made around a point that satisfies it.
"""

import re

import casadi as ca
import cvxpy as cp
import numpy as np
from families import SMOOTH, family
from pieces import VECTOR_ATOMS, form, matrix, size
from program import E, call, literal, number

BY_NAME = " within 2 seconds with augmented_lagrangian()"  # on some it would go on for long
# Functions of one or two coordinates, all defined everywhere on [-2, 2].
CURVES = [
    lambda u, v: E(f"{u.text}*{v.text}", u.peer * v.peer, 2),
    lambda u, v: E(f"{u.text}^2 + {v.text}^2", u.peer**2 + v.peer**2, 1),
    lambda u, v: E(f"{u.text}^3 - {v.text}", u.peer**3 - v.peer, 1),
    lambda u, v: E(f"{u.text}^2/(2 + {v.text}^2)", u.peer**2 / (2 + v.peer**2), 2),
    lambda u, v: E(f"{u.text}/(3 + {v.text})", u.peer / (3 + v.peer), 2),
    lambda u, v: E(f"exp({u.text}) - {v.text}", ca.exp(u.peer) - v.peer, 1),
    lambda u, v: E(f"sin({u.text}) + {v.text}^2", ca.sin(u.peer) + v.peer**2, 1),
    lambda u, v: E(f"({u.text} + {v.text})^4", (u.peer + v.peer) ** 4, 2),
    lambda u, v: E(f"({u.text} - 2*{v.text})^5", (u.peer - 2 * v.peer) ** 5, 2),
    lambda u, v: E(f"sqrt(1 + {u.text}^2 + {v.text}^2)", ca.sqrt(1 + u.peer**2 + v.peer**2)),
    lambda u, v: E(f"log(2 + {u.text}^2) - {v.text}", ca.log(2 + u.peer**2) - v.peer, 1),
    lambda u, v: E(f"tanh({u.text} - {v.text})", ca.tanh(u.peer - v.peer)),
    lambda u, v: E(f"(1 + {u.text}^2)^(-1)*{v.text}", v.peer / (1 + u.peer**2), 2),
    lambda u, v: E(f"norm([{u.text}, {v.text}, 1])", ca.norm_2(ca.vertcat(u.peer, v.peer, 1))),
]

STEEP = re.compile(r"\^4|\^2 - .*\)\^2|^exp\(x")  # as fast as a fourth power, or faster


def two(p, x):
    i, j = p.rng.choice(x.peer.numel(), 2, replace=False)
    return x[int(i)], x[int(j)]


def value(p, x, e, x0):
    return np.array(ca.Function("f", [x.peer], [ca.MX(e.peer)])(x0), dtype=float).squeeze()


def goal_of(p, x):
    """Bounded below: terms beside a sum of fourth powers, none that outgrows it downwards."""
    g = p.rng
    goal = float(g.choice([0.05, 0.5, 1])) * call("sumsq", ca.sumsqr, x) + 0.05 * E("sum(x.^4)", ca.sum1(x.peer**4))
    for _ in range(size(p, 0, 1, 2, 4)):
        term = (CURVES if g.random() < 0.4 else SMOOTH)[g.integers(12)](*two(p, x))
        share = float(g.choice([1, -1, 2, 0.5]))
        if "^5" not in term.text:
            goal = goal + (abs(share) if STEEP.search(term.text) else share) * term
    if g.random() < 0.4:
        goal = goal + call("dot", ca.dot, p.data("c", g.integers(-2, 3, x.peer.numel())), x)
    if g.random() < 0.2:
        p.maximize(-goal)
    else:
        p.minimize(goal)


def box(p, n, x0):
    """Bounds around a point, some of them equal, some infinite."""
    g = p.rng
    low = np.where(g.random(n) < 0.6, x0 - g.choice([0, 0.5, 1, 3], n), -np.inf)
    high = np.where(g.random(n) < 0.6, x0 + g.choice([0, 0.5, 1, 3], n), np.inf)
    return low, high


@family
def boxes(p):
    """Smooth objectives between bounds, with variables that are fixed by them or by `fixing`, from starts outside."""
    g, n = p.rng, size(p, 2, 3, 5, 9)
    p.smooth = True
    x0 = g.integers(-2, 3, n) / 2
    low, high = box(p, n, x0)
    x = p.var("x", n, low=low, high=high, start=g.integers(-2, 3, n))
    goal_of(p, x)
    if g.random() < 0.3:  # a cost that only its bound holds
        i = int(g.integers(n))
        if np.isfinite(low[i]) and p.sense == "minimize":
            p.minimize(p.objective + float(10 ** g.integers(3, 11)) * x[i])
    p.solve()
    i = int(g.integers(n))
    v = float(np.clip(g.integers(-1, 2), low[i], high[i]))
    p.solve(f" fixing x[{i + 1}] = {number(v)}", fixing=[("x", (i,), v)])


@family
def nonlinear(p):
    """Equations, limits and two-sided limits that are not affine, many of them active, at most as many equations as variables."""
    g, n = p.rng, size(p, 2, 3, 4, 6)
    p.smooth = True
    x0 = g.uniform(-1, 1, n).round(2)
    low, high = box(p, n, x0) if g.random() < 0.5 else (None, None)
    x = p.var("x", n, low=low, high=high, start=(x0 + g.normal(0, g.choice([0, 0.3, 1]), n)).round(2))
    goal_of(p, x)
    if g.random() < 0.15:
        p.objective = float(10 ** g.integers(4, 11)) * p.objective
    equations = 0
    for k in range(size(p, 1, 2, 3)):
        e = CURVES[g.integers(len(CURVES))](*two(p, x))
        if g.random() < 0.4:
            e = e + float(g.choice([1, -2, 0.5])) * CURVES[g.integers(len(CURVES))](*two(p, x))
        v, room = float(value(p, x, e, x0)), float(g.choice([0, 0, 0.2, 1]))
        kind = str(g.choice(["<=", ">=", "==", "between"]))
        equations += kind == "=="
        if kind == "==" and equations >= n:
            kind = "<="
        row = {
            "<=": lambda: e <= v + room,
            ">=": lambda: e >= v - room,
            "==": lambda: e.equals(v),
            "between": lambda: e.between(v - room, v + 0.5),
        }
        p.row(f"c{k}", row[kind]())
    if g.random() < 0.3:
        a = p.data("A", g.integers(-2, 3, (1, n)))
        p.row("flat", (a @ x).equals(p.data("b", a.peer @ x0)))
    p.solve(BY_NAME if g.random() < 0.7 else BY_NAME.replace("()", "(penalty: 100)"))
    p.solve(f" from x = {literal((x0 + g.normal(0, 1, n)).round(2))}" + BY_NAME)


@family
def degenerate_rows(p):
    """Rows whose gradients are dependent or vanish where they hold: multipliers are many or none, and a violation of 1e-8 moves the
    point by 1e-4. The best value is known from a curve of points that satisfy the rows exactly."""
    g = p.rng
    p.smooth, p.duals = True, False
    kind = str(g.choice(["point", "square", "cusp", "touch", "twice", "cross", "power", "sum"]))
    x = p.var("x", 2, start=g.integers(-2, 3, 2))
    u, v = x[0], x[1]
    a, r = float(g.integers(-2, 3)), float(g.choice([1, 2, 0.5]))
    z, c = g.integers(-2, 3, 2), g.integers(-2, 3, 2)
    if g.random() < 0.5:
        p.minimize(call("sumsq", ca.sumsqr, x - p.data("z", z)))
    else:
        p.minimize(call("dot", ca.dot, p.data("c", c), x) + 0.1 * call("sumsq", ca.sumsqr, x))
    square = lambda e, s: E(f"({e.text} - {number(s)})^2" if s >= 0 else f"({e.text} + {number(-s)})^2", (e.peer - s) ** 2, 2)
    circle = lambda s, rr: (square(u, s) + v**2) <= rr**2
    line = np.linspace(-6, 6, 120001)
    if kind == "point":
        p.row("c", (square(u, a) + square(v, r)).equals(0))
        points = [[a], [r]]
    elif kind == "square":
        p.row("c", square(u + v, a) <= 0.0)
        points = [line, a - line]
    elif kind == "cusp":
        p.row("c", E(f"(1 - {u.text})^3 - {v.text}", (1 - u.peer) ** 3 - v.peer, 1) >= 0)
        p.row("d", v >= 0)
        left = line[line <= 1]
        points = np.hstack([[left, 0 * left], [left, (1 - left) ** 3], [left, np.clip(z[1], 0, (1 - left) ** 3)]])
    elif kind == "touch":
        p.row("c", circle(a, r))
        p.row("d", circle(a + 2 * r, r))
        points = [[a + r], [0]]
    elif kind == "twice":
        p.row("c", (u**2 + v**2).equals(r))
        p.row("d", (3 * u**2 + 3 * v**2).equals(3 * r))
        points = [r**0.5 * np.cos(line), r**0.5 * np.sin(line)]
    elif kind == "cross":
        p.row("c", E(f"{u.text}*{v.text}", u.peer * v.peer, 2).equals(0))
        p.row("d", u >= 0)
        p.row("e", v >= 0)
        right = line[line >= 0]
        points = np.hstack([[right, 0 * right], [0 * right, right]])
    elif kind == "power":
        p.row("c", (u**4 + v**4) <= 0.0)
        points = [[0], [0]]
    else:
        p.row("c", u**2 + v <= r)
        p.row("d", v - u**2 >= r)
        points = [[0], [r]]
    goal = ca.Function("goal", [x.peer], [p.objective.peer])
    p.best, p.note = float(np.min(np.array(goal(np.array(points, dtype=float))))), kind
    if kind in ("square", "touch", "power", "sum"):  # convex
        p.solve()
    p.solve(BY_NAME, exact=False)


@family
def impossible(p):
    """Nonlinear rows without a point, some by little; others have one by as little."""
    g = p.rng
    p.smooth, p.duals = True, False
    bounds = dict(low=-2, high=2) if g.random() < 0.4 else {}
    x = p.var("x", 2, start=g.integers(-1, 2, 2), **bounds)
    u, v = x[0], x[1]
    p.minimize(call("sumsq", ca.sumsqr, x) + float(g.integers(-1, 2)) * u)
    gap = float(g.choice([1, 0.1, 1e-3, -1e-3, -0.1]))
    p.possible = gap < 0  # a margin of 1e-3 is far above every tolerance
    kind = str(g.choice(["product", "line", "exp", "power", "circles", "root", "ratio", "sine"]))
    ball = u**2 + v**2
    if kind == "product":
        p.row("c", ball <= 2)
        p.row("d", E(f"{u.text}*{v.text}", u.peer * v.peer, 2) >= 1 + gap)
    elif kind == "line":
        p.row("c", ball <= 2)
        p.row("d", u + v >= 2 + gap)
    elif kind == "exp":
        p.row("c", E(f"exp({u.text}) + {v.text}^2", ca.exp(u.peer) + v.peer**2, 1) <= 1)
        p.row("d", u >= gap)
    elif kind == "power":
        p.row("c", (u**4 + v**2) <= -gap)
    elif kind == "circles":
        p.row("c", ball <= 1)
        p.row("d", E(f"({u.text} - 3)^2 + {v.text}^2", (u.peer - 3) ** 2 + v.peer**2, 1) <= (2 - gap) ** 2)
    elif kind == "root":
        p.row("c", E(f"hypot({u.text}, 1) + {v.text}^2", ca.sqrt(1 + u.peer**2) + v.peer**2, 1) <= 1 - gap)
    elif kind == "ratio":
        p.row("c", E(f"{u.text}/(1 + {u.text}^2)", u.peer / (1 + u.peer**2), 2) >= 0.5 + gap)
    else:
        p.row("c", E(f"sin({u.text})*cos({v.text})", ca.sin(u.peer) * ca.cos(v.peer), 2) >= 1 + gap)
    p.note = f"{kind} {gap}"
    if kind not in ("product", "ratio", "sine"):  # convex
        p.solve()
    p.solve(BY_NAME)


# Curves in `t` with weights `w`: text of an entry (`T` stands for `t[i]`), the peer's vector, and weights that make sense.
MODELS = [
    ("w[1]*exp(-w[2]*T)", lambda t, w: w[0] * ca.exp(-w[1] * t), [2, 0.7]),
    ("(w[1]*exp(-w[2]*T) + w[3])", lambda t, w: w[0] * ca.exp(-w[1] * t) + w[2], [2, 1, -0.5]),
    ("w[1]/(1 + exp(-w[2]*(T - w[3])))", lambda t, w: w[0] / (1 + ca.exp(-w[1] * (t - w[2]))), [3, 1.5, 1.5]),
    ("w[1]*T/(w[2]^2 + T)", lambda t, w: w[0] * t / (w[1] ** 2 + t), [2, 1.2]),
    ("w[1]*cos(w[2]*T + w[3])", lambda t, w: w[0] * ca.cos(w[1] * t + w[2]), [1.5, 1.3, 0.4]),
    ("w[1]*exp(-((T - w[2])/w[3])^2)", lambda t, w: w[0] * ca.exp(-(((t - w[1]) / w[2]) ** 2)), [2, 1.4, 0.8]),
    ("(w[1] + w[2]*T)/(1 + w[3]^2*T)", lambda t, w: (w[0] + w[1] * t) / (1 + w[2] ** 2 * t), [1, 2, 0.7]),
    (
        "(w[1]*exp(-w[2]*T) + w[3]*exp(-w[4]*T))",
        lambda t, w: w[0] * ca.exp(-w[1] * t) + w[2] * ca.exp(-w[3] * t),
        [1, 0.3, 2, 2],
    ),
    ("atan(w[1]*T - w[2])*w[3]", lambda t, w: ca.atan(w[0] * t - w[1]) * w[2], [1.5, 2, 1]),
]


@family
def curves(p):
    """Nonlinear least squares: fits of curves to data with and without noise, from near and far, by several methods."""
    g, m = p.rng, size(p, 4, 6, 10, 40, 70, 260)
    p.smooth, p.duals = True, False
    times, k = np.linspace(0.1, 3, m).round(3), g.integers(len(MODELS))
    text, curve, truth = MODELS[k]
    text, truth, n = text.replace("T", "t[i]"), np.array(truth, dtype=float), len(truth)
    w = p.var("w", n, start=(truth * (1 + g.normal(0, g.choice([0, 0.1, 0.5]), n))).round(2))
    curve = curve(ca.DM(times), [w.peer[i] for i in range(n)])
    clean = np.array(ca.Function("f", [w.peer], [curve])(truth)).ravel()
    t, y = p.data("t", times), p.data("y", (clean + g.normal(0, 1, m) * g.choice([0, 0.01, 0.3])).round(6))
    r = curve - ca.DM(y.peer)
    how = size(p, 0, 1, 2, 3)
    p.minimize(
        [
            lambda: E(f"sum(i in 1..{m}) ({text} - y[i])^2", ca.sumsqr(r)),
            lambda: E(f"1/2*sumsq([i in 1..{m}] ({text} - y[i]))", ca.sumsqr(r) / 2),
            lambda: E(f"mean(i in 1..{m}) ({text} - y[i])^2", ca.sumsqr(r) / m),
            lambda: E(f"sum(i in 1..{m}) huber({text} - y[i], 0.5)", ca.sum1(huber(r, 0.5))),
        ][how]()
    )
    p.note = f"curve {k}"
    p.solve()
    by = ["lbfgs()", "newton_tr()"] + ["levenberg_marquardt()", "gauss_newton() |> linesearch()"] * (how < 3)
    p.solve(f" with {g.choice(by)}", exact=False)


def huber(r, d):
    return ca.if_else(ca.fabs(r) <= d, r**2 / 2, d * (ca.fabs(r) - d / 2))


@family
def least_maximum(p):
    """The largest of smooth functions, convex ones (with CVXPY) and others."""
    g, n = p.rng, size(p, 2, 3, 5)
    if g.random() < 0.5:
        x = p.var("x", n, low=-3 if g.random() < 0.5 else None)
        k, m = size(p, 2, 3, 6), size(p, 3, 10, 80)
        kind = str(g.choice(["squares", "fit", "mixed"]))
        if kind == "squares":
            c = p.data("C", g.integers(-3, 4, (k, n)))
            p.minimize(
                E(
                    f"max(j in 1..{k}) (sum(i in 1..{n}) (x[i] - C[j, i])^2)",
                    cp.max(cp.hstack([cp.sum_squares(x.peer - c.peer[j]) for j in range(k)])),
                )
            )
        elif kind == "fit":
            a, b = p.data("A", g.normal(0, 1, (m, n)).round(3)), p.data("b", g.normal(0, 1, m).round(3))
            p.minimize(E(f"max(j in 1..{m}) abs(sum(i in 1..{n}) A[j, i]*x[i] - b[j])", cp.max(cp.abs(a.peer @ x.peer - b.peer))))
        else:
            u, v = x[0], x[1]
            p.minimize(
                E(
                    f"max([{u.text}^4 + {v.text}, exp({v.text}) - {u.text}, sumsq(x) - 1, 2 - {u.text}])",
                    cp.max(
                        cp.hstack(
                            [u.peer**4 + v.peer, cp.exp(v.peer) - u.peer, cp.sum_squares(x.peer) - 1, 2 - u.peer]
                        )
                    ),
                )
            )
        if g.random() < 0.4:
            p.row("all", call("sum", cp.sum, x) <= 1)
        p.note = f"convex {kind}"
        p.solve()
        return
    p.smooth, p.duals = True, False
    x = p.var("x", n, low=-2 if g.random() < 0.5 else None, high=2, start=g.integers(-1, 2, n) + 0.25)
    parts = [CURVES[g.integers(len(CURVES))](*two(p, x)) + 0.2 * call("sumsq", ca.sumsqr, x) for _ in range(size(p, 2, 3))]
    p.minimize(E(f"max([{', '.join(e.text for e in parts)}])", ca.mmax(ca.vertcat(*[e.peer for e in parts]))))
    p.solve()


@family
def curved(p):
    """Convex rows that are not affine, which have conic forms, by default and by `augmented_lagrangian()`."""
    g, n = p.rng, size(p, 2, 3, 5)
    x0 = g.integers(-1, 2, n) / 2
    x = p.var("x", n, low=-2 if g.random() < 0.4 else None)
    rows = {
        "ball": form("sumsq({})", cp.sum_squares),
        "fourth": form("sum({}.^4)", lambda a: cp.sum(cp.power(a, 4))),
        "ratio": form("quad_over_lin({0}[1], 4 + {0}[2])", lambda a: cp.quad_over_lin(a[0], 4 + a[1])),
        "exp": form("exp({0}[1]) - {0}[2]", lambda a: cp.exp(a[0]) - a[1]),
        "inverse": form("inv_pos({}[1] + 4)", lambda a: cp.inv_pos(a[0] + 4)),
        "log": form("{0}[2]^2 - log({0}[1] + 4)", lambda a: -cp.log(a[0] + 4) + cp.square(a[1])),
        "root": form("hypot(1, {0}[1])", lambda a: cp.norm2(cp.hstack([1, a[0]]))),
        "cube": form("relu({}[1])^3", lambda a: cp.power(cp.pos(a[0]), 3)),
    }
    names = list(g.choice(list(rows), size(p, 1, 2, 3), replace=False))
    p.minimize(
        call("dot", lambda c, y: c @ y, p.data("c", g.integers(-3, 4, n)), x)
        + float(g.choice([0.1, 1])) * form("sumsq({})", cp.sum_squares)(x)
    )
    for name in names:
        e = rows[name](x)
        e.rank = 1
        x.peer.save_value(x0)
        v = float(np.squeeze(e.peer.value))
        p.row(name, e <= round(v + float(g.choice([0, 0.1, 1, 0.5])), 6))
    p.note = " ".join(names)
    p.solve()
    p.solve(BY_NAME.replace("with aug", "cold with aug"), exact=False)


# Terms of a chain: text with x[i] as U, x[i+1] as V, data as A; the peer's.
LINKS = [
    ("(U^2 - V)^2", lambda u, v, a: (u**2 - v) ** 2),
    ("A*sin(U)*V", lambda u, v, a: a * ca.sin(u) * v),
    ("log(1 + U^2 + V^2)", lambda u, v, a: ca.log(1 + u**2 + v**2)),
    ("(U - A)^4", lambda u, v, a: (u - a) ** 4),
    ("U/(2 + V^2)", lambda u, v, a: u / (2 + v**2)),
    ("(if A > 0 then (U - V)^2 else 2*exp(0.1*U))", lambda u, v, a: ca.if_else(a > 0, (u - v) ** 2, 2 * ca.exp(0.1 * u))),
    ("relu(U - A)^3", lambda u, v, a: ca.fmax(u - a, 0) ** 3),
    ("huber(U - V, 0.5)", lambda u, v, a: huber(u - v, 0.5)),
    ("sqrt(1 + (U - A*V)^2)", lambda u, v, a: ca.sqrt(1 + (u - a * v) ** 2)),
    ("(1 + U^2)^(-2)", lambda u, v, a: (1 + u**2) ** -2),
    ("U^3*tanh(V)/4", lambda u, v, a: u**3 * ca.tanh(v) / 4),
]


@family
def chains(p):
    """Sums over neighbours, long enough for machine code in their loops, some by parts of the range, between bounds."""
    g, n = p.rng, size(p, 64, 67, 70, 130, 257, 300)
    p.smooth = True
    bounds = dict(low=g.choice([-1, -2]), high=2) if g.random() < 0.4 else {}
    x = p.var("x", n, start=g.integers(-1, 2, n) + 0.5, **bounds)
    a = p.data("a", g.standard_normal(n).round(2))
    u, v, d = x.peer[:-1], x.peer[1:], ca.DM(a.peer[:-1])
    goal = 0.3 * call("sumsq", ca.sumsqr, x) + 0.1 * E("sum(x.^4)", ca.sum1(x.peer**4))
    for text, peer in [LINKS[k] for k in g.choice(len(LINKS), size(p, 1, 2, 3, 5), replace=False)]:
        text = re.sub("[UVA]", lambda m: {"U": "x[i]", "V": "x[i+1]", "A": "a[i]"}[m[0]], text)
        if g.random() < 0.3:
            k = int(g.integers(1, n - 1))
            goal = goal + E(f"(sum(i in 1..{n - 1} if i >= {k}) ({text}))", ca.sum1(peer(u, v, d)[k - 1 :]))
        else:
            goal = goal + E(f"(sum(i in 1..{n - 1}) ({text}))", ca.sum1(peer(u, v, d)))
    p.minimize(goal)
    if g.random() < 0.3:
        left, right = f"x[1..{n - 1}]", f"x[2..{n}]"
        e = [
            lambda: E(f"{left}.^2 + {right}", u**2 + v, 1),
            lambda: E(f"{left} .* {right}", u * v, 2),
            lambda: E(f"{left}.^3 - sin({right})", u**3 - ca.sin(v), 1),
        ][g.integers(3)]()
        p.row("near", e <= p.data("top", 0.5 + g.random(n - 1).round(3)))
        p.solve(BY_NAME)
        return
    p.solve()
    p.solve(f" cold with {g.choice(['lbfgs()', 'newton_tr()'])}", exact=False)


@family
def sets(p):
    """Convex objectives on simplices, balls and boxes, by default and by the methods for such sets."""
    g, n, m = p.rng, size(p, 2, 4, 7, 70), size(p, 3, 8)
    kind = str(g.choice(["simplex", "ball", "box"]))
    start = {"simplex": f" from 1/{n}", "ball": "", "box": ""}[kind] if g.random() < 0.6 else ""
    member = {"simplex": "simplex", "ball": "ball(1.5)", "box": f"[{literal(-np.ones(n))}, {literal(np.ones(n))}]"}[kind]
    x = p.var("x", n, kind=f"Vector[{n}] in {member}{start}")
    p.sets = {
        "simplex": [x.peer >= 0, cp.sum(x.peer) == 1],
        "ball": [cp.norm2(x.peer) <= 1.5],
        "box": [x.peer >= -1, x.peer <= 1],
    }[kind]
    e = p.data("A", matrix(p, m, n)) @ x - p.data("b", g.integers(-3, 4, m))
    loss = str(g.choice(["sumsq", "sumsq", "huber", "logistic", "softplus"]))
    goal = VECTOR_ATOMS[loss](e) + 0.05 * VECTOR_ATOMS["sumsq"](x)
    p.unit = float(10 ** g.integers(5, 11)) if g.random() < 0.3 else 1.0
    p.minimize(goal if p.unit == 1 else E(f"{number(p.unit)}*({goal.text})", goal.peer))
    p.note, p.duals = f"{kind} {loss}", False
    p.solve()
    corners = [f'frank_wolfe(rule: "{r}")' for r in ("away", "pairwise")] + ["corrective_frank_wolfe()"]
    by = ["apg()", "fista()", "gd(0.01) |> projected()", "frank_wolfe()"] + corners * (kind != "ball")
    for _ in range(2):
        p.solve(f" within 2 seconds cold with {g.choice(by)}", exact=False)


# Functions of positive numbers, many without a finite slope or value at 0.
POSITIVE = [
    lambda u, v: E(f"1/{u.text}", 1 / u.peer, 2),
    lambda u, v: E(f"{u.text}^(-2)", u.peer**-2, 2),
    lambda u, v: E(f"{u.text}*log({u.text})", u.peer * ca.log(u.peer), 2),
    lambda u, v: E(f"{u.text}^1.5", u.peer**1.5, 2),
    lambda u, v: E(f"{u.text}^2.5*{v.text}", u.peer**2.5 * v.peer, 2),
    lambda u, v: E(f"(-sqrt({u.text}))", -ca.sqrt(u.peer)),
    lambda u, v: E(f"(-sqrt({u.text}*{v.text}))", -ca.sqrt(u.peer * v.peer)),
    lambda u, v: E(f"{u.text}/{v.text}", u.peer / v.peer, 2),
    lambda u, v: E(f"{u.text}^2/{v.text}", u.peer**2 / v.peer, 2),
    lambda u, v: E(f"(-log({u.text} + {v.text}))", -ca.log(u.peer + v.peer)),
    lambda u, v: E(f"(-log({u.text}))", -ca.log(u.peer)),
    lambda u, v: E(f"{u.text}^0.3*{v.text}^0.4", u.peer**0.3 * v.peer**0.4, 2),
    lambda u, v: E(f"log({u.text}/{v.text})^2", ca.log(u.peer / v.peer) ** 2, 2),
    lambda u, v: E(f"exp(-{u.text})/(1 + {v.text})", ca.exp(-u.peer) / (1 + v.peer), 2),
]


@family
def positive(p):
    """Powers, ratios and logarithms of nonnegative variables, without a start or from one; no sum of them falls without end."""
    g, n = p.rng, size(p, 2, 3, 5)
    p.smooth = True
    x = p.var("x", n, low=0, start=g.uniform(0.2, 2, n).round(2) if g.random() < 0.5 else None)
    goal = 0.5 * call("sumsq", ca.sumsqr, x)
    for _ in range(size(p, 1, 2, 4)):
        goal = goal + float(g.choice([1, 2, 0.5])) * POSITIVE[g.integers(len(POSITIVE))](*two(p, x))
    if g.random() < 0.2:
        p.maximize(-goal)
    else:
        p.minimize(goal)
    p.solve()
    p.solve(f" cold with {g.choice(['lbfgs()', 'newton_tr()'])}", exact=False)
