#!/usr/bin/env python3
"""Optimal values of the models in tests/programs/models, computed without Ravine.

    python tests/peers/models.py            writes tests/peers/models.json
    python tests/peers/models.py --check    computes again and compares with that file

Needs numpy, scipy and cvxpy. The solvers are HiGHS, OSQP and SCS at 1e-9, none of which Ravine uses; water filling is
solved by bisection. The data are written out a second time here on purpose: a misread file would show.
"""

import json
import sys
from pathlib import Path

import cvxpy as cp
import numpy as np

HERE = Path(__file__).resolve().parent


def solved(problem, solver):
    settings = {
        "SCS": dict(eps_abs=1e-9, eps_rel=1e-9, max_iters=200000),
        "OSQP": dict(eps_abs=1e-10, eps_rel=1e-10, max_iter=200000, polishing=True),
        "HIGHS": {},
    }[solver]
    problem.solve(solver=solver, **settings)
    assert problem.status == "optimal", problem.status
    return float(problem.value)


def portfolio():
    mu = np.array([0.9, 0.4, 1.1, 0.6, 0.3])
    F = np.array([[0.5, 0.1], [0.2, 0.4], [0.7, -0.2], [0.1, 0.3], [0.3, 0]])
    S = np.array([[1.2, 0.3], [0.3, 0.8]])
    D = np.array([0.1, 0.2, 0.4, 0.1, 0.05])
    w = cp.Variable(5)
    risk = cp.quad_form(F.T @ w, S) + D @ cp.square(w)
    return solved(cp.Problem(cp.Maximize(mu @ w - 2 * risk), [w >= 0, cp.sum(w) == 1]), "OSQP")


def diet():
    cost = np.array([3.19, 2.59, 2.29, 2.89, 1.89, 1.99, 1.99, 2.49])
    amount = np.array(
        [
            [60, 8, 8, 40, 15, 70, 25, 60],
            [20, 0, 10, 40, 35, 30, 50, 20],
            [10, 20, 15, 35, 15, 15, 25, 15],
            [15, 20, 10, 10, 15, 15, 15, 10],
        ]
    )
    buy = cp.Variable(8)
    rows = [buy >= 0, buy <= 100, amount @ buy >= 700, amount @ buy <= 10000]
    return solved(cp.Problem(cp.Minimize(cost @ buy), rows), "HIGHS")


def max_flow():
    capacity = {
        (1, 2): 10, (1, 3): 8, (1, 4): 9, (2, 5): 6, (2, 6): 5, (3, 5): 4, (3, 7): 6, (4, 6): 7, (4, 7): 4,
        (5, 8): 9, (6, 8): 9, (7, 8): 8,
    }
    arcs = list(capacity)
    f = cp.Variable(len(arcs))
    rows = [f >= 0, f <= np.array([capacity[a] for a in arcs])]
    for k in range(2, 8):
        into = [i for i, a in enumerate(arcs) if a[1] == k]
        out = [i for i, a in enumerate(arcs) if a[0] == k]
        rows.append(cp.sum(f[into]) == cp.sum(f[out]))
    return solved(cp.Problem(cp.Maximize(cp.sum(f[[i for i, a in enumerate(arcs) if a[0] == 1]])), rows), "HIGHS")


def chebyshev():
    A = np.array([[2, 1], [2, -1], [-1, 2], [-1, -2]])
    x, r = cp.Variable(2), cp.Variable()
    return solved(cp.Problem(cp.Maximize(r), [r >= 0, A @ x + r * np.linalg.norm(A, axis=1) <= 1]), "HIGHS")


def samples(last):
    return np.array(
        [[1.2, 0.3, -0.5], [0.8, 1.1, 0.2], [-0.3, 0.9, 1.4], [1.9, -0.4, 0.1], [-1.1, -0.2, 0.6], [-0.7, -1.3, 0.3]]
        + last
    )


def svm():
    X = samples([[0.2, -0.8, -1.2], [-1.6, 0.5, -0.4]])
    y = np.array([1, 1, 1, 1, -1, -1, -1, -1])
    b, v = cp.Variable(3), cp.Variable()
    loss = cp.sum(cp.pos(1 - cp.multiply(y, X @ b - v))) / 8
    return solved(cp.Problem(cp.Minimize(loss + 0.1 * cp.norm1(b))), "SCS")


