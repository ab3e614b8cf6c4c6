"""The families of random programs. One function is one family: it fills a `Program`; add another with `@family`."""

import casadi as ca
import cvxpy as cp
import numpy as np
from expressions import tree
from pieces import EXP_ATOMS, LINEAR_ATOMS, POWER_ATOMS, QUADRATIC_ATOMS, VECTOR_ATOMS, form, lp, matrix, mixture, size
from program import E, Row, call, literal

FAMILIES = {}


def family(make):
    FAMILIES[make.__name__] = make
    return make


@family
def linear(p):
    lp(p, size(p, 1, 2, 3, 5, 8, 15, 30), size(p, 1, 2, 3, 5, 8, 15, 30))


@family
def quadratic(p):
    lp(p, size(p, 1, 2, 3, 5, 8, 15), size(p, 1, 2, 3, 5, 8, 15), quadratic=True)


@family
def scaled(p):
    lp(p, size(p, 1, 2, 3, 5, 8), size(p, 1, 2, 3, 5, 8), quadratic=p.rng.random() < 0.4, units=True)


@family
def degenerate(p):
    lp(p, size(p, 2, 3, 5, 8), size(p, 1, 2, 3, 5, 8), quadratic=p.rng.random() < 0.3, extra=size(p, 1, 2, 4))


@family
def tiny(p):
    """Linear and quadratic programs of at most three variables and rows, full of zeros, ones and infinite limits."""
    g, n, m = p.rng, size(p, 1, 2, 3), size(p, 0, 1, 2, 3)
    few = lambda *s: g.choice([0, 0, 0, 1, -1, 2], s).astype(float)
    low, high = g.choice([-np.inf, -np.inf, -1, 0, 1], n), g.choice([np.inf, np.inf, 0, 1, 2], n)
    high = np.maximum(low, high)
    x = p.var("x", n, low=low if g.random() < 0.8 else None, high=high)
    goal = call("dot", lambda c, y: c @ y, p.data("c", few(n)), x)
    if g.random() < 0.4:
        f = few(size(p, 1, 2), n)
        goal = goal + 0.5 * call("quad", lambda z, h: cp.quad_form(z, cp.psd_wrap(h)), x, p.data("P", f.T @ f))
    p.minimize(goal)
    infinite = float(g.choice([0, 0.4], p=[0.95, 0.05]))
    limit = lambda sign: np.where(g.random(m) < infinite, sign * np.inf, few(m))
    if not m and g.random() < 0.5:
        p.head.append("param none: Int = 0")
        p.row("c[i in 1..none]", E("x[1]", x.peer[:0]) <= 1.0)
        p.duals = False
    for name in ["a", "b"][: size(p, 1, 2)] if m else []:
        e, k = p.data(f"M{name}", few(m, n)) @ x, g.integers(4)
        l, h = p.data(f"l{name}", limit(-1)), p.data(f"h{name}", limit(1))
        h.peer[:] = np.maximum(l.peer, h.peer)
        p.head[-1] = f"param h{name}: Vector[{m}] = {literal(h.peer)}"
        p.row(name, [lambda: e <= h, lambda: e >= l, lambda: e.equals(p.data(f"e{name}", few(m))), lambda: e.between(l, h)][k]())


@family
def squares(p):
    """Least squares, often rank-deficient, with bounds, equations, ridge."""
    g, n, m = p.rng, size(p, 1, 2, 3, 5, 8, 20), size(p, 1, 2, 3, 5, 8, 20)
    low, high = g.choice([-np.inf, -1, 0]), g.choice([np.inf, 1])
    x = p.var("x", n, low=low if np.isfinite(low) or np.isfinite(high) else None, high=high)
    fit = p.data("A", matrix(p, m, n)) @ x - p.data("b", g.integers(-5, 6, m))
    goal = call("sumsq", cp.sum_squares, fit)
    if g.random() < 0.3:
        goal = goal + 0.01 * call("sumsq", cp.sum_squares, x)
    if g.random() < 0.3:
        goal = goal + call("dot", lambda c, y: c @ y, p.data("c", g.integers(-1, 2, n)), x)
    p.minimize(goal)
    if g.random() < 0.6:
        a = p.data("E", matrix(p, size(p, 1, 1, 2, 3), n))
        p.row("eq", (a @ x).equals(p.data("e", a.peer @ g.uniform(0, 1, n).round(2))))
    if g.random() < 0.3:
        p.row("total", call("sum", cp.sum, x) <= 1)


