"""Random expressions of data, with their value in numpy."""

import numpy as np
from program import E

ENTRYWISE = {
    "exp(0.1*{})": lambda a: np.exp(0.1 * a),
    "abs({})": np.abs,
    "sqrt(abs({}))": lambda a: np.sqrt(np.abs(a)),
    "sin({})": np.sin,
    "tanh({})": np.tanh,
    "relu({})": lambda a: np.maximum(a, 0),
    "floor({})": np.floor,
    "ceil({})": np.ceil,
    "sign({})": np.sign,
    "softplus({})": lambda a: np.logaddexp(0, a),
    "log1p(abs({}))": lambda a: np.log1p(np.abs(a)),
    "sigmoid({})": lambda a: 1 / (1 + np.exp(-a)),
    "hinge({})": lambda a: np.maximum(1 - a, 0),
    "huber({}, 1)": lambda a: np.where(np.abs(a) <= 1, a**2 / 2, np.abs(a) - 0.5),
    "pinball({}, 0.2)": lambda a: np.maximum(0.2 * a, -0.8 * a),
    "round(3.1*{})": lambda a: np.sign(3.1 * a) * np.floor(np.abs(3.1 * a) + 0.5),
    "square({})": np.square,
    "({}).^3": lambda a: a**3,
    "(-{})": lambda a: -a,
}
REDUCTIONS = {
    "sum({})": np.sum,
    "mean({})": np.mean,
    "max({})": np.max,
    "min({})": np.min,
    "norm({})": lambda a: np.sqrt(np.sum(a**2)),
    "norm1({})": lambda a: np.sum(np.abs(a)),
    "norminf({})": lambda a: np.max(np.abs(a)),
    "sumsq({})": lambda a: np.sum(a**2),
    "logsumexp({})": lambda a: np.log(np.sum(np.exp(a - a.max()))) + a.max(),
    "prod({})": np.prod,
}


def tree(p, leaves, shape, depth):
    """A random expression of a shape over `leaves` (shape -> list of E whose peers are numpy arrays)."""
    g = p.rng
    if depth == 0 or g.random() < 0.15:
        return leaves[shape][g.integers(len(leaves[shape]))]
    sub = lambda s: tree(p, leaves, s, depth - 1)
    n = max(s[0] for s in leaves if s)
    k = g.integers(7)
    if k == 0:
        t = str(g.choice(list(ENTRYWISE)))
        a = sub(shape)
        return E(t.format(f"({a.text})"), ENTRYWISE[t](a.peer))
    if k == 1:
        return sub(shape) + sub(shape)
    if k == 2:
        return sub(shape) - sub(shape)
    if k == 3:
        a, b = sub(shape), sub(shape)
        return E(f"({a.text}) .* ({b.text})" if shape else f"({a.text})*({b.text})", a.peer * b.peer, 2)
    if k == 4:
        a, b = sub(()), sub(shape)
        return E(f"({a.text})*({b.text})", a.peer * b.peer, 2)
    p.fresh += 1
    i, j = f"i{p.fresh}", f"j{p.fresh}"
    if shape == ():
        if k == 5:
            t, a = str(g.choice(list(REDUCTIONS))), sub((n,) if g.random() < 0.7 else (n, n))
            return E(t.format(a.text), REDUCTIONS[t](a.peer))
        q, r = g.integers(n, size=2)
        a = sub((n,) if g.random() < 0.5 else (n, n))
        c = g.integers(4)
        if a.peer.ndim == 1:
            return [
                E(f"({a.text})[{q + 1}]", a.peer[q]),
                E(f"(sum({i} in 1..{n} if {i} % 2 == 1) {i}*({a.text})[{i}])", (np.arange(1, n + 1) * a.peer)[::2].sum()),
                E(f"dot({a.text}, [{i} in 1..{n}] ({i} - {q}))", a.peer @ (np.arange(1, n + 1) - q)),
                E(f"(prod({i} in {q + 1}..{n}) ({a.text})[{i}])", np.prod(a.peer[q:])),
            ][c]
        return [
            E(f"({a.text})[{q + 1}, {r + 1}]", a.peer[q, r]),
            E(f"trace({a.text})", np.trace(a.peer)),
            E(f"(sum({i} in 1..{n}, {j} in 1..{n} if {j} > {i}) ({a.text})[{i}, {j}])", np.triu(a.peer, 1).sum()),
            E(f"(max({i} in 1..{n}) ({a.text})[{i}, {r + 1}])", a.peer[:, r].max()),
        ][c]
    if shape == (n,):
        a = sub((n, n))
        v = sub((n,))
        return [
            E(f"({a.text})*({v.text})", a.peer @ v.peer, 2),
            E(f"({a.text})'*({v.text})", a.peer.T @ v.peer, 2),
            E(f"cumsum({v.text})", np.cumsum(v.peer)),
            E(f"diag({a.text})", np.diag(a.peer).copy()),
            E(f"([{i} in 1..{n}] ({v.text})[{n + 1} - {i}])", v.peer[::-1]),
            E(f"({a.text})[{1 + k % n}, :]", a.peer[k % n, :]),
            E(f"([{i} in 1..{n}] (sum({j} in 1..{n} if {j} != {i}) ({a.text})[{j}, {i}]))", a.peer.sum(0) - np.diag(a.peer)),
        ][g.integers(7)]
    a, b, v = sub((n, n)), sub((n, n)), sub((n,))
    return [
        E(f"({a.text})*({b.text})", a.peer @ b.peer, 2),
        E(f"({a.text})'", a.peer.T),
        E(f"({v.text})*({v.text})'", np.outer(v.peer, v.peer), 2),
        E(f"([{i} in 1..{n}, {j} in 1..{n}] ({a.text})[{j}, {i}])", a.peer.T),
        E(
            f"([{i} in 1..{n}, {j} in 1..{n}] (if {i} < {j} then ({a.text})[{i}, {j}] else ({v.text})[{i}]))",
            np.where(np.arange(n)[:, None] < np.arange(n), a.peer, v.peer[:, None]),
        ),
        E(f"outer({v.text}, {v.text})", np.outer(v.peer, v.peer)),
    ][g.integers(6)]
