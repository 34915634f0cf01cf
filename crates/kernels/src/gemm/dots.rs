//! Products of few columns: an element is a vector of sums over the inner dimension, whose lanes are added at its end. Tiles
//! hold columns in lanes and would leave most of them empty.

use super::drive::{Product, Rows, SERIAL_BELOW};
use super::tile::TileSet;
use super::tiles::Tiles;
use crate::gemm::epilogue::{load, store};
use crate::pack::PANEL;
use crate::simd::{Body, Simd};
use modelsmith_pool::cut;
use std::marker::PhantomData;
use std::ops::Range;

/// Most columns.
pub(crate) const COLUMNS: usize = 4;
/// Rows that are computed together, so that a weight serves all of them.
pub(crate) const ROWS: usize = 4;
/// Parts of rows for each thread.
const PARTS: usize = 4;

/// See the module; `T` are the tiles of the same instruction set.
pub(crate) struct Dots<T>(PhantomData<T>);

/// Bytes of the weights, one column after the other.
fn weights([_, n, k]: [usize; 3]) -> usize {
    n.saturating_mul(k).saturating_mul(4).next_multiple_of(64)
}

impl<T: Tiles> Tiles for Dots<T> {
    const SET: &'static TileSet = T::SET;
    const SHARE: f64 = 0.8 * T::SHARE;

    fn scratch(size: [usize; 3], segs: usize) -> usize {
        weights(size).saturating_add(segs.saturating_mul(ROWS * size_of::<*const f32>()))
    }

    fn grid([m, n, k]: [usize; 3], threads: usize) -> (usize, usize) {
        match threads <= 1 || m.saturating_mul(n).saturating_mul(k) < SERIAL_BELOW {
            true => (1, 1),
            false => ((PARTS * threads).min(m.div_ceil(ROWS)).max(1), 1),
        }
    }

    unsafe fn part<S: Simd, R: Rows>(
        product: &Product<'_, R>,
        parts: (usize, usize),
        part: (usize, usize),
        scratch: *mut u8,
    ) {
        let (segs, seg_len) = product.rows.segments();
        let size = [product.m, product.n, segs * seg_len];
        let table = scratch.wrapping_add(weights(size)).cast();
        let work = Part { product, weights: scratch.cast(), table, rows: cut(product.m, parts.0, part.0) };
        // SAFETY: by the contract of `Tiles::part`; the scratch was sized for the weights and the table.
        unsafe { S::enter(work) }
    }
}

struct Part<'a, R> {
    product: &'a Product<'a, R>,
    weights: *mut f32,
    table: *mut *const f32,
    rows: Range<usize>,
}

impl<R: Rows> Body for Part<'_, R> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (segs, seg_len) = self.product.rows.segments();
        let k = segs * seg_len;
        // SAFETY: B holds a panel of `k` rows, and the scratch a value for each row and column.
        unsafe {
            for column in 0..self.product.n {
                for row in 0..k {
                    *self.weights.add(column * k + row) = *self.product.b.add(row * PANEL + column);
                }
            }
            match self.product.n {
                1 => self.columns::<S, 1>(),
                2 => self.columns::<S, 2>(),
                3 => self.columns::<S, 3>(),
                _ => self.columns::<S, COLUMNS>(),
            }
        }
    }
}

impl<R: Rows> Part<'_, R> {
    /// # Safety
    /// As for [`Tiles::part`]; the weights lie in the scratch, one column after the other.
    #[inline(always)]
    unsafe fn columns<S: Simd, const N: usize>(&self) {
        let mut row = self.rows.start;
        // SAFETY: the rows exist and are this part's own.
        unsafe {
            while row + ROWS <= self.rows.end {
                self.sums::<S, ROWS, N>(row);
                row += ROWS;
            }
            while row < self.rows.end {
                self.sums::<S, 1, N>(row);
                row += 1;
            }
        }
    }

    /// Computes `M` rows. A row has the same bits whatever the rows beside it.
    ///
    /// # Safety
    /// As for [`Part::columns`]; the rows are this part's own.
    #[inline(always)]
    unsafe fn sums<S: Simd, const M: usize, const N: usize>(&self, row: usize) {
        let p = self.product;
        let (segs, seg_len) = p.rows.segments();
        let k = segs * seg_len;
        // SAFETY: the table has room for the rows' pointers, each to `seg_len` values.
        unsafe {
            p.rows.fill(row, M, self.table);
            let mut sums = [[S::splat(0.0); N]; M];
            for seg in 0..segs {
                let at = self.table.add(seg * M);
                let mut i = 0;
                while i < seg_len {
                    let n = (seg_len - i).min(S::LANES);
                    let mut w = [S::splat(0.0); N];
                    for (column, w) in w.iter_mut().enumerate() {
                        *w = load::<S>(self.weights.add(column * k + seg * seg_len + i), n);
                    }
                    for (line, sums) in sums.iter_mut().enumerate() {
                        let x = load::<S>((*at.add(line)).add(i), n);
                        for (column, sum) in sums.iter_mut().enumerate() {
                            *sum = S::fma(x, w[column], *sum);
                        }
                    }
                    i += n;
                }
            }
            for (line, sums) in sums.iter().enumerate() {
                let mut values = [0f32; PANEL];
                for (column, sum) in sums.iter().enumerate() {
                    values[column] = S::sum(*sum);
                }
                self.give::<S>(row + line, values.as_ptr(), N);
            }
            if p.ready.remains() {
                let to = p.c.add(row * p.c_stride);
                p.ready.finish::<S>(to, p.c_stride, p.first_row + row, p.first_col, M, N);
            }
        }
    }

    /// Writes a row with what the tiles' registers would add: bias, residual, and bounds.
    ///
    /// # Safety
    /// The row is this part's own, and `values` has room for whole vectors.
    #[inline(always)]
    unsafe fn give<S: Simd>(&self, row: usize, values: *const f32, n: usize) {
        let p = self.product;
        // SAFETY: C, bias and residual hold the row.
        unsafe {
            for at in (0..n).step_by(S::LANES) {
                let n = (n - at).min(S::LANES);
                let mut v = load::<S>(values.add(at), n);
                let bias = p.ready.bias_at(p.first_col + at);
                if !bias.is_null() {
                    v = S::add(v, load::<S>(bias, n));
                }
                let (residual, _) = p.ready.residual_at(p.first_row + row, p.first_col + at);
                if !residual.is_null() {
                    v = S::add(v, load::<S>(residual, n));
                }
                let v = S::min(S::splat(p.ready.high), S::max(S::splat(p.ready.low), v));
                store::<S>(p.c.add(row * p.c_stride + at), n, v);
            }
        }
    }
}
