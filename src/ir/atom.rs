//! The schema of an atom: one row holds everything Ravine knows about one function.
//!
//! Invariant: every column is mandatory; "does not apply" is written out with its reason. The rows live in `atoms`;
//! nothing in `ir` names a particular one.

use ravine_linalg::{Csr, Dense};

use super::build::Ir;
use super::facts::{Curvature, Mono, Sign, Smooth};
use super::node::{DomainId, NodeId};

/// What a row's arguments and result are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtomKind {
    /// Scalars to a scalar; applies to arrays elementwise in the language.
    Scalar,
    /// A reduction of the values of one domain: the atom of a `Fold`.
    Reduction,
    /// Whole arrays (and scalars) to an array or a scalar, at the root.
    Array,
}

/// Where one argument may lie.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DomainOf {
    /// Anywhere.
    Reals,
    /// `> 0`.
    Positive,
    /// `>= 0`.
    Nonnegative,
    /// `!= 0`.
    NonZero,
    /// `lo <= v <= hi`.
    Between(f64, f64),
    /// 0 or 1.
    Truth,
    /// An integer.
    Integer,
    /// A square, nonsingular matrix.
    Nonsingular,
    /// A symmetric positive definite matrix.
    PositiveDefinite,
}

/// Sign of the result.
#[derive(Clone, Copy)]
pub enum SignRule {
    /// Always this.
    Always(Sign),
    /// From the arguments' signs.
    Of(fn(&[Sign]) -> Sign),
    /// From all that is known of the arguments (an even power is nonnegative).
    With(fn(&[ArgFacts]) -> Sign),
}

/// What the curvature rule may look at for one argument.
#[derive(Clone, Copy, Debug)]
pub struct ArgFacts {
    /// Sign.
    pub sign: Sign,
    /// Curvature.
    pub curvature: Curvature,
    /// Its value, if it is a literal number.
    pub constant: Option<f64>,
}

/// Curvature of the function itself (in the argument positions that are not constant).
#[derive(Clone, Copy)]
pub enum CurvatureRule {
    /// Always this.
    Always(Curvature),
    /// From the arguments (products and powers: which side is constant, the exponent's value).
    Of(fn(&[ArgFacts]) -> Curvature),
}

/// Monotonicity by argument.
#[derive(Clone, Copy)]
pub enum MonoRule {
    /// Fixed, one per argument (the last one repeats).
    Always(&'static [Mono]),
    /// From the arguments (products and powers).
    Of(fn(&[ArgFacts], usize) -> Mono),
}

/// Polynomial degree of the result from the arguments' degrees (0, 1, 2, and 3 for more or none).
#[derive(Clone, Copy)]
pub enum DegreeRule {
    /// Degree 0 if all arguments have degree 0, else not a polynomial of degree at most 2.
    NotPolynomial,
    /// The largest of the arguments'.
    Linear,
    /// From degrees and facts.
    Of(fn(&[u8], &[ArgFacts]) -> u8),
}

/// The derivative.
#[derive(Clone, Copy)]
pub enum Derivative {
    /// Scalar atoms: the partial derivative by each argument, as IR in the region of the arguments; `y` is the value.
    Partials(fn(ir: &mut Ir, args: &[NodeId], y: NodeId) -> Vec<NodeId>),
    /// Reductions: derivative of the result by the body at one instance, as IR in the fold's domain.
    Slope(fn(ir: &mut Ir, domain: DomainId, body: NodeId, y: NodeId) -> NodeId),
    /// Array atoms. `jvp`: tangents of the arguments (`None`: zero) to the tangent of the result (`None`: zero).
    /// `vjp`: cotangent of the result to the cotangents of those arguments asked for in `wanted`.
    Rule {
        /// Forward rule.
        jvp: fn(ir: &mut Ir, args: &[NodeId], tangents: &[Option<NodeId>], y: NodeId) -> Option<NodeId>,
        /// Transposed rule.
        vjp: fn(ir: &mut Ir, args: &[NodeId], y: NodeId, ct: NodeId, wanted: &[bool]) -> Vec<Option<NodeId>>,
    },
    /// Zero wherever it exists (comparisons, floor).
    Zero,
    /// There is none, and why.
    None(&'static str),
}

/// Which cones a graph needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphCone {
    /// Linear rows only.
    Linear,
    /// Second-order cones.
    SecondOrder,
    /// Exponential or power cones.
    Exponential,
    /// Semidefinite cones.
    Semidefinite,
}

/// A part of a symmetric matrix whose rows and columns are cut into blocks; parts at one place add up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Block row.
    pub row: usize,
    /// Block column, not before the row: what is right of the diagonal counts for both sides.
    pub col: usize,
    /// What stands there.
    pub fill: Fill,
}

