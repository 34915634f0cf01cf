//! Elementary functions on vectors. Each states its bound in units in the last place (ULP) of the f32 nearest to the exact
//! result, the smallest subnormal for results below the smallest normal. Bounds hold on every instruction set, for all
//! arguments unless a range is named; NaN gives NaN, and infinities give what the function tends to.
//!
//! The tests of this module sweep a million and a half arguments each; `examples/vector_maths.rs` sweeps all 2^32, and
//! `docs/performance.md` has its figures. Powers other than squares and cubes are the C library's (`eltwise`), 1 ULP.

use super::Simd;
use modelsmith_kop::Activation;

/// Horner's scheme, highest power first.
#[inline(always)]
pub(super) unsafe fn horner<S: Simd, const N: usize>(x: S::F, c: [f32; N]) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let mut r = S::splat(c[0]);
        for &k in &c[1..] {
            r = S::fma(r, x, S::splat(k));
        }
        r
    }
}

/// Sign bit of `s` with the magnitude of `x`, which must not be negative.
#[inline(always)]
pub(super) unsafe fn with_sign<S: Simd>(x: S::F, s: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe { S::from_bits(S::ior(S::bits(x), S::iand(S::bits(s), S::isplat(i32::MIN)))) }
}

/// Magnitude.
#[inline(always)]
pub(crate) unsafe fn abs<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe { S::from_bits(S::iand(S::bits(x), S::isplat(i32::MAX))) }
}

/// Negation.
#[inline(always)]
pub(crate) unsafe fn neg<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe { S::from_bits(S::ixor(S::bits(x), S::isplat(i32::MIN))) }
}

/// `e^x`, within 1.1 ULP.
#[inline(always)]
pub(crate) unsafe fn exp<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine. `x` last in min and max, so that NaN stays.
    unsafe { exp_within::<S>(S::max(S::splat(-104.0), S::min(S::splat(89.0), x))) }
}

/// `e^x` for a weight, of `x` up to 0: within 1.1 ULP, and zero where it would be subnormal. Products of subnormal weights
/// take many times as long as others, and masks that add -100 make many.
#[inline(always)]
pub(crate) unsafe fn weight<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine. `x` last in max, so that NaN stays.
    unsafe {
        let least = S::splat(LEAST_WEIGHT);
        S::select(S::lt(x, least), S::splat(0.0), exp_within::<S>(S::max(least, x)))
    }
}

/// The logarithm of a weight that is just no subnormal.
const LEAST_WEIGHT: f32 = -87.33;

/// `e^x`, within 1.1 ULP, for `x` from -104 to 89.
#[inline(always)]
unsafe fn exp_within<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        // Numbers of this magnitude have no fraction: the sum rounds to the nearest integer.
        let whole = S::splat(12_582_912.0);
        let n = S::sub(S::fma(x, S::splat(std::f32::consts::LOG2_E), whole), whole);
        // ln 2 in two parts; the first has so few bits that the product is exact.
        let r = S::fma(n, S::splat(-0.693_359_4), x);
        let r = S::fma(n, S::splat(2.121_944_4e-4), r);
        let q = horner::<S, 5>(r, [0.001_381_314_3, 0.008_369_419, 0.041_668_456, 0.166_665_15, 0.499_999_94]);
        S::scale(S::add(S::fma(S::mul(r, r), q, r), S::splat(1.0)), n)
    }
}

