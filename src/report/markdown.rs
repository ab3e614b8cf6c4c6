//! Pages of documentation in a terminal: headings stand out, blocks of code are indented, the rest is as written.
//!
//! Invariant: without colour the page's words are all there, fences aside.

use super::style::Paint;

/// The page as text for a terminal or a pipe.
pub fn page(markdown: &str, paint: Paint) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
            continue;
        }
        match line.trim_start_matches('#') {
            _ if code => {
                out.push_str("    ");
                out.push_str(&paint.name(line));
            }
            title if title.len() < line.len() && title.starts_with(' ') => out.push_str(&paint.strong(title.trim())),
            _ => out.push_str(&spans(line, paint)),
        }
        while out.ends_with(' ') {
            out.pop();
        }
        out.push('\n');
    }
    out
}

/// Words between backticks in their colour; without colour the backticks stay.
fn spans(line: &str, paint: Paint) -> String {
    if !paint.on || line.matches('`').count() % 2 == 1 {
        return line.to_string();
    }
    let parts = line.split('`').enumerate();
    parts
        .map(|(k, p)| if k % 2 == 1 { paint.name(p) } else { p.to_string() })
        .collect()
}
