//! Parquet files: refused with a way out where they are not built in, else round trips, files of Apache Arrow's own
//! writer (`fixtures/parquet`), and bytes of every kind.

use ravine::base::Code;
use ravine::io::{self, Input, Request};

#[cfg(not(feature = "parquet"))]
#[test]
fn without_the_feature_the_message_says_how_to_build() {
    let d = io::Format::of("x.parquet").expect_err("not built in");
    assert_eq!(d.code, Code::NotBuiltYet);
    assert!(format!("{d:?}").contains("--features parquet"), "{d:?}");
    let d = io::read(&Input::new("x.parquet", b""), &Request::default(), &[None]).expect_err("not built in");
    assert_eq!(d.code, Code::NotBuiltYet);
}

#[cfg(feature = "parquet")]
mod built_in {
    use std::sync::Arc;

    use super::*;
    use crate::io::Dice;
    use ravine::base::value::{Column, IndexSet, LabelSet, Table, Tensor};
    use ravine::io::save;

    fn fixture(name: &str) -> Vec<u8> {
        std::fs::read(format!("{}/tests/fixtures/parquet/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
    }

    fn column(name: &str) -> Request {
        Request {
            column: Some(name.into()),
            ..Request::default()
        }
    }

    #[test]
    fn files_of_another_writer_are_read() {
        for name in ["cities.parquet", "cities-zstd.parquet"] {
            let bytes = fixture(name);
            let file = Input::new(name, &bytes);
            let numbers = |c: &str| io::read(&file, &column(c), &[None]).expect(c).to_dense();
            assert_eq!(numbers("need"), [1.5, -2.25, 0.1, 1e300, 5e-324]);
            assert_eq!(numbers("count"), [1.0, 2.0, 3.0, 4.0, -5.0]);
            assert_eq!(numbers("small"), [f64::from(0.1f32), 0.25, 0.5, 1e10, 2.0]);
            assert_eq!(numbers("open"), [1.0, 0.0, 1.0, 1.0, 0.0]);
            assert_eq!(numbers("price"), [12.5, 12.5, 12.5, 12.5, -0.05]);
            let cities = io::read_elements(&file, Some("city")).expect("labels");
            assert_eq!(cities, ["wien", "graz", "linz", "bregenz", "san, \"x\""]);
            // By label, in the set's order.
            let set = IndexSet::Labels(Arc::new(LabelSet {
                name: "city".into(),
                labels: cities.into_iter().rev().collect(),
            }));
            let t = io::read(&file, &column("need"), &[Some(set)]).expect("by label");
            assert_eq!(t.to_dense(), [5e-324, 1e300, 0.1, -2.25, 1.5]);
            let d = io::read(&file, &column("city"), &[None]).expect_err("texts");
            assert_eq!(d.code, Code::BadNumberInFile);
            assert!(d.message.contains("record 1, column `city`"), "{}", d.message);
        }
    }

    #[test]
    fn what_a_table_cannot_hold_is_named() {
        let missing = fixture("missing.parquet");
        let d = io::read(&Input::new("m.parquet", &missing), &column("a"), &[None]).expect_err("missing");
        assert_eq!(d.code, Code::BadNumberInFile);
        assert!(d.message.contains("record 2, column `a`"), "{}", d.message);
        let nested = fixture("nested.parquet");
        let d = io::read_columns_of(&Input::new("n.parquet", &nested)).expect_err("nested");
        assert_eq!(d.code, Code::BadTable);
        assert!(d.message.contains("`b`"), "{}", d.message);
        let d = io::read_columns_of(&Input::new("n.parquet", b"a,b\n1,2\n")).expect_err("a text");
        assert_eq!(d.code, Code::BadTable);
        let cities = fixture("cities.parquet");
        let small = Input {
            name: "c.parquet",
            bytes: &cities,
            budget: 5000,
        };
        assert_eq!(io::read_columns_of(&small).expect_err("budget").code, Code::TooLarge);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let numbers = vec![0.1, -0.0, 1e-320, f64::MAX, 3.0];
        let texts: Vec<String> = ["a", "b,c", "\"q\"", "é\n2", "z"].map(String::from).to_vec();
        let table = Table {
            file: "t.csv".into(),
            rows: 5,
            columns: vec![
                ("unit price".into(), Column::Numbers(numbers.clone())),
                ("name".into(), Column::Texts(texts.clone(), (2, "a".into()))),
            ],
        };
        let bytes = save::write_table("t.parquet", &table).expect("written");
        assert_eq!(&bytes[..4], b"PAR1");
        let back = io::read_columns_of(&Input::new("t.parquet", &bytes)).expect("read");
        assert_eq!(back.rows, 5);
        let Some(Column::Numbers(v)) = back.column("unit price") else {
            panic!("numbers")
        };
        assert!(v.iter().zip(&numbers).all(|(a, b)| a.to_bits() == b.to_bits()), "{v:?}");
        let Some(Column::Texts(v, _)) = back.column("name") else {
            panic!("texts")
        };
        assert_eq!(*v, texts);
        // Arrays keep their labels, and their order does not matter.
        let set = |names: &[&str]| {
            IndexSet::Labels(Arc::new(LabelSet {
                name: "plants".into(),
                labels: names.iter().map(|n| (*n).to_string()).collect(),
            }))
        };
        let mut t = Tensor::vector(vec![1.0 / 3.0, 2.0]);
        t.dims = vec![set(&["p", "q"])];
        let bytes = save::write_array("w.parquet", &t).expect("written");
        let file = Input::new("w.parquet", &bytes);
        let back = io::read(&file, &Request::default(), &[Some(set(&["q", "p"]))]).expect("read");
        assert_eq!(back.to_dense(), [2.0, 1.0 / 3.0]);
        let bytes = save::write_set("s.parquet", &set(&["p", "q"])).expect("written");
        let back = io::read_elements(&Input::new("s.parquet", &bytes), None).expect("read");
        assert_eq!(back, ["p", "q"]);
    }

    #[test]
    fn damaged_files_are_refused_or_read_but_never_panic() {
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        let (mut good, mut bad) = (0, 0);
        for name in ["cities.parquet", "cities-zstd.parquet", "missing.parquet"] {
            let bytes = fixture(name);
            for _ in 0..300 {
                let bytes = dice.mutate(&bytes);
                let file = Input {
                    name: "t.parquet",
                    bytes: &bytes,
                    budget: 1 << 20,
                };
                match io::read_columns_of(&file) {
                    Ok(_) => good += 1,
                    Err(d) => {
                        assert!(d.message.contains("t.parquet"), "{}", d.message);
                        bad += 1;
                    }
                }
            }
        }
        assert!(good > 0 && bad > 100, "{good} read, {bad} refused");
    }

    #[test]
    fn programs_write_and_read_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = "set plants = {\"seattle\", \"san-diego\"}\n\
                    param capacity: Real[plants] = {\"seattle\": 350, \"san-diego\": 600}\n\
                    write capacity to \"c.parquet\"\n\
                    param again: Real[plants] = read(\"c.parquet\")\n\
                    param t: Table = read(\"c.parquet\")\n\
                    set names = read(\"c.parquet\")\n\
                    print again, t, names\n";
        std::fs::write(folder.path().join("p.opt"), text).expect("written");
        let out = std::process::Command::new(env!("CARGO_BIN_EXE_ravine"))
            .args(["run", "p.opt"])
            .current_dir(folder.path())
            .output()
            .expect("it runs");
        let shown = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(out.status.success(), "{shown}{}", String::from_utf8_lossy(&out.stderr));
        assert!(shown.contains("san-diego") && shown.contains("600"), "{shown}");
    }
}
