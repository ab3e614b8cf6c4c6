#!/usr/bin/env python3
"""Optimal values, solutions and duals of every example, computed without Ravine.

    python tests/peers/reference.py            writes tests/peers/reference.json
    python tests/peers/reference.py --check    computes again and compares with that file

Needs numpy and scipy (scripts/setup-python.sh). No solver here is one that Ravine uses: least squares is solved
in exact rational arithmetic, quadratic and circle problems by trying all active sets, linear programs by HiGHS
followed by an exact solve on the vertex, smooth problems by Newton's method written out below.

Sign of duals: the derivative of the optimal value with respect to d, where a constraint reads e1 - e2 <= d
(likewise >= and ==), in the objective's own sense.
"""

import argparse
import csv
import datetime
import gzip
import itertools
import json
import math
import platform
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import scipy
from scipy.optimize import linprog, nnls

HERE = Path(__file__).resolve().parent
DATA = HERE.parent.parent / "examples" / "data"


def table(name):
    """Header and rows of text of a CSV file."""
    path = DATA / name
    opened = gzip.open(path, "rt") if name.endswith(".gz") else open(path)
    with opened as file:
        rows = list(csv.reader(file))
    return rows[0], rows[1:]


def numbers(name, skip=0):
    """Header and matrix of a CSV file, without its first `skip` columns (of labels)."""
    head, rows = table(name)
    return head[skip:], np.array([[float(v) for v in r[skip:]] for r in rows])


def labels(name):
    return [r[0] for r in table(name)[1]]


def exact_least_squares(a, b):
    """The minimizer of |a w - b| in rational arithmetic, rounded once at the end."""
    a = [[Fraction(float(v)) for v in row] for row in a]
    b = [Fraction(float(v)) for v in b]
    n = len(a[0])
    system = [
        [sum(r[i] * r[j] for r in a) for j in range(n)] + [sum(r[i] * y for r, y in zip(a, b))] for i in range(n)
    ]
    for k in range(n):
        pivot = next(i for i in range(k, n) if system[i][k] != 0)
        system[k], system[pivot] = system[pivot], system[k]
        head = system[k][k]
        system[k] = [v / head for v in system[k]]
        for i in range(n):
            if i != k and system[i][k] != 0:
                f = system[i][k]
                system[i] = [u - f * v for u, v in zip(system[i], system[k])]
    w = [row[n] for row in system]
    left = [sum(u * v for u, v in zip(r, w)) - y for r, y in zip(a, b)]
    return np.array([float(v) for v in w]), float(sum(v * v for v in left))


def newton(f, grad, hess, x, tol, steps=5000):
    """Damped Newton with a shift where the Hessian is not positive definite; ends at |grad| <= tol or at rest."""
    x = np.array(x, dtype=float)
    for _ in range(steps):
        g = grad(x)
        if np.abs(g).max() <= tol:
            break
        h = hess(x)
        low = np.linalg.eigvalsh(h)[0]
        if low <= 0:
            h = h + (1e-3 * np.abs(h).max() - low) * np.eye(len(x))
        d = np.linalg.solve(h, -g)
        t, fx, slope = 1.0, f(x), g @ d
        while t > 1e-12 and not f(x + t * d) <= fx + 1e-4 * t * slope:
            t /= 2
        if t <= 1e-12:
            x = x + d  # rounding hides the decrease: one full step more, then stop
            break
        x = x + t * d
    return x


def vertex_lp(c, a_ub, b_ub, a_eq=None, b_eq=None, bounds=(None, None)):
    """HiGHS; says whether primal and dual answers are both unique (no degenerate active set)."""
    r = linprog(c, A_ub=a_ub, b_ub=b_ub, A_eq=a_eq, b_eq=b_eq, bounds=bounds, method="highs-ds")
    assert r.status == 0, r.message
    tol = 1e-9 * (1 + np.abs(r.x).max())
    active_rows = int(np.sum(np.abs(r.slack) <= tol))
    active_bounds = int(np.sum(np.abs(r.lower.residual) <= tol) + np.sum(np.abs(r.upper.residual) <= tol))
    equalities = 0 if a_eq is None else len(b_eq)
    priced = int(
        np.sum(np.abs(r.ineqlin.marginals) > 1e-12)
        + np.sum(np.abs(r.lower.marginals) > 1e-12)
        + np.sum(np.abs(r.upper.marginals) > 1e-12)
        + equalities
    )
    n = len(c)
    return r, {"primal unique": priced >= n, "dual unique": active_rows + active_bounds + equalities <= n}


