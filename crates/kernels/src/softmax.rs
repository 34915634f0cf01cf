//! Softmax along the middle of `[outer, len, inner]`. Input: x. Output: y, which may be the buffer of x.

use crate::def::{Args, Facts, KernelDef, KernelError, Reject, no_pack, no_workspace};
use crate::gemm::epilogue::{load, store};
use crate::mem::{self, Shared};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Body, Portable, Simd, math};
use crate::span::product;
use modelsmith_kop::SoftmaxProblem;
use modelsmith_pool::Pool;

/// Kernels for softmax, best first.
pub static KERNELS: &[KernelDef<SoftmaxProblem>] = &[
    #[cfg(target_arch = "x86_64")]
    def::<Avx512>("f32_softmax__avx512"),
    #[cfg(target_arch = "x86_64")]
    def::<Avx2>("f32_softmax__avx2"),
    def::<Portable>("f32_softmax__portable"),
];

const fn def<S: Simd>(name: &'static str) -> KernelDef<SoftmaxProblem> {
    KernelDef { name, isa: S::ISA, accepts, cost, pack_format: no_pack, workspace: no_workspace, run: run::<S> }
}

fn accepts(p: &SoftmaxProblem) -> Result<(), Reject> {
    if product(&[p.outer, p.len, p.inner]).is_none() {
        return Reject::because("sizes overflow");
    }
    Ok(())
}

fn cost(p: &SoftmaxProblem, facts: &Facts) -> f64 {
    let count = (p.outer * p.len * p.inner) as f64;
    crate::def::roofline(8.0 * count, 20.0 * count, 0.4, facts)
}

fn run<S: Simd>(p: &SoftmaxProblem, args: Args<'_>, pool: &Pool) -> Result<(), KernelError> {
    let len = p.outer * p.len * p.inner;
    let y = mem::output(args.outputs, "y")?.elements::<f32>(len, "y")?;
    let x = mem::input(args.inputs, 0, "x")?.elements::<f32>(len, "x")?;
    mem::apart_or_same((x, len), (y, len), "x")?;
    if len == 0 {
        return Ok(());
    }
    let (x, y) = (Shared(x.cast_mut()), Shared(y));
    // Without an inner dim a task takes whole rows; with one, vectors of neighbouring columns.
    let strips = if p.inner == 1 { 1 } else { p.inner.div_ceil(S::LANES) };
    let grain = (4096 / (p.len * p.inner.min(S::LANES)).max(1)).max(1);
    pool.for_ranges(p.outer * strips, grain, |items, _| {
        for item in items {
            let (o, strip) = (item / strips, item % strips);
            let start = o * p.len * p.inner + strip * S::LANES;
            let n = (p.inner - strip * S::LANES).min(S::LANES);
            let (x, y) = (x.get().cast_const().wrapping_add(start), y.get().wrapping_add(start));
            // SAFETY: buffers were checked; items write different columns.
            unsafe { S::enter(Item { p, x, y, n }) }
        }
    });
    Ok(())
}

struct Item<'a> {
    p: &'a SoftmaxProblem,
    x: *const f32,
    y: *mut f32,
    n: usize,
}

impl Body for Item<'_> {
    type Out = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe { if self.p.inner == 1 { self.row::<S>() } else { self.columns::<S>() } }
    }
}

