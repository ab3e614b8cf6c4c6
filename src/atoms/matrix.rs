//! Products, structure and linear systems on whole arrays.
//!
//! Invariant: derivative rules keep matrices as operators: no rule forms an inverse or an outer product unless the
//! cotangent asked for is a matrix.

use super::rules::{
    add, always, arg_of, args_of, entry, inner, matmul, minus, mul, neg, negated, num, outer, plain_domain, scale,
    solve, square, sum_opt, transpose,
};
use super::spectral::{block, entries, strictly_lower, symmetric_block};
use super::{SUM, SUMSQ, arrays, factors, shape};
use crate::ir::atom::{
    ArgFacts, AtomKind, Complex, CurvatureRule, DegreeRule, Derivative, DomainOf, Eval, Fill, Graph, GraphBuilder,
    GraphCone, Identity, MonoRule, Prox, SignRule,
};
use crate::ir::{Curvature, DomainId, Ir, Mono, NodeId, Pos, Sign, Smooth};

pub(super) const ARRAYS: Complex = Complex::None("whole arrays");
pub(super) const NO_PROX: Prox = Prox::None("whole arrays");
const UNKNOWN_MONO: MonoRule = MonoRule::Always(&[Mono::Unknown]);
const AFFINE: CurvatureRule = CurvatureRule::Always(Curvature::Affine);
const UNKNOWN: CurvatureRule = CurvatureRule::Always(Curvature::Unknown);
pub(super) const LINEAR: Graph = Graph::None("affine");
const SMOOTH_ONLY: Graph = Graph::None("the smooth methods take it");

/// Affine where at most one of two factors is decided.
pub(super) const BILINEAR: CurvatureRule = CurvatureRule::Of(|f| {
    if f.iter().any(|a| a.curvature == Curvature::Constant) {
        Curvature::Affine
    } else {
        Curvature::Unknown
    }
});
pub(super) const BY_OTHER_SIGN: MonoRule = MonoRule::Of(|f, k| match f[1 - k].sign {
    Sign::Nonneg | Sign::Zero => Mono::Increasing,
    Sign::Nonpos => Mono::Decreasing,
    Sign::Unknown => Mono::Unknown,
});
pub(super) const SUM_OF_DEGREES: DegreeRule =
    DegreeRule::Of(|d, _| d.iter().fold(0, |s: u8, d| s.saturating_add(*d)).min(3));

/// Tangent of a bilinear function of two arguments.
pub(super) fn bilinear_jvp(
    ir: &mut Ir,
    a: &[NodeId],
    t: &[Option<NodeId>],
    of: impl Fn(&mut Ir, NodeId, NodeId) -> NodeId,
) -> Option<NodeId> {
    let first = t[0].map(|d| of(ir, d, a[1]));
    let second = t[1].map(|d| of(ir, a[0], d));
    sum_opt(ir, first, second)
}

fn matmul_vjp(ir: &mut Ir, a: &[NodeId], _: NodeId, ct: NodeId, wanted: &[bool]) -> Vec<Option<NodeId>> {
    let by_a = wanted[0].then(|| {
        if ir.shape(a[1]).len() == 1 {
            outer(ir, ct, a[1])
        } else {
            let t = transpose(ir, a[1]);
            matmul(ir, ct, t)
        }
    });
    let by_b = wanted[1].then(|| {
        let t = transpose(ir, a[0]);
        matmul(ir, t, ct)
    });
    vec![by_a, by_b]
}

/// `x = A \ b` for `A` of full rank: `dx = A⁺(db - dA x)`, and where `A` is tall, with `r = b - A x`, `+ A⁺A⁺' dA' r`;
/// where it is wide, with `w = A⁺' x`, `+ (I - A⁺A) dA' w` (Golub & Pereyra, SIAM J. Numer. Anal. 10, 1973).
fn solve_jvp(ir: &mut Ir, a: &[NodeId], t: &[Option<NodeId>], x: NodeId) -> Option<NodeId> {
    let shift = t[0].map(|da| {
        let m = matmul(ir, da, x);
        negated(ir, m)
    });
    let rhs = sum_opt(ir, t[1], shift)?;
    let dx = solve(ir, a[0], rhs);
    let Some(da) = t[0] else { return Some(dx) };
    let (rows, cols) = rows_and_columns(ir, a[0]);
    let extra = if rows == cols {
        return Some(dx);
    } else if rows > cols {
        let r = residual(ir, a, x);
        let dat = transpose(ir, da);
        let g = matmul(ir, dat, r);
        // The least-norm solution of the wide system is A⁺' g.
        let at = transpose(ir, a[0]);
        let back = solve(ir, at, g);
        solve(ir, a[0], back)
    } else {
        let at = transpose(ir, a[0]);
        let w = solve(ir, at, x);
        let dat = transpose(ir, da);
        let z = matmul(ir, dat, w);
        off_rows(ir, a[0], z)
    };
    sum_opt(ir, Some(dx), Some(extra))
}