def least_squares():
    head, m = numbers("breast_cancer.csv.gz")
    a, b = m[:, :-1], m[:, -1]
    w, rss = exact_least_squares(a, b)
    naive = np.linalg.solve(a.T @ a, a.T @ b)
    return [
        {
            "solve": "fit",
            "how": "normal equations in exact rational arithmetic",
            "objective": rss / 2,
            "condition": float(np.linalg.cond(a)),
            "variables": {"w": w.tolist()},
            "note": {"largest relative error of normal equations in doubles": float(np.abs(naive / w - 1).max())},
        }
    ]


def portfolio():
    assets = labels("assets.csv")
    f = numbers("factors.csv", 1)[1]
    m = numbers("assets.csv", 1)[1]
    mu, d = m[:, 0], m[:, 1]
    sigma = f @ f.T + np.diag(d)
    out = []
    for name, target in (("careful", 10.0), ("bold", 12.0)):
        best = None
        for k in range(2, len(assets) + 1):
            for held in itertools.combinations(range(len(assets)), k):
                h = list(held)
                ones, r = np.ones(k), mu[h]
                kkt = np.block(
                    [
                        [2 * sigma[np.ix_(h, h)], -ones[:, None], -r[:, None]],
                        [ones[None, :], np.zeros((1, 2))],
                        [r[None, :], np.zeros((1, 2))],
                    ]
                )
                s = np.linalg.solve(kkt, np.concatenate([np.zeros(k), [1.0, target]]))
                w = np.zeros(len(assets))
                w[h] = s[:k]
                budget, gain = s[k], s[k + 1]
                reduced = 2 * sigma @ w - budget - gain * mu
                if w.min() >= -1e-12 and gain >= -1e-12 and reduced.min() >= -1e-9:
                    value = float(w @ sigma @ w)
                    if best is None or value < best["objective"]:
                        best = {
                            "solve": name,
                            "how": "all active sets, each by its linear system",
                            "objective": value,
                            "variables": {"w": dict(zip(assets, w.tolist()))},
                            "duals": {"budget": float(budget), "gain": float(gain)},
                        }
        out.append(best)
    return out


def transport():
    cities, dist = numbers("distance.csv", 1)
    ports = labels("distance.csv")
    cap = numbers("capacity.csv", 1)[1][:, 0]
    need = numbers("need.csv", 1)[1][:, 0]
    assert labels("capacity.csv") == ports and labels("need.csv") == cities
    p, c = dist.shape
    rows = np.zeros((p + c, p * c))
    for i in range(p):
        rows[i, i * c : (i + 1) * c] = 1
    for j in range(c):
        rows[p + j, j::c] = -1
    r, unique = vertex_lp(0.9 * dist.ravel(), rows, np.concatenate([cap, -need]), bounds=(0, None))
    marginals = r.ineqlin.marginals
    return [
        {
            "solve": "transport",
            "how": "HiGHS dual simplex",
            "objective": float(r.fun),
            "variables": {"ship": {a: dict(zip(cities, row)) for a, row in zip(ports, r.x.reshape(p, c).tolist())}},
            "duals": {
                "supply": dict(zip(ports, marginals[:p].tolist())),
                "demand": dict(zip(cities, (-marginals[p:]).tolist())),
            },
            "unique": unique,
        }
    ]


