//! Data files: values of good ones, and for every hostile one the code and the place that the message names.

use std::io::Write;
use std::sync::Arc;

use ravine::base::value::{IndexSet, LabelSet, ListedSet, Storage, Tensor};
use ravine::base::{Code, Diagnostic};
use ravine::io::{self, Columns, Format, Input, Request};
use ravine::session::files;

fn labels(name: &str, labels: &[&str]) -> IndexSet {
    IndexSet::Labels(Arc::new(LabelSet {
        name: name.into(),
        labels: labels.iter().map(|s| s.to_string()).collect(),
    }))
}

fn input<'a>(name: &'a str, text: &'a str) -> Input<'a> {
    Input::new(name, text.as_bytes())
}

/// The diagnostic has this code and its message holds every one of these pieces.
#[track_caller]
fn expect<T: std::fmt::Debug>(result: Result<T, Diagnostic>, code: Code, pieces: &[&str]) {
    let d = result.expect_err("an error was expected");
    assert_eq!(d.code, code, "{}", d.message);
    let all = format!(
        "{} {} {}",
        d.message,
        d.notes.join(" "),
        d.helps.iter().map(|h| h.text.as_str()).collect::<Vec<_>>().join(" ")
    );
    for p in pieces {
        assert!(all.contains(p), "`{p}` is not in: {all}");
    }
}

#[test]
fn columns_by_name() {
    for text in [
        "x,y\n1,2\n3,4.5\n",
        "\u{feff}x,y\r\n1,2\r\n3,4.5",
        "x;y\n1;2\n3;4.5\n",
        "x\ty\n1\t2\n\n3\t4.5\n\n\n",
        "\"x\", \"y\"\n\"1\", 2 \n3,\"4.5\"\n",
        "x,y\r1,2\r3,4.5\r",
    ] {
        assert_eq!(io::read_column(&input("t.csv", text), "y").expect(text), [2.0, 4.5]);
        assert_eq!(
            io::read_plain(&input("t.csv", text)).expect(text).data,
            [1.0, 2.0, 3.0, 4.5]
        );
    }
    let t = io::read_columns(
        &input("t.csv", "a,b,c\n1,2,3\n4,5,6\n"),
        &Columns::AllExcept(vec!["b".into()]),
    )
    .expect("read");
    assert_eq!((t.names.join("+"), t.rows, t.cols), ("a+c".into(), 2, 2));
    assert_eq!(t.data, [1.0, 3.0, 4.0, 6.0]);
    let names = Columns::Names(vec!["c".into(), "a".into()]);
    let t =
        io::read_columns(&input("t.csv", "a,b,c\n1,x,3\n4,,6\n"), &names).expect("columns not asked for are not read");
    assert_eq!(t.data, [3.0, 1.0, 6.0, 4.0]);
    let t = io::read_plain(&input("t.csv", "1,2\n3,4\n5,6")).expect("no header");
    assert_eq!((t.rows, t.cols, t.data), (3, 2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]));
    assert_eq!(
        io::read_column(&input("t.csv", "y\n"), "y").expect("no rows"),
        [] as [f64; 0]
    );
}

#[test]
fn hostile_tables() {
    use Code::{BadNumberInFile, BadTable, NoSuchColumn};
    let cases: &[(&str, Code, &[&str])] = &[
        ("", BadTable, &["t.csv", "empty"]),
        ("\u{feff}", BadTable, &["t.csv", "empty"]),
        ("\n\n\n", BadTable, &["t.csv", "empty"]),
        ("x,y\n1,2\n3\n", BadTable, &["line 3", "1 field where line 1 has 2"]),
        ("x,y\n1,2\n\n3,4,5\n", BadTable, &["line 4", "3 fields"]),
        ("x,y\n1,2\n3,\"4\n5,6\n", BadTable, &["line 3", "never closed"]),
        (
            "x,y\n\"a\n\nb\",2\n3,q\n",
            BadNumberInFile,
            &["line 5", "column `y`", "`q`"],
        ),
        (
            "x,y\n1,abc\n",
            BadNumberInFile,
            &["t.csv", "line 2", "column `y`", "`abc`"],
        ),
        ("x,y\n1,2\n1,nan\n", BadNumberInFile, &["line 3", "column `y`", "`nan`"]),
        (
            "x,y\n1,2\r\n1,-Infinity\r\n",
            BadNumberInFile,
            &["line 3", "not a finite number"],
        ),
        ("x,y\n1,1e999\n", BadNumberInFile, &["line 2", "not a finite number"]),
        ("x,y\n1,\n", BadNumberInFile, &["line 2", "column `y`", "empty"]),
        ("x,y\n1,NA\n", BadNumberInFile, &["line 2", "missing value"]),
        (
            "x;y\n1;2,5\n",
            BadNumberInFile,
            &["line 2", "decimals are written with a point"],
        ),
        ("y\n1\n\n2\n", BadNumberInFile, &["line 3", "empty"]),
        ("x,yy\n1,2\n", NoSuchColumn, &["no column `y`", "did you mean `yy`"]),
        ("cost,demand\n1,2\n", NoSuchColumn, &["`cost`, `demand`"]),
        ("1,2\n3,4\n", NoSuchColumn, &["no header"]),
        ("y,y\n3,4\n", NoSuchColumn, &["several columns named `y`"]),
    ];
    for (text, code, pieces) in cases {
        expect(io::read_column(&input("t.csv", text), "y"), *code, pieces);
    }
    let latin = Input::new("t.csv", b"x,y\n1,2\n3,\xe9\n");
    expect(io::read_column(&latin, "y"), BadTable, &["line 3", "not UTF-8"]);
    let utf16 = Input::new("t.csv", b"\xff\xfex\0,\0y\0\n\0");
    expect(io::read_column(&utf16, "y"), BadTable, &["line 1", "UTF-16"]);
    expect(
        io::read_plain(&input("t.csv", "1,inf\n2,3\n")),
        BadNumberInFile,
        &["line 1", "column 2"],
    );
    let all = Columns::AllExcept(vec!["x".into()]);
    expect(
        io::read_columns(&input("t.csv", "x\n1\n"), &all),
        BadTable,
        &["no column left"],
    );
    let many = "y\n".to_string() + &"1\n".repeat(3000);
    let small = Input {
        budget: 20_000,
        ..input("t.csv", &many)
    };
    expect(
        io::read_column(&small, "y"),
        Code::TooLarge,
        &["t.csv", "memory budget is 20 KB"],
    );
    // An unclosed quote inside an unquoted field is a plain character.
    assert_eq!(
        io::read_column(&input("t.csv", "x,y\n5\" pipe,2"), "y").expect("literal quote"),
        [2.0]
    );
}

