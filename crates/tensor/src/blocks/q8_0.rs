//! `Q8_0`: 32 signed bytes and one `f16` scale.

use super::Encoding;
use crate::f16;

/// 32 elements in 34 bytes.
pub static Q8_0: Encoding = Encoding { name: "Q8_0", elements: 32, bytes: 34, decode, encode: Some(encode) };

fn decode(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(34).zip(to.chunks_exact_mut(32)) {
        let (scale, values) = block.split_at(2);
        let d = f16::from_le_bytes([scale[0], scale[1]]).to_f32();
        for (x, &q) in out.iter_mut().zip(values) {
            *x = f32::from(q as i8) * d;
        }
    }
}

fn encode(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(32).zip(to.chunks_exact_mut(34)) {
        let largest = x.iter().fold(0f32, |m, v| m.max(v.abs()));
        let d = largest / 127.0;
        let inverse = if d != 0.0 { 1.0 / d } else { 0.0 };
        let (scale, values) = block.split_at_mut(2);
        scale.copy_from_slice(&f16::from_f32(d).to_le_bytes());
        for (q, v) in values.iter_mut().zip(x) {
            *q = (v * inverse).round() as i8 as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_element_is_kept_and_halves_round_away_from_zero() {
        let mut x = [0f32; 32];
        (x[0], x[1], x[2]) = (127.0, 2.5, -2.5);
        let (mut bytes, mut back) = ([0; 34], [0f32; 32]);
        encode(&x, 32, None, &mut bytes);
        assert_eq!((bytes[2], bytes[3], bytes[4]), (127, 3, 253));
        decode(&bytes, &mut back);
        assert_eq!(back[..4], [127.0, 3.0, -3.0, 0.0]);
    }
}
