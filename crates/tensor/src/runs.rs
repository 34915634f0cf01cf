//! Views of a file that are turned as they are read.

use crate::{Result, Source, WeightExpr};
use std::sync::Arc;

/// A view of a file in which neighbours along one axis are neighbours in the file: a transposed matrix, a part of its
/// columns.
pub(crate) struct Runs {
    source: Arc<dyn Source>,
    /// First byte of the storage.
    base: u64,
    pub(crate) width: usize,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// The axis with stride 1.
    axis: usize,
}

impl Runs {
    /// Elements behind one index of the axis.
    pub(crate) fn inner(&self) -> usize {
        self.shape[self.axis + 1..].iter().product()
    }

    /// Fills `out` from element `first` of the view on; both are whole multiples of [`Runs::inner`].
    pub(crate) fn fill(&self, first: usize, out: &mut [u8]) -> Result<()> {
        let (inner, along) = (self.inner(), self.shape[self.axis]);
        let mut index = first / inner;
        let end = index + out.len() / self.width / inner;
        let mut rest = out;
        while index < end {
            let (outer, from) = (index / along, index % along);
            let count = (along - from).min(end - index);
            let (now, later) = rest.split_at_mut(count * inner * self.width);
            self.block(outer, from, count, now)?;
            rest = later;
            index += count;
        }
        Ok(())
    }

    /// `count` indices of the axis from `from` on, at position `outer` of the axes before it.
    fn block(&self, mut outer: usize, from: usize, count: usize, out: &mut [u8]) -> Result<()> {
        let (w, inner) = (self.width, self.inner());
        let mut start = self.offset + from;
        for (&d, &s) in self.shape[..self.axis].iter().zip(&self.strides).rev() {
            start += outer % d * s;
            outer /= d;
        }
        let mut run = vec![0; count * w];
        let places = crate::index::Offsets::unsigned(&self.shape[self.axis + 1..], &self.strides[self.axis + 1..]);
        for (j, place) in places.enumerate() {
            self.source.read_at(self.base + ((start + place) * w) as u64, &mut run)?;
            if inner == 1 {
                out.copy_from_slice(&run);
                continue;
            }
            for (element, to) in run.chunks_exact(w).zip(out[j * w..].chunks_mut(inner * w)) {
                to[..w].copy_from_slice(element);
            }
        }
        Ok(())
    }
}

/// A view inside a file with an axis along which it is contiguous.
pub(crate) fn runs(of: &WeightExpr, offset: usize, shape: &[usize], strides: &[usize]) -> Option<Runs> {
    let WeightExpr::Read(r) = of else { return None };
    let axis = (0..shape.len()).filter(|&i| strides[i] == 1 && shape[i] > 1).max_by_key(|&i| shape[i])?;
    let width = Some(r.dtype.bits() / 8).filter(|w| *w > 0)?;
    let (shape, strides) = (shape.to_vec(), strides.to_vec());
    Some(Runs { source: r.source.clone(), base: r.offset, width, offset, shape, strides, axis })
}