#[test]
fn labels_match_by_name_and_not_by_place() {
    let plants = labels("plants", &["seattle", "san-diego"]);
    let markets = labels("markets", &["new-york", "chicago", "topeka"]);
    let wide = "plant,topeka,new-york,chicago\nsan-diego,1,2,3\nseattle,4,5,6\n";
    let sets = [plants.clone(), markets.clone()];
    let want = [5.0, 6.0, 4.0, 2.0, 3.0, 1.0];
    assert_eq!(
        io::read_labelled(&input("c.csv", wide), &sets, None, None).expect("wide"),
        want
    );
    let long = "from,to,cost\nseattle,topeka,4\nseattle,new-york,5\nseattle,chicago,6\nsan-diego,topeka,1\nsan-diego,new-york,2\nsan-diego,chicago,3\n";
    assert_eq!(
        io::read_labelled(&input("c.csv", long), &sets, None, None).expect("long"),
        want
    );
    let headless = long.split_once('\n').expect("a header").1;
    assert_eq!(
        io::read_labelled(&input("c.csv", headless), &sets, None, None).expect("no header"),
        want
    );
    assert_eq!(
        io::read_labelled(&input("c.csv", long), &sets, Some("cost"), None).expect("by column"),
        want
    );
    let one = [plants.clone()];
    for text in [
        "plant,capacity\nsan-diego,600\nseattle,350\n",
        "san-diego,600\nseattle,350\n",
    ] {
        assert_eq!(
            io::read_labelled(&input("p.csv", text), &one, None, None).expect(text),
            [350.0, 600.0]
        );
    }
    let several = "city,plants,capacity\nx,san-diego,600\ny,seattle,350\n";
    let found = io::read_labelled(&input("p.csv", several), &one, Some("capacity"), None);
    assert_eq!(
        found.expect("the column named like the set holds the labels"),
        [350.0, 600.0]
    );
    let sparse =
        io::read_labelled(&input("c.csv", "a,b,v\nseattle,topeka,4\n"), &sets, None, Some(0.0)).expect("default");
    assert_eq!(sparse, [0.0, 0.0, 4.0, 0.0, 0.0, 0.0]);
    let years = [plants, IndexSet::Range { lo: 2020, len: 2 }];
    let table = "plant,2021,2020\nseattle,1,2\nsan-diego,3,4\n";
    assert_eq!(
        io::read_labelled(&input("y.csv", table), &years, None, None).expect("years"),
        [2.0, 1.0, 4.0, 3.0]
    );
    let arcs = io::read_tuples(&input("a.csv", "p,m\nseattle,topeka\nsan-diego,chicago\n"), &sets).expect("tuples");
    assert_eq!(arcs, [vec![0, 2], vec![1, 1]]);
    let names = io::read_labels(&input("p.csv", "name,x\n b ,1\na,2\n"), Some("name")).expect("labels");
    assert_eq!(names, ["b", "a"]);
}

