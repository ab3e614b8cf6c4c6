//! `use` and `write`: names of another file, values into files, and what can go wrong with either.

use std::fs;
use std::path::Path;

use super::harness::{Ran, run, session};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    dir
}

fn ran(dir: &Path, text: &str) -> Ran {
    run(&mut session(dir), "main.opt", text)
}

fn codes(r: &Ran) -> Vec<&'static str> {
    let mut c: Vec<&str> = r.codes.iter().map(|c| c.id()).collect();
    c.dedup();
    c
}

#[test]
fn a_used_file_brings_its_names_and_its_files() {
    let dir = folder(&[
        (
            "lib/model.opt",
            "use \"base.opt\"\nparam c: Real[I] = read(\"c.csv\")\nproblem p {\n var x: Real[I] in [0, 1]\n minimize dot(c, x)\n}\nsolve p\nprint I\n",
        ),
        (
            "lib/base.opt",
            "## Shared.\nset I = {\"a\", \"b\"}\nfn twice(x: Real) -> Real = 2*x\n",
        ),
        ("lib/c.csv", "a,-1\nb,3\n"),
    ]);
    let r = ran(
        dir.path(),
        "use \"lib/model.opt\"\nuse \"lib/base.opt\"\ns = solve p\nprint s.objective, twice(4), I\n",
    );
    assert_eq!(codes(&r), [""; 0], "{}", r.shown);
    assert!(
        r.shown.contains("s.objective = -1\n") && r.shown.contains("twice(4) = 8\n"),
        "{}",
        r.shown
    );
    assert_eq!(
        r.shown.matches("p: optimal").count(),
        1,
        "commands of a used file are its own: {}",
        r.shown
    );
}

#[test]
fn a_used_file_brings_its_optimizers() {
    let dir = folder(&[(
        "opts.opt",
        "transform half() {\n step t {\n u <- u/2\n }\n}\noptimizer own(lr: Real) {\n step t {\n x <- x - lr*grad(x)\n }\n}\n\
         pipeline both(lr: Real) = half() |> own(lr) for 3 steps\n",
    )]);
    let r = ran(
        dir.path(),
        "use \"opts.opt\"\nproblem p {\n var x: Real from 8\n minimize x^2/2\n}\ns = solve p with both(1)\nprint s.x\n",
    );
    assert_eq!(codes(&r), [""; 0], "{}", r.shown);
    assert!(r.shown.contains("s.x = 1\n"), "{}", r.shown);
}

#[test]
fn what_cannot_be_used_is_said() {
    let dir = folder(&[
        ("a.opt", "use \"b.opt\"\nset A = 1..2\n"),
        ("b.opt", "use \"a.opt\"\nset B = 1..2\n"),
        ("one.opt", "param k = 1\n"),
        ("two.opt", "param k = 2\n"),
        ("bare.opt", "var x: Real\nminimize x^2\n"),
        ("wrong.opt", "param k = nope\n"),
        ("self.opt", "use \"self.opt\"\n"),
    ]);
    for (text, want) in [
        ("use \"a.opt\"", "R0610"),
        ("use \"self.opt\"", "R0610"),
        ("use \"main.opt\"", "R0601"),
        ("use \"none.opt\"", "R0601"),
        ("use \"one.opt\"\nuse \"two.opt\"", "R0208"),
        ("use \"one.opt\"\nparam k = 3", "R0208"),
        ("use \"bare.opt\"", "R0101"),
        ("use \"wrong.opt\"\nprint k", "R0201"),
        ("use one", "R0101"),
        ("problem p { use \"one.opt\" }", "R0101"),
    ] {
        let r = ran(dir.path(), text);
        assert_eq!(codes(&r), [want], "{text}\n{}", r.shown);
    }
    // A cell that failed has brought nothing; one that is run again brings nothing twice.
    let mut s = session(dir.path());
    assert_eq!(codes(&run(&mut s, "c1", "use \"one.opt\"\nprint m")), ["R0201"]);
    let r = run(&mut s, "c2", "use \"one.opt\"\nprint k");
    assert!(codes(&r).is_empty() && r.shown.contains("k = 1"), "{}", r.shown);
    assert!(codes(&run(&mut s, "c2", "use \"one.opt\"\nprint k")).is_empty());
    fs::write(dir.path().join("one.opt"), "param k = 7\n").expect("written");
    let r = run(&mut s, "c2", "use \"one.opt\"\nprint k");
    assert!(codes(&r).is_empty() && r.shown.contains("k = 7"), "{}", r.shown);
}

