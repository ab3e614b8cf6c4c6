//! Any text is parsed and checked to diagnostics that lie inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ravine::session::{Session, Settings};

fuzz_target!(|text: &str| {
    let mut s = Session::new(Settings {
        sets: Default::default(),
        threads: Some(1),
        memory: 1 << 28,
        verbose: false,
        folder: std::env::temp_dir(),
        now: || 0.0,
    });
    let (_, _, found) = s.check("fuzz.opt", text);
    for d in &found {
        if let Some(span) = d.span() {
            assert!(span.end as usize <= text.len(), "a span leaves its text: {d:?}");
        }
    }
    let _ = ravine::report::diagnostic::plain(&found, &s.sources);
});
