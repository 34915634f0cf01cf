//! Depthwise convolution: vectors run over channels, and a short run of output pixels stays in registers.

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
    pool.for_ranges(p.n * p.oh, 1, |rows, _| {
        for row in rows {
            let line = Line { p, x: xs.get(), w: ws.get(), y: ys.get(), ready, image: row / p.oh, oy: row % p.oh };
            // SAFETY: buffers were checked; each output row is written by one task.
            unsafe {
                match (p.kernel[1], p.stride[1], p.dilation[1]) {
                    (3, 1, 1) => S::enter(Fixed::<3, 1>(line)),
                    (3, 2, 1) => S::enter(Fixed::<3, 2>(line)),
                    (5, 1, 1) => S::enter(Fixed::<5, 1>(line)),
                    (5, 2, 1) => S::enter(Fixed::<5, 2>(line)),
                    _ => S::enter(line),
                }
            }
        }
    });
    // SAFETY: the result is complete and y has room for it.
    unsafe { edge::give_y(p, y_in, y, pool) };
    Ok(())
}

/// One row of output pixels.
#[derive(Clone, Copy)]
struct Line<'a> {
    p: &'a ConvProblem,
    x: *const f32,
    w: *const f32,
    y: *mut f32,
    ready: &'a Ready,
    image: usize,
    oy: usize,
}

/// A line whose kernel width and stride are constants.
struct Fixed<'a, const KW: usize, const SW: usize>(Line<'a>);

impl Line<'_> {
    /// Kernel rows that meet the image.
    fn kernel_rows(&self) -> Range<usize> {
        let p = self.p;
        let top = self.oy * p.stride[0];
        let first = p.pad[0].saturating_sub(top).div_ceil(p.dilation[0]);
        let room = (p.h + p.pad[0]).saturating_sub(top);
        first..room.div_ceil(p.dilation[0]).min(p.kernel[0]).max(first)
    }

    /// First input pixel of the image row under kernel row `ky`.
    fn input_row(&self, ky: usize) -> *const f32 {
        let p = self.p;
        let iy = self.oy * p.stride[0] + ky * p.dilation[0] - p.pad[0];
        self.x.wrapping_add((self.image * p.h + iy) * p.w * p.x_stride)
    }

    fn out_pixel(&self, ox: usize) -> usize {
        (self.image * self.p.oh + self.oy) * self.p.ow + ox
    }

    /// Computes output pixel `ox` with every tap checked against the image.
    ///
    /// # Safety
    /// The machine has `S`; the line's buffers were checked.
    #[inline(always)]
    unsafe fn pixel<S: Simd>(&self, ox: usize) {
        let p = self.p;
        let left = ox * p.stride[1];
        let first = p.pad[1].saturating_sub(left).div_ceil(p.dilation[1]);
        let end = (p.w + p.pad[1]).saturating_sub(left).div_ceil(p.dilation[1]).min(p.kernel[1]);
        let mut c = 0;
        while c < p.c {
            let n = (p.c - c).min(S::LANES);
            // SAFETY: taps `first..end` lie inside the image, channels `c..c + n` exist.
            unsafe {
                let mut acc = self.start::<S>(ox, c, n);
                for ky in self.kernel_rows() {
                    let row = self.input_row(ky);
                    for kx in first..end {
                        let ix = left + kx * p.dilation[1] - p.pad[1];
                        let w = load::<S>(self.w.add((ky * p.kernel[1] + kx) * p.c + c), n);
                        acc = S::fma(load::<S>(row.add(ix * p.x_stride + c), n), w, acc);
                    }
                }
                self.put::<S>(ox, c, n, acc);
            }
            c += n;
        }
    }

    #[inline(always)]
    unsafe fn start<S: Simd>(&self, ox: usize, c: usize, n: usize) -> S::F {
        // SAFETY: channels `c..c + n` of the pixel exist.
        unsafe {
            let bias = self.ready.bias_at(c);
            let v = if bias.is_null() { S::splat(0.0) } else { load::<S>(bias, n) };
            let (residual, _) = self.ready.residual_at(self.out_pixel(ox), c);
            if residual.is_null() { v } else { S::add(v, load::<S>(residual, n)) }
        }
    }

    #[inline(always)]
    unsafe fn put<S: Simd>(&self, ox: usize, c: usize, n: usize, v: S::F) {
        // SAFETY: channels `c..c + n` of the pixel exist.
        unsafe {
            let v = S::min(S::splat(self.ready.high), S::max(S::splat(self.ready.low), v));
            store::<S>(self.y.add(self.out_pixel(ox) * self.p.y_stride + c), n, v);
        }
    }

    /// The epilogue's remaining steps on pixels `from..to`.
    #[inline(always)]
    unsafe fn finish<S: Simd>(&self, from: usize, to: usize) {
        if self.ready.remains() {
            let pixel = self.out_pixel(from);
            let y = self.y.wrapping_add(pixel * self.p.y_stride);
            // SAFETY: the pixels are this line's own.
            unsafe { self.ready.finish::<S>(y, self.p.y_stride, pixel, 0, to - from, self.p.c) };
        }
    }
}