#[test]
fn values_are_written_whole_and_read_back() {
    let dir = folder(&[]);
    let text = "
set P = {\"a\", \"b\"}
set A in P*P = {(\"a\", \"b\"), (\"b\", \"a\")}
param c: Real[A] = {(\"a\", \"b\"): 1.25, (\"b\", \"a\"): 1e-17}
let M = [1, 2; 3, 4]
write c to \"c.csv\"
write c to \"c.json\"
write c to \"c.csv.gz\"
write M to \"m.npy\"
write M to \"m.mtx\"
write A to \"a.csv\"
write 1/3 to \"third.json\"
param d: Real[A] = read(\"c.csv\")
param e: Real[A] = read(\"c.json\")
param f: Real[A] = read(\"c.csv.gz\")
param N: Matrix[2, 2] = read(\"m.npy\")
param O: Matrix[2, 2] = read(\"m.mtx\")
set B in P*P = read(\"a.csv\")
param third: Real = read(\"third.json\")
print max(abs(c - d)) + max(abs(c - e)) + max(abs(c - f)) + norm(M - N) + norm(M - O), third == 1/3, B
";
    let r = ran(dir.path(), text);
    assert!(codes(&r).is_empty(), "{}", r.shown);
    assert!(
        r.shown.contains(" = 0\n") && r.shown.contains("third == 1/3 = true"),
        "{}",
        r.shown
    );
    assert!(r.shown.contains("B = {(a, b), (b, a)}"), "{}", r.shown);
    assert_eq!(
        fs::read_to_string(dir.path().join("c.csv")).expect("written"),
        "P,P_2,value\na,b,1.25\nb,a,1e-17\n"
    );
    // The same values give the same bytes, and nothing is left beside the files.
    let before = fs::read(dir.path().join("c.csv.gz")).expect("written");
    assert!(codes(&ran(dir.path(), text)).is_empty());
    assert_eq!(before, fs::read(dir.path().join("c.csv.gz")).expect("written"));
    let count = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(count, 7, "no part is left over");
}

#[test]
fn what_cannot_be_written_is_said() {
    let dir = folder(&[("taken/x.csv", "old\n")]);
    const HEAD: &str = "let w = [1, 2]\nproblem p {\n var x: Real >= 1\n minimize x\n}\nset P = {\"a\"}\n";
    for (text, want) in [
        ("write w to \"no/such/folder/w.csv\"", "R0607"),
        ("write w to \"taken\"", "R0606"),
        ("write w to \"w\"", "R0606"),
        ("write w to \"w.xlsx\"", "R0606"),
        ("write w to \"w.npz\"", "R0606"),
        ("write [1, inf] to \"w.csv\"", "R0607"),
        ("write P to \"p.npy\"", "R0606"),
        ("write w to w", "R0202"),
        ("write w \"w.csv\"", "R0101"),
        ("write p to \"p.mps\"", "R0190"),
        ("s = solve p\nwrite s to \"s.json\"", "R0202"),
        ("write nope to \"n.csv\"", "R0201"),
    ] {
        let r = ran(dir.path(), &format!("{HEAD}{text}\n"));
        assert_eq!(codes(&r), [want], "{text}\n{}", r.shown);
    }
    // A folder where the file should be.
    fs::create_dir(dir.path().join("d.csv")).expect("made");
    let r = ran(dir.path(), "let w = [1, 2]\nwrite w to \"d.csv\"");
    assert_eq!(codes(&r), ["R0607"], "{}", r.shown);
    let names: Vec<String> = fs::read_dir(dir.path())
        .expect("a folder")
        .flatten()
        .map(|e| e.file_name().to_string_lossy().into_owned())
        .collect();
    assert!(names.iter().all(|n| !n.ends_with(".part")), "{names:?}");
}

#[test]
fn tables_are_columns() {
    let dir = folder(&[
        (
            "t.csv",
            "city,price,\"unit cost\",note\nparis,3,1,x\nrome,4,2,\nparis,8,3,y\n",
        ),
        (
            "t.json",
            "[{\"city\": \"rome\", \"price\": 2}, {\"city\": \"paris\", \"price\": 5}]",
        ),
        ("twice.csv", "a,a\n1,2\n"),
    ]);
    const HEAD: &str = "param t: Table = read(\"t.csv\")\n";
    let r = ran(
        dir.path(),
        &format!(
            "{HEAD}set cities = t.city\nset rows = 1..length(t)\nset dear in rows = {{i in rows if t.price[i] > 3}}\n\
            print cities, length(t), sum(t.price), t[\"unit cost\"], t.price[dear], standardize(t.price)\n\
            param u: Table = read(\"t.json\")\nprint dot(u.price, [1, 10])\nwrite t to \"out.csv\"\n"
        ),
    );
    assert!(codes(&r).is_empty(), "{}", r.shown);
    for want in [
        "cities = {paris, rome}",
        "length(t) = 3",
        "sum(t.price) = 15",
        "t[\"unit cost\"] = [1, 2, 3]",
        "standardize(t.price) = [-0.92582, -0.46291, 1.3887]",
        "= 52",
    ] {
        assert!(r.shown.contains(want), "{want}\n{}", r.shown);
    }
    assert_eq!(
        fs::read_to_string(dir.path().join("out.csv")).expect("written"),
        "city,price,unit cost,note\nparis,3,1,x\nrome,4,2,\nparis,8,3,y\n"
    );
    for (text, want) in [
        ("print t.prise", "R0604"),
        ("print sum(t.city)", "R0603"),
        ("print t + 1", "R0202"),
        ("print t[1]", "R0202"),
        ("set s = t.nope", "R0604"),
        ("param u: Table", "R0202"),
        ("param u: Table = 3", "R0202"),
        ("param u: Table[3] = read(\"t.csv\")", "R0202"),
        ("param u: Table >= 0 = read(\"t.csv\")", "R0202"),
        ("var u: Table\nminimize 1", "R0202"),
        ("param u: Table = read(\"no.csv\")", "R0601"),
        ("param u: Table = read(\"twice.csv\")\nprint u.a", "R0604"),
        ("param u: Table = read(\"t.csv\", column: price)", "R0215"),
        ("print t.price[4]", "R0306"),
    ] {
        let r = ran(dir.path(), &format!("{HEAD}{text}\n"));
        assert_eq!(codes(&r), [want], "{text}\n{}", r.shown);
    }
}
