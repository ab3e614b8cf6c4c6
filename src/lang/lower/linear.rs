//! Linear operators: kept as what they are made of, and multiplied out of products that never form a matrix.
//!
//! Invariant: an operator never becomes an array unless `matrix` asks for it; its transpose is the same description,
//! read the other way; a product with what depends on variables is marked, so that nothing forms its entries either.

use std::rc::Rc;
use std::sync::Arc;

use super::{Arr, Closure, Local, Lower, Lowered, Names, Val, describe, err};
use crate::atoms::{self, operators, rules};
use crate::base::value::{Elem, IndexSet, Storage, Tensor};
use crate::base::{Code, Diagnostic, Span};
use crate::ir::{DomainId, IndexId, Input, InputId, InputKind, Ir, NodeId, Pos, Sign};
use crate::lang::syntax::{Arg, BinaryOp, Expr};

/// Mismatch of `<A x, y>` and `<x, A'y>`, relative to the vectors' sizes, beyond which two functions are not adjoint.
const ADJOINT: f64 = 1e-9;
/// Products that a user's own functions are asked for one by one.
const UNROLLED: usize = 256;

/// A linear map from vectors over the second dimension to vectors over the first.
#[derive(Clone)]
pub struct Linear {
    pub(super) dims: [IndexSet; 2],
    map: Map,
}

#[derive(Clone)]
enum Map {
    /// An array that is there, or its transpose.
    Matrix(NodeId, bool),
    /// A diagonal.
    Diagonal(NodeId),
    /// Constant along its diagonals. Or the transpose.
    Toeplitz(Diagonals, bool),
    /// `A ⊗ B`, unformed.
    Kron(Rc<Linear>, Rc<Linear>),
    Sum(Rc<Linear>, Rc<Linear>),
    Scaled(NodeId, Rc<Linear>),
    Product(Rc<Linear>, Rc<Linear>),
    /// Functions of the user's own: the action and the adjoint's.
    Pair(Rc<Closure>, Rc<Closure>),
}

/// A linear map of one input, lowered for evaluation.
pub struct LoweredMap {
    /// The program.
    pub ir: Ir,
    /// Inputs that are parameters of the session, by name.
    pub params: Vec<(String, InputId)>,
    /// What it is applied to.
    pub input: InputId,
    /// What it gives.
    pub output: NodeId,
    /// Length of what it gives, and of what it takes.
    pub size: (usize, usize),
}

/// Lowers an operator, a matrix, or a vector that stands for a diagonal; none for anything else.
pub fn lower_map(names: &dyn Names, expr: &Expr) -> Lowered<Option<LoweredMap>> {
    let mut l = Lower::new(names);
    let v = l.expr(expr)?;
    let a = match &v {
        Val::Arr(d) if d.dims.len() == 1 => Some(Rc::new(Linear {
            dims: [d.dims[0].clone(), d.dims[0].clone()],
            map: Map::Diagonal(l.whole(d, expr.span)?),
        })),
        v => l.as_linear(v, expr.span)?,
    };
    let Some(a) = a else { return Ok(None) };
    let input = l.ir.add_input(Input {
        name: "·".into(),
        kind: InputKind::Seed,
        dims: vec![a.dims[1].clone()],
        sparse: false,
        sign: Sign::Unknown,
    });
    let x = l.ir.read(input);
    let output = l.rows_applied(&a, x, 1, expr.span)?;
    l.check_lookups()?;
    Ok(Some(LoweredMap {
        ir: l.ir,
        params: l.params.into_iter().collect(),
        input,
        output,
        size: (a.rows(), a.cols()),
    }))
}

/// The diagonals of a matrix that is constant along each: entry (i, j) is `kernel[i - j + main]`, 0 outside the kernel.
#[derive(Clone, Copy, PartialEq)]
struct Diagonals {
    kernel: NodeId,
    main: usize,
}

