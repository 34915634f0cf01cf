//! Rows of a tensor in another order, for blocks: a row is whole blocks, so nothing need be decoded.

use modelsmith_base::wide;
use modelsmith_tensor::{Error, Result, Source};
use std::sync::Arc;

/// The rows of a tensor seen as `[groups, first, second]` and read as `[groups, second, first]`.
#[derive(Debug)]
pub(crate) struct SwappedRows {
    of: Arc<dyn Source>,
    base: u64,
    row: u64,
    groups: u64,
    first: u64,
    second: u64,
}

impl SwappedRows {
    /// Rows of `row` bytes from `base` on.
    pub(crate) fn new(of: Arc<dyn Source>, base: u64, row: u64, [groups, first, second]: [u64; 3]) -> SwappedRows {
        SwappedRows { of, base, row, groups, first, second }
    }

    /// Where row `index` of the result lies.
    fn place(&self, index: u64) -> u64 {
        let group = self.first.saturating_mul(self.second).max(1);
        let (which, inner) = (index / group, index % group);
        let (i, j) = (inner / self.first.max(1), inner % self.first.max(1));
        let row = which.saturating_mul(group).saturating_add(j.saturating_mul(self.second)).saturating_add(i);
        self.base.saturating_add(row.saturating_mul(self.row))
    }
}

impl Source for SwappedRows {
    fn name(&self) -> &str {
        self.of.name()
    }

    fn len(&self) -> u64 {
        self.groups.saturating_mul(self.first).saturating_mul(self.second).saturating_mul(self.row)
    }

    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let wanted = wide(out.len());
        if self.row == 0 || offset.checked_add(wanted).is_none_or(|end| end > self.len()) {
            return Err(Error::Range { file: self.name().into(), offset, wanted, len: self.len() });
        }
        let (mut at, mut rest) = (offset, out);
        while !rest.is_empty() {
            let (index, inner) = (at / self.row, at % self.row);
            let left = usize::try_from(self.row.saturating_sub(inner)).unwrap_or(usize::MAX).min(rest.len());
            let (now, later) = rest.split_at_mut(left);
            self.of.read_at(self.place(index).saturating_add(inner), now)?;
            at = at.saturating_add(wide(left));
            rest = later;
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
    fn rows_are_read_in_another_order() {
        let bytes = (0..24u8).collect::<Vec<_>>();
        let source: Arc<dyn Source> = Arc::new(MemSource::new("m", bytes));
        // Two groups of two times three rows of two bytes.
        let swapped = SwappedRows::new(source, 0, 2, [2, 2, 3]);
        let mut out = vec![0; 24];
        swapped.read_at(0, &mut out).unwrap();
        assert_eq!(out[..12], [0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11]);
        let mut part = vec![0; 5];
        swapped.read_at(3, &mut part).unwrap();
        assert_eq!(part, [7, 2, 3, 8, 9]);
        assert!(swapped.read_at(20, &mut part).is_err());
    }
}
