//! AVX-512 micro-kernels: rows × (1 to 4) vectors of 16 columns, up to 28 accumulators.

use super::tile::{Tile, TileFn, TileSet};
use crate::pack::PANEL;
use core::arch::asm;
use core::arch::x86_64::*;

#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn tile<const MR: usize, const NV: usize>(t: &Tile) {
    let last = ((1u32 << t.last) - 1) as __mmask16;
    // SAFETY: by the contract of `TileFn`. The last vector of bias, residual and C is masked to existing columns.
    unsafe {
        let mut acc = [[_mm512_setzero_ps(); NV]; MR];
        let mut b = t.b;
        let stride = t.b_stride;
        let mut ahead = t.ahead.ptr;
        for s in 0..t.segs {
            let mut rows = [std::ptr::null::<f32>(); MR];
            for i in 0..MR {
                rows[i] = (*t.rows.add(s * MR + i)).add(t.offset);
            }
            let mut k = 0;
            while k + 4 <= t.seg_len {
                for line in 0..t.ahead.lines {
                    for v in 0..NV {
                        _mm_prefetch::<_MM_HINT_T1>(ahead.wrapping_add(v * stride + line * PANEL).cast());
                    }
                }
                ahead = ahead.wrapping_byte_add(t.ahead.step);
                for u in 0..4 {
                    step::<MR, NV>(&mut acc, &rows, k + u, b.add(u * PANEL), stride);
                }
                b = b.add(4 * PANEL);
                k += 4;
            }
            while k < t.seg_len {
                step::<MR, NV>(&mut acc, &rows, k, b, stride);
                b = b.add(PANEL);
                k += 1;
            }
        }
        let (low, high) = (_mm512_set1_ps(t.low), _mm512_set1_ps(t.high));
        for i in 0..MR {
            for v in 0..NV {
                // The second operand is returned where either is NaN.
                let sum = finish(t, acc[i][v], (i, v), if v == NV - 1 { last } else { 0xffff });
                let r = _mm512_min_ps(high, _mm512_max_ps(low, sum));
                let c = t.c.add(i * t.c_stride + v * PANEL);
                if v == NV - 1 {
                    _mm512_mask_storeu_ps(c, last, r);
                } else {
                    _mm512_storeu_ps(c, r);
                }
            }
        }
    }
}

/// One rank-1 update of the tile.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn step<const MR: usize, const NV: usize>(
    acc: &mut [[__m512; NV]; MR],
    rows: &[*const f32; MR],
    k: usize,
    b: *const f32,
    stride: usize,
) {
    let mut bv = [_mm512_setzero_ps(); NV];
    // SAFETY: the caller has checked that element `k` of each row and this row of each panel exist.
    unsafe {
        for v in 0..NV {
            bv[v] = _mm512_loadu_ps(b.add(v * stride));
        }
        for i in 0..MR {
            row(&mut acc[i], rows[i].add(k), &bv);
        }
    }
}

