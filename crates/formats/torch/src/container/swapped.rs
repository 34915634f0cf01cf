//! Elements written with their most significant byte first, as a source of little-endian ones.

use modelsmith_tensor::{Result, Source};
use std::sync::Arc;

/// The bytes of a source, with the bytes of each element from `start` on in the opposite order.
#[derive(Debug)]
pub(crate) struct Swapped {
    of: Arc<dyn Source>,
    start: u64,
    width: usize,
}

impl Swapped {
    /// Elements of `width` bytes that begin at `start`.
    pub(crate) fn new(of: Arc<dyn Source>, start: u64, width: usize) -> Swapped {
        Swapped { of, start, width: width.max(1) }
    }
}

impl Source for Swapped {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn len(&self) -> u64 {
        self.of.len()
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let width = super::wide(self.width);
        let before = offset.saturating_sub(self.start) % width;
        let end = offset.saturating_add(super::wide(out.len())).saturating_sub(self.start);
        let behind = end.next_multiple_of(width).saturating_sub(end);
        if before == 0 && behind == 0 {
            self.of.read_at(offset, out)?;
            out.chunks_exact_mut(self.width).for_each(<[u8]>::reverse);
            return Ok(());
        }
        // Elements cut by the range are read whole.
        let extra = usize::try_from(before.saturating_add(behind)).unwrap_or(0);
        let mut whole = vec![0; out.len().saturating_add(extra)];
        self.of.read_at(offset.saturating_sub(before), &mut whole)?;
        whole.chunks_exact_mut(self.width).for_each(<[u8]>::reverse);
        let from = usize::try_from(before).unwrap_or(0);
        out.iter_mut().zip(whole.iter().skip(from)).for_each(|(to, from)| *to = *from);
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
    fn every_range_is_swapped_element_by_element() {
        let bytes: Vec<u8> = (0..14).collect();
        let swapped = Swapped::new(Arc::new(MemSource::new("x", bytes)), 2, 4);
        let wanted = [5, 4, 3, 2, 9, 8, 7, 6, 13, 12, 11, 10];
        for from in 0..12 {
            for to in from..=12 {
                let mut out = vec![0; to - from];
                swapped.read_at(2 + from as u64, &mut out).unwrap();
                assert_eq!(out, wanted[from..to], "{from}..{to}");
            }
        }
        assert!(swapped.read_at(10, &mut [0; 8]).is_err());
    }
}
