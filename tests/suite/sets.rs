//! Sets of tuples, subsets and families: what they cost is counted, and what is wrong with them is said.

use ravine::base::value::{IndexSet, ListedSet, Storage, Tensor};
use ravine::exec::{Machine, Plan};
use ravine::ir::{DomainId, Input, InputKind, Ir, NodeId, Pos, Sign};
use std::sync::Arc;

use super::harness::{root, run, session};

/// Embedded data over a set.
fn data(ir: &mut Ir, set: &IndexSet, v: Vec<f64>) -> NodeId {
    let t = Tensor {
        dims: vec![set.clone()],
        storage: Storage::Dense(v),
    };
    let id = ir.add_input(Input {
        name: "data".into(),
        kind: InputKind::Data(Arc::new(t)),
        dims: vec![set.clone()],
        sparse: false,
        sign: Sign::Unknown,
    });
    ir.read(id)
}

/// Pseudo-random numbers below `n`, in a fixed order.
fn draws(n: u64, count: usize, seed: u64) -> Vec<u64> {
    let mut s = seed;
    (0..count)
        .map(|_| {
            s = s.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (s >> 33) % n
        })
        .collect()
}

#[test]
fn a_slice_costs_what_it_holds_and_not_the_product() {
    // For each of 2000 rows, the sum of the values of its share of 6000 elements.
    let (rows, elements) = (2000usize, 6000usize);
    let row_of = draws(rows as u64, elements, 7);
    let values: Vec<f64> = (0..elements).map(|k| (k % 97) as f64).collect();
    let mut ir = Ir::new();
    let (i_set, a_set) = (IndexSet::upto(rows), IndexSet::upto(elements));
    let column = data(&mut ir, &a_set, row_of.iter().map(|r| *r as f64).collect());
    let v = data(&mut ir, &a_set, values.clone());
    let (outer, i) = ir.add_domain(DomainId::ROOT, [("i".to_string(), i_set)]);
    let (inner, a) = ir.add_domain(outer, [("a".to_string(), a_set)]);
    let own = ir.gather(column, vec![Pos::index(a[0])]);
    let one = ir.constant(1.0);
    let shifted = ir.apply(ravine::atoms::ADD, &[own, one]);
    let wanted = ir.index_value(i[0]);
    let filter = ir.apply(ravine::atoms::EQ, &[shifted, wanted]);
    ir.set_filter(inner, filter);
    let entry = ir.gather(v, vec![Pos::index(a[0])]);
    let sum = ir.fold(ravine::atoms::SUM, inner, entry);
    let out = ir.map(outer, sum);
    let mut m = Machine::new(Arc::new(Plan::compile(&ir, &[out])));
    m.eval().expect("sums");
    let mut expected = vec![0.0; rows];
    row_of.iter().zip(&values).for_each(|(r, v)| expected[*r as usize] += v);
    assert_eq!(m.dense(0).expect("dense"), expected, "sums by row");
    assert_eq!(m.instance_count(inner), elements, "every element belongs to one row");
    assert_eq!(m.inspected, elements, "of {} pairs", rows * elements);
    // Nothing is looked for again while the data stay.
    m.eval().expect("sums");
    assert_eq!(m.inspected, elements, "bound once");
}

#[test]
fn conditions_narrow_to_the_same_instances_as_looking_at_everything() {
    // Triangles of many shapes: i, j in 1..n with a condition; the plain count against the machine's.
    let n = 23i64;
    type Holds = fn(i64, i64) -> bool;
    let cases: &[(&str, Holds, usize)] = &[
        ("j <= i", |i, j| j <= i, 276),
        ("j < i", |i, j| j < i, 253),
        ("i <= j", |i, j| i <= j, 276),
        ("i + 3 < j", |i, j| i + 3 < j, 190),
        ("j >= 2*i", |i, j| j >= 2 * i, 132),
        ("j == i + 2", |i, j| j == i + 2, 21),
        ("j == 24 - i and j > i", |i, j| j == 24 - i && j > i, 23),
        ("j > i and (i + j) % 3 == 0", |i, j| j > i && (i + j) % 3 == 0, 253),
    ];
    for (condition, holds, most) in cases {
        let mut s = session(&root());
        let text = format!("print sum(i in 1..{n}, j in 1..{n} if {condition}) (100*i + j)");
        let ran = run(&mut s, "t.opt", &text);
        let mut expected = 0;
        for i in 1..=n {
            for j in 1..=n {
                expected += if holds(i, j) { 100 * i + j } else { 0 };
            }
        }
        assert!(
            ran.shown.contains(&format!("= {expected}\n")),
            "{condition}: {}",
            ran.shown
        );
        assert!(*most < (n * n) as usize, "{condition}");
    }
}

