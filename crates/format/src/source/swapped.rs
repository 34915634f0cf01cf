//! Bytes of the other order, turned as they are read.

use modelsmith_base::wide;
use modelsmith_tensor::{Error, Result, Source};
use std::sync::Arc;

/// A part of a source that is a sequence of equal records whose `fields` are stored the other way round.
#[derive(Debug)]
pub struct Swapped {
    inner: Arc<dyn Source>,
    start: u64,
    len: u64,
    record: usize,
    fields: Vec<(usize, usize)>,
}

impl Swapped {
    /// `len` bytes from `start` of `inner`: records of `record` bytes with fields at `(offset, width)`.
    pub fn new(inner: &Arc<dyn Source>, start: u64, len: u64, record: usize, fields: &[(usize, usize)]) -> Self {
        Swapped { inner: inner.clone(), start, len, record: record.max(1), fields: fields.to_vec() }
    }

    fn turn(&self, record: &mut [u8]) {
        for &(offset, width) in &self.fields {
            if let Some(field) = record.get_mut(offset..).and_then(|r| r.get_mut(..width)) {
                field.reverse();
            }
        }
    }
}

impl Source for Swapped {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn len(&self) -> u64 {
        self.len
    }
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = wide(out.len());
        let end = offset.saturating_add(wanted);
        if end > self.len {
            return Err(Error::Range { file: self.name().into(), offset, wanted, len: self.len });
        }
        let record = wide(self.record);
        let step = record.saturating_mul((64u64 << 10).div_ceil(record));
        let mut room = Vec::new();
        let mut at = offset.checked_div(record).unwrap_or(0).saturating_mul(record);
        let mut rest = out;
        while !rest.is_empty() {
            let take = step.min(self.len.saturating_sub(at));
            room.resize(usize::try_from(take).unwrap_or(0), 0);
            self.inner.read_at(self.start.saturating_add(at), &mut room)?;
            room.chunks_mut(self.record).for_each(|r| self.turn(r));
            let skip = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
            let found = room.get(skip.min(room.len())..).unwrap_or_default();
            let n = found.len().min(rest.len());
            let (now, later) = rest.split_at_mut(n);
            now.copy_from_slice(found.get(..n).unwrap_or_default());
            rest = later;
            at = at.saturating_add(take);
        }
        Ok(())
    }
    fn as_slice(&self) -> Option<&[u8]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_tensor::MemSource;

    #[test]
    fn any_range_is_turned() {
        let bytes = (0..200_000u32).map(|i| (i % 251) as u8).collect::<Vec<_>>();
        let inner: Arc<dyn Source> = Arc::new(MemSource::new("x", bytes.clone()));
        let swapped = Swapped::new(&inner, 3, 199_995, 7, &[(0, 2), (3, 4)]);
        let mut whole = bytes[3..199_998].to_vec();
        for r in whole.chunks_mut(7).filter(|r| r.len() == 7) {
            r[..2].reverse();
            r[3..].reverse();
        }
        whole[199_990..199_992].reverse();
        for (from, to) in [(0, 199_995), (5, 6), (65_534, 140_001), (199_990, 199_995), (9, 9)] {
            let mut out = vec![0; to - from];
            swapped.read_at(from as u64, &mut out).unwrap();
            assert_eq!(out, whole[from..to], "{from}..{to}");
        }
        assert!(swapped.read_at(199_990, &mut [0; 6]).is_err());
    }
}