/// Entries of a block; scalars are affine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fill {
    /// All of them, over a domain of two dimensions; on the diagonal of blocks the symmetric part counts.
    Entries(DomainId, NodeId),
    /// A number times the identity.
    Identity(NodeId),
    /// A diagonal, over a domain of one dimension.
    Diagonal(DomainId, NodeId),
    /// What is below the diagonal, row by row, over a domain of one dimension; on the diagonal of blocks it stands above as well.
    StrictlyLower(DomainId, NodeId),
}

/// What a graph is built with: variables beside the user's, and affine scalars that lie in cones at every instance.
pub trait GraphBuilder {
    /// The program, which grows.
    fn ir(&mut self) -> &mut Ir;
    /// A variable for each instance of a region, read at that instance.
    fn variable(&mut self, region: DomainId, sign: Sign) -> NodeId;
    /// `body >= 0`.
    fn nonneg(&mut self, domain: DomainId, body: NodeId);
    /// `heads[0] >= ‖(heads[1..], tail at the instances of its domain)‖`.
    fn second_order(&mut self, domain: DomainId, heads: Vec<NodeId>, tail: Option<(DomainId, NodeId)>);
    /// `y·exp(x/y) <= z`.
    fn exponential(&mut self, domain: DomainId, xyz: [NodeId; 3]);
    /// `x^a · y^(1-a) >= |z|` with `x, y >= 0`; `a` is a root number without variables, between 0 and 1.
    fn power(&mut self, domain: DomainId, xyz: [NodeId; 3], a: NodeId);
    /// The matrix with diagonal blocks of these orders is positive semidefinite.
    fn semidefinite(&mut self, domain: DomainId, orders: Vec<usize>, blocks: Vec<Block>);
}

/// Builds a graph from affine arguments (of a reduction: the body in its domain): the affine number `t` that the atom is
/// replaced by, at or above the atom's value where it is convex, at or below where it is concave, and equal at best.
/// `facts` are those of the arguments as they were written.
pub type GraphBuild = fn(
    b: &mut dyn GraphBuilder,
    region: DomainId,
    args: &[NodeId],
    facts: &[ArgFacts],
    fold: Option<DomainId>,
) -> NodeId;

