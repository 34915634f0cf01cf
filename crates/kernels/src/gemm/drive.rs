//! Blocking: how a product is cut for the caches and threads before micro-kernels see it.
//!
//! Within one task the order is rows, columns, inner dimension, panels, tiles. A block of A (rows × inner block) stays in
//! the second-level cache while all panels of the column block pass; a panel of B stays in the first-level cache while
//! all tiles of the row block pass; C of a row and column block stays in the second-level cache between inner blocks.
//! So B is read from memory once per row block.

use super::epilogue::Ready;
use super::tile::{Ahead, Tile, TileSet};
use crate::mem::{Scratch, Shared};
use crate::pack::PANEL;
use crate::simd::Simd;
use modelsmith_pool::{Pool, cut};
use std::ops::Range;

/// Values of the inner dimension in one block of at most two panels.
const INNER_BLOCK: usize = 320;
/// Most rows in a block.
const ROW_BLOCK: usize = 252;
/// Most elements of C in a block.
const C_BLOCK: usize = 64 * 1024;
/// Most bytes of row pointers for a block of rows.
const TABLE_BYTES: usize = 48 * 1024;
/// From this many elements on B is fetched ahead by software.
const LARGE_WEIGHTS: usize = 64 * 1024;
/// Below this many multiplications a product is not cut for threads.
pub(super) const SERIAL_BELOW: usize = 32 * 1024;

/// Where the rows of A lie.
pub(crate) trait Rows: Sync {
    /// Segments of a row and values in each.
    fn segments(&self) -> (usize, usize);
    /// Writes `segs * count` pointers for rows `first..first + count`, segment by segment.
    ///
    /// # Safety
    /// `table` has room and the rows exist.
    unsafe fn fill(&self, first: usize, count: usize, table: *mut *const f32);
    /// Bytes of a record of [`crate::gemm::Tiles::record`], where every segment is the values of one and they are made.
    fn record_bytes(&self) -> Option<usize> {
        None
    }
    /// The same as `fill`, with pointers to records.
    ///
    /// # Safety
    /// As for `fill`; there are records.
    unsafe fn fill_records(&self, _first: usize, _count: usize, _table: *mut *const u8) {}
}

/// Rows of a strided matrix.
pub(crate) struct MatrixRows {
    pub a: *const f32,
    pub stride: usize,
    pub k: usize,
}

// SAFETY: the pointer is read only, under the views' contract.
unsafe impl Sync for MatrixRows {}

impl Rows for MatrixRows {
    fn segments(&self) -> (usize, usize) {
        (1, self.k)
    }

    unsafe fn fill(&self, first: usize, count: usize, table: *mut *const f32) {
        for i in 0..count {
            // SAFETY: the caller gives room for `count` pointers.
            unsafe { table.add(i).write(self.a.wrapping_add((first + i) * self.stride)) };
        }
    }
}

/// One product: C = epilogue(A · B).
pub(crate) struct Product<'a, R> {
    pub rows: &'a R,
    pub m: usize,
    pub n: usize,
    /// Packed panels of B.
    pub b: *const f32,
    pub c: *mut f32,
    pub c_stride: usize,
    /// Row and column of the first element in the whole result, for the epilogue's operands.
    pub first_row: usize,
    pub first_col: usize,
    pub ready: &'a Ready,
    pub tiles: &'static TileSet,
}

// SAFETY: tasks on different threads write disjoint blocks of C and only read the rest.
unsafe impl<R: Rows> Sync for Product<'_, R> {}

