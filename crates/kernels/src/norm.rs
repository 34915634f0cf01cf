//! Normalisations. Inputs: x, then scale, bias and residual as far as the problem has them. Output: y, which may be the
//! buffer of x or of the residual.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack};
use crate::gemm::epilogue::{load, store};
use crate::mem;
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd};
use crate::span::product;
use modelsmith_kop::{NormKind, NormProblem};
use modelsmith_pool::Pool;

mod channels;
use channels::Grid;

/// Kernels for normalisation, best first.
pub static KERNELS: &[KernelDef<NormProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_norm__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_norm__avx2"),
    def::<Portable>("f32_norm__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<NormProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace, run: run::<S> }
}

/// Elements of x, and of scale and bias.
fn sizes(p: &NormProblem) -> Option<(usize, usize)> {
    match p.kind {
        NormKind::Layer { rows, len } | NormKind::Rms { rows, len } => Some((product(&[rows, len])?, len)),
        NormKind::Group { n, c, spatial, .. } => Some((product(&[n, c, spatial])?, c)),
    }
}

fn accepts(p: &NormProblem) -> Result<(), Reject> {
    if sizes(p).is_none() {
        return Reject::because("sizes overflow");
    }
    match p.kind {
        NormKind::Group { c, groups, .. } if groups == 0 || !c.is_multiple_of(groups) => {
            Reject::because("groups do not divide the channels")
        }
        NormKind::Rms { .. } if p.bias => Reject::because("RMS normalisation has no bias"),
        _ => Ok(()),
    }
}

fn workspace(p: &NormProblem, _: usize) -> usize {
    Grid::of(p).map_or(0, |grid| grid.workspace())
}

fn cost(p: &NormProblem, facts: &Facts) -> f64 {
    let count = sizes(p).map_or(0, |s| s.0) as f64;
    crate::def::roofline(8.0 * count, 6.0 * count, 0.3, facts)
}

fn run<S: Simd>(p: &NormProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let Some((len, params)) = sizes(p) else { return Ok(()) };
    let y = mem::output(args.outputs, "y")?.elements::<f32>(len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(len, "x")?;
    mem::apart_or_same((x, len), (y, len), "x")?;
    let mut next = 1;
    let mut take = |wanted: bool, count: usize, what: &'static str| -> Result<*const f32, KernelError> {
        if !wanted {
            return Ok(std::ptr::null());
        }
        let ptr = mem::input(args.inputs, next, what)?.elements::<f32>(count, what)?;
        next += 1;
        if count == len {
            mem::apart_or_same((ptr, count), (y, len), what)?
        } else {
            mem::apart((ptr, count), (y, len), what)?
        }
        Ok(ptr)
    };
    let scale = take(p.scale, params, "scale")?;
    let bias = take(p.bias, params, "bias")?;
    let residual = take(p.residual, len, "residual")?;
    if len == 0 {
        return Ok(());
    }
    let call = Call { p: *p, x, y, scale, bias, residual };
    if let Some(grid) = Grid::of(p) {
        let scratch = grid.scratch(args.workspace)?;
        // SAFETY: buffers were checked and the scratch memory was sized for the grid.
        unsafe { grid.run::<S>(&call, scratch.head(), pool) };
        return Ok(());
    }
    let items = match p.kind {
        NormKind::Layer { rows, .. } | NormKind::Rms { rows, .. } => rows,
        NormKind::Group { n, groups, .. } => n * groups,
    };
    pool.for_ranges(items, (4096 * items / len).max(1), |range, _| {
        for item in range {
            // SAFETY: buffers were checked; items write different elements.
            unsafe { S::enter(Item { call: &call, item }) }
        }
    });
    Ok(())
}

struct Call {
    p: NormProblem,
    x: *const f32,
    y: *mut f32,
    scale: *const f32,
    bias: *const f32,
    residual: *const f32,
}

// SAFETY: items on different threads write different elements and only read the rest.
unsafe impl Sync for Call {}

struct Item<'a> {
    call: &'a Call,
    item: usize,
}

/// Contiguous runs of an item: first element, length of a run, number of runs and distance between them.
#[derive(Clone, Copy)]
struct Runs {
    first: usize,
    len: usize,
    count: usize,
    step: usize,
}

impl Body for Item<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe {
            match self.call.p.kind {
                NormKind::Layer { len, .. } => {
                    self.all::<S>(Runs { first: self.item * len, len, count: 1, step: 0 }, Param::Along(0), true)
                }
                NormKind::Rms { len, .. } => {
                    self.all::<S>(Runs { first: self.item * len, len, count: 1, step: 0 }, Param::Along(0), false)
                }
                NormKind::Group { c, spatial, groups, .. } => {
                    let (image, g, width) = (self.item / groups, self.item % groups, c / groups);
                    let first = (image * c + g * width) * spatial;
                    let runs = Runs { first, len: spatial, count: width, step: spatial };
                    self.all::<S>(runs, Param::PerRun(g * width), true)
                }
            }
        }
    }
}

