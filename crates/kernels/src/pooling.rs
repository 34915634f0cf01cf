//! Pooling over images. Input: x. Output: y; they may not share memory.
//!
//! Channels-last images are pooled with vectors over channels; plain ones plane by plane, with vectors where a window
//! is the whole plane.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Shared};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use crate::span::product;
use modelsmith_kop::{Layout, PoolKind, PoolProblem};
use modelsmith_pool::Pool;
use std::ops::Range;

/// Kernels for pooling, best first.
pub static KERNELS: &[KernelDef<PoolProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_pool_2d__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_pool_2d__avx2"),
    def::<Portable>("f32_pool_2d__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<PoolProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace: no_workspace, run: run::<S> }
}

fn accepts(p: &PoolProblem) -> Result<(), Reject> {
    if p.stride.contains(&0) || p.dilation.contains(&0) || p.kernel.contains(&0) {
        return Reject::because("a zero in stride, dilation or kernel");
    }
    let sizes = [product(&[p.n, p.c, p.h, p.w]), product(&[p.n, p.c, p.oh, p.ow]), product(&p.kernel)];
    let reach = |axis: usize, out: usize| product(&[out.max(1), p.stride[axis], p.kernel[axis], p.dilation[axis], 4]);
    let limit = 1usize << 40;
    if sizes.contains(&None) || reach(0, p.oh.max(p.h)).is_none() || reach(1, p.ow.max(p.w)).is_none() {
        return Reject::because("sizes overflow");
    }
    if p.pad.iter().chain(&p.kernel).chain([&p.h, &p.w]).any(|&v| v > limit) {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

fn cost(p: &PoolProblem, facts: &Facts) -> f64 {
    let pixels = (p.n * p.c) as f64;
    let bytes = 4.0 * pixels * ((p.h * p.w) + (p.oh * p.ow)) as f64;
    let work = pixels * (p.oh * p.ow * p.kernel[0] * p.kernel[1]) as f64;
    let share = if p.layout == Layout::Plain && (p.oh, p.ow) != (1, 1) { 0.01 } else { 0.15 };
    crate::def::roofline(bytes, work, share, facts)
}

/// Taps of a window along one axis that meet the input, the first's coordinate, and the count that a mean with
/// padding divides by.
fn window(p: &PoolProblem, axis: usize, out: usize, len: usize) -> (usize, usize, usize) {
    let (k, d) = (p.kernel[axis], p.dilation[axis]);
    let start = out * p.stride[axis];
    let pad = p.pad[axis];
    let first = pad.saturating_sub(start).div_ceil(d).min(k);
    let end = (len + pad).saturating_sub(start).div_ceil(d).min(k).max(first);
    // The padded extent ends `pad[axis + 2]` behind the input; a ceiling window may reach beyond it.
    let with_pad = (len + pad + p.pad[axis + 2]).saturating_sub(start).div_ceil(d).min(k);
    ((start + first * d).saturating_sub(pad), end - first, with_pad)
}

fn run<S: Simd>(p: &PoolProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (x_len, y_len) = (p.n * p.c * p.h * p.w, p.n * p.c * p.oh * p.ow);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(y_len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(x_len, "x")?;
    mem::apart((x, x_len), (y, y_len), "x")?;
    if y_len == 0 {
        return Ok(());
    }
    let (x, y) = (Shared(x.cast_mut()), Shared(y));
    let lines = if p.layout == Layout::Plain { p.n * p.c } else { p.n * p.oh };
    let per_line = (p.oh * p.ow * p.kernel[0] * p.kernel[1]).max(p.h * p.w);
    let grain = if p.layout == Layout::Plain { (16 * 1024 / per_line.max(1)).max(1) } else { 1 };
    // One output pixel of many channels, as global pooling has it, is cut along the channels instead.
    if p.layout == Layout::ChannelsLast && lines < pool.threads() && p.ow == 1 {
        pool.for_ranges(p.c.div_ceil(64), 4, |blocks, _| {
            let channels = blocks.start * 64..(blocks.end * 64).min(p.c);
            for line in 0..lines {
                // SAFETY: buffers were checked; tasks write different channels.
                unsafe { S::enter(Line { p, x: x.get(), y: y.get(), line, channels: channels.clone() }) }
            }
        });
        return Ok(());
    }
    pool.for_ranges(lines, grain, |range, _| {
        for line in range {
            // SAFETY: buffers were checked; each line is written by one task.
            unsafe { S::enter(Line { p, x: x.get(), y: y.get(), line, channels: 0..p.c }) }
        }
    });
    Ok(())
}

/// A row of output pixels (channels-last) or a plane of one channel (plain).
struct Line<'a> {
    p: &'a PoolProblem,
    x: *const f32,
    y: *mut f32,
    line: usize,
    channels: Range<usize>,
}

impl Body for Line<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe {
            match (self.p.layout, self.p.kind) {
                (Layout::ChannelsLast, PoolKind::Max) => self.row::<S, true>(),
                (Layout::ChannelsLast, PoolKind::Avg { .. }) => self.row::<S, false>(),
                (Layout::Plain, PoolKind::Max) => self.plane::<S, true>(),
                (Layout::Plain, PoolKind::Avg { .. }) => self.plane::<S, false>(),
            }
        }
    }
}

/// Larger of two, NaN wins.
#[inline(always)]
unsafe fn larger<S: Simd>(a: S::F, b: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine. `max` gives `b` where either is NaN, so a NaN in
    // `b` wins, and one in `a` is put back.
    unsafe { S::select(S::eq(a, a), S::max(a, b), a) }
}

impl Line<'_> {
    fn divisor(&self, rows: (usize, usize, usize), cols: (usize, usize, usize)) -> f32 {
        match self.p.kind {
            PoolKind::Avg { count_include_pad: true } => (rows.2 * cols.2) as f32,
            _ => (rows.1 * cols.1) as f32,
        }
    }

    #[inline(always)]
    unsafe fn row<S: Simd, const MAX: bool>(&self) {
        let p = self.p;
        let (image, oy) = (self.line / p.oh, self.line % p.oh);
        let rows = window(p, 0, oy, p.h);
        for ox in 0..p.ow {
            let cols = window(p, 1, ox, p.w);
            let scale = 1.0 / self.divisor(rows, cols);
            let first = ((image * p.h + rows.0) * p.w + cols.0) * p.c;
            let mut c = self.channels.start;
            while c < self.channels.end {
                // Several vectors at once hide the latency of one chain.
                let n = (self.channels.end - c).min(4 * S::LANES);
                // SAFETY: taps lie inside the image, channels `c..c + n` exist.
                unsafe {
                    let mut acc = [S::splat(if MAX { f32::NEG_INFINITY } else { 0.0 }); 4];
                    for ky in 0..rows.1 {
                        for kx in 0..cols.1 {
                            let at = first + (ky * p.dilation[0] * p.w + kx * p.dilation[1]) * p.c + c;
                            let x = self.x.wrapping_add(at);
                            if n == 4 * S::LANES {
                                for v in 0..4 {
                                    let x = S::load(x.add(v * S::LANES));
                                    acc[v] = if MAX { larger::<S>(acc[v], x) } else { S::add(acc[v], x) };
                                }
                            } else {
                                for v in 0..n.div_ceil(S::LANES) {
                                    let x = load::<S>(x.add(v * S::LANES), (n - v * S::LANES).min(S::LANES));
                                    acc[v] = if MAX { larger::<S>(acc[v], x) } else { S::add(acc[v], x) };
                                }
                            }
                        }
                    }
                    let y = self.y.add(((image * p.oh + oy) * p.ow + ox) * p.c + c);
                    for v in 0..n.div_ceil(S::LANES) {
                        let r = if MAX { acc[v] } else { S::mul(acc[v], S::splat(scale)) };
                        store::<S>(y.add(v * S::LANES), (n - v * S::LANES).min(S::LANES), r);
                    }
                }
                c += n;
            }
        }
    }

    #[inline(always)]
    unsafe fn plane<S: Simd, const MAX: bool>(&self) {
        let p = self.p;
        let x = self.x.wrapping_add(self.line * p.h * p.w);
        for oy in 0..p.oh {
            let rows = window(p, 0, oy, p.h);
            for ox in 0..p.ow {
                let cols = window(p, 1, ox, p.w);
                let mut acc = if MAX { f32::NEG_INFINITY } else { 0.0 };
                for ky in 0..rows.1 {
                    let line = x.wrapping_add((rows.0 + ky * p.dilation[0]) * p.w + cols.0);
                    let mut kx = 0;
                    // SAFETY: taps lie inside the plane.
                    unsafe {
                        if p.dilation[1] == 1 && cols.1 >= 2 * S::LANES {
                            let mut v = S::load(line);
                            kx = S::LANES;
                            while kx + S::LANES <= cols.1 {
                                let x = S::load(line.add(kx));
                                v = if MAX { larger::<S>(v, x) } else { S::add(v, x) };
                                kx += S::LANES;
                            }
                            acc = if MAX { pick(acc, S::max_lane(v)) } else { acc + S::sum(v) };
                        }
                        while kx < cols.1 {
                            let x = *line.add(kx * p.dilation[1]);
                            acc = if MAX { pick(acc, x) } else { acc + x };
                            kx += 1;
                        }
                    }
                }
                let r = if MAX { acc } else { acc / self.divisor(rows, cols) };
                // SAFETY: the output pixel exists.
                unsafe { *self.y.add((self.line * p.oh + oy) * p.ow + ox) = r };
            }
        }
    }
}

