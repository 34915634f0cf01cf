//! `IQ4_NL` and `IQ4_XS`: 4-bit indices into 16 values that lie closer together near zero.

use super::Encoding;
use super::fit::{NOTHING, weighed};
use super::number::{extreme, half, inverse, nearest, put_half, squares};

/// 32 elements, one scale.
pub static IQ4_NL: Encoding =
    Encoding { name: "IQ4_NL", elements: 32, bytes: 18, decode: decode_nl, encode: Some(encode_nl) };
/// 256 elements, a scale of 6 bits for each 32.
pub static IQ4_XS: Encoding =
    Encoding { name: "IQ4_XS", elements: 256, bytes: 136, decode: decode_xs, encode: Some(encode_xs) };

const VALUES: [f32; 16] =
    [-127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0, 89.0, 113.0];

/// Scales tried on each side of the first one.
const TRIES: i32 = 7;

/// Index of the nearest value, the upper one of equals; found by halving.
fn index(x: f32) -> u8 {
    if x <= VALUES[0] {
        return 0;
    }
    if x >= VALUES[15] {
        return 15;
    }
    let (mut low, mut high) = (0, 15);
    while high - low > 1 {
        let middle = (low + high) / 2;
        if x < VALUES[middle] { high = middle } else { low = middle }
    }
    (if x - VALUES[high - 1] < VALUES[high] - x { high - 1 } else { high }) as u8
}

/// Decodes 16 bytes: the low nibbles are the first half.
fn values(bytes: &[u8], scale: f32, out: &mut [f32]) {
    for (j, &b) in bytes.iter().enumerate() {
        out[j] = scale * VALUES[usize::from(b & 15)];
        out[j + 16] = scale * VALUES[usize::from(b >> 4)];
    }
}

fn indices(x: &[f32], inverse: f32, out: &mut [u8]) {
    for (j, b) in out.iter_mut().enumerate() {
        *b = index(inverse * x[j]) | index(inverse * x[j + 16]) << 4;
    }
}

fn decode_nl(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(18).zip(to.chunks_exact_mut(32)) {
        values(&block[2..], half(block, 0), out);
    }
}

fn decode_xs(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(136).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        let high = u16::from_le_bytes([block[2], block[3]]);
        for (group, (bytes, out)) in block[8..].chunks_exact(16).zip(out.chunks_exact_mut(32)).enumerate() {
            let low = block[4 + group / 2] >> (4 * (group % 2)) & 15;
            let scale = i32::from(low) | i32::from(high >> (2 * group) & 3) << 4;
            values(bytes, d * (scale - 32) as f32, out);
        }
    }
}

/// The scale of 32 elements with the least weighted error.
fn scale(x: &[f32], weights: &[f32; 32]) -> f32 {
    let max = extreme(x);
    if max.abs() < NOTHING {
        return 0.0;
    }
    let sums = |inverse: f32| {
        let (mut qx, mut q2) = (0f32, 0f32);
        for (&v, &w) in x.iter().zip(weights) {
            let q = VALUES[usize::from(index(inverse * v))];
            qx += w * q * v;
            q2 += w * q * q;
        }
        (qx, q2)
    };
    let (qx, q2) = sums(1.0 / (-max / VALUES[0]));
    let mut d = if q2 > 0.0 { qx / q2 } else { 0.0 };
    let mut best = d * qx;
    for step in -TRIES..=TRIES {
        let (qx, q2) = sums((step as f32 + VALUES[0]) / max);
        if q2 > 0.0 && qx * qx > best * q2 {
            d = qx / q2;
            best = d * qx;
        }
    }
    d
}

fn weights(x: &[f32], importance: Option<&[f32]>, sigma2: f32) -> [f32; 32] {
    let mut out = [0f32; 32];
    match importance {
        Some(importance) => weighed(x, importance, sigma2, &mut out),
        None => out.iter_mut().zip(x).for_each(|(w, &v)| *w = v * v),
    }
    out
}

fn encode_nl(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    for (i, (x, block)) in from.chunks_exact(32).zip(to.chunks_exact_mut(18)).enumerate() {
        let importance = importance.map(|all| &all[i * 32 % row..][..32]);
        let sigma2 = squares(x) * (2.0 / 32.0);
        let d = scale(x, &weights(x, importance, sigma2));
        put_half(block, 0, d);
        indices(x, inverse(d), &mut block[2..]);
    }
}

fn encode_xs(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    for (i, (x, block)) in from.chunks_exact(256).zip(to.chunks_exact_mut(136)).enumerate() {
        let importance = importance.map(|all| &all[i * 256 % row..][..256]);
        let sigma2 = squares(x) * (2.0 / 256.0);
        let mut scales = [0f32; 8];
        for (group, (x, s)) in x.chunks_exact(32).zip(&mut scales).enumerate() {
            *s = scale(x, &weights(x, importance.map(|w| &w[group * 32..][..32]), sigma2));
        }
        let d = -extreme(&scales) / 32.0;
        put_half(block, 0, d);
        let id = inverse(d);
        let (head, bytes) = block.split_at_mut(8);
        let mut high = 0u16;
        head[4..].fill(0);
        for (group, (x, bytes)) in x.chunks_exact(32).zip(bytes.chunks_exact_mut(16)).enumerate() {
            let l = nearest(id * scales[group]).clamp(-32, 31);
            indices(x, inverse(d * l as f32), bytes);
            let l = (l + 32) as u8;
            head[4 + group / 2] |= (l & 15) << (4 * (group % 2));
            high |= u16::from(l >> 4) << (2 * group);
        }
        head[2..4].copy_from_slice(&high.to_le_bytes());
    }
}
