//! Blocks of 32 with one scale, and with one scale and one offset: `Q4_0 Q4_1 Q5_0 Q5_1 Q8_1`; `Q1_0` and `Q2_0`.

use super::Encoding;
use super::affine::{Search, affine};
use super::fit::{symmetric, weighed};
use super::number::{bounds, extreme, half, inverse, largest, lowest, lowest_rounded, put_half, squares, truncated};

/// 4 bits, one scale.
pub static Q4_0: Encoding =
    Encoding { name: "Q4_0", elements: 32, bytes: 18, decode: |f, t| decode::<18>(f, t), encode: Some(encode::<18>) };
/// 4 bits, scale and offset.
pub static Q4_1: Encoding =
    Encoding { name: "Q4_1", elements: 32, bytes: 20, decode: |f, t| decode::<20>(f, t), encode: Some(encode::<20>) };
/// 5 bits, one scale.
pub static Q5_0: Encoding =
    Encoding { name: "Q5_0", elements: 32, bytes: 22, decode: |f, t| decode::<22>(f, t), encode: Some(encode::<22>) };
/// 5 bits, scale and offset.
pub static Q5_1: Encoding =
    Encoding { name: "Q5_1", elements: 32, bytes: 24, decode: |f, t| decode::<24>(f, t), encode: Some(encode::<24>) };
/// 8 bits, one scale and the sum of the block.
pub static Q8_1: Encoding =
    Encoding { name: "Q8_1", elements: 32, bytes: 36, decode: decode_q8_1, encode: Some(encode_q8_1) };
/// Signs, one scale.
pub static Q1_0: Encoding =
    Encoding { name: "Q1_0", elements: 128, bytes: 18, decode: decode_q1, encode: Some(encode_q1) };
/// 2 bits, one scale.
pub static Q2_0: Encoding =
    Encoding { name: "Q2_0", elements: 64, bytes: 18, decode: decode_q2, encode: Some(encode_q2) };

/// Whether a block of that many bytes has an offset.
const fn has_offset(bytes: usize) -> bool {
    bytes == 20 || bytes == 24
}

/// Whether its elements have 5 bits, the fifth ones apart.
const fn five(bytes: usize) -> bool {
    bytes >= 22
}

const fn fifth_at(bytes: usize) -> usize {
    if has_offset(bytes) { 4 } else { 2 }
}

fn decode<const BYTES: usize>(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(BYTES).zip(to.chunks_exact_mut(32)) {
        let (d, m) = (half(block, 0), if has_offset(BYTES) { half(block, 2) } else { 0.0 });
        let (low, high) = block[fifth_at(BYTES)..].split_at(if five(BYTES) { 4 } else { 0 });
        let fifth = low.first_chunk().map_or(0, |b| u32::from_le_bytes(*b));
        let middle = if five(BYTES) { 16 } else { 8 };
        for (j, &byte) in high.iter().enumerate() {
            for (k, four) in [(j, byte & 15), (j + 16, byte >> 4)] {
                let q = i32::from(four) | ((fifth >> k & 1) << 4) as i32;
                out[k] = if has_offset(BYTES) { q as f32 * d + m } else { (q - middle) as f32 * d };
            }
        }
    }
}

fn encode<const BYTES: usize>(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    let mut q = [0u8; 32];
    for (row_in, row_out) in from.chunks_exact(row).zip(to.chunks_exact_mut(row / 32 * BYTES)) {
        let sigma2 = if importance.is_some() { squares(row_in) / row as f32 } else { 0.0 };
        for (i, (x, block)) in row_in.chunks_exact(32).zip(row_out.chunks_exact_mut(BYTES)).enumerate() {
            match importance {
                Some(all) => fitted::<BYTES>(x, &all[i * 32..][..32], sigma2, block, &mut q),
                None => plain::<BYTES>(x, block, &mut q),
            }
            pack::<BYTES>(&q, block);
        }
    }
}

/// Scales from the extremes alone.
fn plain<const BYTES: usize>(x: &[f32], block: &mut [u8], q: &mut [u8; 32]) {
    let n = if five(BYTES) { 32 } else { 16 };
    let (low, d, shift) = if has_offset(BYTES) {
        let (min, max) = bounds(x);
        (min, (max - min) / (n - 1) as f32, 0.5)
    } else {
        (0.0, extreme(x) / (-n / 2) as f32, n as f32 / 2.0 + 0.5)
    };
    let id = inverse(d);
    put_half(block, 0, d);
    if has_offset(BYTES) {
        put_half(block, 2, low);
    }
    for (q, &v) in q.iter_mut().zip(x) {
        let v = if has_offset(BYTES) { (v - low) * id } else { v * id };
        let whole = lowest(v + shift);
        // Only Q5_1 does not bound what it stores.
        *q = if BYTES == 24 { whole as u8 } else { i32::from(whole as i8).min(n - 1) as u8 };
    }
}

