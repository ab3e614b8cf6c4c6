//! What may stand in a cell beside a program: `NAME?` and `NAME??` ask for help, a first line `%clear` clears the output.
//!
//! Invariant: neither could begin or be a program, so none is taken away from the language; places in the text stay.

/// A cell's text, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Is what the cell showed so far to be cleared?
    pub clear: bool,
    /// The rest.
    pub what: What,
}

/// What is asked.
#[derive(Debug, PartialEq, Eq)]
pub enum What {
    /// A program to run.
    Program(String),
    /// Help on a name; with two marks, in full.
    Help {
        /// The name.
        name: String,
        /// Everything there is?
        full: bool,
    },
}

/// Takes a cell's text apart.
pub fn read(code: &str) -> Prompt {
    let first = code.lines().find(|l| !l.trim().is_empty());
    let clear = first.is_some_and(|l| l.trim_end() == "%clear");
    let text = match clear {
        // Blanks of the same length, so that places in the text stay.
        true => code.replacen("%clear", "      ", 1),
        false => code.to_string(),
    };
    let line = text.trim();
    let name = line.trim_end_matches('?');
    let marks = line.len() - name.len();
    let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_') && !name.is_empty();
    let what = match is_name && (1..=2).contains(&marks) {
        true => What::Help {
            name: name.into(),
            full: marks == 2,
        },
        false => What::Program(text),
    };
    Prompt { clear, what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        let program = |t: &str| What::Program(t.into());
        let help = |name: &str, full| What::Help {
            name: name.into(),
            full,
        };
        assert_eq!(read("let a = 1").what, program("let a = 1"));
        assert_eq!(read(" sum?\n").what, help("sum", false));
        assert_eq!(read("λ_1??").what, help("λ_1", true));
        for not in ["?", "a b?", "sum???", "x = a?", ""] {
            assert_eq!(read(not).what, program(not), "{not}");
        }
        let p = read("\n%clear\nlet a = 1");
        assert_eq!((p.clear, p.what), (true, program("\n      \nlet a = 1")));
        assert!(!read("let a = 1\n%clear").clear && !read("%clear b").clear);
    }
}