impl Linear {
    fn rows(&self) -> usize {
        self.dims[0].len()
    }
    fn cols(&self) -> usize {
        self.dims[1].len()
    }
    /// A matrix of which only products are used.
    pub(super) fn of_matrix(node: NodeId, dims: [IndexSet; 2]) -> Linear {
        Linear {
            dims,
            map: Map::Matrix(node, false),
        }
    }
    fn transposed(&self) -> Linear {
        let both = |a: &Rc<Linear>| Rc::new(a.transposed());
        let [rows, cols] = self.dims.clone();
        Linear {
            dims: [cols, rows],
            map: match &self.map {
                Map::Matrix(a, t) => Map::Matrix(*a, !t),
                Map::Diagonal(d) => Map::Diagonal(*d),
                Map::Toeplitz(k, t) => Map::Toeplitz(*k, !t),
                Map::Kron(a, b) => Map::Kron(both(a), both(b)),
                Map::Sum(a, b) => Map::Sum(both(a), both(b)),
                Map::Scaled(k, a) => Map::Scaled(*k, both(a)),
                Map::Product(a, b) => Map::Product(both(b), both(a)),
                Map::Pair(f, g) => Map::Pair(g.clone(), f.clone()),
            },
        }
    }
    /// The same description?
    fn same(&self, other: &Linear) -> bool {
        self.dims == other.dims
            && match (&self.map, &other.map) {
                (Map::Matrix(a, s), Map::Matrix(b, t)) => a == b && s == t,
                (Map::Toeplitz(a, s), Map::Toeplitz(b, t)) => a == b && s == t,
                (Map::Diagonal(a), Map::Diagonal(b)) => a == b,
                (Map::Kron(a, b), Map::Kron(c, d))
                | (Map::Sum(a, b), Map::Sum(c, d))
                | (Map::Product(a, b), Map::Product(c, d)) => a.same(c) && b.same(d),
                (Map::Scaled(k, a), Map::Scaled(l, b)) => k == l && a.same(b),
                (Map::Pair(f, g), Map::Pair(h, k)) => Rc::ptr_eq(f, h) && Rc::ptr_eq(g, k),
                _ => false,
            }
    }
    /// The factors of a product, leftmost first.
    fn factors<'a>(&'a self, out: &mut Vec<&'a Linear>) {
        match &self.map {
            Map::Product(a, b) => {
                a.factors(out);
                b.factors(out);
            }
            _ => out.push(self),
        }
    }
}

/// A position in a flat array: the indices times their strides.
fn place(at: &[IndexId], strides: &[usize], offset: usize) -> Pos {
    let mut terms: Vec<(IndexId, i64)> = at.iter().zip(strides).map(|(i, s)| (*i, *s as i64)).collect();
    terms.sort_unstable();
    Pos::Affine {
        terms,
        offset: offset as i64,
    }
}

/// A flat array of `len` entries that holds `body` at places of the instances of a box of indices, and 0 elsewhere.
pub(super) fn laid(
    ir: &mut Ir,
    shape: &[usize],
    (len, strides): (usize, &[usize]),
    body: impl FnOnce(&mut Ir, &[IndexId]) -> NodeId,
) -> NodeId {
    let (domain, at) = rules::plain_domain(ir, shape);
    let b = body(ir, &at);
    if let ([1], [n]) = (strides, shape)
        && *n == len
    {
        return ir.map(domain, b);
    }
    let to = place(&at, strides, 0);
    ir.scatter(domain, vec![len], vec![to], b)
}

/// `x` seen as `[k, m, n]`, the last two dimensions exchanged.
fn swapped(ir: &mut Ir, x: NodeId, [k, m, n]: [usize; 3]) -> NodeId {
    if m == 1 || n == 1 {
        return x;
    }
    laid(ir, &[k, m, n], (k * m * n, &[m * n, 1, m]), |ir, at| {
        ir.gather(x, vec![place(at, &[m * n, n, 1], 0)])
    })
}

fn matrix_of(ir: &mut Ir, x: NodeId, [k, n]: [usize; 2]) -> NodeId {
    let (domain, at) = rules::plain_domain(ir, &[k, n]);
    let body = ir.gather(x, vec![place(&at, &[n, 1], 0)]);
    ir.map(domain, body)
}

fn flat_of(ir: &mut Ir, x: NodeId, [k, n]: [usize; 2]) -> NodeId {
    laid(ir, &[k, n], (k * n, &[n, 1]), |ir, at| rules::entry(ir, x, at))
}

