//! From a result tile in scratch memory to C: the check of what the split may have spoilt, bias, residual, clamp, and
//! the epilogue's remaining steps.

use super::TILE;
use super::split;
use super::unit::RESULT;
use crate::gemm::drive::{Product, Rows};
use crate::pack::PANEL;
use crate::simd::Simd;
use core::arch::x86_64::*;
use std::ops::Range;

/// Where operands were tiny, results of less magnitude than this may lack what was lost as subnormal: at most 2^16 sums,
/// each short of at most 7 · 2^-126 times a value below 2^40, is below 2^-67, which is 2^-27 of this.
const SURE: f32 = 1.0 / (1u64 << 40) as f32;

/// Finishes rows `at` of column tile `j`, whose sums lie in `c`; computes rows of it anew with fused multiply-adds where they or the
/// columns hold what does not split. `of_rows` and `of_columns` are the flags of the tile's operands.
///
/// # Safety
/// As for [`crate::gemm::Tiles::part`]; `c` holds the tile's sums and `table` has the bytes of
/// [`crate::gemm::drive::table_bytes`].
pub(super) unsafe fn tile<S: Simd, R: Rows>(
    product: &Product<'_, R>,
    at: Range<usize>,
    j: usize,
    c: *const f32,
    (of_rows, of_columns): (u8, u8),
    table: *mut *const f32,
) {
    let (row, col) = (at.start, j * TILE);
    let (rows, cols) = (at.len(), (product.n - col).min(TILE));
    // SAFETY: the tile lies inside the product; the rest by this function's contract.
    unsafe {
        give(product, (row, col), (rows, cols), c);
        if product.ready.remains() {
            let to = product.c.wrapping_add(row * product.c_stride + col);
            let (r, q) = (product.first_row + row, product.first_col + col);
            product.ready.finish::<S>(to, product.c_stride, r, q, rows, cols);
        }
        if of_rows | of_columns == 0 {
            return;
        }
        let spoilt = |r: usize| {
            let small = smallest(c, r, cols) < SURE;
            if of_rows | of_columns == split::Range::TINY && !small {
                return false;
            }
            let flags = of_columns | if of_rows == 0 { 0 } else { split::row_flags(product.rows, row + r, table) };
            flags & split::Range::HUGE != 0 || flags & split::Range::TINY != 0 && small
        };
        let panels = col / PANEL..(col + cols).div_ceil(PANEL);
        let mut r = 0;
        while r < rows {
            let end = (r..rows).find(|&r| !spoilt(r)).unwrap_or(rows);
            if end > r {
                product.region::<S>(row + r..row + end, panels.clone(), table);
            }
            r = end + 1;
        }
    }
}

/// Adds one result tile to another.
///
/// # Safety
/// Both hold [`RESULT`] values.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn add(to: *mut f32, from: *const f32) {
    for i in (0..RESULT).step_by(16) {
        // SAFETY: by the contract above.
        unsafe { _mm512_storeu_ps(to.add(i), _mm512_add_ps(_mm512_loadu_ps(to.add(i)), _mm512_loadu_ps(from.add(i)))) };
    }
}

/// Element (row, column of 16) of a result tile: four tiles of 16 × 16 after one another.
fn line(row: usize, panel: usize) -> usize {
    (row / 16 * 2 + panel) * 256 + row % 16 * 16
}

/// Mask of the columns of panel `panel` that exist.
fn mask(cols: usize, panel: usize) -> __mmask16 {
    let n = cols.saturating_sub(panel * PANEL).min(PANEL);
    ((1u32 << n) - 1) as __mmask16
}

/// The smallest magnitude in a row of a tile; that of NaN is none.
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn smallest(c: *const f32, row: usize, cols: usize) -> f32 {
    let mut least = _mm512_set1_ps(f32::INFINITY);
    for panel in 0..2 {
        // SAFETY: the tile holds 32 × 32 values.
        let v = unsafe { _mm512_abs_ps(_mm512_loadu_ps(c.add(line(row, panel)))) };
        least = _mm512_mask_min_ps(least, mask(cols, panel), v, least);
    }
    _mm512_reduce_min_ps(least)
}

/// Writes a tile to C with bias, residual and clamp.
#[target_feature(enable = "avx512f,avx512dq")]
unsafe fn give<R: Rows>(
    product: &Product<'_, R>,
    (row, col): (usize, usize),
    (rows, cols): (usize, usize),
    c: *const f32,
) {
    let ready = product.ready;
    let (low, high) = (_mm512_set1_ps(ready.low), _mm512_set1_ps(ready.high));
    let bias = ready.bias_at(product.first_col + col);
    let (residual, residual_stride) = ready.residual_at(product.first_row + row, product.first_col + col);
    let to = product.c.wrapping_add(row * product.c_stride + col);
    let panels = cols.div_ceil(PANEL);
    let mut biases = [_mm512_setzero_ps(); 2];
    // SAFETY: rows and columns under the mask exist in C, bias and residual; the tile holds 32 × 32 values.
    unsafe {
        for panel in 0..panels {
            if !bias.is_null() {
                biases[panel] = _mm512_maskz_loadu_ps(mask(cols, panel), bias.add(panel * PANEL));
            }
        }
        for i in 0..rows {
            for panel in 0..panels {
                let m = mask(cols, panel);
                let mut v = _mm512_loadu_ps(c.add(line(i, panel)));
                if !bias.is_null() {
                    v = _mm512_add_ps(v, biases[panel]);
                }
                if !residual.is_null() {
                    let at = residual.add(i * residual_stride + panel * PANEL);
                    v = _mm512_add_ps(v, _mm512_maskz_loadu_ps(m, at));
                }
                // The second operand is returned where either is NaN.
                let v = _mm512_min_ps(high, _mm512_max_ps(low, v));
                _mm512_mask_storeu_ps(to.add(i * product.c_stride + panel * PANEL), m, v);
            }
        }
    }
}
