//! The few BLAS and LAPACK routines that Clarabel's semidefinite cone calls, in Rust on faer's kernels.
//!
//! Invariant: faer runs sequentially here, so the bits do not depend on threads; nothing here panics, since a panic could not
//! leave a C function: what cannot be computed is answered with NaN or LAPACK's `info`.
//!
//! Clarabel declares these as C functions and leaves it to the program to link some library that has them (ADR 0011).
//! They follow LAPACK's conventions as far as Clarabel uses them: whole spectra, thin factors, unit strides; matrices are
//! stored by columns and `ld` is the distance of two columns.

#![allow(
    unsafe_code,
    reason = "the interface is C's: pointers with sizes that the caller vouches for"
)]

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt;
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::prelude::{Reborrow, ReborrowMut};
use faer::{Accum, Mat, MatMut, MatRef, Par};
use std::ffi::{c_char, c_int};

/// Is a flag this letter, in either case? Null counts as no.
fn is(flag: *const c_char, letter: u8) -> bool {
    // SAFETY: flags are single characters in memory of the caller.
    !flag.is_null() && unsafe { *flag as u8 }.eq_ignore_ascii_case(&letter)
}

/// A size: what is negative counts as none.
fn size(n: *const c_int) -> usize {
    // SAFETY: sizes are integers in memory of the caller.
    usize::try_from(unsafe { *n }).unwrap_or(0)
}

/// Is this a request for the size of the workspace?
fn asks(work: *const c_int) -> bool {
    // SAFETY: as above.
    unsafe { *work == -1 }
}

