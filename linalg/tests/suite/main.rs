//! Everything the linear algebra package promises, in one test binary.

#![allow(clippy::disallowed_methods, reason = "std's functions are test oracles here")]

mod accuracy;
mod bits;
mod conic;
mod convolution;
mod exact;
mod krylov;
mod lanes;
mod math;
mod matrices;
mod reduce;
mod saddle;
mod semidefinite;
mod solve;
mod suitesparse;
