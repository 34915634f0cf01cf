//! Reductions of `[outer, reduced, inner]` to `[outer, inner]`. Input: x. Output: y; they may not share memory.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Shared};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd, math};
use crate::span::product;
use modelsmith_kop::{ReduceOp, ReduceProblem};
use modelsmith_pool::Pool;
use std::ops::Range;

/// Kernels for reductions, best first.
pub static KERNELS: &[KernelDef<ReduceProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_reduce__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_reduce__avx2"),
    def::<Portable>("f32_reduce__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<ReduceProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace: no_workspace, run: run::<S> }
}

fn accepts(p: &ReduceProblem) -> Result<(), Reject> {
    if product(&[p.outer, p.reduced, p.inner]).is_none() || product(&[p.outer, p.inner]).is_none() {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

fn cost(p: &ReduceProblem, facts: &Facts) -> f64 {
    let count = (p.outer * p.reduced * p.inner) as f64;
    crate::def::roofline(4.0 * count, count * if p.op == ReduceOp::LogSumExp { 20.0 } else { 1.0 }, 0.2, facts)
}

fn run<S: Simd>(p: &ReduceProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let (x_len, y_len) = (p.outer * p.reduced * p.inner, p.outer * p.inner);
    let y = mem::output(args.outputs, "y")?.elements::<f32>(y_len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(x_len, "x")?;
    mem::apart((x, x_len), (y, y_len), "x")?;
    let (x, y) = (Shared(x.cast_mut()), Shared(y));
    // With an inner dim, vectors run over it in strips; without, along the reduced dim.
    let strips = if p.inner == 1 { 1 } else { p.inner.div_ceil(STRIP) };
    let grain = (16 * 1024 / (p.reduced * p.inner.min(STRIP)).max(1)).max(1);
    pool.for_ranges(p.outer * strips, grain, |items, _| {
        for item in items {
            let (o, strip) = (item / strips, item % strips);
            let cols = strip * STRIP..((strip + 1) * STRIP).min(p.inner);
            // SAFETY: buffers were checked; items write different results.
            unsafe { S::enter(Item { p, x: x.get(), y: y.get(), o, cols }) }
        }
    });
    Ok(())
}

/// Columns of a strip.
const STRIP: usize = 64;

struct Item<'a> {
    p: &'a ReduceProblem,
    x: *const f32,
    y: *mut f32,
    o: usize,
    cols: Range<usize>,
}

/// First value of an accumulator.
fn neutral(op: ReduceOp) -> f32 {
    match op {
        ReduceOp::Max => f32::NEG_INFINITY,
        ReduceOp::Min => f32::INFINITY,
        ReduceOp::Prod => 1.0,
        _ => 0.0,
    }
}

#[inline(always)]
unsafe fn combine<S: Simd>(op: ReduceOp, acc: S::F, x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine. `max` and `min` give their second operand where
    // either is NaN; a NaN in the first is put back.
    unsafe {
        match op {
            ReduceOp::Max => S::select(S::eq(acc, acc), S::max(acc, x), acc),
            ReduceOp::Min => S::select(S::eq(acc, acc), S::min(acc, x), acc),
            ReduceOp::Prod => S::mul(acc, x),
            ReduceOp::L1 => S::add(acc, math::abs::<S>(x)),
            ReduceOp::L2 | ReduceOp::SumSquare => S::fma(x, x, acc),
            ReduceOp::Sum | ReduceOp::Mean | ReduceOp::LogSumExp => S::add(acc, x),
        }
    }
}

fn finish(op: ReduceOp, v: f32, count: usize) -> f32 {
    match op {
        ReduceOp::Mean => v / count as f32,
        ReduceOp::L2 => v.sqrt(),
        _ => v,
    }
}

impl Body for Item<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let p = self.p;
        // SAFETY: passed on. Each arm is compiled on its own, so the operation is a constant in its loops.
        unsafe {
            match p.op {
                ReduceOp::LogSumExp => self.log_sum_exp(),
                op if p.inner != 1 => self.strip::<S>(op),
                ReduceOp::Sum => self.row::<S>(ReduceOp::Sum),
                ReduceOp::Mean => self.row::<S>(ReduceOp::Mean),
                ReduceOp::Max => self.row::<S>(ReduceOp::Max),
                op => self.row::<S>(op),
            }
        }
    }
}

impl Item<'_> {
    #[inline(always)]
    unsafe fn row<S: Simd>(&self, op: ReduceOp) {
        let p = self.p;
        let x = self.x.wrapping_add(self.o * p.reduced);
        // SAFETY: the row has `reduced` values.
        unsafe {
            let mut acc = [S::splat(neutral(op)); 4];
            let mut i = 0;
            while i + 4 * S::LANES <= p.reduced {
                for v in 0..4 {
                    acc[v] = combine::<S>(op, acc[v], S::load(x.add(i + v * S::LANES)));
                }
                i += 4 * S::LANES;
            }
            let mut lanes = [neutral(op); 64];
            for v in 0..4 {
                S::store(lanes.as_mut_ptr().add(v * S::LANES), acc[v]);
            }
            let mut r = f64::from(neutral(op));
            for &lane in &lanes[..4 * S::LANES] {
                r = merge(op, r, f64::from(lane), false);
            }
            while i < p.reduced {
                r = merge(op, r, f64::from(*x.add(i)), true);
                i += 1;
            }
            *self.y.add(self.o) = finish(op, r as f32, p.reduced);
        }
    }

    #[inline(always)]
    unsafe fn strip<S: Simd>(&self, op: ReduceOp) {
        let p = self.p;
        let mut c = self.cols.start;
        while c < self.cols.end {
            let n = (self.cols.end - c).min(S::LANES);
            // SAFETY: columns `c..c + n` of every row exist.
            unsafe {
                let mut acc = S::splat(neutral(op));
                for r in 0..p.reduced {
                    let at = (self.o * p.reduced + r) * p.inner + c;
                    acc = combine::<S>(op, acc, load::<S>(self.x.add(at), n));
                }
                let r = match op {
                    ReduceOp::Mean => S::div(acc, S::splat(p.reduced as f32)),
                    ReduceOp::L2 => S::sqrt(acc),
                    _ => acc,
                };
                store::<S>(self.y.add(self.o * p.inner + c), n, r);
            }
            c += n;
        }
    }

    unsafe fn log_sum_exp(&self) {
        let p = self.p;
        for c in self.cols.clone() {
            // SAFETY: the column has `reduced` values.
            unsafe {
                let at = |r: usize| *self.x.add((self.o * p.reduced + r) * p.inner + c);
                let max =
                    (0..p.reduced).fold(f32::NEG_INFINITY, |m, r| if at(r) > m || at(r).is_nan() { at(r) } else { m });
                let shift = if max.is_finite() { max } else { 0.0 };
                let sum: f64 = (0..p.reduced).map(|r| f64::from(at(r) - shift).exp()).sum();
                *self.y.add(self.o * p.inner + c) = sum.ln() as f32 + shift;
            }
        }
    }
}