def logistic():
    X = samples([[0.2, -0.8, 1.2], [0.6, 0.5, -0.4]])
    y = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    b = cp.Variable(3)
    loss = cp.sum(cp.logistic(X @ b) - cp.multiply(y, X @ b)) / 8
    return solved(cp.Problem(cp.Minimize(loss + 0.05 * cp.norm1(b))), "SCS")


def control():
    A, B = np.array([[1, 0.5], [0, 1]]), np.array([0.125, 0.5])
    x, u = cp.Variable((2, 9)), cp.Variable(8)
    rows = [x[:, 0] == np.array([3, -1]), cp.abs(x[:, 8]) <= 0.05, cp.abs(u) <= 1]
    rows += [x[:, t + 1] == A @ x[:, t] + B * u[t] for t in range(8)]
    return solved(cp.Problem(cp.Minimize(cp.sum_squares(x) + 0.5 * cp.sum_squares(u)), rows), "OSQP")


def water_filling():
    alpha = np.array([0.8, 1.0, 1.2, 0.3, 2.5])
    low, high = 0.0, 10.0
    for _ in range(200):
        level = (low + high) / 2
        if np.maximum(level - alpha, 0).sum() > 1:
            high = level
        else:
            low = level
    return float(np.log(alpha + np.maximum(low - alpha, 0)).sum())


def facility():
    place = np.array([[0, 0], [4, 1], [1, 5], [6, 6], [3, 2]])
    weight = np.array([1, 2, 1.5, 1, 3])
    p, q = cp.Variable(2), cp.Variable(2)
    total = sum(w * cp.norm(p - a) for w, a in zip(weight, place)) + 2 * cp.norm(p - q) + cp.norm(q - np.array([5, 0]))
    return solved(cp.Problem(cp.Minimize(total), [cp.sum(q) == 6, cp.norm(q - p) <= 2]), "SCS")


def completion():
    seen = {
        (0, 0): 1, (0, 2): 3, (0, 4): 2, (1, 1): 4, (1, 2): 6, (2, 0): -1, (2, 3): 1, (3, 1): 2, (3, 3): -2, (3, 4): 1,
    }
    X = cp.Variable((4, 5))
    return solved(cp.Problem(cp.Minimize(cp.normNuc(X)), [X[k] == v for k, v in seen.items()]), "SCS")


def max_cut():
    L = np.array([[3, -1, -1, 0, -1], [-1, 2, -1, 0, 0], [-1, -1, 4, -1, -1], [0, 0, -1, 2, -1], [-1, 0, -1, -1, 3]])
    X = cp.Variable((5, 5), PSD=True)
    return solved(cp.Problem(cp.Maximize(cp.trace(L @ X) / 4), [cp.diag(X) == 1]), "SCS")


def network_utility():
    uses = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 1, 1]])
    x = cp.Variable(4)
    return solved(cp.Problem(cp.Maximize(cp.sum(cp.log(x))), [uses @ x <= np.array([2, 1, 3])]), "SCS")


def chain():
    x, y = cp.Variable(9), cp.Variable(9)
    rows = [x[0] == 0, y[0] == 1, x[8] == 2, y[8] == 1.5]
    rows += [cp.norm(cp.hstack([x[k] - x[k - 1], y[k] - y[k - 1]])) <= 0.4 for k in range(1, 9)]
    return solved(cp.Problem(cp.Minimize(cp.sum(y)), rows), "SCS")


def sensors():
    anchor = np.array([[0, 0], [4, 0], [0, 4]])
    far = np.array([[2, 10, 10], [13, 5, 13]])
    Z = cp.Variable((4, 4), PSD=True)
    rows = [Z[:2, :2] == np.eye(2), Z[2, 2] + Z[3, 3] - 2 * Z[2, 3] == 5]
    for s in range(2):
        for k in range(3):
            rows.append(Z[2 + s, 2 + s] - 2 * anchor[k] @ Z[:2, 2 + s] + anchor[k] @ anchor[k] == far[s, k])
    return solved(cp.Problem(cp.Minimize(cp.trace(Z)), rows), "SCS")


MODELS = [
    portfolio, diet, max_flow, chebyshev, svm, logistic, control, water_filling, facility, completion, max_cut,
    network_utility, chain, sensors,
]


def main():
    found = {f.__name__.replace("_", "-"): f() for f in MODELS}
    path = HERE / "models.json"
    if "--check" in sys.argv:
        kept = json.loads(path.read_text())
        off = {k: (kept[k], v) for k, v in found.items() if abs(kept[k] - v) > 1e-6 * (1 + abs(v))}
        assert kept.keys() == found.keys() and not off, off
    else:
        path.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
