//! The textual operands of protocol 0, and integers of any length.

use super::Node;
use std::borrow::Cow;

/// Digits of a decimal integer that Python takes.
const DIGITS: usize = 4300;

/// The operand of INT: an integer in Python's notation, or `00` and `01` for booleans.
pub(super) fn int<'a>(line: &[u8]) -> Option<Node<'a>> {
    match line {
        b"00" => Some(Node::Bool(false)),
        b"01" => Some(Node::Bool(true)),
        _ => number(line),
    }
}

/// The operand of LONG: as INT, with an optional `L` behind it.
pub(super) fn long<'a>(line: &[u8]) -> Option<Node<'a>> {
    number(line.strip_suffix(b"L").unwrap_or(line))
}

fn number<'a>(line: &[u8]) -> Option<Node<'a>> {
    let text = std::str::from_utf8(line).ok()?.trim();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.replace('_', "");
    let (radix, digits) = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => (16, digits.get(2..)?),
        Some("0o") => (8, digits.get(2..)?),
        Some("0b") => (2, digits.get(2..)?),
        _ => (10, digits.as_str()),
    };
    if digits.is_empty() || digits.len() > DIGITS || !digits.chars().all(|c| c.is_digit(radix)) {
        return None;
    }
    if let Ok(value) = i64::from_str_radix(digits, radix) {
        return Some(Node::Int(if negative { value.checked_neg()? } else { value }));
    }
    let mut bytes = magnitude(digits, radix)?;
    bytes.push(0);
    if negative {
        negate(&mut bytes);
    }
    Some(whole(Cow::Owned(bytes)))
}

/// Digits as little-endian bytes.
fn magnitude(digits: &str, radix: u32) -> Option<Vec<u8>> {
    let mut out: Vec<u8> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(radix)?;
        for byte in &mut out {
            let value = u32::from(*byte).saturating_mul(radix).saturating_add(carry);
            *byte = u8::try_from(value & 0xff).ok()?;
            carry = value >> 8;
        }
        if carry > 0 {
            out.push(u8::try_from(carry).ok()?);
        }
    }
    Some(out)
}

fn negate(bytes: &mut [u8]) {
    let mut carry = true;
    for byte in bytes {
        let (value, over) = (!*byte).overflowing_add(u8::from(carry));
        *byte = value;
        carry = over;
    }
}

/// A two's complement little-endian integer of any length, without bytes that only repeat the sign.
pub(super) fn whole(bytes: Cow<'_, [u8]>) -> Node<'_> {
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let sign = |at: usize| bytes.get(at).is_some_and(|b| (b & 0x80 != 0) == negative);
    let mut kept = bytes.len();
    while kept > 1 && bytes.get(kept - 1) == Some(&fill) && sign(kept - 2) {
        kept -= 1;
    }
    if kept <= 8 {
        let mut word = [fill; 8];
        word.iter_mut().zip(bytes.iter().take(kept)).for_each(|(to, from)| *to = *from);
        return Node::Int(i64::from_le_bytes(word));
    }
    Node::Big(match bytes {
        Cow::Borrowed(all) => Cow::Borrowed(all.get(..kept).unwrap_or(all)),
        Cow::Owned(mut all) => {
            all.truncate(kept);
            Cow::Owned(all)
        }
    })
}

/// The operand of FLOAT.
pub(super) fn float(line: &[u8]) -> Option<f64> {
    std::str::from_utf8(line).ok()?.trim().replace('_', "").parse().ok()
}

/// The operand of STRING: a quoted Python 2 literal.
pub(super) fn quoted(line: &[u8]) -> Option<Vec<u8>> {
    let line = line.trim_ascii_end();
    let quote = *line.first()?;
    let inner = line.strip_prefix(&[quote])?.strip_suffix(&[quote])?;
    if quote != b'\'' && quote != b'"' {
        return None;
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let (&kind, tail) = rest.split_first()?;
        rest = tail;
        match kind {
            b'\n' => {}
            b'\\' | b'\'' | b'"' => out.push(kind),
            b'a' => out.push(7),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'v' => out.push(11),
            b'x' => {
                let value = hex(rest.get(..2)?)?;
                out.push(u8::try_from(value).ok()?);
                rest = rest.get(2..)?;
            }
            b'0'..=b'7' => {
                let more = rest.iter().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let digits = std::iter::once(kind).chain(rest.iter().take(more).copied());
                let value = digits.fold(0u32, |n, d| n * 8 + u32::from(d - b'0'));
                out.push(u8::try_from(value & 0xff).ok()?);
                rest = rest.get(more..)?;
            }
            other => out.extend([b'\\', other]),
        }
    }
    Some(out)
}

/// The operand of UNICODE: Latin-1 with `\uXXXX` and `\UXXXXXXXX`.
pub(super) fn raw_unicode(line: &[u8]) -> Option<String> {
    let mut units: Vec<u32> = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some((&byte, tail)) = rest.split_first() {
        let width = match tail.first() {
            Some(b'u') if byte == b'\\' => 4,
            Some(b'U') if byte == b'\\' => 8,
            _ => 0,
        };
        if width == 0 {
            units.push(u32::from(byte));
            rest = tail;
            // A backslash behind a backslash begins no escape.
            if byte == b'\\' && tail.first() == Some(&b'\\') {
                units.push(u32::from(b'\\'));
                rest = tail.get(1..)?;
            }
            continue;
        }
        units.push(hex(tail.get(1..=width)?)?);
        rest = tail.get(width + 1..)?;
    }
    Some(units.into_iter().map(|u| char::from_u32(u).unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

fn hex(digits: &[u8]) -> Option<u32> {
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// UTF-8 in which Python may have written lone surrogates.
pub(super) fn utf8(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}