impl Lower<'_> {
    /// An operator or a matrix as a map; none for anything else.
    fn as_linear(&mut self, v: &Val, span: Span) -> Lowered<Option<Rc<Linear>>> {
        Ok(match v {
            Val::Linear(a) => Some(a.clone()),
            Val::Arr(a) if a.dims.len() == 2 => {
                let n = self.whole(a, span)?;
                let map = match rules::arg_of(&self.ir, n, atoms::DIAG) {
                    Some(d) => Map::Diagonal(d),
                    None => Map::Matrix(n, false),
                };
                Some(Rc::new(Linear {
                    dims: [a.dims[0].clone(), a.dims[1].clone()],
                    map,
                }))
            }
            _ => None,
        })
    }

    pub(super) fn linear_transposed(&self, a: &Linear) -> Val {
        Val::Linear(Rc::new(a.transposed()))
    }

    pub(super) fn linear_negated(&mut self, a: &Rc<Linear>) -> Val {
        let k = self.ir.constant(-1.0);
        Val::Linear(Rc::new(scaled(k, a)))
    }

    /// An operation with an operator on at least one side.
    pub(super) fn linear_binary(&mut self, op: BinaryOp, a: Val, b: Val, span: Span) -> Lowered<Val> {
        if let (BinaryOp::Solve, Val::Linear(m)) = (op, &a) {
            return self.solved_by_products(m, &b, span);
        }
        let (p, q) = (self.as_linear(&a, span)?, self.as_linear(&b, span)?);
        let made = match (op, &a, &b, &p, &q) {
            (BinaryOp::Mul, Val::Num(k, _), _, _, Some(m)) | (BinaryOp::Mul, _, Val::Num(k, _), Some(m), _) => {
                Some(Rc::new(scaled(*k, m)))
            }
            (BinaryOp::Div, _, Val::Num(k, _), Some(m), _) => {
                let one = self.ir.constant(1.0);
                let k = self.ir.apply(atoms::DIV, &[one, *k]);
                Some(Rc::new(scaled(k, m)))
            }
            (BinaryOp::Mul, _, _, Some(m), Some(n)) if m.dims[1] == n.dims[0] => Some(Rc::new(Linear {
                dims: [m.dims[0].clone(), n.dims[1].clone()],
                map: Map::Product(m.clone(), n.clone()),
            })),
            (BinaryOp::Add | BinaryOp::Sub, _, _, Some(m), Some(n)) if m.dims == n.dims => {
                let n = match op {
                    BinaryOp::Sub => Rc::new(scaled(self.ir.constant(-1.0), n)),
                    _ => n.clone(),
                };
                Some(Rc::new(Linear {
                    dims: m.dims.clone(),
                    map: Map::Sum(m.clone(), n),
                }))
            }
            (BinaryOp::Mul, _, Val::Arr(x), Some(m), None)
                if x.dims.len() == 1 && !x.covector && m.dims[1] == x.dims[0] =>
            {
                return Ok(Val::Arr(self.applied(m, x, span)?));
            }
            (BinaryOp::Mul, Val::Arr(x), _, None, Some(m))
                if x.dims.len() == 1 && x.covector && m.dims[0] == x.dims[0] =>
            {
                let y = self.applied(&m.transposed(), x, span)?;
                return Ok(Val::Arr(Arr { covector: true, ..y }));
            }
            _ => None,
        };
        match made {
            Some(m) => Ok(Val::Linear(m)),
            None => Err(err(
                Code::ShapeMismatch,
                format!(
                    "`{}` with an operator does not fit {} and {}",
                    op.symbol(),
                    described(&a),
                    described(&b)
                ),
            )
            .at(span, "here")
            .into()),
        }
    }

    /// A x, marked as known by products only where a variable is in it.
    fn applied(&mut self, a: &Linear, x: &Arr, span: Span) -> Lowered<Arr> {
        let x = self.whole(x, span)?;
        let y = self.rows_applied(a, x, 1, span)?;
        let y = if self.depends_on_var(y) {
            self.ir.apply(atoms::OPAQUE, &[y])
        } else {
            y
        };
        Ok(self.node_arr(y, vec![a.dims[0].clone()]))
    }

    /// The map applied to each row of a flat array of `k` rows: `k` rows again.
    fn rows_applied(&mut self, a: &Linear, x: NodeId, k: usize, span: Span) -> Lowered<NodeId> {
        let (m, n) = (a.rows(), a.cols());
        if m == 0 || n == 0 || k == 0 {
            let zero = self.ir.constant(0.0);
            return Ok(laid(&mut self.ir, &[k * m], (k * m, &[1]), |_, _| zero));
        }
        Ok(match &a.map {
            Map::Matrix(b, t) => {
                let ir = &mut self.ir;
                let turned = rules::transpose(ir, *b);
                let (by_left, by_right) = if *t { (turned, *b) } else { (*b, turned) };
                if k == 1 {
                    return Ok(rules::matmul(ir, by_left, x));
                }
                let rows = matrix_of(ir, x, [k, n]);
                let y = rules::matmul(ir, rows, by_right);
                flat_of(ir, y, [k, m])
            }
            Map::Diagonal(d) => {
                let d = *d;
                let by = |ir: &mut Ir, e: NodeId, i: IndexId| {
                    let d = rules::entry(ir, d, &[i]);
                    rules::mul(ir, d, e)
                };
                if k == 1 {
                    return Ok(laid(&mut self.ir, &[n], (n, &[1]), |ir, at| {
                        let e = rules::entry(ir, x, at);
                        by(ir, e, at[0])
                    }));
                }
                laid(&mut self.ir, &[k, n], (k * n, &[n, 1]), |ir, at| {
                    let e = ir.gather(x, vec![place(at, &[n, 1], 0)]);
                    by(ir, e, at[1])
                })
            }
            Map::Toeplitz(d, t) => {
                let ir = &mut self.ir;
                let len = ir.shape(d.kernel)[0];
                let (kernel, main) = match t {
                    true => (operators::reversed(ir, d.kernel), len - 1 - d.main),
                    false => (d.kernel, d.main),
                };
                if k == 1 {
                    let all = ir.apply(atoms::CONV, &[kernel, x]);
                    return Ok(operators::window(ir, all, main, m));
                }
                // Rows with enough zeros between them that one convolution serves them all.
                let width = len + n - 1;
                let apart = laid(ir, &[k, n], ((k - 1) * width + n, &[width, 1]), |ir, at| {
                    ir.gather(x, vec![place(at, &[n, 1], 0)])
                });
                let all = ir.apply(atoms::CONV, &[kernel, apart]);
                laid(ir, &[k, m], (k * m, &[m, 1]), |ir, at| {
                    ir.gather(all, vec![place(at, &[width, 1], main)])
                })
            }
            Map::Kron(p, q) => {
                let y = self.rows_applied(q, x, k * p.cols(), span)?;
                let y = swapped(&mut self.ir, y, [k, p.cols(), q.rows()]);
                let y = self.rows_applied(p, y, k * q.rows(), span)?;
                swapped(&mut self.ir, y, [k, q.rows(), p.rows()])
            }
            Map::Sum(p, q) => {
                let (y, z) = (self.rows_applied(p, x, k, span)?, self.rows_applied(q, x, k, span)?);
                rules::plus(&mut self.ir, y, z)
            }
            Map::Scaled(s, p) => {
                let y = self.rows_applied(p, x, k, span)?;
                rules::scale(&mut self.ir, *s, y)
            }
            Map::Product(p, q) => {
                let y = self.rows_applied(q, x, k, span)?;
                self.rows_applied(p, y, k, span)?
            }
            Map::Pair(f, _) => {
                if k > UNROLLED {
                    let what = format!(
                        "an operator of your own applied to {k} vectors at a time, more than {UNROLLED}, is not built yet"
                    );
                    return Err(err(Code::NotBuiltYet, what)
                        .at(span, "here")
                        .help("in `kronecker` and `matrix`, built-in operators may be of any size")
                        .into());
                }
                let mut all: Option<NodeId> = None;
                for l in 0..k {
                    let own = match k {
                        1 => x,
                        _ => operators::window(&mut self.ir, x, l * n, n),
                    };
                    let own = self.node_arr(own, vec![a.dims[1].clone()]);
                    let scope = f.scope.with(&f.param, Local::Val(Val::Arr(own)));
                    let v = self.with_scope(scope, |l| l.expr(&f.body))?;
                    let y = match v {
                        Val::Arr(y) if y.dims.len() == 1 && y.dims[0].len() == m => self.whole(&y, f.body.span)?,
                        v => {
                            return Err(err(
                                Code::ShapeMismatch,
                                format!("this function gives {}; it is to give a vector of {m}", described(&v)),
                            )
                            .at(f.body.span, "this function")
                            .into());
                        }
                    };
                    all = Some(match all {
                        None => y,
                        Some(before) => self.ir.apply(atoms::CONCAT, &[before, y]),
                    });
                }
                all.unwrap_or(x)
            }
        })
    }

    /// `A \ b` for data, by products with `A` and its transpose, computed now.
    pub(super) fn solved_by_products(&mut self, a: &Rc<Linear>, b: &Val, span: Span) -> Lowered<Val> {
        let fits = |r: &&Arr| r.dims.len() == 1 && r.dims[0] == a.dims[0];
        let Some(right) = Some(b).and_then(|b| match b {
            Val::Arr(r) => Some(r).filter(fits),
            _ => None,
        }) else {
            let what = format!(
                "`\\` needs a vector over the rows of the operator, found {} and {}",
                describe(&a.dims),
                describe(b.dims())
            );
            return Err(err(Code::ShapeMismatch, what).at(span, "here").into());
        };
        let right = self.whole(right, span)?;
        let mut seed = |set: &IndexSet| {
            let input = self.ir.add_input(Input {
                name: "·".into(),
                kind: InputKind::Seed,
                dims: vec![set.clone()],
                sparse: false,
                sign: Sign::Unknown,
            });
            (input, self.ir.read(input))
        };
        let ((x, at_x), (y, at_y)) = (seed(&a.dims[1]), seed(&a.dims[0]));
        let forward = self.rows_applied(a, at_x, 1, span)?;
        let back = self.rows_applied(&a.transposed(), at_y, 1, span)?;
        let read = [right, forward, back];
        if read.iter().any(|n| self.depends_on_var(*n)) {
            return Err(
                err(Code::NotBuiltYet, "`\\` of an operator and a variable is not built yet")
                    .at(span, "depends on a variable")
                    .help("write the system as constraints: `A*x == b`")
                    .into(),
            );
        }
        self.mark_structural(&read);
        let params: Vec<_> = self.params.iter().map(|(n, i)| (n.clone(), *i)).collect();
        let found = self.names.solved(&super::System {
            ir: &self.ir,
            params: &params,
            forward: (x, forward),
            back: (y, back),
            size: (a.rows(), a.cols()),
            right,
            at: span,
        })?;
        let t = Tensor {
            dims: vec![a.dims[1].clone()],
            storage: Storage::Dense(found),
        };
        Ok(self.constant_value("solution", &Arc::new(t)))
    }

    /// A call of a function that makes an operator; none for other functions.
    pub(super) fn linear_call(&mut self, name: &str, args: &[Arg], span: Span) -> Lowered<Option<Val>> {
        if name == "operator" && args.iter().any(|a| a.name.is_some()) {
            return self.pair(args, span).map(Some);
        }
        if !crate::lang::check::OPERATORS.contains(&name) {
            return Ok(None);
        }
        if let ("convolution", [kernel, n]) = (name, args) {
            let (k, n) = (self.expr(&kernel.value)?, self.dimension(&n.value)?);
            let Val::Arr(k) = k else {
                return Err(no_form(name, span));
            };
            return Ok(Some(Val::Linear(Rc::new(self.convolution(&k, n, span)?))));
        }
        let vals = args.iter().map(|a| self.expr(&a.value)).collect::<Lowered<Vec<_>>>()?;
        let made = match (name, vals.as_slice()) {
            ("toeplitz", [Val::Arr(c)]) => self.toeplitz(c, c, span)?,
            ("toeplitz", [Val::Arr(c), Val::Arr(r)]) => self.toeplitz(c, r, span)?,
            ("circulant", [Val::Arr(c)]) => self.circulant(c, span)?,
            ("lowrank", [v]) => {
                let f = self.linear(v, name, span)?;
                product(&f, &Rc::new(f.transposed()))
            }
            ("lowrank", [u, v]) => {
                let (u, v) = (self.linear(u, name, span)?, self.linear(v, name, span)?);
                if u.dims[1] != v.dims[1] {
                    return Err(err(
                        Code::ShapeMismatch,
                        format!(
                            "`lowrank(U, V)` is `U*V'`: {} and {} have different numbers of columns",
                            describe(&u.dims),
                            describe(&v.dims)
                        ),
                    )
                    .at(span, "called here")
                    .into());
                }
                product(&u, &Rc::new(v.transposed()))
            }
            ("kronecker", [a, b]) => {
                let (p, q) = (self.linear(a, name, span)?, self.linear(b, name, span)?);
                Linear {
                    dims: [IndexSet::upto(p.rows() * q.rows()), IndexSet::upto(p.cols() * q.cols())],
                    map: Map::Kron(p, q),
                }
            }
            ("operator", [v]) => return Ok(Some(Val::Linear(self.linear(v, name, span)?))),
            ("matrix", [v]) => {
                let a = self.linear(v, name, span)?;
                return Ok(Some(Val::Arr(self.formed(&a, span)?)));
            }
            _ => return Err(no_form(name, span)),
        };
        Ok(Some(Val::Linear(Rc::new(made))))
    }

    /// A function of the table with an operator among its arguments.
    pub(super) fn linear_builtin(&mut self, name: &str, vals: &[Val], span: Span) -> Lowered<Val> {
        match (name, vals) {
            ("quad", [Val::Arr(x), Val::Linear(a)]) if x.dims.len() == 1 && a.dims.iter().all(|d| *d == x.dims[0]) => {
                let x = self.whole(x, span)?;
                Ok(Val::Num(self.linear_quad(a, x, span)?, Elem::Real))
            }
            _ => Err(no_form(name, span)),
        }
    }

    /// `x'A x`, as a sum of squares where the operator is made so.
    fn linear_quad(&mut self, a: &Linear, x: NodeId, span: Span) -> Lowered<NodeId> {
        match &a.map {
            Map::Sum(p, q) => {
                let (s, t) = (self.linear_quad(p, x, span)?, self.linear_quad(q, x, span)?);
                return Ok(rules::add(&mut self.ir, s, t));
            }
            Map::Scaled(k, p) => {
                let s = self.linear_quad(p, x, span)?;
                return Ok(rules::mul(&mut self.ir, *k, s));
            }
            Map::Matrix(p, _) => return Ok(self.ir.apply(atoms::QUAD, &[x, *p])),
            Map::Diagonal(d) => {
                let m = self.ir.apply(atoms::DIAG, &[*d]);
                return Ok(self.ir.apply(atoms::QUAD, &[x, m]));
            }
            Map::Product(..) => {
                let mut factors = vec![];
                a.factors(&mut factors);
                let (mut last, mut y) = (factors.len(), x);
                let mut first = 0;
                while last - first >= 2 && factors[first].same(&factors[last - 1].transposed()) {
                    y = self.marked(factors[last - 1], y, span)?;
                    (first, last) = (first + 1, last - 1);
                }
                match last - first {
                    0 => {
                        let shape = self.ir.shape(y).to_vec();
                        let (domain, at) = rules::plain_domain(&mut self.ir, &shape);
                        let body = rules::entry(&mut self.ir, y, &at);
                        return Ok(self.ir.fold(atoms::SUMSQ, domain, body));
                    }
                    1 => return self.linear_quad(factors[first], y, span),
                    _ => {}
                }
            }
            _ => {}
        }
        let y = self.marked(a, x, span)?;
        Ok(rules::inner(&mut self.ir, x, y))
    }

    fn marked(&mut self, a: &Linear, x: NodeId, span: Span) -> Lowered<NodeId> {
        let x = self.node_arr(x, vec![a.dims[1].clone()]);
        let y = self.applied(a, &x, span)?;
        self.whole(&y, span)
    }

    /// The entries, by products with the columns of the identity.
    fn formed(&mut self, a: &Linear, span: Span) -> Lowered<Arr> {
        let node = match &a.map {
            Map::Matrix(m, false) => *m,
            Map::Matrix(m, true) => rules::transpose(&mut self.ir, *m),
            Map::Toeplitz(d, t) if self.ir.shape(d.kernel)[0] == a.rows() + a.cols() - 1 => {
                let (k, main) = (d.kernel, d.main);
                let (domain, at) = rules::plain_domain(&mut self.ir, &[a.rows(), a.cols()]);
                let (down, across) = if *t { (-1, 1) } else { (1, -1) };
                let mut terms = vec![(at[0], down), (at[1], across)];
                terms.sort_unstable();
                let offset = main as i64;
                let body = self.ir.gather(k, vec![Pos::Affine { terms, offset }]);
                self.ir.map(domain, body)
            }
            _ => {
                let n = a.cols();
                let one = self.ir.constant(1.0);
                let identity = laid(&mut self.ir, &[n], (n * n, &[n + 1]), |_, _| one);
                let columns = self.rows_applied(a, identity, n, span)?;
                let by_columns = matrix_of(&mut self.ir, columns, [n, a.rows()]);
                rules::transpose(&mut self.ir, by_columns)
            }
        };
        Ok(self.node_arr(node, a.dims.to_vec()))
    }

    fn linear(&mut self, v: &Val, name: &str, span: Span) -> Lowered<Rc<Linear>> {
        self.as_linear(v, span)?.ok_or_else(|| no_form(name, span))
    }

    fn toeplitz(&mut self, c: &Arr, r: &Arr, span: Span) -> Lowered<Linear> {
        let (column, row) = (self.whole(c, span)?, self.whole(r, span)?);
        let n = r.dims[0].len();
        let back = operators::reversed(&mut self.ir, row);
        let above = operators::window(&mut self.ir, back, 0, n.saturating_sub(1));
        let d = self.diagonals(above, column);
        constant_diagonals(d, [c.dims[0].clone(), r.dims[0].clone()], span)
    }

    /// Every column is the one before it, moved down by one place around.
    fn circulant(&mut self, c: &Arr, span: Span) -> Lowered<Linear> {
        let column = self.whole(c, span)?;
        let n = c.dims[0].len();
        let above = operators::window(&mut self.ir, column, 1.min(n), n.saturating_sub(1));
        let d = self.diagonals(above, column);
        constant_diagonals(d, [c.dims[0].clone(), c.dims[0].clone()], span)
    }

    /// The diagonals above the main one, the outermost first, and the first column.
    fn diagonals(&mut self, above: NodeId, column: NodeId) -> Diagonals {
        let main = self.ir.shape(above)[0];
        let kernel = match main {
            0 => column,
            _ => self.ir.apply(atoms::CONCAT, &[above, column]),
        };
        Diagonals { kernel, main }
    }

    /// The full convolution with `k`: every column is `k`, one place lower than in the column before.
    fn convolution(&mut self, k: &Arr, cols: IndexSet, span: Span) -> Lowered<Linear> {
        let (kernel, len) = (self.whole(k, span)?, k.dims[0].len());
        let rows = if len == 0 {
            0
        } else {
            len + cols.len().saturating_sub(1)
        };
        constant_diagonals(Diagonals { kernel, main: 0 }, [IndexSet::upto(rows), cols], span)
    }

    /// `operator(rows: m, cols: n, apply: x -> …, adjoint: y -> …)`, with the test that the two belong together.
    fn pair(&mut self, args: &[Arg], span: Span) -> Lowered<Val> {
        let of = |name: &str| -> Lowered<&Expr> {
            let found = args.iter().find(|a| a.name.as_ref().is_some_and(|n| n.text == name));
            found.map(|a| &a.value).ok_or_else(|| no_form("operator", span))
        };
        let dims = [self.dimension(of("rows")?)?, self.dimension(of("cols")?)?];
        let (f, g) = (of("apply")?, of("adjoint")?);
        let (Val::Closure(apply), Val::Closure(adjoint)) = (self.expr(f)?, self.expr(g)?) else {
            return Err(no_form("operator", span));
        };
        let a = Linear {
            dims,
            map: Map::Pair(apply, adjoint),
        };
        self.adjoint_test(&a, f.span, g.span)?;
        Ok(Val::Linear(Rc::new(a)))
    }

    /// `A(x + 2z) = A x + 2A z` and `<A x, y> = <x, A'y>` for fixed vectors, computed now.
    fn adjoint_test(&mut self, a: &Linear, apply: Span, adjoint: Span) -> Lowered<()> {
        let (m, n) = (a.rows(), a.cols());
        if m == 0 || n == 0 {
            return Ok(());
        }
        let name = match &self.naming {
            Some(n) => format!("the operator `{n}`"),
            None => "the operator".to_string(),
        };
        let vector = |l: &mut Self, v: Vec<f64>| l.embed("probe", &Arc::new(Tensor::vector(v)));
        let (x, z, y) = (probe(n, 1), probe(n, 2), probe(m, 3));
        let sum = x.iter().zip(&z).map(|(x, z)| x + 2.0 * z).collect();
        let [x, z, y, sum] = [x, z, y, sum].map(|v| vector(self, v));
        let ax = self.rows_applied(a, x, 1, apply)?;
        let az = self.rows_applied(a, z, 1, apply)?;
        let both = self.rows_applied(a, sum, 1, apply)?;
        let aty = self.rows_applied(&a.transposed(), y, 1, adjoint)?;
        let ir = &mut self.ir;
        let two = ir.constant(2.0);
        let (shape, at) = rules::plain_domain(ir, &[m]);
        let [p, q, r] = [both, ax, az].map(|v| rules::entry(ir, v, &at));
        let r = rules::mul(ir, two, r);
        let off = rules::sub(ir, p, q);
        let off = rules::sub(ir, off, r);
        let bent = ir.fold(atoms::SUMSQ, shape, off);
        let pairs = [(ax, y), (x, aty), (ax, ax), (y, y), (x, x), (aty, aty), (both, both)];
        let mut nodes: Vec<NodeId> = pairs.into_iter().map(|(u, v)| rules::inner(ir, u, v)).collect();
        nodes.push(bent);
        if nodes.iter().any(|n| self.depends_on_var(*n)) {
            return Err(err(
                Code::WrongType,
                format!("{name} is made of functions that read a variable; an operator of your own is made of data"),
            )
            .at(apply, "its functions")
            .into());
        }
        self.mark_structural(&nodes);
        let params: Vec<_> = self.params.iter().map(|(n, i)| (n.clone(), *i)).collect();
        let lists = self.names.lists(&self.ir, &params, DomainId::ROOT, &nodes)?;
        let numbers: Vec<f64> = lists.iter().filter_map(|l| l.first().copied()).collect();
        let [left, right, ax2, y2, x2, aty2, both2, bent2] = numbers[..] else {
            return Ok(());
        };
        let bent = if both2 > 0.0 {
            (bent2 / both2).sqrt()
        } else {
            bent2.sqrt()
        };
        if bent.is_nan() || bent > ADJOINT {
            let what =
                format!("`apply` of {name} is not linear: A(x + 2z) and A(x) + 2A(z) differ by {bent:.1e}, relative");
            return Err(err(Code::NotAdjoint, what)
                .at(apply, "this function")
                .help("a constant is no part of an operator: write `A*x + b`")
                .into());
        }
        let size = (ax2 * y2).sqrt() + (x2 * aty2).sqrt();
        let off = if size > 0.0 { (left - right).abs() / size } else { 0.0 };
        if off.is_nan() || off > ADJOINT {
            let what = format!("`apply` and `adjoint` of {name} do not belong together");
            return Err(err(Code::NotAdjoint, what)
                .at(apply, format!("<A x, y> = {left:.6e}"))
                .at(adjoint, format!("<x, A'y> = {right:.6e}"))
                .note(format!(
                    "for the same random x and y; the two differ by {off:.1e} of the vectors' sizes"
                ))
                .help("the adjoint of a product is the product of the adjoints in the opposite order")
                .into());
        }
        Ok(())
    }
}

