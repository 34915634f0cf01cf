//! `TQ1_0` and `TQ2_0`: 256 elements of -1, 0 and 1 with one scale, five to a byte or four.

use super::Encoding;
use super::number::{half, inverse, largest, put_half, rounded};

/// 1.6875 bits an element.
pub static TQ1_0: Encoding =
    Encoding { name: "TQ1_0", elements: 256, bytes: 54, decode: decode_1, encode: Some(encode_1) };
/// 2.0625 bits an element.
pub static TQ2_0: Encoding =
    Encoding { name: "TQ2_0", elements: 256, bytes: 66, decode: decode_2, encode: Some(encode_2) };

/// Runs of bytes in a block of `TQ1_0`: first byte, number of bytes, elements of each byte, first element. Element `n` of
/// byte `m` is element `n * bytes + m` of the run.
const RUNS: [(usize, usize, usize, usize); 3] = [(0, 32, 5, 0), (32, 16, 5, 160), (48, 4, 4, 240)];

fn decode_1(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(54).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 52);
        for (first, bytes, each, start) in RUNS {
            let mut power = 1u8;
            for n in 0..each {
                for m in 0..bytes {
                    let q = block[first + m].wrapping_mul(power);
                    let digit = (u16::from(q) * 3) >> 8;
                    out[start + n * bytes + m] = f32::from(digit as i8 - 1) * d;
                }
                power = power.wrapping_mul(3);
            }
        }
    }
}

/// The digit 0, 1 or 2 of an element.
fn digit(x: f32, inverse: f32) -> u8 {
    rounded(x * inverse).wrapping_add(1) as u8
}

fn encode_1(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(256).zip(to.chunks_exact_mut(54)) {
        let d = largest(x);
        let inverse = inverse(d);
        put_half(block, 52, d);
        for (first, bytes, each, start) in RUNS {
            for m in 0..bytes {
                let digits = (0..each).map(|n| digit(x[start + n * bytes + m], inverse));
                let mut q = digits.fold(0u8, |q, d| q.wrapping_mul(3).wrapping_add(d));
                if each == 4 {
                    q = q.wrapping_mul(3);
                }
                // As a fraction of 243 in 256ths, rounded up.
                block[first + m] = (u32::from(q) * 256).div_ceil(243) as u8;
            }
        }
    }
}

fn decode_2(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(66).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 64);
        for (run, out) in out.chunks_exact_mut(32).enumerate() {
            let bytes = &block[run / 4 * 32..];
            out.iter_mut().zip(bytes).for_each(|(x, &q)| *x = f32::from((q >> (run % 4 * 2) & 3) as i8 - 1) * d);
        }
    }
}

fn encode_2(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(256).zip(to.chunks_exact_mut(66)) {
        let d = largest(x);
        let inverse = inverse(d);
        put_half(block, 64, d);
        for (side, x) in x.chunks_exact(128).enumerate() {
            for m in 0..32 {
                let byte = (0..4).fold(0, |q, n| q | (digit(x[m + n * 32], inverse) & 3) << (2 * n));
                block[side * 32 + m] = byte;
            }
        }
    }
}
