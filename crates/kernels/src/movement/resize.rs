//! Resizing of images, nearest and linear. Input: x. Output: y; they may not share memory.
//!
//! An output row is a row of the input, or a mixture of two, with its pixels mixed from neighbours. An image that shrinks
//! has its rows mixed first; of one that grows each row is first brought to its new width, once for all rows made of it.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Scratch, Shared};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use crate::span::product;
use modelsmith_kop::{CoordMode, Layout, NearestMode, ResizeMode, ResizeProblem};
use modelsmith_pool::Pool;
use std::ops::Range;

/// Kernels for resizing, best first.
pub static KERNELS: &[KernelDef<ResizeProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_resize_2d__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_resize_2d__avx2"),
    def::<Portable>("f32_resize_2d__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<ResizeProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace, run: run::<S> }
}

fn cost(p: &ResizeProblem, facts: &Facts) -> f64 {
    1000.0 + 4.0 * (p.n * p.c * p.oh * p.ow) as f64 / facts.gbytes
}

fn workspace(p: &ResizeProblem, threads: usize) -> usize {
    Scratch::bytes(0, row_bytes(p), threads)
}

/// Bytes of what lies between the two steps: a mixed row of the input, or two rows of the new width.
fn row_bytes(p: &ResizeProblem) -> usize {
    4 * (if grows(p) { 2 * p.ow } else { p.w }) * if p.layout == Layout::Plain { 1 } else { p.c }
}

/// True where there are more rows to make than to read.
fn grows(p: &ResizeProblem) -> bool {
    p.oh > p.h
}

fn accepts(p: &ResizeProblem) -> Result<(), Reject> {
    if product(&[p.n, p.c, p.h, p.w]).is_none() || product(&[p.n, p.c, p.oh, p.ow]).is_none() {
        return Reject::because("sizes overflow");
    }
    if (p.h == 0 || p.w == 0) && p.oh > 0 && p.ow > 0 {
        return Reject::because("nothing to resize");
    }
    if p.w > i32::MAX as usize {
        return Reject::because("more columns than 32 bits count");
    }
    if !p.scale.iter().all(|s| *s > 0.0 && s.is_finite()) {
        return Reject::because("a scale is not positive and finite");
    }
    Ok(())
}

/// Two neighbours and the weight of the second.
#[derive(Clone, Copy)]
struct Tap {
    a: usize,
    b: usize,
    t: f32,
}

/// Where output coordinate `i` of an axis lies.
fn tap(p: &ResizeProblem, axis: usize, i: usize) -> Tap {
    let (len, out) = if axis == 0 { (p.h, p.oh) } else { (p.w, p.ow) };
    let (scale, x) = (p.scale[axis], i as f32);
    let at = match p.coord {
        CoordMode::PytorchHalfPixel if out <= 1 => 0.0,
        CoordMode::HalfPixel | CoordMode::PytorchHalfPixel => (x + 0.5) / scale - 0.5,
        CoordMode::AlignCorners if out <= 1 => 0.0,
        CoordMode::AlignCorners => x * (len as f32 - 1.0) / (out as f32 - 1.0),
        CoordMode::Asymmetric => x / scale,
    };
    let last = len - 1;
    match p.mode {
        ResizeMode::Nearest(mode) => {
            let rounded = match mode {
                NearestMode::RoundPreferFloor => (at - 0.5).ceil(),
                NearestMode::RoundPreferCeil => (at + 0.5).floor(),
                NearestMode::Floor => at.floor(),
                NearestMode::Ceil => at.ceil(),
            };
            let a = (rounded.max(0.0) as usize).min(last);
            Tap { a, b: a, t: 0.0 }
        }
        ResizeMode::Linear => {
            let at = at.clamp(0.0, last as f32);
            let a = (at.floor() as usize).min(last);
            Tap { a, b: (a + 1).min(last), t: at - a as f32 }
        }
    }
}

fn run<S: Simd>(p: &ResizeProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (x_len, y_len) = (p.n * p.c * p.h * p.w, p.n * p.c * p.oh * p.ow);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(y_len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(x_len, "x")?;
    mem::apart((x, x_len), (y, y_len), "x")?;
    let scratch = Scratch::new(args.workspace, 0, row_bytes(p), pool.threads())?;
    if y_len == 0 {
        return Ok(());
    }
    // A plain image is n * c images of one channel.
    let (images, c) = if p.layout == Layout::Plain { (p.n * p.c, 1) } else { (p.n, p.c) };
    let (cols, from, to) = (Columns::new(p), Shared(x.cast_mut()), Shared(y));
    pool.for_ranges(images * p.oh, (8192 / (p.ow * c).max(1)).max(1), |rows, worker| {
        let rows = Rows { p, c, cols: &cols, from: from.get(), to: to.get(), work: scratch.worker(worker), rows };
        // SAFETY: each output row is written by one task, and each worker has scratch for the rows between.
        unsafe {
            match grows(p) {
                true => rows.widen::<S>(),
                false => rows.shrink::<S>(),
            }
        }
    });
    Ok(())
}

/// Output rows of one task.
struct Rows<'a> {
    p: &'a ResizeProblem,
    /// Channels beside each other.
    c: usize,
    cols: &'a Columns,
    from: *const f32,
    to: *mut f32,
    work: *mut f32,
    rows: Range<usize>,
}

impl Rows<'_> {
    /// Input row `iy` of an image.
    unsafe fn line(&self, image: usize, iy: usize) -> *const f32 {
        // SAFETY: the caller's row lies inside the input.
        unsafe { self.from.add((image * self.p.h + iy) * self.p.w * self.c) }
    }

    /// Mixes rows, then pixels.
    unsafe fn shrink<S: Simd>(&self) {
        let (p, c) = (self.p, self.c);
        for row in self.rows.clone() {
            let (image, v) = (row / p.oh, tap(p, 0, row % p.oh));
            // SAFETY: taps are clamped to the image.
            unsafe {
                let top = self.line(image, v.a);
                let mut across = Across { cols: self.cols, row: top, c, to: self.to.add(row * p.ow * c) };
                if v.t != 0.0 {
                    S::enter(Mix { a: top, b: self.line(image, v.b), t: v.t, n: p.w * c, to: self.work });
                    across.row = self.work;
                }
                S::enter(across);
            }
        }
    }

    /// Mixes pixels, then rows. Two rows of the new width are kept, an even one and an odd one of the input.
    unsafe fn widen<S: Simd>(&self) {
        let (p, c, n) = (self.p, self.c, self.p.ow * self.c);
        let mut kept = [usize::MAX; 2];
        for row in self.rows.clone() {
            let (image, v) = (row / p.oh, tap(p, 0, row % p.oh));
            let mut wide = |iy: usize| {
                let at = image * p.h + iy;
                // SAFETY: there is room for two rows, and taps are clamped to the image.
                unsafe {
                    let to = self.work.add(at % 2 * n);
                    if kept[at % 2] != at {
                        S::enter(Across { cols: self.cols, row: self.line(image, iy), c, to });
                        kept[at % 2] = at;
                    }
                    to.cast_const()
                }
            };
            let a = wide(v.a);
            // SAFETY: both rows have `n` values, and the output row is this task's own.
            unsafe {
                match v.t == 0.0 {
                    true => std::ptr::copy_nonoverlapping(a, self.to.add(row * n), n),
                    false => S::enter(Mix { a, b: wide(v.b), t: v.t, n, to: self.to.add(row * n) }),
                }
            }
        }
    }
}