#[test]
fn hostile_labels() {
    let plants = labels("plants", &["seattle", "san-diego"]);
    let markets = labels("markets", &["new-york", "chicago"]);
    let two = [plants.clone(), markets];
    let one = [plants];
    let cases: &[(&[IndexSet], &str, Code, &[&str])] = &[
        (
            &two,
            "p,new-york,chicago\nseattle,1,2\n",
            Code::MissingLabel,
            &["no row for `san-diego` of `plants`"],
        ),
        (
            &two,
            "p,new-york\nseattle,1\nsan-diego,2\n",
            Code::MissingLabel,
            &["no column for `chicago`"],
        ),
        (
            &two,
            "p,new-york,chicagoo\n",
            Code::UnknownLabel,
            &["line 1", "`chicagoo`", "`markets`", "did you mean `chicago`"],
        ),
        (
            &two,
            "p,new-york,chicago\nseatle,1,2\n",
            Code::UnknownLabel,
            &["line 2", "`seatle`", "`plants`", "`seattle`"],
        ),
        (
            &two,
            "p,chicago,chicago\n",
            Code::DuplicateLabel,
            &["line 1", "`chicago`"],
        ),
        (
            &two,
            "p,new-york,chicago\nseattle,1,2\nseattle,3,4\n",
            Code::DuplicateLabel,
            &["line 3", "(seattle, new-york)", "line 2"],
        ),
        (
            &two,
            "p,new-york,chicago\nseattle,1,x\n",
            Code::BadNumberInFile,
            &["line 2", "column `chicago`", "`x`"],
        ),
        (
            &two,
            "m,seattle,san-diego\nchicago,1,2\n",
            Code::UnknownLabel,
            &["other way round", "[markets, plants]"],
        ),
        (
            &two,
            "a,b,v\nseattle,chicago,1\nseattle,chicago,2\n",
            Code::DuplicateLabel,
            &["line 3", "line 2"],
        ),
        (
            &two,
            "a,b,v\nseattle,chicago,1\n",
            Code::MissingLabel,
            &["(seattle, new-york)", "`plants * markets`"],
        ),
        (&two, "seattle\n", Code::BadTable, &["1 columns"]),
        (&one, "p,c\nseattle,350\n", Code::MissingLabel, &["`san-diego`"]),
        (
            &one,
            "p,c\nseattle,350\nboston,1\n",
            Code::UnknownLabel,
            &["line 3", "`boston`"],
        ),
        (
            &one,
            "p,c\nseattle,350\nsan-diego,nan\n",
            Code::BadNumberInFile,
            &["line 3", "column `c`"],
        ),
        (&one, "p,c,d\nseattle,350,1\n", Code::BadTable, &["column: \"d\""]),
    ];
    for (sets, text, code, pieces) in cases {
        expect(
            io::read_labelled(&input("d.csv", text), sets, None, None),
            *code,
            pieces,
        );
    }
    expect(
        io::read_labels(&input("p.csv", "name\na\nb\na\n"), None),
        Code::DuplicateLabel,
        &["line 4", "line 2"],
    );
    expect(
        io::read_labels(&input("p.csv", "name,x\na,1\n,2\n"), None),
        Code::BadTable,
        &["line 3", "empty"],
    );
    expect(
        io::read_labels(&input("p.csv", "nam\na\n"), Some("name")),
        Code::NoSuchColumn,
        &["`nam`"],
    );
    let huge = [IndexSet::upto(1 << 40), one[0].clone()];
    expect(
        io::read_labelled(&input("h.csv", "a,b,c\n"), &huge, None, None),
        Code::TooLarge,
        &["TB"],
    );
}

fn market(text: &str) -> (Vec<usize>, Vec<f64>) {
    let t = io::read_matrix_market(&input("a.mtx", text)).expect(text);
    (t.shape(), t.to_dense())
}

#[test]
fn matrix_market() {
    let t = io::read_matrix_market(&input(
        "a.mtx",
        "%%MatrixMarket matrix coordinate real general\n% a comment\n\n2 3 3\n2 3 4.5\n1 2 -1e0\n1 1 2\n",
    ))
    .expect("coordinate");
    let Storage::Sparse(s) = &t.storage else {
        panic!("coordinate files stay sparse")
    };
    assert_eq!(
        (&s.indptr[..], &s.indices[..], &s.values[..]),
        (&[0, 2, 3][..], &[0, 1, 2][..], &[2.0, -1.0, 4.5][..])
    );
    let cases: &[(&str, &[usize], &[f64])] = &[
        (
            "%%MatrixMarket matrix array real general\n2 3\n1\n2\n3\n4\n5\n6\n",
            &[2, 3],
            &[1.0, 3.0, 5.0, 2.0, 4.0, 6.0],
        ),
        (
            "%%matrixmarket MATRIX Array Integer Symmetric\r\n2 2\r\n1\r\n2\r\n3",
            &[2, 2],
            &[1.0, 2.0, 2.0, 3.0],
        ),
        (
            "%%MatrixMarket matrix array real skew-symmetric\n3 3\n1\n2\n3\n",
            &[3, 3],
            &[0.0, -1.0, -2.0, 1.0, 0.0, -3.0, 2.0, 3.0, 0.0],
        ),
        (
            "%%MatrixMarket matrix coordinate pattern symmetric\n2 2 2\n1 1\n2 1\n",
            &[2, 2],
            &[1.0, 1.0, 1.0, 0.0],
        ),
        (
            "%%MatrixMarket matrix coordinate real skew-symmetric\n2 2 1\n2 1 5\n",
            &[2, 2],
            &[0.0, -5.0, 5.0, 0.0],
        ),
        ("%%MatrixMarket matrix coordinate real general\n0 0 0\n", &[0, 0], &[]),
        (
            "%%MatrixMarket matrix array real general\n3 1\n1\n2\n3\n",
            &[3, 1],
            &[1.0, 2.0, 3.0],
        ),
    ];
    for (text, shape, data) in cases {
        assert_eq!(market(text), (shape.to_vec(), data.to_vec()), "{text}");
    }
    let read = |text, rank| io::read(&input("a.mtx", text), &Request::default(), &vec![None; rank]);
    assert_eq!(read(cases[6].0, 1).expect("a vector").to_dense(), [1.0, 2.0, 3.0]);
    expect(
        read(cases[0].0, 1),
        Code::WrongShapeOfData,
        &["2 by 3", "a vector is wanted"],
    );
}

