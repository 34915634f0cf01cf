//! What can be wrong with a message, and where.

use super::WireType;
use thiserror::Error;

/// Bytes that are not the message they should be.
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
    /// The message ends inside a value.
    #[error("{wanted} bytes wanted, {left} left in the message")]
    Truncated {
        /// Bytes that the value takes.
        wanted: u64,
        /// Bytes that the message still has.
        left: u64,
    },
    /// An integer of more than 64 bits.
    #[error("a variable-length integer has more than 64 bits")]
    VarintTooLong,
    /// A field number outside 1 to 2^29 - 1.
    #[error("{0} is not a field number")]
    FieldNumber(u64),
    /// A wire type that protobuf does not define.
    #[error("{0} is not a wire type")]
    UnknownWireType(u8),
    /// An end tag that closes no group, or a group that is not closed.
    #[error("group {0} is not balanced")]
    Group(u32),
    /// The schema gives the field another type.
    #[error("field {field} is {found:?}, expected {expected:?}")]
    WrongType {
        /// Field number.
        field: u32,
        /// What the schema says.
        expected: WireType,
        /// What the file says.
        found: WireType,
    },
    /// Packed elements do not fill their range.
    #[error("{len} bytes of packed elements are not a multiple of {element}")]
    PackedLength {
        /// Bytes in the range.
        len: u64,
        /// Bytes of one element.
        element: u64,
    },
    /// Messages lie deeper in each other than the limit.
    #[error("messages are nested more than {0} deep")]
    TooDeep(u32),
    /// The decoded form would take more memory than the limit.
    #[error("the decoded structure would take more than {0} bytes; the file is not what it claims to be")]
    TooLarge(u64),
}

impl Error {
    /// An error at absolute offset `offset` of the file.
    pub fn new(kind: Kind, offset: u64) -> Self {
        Error { kind, offset }
    }

    /// What is wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Absolute byte offset in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}