/// A conic description of the epigraph (convex atoms) or hypograph (concave ones): `forms` turns it into rows.
#[derive(Clone, Copy, Debug)]
pub enum Graph {
    /// Equal to an expression of other atoms, whose graphs are taken.
    Rewrite(fn(ir: &mut Ir, args: &[NodeId]) -> NodeId),
    /// Variables and cones.
    Cones(GraphCone, GraphBuild),
    /// `t >= max_k (sign_k · arg_k)`: a linear row for each listed (argument, factor).
    MaxOf(&'static [(usize, f64)]),
    /// `t <= min` likewise (concave).
    MinOf(&'static [(usize, f64)]),
    /// Reduction: `t >= body` for every instance.
    MaxFold,
    /// Reduction: `t <= body` for every instance (concave).
    MinFold,
    /// Reduction: `t >= Σ |body|`.
    AbsSum,
    /// Reduction: `t >= |body|` for every instance.
    AbsMax,
    /// Reduction: `(t, bodies) ∈ second-order cone`.
    Norm,
    /// `t >= arg²` (scalar): rotated second-order cone, or a quadratic objective term.
    Square,
    /// Reduction: `t >= Σ body²`.
    SumSquares,
    /// `t >= arg0² / arg1`, `arg1 > 0`.
    QuadOverLin,
    /// `t <= sqrt(arg)`.
    Sqrt,
    /// `t >= 1/arg`, `arg > 0`.
    Inverse,
    /// `t >= exp(arg)`.
    Exp,
    /// `t <= log(arg)`.
    Log,
    /// Reduction: `t >= log Σ exp(body)`.
    LogSumExp,
    /// `t >= log(1 + exp(arg))`.
    Softplus,
    /// Array: `t >= x' P x` with `P` positive semidefinite data.
    Quad,
    /// Not representable here, and why.
    None(&'static str),
}

/// A closed-form proximal operator `argmin_u  t·f(u) + (u-v)²/2` of a scalar atom or a reduction.
#[derive(Clone, Copy)]
pub enum Prox {
    /// Scalar atoms: `(v, t) -> u`.
    Scalar(fn(v: f64, t: f64) -> f64),
    /// Reductions: in place on the vector.
    Vector(fn(v: &mut [f64], t: f64)),
    /// None, and why.
    None(&'static str),
}

/// A borrowed array argument of an array kernel.
#[derive(Clone, Copy, Debug)]
pub struct ArrayRef<'a> {
    /// Lengths of the dimensions *before* transposition.
    pub shape: &'a [usize],
    /// Entries.
    pub data: ArrayData<'a>,
    /// Read it as its transpose (two dimensions only).
    pub transposed: bool,
}

/// Entries of an array argument.
#[derive(Clone, Copy, Debug)]
pub enum ArrayData<'a> {
    /// Row-major.
    Dense(&'a [f64]),
    /// Compressed rows.
    Sparse(&'a Csr),
}

/// An array result.
#[derive(Clone, Debug, PartialEq)]
pub enum ArrayOut {
    /// Row-major entries of the result's shape.
    Dense(Vec<f64>),
    /// Compressed rows.
    Sparse(Csr),
    /// Dense entries that were solved for, with how far they can be trusted.
    Solved(Vec<f64>, Trust),
}

/// How far the solution of a linear system can be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trust {
    /// Relative error of the solution: at least the true one for the stored matrix and right side.
    pub error: f64,
    /// Condition number of the matrix; infinite below full rank.
    pub condition: f64,
    /// Rank to working precision.
    pub rank: usize,
    /// Least of rows and columns: the rank where nothing depends on anything.
    pub full: usize,
}

/// Why a kernel could not compute.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelFault {
    /// One sentence.
    pub what: String,
}

/// State of a reduction over part of its instances; see [`Reduce`].
pub type Partial = [f64; 2];

/// A reduction kernel: blocks are mapped to partials, partials combined by a fixed tree, the last one finished.
#[derive(Clone, Copy)]
pub struct Reduce {
    /// Partial of no instance.
    pub empty: Partial,
    /// Partial of a block of values.
    pub block: fn(&[f64]) -> Partial,
    /// Partial of two consecutive blocks.
    pub combine: fn(Partial, Partial) -> Partial,
    /// Result from the partial and the number of instances.
    pub finish: fn(Partial, usize) -> f64,
}

/// A kernel on whole arrays.
pub type ArrayKernel = fn(args: &[ArrayRef<'_>]) -> Result<ArrayOut, KernelFault>;

/// How the row is evaluated.
#[derive(Clone, Copy)]
pub enum Eval {
    /// One argument, lane kernel: `dst[i] = f(a[i])`.
    Lane1(fn(dst: &mut [f64], a: &[f64])),
    /// Two arguments.
    Lane2(fn(dst: &mut [f64], a: &[f64], b: &[f64])),
    /// Three arguments.
    Lane3(fn(dst: &mut [f64], a: &[f64], b: &[f64], c: &[f64])),
    /// A reduction.
    Reduce(Reduce),
    /// Whole arrays.
    Array(ArrayKernel),
}

/// Complex evaluation for the complex-step oracle, which must not pass through `derivative`.
#[derive(Clone, Copy)]
pub enum Complex {
    /// Scalar analytic atoms: arguments and result as (re, im).
    Scalar(fn(&[(f64, f64)]) -> (f64, f64)),
    /// Analytic reductions: all instances and the result.
    Fold(fn(&[(f64, f64)]) -> (f64, f64)),
    /// Rows on whole arrays that are linear in all of them together: the kernel takes real and imaginary parts apart.
    Linear,
    /// Rows linear in each of two arrays.
    Bilinear,
    /// `x'Px` of a vector and a matrix.
    Quadratic,
    /// Checked by fourth-order differences instead, and why.
    None(&'static str),
}

/// An identity `left -> right` in the IR's textual form, with the condition under which it holds.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Name shown by `--emit`.
    pub name: &'static str,
    /// When it holds.
    pub condition: &'static str,
    /// Rewrites the application of this atom to `args`, or declines.
    pub apply: fn(ir: &mut Ir, args: &[NodeId]) -> Option<NodeId>,
}

/// One row of the table of atoms.
pub struct Atom {
    /// Name in the language and in the textual IR.
    pub name: &'static str,
    /// Infix or prefix spelling, if any.
    pub symbol: Option<&'static str>,
    /// What its arguments are.
    pub kind: AtomKind,
    /// Signatures in the language's own syntax.
    pub signature: &'static [&'static str],
    /// Result shape from argument shapes, or the sentence of the diagnostic. (Scalar atoms: all empty.)
    pub shape: fn(&[&[usize]]) -> Result<Vec<usize>, String>,
    /// Domain of each argument (the last repeats).
    pub domain: &'static [DomainOf],
    /// Sign of the result.
    pub sign: SignRule,
    /// Monotonicity in each argument.
    pub monotone: MonoRule,
    /// Curvature.
    pub curvature: CurvatureRule,
    /// Smoothness on the domain.
    pub smooth: Smooth,
    /// Polynomial degree.
    pub degree: DegreeRule,
    /// Derivative.
    pub derivative: Derivative,
    /// Epigraph or hypograph.
    pub graph: Graph,
    /// Proximal operator.
    pub prox: Prox,
    /// Evaluation.
    pub eval: Eval,
    /// Complex evaluation.
    pub complex: Complex,
    /// Identities tried by the simplifier.
    pub simplify: &'static [Identity],
    /// LaTeX template; `#1`, `#2` are the arguments.
    pub latex: &'static str,
    /// One or two sentences for help.
    pub doc: &'static str,
    /// Programs and the results they print.
    pub examples: &'static [(&'static str, &'static str)],
    /// Paper or book of a non-obvious rule; may be empty.
    pub source: &'static str,
}

/// A reference to a row; equality is identity of the row.
#[derive(Clone, Copy)]
pub struct AtomRef(pub &'static Atom);

impl std::ops::Deref for AtomRef {
    type Target = Atom;
    fn deref(&self) -> &Atom {
        self.0
    }
}
impl PartialEq for AtomRef {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.kind == other.kind
    }
}
impl Eq for AtomRef {}
impl std::hash::Hash for AtomRef {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}
impl std::fmt::Debug for AtomRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl ArrayRef<'_> {
    /// Lengths of the dimensions as seen, transposition applied.
    pub fn seen_shape(&self) -> Vec<usize> {
        let mut s = self.shape.to_vec();
        if self.transposed {
            s.reverse();
        }
        s
    }
    /// All entries as seen, row-major.
    pub fn to_dense(&self) -> Dense {
        let (rows, cols) = match self.shape {
            [r, c] => (*r, *c),
            [n] => (*n, 1),
            _ => (1, self.shape.iter().product()),
        };
        let d = match self.data {
            ArrayData::Dense(d) => Dense {
                rows,
                cols,
                data: d.to_vec(),
            },
            ArrayData::Sparse(s) => s.to_dense(),
        };
        if !self.transposed {
            return d;
        }
        let mut t = Dense {
            rows: d.cols,
            cols: d.rows,
            data: vec![0.0; d.data.len()],
        };
        for i in 0..d.rows {
            for j in 0..d.cols {
                t.data[j * d.rows + i] = d.data[i * d.cols + j];
            }
        }
        t
    }
}
