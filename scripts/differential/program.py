"""A random program written twice: as text for Ravine and as expressions for a peer.

An `E` carries both. A generator builds them with the operators below, so that the two cannot drift apart; the peer's side is
CVXPY (convex programs) or CasADi (smooth ones). Data may be given to Ravine in other units (`unit`, powers of two) than to
the peer; answers are converted back before they are compared.
"""

import casadi as ca
import cvxpy as cp
import numpy as np


def number(v):
    v = float(v)
    if np.isinf(v):
        return "inf" if v > 0 else "-inf"
    return str(int(v)) if v == int(v) and abs(v) < 1e15 else repr(v)


def literal(a):
    a = np.asarray(a, dtype=float)
    if a.ndim == 0:
        return number(a)
    if a.ndim == 1:
        return "[" + ", ".join(map(number, a)) + "]"
    if len(a) == 1:  # a literal of one row is a vector
        return f"[i in 1..1, j in 1..{a.shape[1]}] {literal(a[0])}[j]"
    return "[" + "; ".join(", ".join(map(number, row)) for row in a) + "]"


class E:
    """An expression: Ravine's text and the peer's object. `rank`: 1 sum, 2 product, 3 everything that needs no parentheses."""

    __array_ufunc__ = None  # numpy leaves `array - E` to us

    def __init__(self, text, peer, rank=3):
        self.text, self.peer, self.rank = text, peer, rank

    def at(self, rank):
        return self.text if self.rank >= rank else f"({self.text})"

    def __add__(self, o):
        o = as_e(o)
        return E(f"{self.at(1)} + {o.at(2)}", self.peer + o.peer, 1)

    def __sub__(self, o):
        o = as_e(o)
        return E(f"{self.at(1)} - {o.at(2)}", self.peer - o.peer, 1)

    def __mul__(self, o):  # one side is a number
        o = as_e(o)
        return E(f"{self.at(2)}*{o.at(3)}", self.peer * o.peer, 2)

    def __matmul__(self, o):
        o = as_e(o)
        return E(f"{self.at(2)}*{o.at(3)}", self.peer @ o.peer, 2)

    def __truediv__(self, o):
        o = as_e(o)
        return E(f"{self.at(2)}/{o.at(3)}", self.peer / o.peer, 2)

    def __pow__(self, p):
        return E(f"{self.at(3)}^{number(p)}", self.peer**p, 2)

    def __neg__(self):
        return E(f"(-{self.at(3)})", -self.peer)

    def __radd__(self, o):
        return as_e(o) + self

    def __rsub__(self, o):
        return as_e(o) - self

    def __rmul__(self, o):
        return as_e(o) * self

    def __getitem__(self, i):
        index = lambda k: f"{(k.start or 0) + 1}..{k.stop}" if isinstance(k, slice) else str(k + 1)
        at = ", ".join(map(index, i)) if isinstance(i, tuple) else index(i)
        return E(f"{self.at(3)}[{at}]", self.peer[i])

    def __le__(self, o):
        return Row(self, "<=", as_e(o))

    def __ge__(self, o):
        return Row(self, ">=", as_e(o))

    def equals(self, o):
        return Row(self, "==", as_e(o))

    def between(self, low, high):
        return Row(self, "between", as_e(low), as_e(high))


def as_e(v):
    return v if isinstance(v, E) else E(number(v) if v >= 0 else f"({number(v)})", float(v))


class Row:
    """`left op right`, `right <= left <= high`, or membership (`in PSD`), whose `shift`ed forms define its dual."""

    def __init__(self, left, op, right=None, high=None):
        self.left, self.op, self.right, self.high = left, op, right, high
        if op == "between":
            self.text = f"{right.at(1)} <= {left.at(1)} <= {high.at(1)}"
        else:
            self.text = f"{left.at(1)} {op} {right.at(1) if right else ''}".strip()

    @property
    def shape(self):
        return np.shape(self.left.peer - self.right.peer) if self.right else ()

    def peer(self, shift=0.0):
        """The peer's constraints, loosened by `shift` in the sense of the language's duals (two-sided: on both sides)."""
        a, b = self.left.peer, self.right.peer if self.right else None
        if 0 in np.shape(a):
            return []
        if self.op == "<=":
            return at_most(a, b, shift)
        if self.op == ">=":
            return at_least(a, b, shift)
        if self.op == "==":
            return [a == b + shift]
        if self.op == "between":
            return at_least(a, b, -shift) + at_most(a, self.high.peer, shift)
        return [a >> 0]


def at_most(a, b, shift):
    """`a <= b + shift` without the entries that an infinite limit leaves free."""
    if not isinstance(b, np.ndarray) or np.isfinite(b).all():
        return [a <= b + shift]
    some = np.flatnonzero(np.isfinite(b))
    return [a[some] <= b[some] + np.broadcast_to(shift, b.shape)[some]] if len(some) else []


def at_least(a, b, shift):
    return at_most(-a, -b, -shift)


def call(name, peer, *given):
    """`name(given…)`; numbers behind the first argument stay numbers for the peer."""
    given = [as_e(g) for g in given]
    return E(f"{name}({', '.join(g.text for g in given)})", peer(*[g.peer for g in given]))


