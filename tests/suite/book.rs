//! Every fence of the book runs. Blocks under one heading share a session; a fence `output` behind a block is what it shows.
//!
//! Info strings: `opt` (runs without an error), `opt error=R0203` (raises exactly that), `opt check` (checked only), `text`
//! and others (not run).

use super::harness::{blessing, files, report_failures, root, run, session};

/// A fence: info string, first line of its text, text.
struct Fence {
    info: String,
    line: usize,
    text: String,
}

#[test]
fn every_block_of_the_book_runs() {
    let mut failures = vec![];
    let mut blocks = 0;
    for page in files(&root().join("docs/book"), "md") {
        let old = std::fs::read_to_string(&page).expect("a page is UTF-8 text");
        let mut new = String::new();
        let name = page.file_name().expect("a file").to_string_lossy().into_owned();
        let mut s = session(&root().join("examples"));
        let lines: Vec<&str> = old.lines().collect();
        let mut at = 0;
        let mut last: Option<String> = None;
        while at < lines.len() {
            let line = lines[at];
            if line.starts_with('#') {
                s = session(&root().join("examples"));
                last = None;
            }
            let Some(info) = line.strip_prefix("```").filter(|i| !i.is_empty()) else {
                new += line;
                new.push('\n');
                at += 1;
                continue;
            };
            let end = (at + 1..lines.len())
                .find(|k| lines[*k] == "```")
                .unwrap_or(lines.len());
            let fence = Fence {
                info: info.into(),
                line: at + 2,
                text: lines[at + 1..end].join("\n") + "\n",
            };
            let mut text = fence.text.clone();
            let words: Vec<&str> = fence.info.split_whitespace().collect();
            match words.as_slice() {
                ["opt", rest @ ..] => {
                    blocks += 1;
                    let place = format!("{name}:{}", fence.line);
                    let error = rest.iter().find_map(|w| w.strip_prefix("error="));
                    if rest.contains(&"check") {
                        let (_, _, found) = s.check(&place, &fence.text);
                        if let Some(d) = found.iter().find(|d| d.is_error()) {
                            failures.push(format!("{place}: {} {}", d.code.id(), d.message));
                        }
                    } else {
                        let ran = run(&mut s, &place, &fence.text);
                        let errors: Vec<&str> = ran.codes.iter().map(|c| c.id()).collect();
                        match error {
                            None if ran.codes.iter().any(|c| c.level() == ravine::base::Level::Error) => {
                                failures.push(format!("{place}:\n{}", ran.shown));
                            }
                            Some(code) if errors != [code] => {
                                failures.push(format!("{place}: raises {errors:?} instead of {code}\n{}", ran.shown));
                            }
                            _ => {}
                        }
                        last = Some(ran.shown);
                    }
                }
                ["output"] => {
                    let got = last.take().unwrap_or_default();
                    if got != text && !blessing() {
                        failures.push(format!("{name}:{}: shows\n{got}", fence.line));
                    }
                    text = got;
                }
                _ => {}
            }
            new += &format!("{line}\n{text}```\n");
            at = end + 1;
        }
        if blessing() && new != old {
            std::fs::write(&page, new).expect("a page can be written");
        }
    }
    assert!(blocks >= 20, "{blocks} blocks");
    report_failures(failures);
}
