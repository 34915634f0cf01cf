//! Convolutions by kernels three wide that step by one pixel, by Winograd's minimal filtering F(4, 3) along the width
//! (Lavin and Gray, "Fast algorithms for convolutional neural networks", 2015): four neighbouring pixels of the result take
//! six products instead of twelve.
//!
//! Along the width only, so that rows of the result know nothing of each other: bands and threads change no bit, steps and
//! dilation in height do not matter, and each of the six products sums over whole kernel columns. The weights stay as they
//! are for all kernels and are brought to the six points in scratch memory, a group of panels at a time.
//!
//! The error is that of sums over the six pixels under a tile instead of the three under a kernel row: a pixel far larger
//! than its neighbours costs those up to three pixels away precision. Rows that hold Inf, NaN or values from 2^49 on, and
//! panels of such weights, are computed without it.

mod transform;

use super::taps::{TapRows, plane_under, spaced};
use super::{edge, pixels};
use crate::def::{Args, Facts, KernelError, Reject};
use crate::gemm::Tiles;
use crate::gemm::drive::{Product, Rows, shape_share, table_bytes, tile_work};
use crate::gemm::epilogue::Ready;
use crate::mem::{Scratch, Shared};
use crate::pack::PANEL;
use crate::simd::Simd;
use crate::span::product;
use modelsmith_kop::ConvProblem;
use modelsmith_pool::{Pool, cut};
use std::ops::Range;
use transform::{Kernels, OUT, POINTS, Pixels, Sums, TAPS};

/// Bytes of pixels at all points that stay in the second-level cache.
const PIXELS: usize = 640 << 10;
/// Bytes of weights at all points that are kept while blocks of rows pass.
const WEIGHTS: usize = 512 << 10;
/// Tiles from which on a block of rows is worth bringing the weights to the points again.
const WORTHWHILE: usize = 96;
/// Tiles from which on it is where a thread would have nothing to do otherwise.
const FEW: usize = 24;

