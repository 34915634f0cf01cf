//! A cursor over untrusted bytes: every read is checked, and an error says at which offset it was asked for.

use thiserror::Error;

/// A read went past the end of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("at byte offset {offset}: {wanted} bytes wanted, {left} left")]
pub struct OutOfBytes {
    /// Offset of the read, counted from the start of the file.
    pub offset: u64,
    /// Bytes asked for.
    pub wanted: u64,
    /// Bytes that were left.
    pub left: u64,
}

/// A length or index as a file offset.
pub fn wide(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Reads little-endian values from a slice and keeps the absolute offset of each.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    base: u64,
}

impl<'a> Cursor<'a> {
    /// A cursor at the start of `bytes`, which begin at absolute offset `base` of the file.
    pub fn new(bytes: &'a [u8], base: u64) -> Self {
        Cursor { bytes, at: 0, base }
    }

    /// Absolute offset of the next read.
    pub fn offset(&self) -> u64 {
        self.base + self.at as u64
    }

    /// Bytes not read yet.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// True at the end.
    pub fn is_empty(&self) -> bool {
        self.left() == 0
    }

    /// The next `n` bytes.
    ///
    /// # Errors
    /// When fewer than `n` are left; the cursor does not move.
    pub fn take(&mut self, n: usize) -> Result<&'a [u8], OutOfBytes> {
        let end = self.at.checked_add(n).filter(|&e| e <= self.bytes.len());
        match end.and_then(|e| self.bytes.get(self.at..e)) {
            Some(found) => {
                self.at += n;
                Ok(found)
            }
            None => Err(OutOfBytes { offset: self.offset(), wanted: n as u64, left: self.left() as u64 }),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OutOfBytes> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N)?);
        Ok(out)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, OutOfBytes> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// A little-endian 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, OutOfBytes> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// A little-endian 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, OutOfBytes> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A little-endian 64-bit integer.
    pub fn u64(&mut self) -> Result<u64, OutOfBytes> {
        Ok(u64::from_le_bytes(self.array()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end_and_name_the_offset() {
        let mut c = Cursor::new(&[1, 0, 2, 0, 0, 0, 9], 100);
        assert_eq!(c.u16(), Ok(1));
        assert_eq!(c.u32(), Ok(2));
        assert_eq!(c.u64().unwrap_err().to_string(), "at byte offset 106: 8 bytes wanted, 1 left");
        assert_eq!(c.u8(), Ok(9));
        assert!(c.is_empty());
        assert!(c.take(usize::MAX).is_err());
    }
}
