//! What can be wrong with a pickle, and where.

use modelsmith_base::OutOfBytes;
use thiserror::Error;

/// Bytes that are not the pickle they should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at byte offset {offset}: {kind}")]
pub struct Error {
    kind: Kind,
    offset: u64,
}

/// The kinds of [`enum@Error`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Kind {
    /// The pickle ends before its STOP.
    #[error("the pickle ends inside an instruction: {wanted} bytes wanted, {left} left")]
    Truncated {
        /// Bytes that the operand takes.
        wanted: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A line operand without its end.
    #[error("the pickle ends inside a text operand")]
    NoLineEnd,
    /// No such instruction.
    #[error("{0:#04x} is no pickle instruction")]
    Instruction(u8),
    /// An instruction takes more operands than the stack holds.
    #[error("the instruction takes more values than the stack holds")]
    Underflow,
    /// An instruction wants a MARK that is not there.
    #[error("the instruction wants a MARK, and there is none")]
    NoMark,
    /// A memo entry was never stored.
    #[error("memo entry {0} was never stored")]
    Memo(u64),
    /// An operand is not of its kind.
    #[error("the operand is not {0}")]
    Operand(&'static str),
    /// A frame is longer than the pickle.
    #[error("a frame of {frame} bytes is announced, {left} are left")]
    Frame {
        /// Announced length.
        frame: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A protocol that does not exist.
    #[error("pickle protocol {0} is unknown, 5 is the newest")]
    Protocol(u8),
    /// An entry of Python's extension registry, which no file holds.
    #[error("extension code {0} names a class in a registry of the writing program")]
    Extension(u64),
    /// More than the caller takes.
    #[error("more than {limit} {what}, which is the limit")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
}

impl Error {
    /// An error at absolute offset `offset`.
    pub fn new(kind: Kind, offset: u64) -> Self {
        Error { kind, offset }
    }

    /// What is wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Byte offset of the instruction or of its operand.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl From<OutOfBytes> for Error {
    fn from(e: OutOfBytes) -> Self {
        Error::new(Kind::Truncated { wanted: e.wanted, left: e.left }, e.offset)
    }
}
