//! The two streams out of the program.
//!
//! Invariant: a reader that went away (`| head`) is no error and no panic; nothing else in the house prints.

use std::io::{IsTerminal, Write};

use super::args::Colour;
use crate::report::style::Paint;

/// Standard output for results, standard error for messages.
#[derive(Clone, Copy, Debug)]
pub struct Out {
    /// Colours of standard output.
    pub results: Paint,
    /// Colours of standard error.
    pub messages: Paint,
}

impl Out {
    /// Streams with colours as asked for.
    pub fn new(colour: Colour) -> Out {
        #[allow(clippy::disallowed_methods, reason = "the command line reads the environment")]
        let refused = std::env::var_os("NO_COLOR").is_some_and(|v| !v.is_empty());
        let paint = |terminal: bool| match colour {
            Colour::Always => Paint::COLOUR,
            Colour::Never => Paint::PLAIN,
            Colour::Auto => Paint {
                on: terminal && !refused,
            },
        };
        Out {
            results: paint(std::io::stdout().is_terminal()),
            messages: paint(std::io::stderr().is_terminal()),
        }
    }
    /// Writes a result. A closed pipe is left alone: the run goes on for its exit code.
    pub fn result(&self, text: &str) {
        let mut stream = std::io::stdout().lock();
        let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
    }
    /// Writes a message.
    pub fn message(&self, text: &str) {
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }
}