#[test]
fn products_of_large_sets_are_never_enumerated() {
    let text = "
set I = 1..200000
set arcs in I*I = {(1, 5), (200000, 3), (77, 200000), (77, 5)}
set heads in I = {i in I if any((i, j) in arcs) true}
set out[i in I] in I = {j in I if (i, j) in arcs}
param c: Real[arcs] default 2 = {(1, 5): 7}
problem p {
  var x: Real[arcs] in [0, 10]
  maximize sum((i, j) in arcs) c[i, j]*x[i, j]
  subject to
    row[i in heads]: sum(j in I if (i, j) in arcs) x[i, j] <= 3
    own[i in heads, j in out[i]]: x[i, j] <= 2
}
s = solve p
print heads, out[77], s.objective
print sum((i, j) in I*I if (i, j) in arcs) 1";
    let mut s = session(&root());
    let ran = run(&mut s, "t.opt", text);
    assert_eq!(ran.exit, 0, "{}", ran.shown);
    for want in [
        "heads = {1, 77, 200000}",
        "out[77] = {5, 200000}",
        "s.objective = 24",
        "1 = 4",
    ] {
        assert!(ran.shown.contains(want), "{want}: {}", ran.shown);
    }
    let ran = run(&mut session(&root()), "t.opt", "set I = 1..200000\nset all = I*I\n");
    let codes: Vec<&str> = ran.codes.iter().map(|c| c.id()).collect();
    assert_eq!(codes, ["R0309"], "{}", ran.shown);
}

#[test]
fn what_is_wrong_with_sets_is_said() {
    const HEAD: &str = "set P = {\"a\", \"b\"}\nset M = {\"x\", \"y\", \"z\"}\nset A in P*M = {(\"a\", \"x\"), (\"b\", \"y\")}\n\
        param cap: Real[P] = {\"a\": 1, \"b\": 2}\n";
    for (text, want) in [
        // Elements.
        ("set B in P*M = {(\"a\", \"q\")}", "R0304"),
        ("set B in P*M = {(\"a\", \"x\"), (\"a\", \"x\")}", "R0307"),
        ("set B in P*M = {(\"a\", \"x\", \"y\")}", "R0206"),
        ("set B in P*M = {\"a\"}", "R0206"),
        ("set B = {(\"a\", \"x\")}", "R0207"),
        ("set B in A = {(\"a\", \"y\")}", "R0304"),
        ("set B in P = {p in M if p == \"x\"}", "R0207"),
        ("set B in 1..3 = {1, 5}", "R0304"),
        ("set B = {(1, 2), (3, 4, 5)}", "R0206"),
        ("set B = {(1, 2), (1, 2)}", "R0307"),
        ("set B in P*M = read(\"no.csv\")", "R0601"),
        // Entries.
        ("param c: Real[A] = {(\"a\", \"x\"): 1}", "R0305"),
        (
            "param c: Real[A] = {(\"a\", \"x\"): 1, (\"a\", \"y\"): 2, (\"b\", \"y\"): 3}",
            "R0304",
        ),
        ("param c: Real[A] default 0 = {\"a\": 1}", "R0206"),
        (
            "param c: Real[A] default 0 = {(\"a\", \"x\"): 1, (\"a\", \"x\"): 2}",
            "R0307",
        ),
        // Indices.
        (
            "param c: Real[A] default 1 = {(\"a\", \"x\"): 1}\nprint c[\"a\"]",
            "R0206",
        ),
        (
            "param c: Real[A] default 1 = {(\"a\", \"x\"): 1}\nprint c[\"a\", \"y\"]",
            "R0304",
        ),
        (
            "param c: Real[A] default 1 = {(\"a\", \"x\"): 1}\nprint sum(p in P, m in M) c[p, m]",
            "R0304",
        ),
        (
            "param c: Real[A] default 1 = {(\"a\", \"x\"): 1}\nprint sum((m, p) in A) c[p, m]",
            "R0207",
        ),
        (
            "param c: Real[A] default 1 = {(\"a\", \"x\"): 1}\nprint c[\"a\", :]",
            "R0206",
        ),
        ("print sum((p, m, k) in A) 1", "R0206"),
        ("print sum((p, m) in P) 1", "R0206"),
        ("print sum(p in P, (m, p) in A) 1", "R0207"),
        ("print sum(a in A) (a + 1)", "R0202"),
        ("print (1, 2)", "R0202"),
        // Subsets and families.
        (
            "set B in P = {p in P if cap[p] >= 2}\nvar y: Real[B]\nminimize sum(p in P) y[p]\nsolve",
            "R0304",
        ),
        ("var y: Real[P]\nset B = {p in P if y[p] > 0}", "R0214"),
        ("set F[p in P] in M = {m in M if (p, m) in A}\nprint F", "R0202"),
        ("set F[p in P] in M = {m in M if (p, m) in A}\nprint F[\"x\"]", "R0304"),
        (
            "set F[p in P] in M = {m in M if (p, m) in A}\nprint sum(m in F[\"a\", \"b\"]) 1",
            "R0206",
        ),
        ("set F[p in P] in P = {m in M if (p, m) in A}", "R0207"),
        ("set F[p in P] in M = read(\"x.csv\")", "R0202"),
        ("print [p in P, m in M if (p, m) in A] 1", "R0190"),
        ("print P*2", "R0202"),
    ] {
        let ran = run(&mut session(&root()), "t.opt", &format!("{HEAD}{text}\n"));
        let mut codes: Vec<&str> = ran.codes.iter().map(|c| c.id()).collect();
        codes.dedup();
        assert_eq!(codes, [want], "{text}\n{}", ran.shown);
    }
}

