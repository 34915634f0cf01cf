//! Depthwise convolution: vectors run over channels. For the usual kernels the taps of a vector of channels stay in
//! registers while a row of output pixels passes, a few pixels at a time.

use super::spread::Spread;
use super::{edge, extents};
use crate::def::{Args, KernelError};
use crate::gemm::epilogue::{Ready, load, store};
use crate::mem::{self, Scratch, Shared};
use crate::simd::{Body, Simd};
use modelsmith_kop::ConvProblem;
use modelsmith_pool::Pool;
use std::ops::Range;

/// Output pixels of a run.
const RUN: usize = 4;
/// Vectors of channels that a pixel at the edge takes at a time.
const EDGE_VECTORS: usize = 4;
/// Bytes of input that a block of channels may take up.
const L1_BYTES: usize = 24 * 1024;
/// Bytes of an image that passes for small.
const L2_BYTES: usize = 1024 * 1024;

fn head_bytes(p: &ConvProblem) -> usize {
    let (x, y) = edge::copies(p);
    (x + y).saturating_mul(4)
}

pub(super) fn workspace(p: &ConvProblem, threads: usize) -> usize {
    Scratch::bytes(head_bytes(p), 0, threads)
}

pub(super) fn run<S: Simd>(p: &ConvProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let e = extents(p).map_err(|reason| KernelError::Rejected { kernel: "conv", reason })?;
    let weights = p.kernel[0] * p.kernel[1] * p.c;
    let y = mem::output(args.outputs, "y")?.elements::<f32>(e.y, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(e.x, "x")?;
    let w = mem::input(args.inputs, 1, "weights")?.elements::<f32>(weights, "weights")?;
    mem::apart((x, e.x), (y, e.y), "x")?;
    mem::apart((w, weights), (y, e.y), "weights")?;
    let ready = Ready::new(&p.epilogue, &args.inputs[2..], p.n * p.oh * p.ow, p.oc, (y, e.y))?;
    if e.y == 0 {
        return Ok(());
    }
    let scratch = Scratch::new(args.workspace, head_bytes(p), 0, pool.threads())?;
    let (x_copy, y_copy) = edge::copy_places(p, &scratch);
    // SAFETY: the workspace was sized for the copies.
    let x_in = unsafe { edge::take_x(p, x, x_copy, pool) };
    let y_in = edge::place_y(p, y, y_copy);
    let (xs, ws, ys) = (Shared(x_in.cast_mut()), Shared(w.cast_mut()), Shared(y_in));
    let ready = &ready;
    // The rows of the image that a kernel spans, in so many channels, stay in the first-level cache from one output row to
    // the next. An image that does not fit into the second-level cache is read straight through instead.
    let row_bytes = p.kernel[0].saturating_mul(p.w).saturating_mul(4 * S::LANES).max(1);
    let small = 4 * p.h * p.w * p.c <= L2_BYTES;
    let block = if small { (L1_BYTES / row_bytes).clamp(1, 8) * S::LANES } else { p.c };
    pool.for_ranges(p.n * p.oh, 1, |rows, _| {
        for c in (0..p.c).step_by(block) {
            for row in rows.clone() {
                let line = Line {
                    p,
                    x: xs.get(),
                    w: ws.get(),
                    y: ys.get(),
                    ready,
                    taps: (0, 0),
                    image: row / p.oh,
                    oy: row % p.oh,
                    channels: (c, (c + block).min(p.c)),
                };
                let line = line.with_taps();
                // SAFETY: buffers were checked; each output row is written by one task.
                unsafe {
                    match (p.kernel, p.stride[1], p.dilation) {
                        ([3, 3], 1, [1, 1]) => S::enter(Fixed::<3, 1>(line)),
                        ([3, 3], 2, [1, 1]) => S::enter(Fixed::<3, 2>(line)),
                        ([5, 5], 1, [1, 1]) => S::enter(Fixed::<5, 1>(line)),
                        ([5, 5], 2, [1, 1]) => S::enter(Fixed::<5, 2>(line)),
                        ([_, 3], 1, _) => S::enter(Spread::<3>(line)),
                        ([_, 5], 1, _) => S::enter(Spread::<5>(line)),
                        ([_, 7], 1, _) => S::enter(Spread::<7>(line)),
                        _ => S::enter(line),
                    }
                }
            }
        }
    });
    // SAFETY: the result is complete and y has room for it.
    unsafe { edge::give_y(p, y_in, y, pool) };
    Ok(())
}

/// One row of output pixels in some channels.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub p: &'a ConvProblem,
    pub x: *const f32,
    pub w: *const f32,
    pub y: *mut f32,
    pub ready: &'a Ready,
    /// First kernel row that meets the image, and the first that no longer does.
    pub taps: (usize, usize),
    pub image: usize,
    pub oy: usize,
    pub channels: (usize, usize),
}