/// How a product of `m` rows and `panels` panels is cut into tasks: parts of rows and parts of panels.
pub(crate) fn grid(m: usize, n: usize, k: usize, tiles: &TileSet, threads: usize) -> (usize, usize) {
    if threads <= 1 || m.saturating_mul(n).saturating_mul(k) < SERIAL_BELOW {
        return (1, 1);
    }
    let wanted = threads * Pool::CHUNKS_PER_THREAD;
    let panels = n.div_ceil(PANEL);
    let widest = tiles.max_panels().min(panels).max(1);
    let groups = panels.div_ceil(widest);
    let row_tiles = m.div_ceil(tiles.max_rows[widest - 1]);
    let small_weights = n.saturating_mul(k) <= 128 * 1024;
    // Parts of rows find their image in the caches of the core that made it, and leave theirs there for the next layer. Few
    // tiles make few parts, since a part of rows begins a tile of its own.
    if small_weights && row_tiles >= threads * 2 {
        let parts = (row_tiles / 4).clamp(threads, wanted);
        return (parts - parts % threads, 1);
    }
    let by_cols = groups.min(wanted).max(1);
    (wanted.div_ceil(by_cols).min(row_tiles).max(1), by_cols)
}

/// Share of the micro-kernels' best rate that `n` columns with rows `row_stride` elements apart allow.
///
/// Columns go in whole panels, and a tile of one panel has too few products per value loaded. Rows a multiple of a
/// page apart fall on the same places of the first-level cache, so that more than eight of them drive each other out.
pub(crate) fn shape_share(tiles: &TileSet, n: usize, row_stride: usize) -> f64 {
    let panels = n.div_ceil(PANEL).max(1);
    let groups = panels.div_ceil(tiles.max_panels());
    let narrow = panels.div_ceil(groups) * groups - panels;
    let widest = panels.div_ceil(groups);
    let time = |width: usize, count: usize| {
        (count * width) as f64 * if width == 1 && tiles.max_panels() > 1 { 1.3 } else { 1.0 }
    };
    let work = time(widest, groups - narrow) + time(widest - 1, narrow);
    let aliased = row_stride > 0 && (row_stride * size_of::<f32>()).is_multiple_of(4096);
    let crowded = aliased && tiles.max_rows[widest - 1] > 8;
    n as f64 / PANEL as f64 / work * if crowded { 0.93 } else { 1.0 }
}

/// Multiplications and additions in the time that beginning and ending a tile takes, measured.
const TILE_COST: f64 = 10e3;

/// The work of beginning and ending the tiles of `m` rows and `n` columns, as multiplications and additions.
pub(crate) fn tile_work(tiles: &TileSet, m: usize, n: usize) -> f64 {
    let panels = n.div_ceil(PANEL).max(1);
    let groups = panels.div_ceil(tiles.max_panels());
    let rows = tiles.max_rows[panels.div_ceil(groups) - 1];
    TILE_COST * (m.div_ceil(rows) * groups) as f64
}

/// Bytes of scratch that a worker needs for row pointers.
pub(crate) fn table_bytes(segs: usize) -> usize {
    TABLE_BYTES.max(segs.saturating_mul(size_of::<*const f32>() * 16))
}

