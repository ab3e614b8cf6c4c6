//! Execution: loops against plain loops, nested and filtered domains, the same bits for any number of threads.

use std::sync::Arc;

use ravine::atoms;
use ravine::base::Tensor;
use ravine::base::value::IndexSet;
use ravine::exec::{Machine, Plan, workers_seen};
use ravine::ir::facts::Sign;
use ravine::ir::{DomainId, Input, InputId, InputKind, Ir, NodeId, Pos};

fn vector(ir: &mut Ir, name: &str, n: usize) -> (InputId, NodeId) {
    let id = ir.add_input(Input {
        name: name.into(),
        kind: InputKind::Var,
        dims: vec![IndexSet::upto(n)],
        sparse: false,
        sign: Sign::Unknown,
    });
    (id, ir.read(id))
}

fn ramp(n: usize) -> Vec<f64> {
    (0..n).map(|k| ((k * 7919) % 1013) as f64 / 97.0 - 4.0).collect()
}

/// `(1 - x[i])^2 + 100*(x[i+1] - x[i]^2)^2` over `i in 1..n-1`, as value and as a scatter of `x[i]*x[i+1]`.
fn chained(n: usize) -> (Ir, InputId, [NodeId; 2]) {
    let mut ir = Ir::new();
    let (x, xs) = vector(&mut ir, "x", n);
    let (d, ix) = ir.add_domain(DomainId::ROOT, [("i".to_string(), IndexSet::upto(n - 1))]);
    let here = Pos::index(ix[0]);
    let next = here.shifted(1).expect("affine");
    let a = ir.gather(xs, vec![here.clone()]);
    let b = ir.gather(xs, vec![next.clone()]);
    let one = ir.constant(1.0);
    let hundred = ir.constant(100.0);
    let p = ir.apply(atoms::SUB, &[one, a]);
    let p = ir.apply(atoms::SQUARE, &[p]);
    let q = ir.apply(atoms::SQUARE, &[a]);
    let q = ir.apply(atoms::SUB, &[b, q]);
    let q = ir.apply(atoms::SQUARE, &[q]);
    let q = ir.apply(atoms::MUL, &[hundred, q]);
    let body = ir.apply(atoms::ADD, &[p, q]);
    let total = ir.fold(atoms::SUM, d, body);
    let ab = ir.apply(atoms::MUL, &[a, b]);
    let spread = ir.scatter(d, vec![n], vec![next], ab);
    (ir, x, [total, spread])
}

#[test]
fn chained_rosenbrock_against_a_plain_loop() {
    for n in [2, 3, 255, 256, 257, 258, 5000] {
        let (ir, x, out) = chained(n);
        let mut m = Machine::new(Arc::new(Plan::compile(&ir, &out)));
        let v = ramp(n);
        m.set_point(x, &v);
        m.eval().expect("finite");
        let want: f64 = v
            .windows(2)
            .map(|w| (1.0 - w[0]).powi(2) + 100.0 * (w[1] - w[0] * w[0]).powi(2))
            .sum();
        assert!(
            (m.scalar(0) - want).abs() <= 1e-12 * want,
            "n = {n}: {} against {want}",
            m.scalar(0)
        );
        let spread = m.dense(1).expect("dense");
        assert_eq!(spread[0], 0.0);
        for i in 0..n - 1 {
            assert_eq!(spread[i + 1], v[i] * v[i + 1]);
        }
    }
}

#[test]
fn same_bits_for_any_number_of_threads() {
    let n = 300_000;
    let (ir, x, out) = chained(n);
    let plan = Arc::new(Plan::compile(&ir, &out));
    let v = ramp(n);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("pool");
        pool.install(|| {
            let mut m = Machine::new(plan.clone());
            m.set_point(x, &v);
            workers_seen();
            m.eval().expect("finite");
            let spread: Vec<u64> = m.dense(1).expect("dense").iter().map(|v| v.to_bits()).collect();
            (m.scalar(0).to_bits(), spread, workers_seen())
        })
    };
    let (f1, s1, _) = run(1);
    for threads in 2..=4 {
        // A pool may give all tasks of one evaluation to one worker; several tries show that it can be otherwise.
        let mut most = 0;
        for _ in 0..500 {
            let (f, s, workers) = run(threads);
            assert_eq!(f, f1, "{threads} threads");
            assert!(s == s1, "{threads} threads");
            most = most.max(workers);
            if most > 1 {
                break;
            }
        }
        assert!(most > 1, "{threads} threads: only one worker took part");
    }
}

