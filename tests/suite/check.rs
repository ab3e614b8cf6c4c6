//! Programs to types: what is accepted, what each type is, and which code every mistake has.
#![allow(clippy::unwrap_used, reason = "a test that cannot unwrap has failed")]

use ravine::base::{Diagnostic, SourceId};
use ravine::ir::Catalogue;
use ravine::lang::check::{Checked, Env, check};
use ravine::lang::parse::parse;
use ravine::lang::syntax::{Program, StmtKind};

fn catalogue() -> Catalogue {
    Catalogue::new(ravine::atoms::all())
}

fn checked(text: &str) -> (Program, Checked, Vec<Diagnostic>) {
    let (p, mut d) = parse(SourceId(0), text);
    let (c, more) = check(&p, &Env::default(), &catalogue());
    d.extend(more);
    (p, c, d)
}

fn codes(text: &str) -> Vec<&'static str> {
    checked(text).2.iter().map(|d| d.code.id()).collect()
}

const PRELUDE: &str = "\
set plants = {\"seattle\", \"san-diego\"}
set markets = {\"new-york\", \"chicago\", \"topeka\"}
set T = 0..N0
param cost: Real[plants, markets]
param capacity: Real[plants]
param need: Real[markets]
param A: Matrix[m, n]
param B: Matrix[n, k]
param b: Vector[m]
param u: Vector[n]
param v: Vector[n]
param N: Int = 5
param flag: Bool = true
param note: Text = \"x\"
fn sq(x: Real) -> Real = x^2
fn head(x: Vector[q]) -> Vector[q-1] = x[1..q-1]
";

fn with_prelude(line: &str) -> String {
    format!("param N0: Int = 9\n{PRELUDE}{line}")
}

/// The type of the value of `let y = TEXT`.
fn ty(text: &str) -> String {
    let (p, c, d) = checked(&with_prelude(&format!("let y = {text}")));
    let e: Vec<_> = d.iter().filter(|d| d.is_error()).collect();
    assert!(e.is_empty(), "{text}: {e:?}");
    match &p.statements.last().unwrap().kind {
        StmtKind::Let(l) => c.ty(l.value.id).unwrap().describe(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn types_of_expressions() {
    for (text, want) in [
        ("1", "Int"),
        ("1/2", "Real"),
        ("1.5 + 2", "Real"),
        ("2 < 3", "Bool"),
        ("A", "Matrix[m, n]"),
        ("A'", "Matrix[n, m]"),
        ("A*u", "Vector[m]"),
        ("A*B", "Matrix[m, k]"),
        ("A'*A", "Matrix[n, n]"),
        ("u'*v", "Real"),
        ("u*v'", "Matrix[n, n]"),
        ("b'*A", "transposed Vector[n]"),
        ("b'*A*u", "Real"),
        ("u.*v + 1", "Vector[n]"),
        ("2*u - v/3", "Vector[n]"),
        ("A \\ b", "Vector[n]"),
        ("(A'*A) \\ (A'*b)", "Vector[n]"),
        ("capacity", "Real[plants]"),
        ("cost", "Real[plants, markets]"),
        ("cost*need", "Real[plants]"),
        ("cost'", "Real[markets, plants]"),
        ("capacity'*cost*need", "Real"),
        ("cost[\"seattle\", :]", "Real[markets]"),
        ("sum(p in plants) capacity[p]", "Real"),
        ("[p in plants] capacity[p]^2", "Real[plants]"),
        (
            "[p in plants, j in markets] (capacity[p] + need[j])",
            "Real[plants, markets]",
        ),
        ("[i in 1..m] sum(j in 1..n) A[i, j]", "Vector[m]"),
        ("[t in T] t^2", "Int[0..N0]"),
        ("sum(t in T) t", "Int"),
        ("[i in 1..m] A[i, :]", "Matrix[m, n]"),
        ("u[2..n]", "Vector[n - 1]"),
        ("u[1..n-1] - u[2..n]", "Vector[n - 1]"),
        ("A[:, 1]", "Vector[m]"),
        ("A[1..2, :]", "Matrix[2, n]"),
        ("sum(A)", "Real"),
        ("max(abs(u ./ v - 1))", "Real"),
        ("max(u, v)", "Vector[n]"),
        ("max(u, 0)", "Vector[n]"),
        ("exp(A)", "Matrix[m, n]"),
        ("dot(u, v)", "Real"),
        ("dot(A[1, :], u)", "Real"),
        ("norm(A)", "Real"),
        ("diag(u)", "Matrix[n, n]"),
        ("A*A' + diag(b)", "Matrix[m, m]"),
        ("quad(u, A'*A)", "Real"),
        ("quad(capacity, cost*cost')", "Real"),
        ("trace(A'*A)", "Real"),
        ("ones(3)", "Vector[3]"),
        ("A*ones(n)", "Vector[m]"),
        ("ones(plants)", "Real[plants]"),
        ("zeros(m, n) + A", "Matrix[m, n]"),
        ("eye(n)", "Matrix[n, n]"),
        ("kron(A, B)", "Matrix[m*n, k*n]"),
        ("[1, 2, 3]", "Int[3]"),
        ("[1, 2; 3.5, 4]", "Matrix[2, 2]"),
        ("[1, 2; 3, 4]*[1, 2]", "Int[2]"),
        ("if flag then u else v", "Vector[n]"),
        ("if N > 3 then 1 else 2.5", "Real"),
        ("[i in 1..n] sq(u[i])", "Vector[n]"),
        ("head(u)", "Vector[n - 1]"),
        ("u[N]", "Real"),
        ("N % 2 == 1 and flag", "Bool"),
        ("N + 1", "Int"),
        ("length(plants)", "Int"),
        ("sum(i in 1..n if i % 2 == 0 and u[i] > 0) v[i]", "Real"),
        ("sum(i in 1..n, j in 1..i) A[j, i]", "Real"),
        ("outer(b, u)", "Matrix[m, n]"),
        ("sum(p in plants if p != \"seattle\") capacity[p]", "Real"),
        ("floor(2.5)", "Int"),
        ("-u'", "transposed Vector[n]"),
        ("norm([u[1], v[2]])", "Real"),
        ("(if u[1] > 0 then 1 else 0)", "Int"),
    ] {
        assert_eq!(ty(text), want, "{text}");
    }
}

#[test]
fn each_mistake_has_its_code() {
    for (text, code) in [
        ("capcity", "R0201"),
        ("nrm(u)", "R0201"),
        ("sum(p in plnts) capacity[p]", "R0201"),
        ("u*v", "R0205"),
        ("2*u*v", "R0205"),
        ("A*b", "R0203"),
        ("b*A", "R0203"),
        ("A*A", "R0203"),
        ("cost*capacity", "R0203"),
        ("A \\ u", "R0203"),
        ("u/v", "R0203"),
        ("u^2", "R0203"),
        ("[1, 2; 3]", "R0203"),
        ("dot(u, b)", "R0203"),
        ("quad(b, A'*A)", "R0203"),
        ("u + b", "R0213"),
        ("capacity + need", "R0213"),
        ("u + A", "R0213"),
        ("u + u'", "R0203"),
        ("max(u, b)", "R0213"),
        ("u[1..n-1] + u", "R0213"),
        ("[p in plants, j in markets] cost[j, p]", "R0204"),
        ("[i in 1..m, j in 1..n] A[j, i]", "R0204"),
        ("A[1]", "R0206"),
        ("u[1, 2]", "R0206"),
        ("N[1]", "R0206"),
        ("[p in plants] need[p]", "R0207"),
        ("capacity[1]", "R0207"),
        ("sum(p in plants) u[p]", "R0207"),
        ("capacity[\"boston\"]", "R0304"),
        ("u[0]", "R0306"),
        ("u[n + 1]", "R0306"),
        ("[i in 1..n] u[i + 1]", "R0306"),
        ("u[0..n]", "R0306"),
        ("u[1.5]", "R0202"),
        ("note + 1", "R0202"),
        ("sum(i in N) u[i]", "R0202"),
        ("sum(i in [1, 3]) u[i]", "R0202"),
        ("plants + 1", "R0202"),
        ("[p in plants] p", "R0202"),
        ("1.5 % 2", "R0202"),
        ("if 1 then 2 else 3", "R0202"),
        ("flag and 2", "R0202"),
        ("1..2.5", "R0202"),
        ("sq(u)", "R0202"),
        ("head(A)", "R0202"),
        ("sq(1, 2)", "R0211"),
        ("sq()", "R0211"),
        ("exp(1, 2)", "R0211"),
        ("norm()", "R0211"),
        ("sq(y: 2)", "R0215"),
        ("exp(x: 2)", "R0215"),
        ("trace(u)", "R0210"),
        ("sum(i in 1..n) u[i] + v[i]", "R0212"),
        ("sum(N in 1..3) N", "R0212"),
        ("sum(i in 1..n) sum(i in 1..n) u[i]", "R0212"),
        ("A.x", "R0216"),
        ("N(3)", "R0202"),
        ("read(\"x.csv\")", "R0202"),
        ("{\"a\": 1}", "R0202"),
        ("y + 1", "R0217"),
        ("[A, note]", "R0202"),
        ("[i in 1..n if i > 1] u[i]", "R0190"),
        ("grad(sq, u)", "R0190"),
        ("\"a\" < \"b\"", "R0202"),
    ] {
        let text = with_prelude(&format!("let y = {text}"));
        assert_eq!(codes(&text), [code], "{text}: {:#?}", checked(&text).2);
    }
}

#[test]
fn declarations_and_commands() {
    for (text, want) in [
        ("let a = 1\nlet a = 2", "R0208"),
        ("param p: Real[plant]\nset q = {\"a\"}", ""),
        ("set plants = {\"a\"}\nparam c: Real[plnts]", "R0201"),
        ("var x: Vector[n]", "R0201"),
        ("param x: Flot", "R0201"),
        ("param x: Vector", "R0202"),
        ("param x: Real = [1, 2]", "R0202"),
        ("param x: Int = 1.5", "R0202"),
        ("param x: Vector[3] = [1, 2]", "R0202"),
        ("param x: Vector[n] = [1, 2]\nlet y = x + [1, 2]", ""),
        ("param x: Vector[n] = [1, 2]\nx = [1, 2, 3]", ""),
        ("param x: Real = 2\nx = 3\ny = 4", "R0209"),
        ("let x = 2\nx = 3", "R0209"),
        ("x = 3", "R0209"),
        ("set s = {\"a\", \"a\"}", "R0307"),
        ("set s = {\"a\", 1}", "R0202"),
        ("set s = {1, 3}\nlet y = sum(i in s) i", ""),
        ("set s = {1, 2, 3}\nlet y = sum(i in s) i", ""),
        (
            "set s = {\"a\", \"b\"}\nparam c: Real[s] = {\"a\": 1, \"c\": 2}",
            "R0304",
        ),
        ("set s = {\"a\"}\nparam c: Real[s] = {(\"a\", \"b\"): 1}", "R0206"),
        ("let A = read(\"x.csv\")", "R0202"),
        ("param A = read(\"x.csv\")", "R0202"),
        ("param A: Matrix[m, n] = read(\"x.csv\", column: y)", ""),
        ("param A: Matrix[m, n] = read(\"x.csv\", colunm: y)", "R0215"),
        ("param A: Matrix[m, n] = read(x)", "R0201"),
        ("fn f(x: Real) -> Real = f(x - 1)", "R0217"),
        ("fn f(x: Vector[n]) -> Real = x", "R0202"),
        ("fn f(x: Real) -> Real = x + c", "R0201"),
        ("fn f(x: Real) -> Real = x + c\nlet y = f(2)", "R0201"),
        ("print x", "R0201"),
        ("print later\nlet later = 2", "R0201"),
        ("solve", "R0705"),
        ("solve q", "R0705"),
        ("let q = 1\nsolve q", "R0705"),
        ("inspect", "R0705"),
        ("var x: Real\nminimize x^2\nsolve\nprint x", "R0202"),
        (
            "var x: Real\nminimize x^2\ns = solve\nprint s.x, s.objective, s.status",
            "",
        ),
        ("var x: Real\nminimize x^2\ns = solve\nprint s.y", "R0216"),
        ("var x: Real\nminimize x^2\ns = solve\nprint s", "R0202"),
        ("var x: Real\nminimize x^2\ns = solve\ns = solve", ""),
        ("var x: Real\nminimize x^2\nlet s = 2\ns = solve", "R0208"),
        (
            "var x: Vector[3]\nminimize sumsq(x)\nsubject to\n c[i in 1..2]: x[i] >= 1\ns = solve\nprint s.dual(c), s.dual(c[1]), s.slack(c) + [1, 2]",
            "",
        ),
        (
            "var x: Vector[3]\nminimize sumsq(x)\nsubject to\n c[i in 1..2]: x[i] >= 1\ns = solve\nprint s.dual(d)",
            "R0406",
        ),
        (
            "var x: Real\nminimize x\ns = solve\nprint s.reduced(x), s.value(x + 1)",
            "",
        ),
        ("var x: Vector[3]\nminimize x", "R0404"),
        ("var x: Real\nminimize x\nmaximize x", "R0190"),
        ("var x: Real\nminimize x\nsubject to\n x > 1", "R0401"),
        ("var x: Real > 0\nminimize x", "R0401"),
        ("var x: Real\nminimize x\nsubject to\n x != 1", "R0402"),
        ("var x: Real\nminimize x\nsubject to\n x + 1", "R0402"),
        ("var x: Real\nminimize x\nsubject to\n 0 <= x <= 1 <= 2", "R0402"),
        ("var x: Real\nminimize x\nsubject to\n c: x <= 1\n c: x >= 0", "R0208"),
        ("var x: Real\nminimize x\nsubject to\n x: x <= 1", "R0208"),
        ("var x: Real\nminimize x\nsubject to\n 1 <= 2", "R0405"),
        ("var x: Real\nminimize x\nsubject to\n x = 3", "R0209"),
        ("var x: Vector[3]\nminimize sum(i in 1..3 if x[i] > 0) x[i]", "R0214"),
        ("var x: Vector[3]\nvar k: Int\nminimize x[k]", "R0202"),
        ("var x: Vector[3] >= [1, 2]\nminimize sum(x)", "R0202"),
        ("var x: Vector[3] from [1, 2]\nminimize sum(x)", "R0706"),
        ("var x: Real\nvar y: Real >= x\nminimize y", "R0202"),
        ("problem p { var x: Real; var y: Real; minimize x }", "R0407"),
        ("param x: Real\nproblem p { var x: Real; minimize x }", "R0208"),
        ("problem p { var x: Real; minimize x; x = 3 }", "R0209"),
        (
            "problem p(k: Int) { var x: Vector[k]; minimize sum(x) }\nsolve p(3)",
            "",
        ),
        (
            "problem p(k: Int) { var x: Vector[k]; minimize sum(x) }\nsolve p",
            "R0211",
        ),
        (
            "problem p(k: Int) { var x: Vector[k]; minimize sum(x) }\nsolve p(1.5)",
            "R0202",
        ),
        ("problem p { var x: Real; minimize x }\nsolve p from z = 2", "R0706"),
        (
            "problem p { var x: Real; minimize x }\nsolve p from x = [1, 2]",
            "R0706",
        ),
        ("problem p { var x: Real; minimize x }\nsolve p from 3", "R0706"),
        (
            "problem p { var x: Real; minimize x + oops }\nsolve p\nprint 1",
            "R0201",
        ),
        ("problem p { var x: Real; minimize x }\nprint p", "R0202"),
        ("minimize (1 - x)^2 + 100*(y - x^2)^2 from x = -1.2, y = 1", ""),
        ("minimize sumsq(x - 1) from x = [1, 2]", ""),
        ("minimize z^2 from x = 1", "R0201"),
        ("assert 1 + 1 == 2 within 1e-8", ""),
        ("assert 1 + 1", "R0202"),
        ("seed 1.5", "R0202"),
    ] {
        let got: Vec<_> = codes(text);
        let want: Vec<&str> = if want.is_empty() { vec![] } else { vec![want] };
        assert_eq!(got, want, "{text}: {:#?}", checked(text).2);
    }
}

#[test]
fn sessions_build_on_earlier_texts() {
    let cat = catalogue();
    let (p, _) = parse(
        SourceId(0),
        "param x: Vector[n] = [1, 2]\nproblem p { var w: Vector[n]; minimize sumsq(w - x) }",
    );
    let (c, d) = check(&p, &Env::default(), &cat);
    assert!(d.is_empty(), "{d:?}");
    let (p, _) = parse(SourceId(1), "s = solve p\nprint s.w + x\nlet x = 3");
    let (_, d) = check(&p, &c.env, &cat);
    assert!(d.is_empty(), "a later text may declare a name again: {d:?}");
}

fn programs(folder: &str) -> Vec<(String, String)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(entries) = std::fs::read_dir(folder) else {
        return vec![];
    };
    let mut out: Vec<(String, String)> = entries
        .filter_map(|e| {
            let p = e.unwrap().path();
            (p.extension().is_some_and(|x| x == "opt"))
                .then(|| (p.display().to_string(), std::fs::read_to_string(&p).unwrap()))
        })
        .collect();
    out.sort();
    out
}

#[test]
fn examples_check_without_data() {
    let all = programs("examples");
    assert!(all.len() >= 12);
    for (name, text) in all {
        // Methods of the language come from the session.
        let (_, _, d) = super::harness::session(&super::harness::root()).check(&name, &text);
        assert!(d.is_empty(), "{name}: {d:#?}");
    }
}

#[test]
fn reference_programs_have_no_mistake_but_what_is_not_built() {
    let mut wrong = vec![];
    for (name, text) in programs("../shared/design/programs") {
        // Methods of the language come from the session.
        for d in super::harness::session(&super::harness::root()).check(&name, &text).2 {
            if !matches!(d.code.id(), "R0190" | "R0701") {
                wrong.push(format!("{name}: {} {}", d.code.id(), d.message));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Numbers in a fixed order that look random.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// Where words, numbers and signs begin and end.
fn tokens(text: &str) -> Vec<(usize, usize)> {
    let mut out: Vec<(usize, usize)> = vec![];
    let word = |c: char| c == '_' || c.is_alphanumeric();
    let mut last: Option<char> = None;
    for (i, c) in text.char_indices() {
        match out.last_mut() {
            Some(t) if word(c) && last.is_some_and(word) => t.1 = i + c.len_utf8(),
            _ if c == ' ' => {}
            _ => out.push((i, i + c.len_utf8())),
        }
        last = Some(c);
    }
    out
}

#[test]
fn mutated_programs_are_answered() {
    let mut all = programs("examples");
    all.extend(programs("../shared/design/programs"));
    let (mut draw, mut variants, mut refused) = (Draw(7), 0, 0);
    for (name, text) in &all {
        let spans = tokens(text);
        for k in 0..200 {
            let mut t = text.clone();
            for _ in 0..=draw.below(3) {
                let (a, b) = spans[draw.below(spans.len())];
                let (c, d) = spans[draw.below(spans.len())];
                if b > t.len() || d > t.len() || !t.is_char_boundary(a) || !t.is_char_boundary(b) {
                    continue;
                }
                match k % 4 {
                    0 => t.replace_range(a..b, ""),
                    1 => t.insert_str(a, &text[a..b].repeat(2)),
                    2 => t.replace_range(a..b, &text[c..d]),
                    _ => {
                        let mut bytes = t.into_bytes();
                        let n = bytes.len();
                        bytes[draw.below(n)] = draw.below(256) as u8;
                        t = String::from_utf8_lossy(&bytes).into_owned();
                    }
                }
            }
            let (_, _, found) = checked(&t);
            variants += 1;
            refused += usize::from(found.iter().any(Diagnostic::is_error));
            for d in &found {
                for l in &d.labels {
                    let (a, b) = (l.span.start as usize, l.span.end as usize);
                    assert!(t.get(a..b).is_some(), "{name}: {d:?} in\n{t}");
                }
            }
        }
    }
    assert_eq!(variants, 200 * all.len());
    // Most mutations are mistakes, and some are not: both ways are taken.
    assert!(refused > variants / 2 && refused < variants, "{refused} of {variants}");
}

#[test]
fn a_megabyte_is_checked() {
    let n = 30_000;
    let many = |f: &dyn Fn(usize) -> String| (0..n).map(f).collect::<String>();
    let set = format!("set s = {{{}\"z\"}}\n", many(&|k| format!("\"label{k}\", ")));
    let array = format!(
        "param p: Real[s] = {{{}\"z\": 1}}\n",
        many(&|k| format!("\"label{k}\": {k}, "))
    );
    for (what, text, errors) in [
        ("lets", many(&|k| format!("let a{k} = {k}\n")), 0),
        ("unknown names", many(&|k| format!("let a{k} = b{k}\n")), 100),
        ("labels", set + &array, 0),
        (
            "a chain of names",
            format!(
                "{}let y = {}1\n",
                many(&|k| format!("param a{k}: Int = 1\n")),
                many(&|k| format!("a{k} + "))
            ),
            0,
        ),
        (
            "solves",
            format!(
                "{}minimize a0\n{}",
                many(&|k| format!("var a{k}: Real\n")),
                "solve\n".repeat(n)
            ),
            0,
        ),
        (
            "one problem",
            format!(
                "problem p {{\n{}minimize {}0\n}}\n",
                many(&|k| format!("var a{k}: Real\n")),
                many(&|k| format!("a{k} + "))
            ),
            0,
        ),
        (
            "constraints",
            format!(
                "var x: Real\nminimize x\nsubject to\n{}",
                many(&|k| format!("c{k}: x >= {k}\n"))
            ),
            0,
        ),
        ("duplicates", "let a = 1\n".repeat(n), 100),
        (
            "a long product",
            format!("param a: Matrix[n, n]\nlet y = {}a\n", "a*".repeat(n)),
            0,
        ),
    ] {
        let (_, _, d) = checked(&text);
        assert_eq!(d.len(), errors, "{what}: {:?}", d.first());
    }
}
