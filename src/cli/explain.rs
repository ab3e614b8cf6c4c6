//! Pages of the error codes.
//!
//! Invariant: every code has a page; what is no code gets the nearest one.

use crate::base::Code;
use crate::base::diagnostic::did_you_mean;
use crate::session::Session;

/// The code that the user means, or a sentence with the nearest one.
pub fn find(text: &str) -> Result<Code, String> {
    let text = text.trim();
    // `203`, `E0203` and `[R0203]` are meant well.
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    if let Some(code) = Code::parse(text) {
        return Ok(code);
    }
    let guess = format!("R{digits:0>4}");
    if letters <= 1
        && !digits.is_empty()
        && let Some(code) = Code::parse(&guess)
    {
        return Ok(code);
    }
    if Session::library().any(|n| n == text) {
        return Err(format!(
            "`{text}` is no code but a method of the library: `help {text}` in a program, or `?{text}` in `ravine repl`, tells about it"
        ));
    }
    let near = did_you_mean(&text.to_uppercase(), Code::ALL.iter().map(|c| c.id()));
    Err(match near {
        Some(near) => format!("there is no code `{text}`; did you mean `{near}`?"),
        None => format!("there is no code `{text}`; `ravine explain` lists them all"),
    })
}

/// All codes with their summaries, one a line.
pub fn list() -> String {
    let mut out = String::new();
    for code in Code::ALL {
        out.push_str(&format!("{}  {}\n", code.id(), code.summary()));
    }
    out
}