macro_rules! routines {
    ($real:ident, $module:ident, $syevr:ident, $potrf:ident, $potrs:ident, $gesdd:ident, $gesvd:ident, $gesv:ident,
     $gemm:ident, $gemv:ident, $symv:ident, $syrk:ident, $syr2k:ident) => {
        mod $module {
            use super::*;

            /// An `m x n` matrix of the caller.
            ///
            /// # Safety
            /// `a` has `ld * (n - 1) + m` entries that nobody writes meanwhile.
            unsafe fn read<'a>(a: *const $real, m: usize, n: usize, ld: *const c_int) -> MatRef<'a, $real> {
                // SAFETY: by this function's own condition.
                unsafe { MatRef::from_raw_parts(a, m, n, 1, size(ld) as isize) }
            }

            /// The same to be written.
            ///
            /// # Safety
            /// As above, and nobody else reads it meanwhile.
            unsafe fn write<'a>(a: *mut $real, m: usize, n: usize, ld: *const c_int) -> MatMut<'a, $real> {
                // SAFETY: by this function's own condition.
                unsafe { MatMut::from_raw_parts_mut(a, m, n, 1, size(ld) as isize) }
            }

            /// `op(a)`, of shape `m x n`.
            ///
            /// # Safety
            /// As for `read`.
            unsafe fn read_op<'a>(
                op: *const c_char,
                a: *const $real,
                m: usize,
                n: usize,
                ld: *const c_int,
            ) -> MatRef<'a, $real> {
                // SAFETY: by this function's own condition.
                unsafe {
                    if is(op, b'N') {
                        read(a, m, n, ld)
                    } else {
                        read(a, n, m, ld).transpose()
                    }
                }
            }

            fn finite(a: MatRef<'_, $real>) -> bool {
                (0..a.ncols()).all(|j| (0..a.nrows()).all(|i| a[(i, j)].is_finite()))
            }

            /// The symmetric matrix of which only one triangle is stored.
            fn symmetric(upper: bool, a: MatRef<'_, $real>) -> Mat<$real> {
                Mat::from_fn(a.nrows(), a.nrows(), |i, j| {
                    if (i <= j) == upper { a[(i, j)] } else { a[(j, i)] }
                })
            }

            /// `C = product + beta·C`; of a symmetric matrix only one triangle.
            fn store(mut c: MatMut<'_, $real>, product: &Mat<$real>, beta: $real, triangle: Option<bool>) {
                for j in 0..c.ncols() {
                    for i in 0..c.nrows() {
                        if triangle.is_some_and(|upper| if upper { i > j } else { i < j }) {
                            continue;
                        }
                        // A `beta` of 0 means that C is not read.
                        let kept = if beta == 0.0 { 0.0 } else { beta * c[(i, j)] };
                        c[(i, j)] = product[(i, j)] + kept;
                    }
                }
            }

            fn product(alpha: $real, a: MatRef<'_, $real>, b: MatRef<'_, $real>) -> Mat<$real> {
                let mut out = Mat::zeros(a.nrows(), b.ncols());
                matmul(out.as_mut(), Accum::Replace, a, b, alpha, Par::Seq);
                out
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $gemm(
                transa: *const c_char,
                transb: *const c_char,
                m: *const c_int,
                n: *const c_int,
                k: *const c_int,
                alpha: *const $real,
                a: *const $real,
                lda: *const c_int,
                b: *const $real,
                ldb: *const c_int,
                beta: *const $real,
                c: *mut $real,
                ldc: *const c_int,
            ) {
                let (m, n, k) = (size(m), size(n), size(k));
                // SAFETY: the caller follows BLAS: the matrices have these shapes and C overlaps neither A nor B.
                unsafe {
                    let ab = product(
                        *alpha,
                        read_op(transa, a, m, k, lda),
                        read_op(transb, b, k, n, ldb),
                    );
                    store(write(c, m, n, ldc), &ab, *beta, None);
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $gemv(
                trans: *const c_char,
                m: *const c_int,
                n: *const c_int,
                alpha: *const $real,
                a: *const $real,
                lda: *const c_int,
                x: *const $real,
                incx: *const c_int,
                beta: *const $real,
                y: *mut $real,
                incy: *const c_int,
            ) {
                let (m, n) = if is(trans, b'N') {
                    (size(m), size(n))
                } else {
                    (size(n), size(m))
                };
                // SAFETY: the caller follows BLAS; a vector with a stride is a row whose columns are that far apart.
                unsafe {
                    let ax = product(
                        *alpha,
                        read_op(trans, a, m, n, lda),
                        read(x, 1, n, incx).transpose(),
                    );
                    store(write(y, 1, m, incy).transpose_mut(), &ax, *beta, None);
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $symv(
                uplo: *const c_char,
                n: *const c_int,
                alpha: *const $real,
                a: *const $real,
                lda: *const c_int,
                x: *const $real,
                incx: *const c_int,
                beta: *const $real,
                y: *mut $real,
                incy: *const c_int,
            ) {
                let n = size(n);
                // SAFETY: as for the product with a general matrix.
                unsafe {
                    let full = symmetric(is(uplo, b'U'), read(a, n, n, lda));
                    let ax = product(*alpha, full.as_ref(), read(x, 1, n, incx).transpose());
                    store(write(y, 1, n, incy).transpose_mut(), &ax, *beta, None);
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $syrk(
                uplo: *const c_char,
                trans: *const c_char,
                n: *const c_int,
                k: *const c_int,
                alpha: *const $real,
                a: *const $real,
                lda: *const c_int,
                beta: *const $real,
                c: *mut $real,
                ldc: *const c_int,
            ) {
                let (n, k) = (size(n), size(k));
                // SAFETY: the caller follows BLAS, and C does not overlap A.
                unsafe {
                    let a = read_op(trans, a, n, k, lda);
                    store(
                        write(c, n, n, ldc),
                        &product(*alpha, a, a.transpose()),
                        *beta,
                        Some(is(uplo, b'U')),
                    );
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $syr2k(
                uplo: *const c_char,
                trans: *const c_char,
                n: *const c_int,
                k: *const c_int,
                alpha: *const $real,
                a: *const $real,
                lda: *const c_int,
                b: *const $real,
                ldb: *const c_int,
                beta: *const $real,
                c: *mut $real,
                ldc: *const c_int,
            ) {
                let (n, k) = (size(n), size(k));
                // SAFETY: the caller follows BLAS, and C overlaps neither A nor B.
                unsafe {
                    let (a, b) = (read_op(trans, a, n, k, lda), read_op(trans, b, n, k, ldb));
                    let mut sum = product(*alpha, a, b.transpose());
                    matmul(sum.as_mut(), Accum::Add, b, a.transpose(), *alpha, Par::Seq);
                    store(write(c, n, n, ldc), &sum, *beta, Some(is(uplo, b'U')));
                }
            }

            /// Cholesky factor of the stored triangle, in place.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $potrf(
                uplo: *const c_char,
                n: *const c_int,
                a: *mut $real,
                lda: *const c_int,
                info: *mut c_int,
            ) {
                let n = size(n);
                // SAFETY: the caller follows LAPACK.
                unsafe {
                    let upper = is(uplo, b'U');
                    let mut a = write(a, n, n, lda);
                    let mut l = symmetric(upper, a.rb());
                    let needs = llt::factor::cholesky_in_place_scratch::<$real>(n, Par::Seq, Default::default());
                    let mut memory = MemBuffer::new(needs);
                    let stack = MemStack::new(&mut memory);
                    let done = llt::factor::cholesky_in_place(
                        l.as_mut(),
                        Default::default(),
                        Par::Seq,
                        stack,
                        Default::default(),
                    );
                    let bad = match done {
                        Err(llt::factor::LltError::NonPositivePivot { index }) => Some(index),
                        Ok(_) => (0..n).find(|&i| !(l[(i, i)] > 0.0 && l[(i, i)].is_finite())),
                    };
                    *info = bad.map_or(0, |i| c_int::try_from(i + 1).unwrap_or(c_int::MAX));
                    if bad.is_none() {
                        for j in 0..n {
                            for i in j..n {
                                let at = if upper { (j, i) } else { (i, j) };
                                a[at] = l[(i, j)];
                            }
                        }
                    }
                }
            }

            /// Solution by a Cholesky factor.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $potrs(
                uplo: *const c_char,
                n: *const c_int,
                nrhs: *const c_int,
                a: *const $real,
                lda: *const c_int,
                b: *mut $real,
                ldb: *const c_int,
                info: *mut c_int,
            ) {
                let (n, k) = (size(n), size(nrhs));
                // SAFETY: the caller follows LAPACK.
                unsafe {
                    let a = read(a, n, n, lda);
                    let l = if is(uplo, b'U') { a.transpose() } else { a };
                    let mut b = write(b, n, k, ldb);
                    faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, b.rb_mut(), Par::Seq);
                    faer::linalg::triangular_solve::solve_upper_triangular_in_place(l.transpose(), b, Par::Seq);
                    *info = 0;
                }
            }

            /// Solution by elimination with row exchanges.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $gesv(
                n: *const c_int,
                nrhs: *const c_int,
                a: *mut $real,
                lda: *const c_int,
                ipiv: *mut c_int,
                b: *mut $real,
                ldb: *const c_int,
                info: *mut c_int,
            ) {
                let (n, k) = (size(n), size(nrhs));
                // SAFETY: the caller follows LAPACK; `ipiv` has `n` entries.
                unsafe {
                    *info = 0;
                    let (mut a, mut b) = (write(a, n, n, lda), write(b, n, k, ldb));
                    for p in 0..n {
                        let best = (p..n).fold(p, |m, i| if a[(i, p)].abs() > a[(m, p)].abs() { i } else { m });
                        *ipiv.add(p) = c_int::try_from(best + 1).unwrap_or(c_int::MAX);
                        if a[(best, p)] == 0.0 {
                            *info = c_int::try_from(p + 1).unwrap_or(c_int::MAX);
                            return;
                        }
                        if best != p {
                            (0..n).for_each(|j| (a[(p, j)], a[(best, j)]) = (a[(best, j)], a[(p, j)]));
                            (0..k).for_each(|j| (b[(p, j)], b[(best, j)]) = (b[(best, j)], b[(p, j)]));
                        }
                        for i in p + 1..n {
                            let f = a[(i, p)] / a[(p, p)];
                            a[(i, p)] = f;
                            (p + 1..n).for_each(|j| a[(i, j)] -= f * a[(p, j)]);
                            (0..k).for_each(|j| b[(i, j)] -= f * b[(p, j)]);
                        }
                    }
                    let u = a.rb();
                    faer::linalg::triangular_solve::solve_upper_triangular_in_place(u, b, Par::Seq);
                }
            }

            /// Eigenvalues, increasing, and on request eigenvectors of the stored triangle: always the whole spectrum.
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $syevr(
                jobz: *const c_char,
                _range: *const c_char,
                uplo: *const c_char,
                n: *const c_int,
                a: *mut $real,
                lda: *const c_int,
                _vl: *const $real,
                _vu: *const $real,
                _il: *const c_int,
                _iu: *const c_int,
                _abstol: *const $real,
                m: *mut c_int,
                w: *mut $real,
                z: *mut $real,
                ldz: *const c_int,
                _isuppz: *mut c_int,
                work: *mut $real,
                lwork: *const c_int,
                iwork: *mut c_int,
                liwork: *const c_int,
                info: *mut c_int,
            ) {
                // SAFETY: the caller follows LAPACK: `w` has `n` entries, `z` those of a square matrix where it is asked for.
                unsafe {
                    *info = 0;
                    if asks(lwork) || asks(liwork) {
                        (*work, *iwork) = (1.0, 1);
                        return;
                    }
                    *m = *n;
                    let n = size(n);
                    let full = symmetric(is(uplo, b'U'), read(a, n, n, lda));
                    let want = if is(jobz, b'V') {
                        ComputeEigenvectors::Yes
                    } else {
                        ComputeEigenvectors::No
                    };
                    let mut vectors = is(jobz, b'V').then(|| write(z, n, n, ldz));
                    let mut s = faer::diag::Diag::<$real>::zeros(n);
                    let found = finite(full.as_ref()) && {
                        let needs = self_adjoint_evd_scratch::<$real>(n, want, Par::Seq, Default::default());
                        let mut memory = MemBuffer::new(needs);
                        let (v, stack) = (vectors.as_mut().map(|v| v.rb_mut()), MemStack::new(&mut memory));
                        self_adjoint_evd(full.as_ref(), s.as_mut(), v, Par::Seq, stack, Default::default()).is_ok()
                    };
                    for i in 0..n {
                        *w.add(i) = if found { s.column_vector()[i] } else { $real::NAN };
                    }
                }
            }

            /// Thin factors `A = U diag(s) V'` with `s` decreasing.
            ///
            /// # Safety
            /// The pointers have the sizes that LAPACK asks for.
            unsafe fn factors(
                m: usize,
                n: usize,
                a: *mut $real,
                lda: *const c_int,
                s: *mut $real,
                u: *mut $real,
                ldu: *const c_int,
                vt: *mut $real,
                ldvt: *const c_int,
            ) {
                let k = m.min(n);
                // SAFETY: by this function's own condition.
                unsafe {
                    let a = read(a, m, n, lda);
                    let (u, v) = (write(u, m, k, ldu), write(vt, k, n, ldvt).transpose_mut());
                    let mut d = faer::diag::Diag::<$real>::zeros(k);
                    let found = finite(a) && {
                        let want = ComputeSvdVectors::Thin;
                        let mut memory = MemBuffer::new(svd_scratch::<$real>(
                            m,
                            n,
                            want,
                            want,
                            Par::Seq,
                            Default::default(),
                        ));
                        let stack = MemStack::new(&mut memory);
                        svd(
                            a,
                            d.as_mut(),
                            Some(u),
                            Some(v),
                            Par::Seq,
                            stack,
                            Default::default(),
                        )
                        .is_ok()
                    };
                    for i in 0..k {
                        *s.add(i) = if found { d.column_vector()[i] } else { $real::NAN };
                    }
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $gesdd(
                _jobz: *const c_char,
                m: *const c_int,
                n: *const c_int,
                a: *mut $real,
                lda: *const c_int,
                s: *mut $real,
                u: *mut $real,
                ldu: *const c_int,
                vt: *mut $real,
                ldvt: *const c_int,
                work: *mut $real,
                lwork: *const c_int,
                _iwork: *mut c_int,
                info: *mut c_int,
            ) {
                // SAFETY: the caller follows LAPACK and asks for thin factors.
                unsafe {
                    *info = 0;
                    if asks(lwork) {
                        *work = 1.0;
                        return;
                    }
                    factors(size(m), size(n), a, lda, s, u, ldu, vt, ldvt);
                }
            }

            #[unsafe(no_mangle)]
            unsafe extern "C" fn $gesvd(
                _jobu: *const c_char,
                _jobvt: *const c_char,
                m: *const c_int,
                n: *const c_int,
                a: *mut $real,
                lda: *const c_int,
                s: *mut $real,
                u: *mut $real,
                ldu: *const c_int,
                vt: *mut $real,
                ldvt: *const c_int,
                work: *mut $real,
                lwork: *const c_int,
                info: *mut c_int,
            ) {
                // SAFETY: as above.
                unsafe {
                    *info = 0;
                    if asks(lwork) {
                        *work = 1.0;
                        return;
                    }
                    factors(size(m), size(n), a, lda, s, u, ldu, vt, ldvt);
                }
            }
        }
    };
}

routines!(
    f64, double, dsyevr_, dpotrf_, dpotrs_, dgesdd_, dgesvd_, dgesv_, dgemm_, dgemv_, dsymv_, dsyrk_, dsyr2k_
);
routines!(
    f32, single, ssyevr_, spotrf_, spotrs_, sgesdd_, sgesvd_, sgesv_, sgemm_, sgemv_, ssymv_, ssyrk_, ssyr2k_
);
