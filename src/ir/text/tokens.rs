//! The tokens of a line.
//!
//! Invariant: every character belongs to one token or is space; a text in quotes is read back as it was printed.

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Name(String),
    Text(String),
    Number(String),
    Mark(char),
    Dots,
}

/// Names of inputs may carry a dot of multiplication, an accent, or the number of a namesake.
fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '\'' | '#' | '·' | '%')
}

/// Splits a line. Errors: a text that does not end.
pub fn tokens(line: &str) -> Result<Vec<Token>, String> {
    let c: Vec<char> = line.chars().collect();
    let mut out = vec![];
    let mut k = 0;
    while k < c.len() {
        if c[k].is_whitespace() {
            k += 1;
        } else if c[k] == '.' && c.get(k + 1) == Some(&'.') {
            out.push(Token::Dots);
            k += 2;
        } else if c[k].is_ascii_digit() {
            let start = k;
            while k < c.len()
                && (c[k].is_ascii_digit()
                    || c[k] == 'e'
                    || (c[k] == '.' && c.get(k + 1) != Some(&'.'))
                    || (c[k] == '-' && c[k - 1] == 'e'))
            {
                k += 1;
            }
            out.push(Token::Number(c[start..k].iter().collect()));
        } else if c[k] == '"' {
            let mut s = String::new();
            k += 1;
            loop {
                match c.get(k) {
                    None => return Err("a text without its end".into()),
                    Some('"') => break,
                    Some('\\') => {
                        k += 1;
                        match c.get(k) {
                            Some('n') => s.push('\n'),
                            Some('t') => s.push('\t'),
                            Some('r') => s.push('\r'),
                            Some(o) => s.push(*o),
                            None => return Err("a text without its end".into()),
                        }
                    }
                    Some(o) => s.push(*o),
                }
                k += 1;
            }
            k += 1;
            out.push(Token::Text(s));
        } else if is_name(c[k]) {
            let start = k;
            while k < c.len() && is_name(c[k]) {
                k += 1;
            }
            out.push(Token::Name(c[start..k].iter().collect()));
        } else {
            out.push(Token::Mark(c[k]));
            k += 1;
        }
    }
    Ok(out)
}
