//! `Q3_K`: 256 elements of 3 bits in groups of 16, scales of 6 bits.

use super::Encoding;
use super::fit::{descended, symmetric, weighed};
use super::k2::pack;
use super::number::{half, nearest, put_half, squares};

/// 3.4375 bits an element.
pub static Q3_K: Encoding = Encoding { name: "Q3_K", elements: 256, bytes: 110, decode, encode: Some(encode) };

const QUANTS: usize = 32;
const SCALES: usize = 96;
const SCALE: usize = 108;

/// The scale of a group, 6 bits of which the upper two lie apart, less 32.
fn scale(scales: &[u8], group: usize) -> i32 {
    let low = if group < 8 { scales[group] & 15 } else { scales[group - 8] >> 4 };
    let high = scales[8 + group % 4] >> (2 * (group / 4)) & 3;
    i32::from(low | high << 4) - 32
}

fn put_scale(scales: &mut [u8], group: usize, value: u8) {
    match group < 8 {
        true => scales[group] = value & 15,
        false => scales[group - 8] |= (value & 15) << 4,
    }
    scales[8 + group % 4] |= value >> 4 << (2 * (group / 4));
}

fn decode(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(110).zip(to.chunks_exact_mut(256)) {
        let d = half(block, SCALE);
        for (group, out) in out.chunks_exact_mut(16).enumerate() {
            let d = d * scale(&block[SCALES..SCALE], group) as f32;
            let first = group % 2 * 16;
            let quants = &block[QUANTS + group / 8 * 32 + first..];
            let (shift, bit) = (group % 8 / 2 * 2, group / 2);
            for ((x, &q), &mask) in out.iter_mut().zip(quants).zip(&block[first..]) {
                let q = i32::from(q >> shift & 3) - if mask >> bit & 1 == 1 { 0 } else { 4 };
                *x = d * q as f32;
            }
        }
    }
}

fn encode(from: &[f32], row: usize, importance: Option<&[f32]>, to: &mut [u8]) {
    for (i, (x, block)) in from.chunks_exact(256).zip(to.chunks_exact_mut(110)).enumerate() {
        let mut q = [0i8; 256];
        block.fill(0);
        match importance {
            Some(all) => weighted(x, &all[i * 256 % row..][..256], block, &mut q),
            None => plain(x, block, &mut q),
        }
        let d = half(block, SCALE);
        for (group, (x, q)) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).enumerate() {
            let d = d * scale(&block[SCALES..SCALE], group) as f32;
            if d != 0.0 {
                q.iter_mut().zip(x).for_each(|(q, &v)| *q = nearest(v / d).clamp(-4, 3) as i8 + 4);
            }
        }
        let mut low = [0u8; 256];
        for (j, (low, &q)) in low.iter_mut().zip(&q).enumerate() {
            if q > 3 {
                block[j % 32] |= 1 << (j / 32);
                *low = (q - 4) as u8;
            } else {
                *low = q as u8;
            }
        }
        pack(&low, &mut block[QUANTS..SCALES]);
    }
}

fn plain(x: &[f32], block: &mut [u8], q: &mut [i8; 256]) {
    let mut scales = [0f32; 16];
    for (group, (x, q)) in x.chunks_exact(16).zip(q.chunks_exact_mut(16)).enumerate() {
        scales[group] = descended(4, x, q);
    }
    let largest = super::number::extreme(&scales);
    if largest == 0.0 {
        put_half(block, SCALE, 0.0);
        return;
    }
    let inverse = -32.0 / largest;
    for (group, &s) in scales.iter().enumerate() {
        let l = i32::from(nearest(inverse * s) as i8).clamp(-32, 31) + 32;
        put_scale(&mut block[SCALES..SCALE], group, l as u8);
    }
    put_half(block, SCALE, 1.0 / inverse);
}

fn weighted(x: &[f32], importance: &[f32], block: &mut [u8], q: &mut [i8; 256]) {
    let sigma2 = 2.0 * squares(x) / 256.0;
    let (mut scales, mut sums) = ([0f32; 16], [0f32; 16]);
    let groups = x.chunks_exact(16).zip(importance.chunks_exact(16)).zip(q.chunks_exact_mut(16));
    for (group, ((x, importance), q)) in groups.enumerate() {
        let mut weights = [0f32; 16];
        weighed(x, importance, sigma2, &mut weights);
        sums[group] = weights.iter().fold(0.0, |sum, w| sum + w);
        scales[group] = symmetric(4, x, q, Some(&weights));
    }
    let mut stored = [0i8; 16];
    let d = symmetric(32, &scales, &mut stored, Some(&sums));
    stored.iter().enumerate().for_each(|(group, &l)| put_scale(&mut block[SCALES..SCALE], group, l as u8));
    put_half(block, SCALE, d);
}
