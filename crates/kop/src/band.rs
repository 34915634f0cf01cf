//! Bands: some rows of the result of a window operator as a problem of their own.
//!
//! A band reads the input rows under its windows and nothing else, so operators that follow each other can run band by
//! band while what lies between them stays in a cache.

use crate::conv::{ConvProblem, PoolProblem};
use crate::layout::Layout;
use std::ops::Range;

/// The windows of an operator along the height.
#[derive(Clone, Copy)]
struct Windows {
    kernel: usize,
    stride: usize,
    dilation: usize,
    /// Rows of padding before and after the image.
    pad: (usize, usize),
    /// Rows of the image.
    h: usize,
}

/// The input rows of a band, and its padding before and after them.
struct Cut {
    rows: Range<usize>,
    before: usize,
    after: usize,
}

impl Windows {
    /// `None` where sizes overflow, a window lies outside of the image, or there are no rows.
    fn cut(&self, out: &Range<usize>) -> Option<Cut> {
        let last = out.end.checked_sub(1).filter(|_| out.start < out.end)?;
        let first = out.start.checked_mul(self.stride)?;
        let reach = self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)?;
        let end = last.checked_mul(self.stride)?.checked_add(reach)?;
        // Counted from the first row of padding.
        let image = self.pad.0..self.pad.0.checked_add(self.h)?;
        let (from, to) = (first.max(image.start), end.min(image.end));
        if from >= to {
            return None;
        }
        Some(Cut {
            rows: from - image.start..to - image.start,
            before: from - first,
            after: end.min(image.end.checked_add(self.pad.1)?).saturating_sub(to),
        })
    }
}

impl ConvProblem {
    fn windows(&self) -> Windows {
        Windows {
            kernel: self.kernel[0],
            stride: self.stride[0],
            dilation: self.dilation[0],
            pad: (self.pad[0], self.pad[2]),
            h: self.h,
        }
    }

    /// Rows of the input image that output rows `out` read; `None` for a transposed convolution, no rows, or rows whose
    /// windows lie in the padding alone.
    pub fn band_reads(&self, out: &Range<usize>) -> Option<Range<usize>> {
        (!self.transposed).then(|| self.windows().cut(out)).flatten().map(|c| c.rows)
    }

    /// Output rows `out` of one image as a problem whose input is [`ConvProblem::band_reads`], channels-last and, where it
    /// was plain, dense.
    pub fn band(&self, out: &Range<usize>) -> Option<ConvProblem> {
        let cut = (!self.transposed).then(|| self.windows().cut(out)).flatten()?;
        let x_stride = if self.x_layout == Layout::Plain { self.c } else { self.x_stride };
        Some(ConvProblem {
            n: 1,
            h: cut.rows.len(),
            oh: out.len(),
            pad: [cut.before, self.pad[1], cut.after, self.pad[3]],
            x_layout: Layout::ChannelsLast,
            x_stride,
            ..self.clone()
        })
    }
}

impl PoolProblem {
    fn windows(&self) -> Windows {
        Windows {
            kernel: self.kernel[0],
            stride: self.stride[0],
            dilation: self.dilation[0],
            pad: (self.pad[0], self.pad[2]),
            h: self.h,
        }
    }

    /// Rows of the input image that output rows `out` read; `None` for no rows, or rows whose windows lie in the padding
    /// alone.
    pub fn band_reads(&self, out: &Range<usize>) -> Option<Range<usize>> {
        self.windows().cut(out).map(|c| c.rows)
    }

    /// Output rows `out` of one channels-last image as a problem whose input is [`PoolProblem::band_reads`].
    pub fn band(&self, out: &Range<usize>) -> Option<PoolProblem> {
        let cut = self.windows().cut(out).filter(|_| self.layout == Layout::ChannelsLast)?;
        let pad = [cut.before, self.pad[1], cut.after, self.pad[3]];
        Some(PoolProblem { n: 1, h: cut.rows.len(), oh: out.len(), pad, ..self.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(kernel: usize, stride: usize, pad: (usize, usize), h: usize) -> Windows {
        Windows { kernel, stride, dilation: 1, pad, h }
    }

    #[test]
    fn a_band_reads_the_rows_under_its_windows() {
        let rows = |w: &Windows, out: Range<usize>| w.cut(&out).map(|c| (c.rows, c.before, c.after));
        let w = windows(3, 1, (1, 1), 10);
        assert_eq!(rows(&w, 0..10), Some((0..10, 1, 1)));
        assert_eq!(rows(&w, 0..4), Some((0..5, 1, 0)));
        assert_eq!(rows(&w, 4..8), Some((3..9, 0, 0)));
        assert_eq!(rows(&w, 8..10), Some((7..10, 0, 1)));
        let w = windows(3, 2, (0, 1), 10);
        assert_eq!(rows(&w, 2..5), Some((4..10, 0, 1)));
        assert_eq!(rows(&w, 3..3), None);
        assert_eq!(rows(&windows(1, 1, (3, 3), 2), 0..2), None);
        assert_eq!(rows(&windows(2, usize::MAX, (0, 0), 2), 0..9), None);
    }

    #[test]
    fn windows_beyond_the_padding_are_not_padding() {
        // In ceiling mode the last window reaches beyond the padded image.
        let cut = windows(3, 2, (0, 0), 6).cut(&(2..3)).unwrap();
        assert_eq!((cut.rows, cut.before, cut.after), (4..6, 0, 0));
    }
}
