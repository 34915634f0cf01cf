//! Casts between the types of registers and of memory. Plain loops, compiled for the instruction set of their caller, but for
//! halves, which have instructions of their own.

use super::walk::LANES;
use crate::simd::Simd;
use modelsmith_kop::Lane;

/// Whether there is a cast from `from` to `to`.
pub(super) fn allowed(from: Lane, to: Lane) -> bool {
    use Lane::*;
    match (from, to) {
        (F16 | BF16, t) => t == F32,
        (f, F16 | BF16) => f == F32,
        (U8 | I8, t) => matches!(t, F32 | I32 | I64 | Bool),
        (f, U8 | I8) => f != Bool,
        _ => true,
    }
}

/// `d[i] = f(a[i])`.
///
/// # Safety
/// `a` holds `n` elements and `d` has room for as many; both may be the same where the widths are.
#[inline(always)]
unsafe fn map<A: Copy, D>(d: *mut u8, a: *const u8, n: usize, f: impl Fn(A) -> D) {
    let (d, a) = (d.cast::<D>(), a.cast::<A>());
    for i in 0..n {
        // SAFETY: by contract.
        unsafe { d.add(i).write_unaligned(f(a.add(i).read_unaligned())) };
    }
}

/// `n` elements of type `from` at `a` as elements of type `to` at `d`; see [`modelsmith_kop::Inst::Cast`].
///
/// # Safety
/// The cast is [`allowed`], `a` holds `n` elements, both have room for whole vectors and are different memory, and the
/// machine has `S`.
#[inline(always)]
pub(super) unsafe fn cast<S: Simd>(from: Lane, to: Lane, d: *mut u8, a: *const u8, n: usize) {
    use Lane::*;
    // SAFETY: by contract.
    unsafe {
        match (from, to) {
            (F32, I32) => map(d, a, n, |x: f32| x as i32),
            (F32, I64) => map(d, a, n, |x: f32| x as i64),
            (F32, U8) => map(d, a, n, |x: f32| byte_of_single::<0, 255>(x)),
            (F32, I8) => map(d, a, n, |x: f32| byte_of_single::<-128, 127>(x)),
            (F32, Bool) => map(d, a, n, |x: f32| u8::from(x != 0.0)),
            (F32, F16) => halves_of_singles::<S>(d.cast(), a.cast(), n),
            (F32, BF16) => map(d, a, n, brain_of_single),
            (F16, _) => singles_of_halves::<S>(d.cast(), a.cast(), n),
            (BF16, _) => map(d, a, n, |x: u16| f32::from_bits(u32::from(x) << 16)),
            (I32, F32) => map(d, a, n, |x: i32| x as f32),
            (I32, I64) => map(d, a, n, |x: i32| i64::from(x)),
            (I32, U8 | I8) => map(d, a, n, |x: i32| x as u8),
            (I32, Bool) => map(d, a, n, |x: i32| u8::from(x != 0)),
            (I64, F32) => map(d, a, n, |x: i64| x as f32),
            (I64, I32) => map(d, a, n, |x: i64| x as i32),
            (I64, U8 | I8) => map(d, a, n, |x: i64| x as u8),
            (I64, Bool) => map(d, a, n, |x: i64| u8::from(x != 0)),
            (U8 | Bool, F32) => map(d, a, n, |x: u8| f32::from(x)),
            (U8 | Bool, I32) => map(d, a, n, |x: u8| i32::from(x)),
            (U8 | Bool, I64) => map(d, a, n, |x: u8| i64::from(x)),
            (I8, F32) => map(d, a, n, |x: i8| f32::from(x)),
            (I8, I32) => map(d, a, n, |x: i8| i32::from(x)),
            (I8, I64) => map(d, a, n, |x: i8| i64::from(x)),
            (U8 | I8, Bool) => map(d, a, n, |x: u8| u8::from(x != 0)),
            (F32, F32) | (I32, I32) => map(d, a, n, |x: u32| x),
            (I64, I64) => map(d, a, n, |x: u64| x),
            (Bool, _) | (U8 | I8, _) => map(d, a, n, |x: u8| x),
            (I32 | I64, F16 | BF16) => {}
        }
    }
}

/// The part of `x` before its point, within the range of a byte; 0 for NaN. A comparison and a conversion for whole vectors,
/// which the saturating cast is not.
#[inline(always)]
fn byte_of_single<const LOW: i32, const HIGH: i32>(x: f32) -> u8 {
    let known = if x.is_nan() { 0.0 } else { x };
    let within = known.max(LOW as f32).min(HIGH as f32);
    // SAFETY: within the range of a byte, and a number.
    unsafe { within.to_int_unchecked::<i32>() as u8 }
}

/// # Safety
/// As for [`cast`].
#[inline(always)]
unsafe fn halves_of_singles<S: Simd>(d: *mut u16, a: *const f32, n: usize) {
    debug_assert!(LANES.is_multiple_of(S::LANES));
    for i in (0..n).step_by(S::LANES) {
        // SAFETY: by contract.
        unsafe { S::store_half(d.add(i), S::load(a.add(i))) };
    }
}

/// # Safety
/// As for [`cast`].
#[inline(always)]
unsafe fn singles_of_halves<S: Simd>(d: *mut f32, a: *const u16, n: usize) {
    for i in (0..n).step_by(S::LANES) {
        // SAFETY: by contract.
        unsafe { S::store(d.add(i), S::load_half(a.add(i))) };
    }
}

/// The nearest bfloat16, ties to even.
#[inline(always)]
fn brain_of_single(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7fff + ((bits >> 16) & 1)) >> 16;
    let special = (bits >> 16) | 0x40;
    (if bits & 0x7fff_ffff > 0x7f80_0000 { special } else { rounded }) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use modelsmith_base::bf16;

    #[test]
    fn singles_saturate_as_bytes() {
        let ends =
            [-1e30, -129.0, -128.5, -128.0, -1.5, -0.5, -0.0, 0.5, 1.99, 127.0, 127.9, 128.0, 255.5, 256.0, 1e30];
        for x in ends.into_iter().chain([f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE]) {
            assert_eq!(byte_of_single::<0, 255>(x), x as u8, "{x}");
            assert_eq!(byte_of_single::<-128, 127>(x) as i8, x as i8, "{x}");
        }
    }

    #[test]
    fn singles_round_to_the_nearest_bfloat16() {
        // Every exponent and the bits around which it rounds.
        for high in 0..=u16::MAX {
            for low in [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
                let x = f32::from_bits((u32::from(high) << 16) | low);
                let b = brain_of_single(x);
                if x.is_nan() {
                    assert!(bf16::from_bits(b).is_nan(), "{x}");
                } else {
                    assert_eq!(b, bf16::from_f32(x).to_bits(), "{x:e}");
                }
            }
        }
    }
}