def logistic():
    _, m = numbers("breast_cancer.csv.gz")
    x, benign = m[:, :-1], m[:, -1]
    side = 2 * benign - 1
    z = (x - x.mean(0)) / x.std(0)
    full = np.c_[z, np.ones(len(z))]
    lam = 1e-3
    ridge = lam * np.r_[np.ones(z.shape[1]), 0.0]
    f = lambda w: np.mean(np.logaddexp(0, -side * (full @ w))) + ridge @ w**2 / 2
    p = lambda w: 1 / (1 + np.exp(side * (full @ w)))
    grad = lambda w: full.T @ (-side * p(w)) / len(z) + ridge * w
    hess = lambda w: (full.T * (p(w) * (1 - p(w)))) @ full / len(z) + np.diag(ridge)
    w = newton(f, grad, hess, np.zeros(full.shape[1]), 1e-15)
    return [
        {
            "solve": "logistic",
            "how": "Newton, gradient below 1e-15",
            "objective": float(f(w)),
            "variables": {"w": w[:-1].tolist(), "c": float(w[-1])},
            "printed": {"share right": float(np.mean(side * (full @ w) > 0))},
        }
    ]


def compare():
    [one] = logistic()
    return [{key: value for key, value in one.items() if key != "printed"}]


def rosenbrock():
    return [
        {"solve": "", "how": "closed form", "objective": 0.0, "variables": {"x": 1.0, "y": 1.0}},
        {"solve": "chained", "how": "closed form", "objective": 0.0, "variables": {"z": [1.0] * 1000}},
    ]


def nonnegative():
    _, m = numbers("digits.csv.gz")
    pixels, digit = m[:, :-1], m[:, -1]
    d, b = pixels[500:700].T, pixels[300]
    w, _ = nnls(d, b)
    held = w > 1e-9
    w = np.zeros(200)
    w[held], rss = exact_least_squares(d[:, held], b)
    reduced = d.T @ (d @ w - b)
    assert w[held].min() > 0 and reduced[~held].min() > 0, "active set is not the optimal one"
    share = [float(w[digit[500:700] == k].sum() / w.sum()) for k in range(10)]
    return [
        {
            "solve": "mixture",
            "how": "Lawson and Hanson's active set, then exact rational arithmetic on it; multipliers positive",
            "objective": rss / 2,
            "variables": {"w": w.tolist()},
            "printed": {"share": share, "residual": float(np.sqrt(rss) / np.linalg.norm(b)), "digit": float(digit[300])},
        }
    ]


def circle_through(points):
    """Centre of the circle through two (as a diameter) or three points."""
    if len(points) == 2:
        return (points[0] + points[1]) / 2
    a, b, c = points
    m = 2 * np.array([b - a, c - a])
    return np.linalg.solve(m, np.array([b @ b - a @ a, c @ c - a @ a]))


def depot():
    cities = labels("cities.csv")
    m = numbers("cities.csv", 1)[1]
    pts, need = m[:, :2], m[:, 2]
    best = None
    for k in (2, 3):
        for on in itertools.combinations(range(len(pts)), k):
            z = circle_through(pts[list(on)])
            r = np.linalg.norm(pts[on[0]] - z)
            if np.linalg.norm(pts - z, axis=1).max() <= r * (1 + 1e-12) and (best is None or r < best[0]):
                best = (r, z, on)
    r, z, on = best
    # Stationarity in (z, r): sum u_c (z - p_c)/r = 0 and sum u_c = 1; relaxing a row by d lowers r by u_c d.
    on = list(on)
    rows = np.vstack([((z - pts[on]) / r).T, np.ones(len(on))])
    u = np.linalg.lstsq(rows, np.array([0.0, 0.0, 1.0]), rcond=None)[0]
    assert u.min() > 0 and np.abs(rows @ u - [0, 0, 1]).max() < 1e-12
    dual = dict.fromkeys(cities, 0.0)
    for i, v in zip(on, u):
        dual[cities[i]] = -float(v)

    dist = lambda x: np.linalg.norm(pts - x, axis=1)
    f = lambda x: float(need @ dist(x))

    def hess(x):
        e = (x - pts) / dist(x)[:, None]
        return sum(w / s * (np.eye(2) - np.outer(v, v)) for w, s, v in zip(need, dist(x), e))

    start = need @ pts / need.sum()
    x = newton(f, lambda x: ((x - pts) / dist(x)[:, None]).T @ need, hess, start, 1e-10)
    assert dist(x).min() > 1, "the median stands on a city: the gradient is not defined there"
    return [
        {
            "solve": "fair",
            "how": "all circles through two or three cities",
            "objective": float(r),
            "variables": {"x": float(z[0]), "y": float(z[1]), "r": float(r)},
            "duals": {"reach": dual},
        },
        {"solve": "cheap", "how": "Newton", "objective": f(x), "variables": {"x": float(x[0]), "y": float(x[1])}},
    ]


