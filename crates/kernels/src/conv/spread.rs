//! Depthwise convolution of a dilated kernel, or a wide one: sums of some output pixels stay in registers while the input
//! pixels under them pass, each read once for all sums that it is part of.

use super::depthwise::Line;
use crate::gemm::epilogue::{load, store};
use crate::simd::{Body, Simd};
use modelsmith_kop::ConvProblem;
use std::ops::Range;

/// Output pixels of a run: as many sums as hide the time of a multiplication, beside the taps of a kernel row in sixteen
/// registers. The widths of images are often multiples of 7.
const RUN: usize = 7;
/// Output pixels of a run where there are fewer.
const SHORT_RUN: usize = 4;

/// A line whose kernel is `K` wide and steps by one pixel.
pub(super) struct Spread<'a, const K: usize>(pub Line<'a>);

impl<const K: usize> Body for Spread<'_, K> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let line = &self.0;
        let p = line.p;
        for first in 0..p.dilation[1].min(p.ow) {
            let row = Row::new::<K>(p, first);
            let (mut c, end) = line.channels;
            while c < end {
                // SAFETY: the channels exist; the last ones are no whole vector.
                unsafe { self.vector::<S>(&row, c, (end - c).min(S::LANES)) };
                c += S::LANES;
            }
        }
        // SAFETY: the line is complete.
        unsafe { line.finish::<S>(0, p.ow) };
    }
}

/// Every `step`th output pixel of a line from `first` on: their kernels lie over every `step`th input pixel. A line whose
/// kernel is not dilated is one such row.
struct Row {
    first: usize,
    step: usize,
    pixels: usize,
    /// Pixels whose whole kernel row lies inside the image's width; none where they are too few for a run.
    inside: Range<usize>,
    /// Columns, of which the first pixel's kernel lies over column 0 and those behind, that lie in the image.
    columns: Range<usize>,
}

impl Row {
    fn new<const K: usize>(p: &ConvProblem, first: usize) -> Row {
        let step = p.dilation[1];
        let pixels = (p.ow - first).div_ceil(step);
        // Column j is input pixel `first + j * step - pad`.
        let columns =
            p.pad[1].saturating_sub(first).div_ceil(step)..(p.w + p.pad[1]).saturating_sub(first).div_ceil(step);
        let begin = columns.start;
        let end = if columns.end < K { 0 } else { (columns.end - K + 1).min(pixels) };
        let inside = if begin + SHORT_RUN <= end { begin..end } else { 0..0 };
        Row { first, step, pixels, inside, columns }
    }
}

/// What all runs of a vector of channels use. The kernel holds it in registers, which it could not do with what lies
/// behind references: every store might change that.
#[derive(Clone, Copy)]
struct Lane<S: Simd> {
    /// Column 0 in the first kernel row that meets the image; it may lie outside.
    x: *const f32,
    /// Values to the next input pixel of the row, and to the next kernel row's.
    x_step: usize,
    x_row: usize,
    w: *const f32,
    /// Values to the next tap.
    w_step: usize,
    kernel_rows: usize,
    y: *mut f32,
    y_step: usize,
    /// Added to the sums, or null.
    residual: *const f32,
    residual_step: usize,
    bias: S::F,
    low: S::F,
    high: S::F,
    n: usize,
}

impl<const K: usize> Spread<'_, K> {
    /// Computes the pixels of `row` in one vector of channels.
    ///
    /// # Safety
    /// Channels `c..c + n` exist, `n <= LANES`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, row: &Row, c: usize, n: usize) {
        let Line { p, ready, taps, .. } = self.0;
        let out = self.0.out_pixel(row.first);
        let (residual, residual_step) = ready.residual_at(out, c);
        let bias = ready.bias_at(c);
        let first = self.0.input_row(taps.0).wrapping_add(row.first * p.x_stride + c);
        // SAFETY: passed on; the pixels have their kernel rows inside the image.
        unsafe {
            let lane = Lane::<S> {
                x: first.wrapping_sub(p.pad[1] * p.x_stride),
                x_step: row.step * p.x_stride,
                x_row: p.dilation[0] * p.w * p.x_stride,
                w: self.0.w.add(taps.0 * K * p.c + c),
                w_step: p.c,
                kernel_rows: taps.1 - taps.0,
                y: self.0.y.add(out * p.y_stride + c),
                y_step: row.step * p.y_stride,
                residual,
                residual_step: row.step * residual_step,
                bias: if bias.is_null() { S::splat(0.0) } else { load::<S>(bias, n) },
                low: S::splat(ready.low),
                high: S::splat(ready.high),
                n,
            };
            match (row.inside.len() < RUN, n == S::LANES) {
                (false, true) => lane.runs::<K, RUN, true>(row),
                (true, true) => lane.runs::<K, SHORT_RUN, true>(row),
                (_, false) => lane.runs::<K, SHORT_RUN, false>(row),
            }
        }
    }
}

