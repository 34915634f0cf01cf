//! f32 products on the tile registers of AMX: each value is the sum of bf16 parts, and the products of parts that matter
//! are summed in f32.
//!
//! With a = a1 + a2 + a3 and b likewise, the product is a1·b3 + a1·b2 + a2·b2 + a2·b1 + a3·b1 + a1·b1 but for 2^-24 of
//! it. 32 values of the inner dimension are summed between two roundings to f32, so that the error is below that of
//! a chain of fused multiply-adds.
//!
//! With two parts, for who asked for it, the product is a1·b2 + a2·b1 + a1·b1. A value is its two parts but for 2^-17 of
//! it, and a2·b2 is at most 2^-16 of the product: a result is at most 2^-15 of the sum of the products' magnitudes from
//! the exact one, and the rounding of f32.
//!
//! Operands are split where they are used, into scratch memory of the size of the second-level cache: either a block of rows
//! stays there while column tiles are split one after the other, or, where B is small, all of B stays while row tiles pass.
//! A result depends on its own row of A and on its column tile of B, not on the rows beside it: not on how a product is cut
//! for threads or into bands.
//!
//! Rows and column tiles that hold what does not split ([`split::Range`]) are computed by the fused multiply-add kernel.

mod finish;
mod offer;
mod split;
mod unit;

use super::drive::{Product, Rows, table_bytes};
use super::{Tiles, avx512, tile::TileSet};
use crate::pack::PANEL;
use crate::simd::Simd;
use modelsmith_pool::cut;
use std::ops::Range;

use crate::amx::Configured;
pub(crate) use offer::{ISA, nanoseconds, takes, work};
pub(super) use offer::{accepts, cost};
use split::Seen;
use unit::{Feed, PART_BYTES, RESULT, Unit};
pub(crate) use unit::{STEP, products};

/// Rows and columns of a tile.
pub(super) const TILE: usize = 32;
/// Rows of half a tile, in which parts of a product are cut.
const HALF: usize = TILE / 2;
/// Bytes of split values that stay in the second-level cache.
const RESIDENT: usize = 3 << 18;
/// Most row tiles in a block.
const BLOCK_ROWS: usize = 8;
/// Fewer row tiles than this leave little time for splitting column tiles between their products.
const FEW: usize = 4;
/// Most steps in a block of the inner dimension.
const BLOCK_STEPS: usize = 48;
/// Most steps that are summed in tile registers. Sums of so many are added in f32, so that the error grows with the root of
/// this and not of the whole inner dimension, as with fused multiply-adds. Blocks of the inner dimension hold whole sums, so
/// that a result does not depend on how many rows are computed beside it.
const SUM_STEPS: usize = 12;
/// Most bytes of results between two blocks of the inner dimension.
const BETWEEN: usize = 4 << 20;

/// Tiles of 32 × 32 on AMX, of values as sums of `PARTS` parts: three, or two.
pub(crate) struct Amx32x32<const PARTS: usize>;

impl<const PARTS: usize> Tiles for Amx32x32<PARTS> {
    const SET: &'static TileSet = &avx512::UP_TO_32;
    const SHARE: f64 = 0.9;

    fn scratch(size: [usize; 3], segs: usize) -> usize {
        Blocks::new(size, PARTS).places(segs).total
    }

    fn grid([m, n, k]: [usize; 3], threads: usize) -> (usize, usize) {
        if threads <= 1 || m.saturating_mul(n).saturating_mul(k) < 256 * 1024 {
            return (1, 1);
        }
        offer::grid::<PARTS>(&Blocks::new([m, n, k], PARTS), threads)
    }

    fn record_bytes(values: usize) -> Option<usize> {
        values.is_multiple_of(STEP).then_some(values / STEP * PARTS * split::LINE + split::RECORD_FLAGS)
    }

    unsafe fn record(from: *const f32, values: usize, to: *mut u8) {
        // SAFETY: passed on.
        unsafe { split::record::<PARTS>(from, values, to) }
    }

