//! The protobuf wire format: a zero-copy reader and a writer that knows every length before it emits a byte.
//!
//! Nothing here knows a schema. A caller walks [`Message::fields`], matches on [`Field::number`] and asks for the type
//! that its schema gives; what it does not know it keeps as [`Field::raw`] and writes back with [`Rope::raw`].
//! Recursion is the caller's: [`Limits`] counts its depth and the memory that it takes.

mod error;
mod limits;
mod read;
mod scalars;
#[cfg(test)]
mod tests;
mod text;
mod write;

pub use error::{Error, Kind};
pub use limits::Limits;
pub use read::{Field, Fields, Message, Value};
pub use scalars::{Element, Scalars};
pub use text::{bytes_from_text, text_from_bytes};
pub use write::{EmitError, Part, Rope, varint_len};

/// The four ways in which a value lies in a message, plus the obsolete groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WireType {
    /// A base-128 integer.
    Varint,
    /// Eight little-endian bytes.
    Fixed64,
    /// A length, then so many bytes.
    Bytes,
    /// Fields up to an end tag of the same number.
    Group,
    /// Four little-endian bytes.
    Fixed32,
}

impl WireType {
    /// The three bits of a tag.
    pub const fn code(self) -> u8 {
        match self {
            WireType::Varint => 0,
            WireType::Fixed64 => 1,
            WireType::Bytes => 2,
            WireType::Group => 3,
            WireType::Fixed32 => 5,
        }
    }
}
