//! The right operand: blocks of panels, packed beforehand, from a matrix, or from the planes of an image.

use super::unit::{BLOCK, PANEL, QUAD};
use crate::mem::Shared;
use crate::simd::{Body, Simd};

/// A right operand as it lies in memory.
pub(super) struct Right<'a> {
    pub data: Shared<u8>,
    /// What turns its bytes into unsigned ones by exclusive or.
    pub flip: u8,
    pub k: usize,
    pub n: usize,
    pub from: From<'a>,
}

/// How its elements lie.
pub(super) enum From<'a> {
    /// In panels.
    Packed,
    /// Element (k, n) at `k * rows + n * columns`.
    Strided { rows: usize, columns: usize },
    /// A row is a run of bytes from its offset on; behind the last lie [`BLOCK`] more that may be read.
    Runs(&'a [usize]),
}

impl Right<'_> {
    /// Bytes of a block.
    pub fn block_bytes(&self) -> usize {
        self.k.div_ceil(QUAD).saturating_mul(QUAD * BLOCK)
    }

    /// True where blocks lie in memory as units want them.
    pub fn is_packed(&self) -> bool {
        matches!(self.from, From::Packed)
    }

    /// The address of a block of a packed operand.
    pub fn packed_block(&self, block: usize) -> *const u8 {
        self.data.get().wrapping_add(block * self.block_bytes()).cast_const()
    }
}

/// Packs `columns` columns, at most [`BLOCK`], from `first` on, into panels at `to`.
pub(super) struct Pack<'a> {
    pub right: &'a Right<'a>,
    /// Where the matrix, or the group's first plane, begins.
    pub at: *const u8,
    pub first: usize,
    pub columns: usize,
    pub to: *mut u8,
}

impl Body for Pack<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut lines = [[0u8; BLOCK]; QUAD];
        let k = self.right.k;
        // SAFETY: the caller's: the operand holds the columns and `to` a block.
        unsafe {
            for q in 0..k.div_ceil(QUAD) {
                let rows = (k - q * QUAD).min(QUAD);
                match self.right.from {
                    From::Packed => return,
                    From::Strided { rows: 1, columns } if rows == QUAD => {
                        self.quads(q, columns);
                        continue;
                    }
                    From::Strided { rows: step, columns } => {
                        for (i, line) in lines.iter_mut().enumerate().take(rows) {
                            let from = self.at.add((q * QUAD + i) * step + self.first * columns);
                            copy(from, columns, &mut line[..self.columns]);
                        }
                    }
                    From::Runs(offsets) => {
                        let offsets = &offsets[q * QUAD..][..rows];
                        // Rows behind the last meet zeros of the other operand.
                        let mut at = [self.at; QUAD];
                        for (i, at) in at.iter_mut().enumerate() {
                            *at = at.add(offsets[i.min(rows - 1)] + self.first);
                        }
                        self.interleave(at, q);
                        continue;
                    }
                }
                let [a, b, c, d] = &lines;
                self.interleave([a.as_ptr(), b.as_ptr(), c.as_ptr(), d.as_ptr()], q);
            }
        }
    }
}

/// # Safety
/// There are so many elements `step` apart.
#[inline(always)]
unsafe fn copy(from: *const u8, step: usize, to: &mut [u8]) {
    // SAFETY: by the contract.
    unsafe {
        if step == 1 {
            std::ptr::copy_nonoverlapping(from, to.as_mut_ptr(), to.len());
        } else {
            to.iter_mut().enumerate().for_each(|(i, v)| *v = *from.add(i * step));
        }
    }
}

impl Pack<'_> {
    fn panel(&self, panel: usize, q: usize) -> *mut u8 {
        self.to.wrapping_add((panel * self.right.k.div_ceil(QUAD) + q) * PANEL * QUAD)
    }

    /// Writes four rows of the block as quads.
    ///
    /// # Safety
    /// Each row has [`BLOCK`] bytes.
    #[inline(always)]
    unsafe fn interleave(&self, rows: [*const u8; QUAD], q: usize) {
        let flip = u32::from_ne_bytes([self.right.flip; 4]);
        for panel in 0..self.columns.div_ceil(PANEL) {
            let mut out = [flip; PANEL];
            for (i, row) in rows.into_iter().enumerate() {
                // SAFETY: by the contract.
                let bytes = unsafe { row.add(panel * PANEL).cast::<[u8; PANEL]>().read_unaligned() };
                for (quad, byte) in out.iter_mut().zip(bytes) {
                    *quad ^= u32::from(byte) << (8 * i);
                }
            }
            // SAFETY: the block has room for the panel's quads.
            unsafe { self.panel(panel, q).cast::<[u32; PANEL]>().write_unaligned(out) };
        }
    }

    /// Quad `q` of columns whose elements follow one another.
    ///
    /// # Safety
    /// The operand holds the columns, and `to` a block.
    #[inline(always)]
    unsafe fn quads(&self, q: usize, column_stride: usize) {
        let flip = u32::from_ne_bytes([self.right.flip; 4]);
        for i in 0..self.columns {
            // SAFETY: the column has the quad, and the block room for it.
            unsafe {
                let from = self.at.add((self.first + i) * column_stride + q * QUAD).cast::<u32>();
                let to = self.panel(i / PANEL, q).cast::<u32>().add(i % PANEL);
                to.write_unaligned(from.read_unaligned() ^ flip);
            }
        }
    }
}
