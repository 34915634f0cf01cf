//! Sine, cosine and arc tangent on vectors; see [`super::math`] for what bounds mean.

use super::Simd;
use super::math::{abs, horner, with_sign};

/// Magnitude up to which multiples of a quarter turn have at most 13 bits.
const NEAR: f32 = 8192.0;

/// A quarter turn in parts of so few bits that their products with such a multiple are exact, and a rest.
const QUARTER: [f32; 4] = [1.570_312_5, 0.000_483_512_88, 3.138_557e-7, 6.077_100_5e-11];

/// Sine, within 2.5 ULP.
#[inline(always)]
pub(crate) unsafe fn sin<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller vouches for the machine.
    unsafe {
        let y = turned::<S>(x, 0);
        far::<S>(x, S::select(S::eq(x, S::splat(0.0)), x, y), f32::sin)
    }
}

/// Cosine, within 2.5 ULP.
#[inline(always)]
pub(crate) unsafe fn cos<S: Simd>(x: S::F) -> S::F {
    // SAFETY: the caller vouches for the machine.
    unsafe { far::<S>(x, turned::<S>(x, 1), f32::cos) }
}

/// The sine of `x` and `more` quarter turns, for x of at most [`NEAR`].
#[inline(always)]
unsafe fn turned<S: Simd>(x: S::F, more: i32) -> S::F {
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let quarters = S::to_int(S::mul(x, S::splat(std::f32::consts::FRAC_2_PI)));
        let n = S::to_float(quarters);
        let mut r = x;
        for part in QUARTER {
            r = S::fma(n, S::splat(-part), r);
        }
        let s = S::mul(r, r);
        let odd = horner::<S, 4>(s, [2.716_604_3e-6, -0.000_198_391_5, 0.008_333_329, -0.166_666_67]);
        let sine = S::fma(S::mul(r, s), odd, r);
        let even = horner::<S, 4>(s, [-2.719_142_7e-7, 2.479_928_3e-5, -0.001_388_888_2, 0.041_666_668]);
        let cosine = S::fma(S::mul(s, s), even, S::fma(s, S::splat(-0.5), S::splat(1.0)));
        let turn = S::iadd(quarters, S::isplat(more));
        let swapped = S::eq(S::to_float(S::iand(turn, S::isplat(1))), S::splat(1.0));
        let y = S::select(swapped, cosine, sine);
        S::from_bits(S::ixor(S::bits(y), S::ishl::<30>(S::iand(turn, S::isplat(2)))))
    }
}

/// `y`, with `f` of those lanes of `x` that lie beyond [`NEAR`].
#[inline(always)]
unsafe fn far<S: Simd>(x: S::F, y: S::F, f: fn(f32) -> f32) -> S::F {
    // SAFETY: vectors have at most 16 lanes; the caller vouches for the machine.
    unsafe {
        let size = S::select(S::eq(x, x), abs::<S>(x), S::splat(0.0));
        if S::max_lane(size) <= NEAR {
            return y;
        }
        let (mut from, mut to) = ([0.0f32; 16], [0.0f32; 16]);
        S::store(from.as_mut_ptr(), x);
        S::store(to.as_mut_ptr(), y);
        for (y, x) in to.iter_mut().zip(from).filter(|(_, x)| x.abs() > NEAR) {
            *y = f(x);
        }
        S::load(to.as_ptr())
    }
}

/// Arc tangent, within 2 ULP.
#[inline(always)]
pub(crate) unsafe fn atan<S: Simd>(x: S::F) -> S::F {
    const HIGH: f32 = std::f32::consts::FRAC_PI_2;
    const LOW: f32 = -4.371_139e-8;
    const Q: [f32; 10] = [
        0.001_113_789_4,
        -0.007_317_96,
        0.022_539_873,
        -0.044_689_95,
        0.067_415_975,
        -0.088_110_92,
        0.110_582_24,
        -0.142_798_34,
        0.199_996_71,
        -0.333_333_28,
    ];
    // SAFETY: arithmetic only; the caller vouches for the machine.
    unsafe {
        let a = abs::<S>(x);
        let steep = S::lt(S::splat(1.0), a);
        let z = S::select(steep, S::div(S::splat(-1.0), a), a);
        let s = S::mul(z, z);
        let p = S::fma(S::mul(z, s), horner::<S, 10>(s, Q), z);
        let y = S::select(steep, S::add(S::splat(HIGH), S::add(p, S::splat(LOW))), p);
        with_sign::<S>(y, x)
    }
}