/// How scale and bias meet a run: one value per run, or one per element; from which index.
#[derive(Clone, Copy)]
enum Param {
    PerRun(usize),
    Along(usize),
}

impl Call {
    /// Loads `n` inputs, the residual added.
    #[inline(always)]
    unsafe fn get<S: Simd>(&self, at: usize, n: usize) -> S::F {
        // SAFETY: elements `at..at + n` exist.
        unsafe {
            let v = load::<S>(self.x.add(at), n);
            if self.residual.is_null() { v } else { S::add(v, load::<S>(self.residual.add(at), n)) }
        }
    }
}

/// Values that are summed before the sum is added to others, so that rounding grows with the root of both numbers.
const CHUNK: usize = 4096;

impl Item<'_> {
    #[inline(always)]
    unsafe fn all<S: Simd>(&self, runs: Runs, param: Param, centre: bool) {
        let part = 1.0 / (runs.len * runs.count) as f64;
        // SAFETY: every run lies inside the buffers.
        unsafe {
            let mean = if centre { (self.moments::<S, false>(runs, 0.0)[0] * part) as f32 } else { 0.0 };
            let [sum, squares] = self.moments::<S, true>(runs, mean);
            // What the sum for the mean lost to rounding; RMS normalisation has no mean.
            let rest = if centre { (sum * part) as f32 } else { 0.0 };
            let var = ((squares * part) as f32 - rest * rest).max(0.0);
            let inv = 1.0 / (var + self.call.p.eps).sqrt();
            let (mean, inv, rest) = (S::splat(mean), S::splat(inv), S::splat(-rest * inv));
            for run in 0..runs.count {
                let start = runs.first + run * runs.step;
                let mut i = 0;
                while i < runs.len {
                    let n = (runs.len - i).min(S::LANES);
                    let fetch = |from: *const f32, default: f32| match param {
                        _ if from.is_null() => S::splat(default),
                        Param::PerRun(at) => S::splat(*from.add(at + run)),
                        Param::Along(at) => load::<S>(from.add(at + i), n),
                    };
                    let v = S::fma(S::sub(self.call.get::<S>(start + i, n), mean), inv, rest);
                    let v = S::fma(v, fetch(self.call.scale, 1.0), fetch(self.call.bias, 0.0));
                    store::<S>(self.call.y.add(start + i), n, v);
                    i += n;
                }
            }
        }
    }

    /// Sums of `x - mean`, and of its square where `SQUARES`.
    ///
    /// # Safety
    /// Every run lies inside the buffers, and the machine has `S`.
    #[inline(always)]
    unsafe fn moments<S: Simd, const SQUARES: bool>(&self, runs: Runs, mean: f32) -> [f64; 2] {
        let mut sums = [0f64; 2];
        for run in 0..runs.count {
            let start = runs.first + run * runs.step;
            for chunk in (0..runs.len).step_by(CHUNK) {
                let len = (runs.len - chunk).min(CHUNK);
                // SAFETY: every run lies inside the buffers.
                let of = unsafe { self.chunk::<S, SQUARES>(start + chunk, len, mean) };
                sums = [sums[0] + f64::from(of[0]), sums[1] + f64::from(of[1])];
            }
        }
        sums
    }

    /// The same of `len` values from `start` on.
    ///
    /// # Safety
    /// As for [`Item::moments`].
    #[inline(always)]
    unsafe fn chunk<S: Simd, const SQUARES: bool>(&self, start: usize, len: usize, mean: f32) -> [f32; 2] {
        // SAFETY: passed on; lanes beyond the end are cleared before they are summed.
        unsafe {
            let (shift, zero) = (S::splat(mean), S::splat(0.0));
            let (mut sums, mut squares) = ([zero; 4], [zero; 4]);
            let mut i = 0;
            while i + 4 * S::LANES <= len {
                for slot in 0..4 {
                    let d = S::sub(self.call.get::<S>(start + i + slot * S::LANES, S::LANES), shift);
                    sums[slot] = S::add(sums[slot], d);
                    if SQUARES {
                        squares[slot] = S::fma(d, d, squares[slot]);
                    }
                }
                i += 4 * S::LANES;
            }
            while i < len {
                let n = (len - i).min(S::LANES);
                let mut d = S::sub(self.call.get::<S>(start + i, n), shift);
                if n < S::LANES {
                    let mut lanes = [0f32; 16];
                    S::store_n(lanes.as_mut_ptr(), n, d);
                    d = S::load(lanes.as_ptr());
                }
                sums[0] = S::add(sums[0], d);
                if SQUARES {
                    squares[0] = S::fma(d, d, squares[0]);
                }
                i += n;
            }
            let sum = S::sum(S::add(S::add(sums[0], sums[1]), S::add(sums[2], sums[3])));
            if !SQUARES {
                return [sum, 0.0];
            }
            [sum, S::sum(S::add(S::add(squares[0], squares[1]), S::add(squares[2], squares[3])))]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::noise;
    use crate::{Dst, Src};
    use modelsmith_kop::Layout;

    fn check(p: NormProblem, index: impl Fn(usize) -> (usize, usize), items: usize) {
        let (len, params) = sizes(&p).unwrap();
        let (x, scale, bias, residual) = (noise(len, 1), noise(params, 2), noise(params, 3), noise(len, 4));
        let input: Vec<f64> =
            (0..len).map(|i| f64::from(x[i] + 3.0) + if p.residual { f64::from(residual[i]) } else { 0.0 }).collect();
        let x: Vec<f32> = x.iter().map(|v| v + 3.0).collect();
        let rms = matches!(p.kind, NormKind::Rms { .. });
        let mut want = vec![0.0; len];
        for item in 0..items {
            let of: Vec<usize> = (0..len).filter(|&i| index(i).0 == item).collect();
            let mean = if rms { 0.0 } else { of.iter().map(|&i| input[i]).sum::<f64>() / of.len() as f64 };
            let var = of.iter().map(|&i| (input[i] - mean).powi(2)).sum::<f64>() / of.len() as f64;
            for &i in &of {
                let v = (input[i] - mean) / (var + f64::from(p.eps)).sqrt();
                let s = if p.scale { f64::from(scale[index(i).1]) } else { 1.0 };
                let b = if p.bias { f64::from(bias[index(i).1]) } else { 0.0 };
                want[i] = v * s + b;
            }
        }
        for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
            let mut y = vec![9.0f32; len];
            let mut inputs = vec![Src::new(&x)];
            inputs.extend(p.scale.then(|| Src::new(&scale)));
            inputs.extend(p.bias.then(|| Src::new(&bias)));
            inputs.extend(p.residual.then(|| Src::new(&residual)));
            let mut workspace = vec![0; kernel.workspace(&p, 2)];
            let args = Args { inputs: &inputs, outputs: &mut [Dst::new(&mut y)], workspace: &mut workspace };
            kernel.run(&p, args, &Pool::new(2)).unwrap();
            for i in 0..len {
                assert!((f64::from(y[i]) - want[i]).abs() < 2e-5, "{} {p:?} at {i}: {} {}", kernel.name, y[i], want[i]);
            }
        }
    }

    /// Values that hardly differ lose what they have to the rounding of their sum, unless the mean is corrected.
    #[test]
    fn a_long_level_keeps_its_small_waves() {
        let (len, level) = (200_000, 3.3f32);
        let x: Vec<f32> = (0..len).map(|i| level + if i % 2 == 0 { 1e-4 } else { -1e-4 }).collect();
        let mean = x.iter().map(|&v| f64::from(v)).sum::<f64>() / len as f64;
        let var = x.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / len as f64;
        let group = |layout| NormKind::Group { n: 1, c: 1, spatial: len, groups: 1, layout };
        for kind in [NormKind::Layer { rows: 1, len }, group(Layout::Plain), group(Layout::ChannelsLast)] {
            let p = NormProblem { kind, eps: 1e-12, scale: false, bias: false, residual: false };
            for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                let (mut y, mut workspace) = (vec![9.0f32; len], vec![0; kernel.workspace(&p, 2)]);
                let args =
                    Args { inputs: &[Src::new(&x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut workspace };
                kernel.run(&p, args, &Pool::new(2)).unwrap();
                for (i, y) in y.iter().enumerate() {
                    let want = (f64::from(x[i]) - mean) / (var + f64::from(p.eps)).sqrt();
                    assert!((f64::from(*y) - want).abs() < 1e-5, "{} {kind:?} at {i}: {y} {want}", kernel.name);
                }
            }
        }
    }

    #[test]
    fn every_kind() {
        for (scale, bias, residual) in [(true, true, true), (true, false, false), (false, false, false)] {
            for (rows, len) in [(1, 5), (7, 33), (3, 768)] {
                let p = |kind, bias| NormProblem { kind, eps: 1e-5, scale, bias, residual };
                check(p(NormKind::Layer { rows, len }, bias), |i| (i / len, i % len), rows);
                check(p(NormKind::Rms { rows, len }, false), |i| (i / len, i % len), rows);
            }
            for (n, c, spatial, groups) in
                [(2, 6, 35, 3), (1, 8, 4, 8), (2, 40, 20, 2), (1, 70, 300, 70), (1, 136, 530, 8), (2, 130, 9, 1)]
            {
                let p = |layout| NormProblem {
                    kind: NormKind::Group { n, c, spatial, groups, layout },
                    eps: 1e-3,
                    scale,
                    bias,
                    residual,
                };
                let of = |image: usize, ch: usize| (image * groups + ch / (c / groups), ch);
                check(p(Layout::Plain), |i| of(i / (c * spatial), i / spatial % c), n * groups);
                check(p(Layout::ChannelsLast), |i| of(i / (c * spatial), i % c), n * groups);
            }
        }
    }
}