#[test]
fn hostile_matrix_market() {
    use Code::{BadMatrixMarket, BadNumberInFile, TooLarge};
    let c = "%%MatrixMarket matrix coordinate real general\n";
    let a = "%%MatrixMarket matrix array real general\n";
    let cases: &[(String, Code, &[&str])] = &[
        ("".into(), BadMatrixMarket, &["line 1", "%%MatrixMarket"]),
        ("1 2 3\n".into(), BadMatrixMarket, &["line 1"]),
        ("%%MatrixMarket matrix\n".into(), BadMatrixMarket, &["line 1"]),
        (
            "%%MatrixMarket vector coordinate real general\n".into(),
            BadMatrixMarket,
            &["line 1"],
        ),
        (
            "%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 1\n".into(),
            BadMatrixMarket,
            &["complex"],
        ),
        (
            "%%MatrixMarket matrix array pattern general\n1 1\n".into(),
            BadMatrixMarket,
            &["pattern"],
        ),
        (c.into(), BadMatrixMarket, &["size line"]),
        (format!("{c}2 2\n"), BadMatrixMarket, &["line 2", "size line"]),
        (format!("{c}2 -2 1\n"), BadMatrixMarket, &["line 2", "size line"]),
        (
            format!("{c}2 2 2\n1 1 1\n"),
            BadMatrixMarket,
            &["1 of the 2", "truncated"],
        ),
        (
            format!("{c}2 2 1\n1 1 1\n2 2 1\n"),
            BadMatrixMarket,
            &["line 4", "beyond"],
        ),
        (
            format!("{c}2 2 1\n3 1 1\n"),
            BadMatrixMarket,
            &["line 3", "row 3", "1..2"],
        ),
        (format!("{c}2 2 1\n1 0 1\n"), BadMatrixMarket, &["line 3", "column 0"]),
        (
            format!("{c}2 2 1\n1 1\n"),
            BadMatrixMarket,
            &["line 3", "three numbers"],
        ),
        (
            format!("{c}2 2 1\n1 1 1 1\n"),
            BadMatrixMarket,
            &["line 3", "three numbers"],
        ),
        (
            format!("{c}% c\n2 2 3\n1 1 1\n\n2 1 1\n1 1 2\n"),
            BadMatrixMarket,
            &["line 7", "entry (1, 1)", "line 4"],
        ),
        (format!("{c}2 2 1\n1 1 nan\n"), BadNumberInFile, &["line 3", "`nan`"]),
        (format!("{c}2 2 1\n1 1 1,5\n"), BadNumberInFile, &["line 3", "point"]),
        (
            format!("{a}2 1\n1\ninf\n"),
            BadNumberInFile,
            &["line 4", "not a finite"],
        ),
        (format!("{a}2 2\n1\n2\n3\n"), BadMatrixMarket, &["3 of the 4"]),
        (format!("{a}1 1\n1\n2\n"), BadMatrixMarket, &["line 4", "beyond"]),
        (
            "%%MatrixMarket matrix array real symmetric\n2 3\n".into(),
            BadMatrixMarket,
            &["2 by 3"],
        ),
        (
            "%%MatrixMarket matrix coordinate real symmetric\n2 2 2\n1 2 1\n2 1 1\n".into(),
            BadMatrixMarket,
            &["line 4", "line 3"],
        ),
        (
            "%%MatrixMarket matrix coordinate integer general\n1 1 1\n1 1 1.5\n".into(),
            BadMatrixMarket,
            &["line 3", "integer"],
        ),
        // Size lines that lie: refused by the budget, or by what the bytes at hand can hold.
        (format!("{c}9000000000000 9 1\n1 1 1\n"), TooLarge, &["TB", "--memory"]),
        (format!("{c}9 9 9000000000000\n1 1 1\n"), TooLarge, &["TB"]),
        (
            format!("{c}18446744073709551615 18446744073709551615 18446744073709551615\n"),
            TooLarge,
            &["EB"],
        ),
        (format!("{a}1000000000 1000000000\n1\n"), TooLarge, &["EB"]),
        (
            format!("{a}10000 10000\n1\n2\n"),
            BadMatrixMarket,
            &["2 of the 100000000"],
        ),
        (
            format!("{c}99999999999999999999 1 1\n"),
            BadMatrixMarket,
            &["size line"],
        ),
    ];
    for (text, code, pieces) in cases {
        expect(io::read_matrix_market(&input("a.mtx", text)), *code, pieces);
    }
    let latin = Input::new(
        "a.mtx",
        b"%%MatrixMarket matrix array real general\n% caf\xe9\n1 1\n7\n",
    );
    assert_eq!(
        io::read_matrix_market(&latin)
            .expect("comments may hold anything")
            .to_dense(),
        [7.0]
    );
}