fn solve_vjp(ir: &mut Ir, a: &[NodeId], x: NodeId, ct: NodeId, wanted: &[bool]) -> Vec<Option<NodeId>> {
    let at = transpose(ir, a[0]);
    let w = solve(ir, at, ct);
    let by_a = wanted[0].then(|| {
        let product = outer_or_product(ir, w, x);
        let first = negated(ir, product);
        let (rows, cols) = rows_and_columns(ir, a[0]);
        let second = if rows == cols {
            return first;
        } else if rows > cols {
            let r = residual(ir, a, x);
            let v = solve(ir, a[0], w);
            outer_or_product(ir, r, v)
        } else {
            let v = solve(ir, at, x);
            let c = off_rows(ir, a[0], ct);
            outer_or_product(ir, v, c)
        };
        super::rules::plus(ir, first, second)
    });
    vec![by_a, wanted[1].then_some(w)]
}

/// `b - A x`.
fn residual(ir: &mut Ir, a: &[NodeId], x: NodeId) -> NodeId {
    let fitted = matmul(ir, a[0], x);
    minus(ir, a[1], fitted)
}

/// `(I - A⁺A) z`: what of `z` is orthogonal to the rows of a wide matrix.
fn off_rows(ir: &mut Ir, a: NodeId, z: NodeId) -> NodeId {
    let seen = matmul(ir, a, z);
    let back = solve(ir, a, seen);
    minus(ir, z, back)
}

/// `u v'` for vectors, `U V'` for matrices of right-hand sides.
fn outer_or_product(ir: &mut Ir, u: NodeId, v: NodeId) -> NodeId {
    if ir.shape(u).len() == 1 {
        return outer(ir, u, v);
    }
    let vt = transpose(ir, v);
    matmul(ir, u, vt)
}

fn rows_and_columns(ir: &Ir, a: NodeId) -> (usize, usize) {
    match ir.shape(a) {
        [m, n] => (*m, *n),
        _ => (0, 0),
    }
}

/// Is `b` the transpose of `a`?
fn transposes(ir: &Ir, a: NodeId, b: NodeId) -> bool {
    arg_of(ir, b, TRANSPOSE) == Some(a) || arg_of(ir, a, TRANSPOSE) == Some(b)
}

/// `quad(x, F M F') = quad(F'x, M)`, and `sumsq(F'x)` without `M`: the product is never formed.
fn quad_of_product(ir: &mut Ir, a: &[NodeId]) -> Option<NodeId> {
    let (x, p) = (a[0], a[1]);
    let (l, r) = args_of(ir, p, MATMUL)?;
    let (middle, right) = if transposes(ir, l, r) {
        (None, r)
    } else if let Some((_, m)) = args_of(ir, l, MATMUL).filter(|(f, _)| transposes(ir, *f, r)) {
        (Some(m), r)
    } else if let Some((m, g)) = args_of(ir, r, MATMUL).filter(|(_, g)| transposes(ir, l, *g)) {
        (Some(m), g)
    } else {
        return None;
    };
    let y = matmul(ir, right, x);
    if let Some(m) = middle {
        return Some(ir.apply(QUAD, &[y, m]));
    }
    let shape = ir.shape(y).to_vec();
    let (domain, indices) = plain_domain(ir, &shape);
    let body = entry(ir, y, &indices);
    Some(ir.fold(SUMSQ, domain, body))
}

fn quad_of_diagonal(ir: &mut Ir, a: &[NodeId]) -> Option<NodeId> {
    let d = arg_of(ir, a[1], DIAG)?;
    let shape = ir.shape(d).to_vec();
    let (domain, indices) = plain_domain(ir, &shape);
    let (di, xi) = (entry(ir, d, &indices), entry(ir, a[0], &indices));
    let s = square(ir, xi);
    let body = mul(ir, di, s);
    Some(ir.fold(SUM, domain, body))
}