/// `n` values between those of `a` and `b`.
struct Mix {
    a: *const f32,
    b: *const f32,
    t: f32,
    n: usize,
    to: *mut f32,
}

impl Body for Mix {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut i = 0;
        while i < self.n {
            let n = (self.n - i).min(S::LANES);
            // SAFETY: all three are good for `n` values.
            unsafe {
                let (a, b) = (load::<S>(self.a.add(i), n), load::<S>(self.b.add(i), n));
                let (a, b) = (S::mul(a, S::splat(1.0 - self.t)), S::mul(b, S::splat(self.t)));
                store::<S>(self.to.add(i), n, S::add(a, b));
            }
            i += n;
        }
    }
}

/// The taps of the pixels of an output row.
struct Columns {
    a: Vec<u32>,
    b: Vec<u32>,
    t: Vec<f32>,
}

impl Columns {
    fn new(p: &ResizeProblem) -> Columns {
        let mut cols = Columns { a: Vec::new(), b: Vec::new(), t: Vec::new() };
        for tap in (0..p.ow).map(|i| tap(p, 1, i)) {
            cols.a.push(tap.a as u32);
            cols.b.push(tap.b as u32);
            cols.t.push(tap.t);
        }
        cols
    }
}

/// The pixels of an output row, from a row of pixels of `c` channels.
struct Across<'a> {
    cols: &'a Columns,
    row: *const f32,
    c: usize,
    to: *mut f32,
}