    unsafe fn part<S: Simd, R: Rows>(
        product: &Product<'_, R>,
        parts: (usize, usize),
        part: (usize, usize),
        scratch: *mut u8,
    ) {
        let (segs, seg_len) = product.rows.segments();
        let blocks = Blocks::new([product.m, product.n, segs * seg_len], PARTS);
        let halves = cut(blocks.halves, parts.0, part.0);
        let cols = cut(blocks.col_tiles, parts.1, part.1);
        if halves.is_empty() || cols.is_empty() || blocks.steps == 0 {
            return;
        }
        let rows = halves.start * HALF..(halves.end * HALF).min(product.m);
        // SAFETY: by the contract of `Tiles::part`; the scratch was sized by the same blocks.
        unsafe {
            let _tiles = Configured::new();
            let work = Work::<_, PARTS> { product, rows, places: blocks.places(segs), blocks, scratch };
            work.part::<S>(cols);
        }
    }
}

/// How a product is cut; a function of its sizes only.
#[derive(Clone, Copy)]
struct Blocks {
    /// Row tiles of the whole product, and halves of them.
    row_tiles: usize,
    halves: usize,
    col_tiles: usize,
    steps: usize,
    /// All of B stays split while row tiles pass; else blocks of rows stay while column tiles pass.
    keeps_b: bool,
    /// Row tiles, column tiles and steps in a block.
    block: [usize; 3],
    /// Bytes of a step of a tile: two operand tiles.
    pair_bytes: usize,
}

/// Where things lie in a worker's scratch: byte offsets.
#[derive(Clone, Copy)]
struct Places {
    a: usize,
    b: usize,
    /// Result tiles, and the sum of some steps of one.
    c: usize,
    part: usize,
    /// One byte of [`split::Range`] for each row tile and each column tile of a block.
    flags: usize,
    table: usize,
    total: usize,
}

impl Blocks {
    fn new([m, n, k]: [usize; 3], parts: usize) -> Blocks {
        let pair_bytes = 2 * parts * PART_BYTES;
        let (row_tiles, col_tiles) = (m.div_ceil(TILE), n.div_ceil(TILE));
        let steps = k.div_ceil(STEP);
        let b_bytes = col_tiles.saturating_mul(steps).saturating_mul(pair_bytes);
        let keeps_b = b_bytes <= RESIDENT && row_tiles > col_tiles;
        let block = if keeps_b {
            [1, col_tiles, steps]
        } else {
            let rows = even(row_tiles, BLOCK_ROWS).max(1);
            let most = (RESIDENT / pair_bytes / rows).clamp(SUM_STEPS, BLOCK_STEPS);
            let steps_block = steps.min(most - most % SUM_STEPS);
            let between = if steps_block < steps { BETWEEN / (4 * RESULT) / rows } else { usize::MAX };
            [rows, col_tiles.min(between).max(1), steps_block]
        };
        Blocks { row_tiles, halves: m.div_ceil(HALF), col_tiles, steps, keeps_b, block, pair_bytes }
    }

    fn places(&self, segs: usize) -> Places {
        let [rows, cols, steps] = self.block;
        let (kept_rows, kept_cols) = if self.keeps_b { (1, cols) } else { (rows, 2) };
        let results = if steps < self.steps { rows * cols } else { 1 };
        let a = 0;
        let b = a + kept_rows * steps * self.pair_bytes;
        let c = b + kept_cols * steps * self.pair_bytes;
        let part = c + results * RESULT * 4;
        let flags = part + RESULT * 4;
        let table = flags + (rows + cols).next_multiple_of(64);
        Places { a, b, c, part, flags, table, total: table.saturating_add(table_bytes(segs)) }
    }
}

/// The size of nearly equal blocks of at most `most` that `count` is cut into.
fn even(count: usize, most: usize) -> usize {
    count.div_ceil(count.div_ceil(most).max(1))
}

/// One part of a product under way.
struct Work<'a, R, const PARTS: usize> {
    product: &'a Product<'a, R>,
    /// Rows of the part; its row tiles count from the first.
    rows: Range<usize>,
    blocks: Blocks,
    places: Places,
    scratch: *mut u8,
}

/// A block of row tiles and column tiles with the steps that are summed at once.
struct Block {
    rows: Range<usize>,
    cols: Range<usize>,
    steps: Range<usize>,
    first: bool,
    last: bool,
}