fn split_quad(ir: &mut Ir, a: &[NodeId]) -> Option<NodeId> {
    if let Some((p, q)) = args_of(ir, a[1], ARRAY_ADD) {
        let (s, t) = (ir.apply(QUAD, &[a[0], p]), ir.apply(QUAD, &[a[0], q]));
        return Some(add(ir, s, t));
    }
    if let Some((p, q)) = args_of(ir, a[1], ARRAY_SUB) {
        let (s, t) = (ir.apply(QUAD, &[a[0], p]), ir.apply(QUAD, &[a[0], q]));
        return Some(super::rules::sub(ir, s, t));
    }
    let (k, p) = args_of(ir, a[1], ARRAY_SCALE)?;
    let s = ir.apply(QUAD, &[a[0], p]);
    Some(mul(ir, k, s))
}

/// `P x + P' x`, the gradient of `x' P x`.
fn quad_gradient(ir: &mut Ir, x: NodeId, p: NodeId) -> NodeId {
    let px = matmul(ir, p, x);
    let pt = transpose(ir, p);
    let ptx = matmul(ir, pt, x);
    super::rules::plus(ir, px, ptx)
}

/// The vector with the number `k` in each of `n` entries.
fn constant_vector(ir: &mut Ir, k: NodeId, n: usize) -> NodeId {
    let (domain, _) = plain_domain(ir, &[n]);
    ir.map(domain, k)
}

fn rows(ir: &Ir, a: NodeId) -> usize {
    ir.shape(a).first().copied().unwrap_or(0)
}

/// Rows `from..from+len` of an array.
fn part(ir: &mut Ir, a: NodeId, from: usize, len: usize) -> NodeId {
    let mut shape = ir.shape(a).to_vec();
    shape[0] = len;
    let (domain, indices) = plain_domain(ir, &shape);
    let mut at: Vec<Pos> = indices.iter().map(|i| Pos::index(*i)).collect();
    if let Some(p) = at[0].shifted(from as i64) {
        at[0] = p;
    }
    let body = ir.gather(a, at);
    ir.map(domain, body)
}

fn zeros_like(ir: &mut Ir, a: NodeId) -> NodeId {
    let shape = ir.shape(a).to_vec();
    let zero = num(ir, 0.0);
    if shape.is_empty() {
        return zero;
    }
    let (domain, _) = plain_domain(ir, &shape);
    ir.map(domain, zero)
}

fn or_zero(ir: &mut Ir, t: Option<NodeId>, like: NodeId) -> NodeId {
    match t {
        Some(t) => t,
        None => zeros_like(ir, like),
    }
}

fn concat_jvp(ir: &mut Ir, a: &[NodeId], t: &[Option<NodeId>], _: NodeId) -> Option<NodeId> {
    t.iter().any(Option::is_some).then(|| {
        let (p, q) = (or_zero(ir, t[0], a[0]), or_zero(ir, t[1], a[1]));
        ir.apply(CONCAT, &[p, q])
    })
}

fn stack_jvp(ir: &mut Ir, a: &[NodeId], t: &[Option<NodeId>], _: NodeId) -> Option<NodeId> {
    t.iter().any(Option::is_some).then(|| {
        let parts: Vec<NodeId> = t.iter().zip(a).map(|(t, a)| or_zero(ir, *t, *a)).collect();
        ir.apply(STACK, &parts)
    })
}

/// Cotangent of the left factor of `kron(A, B)`: `Σ_{p,q} ct[(i,p),(j,q)]·B[p,q]`, as a nested loop.
fn kron_vjp(ir: &mut Ir, a: &[NodeId], _: NodeId, ct: NodeId, wanted: &[bool]) -> Vec<Option<NodeId>> {
    let inner_shape = ir.shape(a[1]).to_vec();
    let mut side = |k: usize| {
        let (own, other) = (ir.shape(a[k]).to_vec(), ir.shape(a[1 - k]).to_vec());
        let (outer_domain, o) = plain_domain(ir, &own);
        let (inner_domain, i) = ir.add_domain(
            outer_domain,
            other
                .iter()
                .map(|n| ("·".to_string(), crate::base::value::IndexSet::upto(*n))),
        );
        let at: Vec<Pos> = (0..2)
            .map(|d| {
                let (of_a, of_b) = if k == 0 { (o[d], i[d]) } else { (i[d], o[d]) };
                let mut terms = vec![(of_a, inner_shape[d] as i64), (of_b, 1)];
                terms.sort_unstable();
                Pos::Affine { terms, offset: 0 }
            })
            .collect();
        let c = ir.gather(ct, at);
        let b = entry(ir, a[1 - k], &i);
        let body = mul(ir, c, b);
        let total = ir.fold(SUM, inner_domain, body);
        ir.map(outer_domain, total)
    };
    (0..2).map(|k| wanted[k].then(|| side(k))).collect()
}

