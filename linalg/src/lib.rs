//! Linear algebra for Ravine: dense and sparse kernels, factorizations, deterministic reductions, vector math.
//!
//! Invariant: the only package that names faer and Clarabel; knows nothing of problems, methods or spans.

mod blas;
pub mod clarabel_adapter;
pub mod convolution;
pub mod dense;
mod doubled;
pub mod factor;
pub mod fault;
pub mod krylov;
pub mod lanes;
pub mod math;
pub mod matrix;
pub mod operator;
pub mod qr;
pub mod reduce;
mod refine;
pub mod saddle;
pub mod scaling;
pub mod semidefinite;
pub mod solve;
pub mod sparse;
pub mod spectrum;

pub use dense::Dense;
pub use fault::NumericalFault;
pub use matrix::Matrix;
pub use sparse::Csr;