impl<S: Simd> Lane<S> {
    /// Computes the pixels of `row`: those inside, none or at least `R`, in runs. `FULL` where all lanes exist.
    ///
    /// # Safety
    /// The row's columns lie inside the image; the machine has `S`.
    #[inline(always)]
    unsafe fn runs<const K: usize, const R: usize, const FULL: bool>(mut self, row: &Row) {
        if FULL {
            self.n = S::LANES;
        }
        // SAFETY: passed on.
        unsafe {
            for at in (0..row.inside.start).chain(row.inside.end..row.pixels) {
                self.edge::<K>(at, &row.columns);
            }
            for at in row.inside.clone().step_by(R) {
                // The last run may compute again what the one before has: every pixel is written afresh.
                self.run_from::<K, R>(at.min(row.inside.end - R));
            }
        }
    }

    /// Computes pixel `at` from those of its taps that lie in `columns`.
    ///
    /// # Safety
    /// As for [`Lane::runs`].
    #[inline(always)]
    unsafe fn edge<const K: usize>(&self, at: usize, columns: &Range<usize>) {
        let Lane { x, x_step, x_row, w, w_step, n, .. } = *self;
        // A sum for each column of the kernel: they do not wait for each other.
        // SAFETY: the caller vouches for the machine.
        let mut acc = [unsafe { S::splat(0.0) }; K];
        acc[0] = self.bias;
        for kx in 0..K {
            if columns.contains(&(at + kx)) {
                let (mut x, mut w) = (x.wrapping_add((at + kx) * x_step), w.wrapping_add(kx * w_step));
                for _ in 0..self.kernel_rows {
                    // SAFETY: the column and the kernel row lie inside the image.
                    acc[kx] = unsafe { S::fma(load::<S>(x, n), load::<S>(w, n), acc[kx]) };
                    (x, w) = (x.wrapping_add(x_row), w.wrapping_add(K * w_step));
                }
            }
        }
        for kx in 1..K {
            // SAFETY: arithmetic only; the caller vouches for the machine.
            acc[0] = unsafe { S::add(acc[0], acc[kx]) };
        }
        // SAFETY: passed on.
        unsafe { self.give(at, acc[0]) };
    }

    /// Writes the sum of pixel `at` with residual and clamp.
    ///
    /// # Safety
    /// The pixel exists; the machine has `S`.
    #[inline(always)]
    unsafe fn give(&self, at: usize, sum: S::F) {
        // SAFETY: by the contract above.
        unsafe {
            let sum = match self.residual.is_null() {
                true => sum,
                false => S::add(sum, load::<S>(self.residual.add(at * self.residual_step), self.n)),
            };
            store::<S>(self.y.add(at * self.y_step), self.n, S::min(self.high, S::max(self.low, sum)));
        }
    }

    /// Computes `R` pixels from `at` on.
    ///
    /// # Safety
    /// As for [`Lane::runs`].
    #[inline(always)]
    unsafe fn run_from<const K: usize, const R: usize>(&self, at: usize) {
        let Lane { x, x_step, x_row, w, w_step, n, .. } = *self;
        // SAFETY: by the contract above.
        unsafe {
            let mut acc = [self.bias; R];
            let (mut x, mut w) = (x.wrapping_add(at * x_step), w);
            for _ in 0..self.kernel_rows {
                for kx in 0..K {
                    let tap = load::<S>(w.add(kx * w_step), n);
                    // Loads that several sums share are one when this is unrolled.
                    for i in 0..R {
                        acc[i] = S::fma(load::<S>(x.add((i + kx) * x_step), n), tap, acc[i]);
                    }
                }
                (x, w) = (x.wrapping_add(x_row), w.wrapping_add(K * w_step));
            }
            for i in 0..R {
                self.give(at + i, acc[i]);
            }
        }
    }
}