/// A line whose kernel is square and not dilated, and with its step along the width a constant.
struct Fixed<'a, const K: usize, const SW: usize>(Line<'a>);

impl Line<'_> {
    /// Finds the kernel rows that meet the image.
    fn with_taps(mut self) -> Self {
        let p = self.p;
        let top = self.oy * p.stride[0];
        let first = p.pad[0].saturating_sub(top).div_ceil(p.dilation[0]);
        let room = (p.h + p.pad[0]).saturating_sub(top);
        self.taps = (first, room.div_ceil(p.dilation[0]).min(p.kernel[0]).max(first));
        self
    }

    /// First input pixel of the image row under kernel row `ky`.
    pub fn input_row(&self, ky: usize) -> *const f32 {
        let p = self.p;
        let iy = self.oy * p.stride[0] + ky * p.dilation[0] - p.pad[0];
        self.x.wrapping_add((self.image * p.h + iy) * p.w * p.x_stride)
    }

    pub fn out_pixel(&self, ox: usize) -> usize {
        (self.image * self.p.oh + self.oy) * self.p.ow + ox
    }

    /// Computes output pixel `ox` with every tap checked against the image, several vectors of channels at a time.
    ///
    /// # Safety
    /// The machine has `S`; the line's buffers were checked.
    #[inline(always)]
    unsafe fn pixel<S: Simd>(&self, ox: usize) {
        let p = self.p;
        let left = ox * p.stride[1];
        let first = p.pad[1].saturating_sub(left).div_ceil(p.dilation[1]);
        let end = (p.w + p.pad[1]).saturating_sub(left).div_ceil(p.dilation[1]).min(p.kernel[1]);
        let (mut c, end_c) = self.channels;
        // SAFETY: whole vectors of channels from `c` on exist; the last ones are partial.
        unsafe {
            while c + EDGE_VECTORS * S::LANES <= end_c {
                self.pixel_channels::<S, EDGE_VECTORS>(ox, c, S::LANES, left, first..end);
                c += EDGE_VECTORS * S::LANES;
            }
            while c < end_c {
                let n = (end_c - c).min(S::LANES);
                self.pixel_channels::<S, 1>(ox, c, n, left, first..end);
                c += n;
            }
        }
    }

    /// # Safety
    /// Taps `taps` lie inside the image, `NV` vectors of channels from `c` on exist, of which the last has `n` lanes.
    #[inline(always)]
    unsafe fn pixel_channels<S: Simd, const NV: usize>(
        &self,
        ox: usize,
        c: usize,
        n: usize,
        left: usize,
        taps: Range<usize>,
    ) {
        let p = self.p;
        // SAFETY: by the contract above.
        unsafe {
            let mut acc = [S::splat(0.0); NV];
            for v in 0..NV {
                acc[v] = self.start::<S>(self.out_pixel(ox), c + v * S::LANES, n);
            }
            for ky in self.taps.0..self.taps.1 {
                let row = self.input_row(ky);
                for kx in taps.clone() {
                    let ix = left + kx * p.dilation[1] - p.pad[1];
                    let (w, x) = (self.w.add((ky * p.kernel[1] + kx) * p.c + c), row.add(ix * p.x_stride + c));
                    for v in 0..NV {
                        let at = v * S::LANES;
                        acc[v] = S::fma(load::<S>(x.add(at), n), load::<S>(w.add(at), n), acc[v]);
                    }
                }
            }
            for v in 0..NV {
                self.put::<S>(self.out_pixel(ox), c + v * S::LANES, n, acc[v]);
            }
        }
    }

    #[inline(always)]
    unsafe fn start<S: Simd>(&self, pixel: usize, c: usize, n: usize) -> S::F {
        // SAFETY: channels `c..c + n` of the pixel exist.
        unsafe {
            let bias = self.ready.bias_at(c);
            let v = if bias.is_null() { S::splat(0.0) } else { load::<S>(bias, n) };
            let (residual, _) = self.ready.residual_at(pixel, c);
            if residual.is_null() { v } else { S::add(v, load::<S>(residual, n)) }
        }
    }

    #[inline(always)]
    unsafe fn put<S: Simd>(&self, pixel: usize, c: usize, n: usize, v: S::F) {
        // SAFETY: channels `c..c + n` of the pixel exist.
        unsafe {
            let v = S::min(S::splat(self.ready.high), S::max(S::splat(self.ready.low), v));
            store::<S>(self.y.add(pixel * self.p.y_stride + c), n, v);
        }
    }

    /// Computes pixels `from..to` with every tap checked.
    #[inline(always)]
    unsafe fn pixels<S: Simd>(&self, from: usize, to: usize) {
        // SAFETY: passed on.
        unsafe {
            for ox in from..to {
                self.pixel::<S>(ox);
            }
            self.finish::<S>(from, to);
        }
    }

    /// The epilogue's remaining steps on pixels `from..to`.
    #[inline(always)]
    pub unsafe fn finish<S: Simd>(&self, from: usize, to: usize) {
        if self.ready.remains() {
            let pixel = self.out_pixel(from);
            let (c, end) = self.channels;
            let y = self.y.wrapping_add(pixel * self.p.y_stride + c);
            // SAFETY: the pixels are this line's own.
            unsafe { self.ready.finish::<S>(y, self.p.y_stride, pixel, c, to - from, end - c) };
        }
    }
}

