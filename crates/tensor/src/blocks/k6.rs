//! `Q6_K`: 256 elements of 6 bits in groups of 16, scales of 8 bits; `Q8_K`, whose scale is an `f32`.

use super::Encoding;
use super::fit::{NOTHING, symmetric};
use super::number::{extreme, half, nearest, put_half};

/// 6.5625 bits an element.
pub static Q6_K: Encoding = Encoding { name: "Q6_K", elements: 256, bytes: 210, decode, encode: Some(encode) };
/// 8 bits, one scale and the sums of groups of 16: what ggml multiplies with, seldom stored.
pub static Q8_K: Encoding =
    Encoding { name: "Q8_K", elements: 256, bytes: 292, decode: decode_q8, encode: Some(encode_q8) };

const HIGH: usize = 128;
const SCALES: usize = 192;
const SCALE: usize = 208;

fn decode(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(210).zip(to.chunks_exact_mut(256)) {
        let d = half(block, SCALE);
        for (group, out) in out.chunks_exact_mut(16).enumerate() {
            let scale = d * f32::from(block[SCALES + group] as i8);
            // Four runs of 32 in each 128: the first two in low nibbles, the others in high ones.
            let (side, run, first) = (group / 8, group % 8 / 2, group % 2 * 16);
            let low = &block[side * 64 + run % 2 * 32 + first..];
            let high = &block[HIGH + side * 32 + first..];
            for ((x, &l), &h) in out.iter_mut().zip(low).zip(high) {
                let q = (l >> (run / 2 * 4) & 15 | (h >> (2 * run) & 3) << 4) as i8 - 32;
                *x = scale * f32::from(q);
            }
        }
    }
}

fn encode(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    for (i, (x, block)) in from.chunks_exact(256).zip(to.chunks_exact_mut(210)).enumerate() {
        let importance = importance.map(|all| &all[i * 256 % row..][..256]);
        let mut q = [0i8; 256];
        let mut scales = [0f32; 16];
        for (group, (x, q)) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).enumerate() {
            scales[group] = symmetric(32, x, q, importance.map(|w| &w[group * 16..][..16]));
        }
        let largest = extreme(&scales);
        if largest.abs() < NOTHING {
            block.fill(0);
            continue;
        }
        let inverse = -128.0 / largest;
        let d = put_half(block, SCALE, 1.0 / inverse);
        for (group, (x, q)) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).enumerate() {
            let stored = nearest(inverse * scales[group]).min(127) as i8;
            block[SCALES + group] = stored as u8;
            let d = d * f32::from(stored);
            if d != 0.0 {
                q.iter_mut().zip(x).for_each(|(q, &v)| *q = (nearest(v / d).clamp(-32, 31) + 32) as i8);
            }
        }
        pack(&q.map(|q| q as u8), block);
    }
}

fn pack(q: &[u8; 256], block: &mut [u8]) {
    for (side, q) in q.chunks_exact(128).enumerate() {
        for l in 0..32 {
            let (a, b, c, d) = (q[l], q[l + 32], q[l + 64], q[l + 96]);
            block[side * 64 + l] = a & 15 | (c & 15) << 4;
            block[side * 64 + 32 + l] = b & 15 | (d & 15) << 4;
            block[HIGH + side * 32 + l] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6;
        }
    }
}

fn decode_q8(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(292).zip(to.chunks_exact_mut(256)) {
        let d = block.first_chunk().map_or(0.0, |b| f32::from_le_bytes(*b));
        out.iter_mut().zip(&block[4..]).for_each(|(x, &q)| *x = d * f32::from(q as i8));
    }
}

fn encode_q8(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(256).zip(to.chunks_exact_mut(292)) {
        block.fill(0);
        let largest = extreme(x);
        if largest == 0.0 {
            continue;
        }
        let inverse = -127.0 / largest;
        block[..4].copy_from_slice(&(1.0 / inverse).to_le_bytes());
        let (quants, sums) = block[4..].split_at_mut(256);
        quants.iter_mut().zip(x).for_each(|(q, &v)| *q = nearest(inverse * v).min(127) as i8 as u8);
        for (q, sum) in quants.chunks_exact(16).zip(sums.chunks_exact_mut(2)) {
            let all = q.iter().map(|&q| i16::from(q as i8)).sum::<i16>();
            sum.copy_from_slice(&all.to_le_bytes());
        }
    }
}