/// One row of the update. Tiles of three and four vectors leave so few registers that the compiler, which loads the values
/// of A early, would keep sums in memory; there the order is written down.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn row<const NV: usize>(acc: &mut [__m512; NV], a: *const f32, b: &[__m512; NV]) {
    let _x: __m512;
    // SAFETY: the caller has checked that `a` is good for a value; the instructions touch nothing else.
    unsafe {
        if let ([c0, c1, c2], [b0, b1, b2]) = (&mut acc[..], &b[..]) {
            asm!(
                "vbroadcastss {x:z}, dword ptr [{a}]",
                "vfmadd231ps {c0:z}, {b0:z}, {x:z}",
                "vfmadd231ps {c1:z}, {b1:z}, {x:z}",
                "vfmadd231ps {c2:z}, {b2:z}, {x:z}",
                a = in(reg) a, x = out(zmm_reg) _x,
                b0 = in(zmm_reg) *b0, b1 = in(zmm_reg) *b1, b2 = in(zmm_reg) *b2,
                c0 = inout(zmm_reg) *c0, c1 = inout(zmm_reg) *c1, c2 = inout(zmm_reg) *c2,
                options(pure, readonly, nostack, preserves_flags),
            );
            return;
        }
        if let ([c0, c1, c2, c3], [b0, b1, b2, b3]) = (&mut acc[..], &b[..]) {
            asm!(
                "vbroadcastss {x:z}, dword ptr [{a}]",
                "vfmadd231ps {c0:z}, {b0:z}, {x:z}",
                "vfmadd231ps {c1:z}, {b1:z}, {x:z}",
                "vfmadd231ps {c2:z}, {b2:z}, {x:z}",
                "vfmadd231ps {c3:z}, {b3:z}, {x:z}",
                a = in(reg) a, x = out(zmm_reg) _x,
                b0 = in(zmm_reg) *b0, b1 = in(zmm_reg) *b1, b2 = in(zmm_reg) *b2, b3 = in(zmm_reg) *b3,
                c0 = inout(zmm_reg) *c0, c1 = inout(zmm_reg) *c1, c2 = inout(zmm_reg) *c2, c3 = inout(zmm_reg) *c3,
                options(pure, readonly, nostack, preserves_flags),
            );
            return;
        }
        let x = _mm512_set1_ps(*a);
        for v in 0..NV {
            acc[v] = _mm512_fmadd_ps(x, b[v], acc[v]);
        }
    }
}

/// The sum of a block of the inner dimension with what C holds, or with bias and residual. They come last, so that the
/// sum is rounded at its own size and not at theirs.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn finish(t: &Tile, sum: __m512, (i, v): (usize, usize), mask: __mmask16) -> __m512 {
    let mut sum = sum;
    // SAFETY: by the contract of `TileFn`.
    unsafe {
        if t.accumulate {
            return _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, t.c.add(i * t.c_stride + v * PANEL)));
        }
        if !t.bias.is_null() {
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, t.bias.add(v * PANEL)));
        }
        if !t.residual.is_null() {
            let at = t.residual.add(i * t.residual_stride + v * PANEL);
            sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, at));
        }
    }
    sum
}

const ONE: &[TileFn] = &[
    tile::<1, 1>,
    tile::<2, 1>,
    tile::<3, 1>,
    tile::<4, 1>,
    tile::<5, 1>,
    tile::<6, 1>,
    tile::<7, 1>,
    tile::<8, 1>,
    tile::<9, 1>,
    tile::<10, 1>,
    tile::<11, 1>,
    tile::<12, 1>,
    tile::<13, 1>,
    tile::<14, 1>,
];
const TWO: &[TileFn] = &[
    tile::<1, 2>,
    tile::<2, 2>,
    tile::<3, 2>,
    tile::<4, 2>,
    tile::<5, 2>,
    tile::<6, 2>,
    tile::<7, 2>,
    tile::<8, 2>,
    tile::<9, 2>,
    tile::<10, 2>,
    tile::<11, 2>,
    tile::<12, 2>,
    tile::<13, 2>,
    tile::<14, 2>,
];
const THREE: &[TileFn] =
    &[tile::<1, 3>, tile::<2, 3>, tile::<3, 3>, tile::<4, 3>, tile::<5, 3>, tile::<6, 3>, tile::<7, 3>, tile::<8, 3>];
const FOUR: &[TileFn] = &[tile::<1, 4>, tile::<2, 4>, tile::<3, 4>, tile::<4, 4>, tile::<5, 4>, tile::<6, 4>];

/// Tiles of at most 64 columns.
pub(crate) static UP_TO_64: TileSet = TileSet { max_rows: &[14, 14, 8, 6], table: &[ONE, TWO, THREE, FOUR] };
/// Tiles of at most 48 columns.
pub(crate) static UP_TO_48: TileSet = TileSet { max_rows: &[14, 14, 8], table: &[ONE, TWO, THREE] };
/// Tiles of at most 32 columns.
pub(crate) static UP_TO_32: TileSet = TileSet { max_rows: &[14, 14], table: &[ONE, TWO] };