impl Body for Line<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe { self.pixels::<S>(0, self.p.ow) }
    }
}

impl<const K: usize, const SW: usize> Body for Fixed<'_, K, SW> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (mut c, end) = self.0.channels;
        // SAFETY: the channels exist; the last ones are no whole vector.
        unsafe {
            while c + S::LANES <= end {
                self.vector::<S>(c, S::LANES);
                c += S::LANES;
            }
            if c < end {
                self.vector::<S>(c, end - c);
            }
            self.0.finish::<S>(0, self.0.p.ow);
        }
    }
}

/// One vector of channels of a line: its taps, its bias, and where the rows under the kernel begin.
struct Vector<S: Simd, const K: usize> {
    taps: [[S::F; K]; K],
    bias: S::F,
    rows: [*const f32; K],
    c: usize,
    n: usize,
}

impl<const K: usize, const SW: usize> Fixed<'_, K, SW> {
    /// # Safety
    /// Channels `c..c + n` exist, `n <= LANES`.
    #[inline(always)]
    unsafe fn vector<S: Simd>(&self, c: usize, n: usize) {
        let line = &self.0;
        let p = line.p;
        // Pixels whose whole kernel row lies inside the image.
        let first = p.pad[1].div_ceil(SW).min(p.ow);
        let end = ((p.w + p.pad[1] + SW).saturating_sub(K) / SW).clamp(first, p.ow);
        // SAFETY: the channels exist; rows inside `taps` lie in the image; each run lies between `first` and `end`.
        unsafe {
            let zero = S::splat(0.0);
            let bias = line.ready.bias_at(c);
            let bias = if bias.is_null() { zero } else { load::<S>(bias, n) };
            let mut v = Vector { taps: [[zero; K]; K], bias, rows: [std::ptr::null(); K], c, n };
            for ky in 0..K {
                for kx in 0..K {
                    v.taps[ky][kx] = load::<S>(line.w.add((ky * K + kx) * p.c + c), n);
                }
                if (line.taps.0..line.taps.1).contains(&ky) {
                    v.rows[ky] = line.input_row(ky).wrapping_add(c);
                }
            }
            let runs = if end - first < RUN { first } else { end };
            for ox in (0..first).chain(runs..p.ow) {
                self.edge::<S>(&v, ox);
            }
            let mut ox = first;
            while ox < runs {
                // The last run may compute again what the one before has: every pixel is written afresh.
                let from = ox.min(end - RUN);
                if n == S::LANES {
                    self.interior::<S, true>(&v, from);
                } else {
                    self.interior::<S, false>(&v, from);
                }
                ox += RUN;
            }
        }
    }

    /// Computes pixel `ox`, whose taps may lie outside of the image's width.
    ///
    /// # Safety
    /// As for [`Fixed::vector`].
    #[inline(always)]
    unsafe fn edge<S: Simd>(&self, v: &Vector<S, K>, ox: usize) {
        let line = &self.0;
        let p = line.p;
        let left = ox * SW;
        // SAFETY: by the contract above; `ix` lies inside the image.
        unsafe {
            let mut acc = v.bias;
            for ky in 0..K {
                for kx in 0..K {
                    let ix = (left + kx).wrapping_sub(p.pad[1]);
                    if !v.rows[ky].is_null() && ix < p.w {
                        acc = S::fma(load::<S>(v.rows[ky].add(ix * p.x_stride), v.n), v.taps[ky][kx], acc);
                    }
                }
            }
            self.give::<S>(line.out_pixel(ox), v.c, v.n, acc);
        }
    }

    /// Computes `RUN` pixels from `ox` on, all of whose taps lie inside the image's width. `FULL` where all lanes exist.
    ///
    /// # Safety
    /// As for [`Fixed::vector`].
    #[inline(always)]
    unsafe fn interior<S: Simd, const FULL: bool>(&self, v: &Vector<S, K>, ox: usize) {
        let line = &self.0;
        let p = line.p;
        let n = if FULL { S::LANES } else { v.n };
        // SAFETY: by the contract above.
        unsafe {
            let mut acc = [v.bias; RUN];
            for ky in 0..K {
                if v.rows[ky].is_null() {
                    continue;
                }
                let mut x = v.rows[ky].add((ox * SW - p.pad[1]) * p.x_stride);
                for j in 0..(RUN - 1) * SW + K {
                    let value = load::<S>(x, n);
                    x = x.wrapping_add(p.x_stride);
                    for i in 0..RUN {
                        if j >= i * SW && j - i * SW < K {
                            acc[i] = S::fma(value, v.taps[ky][j - i * SW], acc[i]);
                        }
                    }
                }
            }
            let pixel = line.out_pixel(ox);
            for i in 0..RUN {
                self.give::<S>(pixel + i, v.c, n, acc[i]);
            }
        }
    }

    /// Writes a sum with residual and clamp.
    ///
    /// # Safety
    /// Channels `c..c + n` of the pixel exist.
    #[inline(always)]
    unsafe fn give<S: Simd>(&self, pixel: usize, c: usize, n: usize, sum: S::F) {
        let (residual, _) = self.0.ready.residual_at(pixel, c);
        // SAFETY: by the contract above.
        unsafe {
            let sum = if residual.is_null() { sum } else { S::add(sum, load::<S>(residual, n)) };
            self.0.put::<S>(pixel, c, n, sum);
        }
    }
}