/// Scales that fit best where it matters.
fn fitted<const BYTES: usize>(x: &[f32], importance: &[f32], sigma2: f32, block: &mut [u8], q: &mut [u8; 32]) {
    let n = if five(BYTES) { 32 } else { 16 };
    let mut weights = [0f32; 32];
    weighed(x, importance, sigma2, &mut weights);
    if has_offset(BYTES) {
        let search = Search { first: -0.9, step: 0.05, steps: 36, absolute: false };
        let ([scale], [offset]) = affine::<1, 32>(n - 1, x, &weights, q, search);
        put_half(block, 0, scale);
        put_half(block, 2, -offset);
    } else {
        let mut signed = [0i8; 32];
        let scale = symmetric(n / 2, x, &mut signed, Some(&weights));
        put_half(block, 0, scale);
        *q = signed.map(|v| v as u8);
    }
}

fn pack<const BYTES: usize>(q: &[u8; 32], block: &mut [u8]) {
    let at = fifth_at(BYTES);
    if five(BYTES) {
        let fifth = q.iter().enumerate().fold(0u32, |all, (j, &q)| all | u32::from(q >> 4 & 1) << j);
        block[at..at + 4].copy_from_slice(&fifth.to_le_bytes());
        let four = &mut block[at + 4..];
        (0..16).for_each(|j| four[j] = q[j] & 15 | (q[j + 16] & 15) << 4);
    } else {
        let four = &mut block[at..];
        (0..16).for_each(|j| four[j] = q[j] | q[j + 16] << 4);
    }
}

fn decode_q8_1(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(36).zip(to.chunks_exact_mut(32)) {
        let d = half(block, 0);
        out.iter_mut().zip(&block[4..]).for_each(|(x, &q)| *x = f32::from(q as i8) * d);
    }
}

fn encode_q8_1(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(32).zip(to.chunks_exact_mut(36)) {
        let d = largest(x) / 127.0;
        let id = inverse(d);
        let mut sum = 0i32;
        for (q, &v) in block[4..].iter_mut().zip(x) {
            let whole = lowest_rounded(v * id) as i8;
            sum += i32::from(whole);
            *q = whole as u8;
        }
        put_half(block, 0, d);
        put_half(block, 2, sum as f32 * d);
    }
}

fn decode_q1(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(18).zip(to.chunks_exact_mut(128)) {
        let d = half(block, 0);
        for (bits, out) in block[2..].iter().zip(out.chunks_exact_mut(8)) {
            out.iter_mut().enumerate().for_each(|(j, x)| *x = if bits >> j & 1 == 1 { d } else { -d });
        }
    }
}

fn encode_q1(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(128).zip(to.chunks_exact_mut(18)) {
        put_half(block, 0, x.iter().fold(0f32, |sum, v| sum + v.abs()) / 128.0);
        for (bits, x) in block[2..].iter_mut().zip(x.chunks_exact(8)) {
            *bits = x.iter().enumerate().fold(0, |all, (j, &v)| all | u8::from(v >= 0.0) << j);
        }
    }
}

fn decode_q2(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(18).zip(to.chunks_exact_mut(64)) {
        let d = half(block, 0);
        for (bits, out) in block[2..].iter().zip(out.chunks_exact_mut(4)) {
            out.iter_mut().enumerate().for_each(|(j, x)| *x = f32::from((bits >> (2 * j) & 3) as i8 - 1) * d);
        }
    }
}

fn encode_q2(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(64).zip(to.chunks_exact_mut(18)) {
        let d = largest(x);
        let id = if d > 0.0 { 1.0 / d } else { 0.0 };
        put_half(block, 0, d);
        for (bits, x) in block[2..].iter_mut().zip(x.chunks_exact(4)) {
            let q = |v: f32| truncated((v * id).round()).wrapping_add(1).clamp(0, 3) as u8;
            *bits = x.iter().enumerate().fold(0, |all, (j, &v)| all | q(v) << (2 * j));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_of_a_block_share_bytes() {
        let x = std::array::from_fn::<f32, 32, _>(|i| i as f32 - 16.0);
        let mut block = [0; 22];
        encode::<22>(&x, 32, None, &mut block);
        assert_eq!(half(&block, 0), 1.0);
        assert_eq!(block[6], 0);
        let mut back = [0f32; 32];
        decode::<22>(&block, &mut back);
        assert_eq!(back, x);
    }
}
