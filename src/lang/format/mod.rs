//! `ravine fmt`: a program in the house's layout, the same program.
//!
//! Invariant: only blanks, line ends and `;` between statements change: the formatted text has the tokens, comments and
//! statements of the source, which is checked before it is given away, and formatting it again changes nothing.

mod fit;
mod layout;
mod spacing;
mod token;

use std::collections::BTreeSet;

use crate::base::{Code, Diagnostics, SourceId};
use crate::lang::parse::{self, RawStmt};
use crate::lang::syntax::{Program, Stmt, StmtKind};

use token::{Kind, Token};

/// Columns that code may take before its line is broken; comments and texts are never broken.
pub const WIDTH: usize = 100;

/// What the layout has to know of the program beside its tokens, by token number.
struct Structure {
    /// Tokens that begin a statement.
    starts: BTreeSet<usize>,
    /// Those of them that begin a constraint, indented below its `subject to`.
    constraints: BTreeSet<usize>,
    /// Braces that open and close a block.
    opens: BTreeSet<usize>,
    closes: BTreeSet<usize>,
    /// Tokens of native code, kept as they are.
    verbatim: BTreeSet<usize>,
}

/// The program in the house's layout. Errors: what keeps it from being read, if anything does.
pub fn format(source: SourceId, text: &str) -> Result<String, Diagnostics> {
    let (program, found) = parse::parse(source, text);
    // What is not built yet can be read all the same.
    if found.iter().any(|d| d.is_error() && d.code != Code::NotBuiltYet) {
        return Err(found);
    }
    let read = Read::new(source, text, &program);
    let out = layout::layout(&read.tokens, &read.structure);
    // A layout that reads otherwise would be a mistake of ours; the user's text is as good as it was.
    let again = parse::parse(source, &out);
    let errors = |d: &Diagnostics| d.iter().filter(|d| d.is_error()).count();
    let same = errors(&again.1) == errors(&found) && Read::new(source, &out, &again.0).outline() == read.outline();
    Ok(if same { out } else { text.to_string() })
}

/// A text as the formatter reads it.
struct Read<'t> {
    tokens: Vec<Token<'t>>,
    statements: Vec<RawStmt>,
    structure: Structure,
}

/// What must stay: tokens and comments in order, statements and blocks as numbers of tokens, documentation.
type Outline<'t> = (Vec<&'t str>, Vec<(usize, usize, Option<String>)>);

impl<'t> Read<'t> {
    fn new(source: SourceId, text: &'t str, program: &Program) -> Self {
        let statements = parse::split(source, text);
        let mut blocks = BTreeSet::new();
        let mut stack: Vec<&RawStmt> = statements.iter().collect();
        while let Some(r) = stack.pop() {
            for b in &r.blocks {
                blocks.insert(b.open);
                stack.extend(&b.statements);
            }
        }
        let tokens = token::tokens(text, &blocks);
        let structure = structure(&tokens, program, &statements);
        Read {
            tokens,
            statements,
            structure,
        }
    }

    fn outline(&self) -> Outline<'t> {
        let significant = |t: &&Token<'t>| t.kind != Kind::Separator;
        let words = self.tokens.iter().filter(significant).map(|t| t.text).collect();
        // Numbers of the tokens that are not separators.
        let mut counted = Vec::with_capacity(self.tokens.len() + 1);
        let mut n = 0;
        for t in &self.tokens {
            counted.push(n);
            n += usize::from(t.kind != Kind::Separator);
        }
        counted.push(n);
        let at = |byte: usize| counted[self.tokens.partition_point(|t| t.start < byte)];
        let mut parts = vec![];
        let mut stack: Vec<&RawStmt> = self.statements.iter().rev().collect();
        while let Some(r) = stack.pop() {
            parts.push((at(r.start), at(r.end), r.docs.clone()));
            for b in &r.blocks {
                parts.push((at(b.open), at(b.close), None));
                stack.extend(b.statements.iter().rev());
            }
        }
        (words, parts)
    }
}

fn structure(tokens: &[Token<'_>], program: &Program, statements: &[RawStmt]) -> Structure {
    let mut s = Structure {
        starts: BTreeSet::new(),
        constraints: BTreeSet::new(),
        opens: BTreeSet::new(),
        closes: BTreeSet::new(),
        verbatim: BTreeSet::new(),
    };
    let at = |byte: usize| tokens.partition_point(|t| t.start < byte);
    let mut stack: Vec<&RawStmt> = statements.iter().collect();
    while let Some(r) = stack.pop() {
        let first = at(r.start);
        s.starts.insert(first);
        if tokens.get(first).is_some_and(|t| t.text == "extern") {
            s.verbatim.extend(first..at(r.end));
        }
        for b in &r.blocks {
            s.opens.insert(at(b.open));
            s.closes.insert(at(b.close));
            stack.extend(&b.statements);
        }
    }
    let mut stack: Vec<&Stmt> = program.statements.iter().collect();
    while let Some(statement) = stack.pop() {
        match &statement.kind {
            StmtKind::SubjectTo(list) => {
                let begins = list.iter().map(|c| at(c.span.start as usize));
                s.constraints.extend(begins.filter(|c| s.starts.contains(c)));
            }
            StmtKind::Problem(p) => stack.extend(&p.body),
            StmtKind::For(f) => stack.extend(&f.body),
            _ => {}
        }
    }
    s
}