impl Body for Line<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for ox in 0..self.p.ow {
            // SAFETY: passed on.
            unsafe {
                self.pixel::<S>(ox);
                self.finish::<S>(ox, ox + 1);
            }
        }
    }
}

impl<const KW: usize, const SW: usize> Body for Fixed<'_, KW, SW> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let p = self.0.p;
        // Pixels whose whole kernel row lies inside the image.
        let first = p.pad[1].div_ceil(SW).min(p.ow);
        let end = ((p.w + p.pad[1] + SW).saturating_sub(KW) / SW).clamp(first, p.ow);
        let mut ox = 0;
        while ox < p.ow {
            // SAFETY: passed on; the run lies between `first` and `end`.
            unsafe {
                if ox >= first && ox + RUN <= end {
                    self.interior::<S>(ox);
                    self.0.finish::<S>(ox, ox + RUN);
                    ox += RUN;
                } else {
                    self.0.pixel::<S>(ox);
                    self.0.finish::<S>(ox, ox + 1);
                    ox += 1;
                }
            }
        }
    }
}

impl<const KW: usize, const SW: usize> Fixed<'_, KW, SW> {
    /// Computes `RUN` pixels from `ox` on, all of whose taps lie inside the image's width.
    #[inline(always)]
    unsafe fn interior<S: Simd>(&self, ox: usize) {
        let line = &self.0;
        let p = line.p;
        let ix = ox * SW - p.pad[1];
        let rows = line.kernel_rows();
        let mut c = 0;
        while c < p.c {
            let n = (p.c - c).min(S::LANES);
            // SAFETY: input pixels `ix..ix + (RUN - 1) * SW + KW` and channels `c..c + n` exist.
            unsafe {
                let mut acc = [S::splat(0.0); RUN];
                for i in 0..RUN {
                    acc[i] = line.start::<S>(ox + i, c, n);
                }
                for ky in rows.clone() {
                    let row = line.input_row(ky).add(ix * p.x_stride + c);
                    let w = line.w.add(ky * KW * p.c + c);
                    let mut taps = [S::splat(0.0); KW];
                    for kx in 0..KW {
                        taps[kx] = load::<S>(w.add(kx * p.c), n);
                    }
                    for j in 0..(RUN - 1) * SW + KW {
                        let v = load::<S>(row.add(j * p.x_stride), n);
                        for i in 0..RUN {
                            if j >= i * SW && j - i * SW < KW {
                                acc[i] = S::fma(v, taps[j - i * SW], acc[i]);
                            }
                        }
                    }
                }
                for i in 0..RUN {
                    line.put::<S>(ox + i, c, n, acc[i]);
                }
            }
            c += n;
        }
    }
}