impl<R: Rows, const PARTS: usize> Work<'_, R, PARTS> {
    /// Bytes of a step of one operand tile.
    const STEP_BYTES: usize = PARTS * PART_BYTES;

    /// # Safety
    /// As for [`Tiles::part`]; the thread holds a [`Configured`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn part<S: Simd>(&self, cols: Range<usize>) {
        let row_tiles = self.rows.len().div_ceil(TILE);
        let [block_rows, block_cols, block_steps] = self.blocks.block;
        let pieces = self.blocks.steps.div_ceil(block_steps);
        for col in cols.clone().step_by(block_cols) {
            let cols = col..(col + block_cols).min(cols.end);
            if self.blocks.keeps_b {
                for (at, j) in cols.clone().enumerate() {
                    // SAFETY: as for this function; B is all of one block.
                    unsafe { note(self.flags(1 + at), self.next(j, &(0..self.blocks.steps)).finish::<PARTS>(), true) };
                }
            }
            for row in (0..row_tiles).step_by(block_rows) {
                for piece in 0..pieces {
                    let block = Block {
                        rows: row..(row + block_rows).min(row_tiles),
                        cols: cols.clone(),
                        steps: piece * block_steps..((piece + 1) * block_steps).min(self.blocks.steps),
                        first: piece == 0,
                        last: piece + 1 == pieces,
                    };
                    // SAFETY: as for this function.
                    unsafe { self.block::<S>(&block) };
                }
            }
        }
    }

    /// # Safety
    /// As for [`Work::part`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn block<S: Simd>(&self, block: &Block) {
        // SAFETY: as for this function.
        unsafe {
            for (at, i) in block.rows.clone().enumerate() {
                self.split_a(i, at, block.steps.clone(), block.first);
            }
            let mut next = self.next(block.cols.start, &block.steps);
            for (at, j) in block.cols.clone().enumerate() {
                if !self.blocks.keeps_b {
                    note(self.flags(self.blocks.block[0] + at), next.finish::<PARTS>(), block.first);
                    next = self.next(j + 1, &block.steps);
                }
                if self.blocks.keeps_b || j + 1 == block.cols.end {
                    next.whole = 0;
                }
                for i in block.rows.clone() {
                    self.tile::<S>(block, (i, j), &mut next);
                }
            }
        }
    }

    fn at(&self, place: usize) -> *mut u8 {
        self.scratch.wrapping_add(place)
    }

    /// The flags of row tile or column tile `at` of the block.
    fn flags(&self, at: usize) -> *mut u8 {
        self.at(self.places.flags + at)
    }

    /// Pointers to the two halves of split tile `at` of `steps` steps.
    fn halves(&self, place: usize, at: usize, steps: usize) -> [*mut u8; 2] {
        let first = self.at(place + at * steps * self.blocks.pair_bytes);
        [first, first.wrapping_add(steps * Self::STEP_BYTES)]
    }

    /// Splits row tile `i` to place `at`.
    ///
    /// # Safety
    /// As for [`Work::part`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn split_a(&self, i: usize, at: usize, steps: Range<usize>, first: bool) {
        let table = self.at(self.places.table).cast();
        let mut flags = 0;
        for (half, to) in self.halves(self.places.a, at, steps.len()).into_iter().enumerate() {
            let row = self.rows.start + i * TILE + half * HALF;
            let count = self.rows.end.saturating_sub(row).min(HALF);
            if count > 0 {
                // SAFETY: the rows exist and the scratch has room for the steps and the table.
                flags |= unsafe { split::rows::<R, PARTS>(self.product.rows, (row, count), steps.clone(), table, to) };
            }
        }
        // SAFETY: the scratch has a byte for each row tile of a block.
        unsafe { note(self.flags(at), flags, first) };
    }

    /// Adds the block's steps to result (i, j), and finishes it where they are the last. Splits a share of the next column
    /// tile meanwhile, from step `fed` on, and says how far that came.
    ///
    /// # Safety
    /// As for [`Work::part`]; both operands are split.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tile<S: Simd>(&self, block: &Block, (i, j): (usize, usize), next: &mut Next) {
        let (at_row, at_col) = (i - block.rows.start, j - block.cols.start);
        let steps = block.steps.len();
        let result = if block.first && block.last { 0 } else { at_row * self.blocks.block[1] + at_col };
        let c = self.at(self.places.c).cast::<f32>().wrapping_add(result * RESULT);
        let part = self.at(self.places.part).cast::<f32>();
        let (a, b) = (self.halves(self.places.a, at_row, steps), self.halves(self.b_place(j), 0, steps));
        let row = self.rows.start + i * TILE;
        let rows = row..(row + TILE).min(self.rows.end);
        let half = rows.len() <= HALF;
        let fast = block.rows.len() < FEW;
        let pieces = steps.div_ceil(SUM_STEPS);
        for piece in 0..pieces {
            let span = piece * SUM_STEPS..((piece + 1) * SUM_STEPS).min(steps);
            let first = block.first && piece == 0;
            let from = |p: *mut u8| p.wrapping_add(span.start * Self::STEP_BYTES).cast_const();
            let unit = Unit { a: a.map(from), b: b.map(from), c: if first { c } else { part }, steps: span.len() };
            let feeds = unit.feeds(fast).min(next.whole - next.done);
            let feed = Feed {
                from: next.from.map(|p| p.wrapping_add(next.done * STEP * PANEL)),
                to: next.to.map(|p| p.wrapping_add(next.done * Self::STEP_BYTES)),
            };
            next.done += feeds;
            // SAFETY: operands are split, the scratch holds both results, and `next` has room for what it has left.
            unsafe {
                unit.run::<PARTS>((half, fast), feed, feeds, &mut next.seen);
                if !first {
                    finish::add(c, part);
                }
            }
        }
        if block.last {
            // SAFETY: the flags are of this tile's operands, and its sums are complete.
            unsafe {
                let flags = (*self.flags(at_row), *self.flags(self.blocks.block[0] + at_col));
                finish::tile::<S, R>(self.product, rows, j, c, flags, self.at(self.places.table).cast());
            }
        }
    }

    /// Where column tile `j` lies split: all have a place where B is kept, else every other shares one.
    fn b_place(&self, j: usize) -> usize {
        let at = if self.blocks.keeps_b { j % self.blocks.block[1] } else { j % 2 };
        self.places.b + at * self.blocks.block[2] * self.blocks.pair_bytes
    }

    /// The work of splitting column tile `j`; none of it is done yet.
    #[target_feature(enable = "avx512f,avx512bw")]
    fn next(&self, j: usize, steps: &Range<usize>) -> Next {
        let (segs, seg_len) = self.product.rows.segments();
        let k = segs * seg_len;
        let last = self.product.n.div_ceil(PANEL) - 1;
        // A last tile of one panel is split to both halves.
        let panel = |at: usize| self.product.b.wrapping_add((at.min(last) * k + steps.start * STEP) * PANEL);
        let whole = (k - steps.start * STEP) / STEP;
        Next {
            from: [panel(2 * j), panel(2 * j + 1)],
            to: self.halves(self.b_place(j), 0, steps.len()),
            rows: k - steps.start * STEP,
            whole: whole.min(steps.len()),
            steps: steps.len(),
            done: 0,
            seen: Seen::nothing(),
        }
    }
}

/// A column tile that is being split.
struct Next {
    from: [*const f32; 2],
    to: [*mut u8; 2],
    /// Rows of the panels from there on.
    rows: usize,
    /// Steps that are whole, and all.
    whole: usize,
    steps: usize,
    /// Steps that are split.
    done: usize,
    seen: Seen,
}

impl Next {
    /// Splits what is left. Says what lay outside of the range.
    ///
    /// # Safety
    /// The panels and their places are good for the steps.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn finish<const PARTS: usize>(&mut self) -> u8 {
        for half in 0..2 {
            let to = self.to[half].wrapping_add(self.done * PARTS * PART_BYTES);
            // SAFETY: by the contract above.
            unsafe { split::panel::<PARTS>(self.from[half], self.rows, self.done..self.steps, to, &mut self.seen) };
        }
        self.done = self.steps;
        self.seen.flags()
    }
}

/// Sets a byte of flags, or adds to it.
///
/// # Safety
/// `at` is good for a byte.
unsafe fn note(at: *mut u8, flags: u8, first: bool) {
    // SAFETY: by the contract above.
    unsafe { *at = if first { flags } else { *at | flags } };
}

#[cfg(test)]
mod tests;