/// Natural logarithm, within 1 ULP; NaN below zero.
#[inline(always)]
pub(crate) unsafe fn log<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let tiny = S::lt(x, S::splat(f32::MIN_POSITIVE));
        let scaled = S::select(tiny, S::mul(x, S::splat(8_388_608.0)), x);
        let bits = S::bits(scaled);
        // Exponent such that the mantissa lies in [sqrt(1/2), sqrt(2)).
        let shifted = S::isub(bits, S::isplat(0x3f35_04f3));
        let e = S::ishr::<23>(shifted);
        let m = S::from_bits(S::isub(bits, S::ishl::<23>(e)));
        let e = S::sub(S::to_float(e), S::select(tiny, S::splat(23.0), S::splat(0.0)));
        let f = S::sub(m, S::splat(1.0));
        const Q: [f32; 9] = [
            0.067_466_01,
            -0.116_756_41,
            0.118_881_75,
            -0.124_055_916,
            0.142_195_51,
            -0.166_679_96,
            0.200_021_2,
            -0.250_000_1,
            0.333_333_13,
        ];
        let f2 = S::mul(f, f);
        let q = S::mul(S::mul(f2, f), horner::<S, 9>(f, Q));
        let q = S::fma(e, S::splat(-2.121_944_4e-4), q);
        let q = S::fma(f2, S::splat(-0.5), q);
        let r = S::fma(e, S::splat(0.693_359_4), S::add(f, q));
        let r = S::select(S::lt(x, S::splat(0.0)), S::splat(f32::NAN), r);
        let r = S::select(S::eq(x, S::splat(0.0)), S::splat(f32::NEG_INFINITY), r);
        let inf = S::eq(x, S::splat(f32::INFINITY));
        S::select(inf, x, S::select(S::eq(x, x), r, x))
    }
}

/// Hyperbolic tangent, within 1.5 ULP.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let a = abs::<S>(x);
        let s = S::mul(x, x);
        let q = horner::<S, 5>(s, [-0.005_704_978_5, 0.020_639_08, -0.053_739_71, 0.133_314_42, -0.333_332_8]);
        let small = S::fma(S::mul(x, s), q, x);
        // Beyond it the result is 1.
        let e = exp_within::<S>(S::min(S::splat(88.0), S::add(a, a)));
        let one = S::splat(1.0);
        let big = S::fma(S::splat(-2.0), S::inverse(S::add(e, one)), one);
        S::select(S::lt(a, S::splat(0.625)), small, with_sign::<S>(big, x))
    }
}

/// `1 / (1 + e^-x)`, within 2.5 ULP for x above -87; below, where results are subnormal or nearly so, 2e-38 absolute.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe { S::inverse(S::add(S::splat(1.0), exp::<S>(neg::<S>(x)))) }
}

/// Error function, within 1.5 ULP.
#[inline(always)]
pub(crate) unsafe fn erf<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let a = abs::<S>(x);
        const SMALL: [f32; 6] =
            [-0.000_595_373_9, 0.004_985_94, -0.026_761_72, 0.112_816_826, -0.376_124_8, 0.128_379_15];
        let small = S::fma(x, horner::<S, 6>(S::mul(x, x), SMALL), x);
        // 1 - e^(t p(t)), beyond which f32 knows only 1; `a` last in min, so that NaN stays.
        const BIG: [f32; 7] = [
            -1.123_146_6e-5,
            0.000_322_805_4,
            -0.003_642_465,
            0.023_762_075,
            -0.106_236_89,
            -0.635_151_3,
            -1.128_648_5,
        ];
        let t = S::min(S::splat(4.0), a);
        let big = S::sub(S::splat(1.0), exp_within::<S>(S::mul(t, horner::<S, 7>(t, BIG))));
        S::select(S::lt(a, S::splat(0.925)), small, with_sign::<S>(big, x))
    }
}

/// `ln(1 + e^x)`, within 2.5 ULP.
#[inline(always)]
unsafe fn softplus<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        // max(x, 0) + ln(1 + e^-|x|). The logarithm of 1 + u is corrected for what the sum lost.
        let u = exp::<S>(neg::<S>(abs::<S>(x)));
        let one = S::splat(1.0);
        let w = S::add(one, u);
        let lost = S::sub(u, S::sub(w, one));
        let ln = S::add(log::<S>(w), S::div(lost, w));
        S::add(S::max(S::splat(0.0), x), ln)
    }
}

