//! `Q8_0`: 32 signed bytes and one `f16` scale.

use super::Encoding;
use super::number::{half, inverse, largest, lowest_rounded, put_half};

/// 32 elements in 34 bytes.
pub static Q8_0: Encoding = Encoding { name: "Q8_0", elements: 32, bytes: 34, decode, encode: Some(encode) };

fn decode(from: &[u8], to: &mut [f32]) {
    for (block, out) in from.chunks_exact(34).zip(to.chunks_exact_mut(32)) {
        let d = half(block, 0);
        for (x, &q) in out.iter_mut().zip(&block[2..]) {
            *x = f32::from(q as i8) * d;
        }
    }
}

fn encode(from: &[f32], _row: usize, _importance: Option<&[f32]>, to: &mut [u8]) {
    for (x, block) in from.chunks_exact(32).zip(to.chunks_exact_mut(34)) {
        let d = largest(x) / 127.0;
        let inverse = inverse(d);
        put_half(block, 0, d);
        for (q, v) in block[2..].iter_mut().zip(x) {
            *q = lowest_rounded(v * inverse) as u8;
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