impl Across<'_> {
    /// Pixels of one channel.
    #[inline(always)]
    unsafe fn single<S: Simd>(&self) {
        let Columns { a, b, t } = self.cols;
        let mut i = 0;
        while i < t.len() {
            let n = (t.len() - i).min(S::LANES);
            // SAFETY: `i + n` columns exist and lie in the row.
            unsafe {
                let at = |v: &Vec<u32>| S::gather(self.row, S::bits(load::<S>(v.as_ptr().add(i).cast(), n)));
                let (first, second, t) = (at(a), at(b), load::<S>(t.as_ptr().add(i), n));
                let mixed = S::add(S::mul(first, S::sub(S::splat(1.0), t)), S::mul(second, t));
                store::<S>(self.to.add(i), n, S::select(S::eq(t, S::splat(0.0)), first, mixed));
            }
            i += n;
        }
    }
}

impl Body for Across<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: taps lie in the row, and there is room for all pixels.
        unsafe {
            if self.c == 1 {
                return self.single::<S>();
            }
            for (i, &t) in self.cols.t.iter().enumerate() {
                let pixel = |at: u32| self.row.add(at as usize * self.c);
                let (a, b, to) = (pixel(self.cols.a[i]), pixel(self.cols.b[i]), self.to.add(i * self.c));
                if t == 0.0 {
                    std::ptr::copy_nonoverlapping(a, to, self.c);
                } else {
                    Mix { a, b, t, n: self.c, to }.run::<S>();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dst, Src};

    fn resize(p: &ResizeProblem, x: &[f32]) -> Vec<f32> {
        let mut y = Vec::new();
        let isa = crate::detect();
        for kernel in KERNELS.iter().filter(|k| isa.contains(k.isa)) {
            let mut again = vec![0.0; p.n * p.c * p.oh * p.ow];
            let mut work = vec![0; kernel.workspace(p, 2)];
            let args = Args { inputs: &[Src::new(x)], outputs: &mut [Dst::new(&mut again)], workspace: &mut work };
            kernel.run(p, args, &Pool::new(2)).unwrap();
            assert!(y.is_empty() || again == y, "{}", kernel.name);
            y = again;
        }
        y
    }

    #[test]
    fn known_values() {
        let mut p = ResizeProblem {
            n: 1,
            c: 1,
            h: 2,
            w: 2,
            oh: 4,
            ow: 4,
            scale: [2.0, 2.0],
            mode: ResizeMode::Linear,
            coord: CoordMode::HalfPixel,
            layout: Layout::Plain,
        };
        let y = resize(&p, &[1.0, 2.0, 3.0, 4.0]);
        assert_eq!(y[..8], [1.0, 1.25, 1.75, 2.0, 1.5, 1.75, 2.25, 2.5]);
        p.coord = CoordMode::AlignCorners;
        assert!((resize(&p, &[1.0, 2.0, 3.0, 4.0])[5] - 2.0).abs() < 1e-6);
        (p.coord, p.mode) = (CoordMode::Asymmetric, ResizeMode::Nearest(NearestMode::Floor));
        assert_eq!(resize(&p, &[1.0, 2.0, 3.0, 4.0])[..8], [1.0, 1.0, 2.0, 2.0, 1.0, 1.0, 2.0, 2.0]);
    }

    #[test]
    fn layouts_agree() {
        let plain = ResizeProblem {
            n: 2,
            c: 3,
            h: 5,
            w: 4,
            oh: 7,
            ow: 9,
            scale: [1.4, 2.25],
            mode: ResizeMode::Linear,
            coord: CoordMode::PytorchHalfPixel,
            layout: Layout::Plain,
        };
        let x = crate::gemm::tests::noise(120, 1);
        let mut last = vec![0.0; 120];
        for i in 0..120 {
            let (n, c, s) = (i / 60, i / 20 % 3, i % 20);
            last[n * 60 + s * 3 + c] = x[i];
        }
        let a = resize(&plain, &x);
        let b = resize(&ResizeProblem { layout: Layout::ChannelsLast, ..plain }, &last);
        for i in 0..a.len() {
            let (n, c, s) = (i / 189, i / 63 % 3, i % 63);
            assert_eq!(a[i], b[n * 189 + s * 3 + c]);
        }
    }
}