/// An activation. Both forms of gelu, and silu, are within 2e-7 times the larger of 1 and the magnitude of x, absolute; at minus
/// infinity they may be NaN, as the product of an infinity and zero. Elu is within 3 ULP.
#[inline(always)]
pub(crate) unsafe fn activation<S: Simd>(act: Activation, x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let (zero, one) = (S::splat(0.0), S::splat(1.0));
        match act {
            Activation::Relu => S::max(zero, x),
            Activation::Clip { min, max } => S::min(S::splat(max), S::max(S::splat(min), x)),
            Activation::LeakyRelu { alpha } => S::select(S::lt(x, zero), S::mul(x, S::splat(alpha)), x),
            Activation::Sigmoid => sigmoid::<S>(x),
            Activation::HardSigmoid { alpha, beta } => {
                S::max(zero, S::min(one, S::fma(x, S::splat(alpha), S::splat(beta))))
            }
            Activation::HardSwish => {
                let gate = S::fma(x, S::splat(1.0 / 6.0), S::splat(0.5));
                S::mul(x, S::max(zero, S::min(one, gate)))
            }
            Activation::Silu => S::mul(x, sigmoid::<S>(x)),
            Activation::Tanh => tanh::<S>(x),
            Activation::Gelu => {
                let e = erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
                S::mul(S::mul(x, S::splat(0.5)), S::add(one, e))
            }
            Activation::GeluTanh => {
                let cube = S::mul(S::mul(x, x), x);
                let inner = S::mul(S::splat(0.797_884_6), S::fma(cube, S::splat(0.044_715), x));
                S::mul(S::mul(x, S::splat(0.5)), S::add(one, tanh::<S>(inner)))
            }
            Activation::Elu { alpha } => {
                let e = S::mul(S::splat(alpha), expm1::<S>(x));
                S::select(S::lt(x, zero), e, x)
            }
            Activation::Softplus => softplus::<S>(x),
            Activation::Mish => S::mul(x, tanh::<S>(softplus::<S>(x))),
        }
    }
}