#[test]
fn empty_sets_are_sets() {
    let text = "
set P = {\"a\", \"b\"}
set none in P = {p in P if p != \"a\" and p != \"b\"}
set F[p in P] in P = {q in none}
var x: Real[none]
var y: Real >= 1
minimize y + sum(p in none) x[p] + sum(p in P, q in F[p]) x[q]
subject to
  c[p in none]: x[p] >= 1
  d[p in P]: sum(q in F[p]) x[q] <= y
s = solve
print none, length(none), s.objective, F[\"a\"]";
    let ran = run(&mut session(&root()), "t.opt", text);
    assert_eq!(ran.exit, 0, "{}", ran.shown);
    assert!(ran.shown.contains("s.objective = 1\n"), "{}", ran.shown);
}

#[test]
fn listed_sets_find_their_elements() {
    let parts = vec![IndexSet::upto(9), IndexSet::upto(9)];
    let keys = draws(81, 60, 3);
    let mut seen = vec![];
    for k in keys {
        if !seen.contains(&k) {
            seen.push(k);
        }
    }
    let columns = vec![
        seen.iter().map(|k| (*k / 9) as u32).collect(),
        seen.iter().map(|k| (*k % 9) as u32).collect(),
    ];
    let set = ListedSet::new("s".into(), parts.clone(), columns).expect("no element stands twice");
    for k in 0..81u64 {
        let at = set.find(&[(k / 9) as u32, (k % 9) as u32]);
        assert_eq!(at, seen.iter().position(|x| *x == k), "{k}");
    }
    for row in 0..9u32 {
        let mut found: Vec<u32> = set
            .starting(&[row])
            .iter()
            .map(|p| set.columns[1][*p as usize])
            .collect();
        let mut expected: Vec<u32> = seen
            .iter()
            .filter(|k| (**k / 9) as u32 == row)
            .map(|k| (*k % 9) as u32)
            .collect();
        expected.sort_unstable();
        assert!(found.is_sorted(), "a slice is in order");
        found.sort_unstable();
        assert_eq!(found, expected, "row {row}");
    }
    assert_eq!(
        ListedSet::new("s".into(), parts, vec![vec![1, 2, 1], vec![3, 3, 3]]).err(),
        Some((2, 0))
    );
}

#[test]
fn a_branch_reads_only_where_it_counts() {
    let text = "
set P = {\"a\", \"b\"}
set Q in P = {p in P if p == \"a\"}
var y: Real[Q] >= 0
minimize sum(p in P) (if p in Q then 2*y[p] else 1)
subject to
  c[p in Q]: y[p] >= 3
s = solve
print s.objective";
    let mut s = session(&root());
    let ran = run(&mut s, "t.opt", text);
    assert!(ran.shown.contains("s.objective = 7\n"), "{}", ran.shown);
    let ran = run(&mut s, "u.opt", "print sum(p in P) s.y[p]");
    assert!(ran.shown.contains("has no element b"), "{}", ran.shown);
}
