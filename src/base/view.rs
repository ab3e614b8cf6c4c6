//! The view tree: everything shown to a user, before it becomes terminal text, plain text, HTML or JSON.
//!
//! Invariant: holds meaning, not layout; the renderers in `report` are the only readers.

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
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// A number.
    Number(f64),
    /// Words.
    Text(String),
}

impl View {
    /// A line of plain words.
    pub fn text(t: impl Into<String>) -> View {
        View::Line(vec![Run {
            text: t.into(),
            role: Role::Plain,
        }])
    }
    /// A line of words of one role.
    pub fn styled(t: impl Into<String>, role: Role) -> View {
        View::Line(vec![Run { text: t.into(), role }])
    }
}