pub(super) fn accepts(p: &ConvProblem) -> Result<(), Reject> {
    super::accepts(p)?;
    if p.kernel[1] != TAPS || p.stride[1] != 1 || p.dilation[1] != 1 {
        return Reject::because("the kernel is not three wide, or steps or is dilated in width");
    }
    if p.transposed || p.groups != 1 {
        return Reject::because("transposed or grouped");
    }
    if p.c < 8 || p.oc < 8 {
        return Reject::because("fewer than 8 channels: bringing them to the points costs more than it saves");
    }
    let rows = product(&[p.depth.kernel, p.h.max(p.oh), p.ow + OUT, p.c + PANEL, POINTS * 4]);
    let weights = product(&[p.depth.kernel, p.kernel[0], p.c, p.oc + 2 * PANEL, POINTS * 4]);
    if rows.max(weights).is_none_or(|bytes| bytes > isize::MAX as usize / 16) || rows.is_none() || weights.is_none() {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

pub(super) fn cost<T: Tiles>(p: &ConvProblem, facts: &Facts) -> f64 {
    let b = Blocks::new::<T>(p, facts.threads);
    let tiles = p.out_planes() * p.oh * b.tiles;
    let (c, oc, k) = (p.c as f64, p.oc as f64, b.k as f64);
    let share = T::SHARE * shape_share(T::SET, p.oc, b.c) * c / (c + 4.0);
    let products = POINTS as f64 * (2.0 * tiles as f64 * oc * k + tile_work(T::SET, tiles, p.oc));
    // Measured: what a value at all points takes, as multiplications and additions in the same time.
    let times = if b.keeps_weights() { b.by_rows } else { p.out_planes() * b.row_blocks };
    let maps = 150.0 * (p.out_planes() * b.planes * p.h * b.tiles) as f64 * c * b.by_groups as f64
        + 300.0 * tiles as f64 * oc
        + 130.0 * k * oc * times as f64;
    crate::def::roofline(super::bytes(p), products + maps, share, facts)
}

/// How the work is cut; a function of the problem and the number of threads.
#[derive(Clone, Copy)]
struct Blocks {
    /// Tiles of a row, and channels of a tile with those that fill its last vector.
    tiles: usize,
    c: usize,
    /// Output rows of a plane in a block, planes under them, input rows of each, blocks of a plane.
    rows: usize,
    planes: usize,
    reach: usize,
    row_blocks: usize,
    /// Panels in a group, and groups.
    panels: usize,
    groups: usize,
    /// Rows of the inner dimension.
    k: usize,
    /// Tasks: parts of all blocks of rows by parts of the groups.
    by_rows: usize,
    by_groups: usize,
}

impl Blocks {
    fn new<T: Tiles>(p: &ConvProblem, threads: usize) -> Blocks {
        let (tiles, c) = (p.ow.div_ceil(OUT), p.c.next_multiple_of(PANEL));
        let window = (p.kernel[0] - 1) * p.dilation[0] + 1;
        let planes = p.depth.kernel;
        let fit = PIXELS / (POINTS * planes * tiles * c * 4).max(1);
        let fitting = (fit.saturating_sub(window) / p.stride[0] + 1).min(p.oh).max(1);
        let wanted = if threads > 1 { 2 * threads } else { 1 };
        // So many blocks as keep all threads at work, but none so small that the weights' way to the points shows.
        let rows_of =
            |parts: usize, least: usize| (p.out_planes() * p.oh).div_ceil(parts).max(least.div_ceil(tiles.max(1)));
        let shared = rows_of(wanted, WORTHWHILE).min(rows_of(threads.max(1), FEW));
        let row_blocks = p.oh.div_ceil(fitting.min(shared)).max(1);
        let rows = p.oh.div_ceil(row_blocks);
        let all_panels = p.oc.div_ceil(PANEL);
        let groups = all_panels.div_ceil(T::SET.max_panels());
        let by_rows = wanted.min(p.out_planes() * row_blocks).max(1);
        Blocks {
            tiles,
            c,
            rows,
            planes,
            reach: (rows.max(1) - 1) * p.stride[0] + window,
            row_blocks,
            panels: all_panels.div_ceil(groups),
            groups,
            k: planes * p.kernel[0] * p.c,
            by_rows,
            by_groups: wanted.div_ceil(by_rows).min(groups),
        }
    }

    /// Values between the points of pixels, of a group's weights and of sums. A line more keeps points on different
    /// places of the first-level cache.
    fn pixels_point(&self) -> usize {
        self.planes * self.reach * self.tiles * self.c + PANEL
    }

    fn weights_point(&self) -> usize {
        self.panels * self.k * PANEL + PANEL
    }

    fn sums_point(&self) -> usize {
        self.rows * self.tiles * self.panels * PANEL + PANEL
    }

    /// Whether the weights of all groups at all points are kept while blocks of rows pass.
    fn keeps_weights(&self) -> bool {
        self.groups * POINTS * self.weights_point() * 4 <= WEIGHTS
    }

    /// Where things lie in a worker's scratch memory.
    fn places<T: Tiles>(&self, p: &ConvProblem) -> Places {
        let groups = if self.keeps_weights() { self.groups } else { 1 };
        let weights = POINTS * self.pixels_point() * 4;
        let sums = weights + groups * POINTS * self.weights_point() * 4;
        let flags = sums + POINTS * self.sums_point() * 4;
        let tiles = flags + (self.planes * self.reach + groups * self.panels).next_multiple_of(64);
        let size = [self.rows * self.tiles, self.panels * PANEL, self.k];
        let table = table_bytes(p.taps()).max(T::scratch(size, p.depth.kernel * p.kernel[0]));
        Places { weights, sums, flags, tiles, total: tiles.saturating_add(table) }
    }
}

/// Byte offsets in a worker's scratch memory; pixels at all points come first.
struct Places {
    weights: usize,
    sums: usize,
    /// A byte for each input row of a block and each panel that is kept, set where it is too large.
    flags: usize,
    /// What the products need.
    tiles: usize,
    total: usize,
}

/// Elements of the shared head: both copies, and zeros.
fn head(p: &ConvProblem) -> usize {
    let (x, y) = edge::copies(p);
    (x + y + p.c.next_multiple_of(32)).saturating_mul(4)
}

pub(super) fn workspace<T: Tiles>(p: &ConvProblem, threads: usize) -> usize {
    Scratch::bytes(head(p), Blocks::new::<T>(p, threads).places::<T>(p).total, threads)
}

pub(super) fn run<S: Simd, T: Tiles>(p: &ConvProblem, mut args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let call = pixels::buffers(p, &mut args)?;
    if call.empty {
        return Ok(());
    }
    let b = Blocks::new::<T>(p, pool.threads());
    let places = b.places::<T>(p);
    let scratch = Scratch::new(args.workspace, head(p), places.total, pool.threads())?;
    let (x_copy, y_copy) = edge::copy_places(p, &scratch);
    let zeros = y_copy.wrapping_add(edge::copies(p).1);
    // SAFETY: the workspace was sized for both copies and the zeros.
    let x = unsafe {
        zeros.write_bytes(0, p.c.next_multiple_of(32));
        edge::take_x(p, call.x, x_copy, pool)
    };
    let y = edge::place_y(p, call.y, y_copy);
    let shared = (Shared(x.cast_mut()), Shared(call.w.cast_mut()), Shared(y), Shared(zeros));
    pool.run(b.by_rows * b.by_groups, |i, worker| {
        let (x, w, y, zeros) = (shared.0.get(), shared.1.get(), shared.2.get(), shared.3.get());
        let work = Work { p, b, places: &places, x, w, y, zeros, ready: &call.ready, scratch: scratch.worker(worker) };
        let blocks = cut(p.out_planes() * b.row_blocks, b.by_rows, i % b.by_rows);
        let groups = cut(b.groups, b.by_groups, i / b.by_rows);
        // SAFETY: buffers and workspace were checked; tasks write different elements of y.
        unsafe { work.run::<S, T>(blocks, groups) };
    });
    // SAFETY: the result is complete and y has room for it.
    unsafe { edge::give_y(p, y, call.y, pool) };
    Ok(())
}

/// A task's view of the call.
struct Work<'a> {
    p: &'a ConvProblem,
    b: Blocks,
    places: &'a Places,
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    zeros: *const f32,
    ready: &'a Ready,
    scratch: *mut u8,
}

/// Some output rows of a plane, and the input rows under them that a plane has.
struct Block {
    plane: usize,
    out: Range<usize>,
    under: Range<usize>,
}

impl Work<'_> {
    fn pixels(&self) -> *mut f32 {
        self.scratch.cast()
    }

    /// Where the weights of a group lie at the first point.
    fn weights(&self, group: usize) -> *mut f32 {
        let at = if self.b.keeps_weights() { group * POINTS * self.b.weights_point() } else { 0 };
        self.scratch.wrapping_add(self.places.weights).cast::<f32>().wrapping_add(at)
    }

    fn sums(&self) -> *mut f32 {
        self.scratch.wrapping_add(self.places.sums).cast()
    }

    fn row_flag(&self, row: usize) -> *mut u8 {
        self.scratch.wrapping_add(self.places.flags + row)
    }

    fn panel_flag(&self, group: usize, panel: usize) -> *mut u8 {
        let at = if self.b.keeps_weights() { group * self.b.panels } else { 0 };
        self.row_flag(self.b.planes * self.b.reach + at + panel)
    }

    fn group_panels(&self, group: usize) -> Range<usize> {
        cut(self.p.oc.div_ceil(PANEL), self.b.groups, group)
    }

    /// # Safety
    /// Buffers and scratch are good for the problem, and nobody else writes these elements of y.
    unsafe fn run<S: Simd, T: Tiles>(&self, blocks: Range<usize>, groups: Range<usize>) {
        // SAFETY: as for this function.
        unsafe {
            if self.b.keeps_weights() {
                groups.clone().for_each(|group| self.bring_weights::<S>(group));
            }
            for block in blocks {
                let out = cut(self.p.oh, self.b.row_blocks, block % self.b.row_blocks);
                let block = Block { plane: block / self.b.row_blocks, under: self.under(&out), out };
                self.bring_pixels::<S>(&block);
                for group in groups.clone() {
                    if !self.b.keeps_weights() {
                        self.bring_weights::<S>(group);
                    }
                    self.group::<S, T>(&block, group);
                }
            }
        }
    }

    /// Input rows of a plane under some output rows.
    fn under(&self, out: &Range<usize>) -> Range<usize> {
        let p = self.p;
        let first = (out.start * p.stride[0]).saturating_sub(p.pad[0]).min(p.h);
        let last = out.end.saturating_sub(1) * p.stride[0] + (p.kernel[0] - 1) * p.dilation[0];
        let end = if out.is_empty() { first } else { (last + 1).saturating_sub(p.pad[0]).min(p.h) };
        first..end.max(first)
    }

    /// Input rows under a block that lie in `rows`: their places among the pixels at the points, planes and rows.
    fn rows_under(&self, block: &Block, rows: &Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        let (p, reach, plane, first) = (self.p, self.b.reach, block.plane, block.under.start);
        let rows = rows.clone();
        (0..self.b.planes)
            .filter_map(move |kz| Some((kz, plane_under(p, plane, kz)?)))
            .flat_map(move |(kz, plane)| rows.clone().map(move |iy| (kz * reach + iy - first, plane, iy)))
    }

    /// # Safety
    /// As for [`Work::run`].
    unsafe fn bring_pixels<S: Simd>(&self, block: &Block) {
        let (p, b) = (self.p, &self.b);
        for (at, plane, iy) in self.rows_under(block, &block.under) {
            let row = self.x.wrapping_add((plane * p.h + iy) * p.w * p.x_stride);
            let pixel = |ix: usize| match ix.checked_sub(p.pad[1]).filter(|&ix| ix < p.w) {
                Some(ix) => row.wrapping_add(ix * p.x_stride),
                None => self.zeros,
            };
            let pixels = Pixels {
                under: &|tile| std::array::from_fn(|i| pixel(tile * OUT + i)),
                tiles: b.tiles,
                channels: p.c,
                to: self.pixels().wrapping_add(at * b.tiles * b.c),
                tile_stride: b.c,
                point_stride: b.pixels_point(),
            };
            // SAFETY: as for this function; a block has at most `reach` rows of each plane.
            unsafe { *self.row_flag(at) = u8::from(!S::enter(pixels)) };
        }
    }

    /// # Safety
    /// As for [`Work::run`].
    unsafe fn bring_weights<S: Simd>(&self, group: usize) {
        let (p, b) = (self.p, &self.b);
        for (at, panel) in self.group_panels(group).enumerate() {
            let kernels = Kernels {
                from: self.w.wrapping_add(panel * b.k * TAPS * PANEL),
                kernel_rows: b.planes * p.kernel[0],
                channels: p.c,
                to: self.weights(group).wrapping_add(at * b.k * PANEL),
                point_stride: b.weights_point(),
            };
            // SAFETY: as for this function; a group has at most `panels` panels.
            unsafe { *self.panel_flag(group, at) = u8::from(!S::enter(kernels)) };
        }
    }

    /// Computes a group's columns of a block of rows.
    ///
    /// # Safety
    /// As for [`Work::run`]; pixels and weights are at their points.
    unsafe fn group<S: Simd, T: Tiles>(&self, block: &Block, group: usize) {
        let (p, b) = (self.p, &self.b);
        let panels = self.group_panels(group);
        let col = panels.start * PANEL;
        let columns = (panels.end * PANEL).min(p.oc) - col;
        let tile_stride = b.panels * PANEL;
        let none = Ready::none();
        for point in 0..POINTS {
            let x = self.pixels().wrapping_add(point * b.pixels_point()).cast_const();
            let rows = PointRows { p, block, x, zeros: self.zeros, tiles: b.tiles, stride: b.c, reach: b.reach };
            let product = Product {
                rows: &rows,
                m: block.out.len() * b.tiles,
                n: columns,
                b: self.weights(group).wrapping_add(point * b.weights_point()),
                c: self.sums().wrapping_add(point * b.sums_point()),
                c_stride: tile_stride,
                first_row: 0,
                first_col: 0,
                ready: &none,
                tiles: T::SET,
            };
            // SAFETY: as for this function; the scratch was sized for the product.
            unsafe { T::part::<S, _>(&product, (1, 1), (0, 0), self.scratch.wrapping_add(self.places.tiles)) };
        }
        for (at, oy) in block.out.clone().enumerate() {
            let row = (block.plane * p.oh + oy) * p.ow;
            let sums = Sums {
                from: self.sums().wrapping_add(at * b.tiles * tile_stride),
                tile_stride,
                point_stride: b.sums_point(),
                ready: self.ready,
                to: self.y.wrapping_add(row * p.y_stride + col),
                y_stride: p.y_stride,
                pixels: p.ow,
                row,
                col,
                columns,
            };
            // SAFETY: as for this function.
            unsafe { S::enter(sums) };
        }
        // SAFETY: as for this function.
        unsafe { self.plainly::<S, T>(block, group) };
    }

    /// Computes again, under each tap, what is too large for sums over tiles.
    ///
    /// # Safety
    /// As for [`Work::group`].
    unsafe fn plainly<S: Simd, T: Tiles>(&self, block: &Block, group: usize) {
        let p = self.p;
        let rows = TapRows { p, x: self.x, zeros: self.zeros, channels: p.c, records: None };
        let product = Product {
            rows: &rows,
            m: p.out_planes() * p.oh * p.ow,
            n: p.oc,
            b: self.w,
            c: self.y,
            c_stride: p.y_stride,
            first_row: 0,
            first_col: 0,
            ready: self.ready,
            tiles: T::SET,
        };
        let table = self.scratch.wrapping_add(self.places.tiles).cast();
        let first = block.plane * p.oh;
        // SAFETY: rows and panels are this task's own; flags were set with pixels and weights.
        unsafe {
            for oy in block.out.clone() {
                let under = self.under(&(oy..oy + 1));
                if self.rows_under(block, &under).any(|(at, ..)| *self.row_flag(at) != 0) {
                    let row = (first + oy) * p.ow;
                    product.region::<S>(row..row + p.ow, self.group_panels(group), table);
                }
            }
            for (at, panel) in self.group_panels(group).enumerate() {
                if *self.panel_flag(group, at) != 0 {
                    let rows = (first + block.out.start) * p.ow..(first + block.out.end) * p.ow;
                    product.region::<S>(rows, panel..panel + 1, table);
                }
            }
        }
    }
}

