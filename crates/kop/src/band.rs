//! Bands: some rows of the result of a window operator as a problem of their own.
//!
//! A band reads the input rows under its windows and nothing else, so operators that follow each other can run band by
//! band while what lies between them stays in a cache.

use crate::conv::{ConvProblem, Depth, PoolProblem};
use crate::layout::Layout;
use std::ops::Range;

/// The windows of an operator along the height.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
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
    fn along_height(
        kernel: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        pad: [usize; 4],
        h: usize,
    ) -> Windows {
        Windows { kernel: kernel[0], stride: stride[0], dilation: dilation[0], pad: (pad[0], pad[2]), h }
    }

    /// Windows of one row each over an image of `h` rows: what an element-wise operator reads.
    pub fn of_rows(h: usize) -> Windows {
        Windows { kernel: 1, stride: 1, dilation: 1, pad: (0, 0), h }
    }

    /// Rows under `rows` neighbouring windows, wherever they lie; `None` for no rows and where sizes overflow.
    pub fn reach(&self, rows: usize) -> Option<usize> {
        let window = self.kernel.checked_sub(1)?.checked_mul(self.dilation)?.checked_add(1)?;
        rows.checked_sub(1)?.checked_mul(self.stride)?.checked_add(window)
    }

    /// Rows of the image that windows `out` read; `None` where there are none.
    pub fn reads(&self, out: &Range<usize>) -> Option<Range<usize>> {
        self.cut(out).map(|c| c.rows)
    }

    /// `None` where sizes overflow, a window lies outside of the image, or there are no rows.
    fn cut(&self, out: &Range<usize>) -> Option<Cut> {
        let first = out.start.checked_mul(self.stride)?;
        let end = first.checked_add(self.reach(out.len())?)?;
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
    /// Its windows; `None` for a transposed convolution, which has none over its input, and over volumes.
    pub fn windows(&self) -> Option<Windows> {
        let of = || Windows::along_height(self.kernel, self.stride, self.dilation, self.pad, self.h);
        (!self.transposed && self.depth == Depth::FLAT).then(of)
    }

    /// Output rows `out` of one image as a problem whose input is what [`Windows::reads`] says, channels-last and,
    /// where it was plain, dense. `None` where that is nothing.
    pub fn band(&self, out: &Range<usize>) -> Option<ConvProblem> {
        let cut = self.windows()?.cut(out)?;
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
    /// Its windows.
    pub fn windows(&self) -> Windows {
        Windows::along_height(self.kernel, self.stride, self.dilation, self.pad, self.h)
    }

    /// Output rows `out` of one channels-last image as a problem whose input is what [`Windows::reads`] says; `None`
    /// where that is nothing.
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
