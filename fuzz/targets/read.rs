//! Any bytes are a value or one diagnostic, in every format and for arrays of every rank.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ravine::io::{Input, Request, read, read_columns_of};

const NAMES: [&str; 6] = ["f.csv", "f.mtx", "f.npy", "f.npz", "f.json", "f.libsvm"];

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let name = NAMES[*first as usize % NAMES.len()];
    let rank = *first as usize / NAMES.len() % 4;
    let mut input = Input::new(name, bytes);
    input.budget = 1 << 26;
    let _ = read(&input, &Request::default(), &vec![None; rank]);
    let _ = read_columns_of(&input);
});
