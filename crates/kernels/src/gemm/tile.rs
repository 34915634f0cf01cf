//! The contract between the blocking loops and the micro-kernels that compute one tile of the result in registers.
//!
//! A tile is `rows` × (`panels` × 16 columns). Rows of A are read in place through a table of pointers, so that a plain
//! matrix and the shifted pixels of a convolution are the same to a micro-kernel.

use crate::pack::PANEL;

/// One call of a micro-kernel. Pointers are good for what the fields say.
pub(crate) struct Tile {
    /// `segs * rows` pointers, segment by segment; each to at least `offset + seg_len` values.
    pub rows: *const *const f32,
    /// Segments that the inner dimension is cut into.
    pub segs: usize,
    /// Values per segment.
    pub seg_len: usize,
    /// Values to skip at the start of each segment.
    pub offset: usize,
    /// First panel of B at the first row used: `segs * seg_len` rows of 16.
    pub b: *const f32,
    /// Elements between panels of B.
    pub b_stride: usize,
    /// First element of the tile in C.
    pub c: *mut f32,
    /// Elements between rows of C.
    pub c_stride: usize,
    /// Add to what C holds instead of starting from bias and residual.
    pub accumulate: bool,
    /// Bias of the tile's columns, or null.
    pub bias: *const f32,
    /// Residual at the tile's first element, or null.
    pub residual: *const f32,
    /// Elements between rows of the residual.
    pub residual_stride: usize,
    /// Results are clamped to at least this; a NaN stays.
    pub low: f32,
    /// Results are clamped to at most this; a NaN stays.
    pub high: f32,
    /// Columns of the last panel that exist, 1 to 16.
    pub last: usize,
    /// The part of B wanted next, to be fetched into the second-level cache meanwhile; null for none.
    pub ahead: Ahead,
}

/// What to fetch while a tile is computed: in each panel, `lines` cache lines at a time, `step` bytes further with every
/// four values of the inner dimension. Addresses are hints and need not be valid.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub ptr: *const f32,
    pub step: usize,
    pub lines: usize,
}

impl Ahead {
    /// Nothing to fetch.
    pub const NONE: Ahead = Ahead { ptr: std::ptr::null(), step: 0, lines: 0 };

    /// The share of tile `index` of `count` in fetching `rows` rows of each panel from `b` on.
    pub fn share(b: *const f32, rows: usize, index: usize, count: usize) -> Ahead {
        let ptr = b.wrapping_add(rows * index / count * PANEL);
        Ahead { ptr, step: 256 / count, lines: 4usize.div_ceil(count) }
    }
}

/// A micro-kernel of fixed rows and panels.
///
/// # Safety
/// The tile's pointers are good as its fields say, and the machine has the instruction set.
pub(crate) type TileFn = unsafe fn(&Tile);

/// The micro-kernels of an instruction set.
pub(crate) struct TileSet {
    /// Most rows by number of panels, from 1 panel up.
    pub max_rows: &'static [usize],
    /// `table[panels - 1][rows - 1]`.
    pub table: &'static [&'static [TileFn]],
}

impl TileSet {
    /// Most panels a tile may have.
    pub fn max_panels(&self) -> usize {
        self.max_rows.len()
    }
}

/// Portable micro-kernel: plain loops over arrays, which the compiler vectorises for any target.
pub(crate) unsafe fn portable<const MR: usize>(t: &Tile) {
    let mut acc = [[0f32; PANEL]; MR];
    // SAFETY: by the contract of `TileFn`; only the first `last` columns of bias, residual and C are touched.
    unsafe {
        let mut b = t.b;
        for s in 0..t.segs {
            let rows: [*const f32; MR] = std::array::from_fn(|i| (*t.rows.add(s * MR + i)).add(t.offset));
            for k in 0..t.seg_len {
                let bv = b.cast::<[f32; PANEL]>().read_unaligned();
                for i in 0..MR {
                    let a = *rows[i].add(k);
                    for j in 0..PANEL {
                        acc[i][j] += a * bv[j];
                    }
                }
                b = b.add(PANEL);
            }
        }
        for i in 0..MR {
            for j in 0..t.last {
                let v = acc[i][j] + rest(t, i, j);
                let v = if v < t.low { t.low } else { v };
                *t.c.add(i * t.c_stride + j) = if v > t.high { t.high } else { v };
            }
        }
    }
}

/// What C holds, or bias and residual: added last, so that the sum is rounded at its own size and not at theirs.
#[inline(always)]
unsafe fn rest(t: &Tile, i: usize, j: usize) -> f32 {
    // SAFETY: by the contract of `TileFn`.
    unsafe {
        if t.accumulate {
            return *t.c.add(i * t.c_stride + j);
        }
        let bias = if t.bias.is_null() { 0.0 } else { *t.bias.add(j) };
        if t.residual.is_null() { bias } else { bias + *t.residual.add(i * t.residual_stride + j) }
    }
}

pub(crate) static PORTABLE: TileSet =
    TileSet { max_rows: &[4], table: &[&[portable::<1>, portable::<2>, portable::<3>, portable::<4>]] };
