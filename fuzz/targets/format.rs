//! What can be laid out stays laid out the second time, and its comments stay.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ravine::base::SourceMap;
use ravine::lang::format;

fuzz_target!(|text: &str| {
    let id = SourceMap::default().add("fuzz.opt", text);
    let Ok(once) = format(id, text) else { return };
    let id = SourceMap::default().add("fuzz.opt", once.as_str());
    match format(id, &once) {
        Ok(twice) => assert_eq!(once, twice, "laid out again it changes"),
        Err(found) => panic!("what was laid out no longer parses: {found:?}"),
    }
});
