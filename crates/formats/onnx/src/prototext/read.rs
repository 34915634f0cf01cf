//! Protobuf text to a message.

use super::lex::{Lexer, Word};
use crate::fields::{Kind, MODEL, Row, Table};
use modelsmith_format::{Error, Result};
use modelsmith_wire::proto::Rope;

/// Messages inside messages beyond which a text is refused.
const MAX_DEPTH: usize = 100;

/// The bytes of the model in `text`.
///
/// # Errors
/// When the text is none of a model, with its line.
pub(super) fn message(text: &[u8]) -> Result<Vec<u8>> {
    let mut lexer = Lexer::new(text)?;
    plain(fields(&mut lexer, &MODEL, Word::End, 0)?)
}

fn plain(rope: Rope<'static>) -> Result<Vec<u8>> {
    rope.to_vec().map_err(|_| Error::damaged("a message with a hole"))
}

/// What a text says of one field.
struct Values {
    /// Strings and messages.
    parts: Rope<'static>,
    /// Numbers, one after the other.
    packed: Rope<'static>,
    count: usize,
}

/// The fields of a message up to `end`, which is passed.
fn fields(lexer: &mut Lexer<'_>, table: &'static Table, end: Word, depth: usize) -> Result<Rope<'static>> {
    if depth > MAX_DEPTH {
        return Err(lexer.fail("messages lie in each other more than 100 deep"));
    }
    let mut all: Vec<Option<Values>> = table.rows.iter().map(|_| None).collect();
    while *lexer.peek() != end {
        let Word::Plain(name) = lexer.peek().clone() else {
            return Err(lexer.fail(&format!("the name of a field of {} is expected", table.name)));
        };
        let found = table.rows.iter().zip(&mut all).find(|(row, _)| row.name == name);
        let Some((row, slot)) = found else {
            let known = table.rows.iter().map(|r| r.name).collect::<Vec<_>>().join(", ");
            return Err(lexer.fail(&format!("{} has no field {name}; its fields are {known}", table.name)));
        };
        let values = slot.get_or_insert_with(|| Values { parts: Rope::new(), packed: Rope::new(), count: 0 });
        lexer.advance()?;
        let colon = lexer.eat(b':')?;
        if !colon && !matches!(row.kind, Kind::Message(_)) {
            return Err(lexer.fail(&format!("a colon is expected behind {name}")));
        }
        if row.repeated && lexer.eat(b'[')? {
            while !lexer.eat(b']')? {
                value(lexer, row, values, depth)?;
                if !lexer.eat(b',')? && *lexer.peek() != Word::Mark(b']') {
                    return Err(lexer.fail("a comma or the end of the list is expected"));
                }
            }
        } else {
            value(lexer, row, values, depth)?;
        }
        if values.count > 1 && !row.repeated {
            return Err(lexer.fail(&format!("{name} is there twice")));
        }
        if !lexer.eat(b',')? {
            lexer.eat(b';')?;
        }
    }
    lexer.advance()?;
    let mut out = Rope::new();
    for (row, values) in table.rows.iter().zip(all) {
        let Some(values) = values else { continue };
        match row.kind {
            Kind::Text | Kind::Bytes | Kind::Message(_) => out.raw(&plain(values.parts)?),
            _ if row.repeated => out.message(row.number, values.packed),
            _ => out.raw(&plain(values.parts)?),
        }
    }
    Ok(out)
}

/// One value of a field.
fn value(lexer: &mut Lexer<'_>, row: &Row, to: &mut Values, depth: usize) -> Result<()> {
    to.count = to.count.saturating_add(1);
    if let Kind::Message(table) = row.kind {
        let end = match lexer.peek() {
            Word::Mark(b'{') => b'}',
            Word::Mark(b'<') => b'>',
            _ => return Err(lexer.fail(&format!("{{ is expected, {} begins", table.name))),
        };
        lexer.advance()?;
        let inner = fields(lexer, table, Word::Mark(end), depth.saturating_add(1))?;
        to.parts.message(row.number, inner);
        return Ok(());
    }
    let line = |what: &str| lexer.fail(&format!("{}: {what} is expected", row.name));
    match (row.kind, lexer.peek()) {
        (Kind::Text, Word::Quoted(bytes)) => {
            std::str::from_utf8(bytes).map_err(|_| line("a text in UTF-8"))?;
            to.parts.bytes(row.number, bytes);
        }
        (Kind::Bytes, Word::Quoted(bytes)) => to.parts.bytes(row.number, bytes),
        (Kind::Text | Kind::Bytes, _) => return Err(line("a string in quotes")),
        (Kind::Float | Kind::Double, Word::Plain(text)) => {
            let v = float(text).ok_or_else(|| line("a number"))?;
            match (row.kind, row.repeated) {
                (Kind::Float, true) => to.packed.raw(&narrow(v).to_le_bytes()),
                (Kind::Float, false) => to.parts.float(row.number, narrow(v)),
                _ => to.packed.raw(&v.to_le_bytes()),
            }
        }
        (kind, Word::Plain(text)) => {
            let bits = whole(text, kind).ok_or_else(|| match kind {
                Kind::Enum(names) => line(&format!("one of {}", names.join(", "))),
                Kind::Int32 => line("a whole number of 32 bits"),
                _ => line("a whole number of 64 bits"),
            })?;
            match row.repeated {
                true => to.packed.varint(bits),
                false => to.parts.int(row.number, bits.cast_signed()),
            }
        }
        _ => return Err(line("a number")),
    }
    lexer.advance()?;
    Ok(())
}

fn float(text: &str) -> Option<f64> {
    let (sign, size) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let lower = size.to_ascii_lowercase();
    let size = match lower.as_str() {
        "inf" | "infinity" | "inff" => f64::INFINITY,
        "nan" | "nanf" => f64::NAN,
        digits if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            match digits.strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok()) {
                Some(hex) => f64::from(hex),
                None => digits.trim_end_matches('f').parse().ok()?,
            }
        }
        _ => return None,
    };
    Some(sign * size)
}

/// Rounded to the nearest single.
#[allow(clippy::as_conversions, reason = "rounding is what is wanted")]
fn narrow(v: f64) -> f32 {
    v as f32
}

/// The bits of a whole number, decimal, hexadecimal or octal, or of a named one.
fn whole(text: &str, kind: Kind) -> Option<u64> {
    if let Kind::Enum(names) = kind
        && let Some(at) = names.iter().position(|n| *n == text)
    {
        return u64::try_from(at).ok();
    }
    let (negative, size) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let size = match size.strip_prefix("0x").or_else(|| size.strip_prefix("0X")) {
        Some(hex) => i128::from(u64::from_str_radix(hex, 16).ok()?),
        None if size.len() > 1 && size.starts_with('0') => i128::from(u64::from_str_radix(size, 8).ok()?),
        None => i128::from(size.parse::<u64>().ok()?),
    };
    let value = if negative { size.checked_neg()? } else { size };
    match kind {
        Kind::Uint64 => u64::try_from(value).ok(),
        Kind::Int64 => i64::try_from(value).ok().map(i64::cast_unsigned),
        _ => i32::try_from(value).ok().map(|v| i64::from(v).cast_unsigned()),
    }
}