def curve_fit():
    _, m = numbers("misra1a.csv")
    head, _ = table("misra1a.csv")
    x, y = m[:, head.index("x")], m[:, head.index("y")]
    scale = np.array([500.0, 1e-4])
    p = np.array([250.0, 5e-4])
    for _ in range(100):  # Gauss-Newton in scaled parameters; the residual is small, so it converges fast
        e = np.exp(-p[1] * x)
        j = np.c_[-(1 - e), -p[0] * x * e] * scale
        step = np.linalg.lstsq(j, -(y - p[0] * (1 - e)), rcond=None)[0]
        p = p + scale * step
    rss = float(np.sum((y - p[0] * (1 - np.exp(-p[1] * x))) ** 2))
    certified = [238.94212918, 5.5015643181e-4, 0.12455138894]
    assert np.allclose([*p, rss], certified, rtol=1e-9), (p, rss)
    return [
        {
            "solve": "misra",
            "how": "Gauss-Newton; agrees with NIST's certified values to 1e-9",
            "objective": rss,
            "variables": {"a": float(p[0]), "b": float(p[1])},
        }
    ]


def robust_fit():
    _, m = numbers("stackloss.csv")
    x, y = m[:, :-1], m[:, -1]
    full = np.c_[x, np.ones(len(x))]
    w, rss = exact_least_squares(full, y)
    k, n = full.shape
    # minimize sum t subject to -t <= full w - y <= t
    rows = np.block([[full, -np.eye(k)], [-full, -np.eye(k)]])
    c = np.r_[np.zeros(n), np.ones(k)]
    r, unique = vertex_lp(c, rows, np.r_[y, -y], bounds=(None, None))
    through = np.argsort(np.abs(full @ r.x[:n] - y))[:n]
    v = np.linalg.solve(full[through], y[through])  # an optimal line passes through n of the points
    return [
        {
            "solve": "squares",
            "how": "exact rational arithmetic",
            "objective": rss,
            "variables": {"w": w[:-1].tolist(), "c": float(w[-1])},
        },
        {
            "solve": "absolute",
            "how": "HiGHS dual simplex, then the vertex solved again",
            "objective": float(np.abs(full @ v - y).sum()),
            "variables": {"w": v[:-1].tolist(), "c": float(v[-1])},
            "unique": unique,
        },
    ]


def bounds():
    f = lambda p: math.sin(p[0] + p[1]) + (p[0] - p[1]) ** 2 - 1.5 * p[0] + 2.5 * p[1] + 1
    # Stationary: the sum of both equations fixes x + y, the difference x - y = 1.
    first = (1 - math.pi / 3 * 2) / 2
    inner = [first, first - 1]
    assert abs(math.cos(sum(inner)) + 0.5) < 1e-15
    second = [first + math.pi, first - 1 + math.pi]
    return [
        {
            "solve": "waves",
            "how": "closed form: x - y = 1, cos(x + y) = -1/2",
            "objective": f(inner),
            "variables": {"x": inner[0], "y": inner[1]},
            "note": {"all local minima": [f(inner), f(second)]},
        },
        {
            "solve": "waves from x = 4, y = 3",
            "how": "closed form: the next of the same family",
            "objective": f(second),
            "variables": {"x": second[0], "y": second[1]},
        },
    ]