#[inline(always)]
fn pick(a: f32, b: f32) -> f32 {
    if b > a || b.is_nan() { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::{close, noise};
    use crate::{Dst, Src};

    fn reference(p: &PoolProblem, x: &[f32]) -> Vec<f32> {
        let at = |h: usize, w: usize, i: [usize; 4]| match p.layout {
            Layout::Plain => ((i[0] * p.c + i[1]) * h + i[2]) * w + i[3],
            Layout::ChannelsLast => ((i[0] * h + i[2]) * w + i[3]) * p.c + i[1],
        };
        let mut y = vec![0.0; p.n * p.c * p.oh * p.ow];
        for n in 0..p.n {
            for c in 0..p.c {
                for oy in 0..p.oh {
                    for ox in 0..p.ow {
                        let (mut best, mut sum, mut inside, mut padded) = (f32::NEG_INFINITY, 0f64, 0, 0);
                        for ky in 0..p.kernel[0] {
                            for kx in 0..p.kernel[1] {
                                let iy = (oy * p.stride[0] + ky * p.dilation[0]) as isize - p.pad[0] as isize;
                                let ix = (ox * p.stride[1] + kx * p.dilation[1]) as isize - p.pad[1] as isize;
                                if iy < (p.h + p.pad[2]) as isize && ix < (p.w + p.pad[3]) as isize {
                                    padded += 1;
                                }
                                if iy >= 0 && ix >= 0 && (iy as usize) < p.h && (ix as usize) < p.w {
                                    let v = x[at(p.h, p.w, [n, c, iy as usize, ix as usize])];
                                    best = pick(best, v);
                                    sum += f64::from(v);
                                    inside += 1;
                                }
                            }
                        }
                        y[at(p.oh, p.ow, [n, c, oy, ox])] = match p.kind {
                            PoolKind::Max => best,
                            PoolKind::Avg { count_include_pad: true } => (sum / f64::from(padded)) as f32,
                            PoolKind::Avg { .. } => (sum / f64::from(inside)) as f32,
                        };
                    }
                }
            }
        }
        y
    }

    #[test]
    fn shapes_and_kinds() {
        for (hw, k, s, d, pad, out) in [
            ([9, 11], [3, 3], [2, 2], [1, 1], [1, 1, 1, 1], [5, 6]),
            ([8, 8], [2, 2], [2, 2], [1, 1], [0, 0, 0, 0], [4, 4]),
            ([7, 40], [7, 40], [1, 1], [1, 1], [0, 0, 0, 0], [1, 1]),
            ([10, 9], [3, 2], [1, 2], [2, 3], [1, 0, 2, 1], [9, 4]),
            ([7, 7], [3, 3], [2, 2], [1, 1], [0, 0, 0, 0], [3, 3]),
            ([6, 6], [3, 3], [2, 2], [1, 1], [0, 0, 1, 1], [3, 3]),
        ] {
            for layout in Layout::ALL {
                for kind in [
                    PoolKind::Max,
                    PoolKind::Avg { count_include_pad: false },
                    PoolKind::Avg { count_include_pad: true },
                ] {
                    for c in [1, 19, 150] {
                        let p = PoolProblem {
                            kind,
                            n: 2,
                            c,
                            h: hw[0],
                            w: hw[1],
                            kernel: k,
                            stride: s,
                            dilation: d,
                            pad,
                            oh: out[0],
                            ow: out[1],
                            layout,
                        };
                        let x = noise(2 * c * hw[0] * hw[1], 5);
                        let want = reference(&p, &x);
                        for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                            for threads in [1, 3] {
                                let mut y = vec![9.0; want.len()];
                                let args = Args {
                                    inputs: &[Src::new(&x)],
                                    outputs: &mut [Dst::new(&mut y)],
                                    workspace: &mut [],
                                };
                                kernel.run(&p, args, &Pool::new(threads)).unwrap();
                                close(&y, &want, 50, &(kernel.name, &p));
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn nan_wins() {
        let mut x = noise(4 * 40, 1);
        x[40] = f32::NAN;
        for layout in Layout::ALL {
            let p = PoolProblem {
                kind: PoolKind::Max,
                n: 1,
                c: 40,
                h: 2,
                w: 2,
                kernel: [2, 2],
                stride: [1, 1],
                dilation: [1, 1],
                pad: [0; 4],
                oh: 1,
                ow: 1,
                layout,
            };
            for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                let mut y = vec![0.0; 40];
                let args = Args { inputs: &[Src::new(&x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
                kernel.run(&p, args, &Pool::new(1)).unwrap();
                assert_eq!(y.iter().filter(|v| v.is_nan()).count(), 1);
            }
        }
    }
}
