//! Why a step of a program cannot be said as a graph.

use modelsmith_base::DType;
use modelsmith_ir::{Dim, OpError, ValueId};

/// What ends the walk through a program, or one operator of it.
#[derive(Clone, Debug)]
pub(crate) enum Stop {
    /// Nothing says how: the operator stays as it is and is reported.
    Unsupported(String),
    /// The rank of a value has to be known; the use suggests the second.
    Rank(ValueId, Option<usize>),
    /// An input has to be of another element type than was assumed.
    Element(ValueId, DType),
    /// A free dimension of an input has to be this one.
    Size(std::sync::Arc<str>, Dim),
    /// The argument of the first name is a dictionary that has to have the key of the second.
    Key(String, String),
    /// No output depends on the states with these numbers.
    Idle(Vec<usize>),
    /// The program raises an exception here whatever its inputs.
    Raise(String),
    /// The archive is damaged.
    Damaged(String),
}

/// What steps return.
pub(crate) type Outcome<T> = Result<T, Stop>;

pub(crate) fn unsupported<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Unsupported(why.into()))
}

pub(crate) fn damaged<T>(why: impl Into<String>) -> Outcome<T> {
    Err(Stop::Damaged(why.into()))
}

impl From<OpError> for Stop {
    fn from(e: OpError) -> Stop {
        Stop::Unsupported(e.to_string())
    }
}

impl From<modelsmith_tensor::Error> for Stop {
    fn from(e: modelsmith_tensor::Error) -> Stop {
        Stop::Unsupported(e.to_string())
    }
}

impl std::fmt::Display for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Stop::Unsupported(why) | Stop::Damaged(why) => f.write_str(why),
            Stop::Rank(..) => f.write_str("the rank of an operand is not known"),
            Stop::Key(name, key) => write!(f, "the argument `{name}` has no key {key:?}"),
            Stop::Idle(_) => f.write_str("a state that nothing depends on"),
            Stop::Size(name, dim) => write!(f, "the dimension {name} has to be {dim}"),
            Stop::Element(_, dtype) => write!(f, "an operand has to be of {dtype}"),
            Stop::Raise(what) => write!(f, "the program raises an exception here: {what}"),
        }
    }
}