def polynomial():
    a = np.array([[float(i**j) for j in range(9)] for i in range(1, 22)])
    b = a.sum(1)
    naive = np.linalg.solve(a.T @ a, a.T @ b)
    return [
        {
            "solve": "fit",
            "how": "closed form (every number of the data is an exact double)",
            "objective": 0.0,
            "condition": float(np.linalg.cond(a)),
            "variables": {"w": [1.0] * 9},
            "note": {"relative error of normal equations in doubles": float(np.linalg.norm(naive - 1) / 3)},
        }
    ]


def inscribed_ball():
    a = np.array([[-1, 0], [0, -1], [1, 1], [3, 1], [-1, 2]], dtype=float)
    b = np.array([0, 0, 5, 12, 6], dtype=float)
    rows = np.c_[a, np.linalg.norm(a, axis=1)]
    r, unique = vertex_lp([0, 0, -1], rows, b, bounds=[(None, None), (None, None), (0, None)])
    touch = np.where(np.abs(r.slack) < 1e-9)[0]
    v = np.linalg.solve(rows[touch], b[touch])
    dual = np.zeros(5)
    dual[touch] = np.linalg.solve(rows[touch].T, [0, 0, 1])
    return [
        {
            "solve": "inside",
            "how": "HiGHS dual simplex, then the vertex solved again",
            "objective": float(v[2]),
            "variables": {"centre": v[:2].tolist(), "r": float(v[2])},
            "duals": {"wall": dual.tolist()},
            "unique": unique,
        }
    ]


# How near an answer has to be: relative to 1 + |objective|, and to the largest entry of a variable or dual. Direct
# methods keep the digits that the condition leaves; iterative ones are asked for 1e-8 on gap and gradient, of which
# a variable sees about the square root where the objective is flat.
TIGHT = {"objective": 1e-12, "variables": 1e-11, "duals": 0.0}
USUAL = {"objective": 1e-7, "variables": 1e-5, "duals": 1e-5}
NEAR = {
    "01-least-squares": TIGHT,
    # The sum of distances is flat around its least value.
    "07-depot": {"objective": 1e-7, "variables": 1e-3, "duals": 1e-5},
    "11-polynomial": {"objective": 1e-12, "variables": 1e-4, "duals": 0.0},
}

def sparse_transport():
    cities, dist = numbers("distance.csv", 1)
    ports = labels("distance.csv")
    cap = dict(zip(labels("capacity.csv"), numbers("capacity.csv", 1)[1][:, 0]))
    need = dict(zip(labels("need.csv"), numbers("need.csv", 1)[1][:, 0]))
    # In the order of the example's sets.
    order = ["berlin", "paris", "lyon", "munich", "prague", "vienna", "milan", "warsaw"]
    lanes = [(p, c) for p in ports for c in order if dist[ports.index(p), cities.index(c)] <= 900]
    large = [p for p in ports if cap[p] >= 300]
    spread = [k for k, (p, c) in enumerate(lanes) if p in large]
    n = len(lanes)
    rows, right = [], []
    for p in ports:
        rows.append([float(a == p) for a, _ in lanes])
        right.append(cap[p])
    for c in order:
        rows.append([-float(b == c) for _, b in lanes])
        right.append(-need[c])
    for k in spread:
        rows.append([float(j == k) for j in range(n)])
        right.append(0.5 * cap[lanes[k][0]])
    cost = np.array([0.9 * dist[ports.index(p), cities.index(c)] for p, c in lanes])
    r, unique = vertex_lp(cost, np.array(rows), np.array(right), bounds=(0, None))
    m = r.ineqlin.marginals
    key = lambda k: ", ".join(lanes[k])
    return [
        {
            "solve": "transport",
            "how": "HiGHS dual simplex",
            "objective": float(r.fun),
            "variables": {"ship": {key(k): float(r.x[k]) for k in range(n)}},
            "duals": {
                "supply": dict(zip(ports, m[: len(ports)].tolist())),
                "demand": dict(zip(order, (-m[len(ports) : len(ports) + len(order)]).tolist())),
                "spread": {key(k): float(v) for k, v in zip(spread, m[len(ports) + len(order) :])},
            },
            "unique": unique,
        }
    ]


