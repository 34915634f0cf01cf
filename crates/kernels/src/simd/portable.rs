//! Vectors as plain arrays, which compile everywhere.

use super::{Body, Simd, half};
use modelsmith_kop::Isa;

/// Adding 1.5 * 2^23 leaves the nearest integer in the low bits where the magnitude is below 2^22.
const ROUNDING: f32 = 12_582_912.0;

#[inline(always)]
fn map<A: Copy, R>(a: [A; 8], f: impl Fn(A) -> R) -> [R; 8] {
    std::array::from_fn(|i| f(a[i]))
}

#[inline(always)]
fn map2<A: Copy, R>(a: [A; 8], b: [A; 8], f: impl Fn(A, A) -> R) -> [R; 8] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

/// Portable vectors of 8 lanes.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

// SAFETY: `LANES` is 8.
unsafe impl Simd for Portable {
    const ISA: Isa = Isa::PORTABLE;
    const LANES: usize = 8;
    type F = [f32; 8];
    type I = [i32; 8];
    type M = [bool; 8];

    unsafe fn enter<B: Body>(body: B) -> B::Out {
        // SAFETY: passed on to the caller.
        unsafe { body.run::<Portable>() }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, v: [f32; 8]) {
        // SAFETY: as the trait demands.
        unsafe { p.cast::<[f32; 8]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: [f32; 8]) {
        // SAFETY: as the trait demands.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), p, n) }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::F {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> Self::F {
        // SAFETY: as the trait demands.
        unsafe { p.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Self::F {
        let mut v = [0.0; 8];
        // SAFETY: as the trait demands.
        unsafe { std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n) };
        v
    }

    #[inline(always)]
    unsafe fn gather(p: *const f32, at: Self::I) -> Self::F {
        // SAFETY: as the trait demands.
        at.map(|i| unsafe { *p.add(i as usize) })
    }

    #[inline(always)]
    unsafe fn load_half(p: *const u16) -> Self::F {
        // SAFETY: as the trait demands.
        map(unsafe { p.cast::<[u16; 8]>().read_unaligned() }, half::to_single)
    }

    #[inline(always)]
    unsafe fn store_half(p: *mut u16, v: Self::F) {
        // SAFETY: as the trait demands.
        unsafe { p.cast::<[u16; 8]>().write_unaligned(map(v, half::of_single)) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn mul(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| a * b)
    }

    #[inline(always)]
    unsafe fn div(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| a / b)
    }

    #[inline(always)]
    unsafe fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        let mut r = c;
        for i in 0..8 {
            r[i] += a[i] * b[i];
        }
        r
    }

    #[inline(always)]
    unsafe fn min(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    unsafe fn max(a: Self::F, b: Self::F) -> Self::F {
        map2(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    unsafe fn sqrt(a: Self::F) -> Self::F {
        map(a, |a| a.sqrt())
    }

    #[inline(always)]
    unsafe fn round(a: Self::F) -> Self::F {
        map(a, |a| a.round_ties_even())
    }

    #[inline(always)]
    unsafe fn floor(a: Self::F) -> Self::F {
        map(a, |a| a.floor())
    }

    #[inline(always)]
    unsafe fn ceil(a: Self::F) -> Self::F {
        map(a, |a| a.ceil())
    }

    #[inline(always)]
    unsafe fn lt(a: Self::F, b: Self::F) -> Self::M {
        map2(a, b, |a, b| a < b)
    }

    #[inline(always)]
    unsafe fn le(a: Self::F, b: Self::F) -> Self::M {
        map2(a, b, |a, b| a <= b)
    }

    #[inline(always)]
    unsafe fn eq(a: Self::F, b: Self::F) -> Self::M {
        map2(a, b, |a, b| a == b)
    }

    #[inline(always)]
    unsafe fn select(m: Self::M, a: Self::F, b: Self::F) -> Self::F {
        let mut r = b;
        for i in 0..8 {
            r[i] = if m[i] { a[i] } else { b[i] };
        }
        r
    }

    #[inline(always)]
    unsafe fn isplat(x: i32) -> Self::I {
        [x; 8]
    }

    #[inline(always)]
    unsafe fn to_int(a: Self::F) -> Self::I {
        map(a, |a| ((a + ROUNDING).to_bits() as i32).wrapping_sub(ROUNDING.to_bits() as i32))
    }

    #[inline(always)]
    unsafe fn to_float(a: Self::I) -> Self::F {
        map(a, |a| a as f32)
    }

    #[inline(always)]
    unsafe fn bits(a: Self::F) -> Self::I {
        map(a, |a| a.to_bits() as i32)
    }

    #[inline(always)]
    unsafe fn from_bits(a: Self::I) -> Self::F {
        map(a, |a| f32::from_bits(a as u32))
    }

    #[inline(always)]
    unsafe fn iadd(a: Self::I, b: Self::I) -> Self::I {
        map2(a, b, |a, b| a.wrapping_add(b))
    }

    #[inline(always)]
    unsafe fn isub(a: Self::I, b: Self::I) -> Self::I {
        map2(a, b, |a, b| a.wrapping_sub(b))
    }

    #[inline(always)]
    unsafe fn iand(a: Self::I, b: Self::I) -> Self::I {
        map2(a, b, |a, b| a & b)
    }

    #[inline(always)]
    unsafe fn ior(a: Self::I, b: Self::I) -> Self::I {
        map2(a, b, |a, b| a | b)
    }

    #[inline(always)]
    unsafe fn ixor(a: Self::I, b: Self::I) -> Self::I {
        map2(a, b, |a, b| a ^ b)
    }

    #[inline(always)]
    unsafe fn ishl<const N: u32>(a: Self::I) -> Self::I {
        map(a, |a| a << N)
    }

    #[inline(always)]
    unsafe fn ishr<const N: u32>(a: Self::I) -> Self::I {
        map(a, |a| a >> N)
    }
}