class Run:
    """One `solve` of a program: how it is written, what rows and fixings the peer has to take, and what may be asked of it."""

    def __init__(self, name, suffix, without=(), fixing=(), exact=True):
        self.name, self.suffix, self.without, self.fixing, self.exact = name, suffix, set(without), list(fixing), exact


class Program:
    def __init__(self, rng, family):
        self.rng, self.family = rng, family
        self.head, self.variables, self.rows, self.bounds = [], {}, {}, {}
        self.objective, self.sense, self.smooth = None, "minimize", False
        self.runs, self.unit, self.units, self.row_units, self.note = [], 1.0, {}, {}, ""
        self.tolerance, self.threads, self.duals, self.starts = 1e-6, False, True, {}
        self.fresh = 0  # index names so far
        self.sets = []  # what the peer is told of memberships of variables
        self.possible, self.best = None, None  # where the family knows: has it a point; the least value where no peer is exact
        self.values = []  # (text, value) of what is printed

    def data(self, name, value, kind=None, unit=1.0):
        """A parameter; `unit` (number or array) multiplies what Ravine is given."""
        value = np.asarray(value, dtype=float)
        kind = (
            kind
            or {0: "Real", 1: f"Vector[{value.shape[0] if value.ndim else 0}]"}.get(value.ndim)
            or "Matrix[%d, %d]" % value.shape
        )
        if not np.isnan(value).any():
            self.head.append(f"param {name}: {kind} = {literal(value * unit)}")
        return E(name, value)

    def var(self, name, *shape, low=None, high=None, unit=None, kind=None, start=None):
        """A variable; Ravine's is the peer's times `unit`."""
        kind = kind or {0: "Real", 1: "Vector[%s]", 2: "Matrix[%s, %s]"}[len(shape)]
        kind = kind % shape if "%" in kind else kind
        unit = np.ones(shape) if unit is None else unit
        text = f"  var {name}: {kind}"
        if low is not None or high is not None:
            low = np.broadcast_to(-np.inf if low is None else low, shape).astype(float)
            high = np.broadcast_to(np.inf if high is None else high, shape).astype(float)
            scale = lambda a: np.where(np.isinf(a), a, a * unit)
            if np.isinf(high).all() and (low == 0).all():
                text += " >= 0"
            else:
                text += f" in [{literal(scale(low))}, {literal(scale(high))}]"
            self.bounds[name] = (low, high)
        if start is not None:
            text += f" from {literal(start)}"
            self.starts[name] = np.asarray(start, dtype=float)
        if self.smooth:
            peer = ca.MX.sym(name, *(shape or (1,)))
        else:
            peer = cp.Variable(shape, symmetric="Symmetric" in kind, name=name)
        self.variables[name], self.units[name] = (text, peer), unit
        return E(name, peer)

    def minimize(self, e):
        self.objective = e

    def maximize(self, e):
        self.objective, self.sense = e, "maximize"

    def row(self, name, row, unit=1.0):
        """A constraint; Ravine's row is the peer's times `unit`."""
        self.rows[name], self.row_units[name] = row, unit

    def solve(self, suffix="", **more):
        self.runs.append(Run(f"s{len(self.runs) + 1}", suffix, **more))

    def text(self):
        lines = [f"# {self.family} {self.note}".rstrip(), *self.head, "problem p {", *[t for t, _ in self.variables.values()]]
        lines.append(f"  {self.sense} {self.objective.text}")
        if self.rows:
            lines += ["  subject to", *[f"    {n}: {r.text}" for n, r in self.rows.items()]]
        lines.append("}")
        lines += [f"{r.name} = solve p{r.suffix}" for r in self.runs]
        lines += [f"print {t}" for t, _ in self.values]
        if self.duals:  # the first answer without multipliers ends the program here
            lines += [f"print {r.name}.reduced({v})" for r in self.runs for v in self.variables if v in self.bounds or r.fixing]
        return "\n".join(lines) + "\n"

    # The peer's side.

    def problem(self, run, shifts=None, bound_shifts=None):
        """CVXPY's problem of one run, its rows and bounds shifted."""
        shifts, bound_shifts = shifts or {}, bound_shifts or {}
        cons = self.sets + [c for n, r in self.rows.items() if n not in run.without for c in r.peer(shifts.get(n, 0.0))]
        fixed = {(name, i): value for name, i, value in run.fixing}
        for name, (_, x) in self.variables.items():
            low, high = self.bounds.get(name, (np.full(x.shape, -np.inf), np.full(x.shape, np.inf)))
            d = np.broadcast_to(bound_shifts.get(name, 0.0), x.shape)
            # Infinite bounds are left out entry by entry; a fixed entry has its value in their place.
            for i in np.ndindex(low.shape):
                at = x[i] if i else x
                if (name, i) in fixed:
                    cons.append(at == fixed[name, i] + d[i])
                    continue
                cons += [at >= low[i] + d[i]] if np.isfinite(low[i]) else []
                cons += [at <= high[i] + d[i]] if np.isfinite(high[i]) else []
        goal = cp.Minimize if self.sense == "minimize" else cp.Maximize
        return cp.Problem(goal(self.objective.peer), cons)