fn constant_diagonals(d: Diagonals, dims: [IndexSet; 2], span: Span) -> Lowered<Linear> {
    if dims.iter().any(IndexSet::is_empty) {
        let what = "an operator with constant diagonals has a row and a column at least";
        return Err(err(Code::ShapeMismatch, what)
            .at(span, "made of an empty vector")
            .into());
    }
    Ok(Linear {
        dims,
        map: Map::Toeplitz(d, false),
    })
}

/// Numbers between -1 and 1, the same on every machine.
fn probe(n: usize, salt: u64) -> Vec<f64> {
    (1..=n as u64)
        .map(|i| {
            let z = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ salt.wrapping_mul(0xD1B5_4A32_D192_ED03);
            let z = (z ^ (z >> 31)).wrapping_mul(0x94D0_49BB_1331_11EB);
            ((z >> 11) as f64 / (1u64 << 52) as f64) - 1.0
        })
        .collect()
}

fn scaled(k: NodeId, a: &Rc<Linear>) -> Linear {
    Linear {
        dims: a.dims.clone(),
        map: Map::Scaled(k, a.clone()),
    }
}

fn product(a: &Rc<Linear>, b: &Rc<Linear>) -> Linear {
    Linear {
        dims: [a.dims[0].clone(), b.dims[1].clone()],
        map: Map::Product(a.clone(), b.clone()),
    }
}

fn described(v: &Val) -> String {
    match v {
        Val::Linear(a) => describe(&a.dims).replacen("Matrix", "Operator", 1),
        v => describe(v.dims()),
    }
}

fn no_form(name: &str, span: Span) -> Box<Diagnostic> {
    Box::new(err(Code::NoOverload, format!("no form of `{name}` takes these")).at(span, "called here"))
}