impl<R: Rows> Product<'_, R> {
    /// Computes part (`mi` of `parts.0`, `ni` of `parts.1`) with the worker's pointer table.
    ///
    /// # Safety
    /// All pointers are good for the product's sizes, `table` for [`table_bytes`], parts of the same product that run
    /// at once differ, and the machine has `S` and the tiles' instruction set.
    pub unsafe fn part<S: Simd>(&self, parts: (usize, usize), mi: usize, ni: usize, table: *mut *const f32) {
        let panels = self.n.div_ceil(PANEL);
        let rows = cut(self.m, parts.0, mi);
        let panels = cut(panels, parts.1, ni);
        // SAFETY: passed on.
        unsafe { self.region::<S>(rows, panels, table) }
    }

    /// Computes some rows and panels.
    ///
    /// # Safety
    /// As for [`Product::part`]; the rows and panels exist, and regions that run at once have no element in common.
    pub unsafe fn region<S: Simd>(&self, rows: Range<usize>, panels: Range<usize>, table: *mut *const f32) {
        if rows.is_empty() || panels.is_empty() {
            return;
        }
        let groups = panels.len().div_ceil(self.tiles.max_panels());
        let widest = panels.len().div_ceil(groups);
        let max_rows = self.tiles.max_rows[widest - 1];
        let (segs, _) = self.rows.segments();
        let by_table = TABLE_BYTES / (segs.max(1) * size_of::<*const f32>());
        let block_rows = ROW_BLOCK.min(by_table).max(max_rows).min(rows.len());
        let row_blocks = rows.len().div_ceil(block_rows);
        let group_block = (C_BLOCK / (block_rows * widest * PANEL)).max(1);
        let group_blocks = groups.div_ceil(group_block);
        for rb in 0..row_blocks {
            let block = cut(rows.len(), row_blocks, rb);
            let block = rows.start + block.start..rows.start + block.end;
            // SAFETY: as for this function; the blocks lie inside its part.
            unsafe {
                let tile_count = block.len().div_ceil(max_rows);
                let mut at = table;
                for t in 0..tile_count {
                    let tile = cut(block.len(), tile_count, t);
                    self.rows.fill(block.start + tile.start, tile.len(), at);
                    at = at.add(tile.len() * segs);
                }
                for gb in 0..group_blocks {
                    let span = cut(groups, group_blocks, gb);
                    self.block::<S>(&block, &panels, groups, span, table, tile_count);
                }
            }
        }
    }

    /// Values of the inner dimension between two roundings to C: a function of the whole product's width, so that no bit
    /// depends on how its columns are cut for threads.
    fn inner_block(&self) -> usize {
        let panels = self.n.div_ceil(PANEL).max(1);
        let widest = panels.div_ceil(panels.div_ceil(self.tiles.max_panels()));
        (2 * INNER_BLOCK / widest).min(INNER_BLOCK)
    }

    /// Computes a block of rows for some groups of panels, over the whole inner dimension.
    ///
    /// # Safety
    /// As for [`Product::part`]; `table` holds the block's pointers, tile by tile.
    unsafe fn block<S: Simd>(
        &self,
        rows: &Range<usize>,
        panels: &Range<usize>,
        groups: usize,
        span: Range<usize>,
        table: *const *const f32,
        tile_count: usize,
    ) {
        let (segs, seg_len) = self.rows.segments();
        let k = segs * seg_len;
        // A group of panels stays in the first-level cache while row tiles pass.
        let inner_block = self.inner_block();
        let whole = (inner_block / seg_len.max(1)).clamp(1, segs.max(1));
        let pieces = if seg_len > inner_block { seg_len.div_ceil(inner_block) } else { 1 };
        let steps = segs.div_ceil(whole).max(1);
        let large = k * self.n > LARGE_WEIGHTS;
        let first_panel = cut(panels.len(), groups, span.start).start;
        for step in 0..steps {
            let seg = cut(segs, steps, step);
            for piece in 0..pieces {
                let inner = cut(seg_len, pieces, piece);
                let first = step == 0 && piece == 0;
                let last = step + 1 == steps && piece + 1 == pieces;
                let k_row = seg.start * seg_len + inner.start;
                let depth = Depth { seg: seg.clone(), inner, first, last, k };
                for group in span.clone() {
                    let cols = cut(panels.len(), groups, group);
                    let cols = panels.start + cols.start..panels.start + cols.end;
                    let next = match (group + 1 < span.end, piece + 1 < pieces, step + 1 < steps) {
                        _ if !large => None,
                        (true, ..) => Some((cut(panels.len(), groups, group + 1).start, k_row)),
                        (_, true, _) => Some((first_panel, k_row + depth.inner.len())),
                        (.., true) => Some((first_panel, cut(segs, steps, step + 1).start * seg_len)),
                        _ => None,
                    };
                    let next = next.map(|(panel, row)| self.b.wrapping_add(((panels.start + panel) * k + row) * PANEL));
                    // SAFETY: passed on.
                    unsafe { self.tiles::<S>(rows, cols, &depth, k_row, next, table, tile_count) };
                }
            }
        }
    }

    /// Computes all tiles of a block of rows and one group of panels, over one block of the inner dimension.
    ///
    /// # Safety
    /// As for [`Product::block`].
    unsafe fn tiles<S: Simd>(
        &self,
        rows: &Range<usize>,
        cols: Range<usize>,
        depth: &Depth,
        k_row: usize,
        next: Option<*const f32>,
        table: *const *const f32,
        tile_count: usize,
    ) {
        let (segs, _) = self.rows.segments();
        let col = cols.start * PANEL;
        let width = (cols.end * PANEL).min(self.n) - col;
        let k_len = depth.seg.len() * depth.inner.len();
        let mut at = table;
        for t in 0..tile_count {
            let tile = cut(rows.len(), tile_count, t);
            let (row, count) = (rows.start + tile.start, tile.len());
            let c = self.c.wrapping_add(row * self.c_stride + col);
            let (residual, residual_stride) = self.ready.residual_at(self.first_row + row, self.first_col + col);
            let call = Tile {
                rows: at.wrapping_add(depth.seg.start * count),
                segs: depth.seg.len(),
                seg_len: depth.inner.len(),
                offset: depth.inner.start,
                b: self.b.wrapping_add((cols.start * depth.k + k_row) * PANEL),
                b_stride: depth.k * PANEL,
                c,
                c_stride: self.c_stride,
                accumulate: !depth.first,
                bias: self.ready.bias_at(self.first_col + col),
                residual,
                residual_stride,
                low: if depth.last { self.ready.low } else { f32::NEG_INFINITY },
                high: if depth.last { self.ready.high } else { f32::INFINITY },
                last: width - (cols.len() - 1) * PANEL,
                ahead: next.map_or(Ahead::NONE, |b| Ahead::share(b, k_len, t, tile_count)),
            };
            // SAFETY: the tile lies inside the part; B holds `k` rows of every panel.
            unsafe {
                self.tiles.table[cols.len() - 1][count - 1](&call);
                if depth.last && self.ready.remains() {
                    let (r, q) = (self.first_row + row, self.first_col + col);
                    self.ready.finish::<S>(c, self.c_stride, r, q, count, width);
                }
            }
            at = at.wrapping_add(count * segs);
        }
    }
}

