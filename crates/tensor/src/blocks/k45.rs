//! `Q4_K` and `Q5_K`: 256 elements of 4 and 5 bits in groups of 32, scales and offsets of 6 bits.

use super::Encoding;
use super::affine::{Search, affine};
use super::fit::{positive, weighed};
use super::number::{half, nearest, put_half, squares};

/// 4.5 bits an element.
pub static Q4_K: Encoding = Encoding {
    name: "Q4_K",
    elements: 256,
    bytes: 144,
    decode: |f, t| decode::<144>(f, t),
    encode: Some(encode::<144>),
};
/// 5.5 bits an element.
pub static Q5_K: Encoding = Encoding {
    name: "Q5_K",
    elements: 256,
    bytes: 176,
    decode: |f, t| decode::<176>(f, t),
    encode: Some(encode::<176>),
};

const SCALES: usize = 4;
const QUANTS: usize = 16;

/// Whether a block of that many bytes has fifth bits, which lie before the others.
const fn five(bytes: usize) -> bool {
    bytes == 176
}

/// Scale and offset of a group: 6 bits each, the upper two of the later groups in the bytes of the earlier ones.
fn scale_and_offset(s: &[u8], group: usize) -> (f32, f32) {
    let (scale, offset) = match group < 4 {
        true => (s[group] & 63, s[group + 4] & 63),
        false => (s[group + 4] & 15 | s[group - 4] >> 6 << 4, s[group + 4] >> 4 | s[group] >> 6 << 4),
    };
    (f32::from(scale), f32::from(offset))
}

fn put_scales(s: &mut [u8], scales: &[u8; 8], offsets: &[u8; 8]) {
    for group in 0..4 {
        let (ls, lm) = (scales[group + 4], offsets[group + 4]);
        s[group] = scales[group] | ls >> 4 << 6;
        s[group + 4] = offsets[group] | lm >> 4 << 6;
        s[group + 8] = ls & 15 | (lm & 15) << 4;
    }
}

fn decode<const BYTES: usize>(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(BYTES).zip(to.chunks_exact_mut(256)) {
        let (d, min) = (half(block, 0), half(block, 2));
        let (fifth, four) = block[QUANTS..].split_at(if five(BYTES) { 32 } else { 0 });
        for (pair, (q, out)) in four.chunks_exact(32).zip(out.chunks_exact_mut(64)).enumerate() {
            for (side, out) in out.chunks_exact_mut(32).enumerate() {
                let (scale, offset) = scale_and_offset(&block[SCALES..QUANTS], 2 * pair + side);
                let (d, m) = (d * scale, min * offset);
                for (i, (x, &q)) in out.iter_mut().zip(q).enumerate() {
                    let more = if five(BYTES) { (fifth[i] >> (2 * pair + side) & 1) << 4 } else { 0 };
                    *x = d * f32::from((q >> (4 * side) & 15) + more) - m;
                }
            }
        }
    }
}

fn encode<const BYTES: usize>(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    let n = if five(BYTES) { 31 } else { 15 };
    for (i, (x, block)) in from.chunks_exact(256).zip(to.chunks_exact_mut(BYTES)).enumerate() {
        let mut q = [0u8; 256];
        match importance {
            Some(all) => weighted(n, x, &all[i * 256 % row..][..256], block, &mut q),
            None => plain(n, x, block, &mut q),
        }
        let (d, min) = (half(block, 0), half(block, 2));
        for (group, (x, q)) in x.chunks_exact(32).zip(q.chunks_exact_mut(32)).enumerate() {
            let (scale, offset) = scale_and_offset(&block[SCALES..QUANTS], group);
            let (d, m) = (d * scale, min * offset);
            if d != 0.0 {
                q.iter_mut().zip(x).for_each(|(q, &v)| *q = nearest((v + m) / d).clamp(0, n) as u8);
            }
        }
        let (fifth, four) = block[QUANTS..].split_at_mut(if five(BYTES) { 32 } else { 0 });
        for (to, q) in four.chunks_exact_mut(32).zip(q.chunks_exact(64)) {
            to.iter_mut().enumerate().for_each(|(l, b)| *b = q[l] & 15 | (q[l + 32] & 15) << 4);
        }
        for (l, b) in fifth.iter_mut().enumerate() {
            *b = (0..8).fold(0, |bits, group| bits | (q[32 * group + l] >> 4) << group);
        }
    }
}

fn plain(n: i32, x: &[f32], block: &mut [u8], q: &mut [u8; 256]) {
    let search = match n {
        15 => Search { first: -1.0, step: 0.1, steps: 20, absolute: false },
        _ => Search { first: -0.5, step: 0.1, steps: 15, absolute: false },
    };
    let mut weights = [0f32; 256];
    for (x, weights) in x.chunks_exact(32).zip(weights.chunks_exact_mut(32)) {
        let mean = (squares(x) / 32.0).sqrt();
        weights.iter_mut().zip(x).for_each(|(w, v)| *w = mean + v.abs());
    }
    let (scales, offsets) = affine::<8, 32>(n, x, &weights, q, search);
    let largest = |of: &[f32; 8]| of.iter().fold(0f32, |m, &v| if v > m { v } else { m });
    let steps = |of: &[f32; 8]| {
        let all = largest(of);
        let inverse = if all > 0.0 { 63.0 / all } else { 0.0 };
        of.map(|one| (nearest(inverse * one) as u8).min(63))
    };
    put_scales(&mut block[SCALES..QUANTS], &steps(&scales), &steps(&offsets));
    put_half(block, 0, largest(&scales) / 63.0);
    put_half(block, 2, largest(&offsets) / 63.0);
}

fn weighted(n: i32, x: &[f32], importance: &[f32], block: &mut [u8], q: &mut [u8; 256]) {
    let sigma2 = 2.0 * squares(x) / 256.0;
    let mut sums = [0f32; 8];
    let mut weights = [0f32; 256];
    let search = Search { first: -0.9, step: 0.05, steps: 36, absolute: false };
    weighed(x, importance, sigma2, &mut weights);
    for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(32)) {
        *sum = weights.iter().fold(0.0, |sum, w| sum + w);
    }
    let (scales, offsets) = affine::<8, 32>(n, x, &weights, q, search);
    let (mut stored, mut below) = ([0u8; 8], [0u8; 8]);
    let d = positive(63, &scales, &mut stored, &sums);
    let m = positive(63, &offsets, &mut below, &sums);
    if n == 31 {
        stored = stored.map(|l| l.min(63));
        below = below.map(|l| l.min(63));
    }
    put_scales(&mut block[SCALES..QUANTS], &stored, &below);
    put_half(block, 0, d);
    put_half(block, 2, m);
}
