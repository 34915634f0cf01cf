//! Base64 of RFC 4648, with padding.

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the letters of `bytes`.
pub(super) fn encode(bytes: &[u8], out: &mut String) {
    for chunk in bytes.chunks(3) {
        let mut three = [0u8; 3];
        three.iter_mut().zip(chunk).for_each(|(to, &from)| *to = from);
        let [a, b, c] = three.map(usize::from);
        let bits = (a << 16) | (b << 8) | c;
        for i in 0..4usize {
            let letter = LETTERS.get((bits >> (18 - 6 * i)) & 63).copied().unwrap_or(b'=');
            out.push(if i <= chunk.len() { char::from(letter) } else { '=' });
        }
    }
}

/// The bytes that `text` stands for, in this alphabet or the one for addresses, with or without padding. `None` when there
/// is anything else in it.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=').as_bytes();
    let mut out = Vec::with_capacity(digits.len() / 4 * 3);
    for chunk in digits.chunks(4) {
        if chunk.len() == 1 {
            return None;
        }
        let mut bits = 0u32;
        for i in 0..4 {
            let value = match chunk.get(i) {
                None => 0,
                Some(b'-') => 62,
                Some(b'_') => 63,
                Some(b) => u32::try_from(LETTERS.iter().position(|l| l == b)?).ok()?,
            };
            bits = (bits << 6) | value;
        }
        out.extend(bits.to_be_bytes().get(1..chunk.len())?);
    }
    Some(out)
}
