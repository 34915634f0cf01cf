//! Pooling over images. Input: x. Output: y; they may not share memory.
//!
//! Channels-last images are pooled with vectors over channels; plain ones plane by plane, with vectors where a window
//! is the whole plane.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Scratch, Shared};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use crate::span::product;
use modelsmith_kop::{Layout, PoolKind, PoolProblem};
use modelsmith_pool::{Pool, cut};
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
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace, run: run::<S> }
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
    let share = if p.layout == Layout::Plain && (p.oh, p.ow) != (1, 1) { 0.05 } else { 0.15 };
    crate::def::roofline(bytes, work, share, facts)
}

/// Taps of a window along one axis that meet the input, the first's coordinate, and the count that a mean with
/// padding divides by.
fn window(p: &PoolProblem, axis: usize, out: usize, len: usize) -> (usize, usize, usize) {
    let (k, d) = (p.kernel[axis], p.dilation[axis]);
    let start = out * p.stride[axis];
    let pad = p.pad[axis];
    // A division takes longer than a short window.
    let taps = |distance: usize| if d == 1 { distance } else { distance.div_ceil(d) }.min(k);
    let first = taps(pad.saturating_sub(start));
    let end = taps((len + pad).saturating_sub(start)).max(first);
    // The padded extent ends `pad[axis + 2]` behind the input; a ceiling window may reach beyond it.
    let with_pad = taps((len + pad + p.pad[axis + 2]).saturating_sub(start));
    ((start + first * d).saturating_sub(pad), end - first, with_pad)
}

/// Channels that are not cut: a cache line of them.
const LANES: usize = 16;

/// Elements of an image that one task reads at least.
const PIECE: usize = 16 * 1024;

fn run<S: Simd>(p: &PoolProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (x_len, y_len) = (p.n * p.c * p.h * p.w, p.n * p.c * p.oh * p.ow);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(y_len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(x_len, "x")?;
    mem::apart((x, x_len), (y, y_len), "x")?;
    if y_len == 0 {
        return Ok(());
    }
    let (x, y) = (Shared(x.cast_mut()), Shared(y));
    let parts = parts(p);
    if parts > 1 {
        let scratch = Scratch::new(args.workspace, 4 * p.n * parts * p.c, 0, 1)?;
        // SAFETY: buffers were checked and the workspace was sized for the parts.
        unsafe { by_parts::<S>(p, (x, y), parts, Shared(scratch.head()), pool) };
        return Ok(());
    }
    let lines = if p.layout == Layout::Plain { p.n * p.c } else { p.n * p.oh };
    let per_line = (p.oh * p.ow * p.kernel[0] * p.kernel[1]).max(p.h * p.w);
    let grain = if p.layout == Layout::Plain { (16 * 1024 / per_line.max(1)).max(1) } else { 1 };
    // One output pixel of many channels, as global pooling has it, is cut along the channels instead.
    if p.layout == Layout::ChannelsLast && lines < pool.threads() && p.ow == 1 {
        let grain = (PIECE / (per_line * LANES).max(1)).max(1);
        pool.for_ranges(p.c.div_ceil(LANES), grain, |blocks, _| {
            let channels = blocks.start * LANES..(blocks.end * LANES).min(p.c);
            for line in 0..lines {
                // SAFETY: buffers were checked; tasks write different channels.
                unsafe { S::enter(Line { channels: channels.clone(), ..Line::whole(p, x.get(), y.get(), line) }) }
            }
        });
        return Ok(());
    }
    pool.for_ranges(lines, grain, |range, _| {
        for line in range {
            // SAFETY: buffers were checked; each line is written by one task.
            unsafe { S::enter(Line::whole(p, x.get(), y.get(), line)) }
        }
    });
    Ok(())
}

/// Rows of the input that a window over a whole channels-last image is cut into, 1 where it is not cut. A function of the
/// problem alone, so that a sum has the same bits for any number of threads.
fn parts(p: &PoolProblem) -> usize {
    if p.layout == Layout::Plain || (p.oh, p.ow) != (1, 1) {
        return 1;
    }
    let (rows, cols) = (window(p, 0, 0, p.h).1, window(p, 1, 0, p.w).1);
    (rows.saturating_mul(cols).saturating_mul(p.c) / (2 * PIECE)).clamp(1, 8).min(rows.max(1))
}

fn workspace(p: &PoolProblem, _: usize) -> usize {
    match parts(p) {
        1 => 0,
        parts => Scratch::bytes(p.n.saturating_mul(parts).saturating_mul(p.c).saturating_mul(4), 0, 1),
    }
}

/// Pools each image to one pixel: parts of its rows first, which are then put together.
///
/// # Safety
/// The buffers hold the problem's images and results, `sums` has room for a result of each part.
unsafe fn by_parts<S: Simd>(
    p: &PoolProblem,
    (x, y): (Shared<f32>, Shared<f32>),
    parts: usize,
    sums: Shared<f32>,
    pool: &Pool,
) {
    let (rows, cols) = (window(p, 0, 0, p.h), window(p, 1, 0, p.w));
    pool.run(p.n * parts, |task, _| {
        let (line, part) = (task / parts, task % parts);
        // A line writes its result behind those of the lines before it.
        let y = sums.get().wrapping_add((line * (parts - 1) + part) * p.c);
        let whole = Line::whole(p, x.get(), y, line);
        // SAFETY: by this function's contract; tasks write different results.
        unsafe { S::enter(Line { taps: cut(rows.1, parts, part), sum: true, ..whole }) }
    });
    for line in 0..p.n {
        let scale = 1.0 / Line::whole(p, x.get(), y.get(), line).divisor(rows, cols);
        for c in 0..p.c {
            let of = |part: usize| sums.get().wrapping_add((line * parts + part) * p.c + c);
            // SAFETY: by this function's contract.
            unsafe {
                let r = match p.kind {
                    PoolKind::Max => (1..parts).fold(*of(0), |a, part| pick(a, *of(part))),
                    PoolKind::Avg { .. } => (1..parts).fold(*of(0), |a, part| a + *of(part)) * scale,
                };
                *y.get().add(line * p.c + c) = r;
            }
        }
    }
}

/// A row of output pixels (channels-last) or a plane of one channel (plain).
struct Line<'a> {
    p: &'a PoolProblem,
    x: *const f32,
    y: *mut f32,
    line: usize,
    channels: Range<usize>,
    /// Rows of each window that count, of those that meet the image; channels-last only.
    taps: Range<usize>,
    /// Whether sums are left as they are.
    sum: bool,
}

