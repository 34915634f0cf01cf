//! AVX-512 micro-kernels: rows × (1 to 4) vectors of 16 columns, up to 28 accumulators.
//!
//! One text of assembly makes them all. The compiler would keep some accumulators of large tiles in memory wherever a
//! segment ends, which costs a convolution of few channels a quarter of its time.

use super::tile::{Tile, TileFn, TileSet};
use core::arch::asm;
use std::mem::offset_of;
use std::ptr;

/// What follows the sums.
#[repr(C)]
struct End {
    added: [Added; 2],
    low: f32,
    high: f32,
    clamped: u64,
    /// Which columns of the last vector exist.
    mask: u64,
}

/// A matrix that is added, or null, and the elements between its rows.
#[repr(C)]
struct Added(*const f32, usize);

impl End {
    fn of(t: &Tile) -> End {
        // What C holds, or bias and residual, come last, so that the sum is rounded at its own size and not at theirs.
        let added = match t.accumulate {
            true => [Added(t.c, t.c_stride), Added(ptr::null(), 0)],
            false => [Added(t.bias, 0), Added(t.residual, t.residual_stride)],
        };
        let clamped = u64::from(t.low > f32::NEG_INFINITY || t.high < f32::INFINITY);
        End { added, low: t.low, high: t.high, clamped, mask: (1 << t.last) - 1 }
    }
}

/// The micro-kernel of these rows and vectors.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn tile<const ROWS: usize, const VECTORS: usize>(t: &Tile) {
    const { assert!((ROWS + 1) * VECTORS < 32 && 0 < VECTORS && VECTORS <= 4) };
    let end = End::of(t);
    // SAFETY: by the contract of `TileFn`. Of the last vector of C and of what is added only existing columns are
    // touched. All registers that change are declared, and the stack is not used.
    unsafe {
        asm!(
            include_str!("avx512_tile.s"),
            rows = const ROWS,
            vectors = const VECTORS,
            table = const offset_of!(Tile, rows),
            segs = const offset_of!(Tile, segs),
            seg_len = const offset_of!(Tile, seg_len),
            offset = const offset_of!(Tile, offset),
            b = const offset_of!(Tile, b),
            b_stride = const offset_of!(Tile, b_stride),
            c = const offset_of!(Tile, c),
            c_stride = const offset_of!(Tile, c_stride),
            ahead = const offset_of!(Tile, ahead.ptr),
            step = const offset_of!(Tile, ahead.step),
            lines = const offset_of!(Tile, ahead.lines),
            added = const offset_of!(End, added),
            low = const offset_of!(End, low),
            high = const offset_of!(End, high),
            clamped = const offset_of!(End, clamped),
            mask = const offset_of!(End, mask),
            in("rdi") t,
            in("r15") &raw const end,
            out("r12") _,
            out("r13") _,
            out("r14") _,
            clobber_abi("sysv64"),
            options(nostack),
        );
    }
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
