//! Numbers as ggml computes them on x86, so that blocks come out byte for byte the same.

use crate::f16;

/// The `f16` at byte `at`.
pub(super) fn half(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Puts `value` as `f16` at byte `at` and gives back what is stored.
pub(super) fn put_half(block: &mut [u8], at: usize, value: f32) -> f32 {
    let stored = match value.is_nan() {
        true => f16::from_bits(0x7e00 | if value.is_sign_negative() { 0x8000 } else { 0 }),
        false => f16::from_f32(value),
    };
    block[at..at + 2].copy_from_slice(&stored.to_le_bytes());
    stored.to_f32()
}

/// Nearest integer, ties to even, of a number below 2^22 in magnitude; a number of noise beyond.
#[inline(always)]
pub(super) fn nearest(x: f32) -> i32 {
    ((x + 12_582_912.0).to_bits() & 0x007f_ffff) as i32 - 0x0040_0000
}

/// Towards zero; what does not fit becomes the smallest integer, as the instruction does it.
#[inline(always)]
pub(super) fn truncated(x: f32) -> i32 {
    if (-2_147_483_648.0..2_147_483_648.0).contains(&x) { x as i32 } else { i32::MIN }
}

/// As [`truncated`], of which only the lowest byte counts: 0 for what does not fit.
#[inline(always)]
pub(super) fn lowest(x: f32) -> i32 {
    let whole = x as i32;
    if whole == i32::MAX { 0 } else { whole }
}

/// Nearest integer, halves away from zero, of which only the lowest byte counts: 0 for what does not fit.
#[inline(always)]
pub(super) fn lowest_rounded(x: f32) -> i32 {
    let whole = x as i32;
    // Exact: below 2^23 both are multiples of the same power of two, above there is no fraction.
    let rest = x - whole as f32;
    let nearest = whole.wrapping_add(i32::from(rest >= 0.5)).wrapping_sub(i32::from(rest <= -0.5));
    if whole == i32::MAX || whole == i32::MIN { 0 } else { nearest }
}

/// Nearest integer, halves away from zero, cut to the lower bits; zero for what does not fit.
#[inline(always)]
pub(super) fn rounded(x: f32) -> i32 {
    let whole = x.round();
    if whole.abs() < 9.0e18 { whole as i64 as i32 } else { 0 }
}

/// The largest magnitude.
pub(super) fn largest(x: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (whole, rest) = x.as_chunks::<8>();
    for part in whole {
        for (m, v) in lanes.iter_mut().zip(part) {
            *m = if v.abs() > *m { v.abs() } else { *m };
        }
    }
    lanes.iter().chain(rest).fold(0.0, |m, v| if v.abs() > m { v.abs() } else { m })
}

/// The first element of largest magnitude, with its sign; 0 where all are.
pub(super) fn extreme(x: &[f32]) -> f32 {
    let largest = largest(x);
    if largest == 0.0 { 0.0 } else { x.iter().copied().find(|v| v.abs() == largest).unwrap_or(0.0) }
}

/// Smallest and largest element.
pub(super) fn bounds(x: &[f32]) -> (f32, f32) {
    x.iter()
        .fold((f32::MAX, -f32::MAX), |(low, high), &v| (if v < low { v } else { low }, if v > high { v } else { high }))
}

/// Sum of squares, in order.
pub(super) fn squares(x: &[f32]) -> f32 {
    x.iter().fold(0.0, |sum, v| sum + v * v)
}

/// `1 / d`, 0 for 0.
pub(super) fn inverse(d: f32) -> f32 {
    if d != 0.0 { 1.0 / d } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_as_the_standard_library_does_it() {
        let edges = [0.5, 1.5, 2.5, 0.49999997, 8388607.5, 8388609.0, 127.49999, 1e9, 2147483520.0];
        for i in 0..200_000u32 {
            let x = f32::from_bits(0x3e00_0000 + i * 347);
            for x in [x, -x].into_iter().chain(edges.into_iter().flat_map(|e| [e, -e])) {
                assert_eq!(lowest_rounded(x) as u8, x.round() as i64 as u8, "{x}");
            }
        }
        for x in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, 1e20, -1e20] {
            assert_eq!((lowest_rounded(x) as u8, lowest(x) as u8), (0, 0));
        }
    }
}
