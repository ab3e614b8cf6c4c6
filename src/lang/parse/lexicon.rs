//! Words and characters: which words are reserved, which characters have an ASCII form.
//!
//! Invariant: the reserved words are those of the grammar's rule `reserved`.

/// Words that begin a declaration or a command, so that a line that begins with one begins a statement.
pub const STATEMENT_WORDS: &[&str] = &[
    "set",
    "param",
    "let",
    "var",
    "fn",
    "problem",
    "optimizer",
    "transform",
    "pipeline",
    "solve",
    "compare",
    "sweep",
    "inspect",
    "diagnose",
    "plot",
    "print",
    "assert",
    "write",
    "use",
    "minimize",
    "maximize",
    "extern",
    "assume",
    "seed",
    "subject",
];

/// The reserved words that are no beginning of a statement.
pub const OTHER_RESERVED: &[&str] = &[
    "if",
    "then",
    "else",
    "and",
    "or",
    "not",
    "in",
    "for",
    "until",
    "within",
    "with",
    "from",
    "to",
    "complements",
    "true",
    "false",
    "inf",
    "unit",
];

/// Declarations and commands that never stand inside a problem.
pub(super) const OUTSIDE_ONLY: &[&str] = &[
    "problem",
    "optimizer",
    "transform",
    "pipeline",
    "solve",
    "compare",
    "sweep",
    "inspect",
    "diagnose",
    "plot",
    "print",
    "assert",
    "write",
    "use",
    "extern",
];

/// A line that begins with one of these continues the statement above it.
pub(super) const CONTINUES: &[&str] = &[
    "then",
    "else",
    "for",
    "until",
    "within",
    "with",
    "from",
    "to",
    "and",
    "or",
    "in",
    "complements",
];

/// Is the word reserved?
pub fn is_reserved(word: &str) -> bool {
    STATEMENT_WORDS.contains(&word) || OTHER_RESERVED.contains(&word)
}

/// What stands for a character that the language does not read, if there is an ASCII form.
pub(super) fn ascii_form(c: char) -> Option<&'static str> {
    Some(match c {
        '−' | '–' | '—' | '‒' | '﹣' | '－' => "-",
        '≤' | '≦' | '⩽' => "<=",
        '≥' | '≧' | '⩾' => ">=",
        '≠' => "!=",
        '×' | '·' | '⋅' | '∗' | '•' => "*",
        '÷' | '∕' | '⁄' => "/",
        '→' => "->",
        '←' => "<-",
        '∞' => "inf",
        '∈' => "in",
        '∧' => "and",
        '∨' => "or",
        '¬' => "not",
        '∑' => "sum",
        '∏' => "prod",
        '√' => "sqrt",
        '…' | '‥' => "..",
        '“' | '”' | '„' | '‟' => "\"",
        '′' | '’' | '‘' | 'ʼ' => "'",
        '≡' => "==",
        '＝' => "=",
        '（' => "(",
        '）' => ")",
        '，' => ",",
        '：' => ":",
        '；' => ";",
        '½' => "0.5",
        '¼' => "0.25",
        '¾' => "0.75",
        _ => return None,
    })
}

/// The digit or sign of a superscript character.
pub(super) fn superscript(c: char) -> Option<char> {
    Some(match c {
        '⁰' => '0',
        '¹' => '1',
        '²' => '2',
        '³' => '3',
        '⁴'..='⁹' => char::from(b'4' + (c as u32 - '⁴' as u32) as u8),
        '⁻' => '-',
        _ => return None,
    })
}

/// The digit of a subscript character.
pub(super) fn subscript(c: char) -> Option<char> {
    ('₀'..='₉')
        .contains(&c)
        .then(|| char::from(b'0' + (c as u32 - '₀' as u32) as u8))
}
