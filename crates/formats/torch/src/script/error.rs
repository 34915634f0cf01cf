//! What is wrong with code, and where.

/// A fault at a line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub line: u32,
    pub what: String,
}

/// What parsing returns.
pub(super) type Parsed<T> = Result<T, Fault>;

impl Fault {
    pub(super) fn new(line: u32, what: impl Into<String>) -> Fault {
        Fault { line, what: what.into() }
    }
}
