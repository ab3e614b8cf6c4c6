//! The view tree: everything shown to a user, before it becomes terminal text, plain text, HTML or JSON.
//!
//! Invariant: holds meaning, not layout; the renderers in `report` are the only readers.

use super::figure::Figure;

/// A piece of running text with its role.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// The characters.
    pub text: String,
    /// What they are.
    pub role: Role,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Ordinary words.
    Plain,
    /// A user's name.
    Name,
    /// A number.
    Number,
    /// Something good: `optimal`.
    Good,
    /// Something bad: `infeasible`, a failed check.
    Bad,
    /// Secondary words.
    Faint,
    /// A heading.
    Strong,
}

/// A node of the tree.
#[derive(Clone, Debug, PartialEq)]
pub enum View {
    /// One line of text.
    Line(Vec<Run>),
    /// Views below one another.
    Stack(Vec<View>),
    /// Label and value pairs, aligned.
    Facts(Vec<(String, View)>),
    /// A table with headers; numbers align right.
    Table {
        /// Column titles.
        head: Vec<String>,
        /// Cells.
        rows: Vec<Vec<Cell>>,
    },
    /// A single number.
    Number(f64),
    /// An array: dims' element names per dimension (`None` for plain `1..n`), entries row-major.
    Array {
        /// Element names of each dimension; `None` for `1..n`.
        labels: Vec<Option<Vec<String>>>,
        /// Lengths.
        shape: Vec<usize>,
        /// Entries, row-major.
        entries: Vec<f64>,
    },
    /// Text to be shown as it stands (source code, IR).
    Verbatim(String),
    /// A formula in LaTeX, without the marks of mathematics around it.
    Formula(String),
    /// A picture.
    Figure(Box<Figure>),
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// Words.
    Text(String),
    /// Seconds on the clock, which differ between equal runs.
    Seconds(f64),
}

impl View {
    /// A line of plain words.
    pub fn text(t: impl Into<String>) -> View {
        View::Line(vec![Run {
            text: t.into(),
            role: Role::Plain,
        }])
    }
    /// The view without what differs between equal runs: columns of seconds.
    pub fn untimed(self) -> View {
        match self {
            View::Stack(parts) => View::Stack(parts.into_iter().map(View::untimed).collect()),
            View::Facts(facts) => View::Facts(facts.into_iter().map(|(l, v)| (l, v.untimed())).collect()),
            View::Table { mut head, mut rows } => {
                let timed = |j: usize| rows.iter().any(|r| matches!(r.get(j), Some(Cell::Seconds(_))));
                let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
                for j in (0..columns).rev().filter(|j| timed(*j)).collect::<Vec<_>>() {
                    if j < head.len() {
                        head.remove(j);
                    }
                    for r in rows.iter_mut().filter(|r| j < r.len()) {
                        r.remove(j);
                    }
                }
                View::Table { head, rows }
            }
            other => other,
        }
    }
    /// A line of words of one role.
    pub fn styled(t: impl Into<String>, role: Role) -> View {
        View::Line(vec![Run { text: t.into(), role }])
    }
}
