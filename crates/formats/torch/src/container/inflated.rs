//! A deflated member as a source: it is decompressed when it is first read.

use super::wide;
use flate2::read::DeflateDecoder;
use modelsmith_tensor::{Error, Result, Source};
use std::io::{self, Read};
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Deflate cannot expand more than this.
const RATIO: u64 = 1032;

#[derive(Debug)]
pub(super) struct Inflated {
    of: Arc<dyn Source>,
    range: Range<u64>,
    size: u64,
    content: OnceLock<Option<Vec<u8>>>,
}

impl Inflated {
    /// The member at `range` of `of`, which has `size` bytes when decompressed.
    pub(super) fn new(of: Arc<dyn Source>, range: Range<u64>, size: u64) -> Inflated {
        Inflated { of, range, size, content: OnceLock::new() }
    }

    fn inflate(&self) -> Option<Vec<u8>> {
        let length = self.range.end.saturating_sub(self.range.start);
        if self.size > length.saturating_mul(RATIO) {
            return None;
        }
        let mut stored = vec![0; usize::try_from(length).ok()?];
        self.of.read_at(self.range.start, &mut stored).ok()?;
        let mut out = Vec::new();
        DeflateDecoder::new(stored.as_slice()).take(self.size.saturating_add(1)).read_to_end(&mut out).ok()?;
        (wide(out.len()) == self.size).then_some(out)
    }
}

impl Source for Inflated {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn len(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let damaged = || Error::Io {
            path: self.of.name().into(),
            source: io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the compressed member at byte offset {} is damaged", self.range.start),
            ),
        };
        let content = self.content.get_or_init(|| self.inflate()).as_ref().ok_or_else(damaged)?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let found = content.get(start..).and_then(|rest| rest.get(..out.len()));
        out.copy_from_slice(found.ok_or_else(damaged)?);
        Ok(())
    }

    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}