impl Item<'_> {
    #[inline(always)]
    unsafe fn row<S: Simd>(&self) {
        let len = self.p.len;
        let whole = len - len % S::LANES;
        let rest = len - whole;
        // SAFETY: the row has `len` values.
        unsafe {
            let mut top = S::splat(f32::NEG_INFINITY);
            let mut i = 0;
            while i < whole {
                top = S::max(top, S::load(self.x.add(i)));
                i += S::LANES;
            }
            let mut max = S::max_lane(top);
            for i in whole..len {
                max = max.max(*self.x.add(i));
            }
            let shift = S::splat(max);
            let mut sum = S::splat(0.0);
            i = 0;
            while i < whole {
                let e = math::weight::<S>(S::sub(S::load(self.x.add(i)), shift));
                sum = S::add(sum, e);
                if !self.p.log {
                    S::store(self.y.add(i), e);
                }
                i += S::LANES;
            }
            let mut total = S::sum(sum);
            if rest > 0 {
                let e = math::weight::<S>(S::sub(S::load_n(self.x.add(whole), rest), shift));
                let mut lanes = [0f32; 16];
                S::store(lanes.as_mut_ptr(), e);
                total += lanes[..rest].iter().sum::<f32>();
                if !self.p.log {
                    S::store_n(self.y.add(whole), rest, e);
                }
            }
            let (scale, offset) = (S::splat(1.0 / total), S::splat(max + total.ln()));
            i = 0;
            while i < len {
                let n = (len - i).min(S::LANES);
                let r = if self.p.log {
                    S::sub(load::<S>(self.x.add(i), n), offset)
                } else {
                    S::mul(load::<S>(self.y.add(i), n), scale)
                };
                store::<S>(self.y.add(i), n, r);
                i += n;
            }
        }
    }

    #[inline(always)]
    unsafe fn columns<S: Simd>(&self) {
        let (len, step, n) = (self.p.len, self.p.inner, self.n);
        // SAFETY: `n` columns of `len` rows exist from the item's start.
        unsafe {
            let mut max = S::splat(f32::NEG_INFINITY);
            for i in 0..len {
                max = S::max(max, load::<S>(self.x.add(i * step), n));
            }
            let mut sum = S::splat(0.0);
            for i in 0..len {
                let e = math::weight::<S>(S::sub(load::<S>(self.x.add(i * step), n), max));
                sum = S::add(sum, e);
                if !self.p.log {
                    store::<S>(self.y.add(i * step), n, e);
                }
            }
            let scale = S::div(S::splat(1.0), sum);
            let offset = S::add(max, math::log::<S>(sum));
            for i in 0..len {
                let r = if self.p.log {
                    S::sub(load::<S>(self.x.add(i * step), n), offset)
                } else {
                    S::mul(load::<S>(self.y.add(i * step), n), scale)
                };
                store::<S>(self.y.add(i * step), n, r);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::tests::noise;
    use crate::{Dst, Src};

    #[test]
    fn shapes_in_place_and_apart() {
        for (outer, len, inner) in [(1, 1, 1), (5, 7, 1), (3, 128, 1), (2, 1000, 1), (2, 5, 3), (2, 9, 40)] {
            for log in [false, true] {
                let p = SoftmaxProblem { outer, len, inner, log };
                let x: Vec<f32> = noise(outer * len * inner, 4).iter().map(|v| v * 30.0).collect();
                let mut want = vec![0.0; x.len()];
                for o in 0..outer {
                    for i in 0..inner {
                        let at = |k: usize| (o * len + k) * inner + i;
                        let sum: f64 = (0..len).map(|k| f64::from(x[at(k)]).exp()).sum();
                        for k in 0..len {
                            let v = f64::from(x[at(k)]);
                            want[at(k)] = if log { v - sum.ln() } else { v.exp() / sum } as f32;
                        }
                    }
                }
                for kernel in KERNELS.iter().filter(|k| crate::detect().contains(k.isa)) {
                    let mut y = vec![9.0; x.len()];
                    let pool = Pool::new(2);
                    let args = Args { inputs: &[Src::new(&x)], outputs: &mut [Dst::new(&mut y)], workspace: &mut [] };
                    kernel.run(&p, args, &pool).unwrap();
                    for (g, w) in y.iter().zip(&want) {
                        assert!((g - w).abs() <= 1e-6 + 1e-6 * w.abs(), "{} {p:?}: {g} {w}", kernel.name);
                    }
                    let mut same = x.clone();
                    let (ptr, bytes) = (same.as_mut_ptr().cast::<u8>(), same.len() * 4);
                    // SAFETY: both views are of `same`, which nothing else uses meanwhile.
                    let (src, dst) = unsafe { (Src::from_raw(ptr, bytes), Dst::from_raw(ptr, bytes)) };
                    let args = Args { inputs: &[src], outputs: &mut [dst], workspace: &mut [] };
                    kernel.run(&p, args, &pool).unwrap();
                    assert_eq!(same, y);
                }
            }
        }
    }
}