#[test]
fn formats_by_ending() {
    assert_eq!(Format::of("a/b.c/data.CSV.gz").expect("csv"), Format::Csv);
    assert_eq!(Format::of("x.mtx").expect("mtx"), Format::MatrixMarket);
    assert_eq!(Format::of("x.npz.gz").expect("npz"), Format::Npz);
    expect(Format::of("x"), Code::UnknownFormat, &["`x`"]);
    expect(Format::of("x.xlsx.gz"), Code::UnknownFormat, &["x.xlsx.gz"]);
}

/// A xorshift generator; the tests' only source of chance, with a fixed seed.
pub struct Dice(pub u64);

impl Dice {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % n.max(1) as u64) as usize
    }
    /// The bytes with up to eight of them changed, dropped, doubled or swapped for hostile ones.
    pub fn mutate(&mut self, bytes: &[u8]) -> Vec<u8> {
        let hostile = b"\"\n\r,;\t\0\xff%-+e9.1 ";
        let mut out = bytes.to_vec();
        for _ in 0..=self.below(8) {
            if out.is_empty() {
                break;
            }
            let k = self.below(out.len());
            match self.below(5) {
                0 => out[k] = self.below(256) as u8,
                1 => drop(out.remove(k)),
                2 => out.insert(k, out[k]),
                3 => out[k] = hostile[self.below(hostile.len())],
                _ => out.truncate(k),
            }
        }
        out
    }
}

#[test]
fn mutated_files_never_panic_and_always_answer() {
    let plants = labels("plants", &["a", "b"]);
    let markets = labels("markets", &["u", "v"]);
    let files: &[(&str, &str)] = &[
        ("t.csv", "x,y\n1,2\n\"3\",4.5\n"),
        ("t.csv", "p,u,v\na,1,2\nb,3,4\n"),
        ("t.csv", "p,m,c\na,u,1\na,v,2\nb,u,3\nb,v,4\n"),
        (
            "t.mtx",
            "%%MatrixMarket matrix coordinate real symmetric\n% c\n3 3 3\n1 1 2.5\n2 1 -1\n3 3 4\n",
        ),
        (
            "t.mtx",
            "%%MatrixMarket matrix array integer general\n2 2\n1\n2\n3\n4\n",
        ),
        ("t.json", "[[1, 2.5], [-3e2, 4]]"),
        ("t.json", "{\"a\": {\"u\": 1, \"v\": 2}, \"b\": {\"u\": 3, \"v\": 4}}\n"),
        (
            "t.json",
            "[{\"p\": \"a\", \"y\": 1, \"z\": true}, {\"p\": \"b\", \"y\": 2}]",
        ),
        ("t.svm", "+1 1:0.5 4:2 # c\n-1 2:1\n\n1 qid:3 1:7\n"),
    ];
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let (mut good, mut bad) = (0, 0);
    for (name, text) in files {
        for _ in 0..3000 {
            let bytes = dice.mutate(text.as_bytes());
            let file = Input {
                name,
                bytes: &bytes,
                budget: 1 << 20,
            };
            let y = Request {
                column: Some("y".into()),
                columns: None,
                array: None,
            };
            let all = Request {
                column: None,
                columns: Some(Columns::All),
                array: None,
            };
            for (request, sets) in [
                (&y, vec![None]),
                (&all, vec![None, None]),
                (&Request::default(), vec![None, None]),
                (&Request::default(), vec![None]),
                (&Request::default(), vec![Some(plants.clone()), Some(markets.clone())]),
                (&Request::default(), vec![Some(plants.clone())]),
            ] {
                match io::read(&file, request, &sets) {
                    Ok(t) => {
                        assert!(t.to_dense().iter().all(|v| v.is_finite()));
                        assert_eq!(t.to_dense().len(), t.len());
                        good += 1;
                    }
                    Err(d) => {
                        assert!(d.message.contains("t."), "{}", d.message);
                        bad += 1;
                    }
                }
            }
            let _ = io::read_labels(&file, Some("p"));
            let _ = io::read_tuples(&file, &[plants.clone(), markets.clone()]);
            let _ = io::read_columns_of(&file);
        }
    }
    assert!(good > 1000 && bad > 1000, "{good} read, {bad} refused");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("to memory");
    encoder.finish().expect("to memory")
}

