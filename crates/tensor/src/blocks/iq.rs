//! `IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S`: groups of four or eight elements are vectors of a table, with signs
//! and scales beside the index. Read only: to choose good vectors takes an importance matrix and a long search.

use super::Encoding;
use super::grids;
use super::number::half;

const fn read_only(name: &'static str, bytes: usize, decode: fn(&[u8], &mut [f32])) -> Encoding {
    Encoding { name, elements: 256, bytes, decode, encode: None }
}

/// 2.0625 bits an element.
pub static IQ2_XXS: Encoding = read_only("IQ2_XXS", 66, decode_2xxs);
/// 2.3125 bits an element.
pub static IQ2_XS: Encoding = read_only("IQ2_XS", 74, decode_2xs);
/// 2.5625 bits an element.
pub static IQ2_S: Encoding = read_only("IQ2_S", 82, decode_2s);
/// 3.0625 bits an element.
pub static IQ3_XXS: Encoding = read_only("IQ3_XXS", 98, decode_3xxs);
/// 3.4375 bits an element.
pub static IQ3_S: Encoding = read_only("IQ3_S", 110, decode_3s);
/// 1.5625 bits an element.
pub static IQ1_S: Encoding = read_only("IQ1_S", 50, decode_1s);
/// 1.75 bits an element.
pub static IQ1_M: Encoding = read_only("IQ1_M", 56, decode_1m);

/// Seven signs in seven bits; the eighth makes their number even.
fn signs(bits: u32) -> u8 {
    let bits = (bits & 127) as u8;
    bits | ((bits.count_ones() & 1) as u8) << 7
}

/// Elements of a vector with their signs.
fn signed(out: &mut [f32], scale: f32, vector: &[u8], signs: u8) {
    for (j, (x, &v)) in out.iter_mut().zip(vector).enumerate() {
        *x = scale * f32::from(v) * if signs >> j & 1 == 1 { -1.0 } else { 1.0 };
    }
}

fn word(block: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([block[at], block[at + 1], block[at + 2], block[at + 3]])
}

fn short(block: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([block[at], block[at + 1]])
}

fn decode_2xxs(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(66).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let at = 2 + 8 * group;
            let more = word(block, at + 4);
            let scale = d * (0.5 + (more >> 28) as f32) * 0.25;
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let vector = grids::IQ2_XXS[usize::from(block[at + l])].to_le_bytes();
                signed(out, scale, &vector, signs(more >> (7 * l)));
            }
        }
    }
}

/// The two scales of 32 elements, in 4 bits each.
fn pair(d: f32, bits: u8) -> [f32; 2] {
    [bits & 15, bits >> 4].map(|s| d * (0.5 + f32::from(s)) * 0.25)
}

fn decode_2xs(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(74).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let scales = pair(d, block[66 + group]);
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let q = short(block, 2 + 8 * group + 2 * l);
                let vector = grids::IQ2_XS[usize::from(q & 511)].to_le_bytes();
                signed(out, scales[l / 2], &vector, signs(u32::from(q >> 9)));
            }
        }
    }
}

fn decode_2s(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(82).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let scales = pair(d, block[74 + group]);
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let low = usize::from(block[2 + 4 * group + l]);
                let high = usize::from(block[66 + group]) << (8 - 2 * l) & 0x300;
                signed(out, scales[l / 2], &grids::IQ2_S[low | high].to_le_bytes(), block[34 + 4 * group + l]);
            }
        }
    }
}

fn decode_3xxs(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(98).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let more = word(block, 66 + 4 * group);
            let scale = d * (0.5 + (more >> 28) as f32) * 0.5;
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let signs = signs(more >> (7 * l));
                for (side, out) in out.chunks_exact_mut(4).enumerate() {
                    let vector = grids::IQ3_XXS[usize::from(block[2 + 8 * group + 2 * l + side])].to_le_bytes();
                    signed(out, scale, &vector, signs >> (4 * side));
                }
            }
        }
    }
}

fn decode_3s(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(110).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let scale = block[106 + group / 2] >> (4 * (group % 2)) & 15;
            let scale = d * f32::from(1 + 2 * scale);
            let high = usize::from(block[66 + group]);
            for (half_group, out) in out.chunks_exact_mut(4).enumerate() {
                let low = usize::from(block[2 + 8 * group + half_group]);
                let vector = grids::IQ3_S[low | high << (8 - half_group) & 256].to_le_bytes();
                let signs = block[74 + 4 * group + half_group / 2] >> (4 * (half_group % 2));
                signed(out, scale, &vector, signs);
            }
        }
    }
}

/// Eight signed elements, all moved by an eighth up or down.
fn shifted(out: &mut [f32], scale: f32, index: usize, down: bool) {
    let delta = if down { -0.125 } else { 0.125 };
    for (x, v) in out.iter_mut().zip(grids::IQ1[index].to_le_bytes()) {
        *x = scale * (f32::from(v as i8) + delta);
    }
}

fn decode_1s(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(50).zip(to.chunks_exact_mut(256)) {
        let d = half(block, 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            let high = short(block, 34 + 2 * group);
            let scale = d * f32::from(2 * (high >> 12 & 7) + 1);
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let index = usize::from(block[2 + 4 * group + l]) | usize::from(high >> (3 * l) & 7) << 8;
                shifted(out, scale, index, high & 0x8000 != 0);
            }
        }
    }
}

fn decode_1m(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(56).zip(to.chunks_exact_mut(256)) {
        let s = [0, 1, 2, 3].map(|i| short(block, 48 + 2 * i));
        // The scale of the block lies in the upper four bits of those of the groups.
        let d = s[0] >> 12 | s[1] >> 8 & 0x00f0 | s[2] >> 4 & 0x0f00 | s[3] & 0xf000;
        let d = half(&d.to_le_bytes(), 0);
        for (group, out) in out.chunks_exact_mut(32).enumerate() {
            for (l, out) in out.chunks_exact_mut(8).enumerate() {
                let scale = s[group / 2] >> (6 * (group % 2) + 3 * (l / 2)) & 7;
                let high = block[32 + 2 * group + l / 2] >> (4 * (l % 2));
                let index = usize::from(block[4 * group + l]) | usize::from(high & 7) << 8;
                shifted(out, d * f32::from(2 * scale + 1), index, high & 8 != 0);
            }
        }
    }
}