def multi_period():
    head, rows = table("links.csv")
    links = [(a, b) for a, b, _, _ in rows]
    price = [float(r[2]) for r in rows]
    room = [float(r[3]) for r in rows]
    places = ["mill", "river", "rail", "port", "town"]
    keeping = [0.5, 2, 1, 0.8, 3]
    made, wanted = [90, 70, 40, 20], [30, 60, 80, 40]
    months = range(4)
    flow = lambda k, t: 4 * k + t
    stock = lambda i, t: 4 * len(links) + 4 * i + t - 1  # t = 1..4; stock 0 is 0
    n = 4 * len(links) + 4 * len(places)
    cost = np.zeros(n)
    for k in range(len(links)):
        cost[[flow(k, t) for t in months]] = price[k]
    for i in range(len(places)):
        cost[[stock(i, t + 1) for t in months]] = keeping[i]
    equal, right = [], []
    for i, place in enumerate(places):
        for t in months:
            row = np.zeros(n)
            if t > 0:
                row[stock(i, t)] += 1
            row[stock(i, t + 1)] -= 1
            for k, (a, b) in enumerate(links):
                row[flow(k, t)] += float(b == place) - float(a == place)
            equal.append(row)
            right.append((wanted[t] if place == "town" else 0) - (made[t] if place == "mill" else 0))
    bounds = [(0, room[k]) for k in range(len(links)) for _ in months] + [(0, None)] * (4 * len(places))
    r = linprog(cost, A_eq=np.array(equal), b_eq=right, bounds=bounds, method="highs-ds")
    x = {
        f"{a}, {b}": [float(r.x[flow(k, t)]) for t in months] for k, (a, b) in enumerate(links)
    }
    return [{"solve": "plan", "how": "HiGHS dual simplex", "objective": float(r.fun), "variables": {"flow": x}}]


def min_cost_flow():
    supply = [10, 15, 5, 0, 0, 0, 0, 0, 0, -8, -12, -10]
    layer = lambda i: (i - 1) // 3
    arcs = [(i, j) for i in range(1, 13) for j in range(1, 13) if layer(j) == layer(i) + 1 and (i + j) % 4 != 0]
    cost = np.array([1 + (7 * i + 3 * j) % 5 + i * j / 100 for i, j in arcs])
    equal = [[float(a == i) - float(b == i) for a, b in arcs] for i in range(1, 13)]
    r = linprog(cost, A_eq=np.array(equal), b_eq=supply, bounds=(0, 9), method="highs-ds")
    x = {f"{i}, {j}": float(v) for (i, j), v in zip(arcs, r.x)}
    return [{"solve": "flow", "how": "HiGHS dual simplex", "objective": float(r.fun), "variables": {"x": x}}]


