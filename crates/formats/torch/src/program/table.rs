//! One row for each operator: how it is said in TorchScript.

use super::context::Cx;
use super::ops;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a row gives, or why this node cannot be said.
pub(super) type Said<T> = Result<T, String>;

/// The results of a node.
pub(super) enum Made {
    /// An expression for each.
    Each(Vec<String>),
    /// One expression that gives a tuple, or a list of known length, of them.
    Together(String),
    /// Bound by the row itself.
    Done,
}

impl From<String> for Made {
    fn from(text: String) -> Made {
        Made::Each(vec![text])
    }
}

/// How an operator is said.
pub(super) enum How {
    /// A text with `{0}` for an operand, `{0#}` for one that may be a number, and `{axis}` for an attribute.
    Text(&'static str),
    By(fn(&mut Cx<'_>) -> Said<Made>),
}

/// An operator.
pub(super) struct Row {
    pub(super) op: &'static str,
    pub(super) how: How,
}

/// An operator that a text says.
pub(super) const fn text(op: &'static str, text: &'static str) -> Row {
    Row { op, how: How::Text(text) }
}

/// An operator that a function says.
pub(super) const fn by(op: &'static str, how: fn(&mut Cx<'_>) -> Said<Made>) -> Row {
    Row { op, how: How::By(how) }
}

static TABLE: LazyLock<HashMap<&'static str, &'static Row>> =
    LazyLock::new(|| ops::FAMILIES.iter().copied().flatten().map(|r| (r.op, r)).collect());

/// The row of an operator of the default domain.
pub(super) fn row(op: &str) -> Option<&'static Row> {
    TABLE.get(op).copied()
}

/// Operators of the default domain of ONNX that have a row of their own, in order. Others are written as what they
/// decompose to.
pub fn written() -> Vec<&'static str> {
    let mut all = TABLE.keys().copied().collect::<Vec<_>>();
    all.sort_unstable();
    all
}