/// `e^x - 1` for x of at most 0.
#[inline(always)]
unsafe fn expm1<S: Simd>(x: S::F) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        // tanh(x/2) (e^x + 1) keeps small results exact.
        let half = S::mul(x, S::splat(0.5));
        let near = S::mul(tanh::<S>(half), S::add(exp::<S>(x), S::splat(1.0)));
        S::select(S::lt(x, S::splat(-1.0)), S::sub(exp::<S>(x), S::splat(1.0)), near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Body, Portable, trigonometry};

    type Function = fn(f64) -> f64;

    struct Map<'a> {
        which: usize,
        x: &'a [f32],
        y: &'a mut [f32],
    }

    impl Body for Map<'_> {
        type Out = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            for (x, y) in self.x.chunks_exact(S::LANES).zip(self.y.chunks_exact_mut(S::LANES)) {
                // SAFETY: the chunks have `LANES` values; `sweep` has checked the machine.
                unsafe {
                    let v = S::load(x.as_ptr());
                    let r = match self.which {
                        0 => exp::<S>(v),
                        1 => log::<S>(v),
                        2 => tanh::<S>(v),
                        3 => sigmoid::<S>(v),
                        4 => erf::<S>(v),
                        5 => activation::<S>(Activation::Gelu, v),
                        6 => activation::<S>(Activation::GeluTanh, v),
                        7 => activation::<S>(Activation::Softplus, v),
                        9 => trigonometry::sin::<S>(v),
                        10 => trigonometry::cos::<S>(v),
                        11 => trigonometry::atan::<S>(v),
                        12 => weight::<S>(S::min(S::splat(0.0), v)),
                        _ => activation::<S>(Activation::Elu { alpha: 1.0 }, v),
                    };
                    S::store(y.as_mut_ptr(), r);
                }
            }
        }
    }

    /// The error function in double precision: its series below 3, its continued fraction above.
    fn erf64(x: f64) -> f64 {
        let a = x.abs();
        let r = if a < 3.0 {
            let (mut term, mut sum, mut n) = (a, a, 0.0);
            while term.abs() > 1e-18 * sum.abs() {
                n += 1.0;
                term *= -a * a / n;
                sum += term / (2.0 * n + 1.0);
            }
            sum * 2.0 / std::f64::consts::PI.sqrt()
        } else if a < 6.5 {
            let fraction = (1..80).rev().fold(0.0, |f, k| f64::from(k) / 2.0 / (a + f));
            1.0 - (-a * a).exp() / (a + fraction) / std::f64::consts::PI.sqrt()
        } else {
            1.0
        };
        r.copysign(x)
    }

    /// A weight of what is up to zero; what is above counts as zero.
    fn weight64(x: f64) -> f64 {
        if x < f64::from(LEAST_WEIGHT) { 0.0 } else { x.min(0.0).exp() }
    }

    fn ulp(x: f64) -> f64 {
        let f = (x.abs() as f32).max(f32::MIN_POSITIVE);
        f64::from(f32::from_bits(f.to_bits() + 1)) - f64::from(f)
    }

    /// Largest error over every `step`-th f32, by `measure(x, got, exact)`.
    fn sweep<S: Simd>(which: usize, exact: Function, measure: fn(f64, f64, f64) -> f64) -> (f64, f32) {
        if !crate::host::detect().contains(S::ISA) {
            return (0.0, 0.0);
        }
        let mut worst = (0.0, 0.0);
        let mut bits = 0u64;
        while bits < 1 << 32 {
            let x: Vec<f32> = (0..1024).map(|i| f32::from_bits((bits + i * 3001) as u32)).collect();
            bits += 1024 * 3001;
            let mut y = vec![0.0; 1024];
            // SAFETY: the machine was checked.
            unsafe { S::enter(Map { which, x: &x, y: &mut y }) };
            for (&x, &y) in x.iter().zip(&y) {
                if x.is_nan() {
                    assert!(y.is_nan());
                    continue;
                }
                let want = exact(f64::from(x));
                if want.is_nan() || (want as f32).is_infinite() {
                    assert!(
                        y.is_nan() == want.is_nan() && (y.is_nan() || y == want as f32 || y == f32::MAX),
                        "{x} {y} {want}"
                    );
                    continue;
                }
                let e = measure(f64::from(x), f64::from(y), want);
                if e.is_nan() || e > worst.0 {
                    worst = (e, x);
                }
            }
        }
        worst
    }

    fn on_all(name: &str, which: usize, exact: Function, bound: f64, measure: fn(f64, f64, f64) -> f64) {
        let mut found = vec![sweep::<Portable>(which, exact, measure)];
        #[cfg(target_arch = "x86_64")]
        {
            found.push(sweep::<crate::simd::Avx2>(which, exact, measure));
            found.push(sweep::<crate::simd::Avx512>(which, exact, measure));
        }
        println!("{name}: {found:?}");
        assert!(found.iter().all(|w| w.0 <= bound), "{name}: {found:?} above {bound}");
    }

    fn in_ulp(_: f64, got: f64, want: f64) -> f64 {
        (got - want).abs() / ulp(want)
    }

    #[test]
    fn bounds_hold_over_sweeps() {
        on_all("exp", 0, f64::exp, 1.1, in_ulp);
        on_all("weight", 12, weight64, 1.1, in_ulp);
        on_all("log", 1, f64::ln, 1.0, in_ulp);
        on_all("tanh", 2, f64::tanh, 1.5, in_ulp);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        on_all("sigmoid", 3, sigmoid, 2.5, |x, g, w| if x > -87.0 { in_ulp(x, g, w) } else { (g - w).abs() / 2e-38 });
        on_all("erf", 4, erf64, 1.5, in_ulp);
        let scaled = |x: f64, g: f64, w: f64| (g - w).abs() / x.abs().max(1.0) / 2e-7;
        let gelu = |x: f64| if x == f64::NEG_INFINITY { f64::NAN } else { 0.5 * x * (1.0 + erf64(x / 2f64.sqrt())) };
        on_all("gelu", 5, gelu, 1.0, scaled);
        let gelu_tanh = |x: f64| {
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
            if x == f64::NEG_INFINITY { f64::NAN } else { 0.5 * x * (1.0 + inner.tanh()) }
        };
        on_all("gelu_tanh", 6, gelu_tanh, 1.0, scaled);
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        on_all("softplus", 7, softplus, 2.5, in_ulp);
        on_all("sin", 9, f64::sin, 2.5, in_ulp);
        on_all("cos", 10, f64::cos, 2.5, in_ulp);
        on_all("atan", 11, f64::atan, 2.0, in_ulp);
        on_all("elu", 8, |x| if x < 0.0 { x.exp_m1() } else { x }, 3.0, in_ulp);
    }
}
