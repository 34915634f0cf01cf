//! AVX2 micro-kernels with FMA: 1 to 6 rows × 16 columns, up to 12 accumulators.

use super::tile::{Tile, TileSet};
use crate::pack::PANEL;
use core::arch::x86_64::*;

#[inline]
#[target_feature(enable = "avx2")]
fn mask(n: usize) -> __m256i {
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7))
}

#[target_feature(enable = "avx2,fma")]
unsafe fn tile<const MR: usize>(t: &Tile) {
    let masks = [mask(t.last.min(8)), mask(t.last.saturating_sub(8))];
    // SAFETY: by the contract of `TileFn`. Bias, residual and C are masked to existing columns.
    unsafe {
        let mut acc = [[_mm256_setzero_ps(); 2]; MR];
        let (mut b, mut ahead) = (t.b, t.ahead.ptr.cast::<i8>());
        for s in 0..t.segs {
            let mut rows = [std::ptr::null::<f32>(); MR];
            for i in 0..MR {
                rows[i] = (*t.rows.add(s * MR + i)).add(t.offset);
            }
            for k in 0..t.seg_len {
                if k % 4 == 0 {
                    for line in 0..t.ahead.lines {
                        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64 * line));
                    }
                    ahead = ahead.wrapping_add(t.ahead.step);
                }
                let bv = [_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8))];
                for i in 0..MR {
                    let a = _mm256_broadcast_ss(&*rows[i].add(k));
                    for v in 0..2 {
                        acc[i][v] = _mm256_fmadd_ps(a, bv[v], acc[i][v]);
                    }
                }
                b = b.add(PANEL);
            }
        }
        // Through memory: steps this long are not unrolled, and sums that a loop picks by number would lie there throughout.
        let mut sums = [[0f32; PANEL]; MR];
        for i in 0..MR {
            for v in 0..2 {
                _mm256_storeu_ps(sums[i].as_mut_ptr().add(8 * v), acc[i][v]);
            }
        }
        let (low, high) = (_mm256_set1_ps(t.low), _mm256_set1_ps(t.high));
        for i in 0..MR {
            for v in 0..2 {
                // The second operand is returned where either is NaN.
                let sum = finish(t, _mm256_loadu_ps(sums[i].as_ptr().add(8 * v)), (i, v), masks[v]);
                let r = _mm256_min_ps(high, _mm256_max_ps(low, sum));
                let c = t.c.wrapping_add(i * t.c_stride + v * 8);
                if t.last == PANEL {
                    _mm256_storeu_ps(c, r);
                } else {
                    _mm256_maskstore_ps(c, masks[v], r);
                }
            }
        }
    }
}

/// The sum of a block of the inner dimension with what C holds, or with bias and residual. They come last, so that the
/// sum is rounded at its own size and not at theirs.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn finish(t: &Tile, sum: __m256, (i, v): (usize, usize), mask: __m256i) -> __m256 {
    let mut sum = sum;
    // SAFETY: by the contract of `TileFn`.
    unsafe {
        if t.accumulate {
            return _mm256_add_ps(sum, _mm256_maskload_ps(t.c.wrapping_add(i * t.c_stride + v * 8), mask));
        }
        if !t.bias.is_null() {
            sum = _mm256_add_ps(sum, _mm256_maskload_ps(t.bias.wrapping_add(v * 8), mask));
        }
        if !t.residual.is_null() {
            let at = t.residual.wrapping_add(i * t.residual_stride + v * 8);
            sum = _mm256_add_ps(sum, _mm256_maskload_ps(at, mask));
        }
    }
    sum
}

/// Tiles of 16 columns.
pub(crate) static TILES: TileSet =
    TileSet { max_rows: &[6], table: &[&[tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>]] };