/// Joins a lane, or a raw value where `raw`.
fn merge(op: ReduceOp, a: f64, x: f64, raw: bool) -> f64 {
    match op {
        ReduceOp::Max => {
            if x > a || x.is_nan() {
                x
            } else {
                a
            }
        }
        ReduceOp::Min => {
            if x < a || x.is_nan() {
                x
            } else {
                a
            }
        }
        ReduceOp::Prod => a * x,
        ReduceOp::L1 if raw => a + x.abs(),
        ReduceOp::L2 | ReduceOp::SumSquare if raw => a + x * x,
        _ => a + x,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::{close, noise};
    use crate::{Dst, Src};

    #[test]
    fn all_operations_and_shapes() {
        use ReduceOp::*;
        for op in [Sum, Mean, Max, Min, Prod, L1, L2, SumSquare, LogSumExp] {
            for (outer, reduced, inner) in [(1, 1, 1), (3, 100, 1), (2, 7, 5), (4, 33, 70), (1, 1000, 1), (2, 0, 3)] {
                let p = ReduceProblem { op, outer, reduced, inner };
                let x = noise(outer * reduced * inner, 8);
                let mut want = vec![];
                for o in 0..outer {
                    for i in 0..inner {
                        let col = (0..reduced).map(|r| f64::from(x[(o * reduced + r) * inner + i]));
                        want.push(match op {
                            Sum => col.sum(),
                            Mean => col.sum::<f64>() / reduced as f64,
                            Max => col.fold(f64::NEG_INFINITY, f64::max),
                            Min => col.fold(f64::INFINITY, f64::min),
                            Prod => col.product(),
                            L1 => col.map(f64::abs).sum(),
                            L2 => col.map(|v| v * v).sum::<f64>().sqrt(),
                            SumSquare => col.map(|v| v * v).sum(),
                            LogSumExp => col.map(f64::exp).sum::<f64>().ln(),
                        } as f32);
                    }
                }
                for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                    let mut y = vec![9.0; want.len()];
                    let args = Args { inputs: &[Src::new(&x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
                    kernel.run(&p, args, &Pool::new(2)).unwrap();
                    if reduced > 0 {
                        close(&y, &want, reduced, &(kernel.name, &p));
                    } else {
                        assert!(y.iter().zip(&want).all(|(a, b)| a == b || (a.is_nan() && b.is_nan())));
                    }
                }
            }
        }
    }

    #[test]
    fn nan_wins() {
        for (reduced, inner) in [(200, 1), (5, 3)] {
            for op in [ReduceOp::Max, ReduceOp::Min] {
                for at in [0, reduced / 2, reduced - 1] {
                    let mut x = noise(reduced * inner, 3);
                    x[at * inner] = f32::NAN;
                    for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                        let mut y = vec![0.0; inner];
                        let p = ReduceProblem { op, outer: 1, reduced, inner };
                        let args =
                            Args { inputs: &[Src::new(&x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
                        kernel.run(&p, args, &Pool::new(1)).unwrap();
                        assert!(y[0].is_nan() && y[1..].iter().all(|v| !v.is_nan()), "{} {op:?} {at}", kernel.name);
                    }
                }
            }
        }
    }
}
