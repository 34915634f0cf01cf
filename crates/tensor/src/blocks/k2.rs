//! `Q2_K`: 256 elements of 2 bits in groups of 16, scales and offsets of 4 bits.

use super::Encoding;
use super::affine::{Search, affine};
use super::fit::{positive, weighed};
use super::number::{half, nearest, put_half, squares};

/// 2.625 bits an element.
pub static Q2_K: Encoding = Encoding { name: "Q2_K", elements: 256, bytes: 84, decode, encode: Some(encode) };

const QUANTS: usize = 16;
const SCALE: usize = 80;
const OFFSET: usize = 82;

fn decode(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(84).zip(to.chunks_exact_mut(256)) {
        let (d, min) = (half(block, SCALE), half(block, OFFSET));
        for (group, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = block[group];
            let (d, m) = (d * f32::from(scale & 15), min * f32::from(scale >> 4));
            let quants = &block[QUANTS + group / 8 * 32 + group % 2 * 16..];
            let shift = group % 8 / 2 * 2;
            out.iter_mut().zip(quants).for_each(|(x, &q)| *x = d * f32::from(q >> shift & 3) - m);
        }
    }
}

/// Packs elements of 2 bits: byte `l` of each 32 holds elements `l`, `l + 32`, `l + 64` and `l + 96` of its 128.
pub(super) fn pack(q: &[u8; 256], to: &mut [u8]) {
    for (q, to) in q.chunks_exact(128).zip(to.chunks_exact_mut(32)) {
        to.iter_mut().enumerate().for_each(|(l, b)| *b = q[l] | q[l + 32] << 2 | q[l + 64] << 4 | q[l + 96] << 6);
    }
}

fn encode(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    for (i, (x, block)) in from.chunks_exact(256).zip(to.chunks_exact_mut(84)).enumerate() {
        let mut q = [0u8; 256];
        match importance {
            Some(all) => weighted(x, &all[i * 256 % row..][..256], block, &mut q),
            None => plain(x, block, &mut q),
        }
        let (d, min) = (half(block, SCALE), half(block, OFFSET));
        for (group, (x, q)) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).enumerate() {
            let scale = block[group];
            let d = d * f32::from(scale & 15);
            if d == 0.0 {
                continue;
            }
            let m = min * f32::from(scale >> 4);
            q.iter_mut().zip(x).for_each(|(q, &v)| *q = nearest((v + m) / d).clamp(0, 3) as u8);
        }
        pack(&q, &mut block[QUANTS..SCALE]);
    }
}

fn plain(x: &[f32], block: &mut [u8], q: &mut [u8; 256]) {
    let search = Search { first: -0.5, step: 0.1, steps: 15, absolute: true };
    let weights = std::array::from_fn::<f32, 256, _>(|i| x[i].abs());
    let (scales, offsets) = affine::<16, 16>(3, x, &weights, q, search);
    let largest = |of: &[f32; 16]| of.iter().fold(0f32, |m, &v| if v > m { v } else { m });
    let (scale, offset) = (largest(&scales), largest(&offsets));
    let step = |all: f32, one: f32| if all > 0.0 { nearest(15.0 / all * one) } else { 0 };
    for group in 0..16 {
        block[group] = step(scale, scales[group]) as u8 | (step(offset, offsets[group]) << 4) as u8;
    }
    put_half(block, SCALE, if scale > 0.0 { scale / 15.0 } else { 0.0 });
    put_half(block, OFFSET, if offset > 0.0 { offset / 15.0 } else { 0.0 });
}

fn weighted(x: &[f32], importance: &[f32], block: &mut [u8], q: &mut [u8; 256]) {
    let sigma2 = squares(x) / 256.0;
    let mut sums = [0f32; 16];
    let mut weights = [0f32; 256];
    let search = Search { first: -0.9, step: 0.05, steps: 36, absolute: false };
    weighed(x, importance, sigma2, &mut weights);
    for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(16)) {
        *sum = weights.iter().fold(0.0, |sum, w| sum + w);
    }
    let (scales, offsets) = affine::<16, 16>(3, x, &weights, q, search);
    let (mut low, mut high) = ([0u8; 16], [0u8; 16]);
    let scale = positive(15, &scales, &mut low, &sums);
    let offset = positive(15, &offsets, &mut high, &sums);
    put_half(block, SCALE, scale);
    put_half(block, OFFSET, offset);
    (0..16).for_each(|group| block[group] = low[group] | high[group] << 4);
}