impl<'a> Line<'a> {
    fn whole(p: &'a PoolProblem, x: *const f32, y: *mut f32, line: usize) -> Line<'a> {
        Line { p, x, y, line, channels: 0..p.c, taps: 0..usize::MAX, sum: false }
    }
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
            let scale = if self.sum { 1.0 } else { 1.0 / self.divisor(rows, cols) };
            let first = ((image * p.h + rows.0) * p.w + cols.0) * p.c;
            let mut c = self.channels.start;
            while c < self.channels.end {
                // Several vectors at once hide the latency of one chain.
                let n = (self.channels.end - c).min(4 * S::LANES);
                // SAFETY: taps lie inside the image, channels `c..c + n` exist.
                unsafe {
                    let mut acc = [S::splat(if MAX { f32::NEG_INFINITY } else { 0.0 }); 4];
                    for ky in self.taps.start..self.taps.end.min(rows.1) {
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
        if p.ow > 1 {
            // SAFETY: passed on.
            return unsafe { self.rows_of_plane::<S, MAX>(x) };
        }
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

/// Columns of the input that a piece of an output row may span.
const SPAN: usize = 1024;

impl Line<'_> {
    /// A plane in two steps: each column of a row of windows, then the windows along the columns.
    ///
    /// # Safety
    /// `x` is the line's plane, `y` has room for its results, and the machine has what `S` needs.
    #[inline(always)]
    unsafe fn rows_of_plane<S: Simd, const MAX: bool>(&self, x: *const f32) {
        let p = self.p;
        let reach = (p.kernel[1] - 1) * p.dilation[1] + 1;
        let piece = match SPAN.checked_sub(reach) {
            Some(room) => room / p.stride[1] + 1,
            None => 0,
        };
        // Columns of the piece, as the windows see them: with padding.
        let mut columns = [0.0f32; SPAN];
        for oy in 0..p.oh {
            let rows = window(p, 0, oy, p.h);
            // SAFETY: the plane has a row of results.
            let y = unsafe { std::slice::from_raw_parts_mut(self.y.add((self.line * p.oh + oy) * p.ow), p.ow) };
            if piece == 0 {
                // SAFETY: taps lie inside the plane.
                y.iter_mut().enumerate().for_each(|(ox, y)| *y = unsafe { self.pixel::<MAX>(x, rows, ox) });
                continue;
            }
            for (i, y) in y.chunks_mut(piece).enumerate() {
                let first = i * piece * p.stride[1];
                let columns = &mut columns[..(y.len() - 1) * p.stride[1] + reach];
                // SAFETY: rows lie in the plane.
                unsafe { self.columns::<S, MAX>(x, rows, first, columns) };
                match p.stride[1] {
                    1 => along::<1, MAX>(y, columns, p),
                    2 => along::<2, MAX>(y, columns, p),
                    _ => along::<0, MAX>(y, columns, p),
                }
                if !MAX {
                    self.divide(y, i * piece, rows);
                }
            }
        }
    }

    /// What the rows of windows give for each column from `first` on, counted from the padding's first.
    ///
    /// # Safety
    /// `x` is the line's plane, `rows` lie in it, and the machine has what `S` needs.
    #[inline(always)]
    unsafe fn columns<S: Simd, const MAX: bool>(
        &self,
        x: *const f32,
        rows: (usize, usize, usize),
        first: usize,
        columns: &mut [f32],
    ) {
        let p = self.p;
        let (left, none) = (p.pad[1], if MAX { f32::NEG_INFINITY } else { 0.0 });
        let from = left.saturating_sub(first).min(columns.len());
        let to = (p.w + left).saturating_sub(first).clamp(from, columns.len());
        columns[..from].fill(none);
        columns[to..].fill(none);
        let (inside, len) = (columns[from..to].as_mut_ptr(), to - from);
        let x = x.wrapping_add(rows.0 * p.w + (first + from).wrapping_sub(left));
        let mut at = 0;
        while at < len {
            let n = (len - at).min(S::LANES);
            // SAFETY: the columns lie in the plane and the buffer.
            unsafe {
                let mut v = S::splat(none);
                for row in 0..rows.1 {
                    let x = load::<S>(x.add(row * p.dilation[0] * p.w + at), n);
                    v = if MAX { larger::<S>(v, x) } else { S::add(v, x) };
                }
                store::<S>(inside.add(at), n, v);
            }
            at += n;
        }
    }

    /// Divides sums by the number of their elements.
    #[inline(always)]
    fn divide(&self, y: &mut [f32], first: usize, rows: (usize, usize, usize)) {
        let (p, len) = (self.p, y.len());
        let span = (p.kernel[1] - 1) * p.dilation[1];
        // Results whose windows lie in the image from end to end all have one divisor.
        let whole = (p.w + p.pad[1]).checked_sub(span + 1).map_or(0, |room| room / p.stride[1] + 1);
        let from = p.pad[1].div_ceil(p.stride[1]).saturating_sub(first).min(len);
        let to = whole.saturating_sub(first).clamp(from, len);
        let by = |i: usize| self.divisor(rows, window(p, 1, first + i, p.w));
        for i in (0..from).chain(to..len) {
            y[i] /= by(i);
        }
        if from < to {
            let by = by(from);
            y[from..to].iter_mut().for_each(|y| *y /= by);
        }
    }

    /// One window, tap by tap.
    ///
    /// # Safety
    /// `x` is the line's plane, and `rows` lie in it.
    unsafe fn pixel<const MAX: bool>(&self, x: *const f32, rows: (usize, usize, usize), ox: usize) -> f32 {
        let p = self.p;
        let cols = window(p, 1, ox, p.w);
        let mut acc = if MAX { f32::NEG_INFINITY } else { 0.0 };
        for (ky, kx) in (0..rows.1).flat_map(|ky| (0..cols.1).map(move |kx| (ky, kx))) {
            // SAFETY: taps lie inside the plane.
            let x = unsafe { *x.add((rows.0 + ky * p.dilation[0]) * p.w + cols.0 + kx * p.dilation[1]) };
            acc = if MAX { pick(acc, x) } else { acc + x };
        }
        if MAX { acc } else { acc / self.divisor(rows, cols) }
    }
}

/// Each result from the columns of its window; `STEP` is the step where it is a constant.
#[inline(always)]
fn along<const STEP: usize, const MAX: bool>(y: &mut [f32], columns: &[f32], p: &PoolProblem) {
    let step = if STEP == 0 { p.stride[1] } else { STEP };
    y.fill(if MAX { f32::NEG_INFINITY } else { 0.0 });
    for k in 0..p.kernel[1] {
        let taps = &columns[k * p.dilation[1]..];
        let add = |(y, &x): (&mut f32, &f32)| *y = if MAX { pick(*y, x) } else { *y + x };
        match STEP {
            1 => y.iter_mut().zip(taps).for_each(add),
            _ => y.iter_mut().zip(taps.iter().step_by(step)).for_each(add),
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
            ([5, 70], [3, 3], [1, 1], [1, 1], [1, 1, 1, 1], [5, 70]),
            ([4, 300], [2, 5], [2, 3], [1, 40], [1, 9, 0, 3], [2, 51]),
            ([3, 2100], [3, 2], [1, 2], [1, 1], [1, 0, 1, 0], [3, 1050]),
            ([40, 50], [40, 50], [1, 1], [1, 1], [0, 0, 0, 0], [1, 1]),
            ([61, 90], [63, 92], [1, 1], [1, 1], [1, 1, 1, 1], [1, 1]),
            ([2, 1400], [2, 3], [1, 40], [1, 600], [0, 10, 0, 0], [1, 6]),
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
                            let mut first = None;
                            for threads in [1, 3] {
                                let mut y = vec![9.0; want.len()];
                                let mut work = vec![0; kernel.workspace(&p, threads)];
                                let args = Args {
                                    inputs: &[Src::new(&x)],
                                    outputs: &mut [Dst::new(&mut y)],
                                    workspace: &mut work,
                                };
                                kernel.run(&p, args, &Pool::new(threads)).unwrap();
                                close(&y, &want, 50, &(kernel.name, &p));
                                let bits: Vec<u32> = y.iter().map(|v| v.to_bits()).collect();
                                assert_eq!(*first.get_or_insert(bits.clone()), bits, "{} {p:?}", kernel.name);
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