fn is_scalar_one(ir: &mut Ir, a: &[NodeId]) -> Option<NodeId> {
    super::rules::is(ir, a[0], 1.0).then_some(a[1])
}

/// `[A, Z; Z', D]` is semidefinite with `Z` lower triangular and `D` its diagonal; the value is the sum of the logarithms of `D`.
fn logdet_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let n = b.ir().shape(a[0])[0];
    let (whole, e) = entries(b, a[0]);
    let (domain, _) = plain_domain(b.ir(), &[n]);
    let d = b.variable(domain, Sign::Nonneg);
    let mut blocks = vec![
        block(0, 0, Fill::Entries(whole, e)),
        block(0, 1, Fill::Diagonal(domain, d)),
        block(1, 1, Fill::Diagonal(domain, d)),
    ];
    blocks.extend(strictly_lower(b, 0, 1, n));
    b.semidefinite(region, vec![n, n], blocks);
    let u = b.variable(domain, Sign::Unknown);
    let one = num(b.ir(), 1.0);
    b.exponential(domain, [u, one, d]);
    b.ir().fold(SUM, domain, u)
}

/// `[A, I; I, W]` is semidefinite; the value is the trace of `W`.
fn trace_inv_graph(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    a: &[NodeId],
    _: &[ArgFacts],
    _: Option<DomainId>,
) -> NodeId {
    let n = b.ir().shape(a[0])[0];
    let (whole, e) = entries(b, a[0]);
    let one = num(b.ir(), 1.0);
    let (mut blocks, trace) = symmetric_block(b, 1, n);
    blocks.push(block(0, 0, Fill::Entries(whole, e)));
    blocks.push(block(0, 1, Fill::Identity(one)));
    b.semidefinite(region, vec![n, n], blocks);
    trace
}

