//! Strings that should be UTF-8 and sometimes are not: names in old files written on machines with another code page.
//! A byte that is not part of UTF-8 becomes one character of the last 128 code points, and goes back the same way.

use std::borrow::Cow;

const ESCAPE: u32 = 0x10_ff80;

/// `bytes` as text. Each byte that is not UTF-8 becomes the character U+10FF80 + (byte - 128).
pub fn text_from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes)
        && !text.chars().any(is_escape)
    {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match is_escape(c) {
                true => escape(c.encode_utf8(&mut [0; 4]).as_bytes(), &mut out),
                false => out.push(c),
            }
        }
        escape(chunk.invalid(), &mut out);
    }
    Cow::Owned(out)
}

/// True for the characters that stand for a byte; where a file has them, their own bytes are escaped.
fn is_escape(c: char) -> bool {
    u32::from(c) >= ESCAPE
}

fn escape(bytes: &[u8], out: &mut String) {
    for &byte in bytes {
        let code = ESCAPE.saturating_add(u32::from(byte & 0x7f));
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

/// The inverse of [`text_from_bytes`].
pub fn bytes_from_text(text: &str) -> Cow<'_, [u8]> {
    // Escaped characters begin with the byte 0xf4, which no other character of everyday text has.
    if !text.as_bytes().contains(&0xf4) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut out = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u32::from(c).checked_sub(ESCAPE).and_then(|low| u8::try_from(low).ok()) {
            Some(low) => out.push(low | 0x80),
            None => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(out)
}