/// `sum(i in 1..m) x[i] * norm([j in 1..n if j <= i] a[i, j])`: a filtered fold inside a fold.
#[test]
fn filtered_and_nested() {
    for (m, n) in [(1, 1), (3, 5), (40, 300), (300, 7), (1, 1000)] {
        let mut ir = Ir::new();
        let (x, xs) = vector(&mut ir, "x", m);
        let a = ir.add_input(Input {
            name: "a".into(),
            kind: InputKind::Param,
            dims: vec![IndexSet::upto(m), IndexSet::upto(n)],
            sparse: false,
            sign: Sign::Unknown,
        });
        let an = ir.read(a);
        let (di, i) = ir.add_domain(DomainId::ROOT, [("i".to_string(), IndexSet::upto(m))]);
        let (dj, j) = ir.add_domain(di, [("j".to_string(), IndexSet::upto(n))]);
        let (iv, jv) = (ir.index_value(i[0]), ir.index_value(j[0]));
        let keep = ir.apply(atoms::LE, &[jv, iv]);
        ir.set_filter(dj, keep);
        let aij = ir.gather(an, vec![Pos::index(i[0]), Pos::index(j[0])]);
        let inner = ir.fold(atoms::NORM, dj, aij);
        let xi = ir.gather(xs, vec![Pos::index(i[0])]);
        let body = ir.apply(atoms::MUL, &[xi, inner]);
        let total = ir.fold(atoms::SUM, di, body);
        let back = ir.apply(atoms::MUL, &[xi, aij]);
        let cols = ir.scatter(dj, vec![n], vec![Pos::index(j[0])], back);
        let mut machine = Machine::new(Arc::new(Plan::compile(&ir, &[total, cols])));
        let (xv, av) = (ramp(m), ramp(m * n));
        let t = Tensor::dense(vec![IndexSet::upto(m), IndexSet::upto(n)], av.clone()).expect("shape");
        machine.set(a, Arc::new(t));
        machine.set_point(x, &xv);
        machine.eval().expect("finite");
        let mut want = 0.0;
        let mut columns = vec![0.0; n];
        for i in 0..m {
            let row = &av[i * n..i * n + n.min(i + 1)];
            want += xv[i] * row.iter().map(|v| v * v).sum::<f64>().sqrt();
            for (c, v) in columns.iter_mut().zip(row) {
                *c += xv[i] * v;
            }
        }
        assert!(
            (machine.scalar(0) - want).abs() <= 1e-11 * (1.0 + want.abs()),
            "{m} by {n}"
        );
        for (got, want) in machine.dense(1).expect("dense").iter().zip(&columns) {
            assert!((got - want).abs() <= 1e-11 * (1.0 + want.abs()), "{m} by {n}");
        }
    }
}

/// A computed position that leaves its array is a fault, not a panic.
#[test]
fn computed_positions_are_checked() {
    let mut ir = Ir::new();
    let (x, xs) = vector(&mut ir, "x", 3);
    let (p, ps) = vector(&mut ir, "p", 4);
    let (d, i) = ir.add_domain(DomainId::ROOT, [("i".to_string(), IndexSet::upto(4))]);
    let at = ir.gather(ps, vec![Pos::index(i[0])]);
    let v = ir.gather(xs, vec![Pos::Node(at)]);
    let total = ir.fold(atoms::SUM, d, v);
    let mut m = Machine::new(Arc::new(Plan::compile(&ir, &[total])));
    m.set_point(x, &[1.0, 10.0, 100.0]);
    m.set_point(p, &[2.0, 0.0, 1.0, 2.0]);
    m.eval().expect("inside");
    assert_eq!(m.scalar(0), 211.0);
    for bad in [3.0, -1.0, 0.5, f64::NAN] {
        m.set_point(p, &[2.0, 0.0, 1.0, bad]);
        assert!(m.eval().is_err(), "{bad}");
    }
}
