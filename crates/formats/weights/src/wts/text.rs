//! The values of a tensor as a source of little-endian `f32`, decoded from text as they are read.

use super::scan::{Form, Words};
use crate::range::wide;
use modelsmith_tensor::{Error, Result, Source};
use std::io;
use std::sync::Arc;

/// A mark is kept for each that many values.
pub(super) const STEP: u64 = 4096;
/// Bytes of text read at a time.
const PIECE: usize = 64 << 10;

/// How values are found.
#[derive(Debug)]
pub(super) enum Places {
    /// Eight digits and a separator each, from this offset.
    Fixed(u64),
    /// Offsets of the values 0, [`STEP`], .. and of the end.
    Marked { marks: Vec<u64>, end: u64 },
}

/// The values of one tensor.
#[derive(Debug)]
pub(super) struct Values {
    pub inner: Arc<dyn Source>,
    pub form: Form,
    pub places: Places,
    pub count: u64,
}

impl Values {
    fn bad(&self, what: &str, at: u64) -> Error {
        let message = format!("at byte offset {at}: {what}");
        Error::Io { path: self.name().into(), source: io::Error::new(io::ErrorKind::InvalidData, message) }
    }

    /// Calls `each` with the bits of the values from `first` until it returns false.
    fn walk(&self, first: u64, each: &mut dyn FnMut(u32) -> bool) -> Result<()> {
        match &self.places {
            Places::Fixed(start) => self.fixed(start.saturating_add(first.saturating_mul(9)), first, each),
            Places::Marked { marks, end } => {
                let mark = first / STEP;
                let start = usize::try_from(mark).ok().and_then(|m| marks.get(m)).copied().unwrap_or(*end);
                self.marked(start, *end, first % STEP, each)
            }
        }
    }

    fn fixed(&self, mut at: u64, first: u64, each: &mut dyn FnMut(u32) -> bool) -> Result<()> {
        let mut left = self.count.saturating_sub(first);
        let mut room = Vec::new();
        while left > 0 {
            let values = left.min(7000);
            // The last value may end the file.
            let bytes = values.saturating_mul(9).min(self.inner.len().saturating_sub(at));
            room.resize(usize::try_from(bytes).unwrap_or(0), 0);
            self.inner.read_at(at, &mut room)?;
            for (i, word) in room.chunks(9).enumerate() {
                let place = at.saturating_add(wide(i).saturating_mul(9));
                let (digits, gap) = word.split_at_checked(8).unwrap_or((word, b""));
                let ends = gap.iter().all(u8::is_ascii_whitespace);
                let bits = self.form.value(digits).filter(|_| ends && digits.len() == 8);
                let shown = String::from_utf8_lossy(word);
                let bits =
                    bits.ok_or_else(|| self.bad(&format!("`{shown}` is not eight digits and a space"), place))?;
                if !each(bits) {
                    return Ok(());
                }
            }
            at = at.saturating_add(values.saturating_mul(9));
            left = left.saturating_sub(values);
        }
        Ok(())
    }

    fn marked(&self, mut at: u64, end: u64, mut skip: u64, each: &mut dyn FnMut(u32) -> bool) -> Result<()> {
        let mut room = Vec::new();
        while at < end {
            let bytes = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX).min(PIECE);
            room.resize(bytes, 0);
            self.inner.read_at(at, &mut room)?;
            // A word that the piece cuts is left to the next one.
            let whole = at.saturating_add(wide(bytes)) == end;
            let last = room.iter().rposition(u8::is_ascii_whitespace).unwrap_or(0);
            let text = if whole { room.as_slice() } else { room.get(..last).unwrap_or_default() };
            if text.is_empty() {
                return Err(self.bad("a value is longer than any number", at));
            }
            for word in Words::new(text, at) {
                if skip > 0 {
                    skip = skip.saturating_sub(1);
                    continue;
                }
                let shown = String::from_utf8_lossy(word.text.get(..40).unwrap_or(word.text));
                let bits = self.form.value(word.text);
                let bits = bits.ok_or_else(|| self.bad(&format!("`{shown}` is not a value"), word.at))?;
                if !each(bits) {
                    return Ok(());
                }
            }
            at = at.saturating_add(wide(text.len()));
        }
        Ok(())
    }
}

impl Source for Values {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn len(&self) -> u64 {
        self.count.saturating_mul(4)
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = wide(out.len());
        if offset.checked_add(wanted).is_none_or(|end| end > self.len()) {
            return Err(Error::Range { file: self.name().into(), offset, wanted, len: self.len() });
        }
        if out.is_empty() {
            return Ok(());
        }
        let mut skip = usize::try_from(offset % 4).unwrap_or(0);
        let mut slots = out.iter_mut();
        self.walk(offset / 4, &mut |bits| {
            for byte in bits.to_le_bytes().into_iter().skip(skip) {
                match slots.next() {
                    Some(slot) => *slot = byte,
                    None => return false,
                }
            }
            skip = 0;
            slots.len() > 0
        })?;
        match slots.len() {
            0 => Ok(()),
            missing => Err(self.bad(&format!("{missing} bytes of values are missing"), self.inner.len())),
        }
    }
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}
