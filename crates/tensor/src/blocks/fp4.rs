//! `MXFP4` and `NVFP4`: 4-bit floats (E2M1) that share a power of two, or an 8-bit float.

use super::Encoding;
use super::number::{largest, truncated};

/// 32 elements and a scale E8M0.
pub static MXFP4: Encoding =
    Encoding { name: "MXFP4", elements: 32, bytes: 17, decode: decode_mx, encode: Some(encode_mx) };
/// 64 elements and a scale E4M3 for each 16.
pub static NVFP4: Encoding =
    Encoding { name: "NVFP4", elements: 64, bytes: 36, decode: decode_nv, encode: Some(encode_nv) };

/// Twice the values of E2M1.
const VALUES: [i8; 16] = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12];

/// Half of 2^(e - 127).
fn power(e: u8) -> f32 {
    f32::from_bits(if e < 2 { 0x0020_0000 << e } else { u32::from(e - 1) << 23 })
}

/// The nearest value, the first one of equals.
fn index(x: f32, scale: f32) -> u8 {
    let (mut best, mut error) = (0, (f32::from(VALUES[0]) * scale - x).abs());
    for (i, &v) in VALUES.iter().enumerate().skip(1) {
        let now = (f32::from(v) * scale - x).abs();
        if now < error {
            (best, error) = (i as u8, now);
        }
    }
    best
}

/// Decodes nibbles: the low ones are the first half.
fn values(bytes: &[u8], scale: f32, out: &mut [f32]) {
    let (low, high) = out.split_at_mut(bytes.len());
    for ((&b, low), high) in bytes.iter().zip(low).zip(high) {
        *low = f32::from(VALUES[usize::from(b & 15)]) * scale;
        *high = f32::from(VALUES[usize::from(b >> 4)]) * scale;
    }
}

fn indices(x: &[f32], scale: f32, out: &mut [u8]) {
    let (low, high) = x.split_at(out.len());
    for ((b, &low), &high) in out.iter_mut().zip(low).zip(high) {
        *b = index(low, scale) | index(high, scale) << 4;
    }
}

fn decode_mx(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(17).zip(to.chunks_exact_mut(32)) {
        values(&block[1..], power(block[0]), out);
    }
}

fn encode_mx(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(32).zip(to.chunks_exact_mut(17)) {
        let all = largest(x);
        block[0] = if all > 0.0 { truncated(all.log2().floor() - 2.0 + 127.0) as u8 } else { 0 };
        let scale = power(block[0]);
        indices(x, scale, &mut block[1..]);
    }
}

/// Half of an unsigned E4M3.
fn e4m3(bits: u8) -> f32 {
    let (exponent, mantissa) = (i32::from(bits >> 3 & 15), f32::from(bits & 7));
    match bits {
        0 | 0x7f => 0.0,
        _ if exponent == 0 => mantissa * (2f32).powi(-9) * 0.5,
        _ => (1.0 + mantissa / 8.0) * (2f32).powi(exponent - 7) * 0.5,
    }
}

/// The unsigned E4M3 of `x`, rounded by the first bit that is lost.
fn to_e4m3(x: f32) -> u8 {
    if x <= 0.0 || x.is_nan() {
        return 0;
    }
    let bits = x.min(448.0).to_bits();
    let exponent = (bits >> 23 & 0xff) as i32 - 127 + 7;
    if exponent <= 0 {
        return truncated(x * 512.0 + 0.5).clamp(0, 7) as u8;
    }
    let rounded = ((exponent as u32) << 3 | bits >> 20 & 7) + (bits >> 19 & 1);
    // From 256 on everything is the largest number.
    if rounded < 15 << 3 { rounded as u8 } else { 0x7e }
}

fn decode_nv(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(36).zip(to.chunks_exact_mut(64)) {
        let (scales, bytes) = block.split_at(4);
        for ((&s, b), out) in scales.iter().zip(bytes.chunks_exact(8)).zip(out.chunks_exact_mut(16)) {
            values(b, e4m3(s), out);
        }
    }
}

fn encode_nv(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(64).zip(to.chunks_exact_mut(36)) {
        let (scales, bytes) = block.split_at_mut(4);
        for ((s, b), x) in scales.iter_mut().zip(bytes.chunks_exact_mut(8)).zip(x.chunks_exact(16)) {
            *s = to_e4m3(largest(x) / 6.0);
            indices(x, e4m3(*s), b);
        }
    }
}
