//! Bounds on what decoding may take: a two-byte empty message must not be a lever for memory or stack.

use super::{Error, Kind};

/// Depth and memory left to a decoder.
#[derive(Debug, Clone)]
pub struct Limits {
    depth: u32,
    max_depth: u32,
    bytes: u64,
    max_bytes: u64,
}

impl Limits {
    /// At most `max_depth` messages inside each other and `max_bytes` bytes of decoded structures.
    pub fn new(max_depth: u32, max_bytes: u64) -> Self {
        Limits { depth: 0, max_depth, bytes: 0, max_bytes }
    }

    /// Limits for a file of `len` bytes: 200 levels, and 256 MiB beside the file's own length.
    pub fn for_file(len: u64) -> Self {
        Limits::new(200, len.saturating_add(256 << 20))
    }

    /// Charges `bytes` of decoded structure found at `offset`.
    ///
    /// # Errors
    /// When the total passes the limit.
    pub fn charge(&mut self, bytes: usize, offset: u64) -> Result<(), Error> {
        self.bytes = self.bytes.saturating_add(crate::wide(bytes));
        if self.bytes > self.max_bytes {
            return Err(Error::new(Kind::TooLarge(self.max_bytes), offset));
        }
        Ok(())
    }

    /// Decodes one message deeper.
    ///
    /// # Errors
    /// Those of `decode`, or when the message at `offset` lies too deep.
    pub fn nested<T>(&mut self, offset: u64, decode: impl FnOnce(&mut Limits) -> Result<T, Error>) -> Result<T, Error> {
        if self.depth >= self.max_depth {
            return Err(Error::new(Kind::TooDeep(self.max_depth), offset));
        }
        self.depth = self.depth.saturating_add(1);
        let result = decode(self);
        self.depth = self.depth.saturating_sub(1);
        result
    }

    /// Bytes charged so far.
    pub fn charged(&self) -> u64 {
        self.bytes
    }
}
