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
        let mut acc = begin::<MR>(t, masks);
        let mut b = t.b;
        for s in 0..t.segs {
            let mut rows = [std::ptr::null::<f32>(); MR];
            for i in 0..MR {
                rows[i] = (*t.rows.add(s * MR + i)).add(t.offset);
            }
            for k in 0..t.seg_len {
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
        let (low, high) = (_mm256_set1_ps(t.low), _mm256_set1_ps(t.high));
        for i in 0..MR {
            for v in 0..2 {
                // The second operand is returned where either is NaN.
                let r = _mm256_min_ps(high, _mm256_max_ps(low, acc[i][v]));
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

/// The accumulators' first values: what C holds, or bias and residual.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn begin<const MR: usize>(t: &Tile, masks: [__m256i; 2]) -> [[__m256; 2]; MR] {
    let mut acc = [[_mm256_setzero_ps(); 2]; MR];
    // SAFETY: by the contract of `TileFn`.
    unsafe {
        for i in 0..MR {
            for v in 0..2 {
                if t.accumulate {
                    acc[i][v] = _mm256_maskload_ps(t.c.wrapping_add(i * t.c_stride + v * 8), masks[v]);
                    continue;
                }
                if !t.bias.is_null() {
                    acc[i][v] = _mm256_maskload_ps(t.bias.wrapping_add(v * 8), masks[v]);
                }
                if !t.residual.is_null() {
                    let at = t.residual.wrapping_add(i * t.residual_stride + v * 8);
                    acc[i][v] = _mm256_add_ps(acc[i][v], _mm256_maskload_ps(at, masks[v]));
                }
            }
        }
    }
    acc
}

/// Tiles of 16 columns.
pub(crate) static TILES: TileSet =
    TileSet { max_rows: &[6], table: &[&[tile::<1>, tile::<2>, tile::<3>, tile::<4>, tile::<5>, tile::<6>]] };
