//! Any text is parsed and checked to diagnostics that lie inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ravine::base::SourceMap;
use ravine::ir::Catalogue;
use ravine::lang::{check, parse};

thread_local! {
    static CATALOGUE: Catalogue = ravine::session::catalogue();
}

fuzz_target!(|text: &str| {
    let mut sources = SourceMap::default();
    let id = sources.add("fuzz.opt", text);
    let (program, mut found) = parse(id, text);
    CATALOGUE.with(|c| found.extend(check::check(&program, &check::Env::default(), c).1));
    for d in &found {
        if let Some(span) = d.span() {
            assert!(span.end as usize <= text.len(), "a span leaves its text: {d:?}");
        }
    }
    let _ = ravine::report::diagnostic::plain(&found, &sources);
});