atoms! {
    family MATRICES;

    /// Matrix product, of two matrices or of a matrix and a vector.
    MATMUL {
        name: "matmul", symbol: Some("*"), kind: AtomKind::Array,
        signature: &["(a: Matrix[m, k], b: Matrix[k, n]) -> Matrix[m, n]", "(a: Matrix[m, k], x: Vector[k]) -> Vector[m]"],
        shape: shape::product, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])), monotone: BY_OTHER_SIGN, curvature: BILINEAR,
        smooth: Smooth::Analytic, degree: SUM_OF_DEGREES,
        derivative: Derivative::Rule { jvp: |ir, a, t, _| bilinear_jvp(ir, a, t, matmul), vjp: matmul_vjp },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::matmul), complex: Complex::Bilinear, simplify: &[],
        latex: r"#1 \, #2", examples: &[("[1, 2; 3, 4]*[1, 1]", "[3, 7]")], source: "",
    }

    /// Transpose of a matrix.
    TRANSPOSE {
        name: "transpose", symbol: Some("'"), kind: AtomKind::Array,
        signature: &["(a: Matrix[m, n]) -> Matrix[n, m]"], shape: shape::transpose, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| t[0].map(|d| transpose(ir, d)),
            vjp: |ir, _, _, ct, _| vec![Some(transpose(ir, ct))],
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::transpose), complex: Complex::Linear,
        simplify: &[
            always("(A')'", |ir, a| arg_of(ir, a[0], TRANSPOSE)),
            always("diag(d)'", |ir, a| arg_of(ir, a[0], DIAG).map(|_| a[0])),
        ],
        latex: r"#1^\top", examples: &[("[1, 2; 3, 4]'", "[1, 3; 2, 4]")], source: "",
    }

    /// Sum of two arrays of one shape.
    ARRAY_ADD {
        name: "array_add", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Real[..d], b: Real[..d]) -> Real[..d]"], shape: shape::same, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].plus(s[1])), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| sum_opt(ir, t[0], t[1]),
            vjp: |_, _, _, ct, wanted| wanted.iter().map(|w| w.then_some(ct)).collect(),
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::add), complex: Complex::Linear, simplify: &[],
        latex: "#1 + #2", examples: &[("[1, 2] + [3, 4]", "[4, 6]")], source: "",
    }

    /// Difference of two arrays of one shape.
    ARRAY_SUB {
        name: "array_sub", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Real[..d], b: Real[..d]) -> Real[..d]"], shape: shape::same, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].plus(s[1].negated())),
        monotone: MonoRule::Always(&[Mono::Increasing, Mono::Decreasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| {
                let second = t[1].map(|d| negated(ir, d));
                match (t[0], t[1]) {
                    (Some(p), Some(q)) => Some(minus(ir, p, q)),
                    (p, _) => p.or(second),
                }
            },
            vjp: |ir, _, _, ct, wanted| vec![wanted[0].then_some(ct), wanted[1].then(|| negated(ir, ct))],
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::sub), complex: Complex::Linear, simplify: &[],
        latex: "#1 - #2", examples: &[("[3, 4] - [1, 2]", "[2, 2]")], source: "",
    }

    /// A number times an array.
    ARRAY_SCALE {
        name: "array_scale", symbol: None, kind: AtomKind::Array,
        signature: &["(k: Real, a: Real[..d]) -> Real[..d]"], shape: shape::scaled, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])), monotone: BY_OTHER_SIGN, curvature: BILINEAR,
        smooth: Smooth::Analytic, degree: SUM_OF_DEGREES,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| bilinear_jvp(ir, a, t, scale),
            vjp: |ir, a, _, ct, wanted| {
                vec![wanted[0].then(|| inner(ir, ct, a[1])), wanted[1].then(|| scale(ir, a[0], ct))]
            },
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::scale), complex: Complex::Bilinear,
        simplify: &[
            always("1 * A", is_scalar_one),
            always("-1 * (-1 * A)", |ir, a| {
                let (k, inside) = args_of(ir, a[1], ARRAY_SCALE)?;
                (super::rules::is(ir, a[0], -1.0) && super::rules::is(ir, k, -1.0)).then_some(inside)
            }),
        ],
        latex: r"#1 \, #2", examples: &[("2*[1, 2]", "[2, 4]")], source: "",
    }

    /// Square matrix with the given vector on its diagonal, stored sparsely.
    DIAG {
        name: "diag", symbol: None, kind: AtomKind::Array,
        signature: &["(d: Vector[n]) -> Diagonal[n]"], shape: shape::diagonal, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| t[0].map(|d| ir.apply(DIAG, &[d])),
            vjp: |ir, _, _, ct, _| vec![Some(ir.apply(DIAGPART, &[ct]))],
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::diag), complex: Complex::Linear, simplify: &[],
        latex: r"\operatorname{diag}\left(#1\right)", examples: &[("diag([1, 2])", "[1, 0; 0, 2]")], source: "",
    }

    /// Diagonal of a square matrix.
    DIAGPART {
        name: "diagpart", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[n, n]) -> Vector[n]"], shape: shape::diagonal_part, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| t[0].map(|d| ir.apply(DIAGPART, &[d])),
            vjp: |ir, _, _, ct, _| vec![Some(ir.apply(DIAG, &[ct]))],
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::diag_part), complex: Complex::Linear,
        simplify: &[always("diagpart(diag(d))", |ir, a| arg_of(ir, a[0], DIAG))],
        latex: r"\operatorname{diagpart}\left(#1\right)", examples: &[("diagpart([1, 2; 3, 4])", "[1, 4]")], source: "",
    }

    /// Outer product `u*v'` of two vectors.
    OUTER {
        name: "outer", symbol: None, kind: AtomKind::Array,
        signature: &["(u: Vector[m], v: Vector[n]) -> Matrix[m, n]"], shape: shape::outer, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])), monotone: BY_OTHER_SIGN, curvature: BILINEAR,
        smooth: Smooth::Analytic, degree: SUM_OF_DEGREES,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| bilinear_jvp(ir, a, t, outer),
            vjp: |ir, a, _, ct, wanted| {
                let by_u = wanted[0].then(|| matmul(ir, ct, a[1]));
                let by_v = wanted[1].then(|| { let t = transpose(ir, ct); matmul(ir, t, a[0]) });
                vec![by_u, by_v]
            },
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::outer), complex: Complex::Bilinear, simplify: &[],
        latex: r"#1 \, #2^\top", examples: &[("outer([1, 2], [3, 4])", "[3, 4; 6, 8]")], source: "",
    }

    /// Solution of the linear system `A*x == b`; the least-squares solution if `A` is tall, the least-norm one if it is
    /// wide. By factorization with refinement, never by normal equations.
    SOLVE {
        name: "solve", symbol: Some("\\"), kind: AtomKind::Array,
        signature: &["(a: Matrix[m, n], b: Vector[m]) -> Vector[n]", "(a: Matrix[m, n], b: Matrix[m, r]) -> Matrix[n, r]"],
        shape: shape::solve, domain: &[DomainOf::Nonsingular, DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Of(|f| if f[0].curvature == Curvature::Constant { Curvature::Affine } else { Curvature::Unknown }),
        smooth: Smooth::Analytic, degree: DegreeRule::Of(|d, _| if d[0] == 0 { d[1] } else { 3 }),
        derivative: Derivative::Rule { jvp: solve_jvp, vjp: solve_vjp },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(factors::solve), complex: ARRAYS, simplify: &[],
        latex: r"#1^{-1} #2", examples: &[("[2, 0; 0, 4] \\ [2, 2]", "[1, 0.5]")],
        source: "Golub & Pereyra, SIAM Journal on Numerical Analysis 10, 1973 (derivative of least squares)",
    }

    /// Inverse of a square matrix. `A \ b` is faster and more accurate than `inv(A)*b`.
    INV {
        name: "inv", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[n, n]) -> Matrix[n, n]"], shape: shape::square, domain: &[DomainOf::Nonsingular],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, y| {
                let d = t[0]?;
                let left = matmul(ir, y, d);
                let both = matmul(ir, left, y);
                Some(negated(ir, both))
            },
            vjp: |ir, _, y, ct, _| {
                let yt = transpose(ir, y);
                let left = matmul(ir, yt, ct);
                let both = matmul(ir, left, yt);
                vec![Some(negated(ir, both))]
            },
        },
        graph: SMOOTH_ONLY, prox: NO_PROX, eval: Eval::Array(factors::inv), complex: ARRAYS, simplify: &[],
        latex: r"#1^{-1}", examples: &[("inv([2, 0; 0, 4])", "[0.5, 0; 0, 0.25]")], source: "",
    }

    /// Eigenvalues of a symmetric matrix, decreasing.
    EIGVALS {
        name: "eigvals", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Vector[n]"], shape: shape::diagonal_part, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("derivatives of decompositions have no row"),
        graph: Graph::None("a decomposition"), prox: NO_PROX, eval: Eval::Array(factors::eigvals), complex: ARRAYS, simplify: &[],
        latex: r"\operatorname{eigvals}\left(#1\right)", examples: &[("eigvals([2, 1; 1, 2])", "[3, 1]")], source: "",
    }

    /// Unit eigenvectors of a symmetric matrix by columns, in the order of `eigvals`; the first largest entry of each is positive.
    EIGVECS {
        name: "eigvecs", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Matrix[n, n]"], shape: shape::square, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("derivatives of decompositions have no row"),
        graph: Graph::None("a decomposition"), prox: NO_PROX, eval: Eval::Array(factors::eigvecs), complex: ARRAYS, simplify: &[],
        latex: r"\operatorname{eigvecs}\left(#1\right)", examples: &[("eigvecs([1, 0; 0, 2])", "[0, 1; 1, 0]")], source: "",
    }

    /// Orthonormal columns that span, one after the other, the columns of a square matrix (Gram-Schmidt).
    ORTH {
        name: "orth", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[n, n]) -> Matrix[n, n]"], shape: shape::square, domain: &[DomainOf::Reals],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO, curvature: UNKNOWN,
        smooth: Smooth::Discontinuous, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::None("derivatives of decompositions have no row"),
        graph: Graph::None("a decomposition"), prox: NO_PROX, eval: Eval::Array(factors::orth), complex: ARRAYS, simplify: &[],
        latex: r"\operatorname{orth}\left(#1\right)", examples: &[("orth([3, 1; 4, 2])", "[0.6, -0.8; 0.8, 0.6]")], source: "",
    }

    /// Determinant of a square matrix.
    DET {
        name: "det", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[n, n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::Nonsingular],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO, curvature: UNKNOWN,
        smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, y| {
                let d = t[0]?;
                let s = solve(ir, a[0], d);
                let tr = ir.apply(TRACE, &[s]);
                Some(mul(ir, y, tr))
            },
            vjp: |ir, a, y, ct, _| {
                let inv = ir.apply(INV, &[a[0]]);
                let t = transpose(ir, inv);
                let k = mul(ir, ct, y);
                vec![Some(scale(ir, k, t))]
            },
        },
        graph: Graph::None("neither convex nor concave"), prox: NO_PROX,
        eval: Eval::Array(factors::det), complex: ARRAYS, simplify: &[],
        latex: r"\det #1", examples: &[("det([2, 0; 0, 4])", "8")], source: "",
    }

    /// Logarithm of the determinant of a symmetric positive definite matrix, concave.
    LOGDET {
        name: "logdet", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::PositiveDefinite],
        sign: SignRule::Always(Sign::Unknown), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Concave), smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| {
                let d = t[0]?;
                let s = solve(ir, a[0], d);
                Some(ir.apply(TRACE, &[s]))
            },
            vjp: |ir, a, _, ct, _| {
                let inv = ir.apply(INV, &[a[0]]);
                let t = transpose(ir, inv);
                vec![Some(scale(ir, ct, t))]
            },
        },
        graph: Graph::Cones(GraphCone::Semidefinite, logdet_graph), prox: NO_PROX, eval: Eval::Array(factors::logdet), complex: ARRAYS, simplify: &[],
        latex: r"\log\det #1", examples: &[("logdet([2, 0; 0, 4])", "2.0794")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §3.1.5",
    }

    /// Trace of the inverse of a symmetric positive definite matrix, convex.
    TRACE_INV {
        name: "trace_inv", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Symmetric[n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::PositiveDefinite],
        sign: SignRule::Always(Sign::Nonneg), monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Always(Curvature::Convex), smooth: Smooth::Analytic, degree: DegreeRule::NotPolynomial,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| {
                let d = t[0]?;
                let s = solve(ir, a[0], d);
                let s = solve(ir, a[0], s);
                let tr = ir.apply(TRACE, &[s]);
                Some(neg(ir, tr))
            },
            vjp: |ir, a, _, ct, _| {
                let inv = ir.apply(INV, &[a[0]]);
                let t = transpose(ir, inv);
                let square = matmul(ir, t, t);
                let minus = neg(ir, ct);
                vec![Some(scale(ir, minus, square))]
            },
        },
        graph: Graph::Cones(GraphCone::Semidefinite, trace_inv_graph), prox: NO_PROX,
        eval: Eval::Array(factors::trace_inv), complex: ARRAYS, simplify: &[],
        latex: r"\operatorname{tr} #1^{-1}", examples: &[("trace_inv([2, 0; 0, 4])", "0.75")],
        source: "Boyd & Vandenberghe, Convex Optimization, 2004, §7.5.2",
    }

    /// Sum of the diagonal of a square matrix.
    TRACE {
        name: "trace", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[n, n]) -> Real"], shape: shape::square_to_number, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0]), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: |ir, _, t, _| t[0].map(|d| ir.apply(TRACE, &[d])),
            vjp: |ir, a, _, ct, _| {
                let n = rows(ir, a[0]);
                let v = constant_vector(ir, ct, n);
                vec![Some(ir.apply(DIAG, &[v]))]
            },
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::trace), complex: Complex::Linear, simplify: &[],
        latex: r"\operatorname{tr} #1", examples: &[("trace([1, 2; 3, 4])", "5")], source: "",
    }

    /// The quadratic form `x'*P*x`. Convex where `P` is positive semidefinite; sums, multiples, diagonals and products
    /// `F*F'` are taken apart, so that no product is formed.
    QUAD {
        name: "quad", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Vector[n], P: Matrix[n, n]) -> Real"], shape: shape::quad, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| if s[0] != Sign::Unknown { s[1] } else if s[1] == Sign::Zero { Sign::Zero } else { Sign::Unknown }),
        monotone: UNKNOWN_MONO,
        curvature: CurvatureRule::Of(|f| if f[0].curvature == Curvature::Constant { Curvature::Affine } else { Curvature::Unknown }),
        smooth: Smooth::Analytic,
        degree: DegreeRule::Of(|d, _| d[0].saturating_mul(2).saturating_add(d[1]).min(3)),
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| {
                let first = t[0].map(|d| { let g = quad_gradient(ir, a[0], a[1]); inner(ir, g, d) });
                let second = t[1].map(|d| ir.apply(QUAD, &[a[0], d]));
                sum_opt(ir, first, second)
            },
            vjp: |ir, a, _, ct, wanted| {
                let by_x = wanted[0].then(|| { let g = quad_gradient(ir, a[0], a[1]); scale(ir, ct, g) });
                let by_p = wanted[1].then(|| { let o = outer(ir, a[0], a[0]); scale(ir, ct, o) });
                vec![by_x, by_p]
            },
        },
        graph: Graph::Quad, prox: NO_PROX, eval: Eval::Array(arrays::quad), complex: Complex::Quadratic,
        simplify: &[
            Identity { name: "quad(x, P + Q), quad(x, s*P)", condition: "always; rounding differs in the last bits", apply: split_quad },
            Identity { name: "quad(x, F*M*F')", condition: "always; rounding differs in the last bits", apply: quad_of_product },
            Identity { name: "quad(x, diag(d))", condition: "always; rounding differs in the last bits", apply: quad_of_diagonal },
            always("quad(x, P')", |ir, a| arg_of(ir, a[1], TRANSPOSE).map(|p| ir.apply(QUAD, &[a[0], p]))),
        ],
        latex: r"#1^\top #2 \, #1", examples: &[("quad([1, 2], [2, 0; 0, 3])", "14")], source: "",
    }

    /// The vector of the given numbers.
    STACK {
        name: "stack", symbol: None, kind: AtomKind::Array,
        signature: &["(x: Real, ...) -> Vector[n]"], shape: shape::stack, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s.iter().copied().reduce(Sign::join).unwrap_or(Sign::Unknown)),
        monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: stack_jvp,
            vjp: |ir, a, _, ct, wanted| {
                (0..a.len()).map(|k| wanted[k].then(|| ir.gather(ct, vec![Pos::fixed(k)]))).collect()
            },
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::stack), complex: Complex::Linear, simplify: &[],
        latex: r"\left[#1\right]", examples: &[("[1 + 1, 3]", "[2, 3]")], source: "",
    }

    /// Two vectors one after the other, or two matrices one above the other.
    CONCAT {
        name: "concat", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Vector[m], b: Vector[n]) -> Vector[m + n]", "(a: Matrix[m, k], b: Matrix[n, k]) -> Matrix[m + n, k]"],
        shape: shape::concat, domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].join(s[1])), monotone: MonoRule::Always(&[Mono::Increasing]), curvature: AFFINE,
        smooth: Smooth::Analytic, degree: DegreeRule::Linear,
        derivative: Derivative::Rule {
            jvp: concat_jvp,
            vjp: |ir, a, _, ct, wanted| {
                let (m, n) = (rows(ir, a[0]), rows(ir, a[1]));
                vec![wanted[0].then(|| part(ir, ct, 0, m)), wanted[1].then(|| part(ir, ct, m, n))]
            },
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::concat), complex: Complex::Linear, simplify: &[],
        latex: r"\begin{bmatrix} #1 \\ #2 \end{bmatrix}", examples: &[("concat([1, 2], [3])", "[1, 2, 3]")], source: "",
    }

    /// Kronecker product: every entry of `A` times all of `B`.
    KRON {
        name: "kron", symbol: None, kind: AtomKind::Array,
        signature: &["(a: Matrix[m, n], b: Matrix[p, q]) -> Matrix[m * p, n * q]"], shape: shape::kron,
        domain: &[DomainOf::Reals],
        sign: SignRule::Of(|s| s[0].times(s[1])), monotone: BY_OTHER_SIGN, curvature: BILINEAR,
        smooth: Smooth::Analytic, degree: SUM_OF_DEGREES,
        derivative: Derivative::Rule {
            jvp: |ir, a, t, _| bilinear_jvp(ir, a, t, |ir, x, y| ir.apply(KRON, &[x, y])),
            vjp: kron_vjp,
        },
        graph: LINEAR, prox: NO_PROX, eval: Eval::Array(arrays::kron), complex: Complex::Bilinear, simplify: &[],
        latex: r"#1 \otimes #2", examples: &[("kron([1, 2; 3, 4], [1, 0; 0, 1])", "[1, 0, 2, 0; 0, 1, 0, 2; 3, 0, 4, 0; 0, 3, 0, 4]")],
        source: "",
    }
}