/// A block of the inner dimension.
struct Depth {
    /// Segments, and the part of each.
    seg: Range<usize>,
    inner: Range<usize>,
    /// Whether it is the first and the last block.
    first: bool,
    last: bool,
    /// The whole inner dimension.
    k: usize,
}

/// Computes a whole product with all workers of the pool.
///
/// # Safety
/// As for [`Product::part`]; the scratch has [`table_bytes`] per worker.
pub(crate) unsafe fn whole<S: Simd, R: Rows>(product: &Product<'_, R>, scratch: &Scratch, pool: &Pool) {
    let (segs, seg_len) = product.rows.segments();
    let parts = grid(product.m, product.n, segs * seg_len, product.tiles, pool.threads());
    pool.run(parts.0 * parts.1, |chunk, worker| {
        // SAFETY: as for this function; each chunk is a different part.
        unsafe { product.part::<S>(parts, chunk % parts.0, chunk / parts.0, scratch.worker(worker)) }
    });
}

/// Packs rows `0..k` and columns of `panels` of a strided matrix into panels of 16.
///
/// # Safety
/// `b` is good for the strided k × n matrix and `to` for all its panels; nobody else writes these panels.
pub(crate) unsafe fn pack_panels(
    b: *const f32,
    (row_stride, col_stride): (usize, usize),
    (k, n): (usize, usize),
    panels: Range<usize>,
    to: Shared<f32>,
) {
    for panel in panels {
        let col = panel * PANEL;
        let width = PANEL.min(n - col);
        let dst = to.get().wrapping_add(panel * PANEL * k);
        let src = b.wrapping_add(col * col_stride);
        for row in 0..k {
            let (from, into) = (src.wrapping_add(row * row_stride), dst.wrapping_add(row * PANEL));
            // SAFETY: row < k and columns below `width` exist; the panel has 16 places in each of its k rows.
            unsafe {
                if width == PANEL && col_stride == 1 {
                    into.cast::<[f32; PANEL]>().write_unaligned(from.cast::<[f32; PANEL]>().read_unaligned());
                    continue;
                }
                for j in 0..PANEL {
                    into.add(j).write(if j < width { *from.add(j * col_stride) } else { 0.0 });
                }
            }
        }
    }
}