def lasso():
    _, m = numbers("breast_cancer.csv.gz")
    x, benign = m[:, :-1], m[:, -1]
    z = (x - x.mean(0)) / x.std(0)
    y = benign - benign.mean()
    gram, right = z.T @ z / len(z), z.T @ y / len(z)
    mu = 0.1 * np.abs(right).max()
    w = np.zeros(30)
    for _ in range(20000):
        for j in range(30):
            v = w[j] - (gram[j] @ w - right[j]) / gram[j, j]
            w[j] = np.sign(v) * max(abs(v) - mu / gram[j, j], 0)
    held = w != 0
    w[held] = np.linalg.solve(gram[np.ix_(held, held)], right[held] - mu * np.sign(w[held]))
    slope = gram @ w - right
    assert np.abs(slope[held] + mu * np.sign(w[held])).max() < 1e-12 and np.abs(slope[~held]).max() < mu
    fit = lambda w: np.sum((z @ w - y) ** 2) / 2 / len(z)
    g, t = np.zeros(30), 1 / np.linalg.eigvalsh(gram)[-1]
    for _ in range(400000):
        v = (g - t * (gram @ g - right)).reshape(3, 10)
        g = (v * np.maximum(1 - t * mu / np.maximum(np.linalg.norm(v, axis=0), 1e-300), 0)).ravel()
    slope, size = (gram @ g - right).reshape(3, 10), np.linalg.norm(g.reshape(3, 10), axis=0)
    kept = size > 0
    off = slope[:, kept] + mu * g.reshape(3, 10)[:, kept] / size[kept]
    assert np.abs(off).max() < 1e-12 and np.linalg.norm(slope[:, ~kept], axis=0).max() < mu
    return [
        {
            "solve": "lasso(0.1*mu_max)",
            "how": "coordinate descent on the Gram matrix, then its support's linear system; first-order conditions checked",
            "objective": float(fit(w) + mu * np.abs(w).sum()),
            "variables": {"w": w.tolist()},
            "printed": {"held": int(held.sum())},
        },
        {
            "solve": "grouped(0.1*mu_max)",
            "how": "proximal gradient until the first-order conditions hold to 1e-12",
            "objective": float(fit(g) + mu * size.sum()),
            "variables": {"w": g.tolist()},
            "printed": {"kept": int(kept.sum())},
        },
    ]


EXAMPLES = {
    "01-least-squares": least_squares,
    "02-portfolio": portfolio,
    "03-transport": transport,
    "04-logistic": logistic,
    "05-rosenbrock": rosenbrock,
    "06-nonnegative": nonnegative,
    "07-depot": depot,
    "08-curve-fit": curve_fit,
    "09-robust-fit": robust_fit,
    "10-bounds": bounds,
    "11-polynomial": polynomial,
    "12-inscribed-ball": inscribed_ball,
    "13-sparse-transport": sparse_transport,
    "14-multi-period-flow": multi_period,
    "15-min-cost-flow": min_cost_flow,
    "16-lasso": lasso,
    "17-compare": compare,
}


def differences(path, old, new, out, tol=1e-9):
    """Places where two trees of numbers differ by more than `tol`, relatively."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            if key not in ("note", "how"):
                # The condition number is itself known only to about 1e-16 times the condition.
                near = 1e-3 if key == "condition" else tol
                differences(f"{path}.{key}", old.get(key), new.get(key), out, near)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for i, (a, b) in enumerate(zip(old, new)):
            differences(f"{path}[{i}]", a, b, out, tol)
    elif isinstance(old, (int, float)) and isinstance(new, (int, float)):
        if not abs(old - new) <= tol * max(1.0, abs(old)):
            out.append(f"{path}: {old} -> {new}")
    elif old != new:
        out.append(f"{path}: {old} -> {new}")


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("--check", action="store_true", help="compare with reference.json instead of writing it")
    check = args.parse_args().check
    found = {
        name: [{**solve, "near": NEAR.get(name, USUAL)} for solve in compute()] for name, compute in EXAMPLES.items()
    }
    file = HERE / "reference.json"
    if check:
        out = []
        differences("examples", json.loads(file.read_text())["examples"], found, out)
        print("\n".join(out) or f"{len(found)} examples agree")
        return 1 if out else 0
    head = {
        "schema": "ravine.peers/1",
        "by": "tests/peers/reference.py",
        "date": datetime.date.today().isoformat(),
        "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__},
    }
    # One line a solve, so that a change of the file can be read.
    lines = [f' {json.dumps(key)}: {json.dumps(value)},' for key, value in head.items()]
    blocks = [
        f'  {json.dumps(name)}: [\n' + ",\n".join(f"   {json.dumps(one)}" for one in solves) + "\n  ]"
        for name, solves in found.items()
    ]
    file.write_text("{\n" + "\n".join(lines) + '\n "examples": {\n' + ",\n".join(blocks) + "\n }\n}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