def penalty(p, x, n):
    g, k = (
        p.rng,
        p.rng.choice(["norm1", "group", "tv", "elastic", "norminf", "weights", "simplex", "box", "ball", "fused", "max"]),
    )
    mu = float(g.choice([0.01, 0.1, 1, 5]))
    if k == "simplex":
        p.row("whole", call("sum", cp.sum, x).equals(1))
    if k == "ball":
        p.row(
            "ball",
            call(b := str(g.choice(["norm", "norm1", "norminf"])), dict(norm=cp.norm2, norm1=cp.norm1, norminf=cp.norm_inf)[b], x)
            <= 1,
        )
    parts = {
        "norm1": lambda: form("norm1({})", cp.norm1)(x),
        "norminf": lambda: form("norminf({})", cp.norm_inf)(x),
        "elastic": lambda: form("norm1({0}) + 2*sumsq({0})", lambda a: cp.norm1(a) + 2 * cp.sum_squares(a))(x),
        "tv": lambda: form("tv({})", cp.tv)(x),
        "max": lambda: form("max({})", cp.max)(x),
        "fused": lambda: form("tv({0}) + 0.5*norm1({0})", lambda a: cp.tv(a) + 0.5 * cp.norm1(a))(x),
        "weights": lambda: form("norm1(w .* {})", lambda a: cp.norm1(cp.multiply(w.peer, a)))(x),
        "group": lambda: form(
            f"norm({{0}}[1..{n // 2}]) + norm({{0}}[{n // 2 + 1}..{n}])", lambda a: cp.norm2(a[: n // 2]) + cp.norm2(a[n // 2 :])
        )(x),
    }
    w = p.data("w", g.integers(0, 3, n)) if k == "weights" else None
    p.note = f"{k} {mu}"
    if k not in parts:
        return None
    e = parts[k]()
    e.rank = 1
    return mu * e


def loss(p, x, n, m):
    e = p.data("A", matrix(p, m, n)) @ x - p.data("b", p.rng.integers(-3, 4, m))
    k = str(p.rng.choice(["sumsq", "sumsq", "huber", "logistic", "poisson", "squared_hinge", "expectile"]))
    p.note += f" {k}"
    return VECTOR_ATOMS[k](e)


@family
def composite(p):
    n, m = size(p, 2, 3, 5, 8, 20, 60), size(p, 3, 5, 10, 20)
    p.note = ""
    bound = p.rng.random()
    x = p.var("x", n, low=0 if bound < 0.3 else (-1 if bound < 0.5 else None), high=1 if 0.3 <= bound < 0.5 else None)
    f = loss(p, x, n, m)
    h = penalty(p, x, n)
    if "simplex" in p.note and not bound < 0.3:
        p.rows.clear()
        h = 0.1 * LINEAR_ATOMS["norm1"](x)
    p.minimize(f + h if h else f)


@family
def wide(p):
    """Sizes at which other methods are chosen: 60 to 300 variables, smooth, composite, least squares, cones."""
    g, n = p.rng, size(p, 60, 120, 300)
    m = size(p, n // 3, n, 2 * n)
    a = g.standard_normal((m, n)).round(2) * (g.random((m, n)) < g.choice([0.05, 1])) + g.choice([0, 0, 1]) * g.standard_normal(
        (m, 1)
    ).round(2)
    x = p.var("x", n, low=[None, 0, -1][k := g.integers(3)], high=1 if k == 2 else None)
    e = p.data("A", a) @ x - p.data(
        "b", (a @ np.where(g.random(n) < 0.2, g.integers(-2, 3, n), 0) + g.standard_normal(m)).round(2)
    )
    kind = str(
        g.choice(
            [
                "sumsq",
                "sumsq",
                "huber",
                "logistic",
                "softplus",
                "pseudo_huber",
                "logsumexp",
                "squared_hinge",
                "norm",
                "norm1",
                "expectile",
                "log_cosh",
                "exp",
            ]
        )
    )
    if kind == "exp":
        e = 0.02 * e
    goal = VECTOR_ATOMS[kind](e)
    h = str(
        g.choice(
            ["none", "norm1", "sumsq", "group", "tv", "norm", "elastic", "total"], p=[0.1, 0.3, 0.15, 0.15, 0.1, 0.05, 0.1, 0.05]
        )
    )
    mu = float(g.choice([0.01, 0.1, 1])) * (1 if kind in ("norm", "logsumexp") else 10)
    h_of = {
        "group": form(
            " + ".join(f"norm({{0}}[{i + 1}..{i + 20}])" for i in range(0, n, 20)),
            lambda z: sum(cp.norm2(z[i : i + 20]) for i in range(0, n, 20)),
        ),
        "elastic": form("norm1({0}) + sumsq({0})", lambda z: cp.norm1(z) + cp.sum_squares(z)),
        **VECTOR_ATOMS,
    }
    if h in h_of:
        r = h_of[h](x)
        r.rank = 1
        goal = goal + mu * r
    if h == "total":
        p.row("total", call("sum", cp.sum, x).equals(1))
    p.minimize(goal)
    p.note, p.duals = f"{kind} {h} {n} {m}", False


@family
def mixed(p):
    """Piecewise linear, quadratic, power and exponential atoms together, in objective and rows."""
    mixture(p, VECTOR_ATOMS)


@family
def mixed_units(p):
    """The same in units of 2^-10 to 2^10 for variables, of 2^-20 to 2^20 for the objective."""
    mixture(p, VECTOR_ATOMS, units=True)


@family
def piecewise(p):
    mixture(p, LINEAR_ATOMS)


@family
def second_order(p):
    mixture(p, {**QUADRATIC_ATOMS, "norm1": LINEAR_ATOMS["norm1"]})


@family
def powers(p):
    mixture(p, POWER_ATOMS)


@family
def exponential(p):
    mixture(p, EXP_ATOMS)


@family
def semidefinite(p):
    """Functions of an affine symmetric matrix, memberships, and rows between them."""
    g, n, k = p.rng, size(p, 2, 3, 4), size(p, 1, 2, 3)
    sym = lambda: (lambda a: a + a.T)(g.integers(-2, 3, (n, n)).astype(float))
    whole = g.random() < 0.4
    if whole:
        s = p.var("X", n, n, kind=f"Symmetric[{n}]")
        size_ = form("trace({})", cp.trace)(s)
        p.row("cone", Row(s, "in PSD"))
        p.row("scale", size_ <= 3 if g.random() < 0.5 else size_.equals(3))
        s = s + p.data("S", sym(), kind=f"Symmetric[{n}]") if g.random() < 0.3 else s
    else:
        x = p.var("x", k, low=-2, high=2)
        s = p.data("S", sym() + 12 * np.eye(n), kind=f"Symmetric[{n}]")
        for i in range(k):
            s = s + x[i] * p.data(f"F{i}", sym(), kind=f"Symmetric[{n}]")
        size_ = call("sum", cp.sum, x)
    atoms = {
        "lambda_max": form("lambda_max({})", cp.lambda_max),
        "lambda_min": form("(-lambda_min({}))", lambda a: -cp.lambda_min(a)),
        "sigma_max": form("sigma_max({})", cp.sigma_max),
        "nuclear": form("nuclear({})", cp.normNuc),
        "frobenius": form("norm({})", lambda a: cp.norm(a, "fro")),
        "sumsq": form("sumsq({})", cp.sum_squares),
        "trace": lambda e: E(f"trace(C*({e.text}))", cp.trace(p.data("C", sym(), kind=f"Symmetric[{n}]").peer @ e.peer)),
    }
    if not whole or g.random() < 0.3:
        atoms |= {
            "logdet": form("(-logdet({}))", lambda a: -cp.log_det(a)),
            "trace_inv": form("trace_inv({})", cp.tr_inv),
            "matrix_frac": form("matrix_frac(v, {})", lambda a: cp.matrix_frac(v.peer, a)),
        }
    v = p.data("v", g.integers(-2, 3, n))
    names = list(g.choice(list(atoms), 2, replace=False))
    p.note = " ".join(names) + (" X" if whole else "")
    goal = atoms[names[0]](s)
    if g.random() < 0.5:
        goal = goal + 0.5 * atoms[names[1]](s)
    elif names[1] in ("lambda_max", "sigma_max", "frobenius"):
        p.row("cap", atoms[names[1]](s) <= 14)
    p.minimize(goal - 0.5 * size_ if g.random() < 0.5 else goal)


@family
def empty(p):
    """Programs that have no point, or no end, on purpose: limits that contradict each other, slopes without a floor."""
    g = p.rng
    x, x0 = mixture(p, VECTOR_ATOMS, terms=1, bounded=0.3)
    n = len(x0)
    c = p.data("way", g.integers(-2, 3, n))
    slope = call("dot", lambda c, y: c @ y, c, x)
    if g.random() < 0.5:
        lim = float(g.integers(-2, 3))
        p.row("above", slope >= lim + float(g.choice([0.01, 1, 5])))
        p.row("below", slope <= lim)
        p.note += " contradiction"
    else:
        p.minimize(p.objective + float(g.choice([1, 10, 50])) * slope)
        p.note += " slope"
    p.duals = False


@family
def warm(p):
    """One problem solved again and again: cold, from points, without rows, with entries fixed."""
    g = p.rng
    if g.random() < 0.5:
        lp(p, n := size(p, 2, 3, 5, 8), size(p, 2, 3, 5), quadratic=g.random() < 0.5)
        x0 = np.zeros(n)
    else:
        _, x0 = mixture(p, VECTOR_ATOMS, bounded=0.8)
        n = len(x0)
    p.solve()
    for _ in range(3):
        k = g.choice(["again", "cold", "from", "without", "fixing", "both"])
        fix, out = [], []
        if k in ("fixing", "both"):
            i = int(g.integers(n))
            low, high = p.bounds.get("x", (np.full(n, -1.0), np.full(n, 1.0)))
            fix = [("x", (i,), float(np.clip(g.integers(-2, 3), low[i], high[i])))]
        if k in ("without", "both") and p.rows:
            out = [str(g.choice(list(p.rows)))]
        suffix = (f" from x = {literal(x0)}" if k == "from" else "") + (
            f" fixing x[{fix[0][1][0] + 1}] = {fix[0][2]:g}" if fix else ""
        )
        suffix += (f" without {out[0]}" if out else "") + (" cold" if k == "cold" else "")
        p.solve(suffix, without=out, fixing=fix)


@family
def forms(p):
    """The same program in index form, with one thread and with four."""
    g, n, m = p.rng, size(p, 2, 3, 5, 40), size(p, 2, 3, 5, 40)
    p.threads = True
    a, b = p.data("A", matrix(p, m, n)), p.data("b", g.integers(-3, 4, m))
    x = p.var("x", n, low=-3, high=3)
    residual = "(sum(j in 1..%d) A[i, j]*x[j] - b[i])" % n
    f, peer = {
        "square": (f"{residual}^2", cp.square),
        "abs": (f"abs{residual}", cp.abs),
        "huber": (f"huber({residual}, 0.5)", lambda r: cp.huber(r, 0.5) / 2),
        "softplus": (f"softplus{residual}", cp.logistic),
        "exp": (f"exp(0.3*{residual})", lambda r: cp.exp(0.3 * r)),
    }[g.choice(["square", "abs", "huber", "softplus", "exp"])]
    fit = E(f"(sum(i in 1..{m}) {f})", cp.sum(peer(a.peer @ x.peer - b.peer)))
    p.minimize(fit + E(f"(sum(j in 1..{n}) 0.1*x[j]^2)", 0.1 * cp.sum_squares(x.peer)))
    if g.random() < 0.6:
        p.row(
            "family[i in 1..2]", E(f"(sum(j in 1..{n} if j >= i) x[j])", cp.hstack([cp.sum(x.peer), cp.sum(x.peer[1:])])) <= 1.0
        )
    p.duals = "family[i in 1..2]" not in p.rows
    p.solve()


@family
def methods(p):
    """Methods by name on problems where each should reach the same optimum."""
    g, n, m = p.rng, size(p, 2, 3, 5, 10), size(p, 3, 5, 10)
    kind = g.choice(["composite", "smooth", "bounded", "squares", "linear", "conic"])
    x = p.var("x", n, low=-1, high=1) if kind == "bounded" else p.var("x", n)
    e = p.data("A", g.standard_normal((m, n)).round(3)) @ x - p.data("b", g.integers(-3, 4, m))
    ridge = 0.1 * QUADRATIC_ATOMS["sumsq"](x)
    soft = str(g.choice(["sumsq", "huber", "logistic", "softplus", "logsumexp", "expectile"]))
    by = {
        "composite": ["apg()", "fista()", "clarabel()", "prox_newton()", "coordinate_descent()", "interior_point()"],
        "smooth": ["lbfgs()", "newton_tr()", "nonlinear_cg()", "barzilai_borwein()", "gd(1) |> linesearch()", "clarabel()"],
        "bounded": ["lbfgs()", "newton_tr()", "apg()", "clarabel()", "fista()"],
        "squares": ["direct()", "lsmr()", "lbfgs()", "newton_tr()", "levenberg_marquardt()", "gauss_newton()", "clarabel()"],
        "linear": ["interior_point()", "clarabel()", "augmented_lagrangian()"],
        "conic": ["clarabel()", "interior_point()"],
    }[kind]
    if kind == "composite":
        soft = "sumsq"
        p.minimize(QUADRATIC_ATOMS["sumsq"](e) + float(g.choice([0.1, 1, 5])) * form("norm1({})", cp.norm1)(x))
    elif kind == "squares":
        p.minimize(QUADRATIC_ATOMS["sumsq"](e) + ridge)
    elif kind in ("linear", "conic"):
        p.minimize(
            call("dot", lambda c, y: c @ y, p.data("c", g.integers(-2, 3, n)), x)
            + (ridge if kind == "linear" else 0.3 * QUADRATIC_ATOMS["norm"](e))
        )
        p.row("low", x >= -1.0)
        p.row("high", x <= 1.0)
    else:
        p.minimize(VECTOR_ATOMS[soft](e) + ridge)
    p.note, p.duals = f"{kind} {soft}", False
    p.solve()
    p.solve(f" cold with {g.choice(by)}", exact=False)


@family
def large(p):
    """Sparse linear programs of some hundred rows."""
    g, n, m = p.rng, size(p, 100, 200, 400), size(p, 50, 100, 200)
    a = np.where(g.random((m, n)) < 4 / n, g.integers(-4, 5, (m, n)), 0).astype(float)
    x0 = g.integers(0, 2, n).astype(float)
    x = p.var("x", n, low=0, high=np.where(g.random(n) < 0.5, np.inf, x0 + g.integers(0, 2, n)))
    y = g.integers(-2, 3, m)
    c = a.T @ y + g.integers(0, 3, n) * (g.random() < 0.8)
    p.minimize(call("dot", lambda c, y: c @ y, p.data("c", c), x))
    p.row("eq", (p.data("A", a) @ x).equals(p.data("b", a @ x0)))


SMOOTH = [
    lambda u, v: E(f"sin({u.text})*{v.text}", ca.sin(u.peer) * v.peer, 2),
    lambda u, v: E(f"cos({u.text} - {v.text})", ca.cos(u.peer - v.peer)),
    lambda u, v: E(f"({u.text}^2 - {v.text})^2", (u.peer**2 - v.peer) ** 2, 2),
    lambda u, v: E(f"exp(-({u.text}^2))*{v.text}", ca.exp(-(u.peer**2)) * v.peer, 2),
    lambda u, v: E(f"tanh({u.text}*{v.text})", ca.tanh(u.peer * v.peer)),
    lambda u, v: E(f"{u.text}*{v.text}", u.peer * v.peer, 2),
    lambda u, v: E(f"log(1 + {u.text}^2 + {v.text}^2)", ca.log(1 + u.peer**2 + v.peer**2)),
    lambda u, v: E(f"atan({u.text})", ca.atan(u.peer)),
    lambda u, v: E(f"sqrt(1 + ({u.text} + {v.text})^2)", ca.sqrt(1 + (u.peer + v.peer) ** 2)),
    lambda u, v: E(f"{u.text}^4", u.peer**4, 2),
    lambda u, v: E(f"{u.text}/(2 + {v.text}^2)", u.peer / (2 + v.peer**2), 2),
    lambda u, v: E(f"({u.text} - {v.text})^3", (u.peer - v.peer) ** 3, 2),
]


@family
def values(p):
    """Expressions of data and of variables that have only one value, evaluated."""
    g, n = p.rng, size(p, 2, 3, 4)
    draw = lambda *s: g.integers(-4, 5, s) / 2 if g.random() < 0.5 else g.standard_normal(s).round(2)
    known = {
        (): [p.data("a", draw()), E("2", 2.0)],
        (n,): [p.data("u", draw(n)), p.data("v", draw(n))],
        (n, n): [p.data("A", draw(n, n)), p.data("B", draw(n, n))],
    }
    for _ in range(4):
        with np.errstate(all="ignore"):
            e = tree(p, known, [(), (n,), (n, n)][g.integers(3)], 4)
        p.values.append((e.text, e.peer))
    x, y = p.var("x", n), p.var("Y", n, n)
    p.row("is", x.equals(known[(n,)][0]))
    p.row("are", y.equals(known[(n, n)][0]))
    p.minimize(call("sum", cp.sum, x))
    kept = {(): known[()], (n,): [E("x", known[(n,)][0].peer)], (n, n): [E("Y", known[(n, n)][0].peer)]}
    for _ in range(3):
        with np.errstate(all="ignore"):
            e = tree(p, kept, [(), (n,), (n, n)][g.integers(3)], 4)
        p.values.append((f"s1.value({e.text})", e.peer))
    p.duals = False


KINKS = [
    lambda u, v: E(f"abs({u.text} - {v.text})", ca.fabs(u.peer - v.peer)),
    lambda u, v: E(f"abs({u.text})", ca.fabs(u.peer)),
    lambda u, v: E(f"max({u.text}, 2*{v.text})", ca.fmax(u.peer, 2 * v.peer)),
    lambda u, v: E(f"min({u.text}^2, {v.text})", ca.fmin(u.peer**2, v.peer)),
    lambda u, v: E(f"relu({u.text} + {v.text} - 0.5)", ca.fmax(u.peer + v.peer - 0.5, 0)),
    lambda u, v: E(f"{u.text}*abs({v.text})", u.peer * ca.fabs(v.peer), 2),
    lambda u, v: E(f"norm([{u.text}, {v.text}])", ca.norm_2(ca.vertcat(u.peer, v.peer))),
    lambda u, v: E(f"hinge({u.text})", ca.fmax(1 - u.peer, 0)),
    lambda u, v: E(f"prod([{u.text}, {v.text}])", u.peer * v.peer),
    lambda u, v: E(f"logsumexp([{u.text}, -{v.text}])", ca.log(ca.exp(u.peer) + ca.exp(-v.peer))),
    lambda u, v: E(f"(if {u.text} > 0.5 then {u.text} else {v.text})", ca.if_else(u.peer > 0.5, u.peer, v.peer)),
    lambda u, v: E(f"norm1([{u.text}, {v.text} - 1])", ca.fabs(u.peer) + ca.fabs(v.peer - 1)),
    lambda u, v: E(
        f"huber({u.text}*{v.text}, 0.3)",
        ca.if_else(ca.fabs(u.peer * v.peer) <= 0.3, (u.peer * v.peer) ** 2 / 2, 0.3 * (ca.fabs(u.peer * v.peer) - 0.15)),
    ),
    lambda u, v: E(f"ramp_loss({u.text})", ca.fmin(1, ca.fmax(0, 1 - u.peer))),
    lambda u, v: E(f"sign({u.text})", ca.sign(u.peer)),
]


@family
def kinks(p):
    """Nonconvex objectives with kinks and jumps; whatever is called locally optimal has to be."""
    smooth(p, KINKS)


@family
def smooth(p, more=()):
    """Nonconvex smooth programs from several starts, with and without bounds and rows."""
    g, n = p.rng, size(p, 2, 3, 4, 6)
    p.smooth, p.duals = True, False
    kind = g.choice(["free", "bounds", "rows", "both"][: 2 if more else 4])
    bounds = kind in ("bounds", "both")
    x = p.var("x", n, low=-2 if bounds else None, high=2 if bounds else None, start=g.integers(-1, 2, n))

    def term():
        i, j = g.choice(n, 2, replace=False)
        atoms = more if more and g.random() < 0.6 else SMOOTH
        return float(g.choice([1, -1, 2, 0.5])) * atoms[g.integers(len(atoms))](x[int(i)], x[int(j)])

    goal = float(g.choice([0.05, 0.5])) * call("sumsq", ca.sumsqr, x) + 0.01 * E("sum(x.^4)", ca.sum1(x.peer**4))
    for _ in range(size(p, 1, 3, 6)):
        goal = goal + term()
    if g.random() < 0.2:
        p.maximize(-goal)
    else:
        p.minimize(goal)
    if kind in ("rows", "both"):
        x0 = g.uniform(-1, 1, n)
        for k in range(size(p, 1, 2)):
            t = term() + x[int(g.integers(n))]
            v = round(float(ca.Function("f", [x.peer], [t.peer])(x0)), 3)
            p.row(f"c{k}", g.choice([t <= v + 0.3, t >= v - 0.3, t.equals(v)]))
    p.solve()
    p.solve(f" from x = {literal(g.integers(-2, 3, n))}" if not bounds else f" from x = {literal(g.integers(-1, 2, n))}")


@family
def factors(p):
    """Low-rank factors from symmetric and from random starts: second derivatives come by products, and saddles abound."""
    g, n, r = p.rng, size(p, 2, 3, 4), size(p, 1, 2)
    p.smooth, p.duals = True, False
    m = matrix(p, n, n)
    m = p.data("M", m @ m.T)
    k = g.integers(3)
    start = [None, np.full((n, r), float(g.choice([1, 0.5, -1]))), g.integers(-2, 3, (n, r))][k]
    u = p.var("U", n, r, start=start)
    p.minimize(E("sumsq(U*U' - M)", ca.sumsqr(u.peer @ u.peer.T - m.peer)))
    p.solve()
