//! Any text is a program that ends in diagnostics, never in a panic: examples with tokens and bytes deleted and doubled.

use super::harness::{files, root, run, session};

/// A seeded xorshift: the same mutations on every machine.
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
}

/// Pieces of a text: words, numbers, single signs, blanks.
fn tokens(text: &str) -> Vec<&str> {
    let mut out = vec![];
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = c.is_alphanumeric() || c == '_';
        let end = rest
            .char_indices()
            .find(|(k, d)| *k > 0 && !(word && (d.is_alphanumeric() || *d == '_')))
            .map_or(rest.len(), |(k, _)| k);
        out.push(&rest[..end]);
        rest = &rest[end..];
    }
    out
}

pub fn mutated(text: &str, r: &mut Random) -> String {
    match r.below(4) {
        0 => {
            let mut bytes = text.as_bytes().to_vec();
            let at = r.below(bytes.len());
            bytes.remove(at);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        1 => {
            let mut bytes = text.as_bytes().to_vec();
            let at = r.below(bytes.len());
            let b = bytes[at];
            bytes.insert(r.below(bytes.len()), b);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        k => {
            let mut t = tokens(text);
            for _ in 0..1 + r.below(3) {
                let at = r.below(t.len());
                if k == 2 {
                    t.remove(at);
                } else {
                    let v = t[at];
                    let to = r.below(t.len());
                    t.insert(to, v);
                }
            }
            t.concat()
        }
    }
}

#[test]
fn mutated_examples_parse_and_check() {
    let mut variants = 0;
    for p in files(&root().join("examples"), "opt") {
        let text = std::fs::read_to_string(&p).expect("text");
        let mut r = Random(0x9e37_79b9_7f4a_7c15 ^ text.len() as u64);
        for _ in 0..200 {
            let variant = mutated(&text, &mut r);
            let mut s = session(&root().join("examples"));
            let (_, _, found) = s.check("variant.opt", &variant);
            for d in &found {
                if let Some(span) = d.span() {
                    assert!(
                        span.end as usize <= variant.len(),
                        "a span leaves its text: {d:?}\n{variant}"
                    );
                }
            }
            let _ = ravine::report::diagnostic::plain(&found, &s.sources);
            variants += 1;
        }
    }
    assert!(variants >= 2400, "{variants} variants");
}

/// Small mutated programs are run, not only checked.
#[test]
fn mutated_small_programs_run() {
    let seeds = [
        "param n: Int = 3\nvar x: Vector[n] >= 0\nminimize sumsq(x - [1, -2, 3])\nsubject to\n  budget: sum(x) == 1\ns = solve\nprint s.x, s.dual(budget)\n",
        "set I = {\"a\", \"b\"}\nparam c: Real[I] = {\"a\": 1, \"b\": 2}\nprint sum(i in I) c[i]^2, [i in I] (c[i] + 1)\n",
        "let A = [1, 2; 3, 4]\nprint A*[1, 1], A', norm(A), sum(i in 1..2, j in 1..2 if i != j) A[i, j]\n",
        "minimize (1 - x)^2 + 100*(y - x^2)^2 from x = -1.2, y = 1\n",
        "fn f(x: Real, d: Real) -> Real = if x > d then x else d\nprint f(1, 2), [k in 1..3] f(k, 2)\n",
    ];
    for (k, text) in seeds.iter().enumerate() {
        let mut r = Random(77 + k as u64);
        for _ in 0..120 {
            let variant = mutated(text, &mut r);
            let ran = run(&mut session(&root().join("examples")), "variant.opt", &variant);
            assert_ne!(ran.exit, 70, "a mistake of ours:\n{variant}\n{}", ran.shown);
        }
    }
}

#[test]
fn large_and_deep_texts() {
    for text in [
        "(".repeat(100_000),
        "[".repeat(500) + &"]".repeat(500),
        format!("print {}1{}", "(".repeat(150), ")".repeat(150)),
        format!("print {}", vec!["1"; 200_000].join(" + ")),
        format!("print {}", "-".repeat(10_000)),
        "x'".repeat(5_000),
        "if ".repeat(3_000),
        "\u{0}\u{feff}\u{202e}#\r\n\t;;;".into(),
        format!("let a = \"{}", "x".repeat(1_000_000)),
        "param ".repeat(200_000),
        String::new(),
        "\n\n\n".into(),
    ] {
        let ran = run(&mut session(&root()), "large.opt", &text);
        assert_ne!(ran.exit, 70, "{}", ran.shown);
    }
}

#[test]
fn huge_requests_are_refused() {
    for text in [
        "let v = zeros(1000000000)\nprint v + 1\n",
        "param n: Int = 1000000000\nprint eye(n)\n",
        "print [i in 1..1000000000] i\n",
    ] {
        let ran = run(&mut session(&root()), "huge.opt", text);
        assert!(ran.codes.iter().any(|c| c.id() == "R0309"), "{text}{}", ran.shown);
    }
}

#[test]
fn empty_and_single_dimensions() {
    let ran = run(
        &mut session(&root()),
        "small.opt",
        "param n: Int = 0\nprint sum(i in 1..n) i, sum(zeros(n)), zeros(n)\nprint norm([2]), sum(i in 1..1) i\n",
    );
    assert_eq!(ran.exit, 0, "{}", ran.shown);
    assert!(ran.shown.contains("sum(i in 1..n) i = 0"), "{}", ran.shown);
}
