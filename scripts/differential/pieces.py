"""What families of convex programs are made of: data of many kinds, atoms, mixtures of them, linear and quadratic programs."""

import cvxpy as cp
import numpy as np
from program import E, call, number


def matrix(p, m, n):
    """Data of many kinds: Gaussian, small integers, sparse, nearly parallel columns, of low rank."""
    g, kind = p.rng, p.rng.choice(["normal", "integer", "sparse", "parallel", "low rank"], p=[0.35, 0.35, 0.1, 0.1, 0.1])
    if kind == "integer":
        return g.integers(-3, 4, (m, n)).astype(float)
    if kind == "low rank":
        r = max(1, min(m, n) // 2)
        return g.integers(-2, 3, (m, r)).astype(float) @ g.integers(-2, 3, (r, n))
    a = g.standard_normal((m, n)).round(4)
    if kind == "sparse":
        a[g.random((m, n)) < 0.7] = 0
    return a * 0.05 + g.standard_normal((m, 1)).round(3) if kind == "parallel" else a


def size(p, *choices):
    return int(p.rng.choice(choices))


def affine(p, x, m, name):
    """A random affine vector of `m` entries in `x`."""
    n, d = x.peer.shape[0], p.units["x"]
    if (d == 1).all() and m == n and p.rng.random() < 0.3:
        return x - p.data(f"b{name}", p.rng.integers(-2, 3, m))
    return p.data(f"A{name}", matrix(p, m, n), unit=1 / d) @ x - p.data(
        f"b{name}", p.rng.integers(-3, 4, m) * (p.rng.random() < 0.8)
    )


def form(text, peer):
    """An atom of one argument as a template: `form("sum(exp({}))", …)(e)`."""
    return lambda e: E(text.format(e.text), peer(e.peer))


half = lambda a, d: cp.sum(cp.huber(a, d)) / 2
LINEAR_ATOMS = {
    "norm1": form("norm1({})", cp.norm1),
    "norminf": form("norminf({})", cp.norm_inf),
    "max": form("max({})", cp.max),
    "sum_largest": form("sum_largest({}, 2)", lambda a: cp.sum_largest(a, 2)),
    "relu": form("sum(relu({}))", lambda a: cp.sum(cp.pos(a))),
    "hinge": form("sum(hinge({}))", lambda a: cp.sum(cp.pos(1 - a))),
    "pinball": form("sum(pinball({}, 0.3))", lambda a: cp.sum(cp.maximum(0.3 * a, -0.7 * a))),
    "insensitive": form("sum(eps_insensitive({}, 0.5))", lambda a: cp.sum(cp.pos(cp.abs(a) - 0.5))),
    "pieces": form("sum(max(2*({0}) - 1, 0.5*({0}) + 1))", lambda a: cp.sum(cp.maximum(2 * a - 1, 0.5 * a + 1))),
    "tv": form("tv({})", cp.tv),
}
QUADRATIC_ATOMS = {
    "sumsq": form("sumsq({})", cp.sum_squares),
    "norm": form("norm({})", cp.norm2),
    "huber": form("sum(huber({}, 0.7))", lambda a: half(a, 0.7)),
    "squared_hinge": form("sum(squared_hinge({}))", lambda a: cp.sum_squares(cp.pos(1 - a))),
    "smoothed_hinge": form("sum(smoothed_hinge({}))", lambda a: half(cp.pos(1 - a), 1)),
    "expectile": form("sum(expectile({}, 0.2))", lambda a: 0.2 * cp.sum_squares(cp.pos(a)) + 0.8 * cp.sum_squares(cp.neg(a))),
    "pseudo_huber": form(
        "sum(pseudo_huber({}, 2))", lambda a: sum(4 * (cp.norm2(cp.hstack([1, a[i] / 2])) - 1) for i in range(a.shape[0]))
    ),
    "over": form("quad_over_lin(sum({0}), 4 + ({0})[1])", lambda a: cp.quad_over_lin(cp.sum(a), 4 + a[0])),
    "inv_pos": form("sum(inv_pos({} + 5))", lambda a: cp.sum(cp.inv_pos(a + 5))),
    "norm of norms": form("hypot(sum(abs({0})), 1)", lambda a: cp.norm2(cp.hstack([cp.norm1(a), 1]))),
    "square of norm": form("norm({})^2", lambda a: cp.square(cp.norm2(a))),
}
POWER_ATOMS = {
    "pnorm3": form("pnorm({}, 3)", lambda a: cp.pnorm(a, 3)),
    "pnorm1.5": form("pnorm({}, 1.5)", lambda a: cp.pnorm(a, 1.5)),
    "fourth": form("sum(({}).^4)", lambda a: cp.sum(cp.power(a, 4))),
    "relu3": form("sum(relu({}).^3)", lambda a: cp.sum(cp.power(cp.pos(a), 3))),
    "geo_mean": form("(-geo_mean({} + 6))", lambda a: -cp.geo_mean(a + 6)),
    "sqrt": form("(-sum(sqrt({} + 5)))", lambda a: -cp.sum(cp.sqrt(a + 5))),
    "root": form("(-sqrt(({0} + 6)[1]))", lambda a: -cp.sqrt(a[0] + 6)),
    "abs1.5": form("sum(abs({}).^1.5)", lambda a: cp.sum(cp.power(cp.abs(a), 1.5))),
}
EXP_ATOMS = {
    "logsumexp": form("logsumexp({})", cp.log_sum_exp),
    "exp": form("sum(exp(0.5*({})))", lambda a: cp.sum(cp.exp(0.5 * a))),
    "softplus": form("sum(softplus({}))", lambda a: cp.sum(cp.logistic(a))),
    "logistic": form("sum(logistic_loss({}))", lambda a: cp.sum(cp.logistic(-a))),
    "log_cosh": form("sum(log_cosh({}))", lambda a: cp.sum(cp.logistic(-2 * a) + a - np.log(2))),
    "log": form("(-sum(log({} + 6)))", lambda a: -cp.sum(cp.log(a + 6))),
    "entropy": form("(-sum(entropy({} + 5)))", lambda a: -cp.sum(cp.entr(a + 5))),
    "kl": form("sum(kl_div({} + 5, 2))", lambda a: cp.sum(cp.kl_div(a + 5, 2 * np.ones(a.shape[0])))),
    "rel_entropy": form("sum(rel_entropy({0} + 6, 3 + 0.2*({0})))", lambda a: cp.sum(cp.rel_entr(a + 6, 3 + 0.2 * a))),
    "poisson": form("sum(poisson_nll({}, 3))", lambda a: cp.sum(cp.exp(a) - 3 * a)),
}
VECTOR_ATOMS = {**LINEAR_ATOMS, **QUADRATIC_ATOMS, **POWER_ATOMS, **EXP_ATOMS}


def value_at(e, x, x0):
    x.peer.save_value(x0)
    with np.errstate(all="ignore"):
        v = e.peer.value
    return np.nan if v is None else np.squeeze(v)


def mixture(p, atoms, terms=None, rows=None, bounded=0.5, units=False):
    """Random atoms of affine arguments in the objective and below a limit in rows, around a point that satisfies them."""
    g, n = p.rng, size(p, 1, 2, 3, 4, 6, 10)
    x0 = g.integers(-1, 2, n).astype(float)
    low = high = None
    if g.random() < bounded:
        low = np.where(g.random(n) < 0.6, x0 - g.integers(0, 3, n), -np.inf)
        high = np.where(g.random(n) < 0.6, x0 + g.integers(0, 3, n), np.inf)
    two = lambda k, spread: np.exp2(g.integers(-spread, spread + 1, k))
    d = two(n, 10) if units else np.ones(n)
    p.unit = float(two(1, 20)[0]) if units else 1.0
    x = p.var("x", n, low=low, high=high, unit=d)
    total, used = None, []

    def term(name):
        used.append(kind := str(g.choice(list(atoms))))
        m = n if kind == "tv" else size(p, 2, 3, 5)
        return (
            atoms[kind](affine(p, x, m, name)) if not (kind == "tv" and n < 2) else LINEAR_ATOMS["norm1"](affine(p, x, m, name))
        )

    for k in range(terms or size(p, 1, 2, 3)):
        t = term(f"t{k}")
        if not np.isfinite(value_at(t, x, x0)):
            continue
        t = float(g.choice([1, 1, 0.1, 3])) * t
        total = t if total is None else total + t
    if total is None or g.random() < 0.4:
        t = call("dot", lambda c, y: c @ y, p.data("c", g.integers(-3, 4, n), unit=1 / d), x)
        total = t if total is None else total + t
    for k in range(size(p, 0, 1, 2) if rows is None else rows):
        if g.random() < 0.5:
            a = p.data(f"R{k}", matrix(p, m := size(p, 1, 2, 3), n), unit=1 / d)
            e, v = a @ x, a.peer @ x0
            r = g.choice(["<=", ">=", "==", "between"])
            room = g.integers(0, 3, m)
            b = p.data(f"r{k}", v + {"<=": room, ">=": -room, "==": 0, "between": -room}[r])
            p.row(f"lin{k}", {"<=": e <= b, ">=": e >= b, "==": e.equals(b)}.get(r) or e.between(b, p.data(f"h{k}", v + 1)))
        else:
            t = term(f"c{k}")
            v = value_at(t, x, x0)
            if np.isfinite(v):
                limit, r = round(float(v) + float(g.choice([0.01, 0.5, 2])), 4), float(two(1, 12)[0]) if units else 1.0
                p.row(
                    f"cur{k}",
                    t <= limit if r == 1 else E(f"{number(r)}*({t.text})", t.peer) <= E(number(r * limit), limit),
                    unit=r,
                )
    p.note = " ".join(used)
    p.minimize(total if p.unit == 1 else E(f"{number(p.unit)}*({total.text})", total.peer))
    return x, x0


def lp(p, n, m, quadratic=False, units=False, extra=0):
    """A linear or quadratic program with rows of all kinds, often with a known optimal face; `extra` dependent rows."""
    g = p.rng
    a, x0 = matrix(p, m, n), g.integers(-2, 3, n).astype(float)
    low = np.where(g.random(n) < g.choice([0, 0.5, 1]), x0 - g.integers(0, 3, n), -np.inf)
    high = np.where(g.random(n) < g.choice([0, 0.3]), np.maximum(x0, low) + g.integers(0, 3, n), np.inf)
    y, kinds = g.integers(0, 3, m), g.choice(["<=", ">=", "==", "between"], m, p=[0.35, 0.3, 0.25, 0.1])
    for _ in range(extra):
        a, kinds = (
            np.vstack([a, (w := g.integers(-1, 2, m)) @ a[:m]]),
            np.append(kinds, "==" if (kinds[:m][w != 0] == "==").all() else "<="),
        )
        y = np.append(y, 0)
    room = np.where((g.random(len(kinds)) < 0.5) | (kinds == "=="), 0, g.integers(0, 4, len(kinds)))
    v = a @ x0
    s = np.select([kinds == "<=", kinds == ">="], [-1, 1], g.choice([-1, 1], len(kinds)))
    # Multipliers with the right signs make the program bounded; without them it often is not.
    c = a.T @ (s * y) + np.where(np.isfinite(low), g.integers(0, 2, n), 0) if g.random() < 0.8 else g.integers(-3, 4, n)
    two = lambda k, spread: np.exp2(g.integers(-spread, spread + 1, k))
    d, rs, p.unit = (two(n, 8), two(len(kinds), 10), float(two(1, 20)[0])) if units else (np.ones(n), np.ones(len(kinds)), 1.0)
    x = p.var("x", n, low=low if np.isfinite(low).any() or np.isfinite(high).any() else None, high=high, unit=d)
    goal = call("dot", lambda c, y: c @ y, p.data("c", c, unit=p.unit / d), x)
    if quadratic:
        f = matrix(p, size(p, 1, max(1, n // 2), n), n)
        q = f.T @ f
        goal = goal + 0.5 * call(
            "quad", lambda z, h: cp.quad_form(z, cp.psd_wrap(h)), x, p.data("P", q, unit=p.unit / np.outer(d, d))
        )
    if not quadratic and g.random() < 0.3:
        p.maximize(-goal)
    else:
        p.minimize(goal)
    for kind, name in [("<=", "le"), (">=", "ge"), ("==", "eq"), ("between", "rng")]:
        i = np.flatnonzero(kinds == kind)
        if not len(i):
            continue
        e = p.data(f"A{name}", a[i], unit=rs[i, None] / d) @ x
        r = rs[i]
        b = p.data(f"b{name}", v[i] + {"<=": 1, ">=": -1, "==": 0, "between": -1}[kind] * room[i], unit=r)
        row = {
            "<=": lambda: e <= b,
            ">=": lambda: e >= b,
            "==": lambda: e.equals(b),
            "between": lambda: e.between(b, p.data("top", v[i] + 1, unit=r)),
        }[kind]()
        p.row(name, row, unit=r)
    return x
