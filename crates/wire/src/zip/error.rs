//! What can be wrong with an archive, and where.

use modelsmith_base::OutOfBytes;
use thiserror::Error;

/// Bytes that are not the archive they should be.
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
    /// No end record: not a zip archive, or cut off.
    #[error("no end of central directory: not a zip archive, or its end is missing")]
    NoEnd,
    /// The archive ends inside a record.
    #[error("{wanted} bytes wanted, {left} left")]
    Truncated {
        /// Bytes that the record takes.
        wanted: u64,
        /// Bytes that are left.
        left: u64,
    },
    /// A record does not begin with its signature.
    #[error("the signature of a {0} is missing")]
    Signature(&'static str),
    /// An offset or size points outside the archive.
    #[error("{0} lies outside the archive")]
    Outside(&'static str),
    /// Something that this reader does not do.
    #[error("entry `{entry}` {what}")]
    Unsupported {
        /// Entry name.
        entry: String,
        /// Why not.
        what: &'static str,
    },
    /// Compressed data are damaged.
    #[error("the compressed data of entry `{0}` are damaged")]
    Deflate(String),
    /// The checksum does not match.
    #[error("entry `{0}` does not have the checksum that the archive gives")]
    Checksum(String),
    /// An entry is larger than the caller takes.
    #[error("entry `{entry}` has {size} bytes, more than the {limit} allowed")]
    TooLarge {
        /// Entry name.
        entry: String,
        /// Its size.
        size: u64,
        /// The caller's limit.
        limit: u64,
    },
}

impl Error {
    /// An error at absolute offset `offset` of the archive.
    pub fn new(kind: Kind, offset: u64) -> Self {
        Error { kind, offset }
    }

    /// What is wrong.
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Byte offset in the archive.
    pub fn offset(&self) -> u64 {
        self.offset
    }
}

impl From<OutOfBytes> for Error {
    fn from(e: OutOfBytes) -> Self {
        Error::new(Kind::Truncated { wanted: e.wanted, left: e.left }, e.offset)
    }
}