#[test]
fn files_are_opened_unpacked_and_hashed() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path();
    let put = |name: &str, bytes: &[u8]| std::fs::write(at.join(name), bytes).expect("written");
    let text = b"x,y\n1,2\n".repeat(500);
    put("t.csv", &text);
    put("t.csv.gz", &gzip(&text));
    // Two members, as `cat a.gz b.gz` makes them.
    put("two.csv.gz", &[gzip(b"x,y\n"), gzip(b"1,2\n")].concat());
    let plain = files::load(at, "t.csv", 1 << 20).expect("plain");
    let packed = files::load(at, "t.csv.gz", 1 << 20).expect("packed");
    assert_eq!((&plain.bytes[..], &packed.bytes[..]), (&text[..], &text[..]));
    assert_eq!(
        files::load(at, "two.csv.gz", 1 << 20).expect("two members").bytes,
        b"x,y\n1,2\n"
    );
    assert_eq!(
        files::hash(b"abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_ne!(plain.sha256, packed.sha256, "the hash is of the file as stored");

    let whole = gzip(&text);
    put("cut.csv.gz", &whole[..whole.len() / 2]);
    put("head.csv.gz", &whole[..5]);
    let mut corrupt = whole.clone();
    corrupt[whole.len() - 6] ^= 0xff;
    put("corrupt.csv.gz", &corrupt);
    put("liar.csv.gz", &text);
    put("bomb.csv.gz", &gzip(&vec![b'1'; 1 << 20]));
    put("empty.csv.gz", b"");
    std::fs::create_dir(at.join("folder.csv")).expect("made");
    put("latin.opt", b"# one\n# caf\xe9\n");
    let load = |name: &str, budget| files::load(at, name, budget);
    expect(
        load("cut.csv.gz", 1 << 20),
        Code::CannotRead,
        &["`cut.csv.gz`", "truncated"],
    );
    expect(load("head.csv.gz", 1 << 20), Code::CannotRead, &["truncated"]);
    expect(load("corrupt.csv.gz", 1 << 20), Code::CannotRead, &["corrupt"]);
    expect(load("liar.csv.gz", 1 << 20), Code::CannotRead, &["not gzip"]);
    expect(load("empty.csv.gz", 1 << 20), Code::CannotRead, &["not gzip"]);
    expect(
        load("bomb.csv.gz", 100_000),
        Code::TooLarge,
        &["`bomb.csv.gz`", "100 KB"],
    );
    expect(load("t.csv", 1000), Code::TooLarge, &["`t.csv`", "memory budget"]);
    expect(
        load("t.cvs", 1 << 20),
        Code::CannotRead,
        &["no such file", "did you mean `t.csv`"],
    );
    expect(
        load("cut.csv", 1 << 20),
        Code::CannotRead,
        &["did you mean `cut.csv.gz`"],
    );
    expect(
        load("sub/zzzzzz.csv", 1 << 20),
        Code::CannotRead,
        &["no such file", "program's folder"],
    );
    expect(load("folder.csv", 1 << 20), Code::CannotRead, &["folder"]);
    expect(load("a\0b.csv", 1 << 20), Code::CannotRead, &["not a path"]);
    expect(load("", 1 << 20), Code::CannotRead, &["folder"]);
    expect(
        files::load_program(&at.join("latin.opt")),
        Code::CannotRead,
        &["line 2", "UTF-8"],
    );
    if std::path::Path::new("/dev/zero").exists() {
        expect(load("/dev/zero", 1 << 16), Code::TooLarge, &["/dev/zero"]);
    }
    assert!(files::available_memory() > 1 << 20);
}

#[test]
fn mutated_gzip_files_never_panic() {
    let folder = tempfile::tempdir().expect("a folder");
    let whole = gzip(&b"x,y\n1,2\n3,4\n".repeat(20));
    let mut dice = Dice(99);
    let mut refused = 0;
    for _ in 0..300 {
        std::fs::write(folder.path().join("t.csv.gz"), dice.mutate(&whole)).expect("written");
        match files::load(folder.path(), "t.csv.gz", 1 << 16) {
            Ok(loaded) => assert!(loaded.bytes.len() <= 1 << 16),
            Err(d) => {
                assert!(matches!(d.code, Code::CannotRead | Code::TooLarge), "{}", d.message);
                refused += 1;
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn the_examples_data_is_read() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let read = |name: &str, request: &Request, sets: &[Option<IndexSet>]| {
        let loaded = files::load(&folder, name, 1 << 30).expect(name);
        io::read(&Input::new(name, &loaded.bytes), request, sets).expect(name)
    };
    let features = Request {
        column: None,
        columns: Some(Columns::AllExcept(vec!["target".into()])),
        array: None,
    };
    let target = Request {
        column: Some("target".into()),
        columns: None,
        array: None,
    };
    let x = read("breast_cancer.csv.gz", &features, &[None, None]);
    assert_eq!(x.shape(), [569, 30]);
    let y = read("breast_cancer.csv.gz", &target, &[None]);
    assert_eq!(y.to_dense().iter().sum::<f64>(), 357.0, "357 of the tumours are benign");
    let cities = [
        "warsaw", "berlin", "paris", "lyon", "munich", "prague", "vienna", "milan",
    ];
    let ports = ["rotterdam", "hamburg", "gdansk", "trieste", "marseille"];
    let sets = [Some(labels("ports", &ports)), Some(labels("cities", &cities))];
    let distance = read("distance.csv", &Request::default(), &sets);
    assert_eq!(distance.to_dense()[..3], [1128.0, 612.0, 372.0], "columns go by label");
    let need = read("need.csv", &Request::default(), &sets[1..]);
    assert_eq!(need.to_dense()[1], 370.0);
    let east = Request {
        column: Some("east".into()),
        columns: None,
        array: None,
    };
    assert_eq!(read("cities.csv", &east, &sets[1..]).to_dense()[1], 172.3);
}

/// A file of `tests/data`.
fn stored(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    std::fs::read(path).expect(name)
}

#[test]
fn numpy_arrays_are_read_as_they_were_saved() {
    let plain = Request::default();
    let a = [1.5, 2.0, -3.0, 4.0, 5.0, 6.25];
    let read = |name: &str, request: &Request, sets: &[Option<IndexSet>]| {
        let bytes = stored(name);
        io::read(&Input::new(name, &bytes), request, sets)
    };
    for name in ["fortran.npy", "big.npy"] {
        let t = read(name, &plain, &[None, None]).expect(name);
        assert_eq!((t.shape(), t.to_dense()), (vec![2, 3], a.to_vec()), "{name}");
    }
    assert_eq!(
        read("ints.npy", &plain, &[None]).expect("ints").to_dense(),
        [-1.0, 2.0, 300.0]
    );
    assert_eq!(
        read("bools.npy", &plain, &[None]).expect("bools").to_dense(),
        [1.0, 0.0]
    );
    let w = Request {
        array: Some("w".into()),
        ..Request::default()
    };
    let t = read("packed.npz", &w, &[None]).expect("packed");
    assert_eq!(t.to_dense(), (0..500).map(f64::from).collect::<Vec<_>>());
    for name in ["csc.npz", "csr.npz"] {
        let t = read(name, &plain, &[None, None]).expect(name);
        assert!(t.as_dense().is_none(), "{name} stays sparse");
        assert_eq!(t.to_dense(), [0.0, 1.0, 0.0, 2.0, 0.0, 3.0], "{name}");
    }
    let plants = labels("plants", &["a", "b", "c"]);
    let t = read("ints.npy", &plain, &[Some(plants.clone())]).expect("by position");
    assert_eq!(t.dims, [plants]);
    for (name, request, rank, code, words) in [
        ("words.npy", &plain, 1, Code::BadArrayFile, "not numbers"),
        ("nan.npy", &plain, 2, Code::BadNumberInFile, "[1, 2]"),
        ("packed.npz", &plain, 1, Code::BadArrayFile, "array: a"),
        ("ints.npy", &plain, 2, Code::WrongShapeOfData, "matrix"),
        ("ints.npy", &w, 1, Code::NoSuchColumn, "no named arrays"),
        (
            "packed.npz",
            &Request {
                array: Some("v".into()),
                ..Request::default()
            },
            1,
            Code::NoSuchColumn,
            "`w`",
        ),
    ] {
        let d = read(name, request, &vec![None; rank]).expect_err(name);
        let all = format!("{} {:?} {:?}", d.message, d.notes, d.helps);
        assert_eq!(d.code, code, "{name}: {all}");
        assert!(all.contains(words), "{name}: {all}");
    }
    // Damaged in every way, a file is an array or a diagnostic.
    let mut dice = Dice(5);
    for name in ["fortran.npy", "packed.npz", "csc.npz", "ints.npy"] {
        let whole = stored(name);
        for _ in 0..200 {
            let bytes = dice.mutate(&whole);
            let file = Input {
                name,
                bytes: &bytes,
                budget: 1 << 20,
            };
            let _ = io::read(&file, &plain, &[None, None]);
            let _ = io::read(&file, &w, &[None]);
        }
        for cut in [0, 5, 9, 60, whole.len() / 2, whole.len() - 1] {
            let d = io::read(&Input::new(name, &whole[..cut]), &w, &[None]);
            assert!(name.ends_with("npy") || d.is_err(), "{name} cut at {cut}");
        }
    }
}

#[test]
fn libsvm_rows_are_labels_and_sparse_features() {
    let text = "+1 1:0.5 4:2 # a comment\n-1 2:1\n\n1 qid:3 1:7\n";
    let x = io::read(&input("t.svm", text), &Request::default(), &[None, None]).expect("features");
    assert_eq!(x.shape(), [3, 4]);
    assert!(x.as_dense().is_none(), "it stays sparse");
    assert_eq!(
        x.to_dense(),
        [0.5, 0.0, 0.0, 2.0, 0.0, 1.0, 0.0, 0.0, 7.0, 0.0, 0.0, 0.0]
    );
    let y = io::read(&input("t.svm", text), &Request::default(), &[None]).expect("labels");
    assert_eq!(y.to_dense(), [1.0, -1.0, 1.0]);
    let wide = io::read(
        &input("t.svm", text),
        &Request::default(),
        &[None, Some(IndexSet::upto(6))],
    )
    .expect("wide");
    assert_eq!(wide.shape(), [3, 6]);
    for (text, code, words) in [
        ("1 0:5\n", Code::BadTable, "line 1"),
        ("1 2:5 1:3\n", Code::BadTable, "does not follow 2"),
        ("1 2:5\nx 1:3\n", Code::BadNumberInFile, "line 2"),
        ("1 2:nan\n", Code::BadNumberInFile, "index 2"),
        ("1 2\n", Code::BadTable, "index:value"),
        ("", Code::BadTable, "empty"),
    ] {
        let d = io::read(&input("t.svm", text), &Request::default(), &[None, None]).expect_err(text);
        assert_eq!(d.code, code, "{text}: {}", d.message);
        assert!(d.message.contains(words), "{text}: {}", d.message);
    }
}

#[test]
fn json_goes_by_label_by_position_or_by_column() {
    let plants = labels("plants", &["seattle", "san-diego"]);
    let read = |text: &str, sets: &[Option<IndexSet>]| io::read(&input("t.json", text), &Request::default(), sets);
    let by_label = read(r#"{"san-diego": 2, "seattle": 1}"#, &[Some(plants.clone())]).expect("by label");
    assert_eq!(by_label.to_dense(), [1.0, 2.0]);
    assert_eq!(
        read("[[1, 2, 3], [4, 5, 6]]", &[None, None]).expect("lists").shape(),
        [2, 3]
    );
    assert_eq!(read("7.5", &[]).expect("a number").as_scalar(), Some(7.5));
    let nested = read(
        r#"{"seattle": [1, 2], "san-diego": [3, 4]}"#,
        &[Some(plants.clone()), Some(IndexSet::upto(2))],
    );
    assert_eq!(nested.expect("nested").to_dense(), [1.0, 2.0, 3.0, 4.0]);
    let records = r#"[{"plant": "san-diego", "cost": 4}, {"plant": "seattle", "cost": 3}]"#;
    let cost = Request {
        column: Some("cost".into()),
        ..Request::default()
    };
    let t = io::read(&input("t.json", records), &cost, &[Some(plants.clone())]).expect("records");
    assert_eq!(t.to_dense(), [3.0, 4.0]);
    for (text, code, words) in [
        ("{", Code::BadJson, "line 1"),
        (r#"{"seattle": 1}"#, Code::MissingLabel, "san-diego"),
        (
            r#"{"seattle": 1, "san-diego": 2, "topeka": 3}"#,
            Code::UnknownLabel,
            "topeka",
        ),
        (r#"{"seattle": 1, "san-diego": null}"#, Code::BadJson, "$.san-diego"),
        (
            r#"{"seattle": 1, "san-diego": "inf"}"#,
            Code::BadNumberInFile,
            "$.san-diego",
        ),
        ("[1, 2, 3]", Code::BadJson, "3 entries"),
        ("3", Code::BadJson, "a number"),
    ] {
        let d = read(text, &[Some(plants.clone())]).expect_err(text);
        assert_eq!(d.code, code, "{text}: {}", d.message);
        assert!(d.message.contains(words), "{text}: {}", d.message);
    }
}

#[test]
fn what_is_written_is_read_back() {
    let plants = labels("plants", &["seattle", "san, diego"]);
    let pairs = ListedSet::new(
        "arcs".into(),
        vec![plants.clone(), IndexSet::upto(3)],
        vec![vec![1, 0, 0], vec![2, 0, 1]],
    );
    let arcs = IndexSet::Listed(Arc::new(pairs.expect("distinct")));
    let v = [0.1, -2e-17, 3.0];
    let t =
        |dims: Vec<IndexSet>, n: usize| Tensor::dense(dims, v.iter().cycle().take(n).copied().collect()).expect("fits");
    for value in [
        t(vec![IndexSet::upto(3)], 3),
        t(vec![IndexSet::upto(2), IndexSet::upto(3)], 6),
        t(vec![plants.clone()], 2),
        t(vec![plants.clone(), labels("years", &["y1", "y2"])], 4),
        t(vec![arcs.clone()], 3),
        t(vec![arcs.clone(), plants.clone()], 6),
    ] {
        for name in ["t.csv", "t.json", "t.npy", "t.mtx"] {
            if name == "t.mtx" && value.dims.len() > 2 {
                continue;
            }
            let bytes = io::save::write_array(name, &value).expect(name);
            let sets: Vec<Option<IndexSet>> = value.dims.iter().cloned().map(Some).collect();
            let back = io::read(&Input::new(name, &bytes), &Request::default(), &sets)
                .unwrap_or_else(|d| panic!("{name}: {}\n{}", d.message, String::from_utf8_lossy(&bytes)));
            assert_eq!(back.to_dense(), value.to_dense(), "{name} of {:?}", value.dims);
        }
    }
    let bytes = io::save::write_set("s.csv", &arcs).expect("a set");
    assert_eq!(
        String::from_utf8_lossy(&bytes),
        "plants,i2\n\"san, diego\",3\nseattle,1\nseattle,2\n"
    );
    let d = io::save::write_array("t.csv", &Tensor::scalar(f64::INFINITY)).expect_err("tables hold finite numbers");
    assert_eq!(d.code, Code::CannotWrite);
    assert_eq!(
        io::save::write_array("t.xyz", &Tensor::scalar(1.0))
            .expect_err("no format")
            .code,
        Code::UnknownFormat
    );
}