/// Tiles of a block at one point as rows of a product: a segment for each row of each plane of the kernel.
struct PointRows<'a> {
    p: &'a ConvProblem,
    block: &'a Block,
    x: *const f32,
    zeros: *const f32,
    tiles: usize,
    /// Values to the next tile.
    stride: usize,
    /// Rows to the next plane.
    reach: usize,
}

// SAFETY: the pointers are read only, to the task's own scratch memory and to zeros.
unsafe impl Sync for PointRows<'_> {}

impl Rows for PointRows<'_> {
    fn segments(&self) -> (usize, usize) {
        (self.p.depth.kernel * self.p.kernel[0], self.p.c)
    }

    unsafe fn fill(&self, first: usize, count: usize, table: *mut *const f32) {
        let p = self.p;
        for kz in 0..p.depth.kernel {
            let inside = plane_under(p, self.block.plane, kz).is_some();
            let (mut at, mut row, mut tile) = (0, first / self.tiles, first % self.tiles);
            while at < count {
                let run = (self.tiles - tile).min(count - at);
                let top = (self.block.out.start + row) * p.stride[0];
                for ky in 0..p.kernel[0] {
                    let iy = (top + ky * p.dilation[0]).checked_sub(p.pad[0]);
                    let under = iy.filter(|iy| inside && self.block.under.contains(iy));
                    let (from, step) = match under.map(|iy| kz * self.reach + iy - self.block.under.start) {
                        Some(row) => (self.x.wrapping_add((row * self.tiles + tile) * self.stride), self.stride),
                        None => (self.zeros, 0),
                    };
                    // SAFETY: the caller gives room for `kd * kh * count` pointers.
                    unsafe { spaced(table.add((kz * p.kernel[0] + ky) * count + at), run, from, step) };
                }
                (at, row, tile) = (at + run, row + 1, 0);
            }
        }
    }
}
