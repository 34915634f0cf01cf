//! A message to JSON.

use super::base64;
use crate::fields::{Kind, MODEL, Row, Table};
use modelsmith_wire::proto::{Error, Field, Message, Scalars, WireType, text_from_bytes};

/// The model in `message` as text, and how many fields of it have no name.
///
/// # Errors
/// When the message is damaged.
pub(super) fn text(message: Message<'_>) -> Result<(String, usize), Error> {
    let mut w = Writer { out: String::new(), lost: 0, depth: 0 };
    w.message(message, &MODEL)?;
    w.out.push('\n');
    Ok((w.out, w.lost))
}

struct Writer {
    out: String,
    lost: usize,
    depth: usize,
}

impl Writer {
    fn line(&mut self) {
        self.out.push('\n');
        (0..self.depth).for_each(|_| self.out.push_str("  "));
    }

    fn message(&mut self, message: Message<'_>, table: &'static Table) -> Result<(), Error> {
        let mut of: Vec<Vec<Field<'_>>> = table.rows.iter().map(|_| Vec::new()).collect();
        for field in message.fields() {
            let field = field?;
            match table.rows.iter().position(|r| r.number == field.number).and_then(|i| of.get_mut(i)) {
                Some(list) => list.push(field),
                None => self.lost = self.lost.saturating_add(1),
            }
        }
        self.out.push('{');
        self.depth += 1;
        let mut first = true;
        for (row, fields) in table.rows.iter().zip(&of) {
            let Some(last) = fields.last() else { continue };
            if !std::mem::take(&mut first) {
                self.out.push(',');
            }
            self.line();
            self.quoted(row.name);
            self.out.push_str(": ");
            match row.repeated {
                true => self.list(&message, fields, row)?,
                false => self.value(&message, last, row)?,
            }
        }
        self.depth -= 1;
        if !first {
            self.line();
        }
        self.out.push('}');
        Ok(())
    }

    fn list(&mut self, parent: &Message<'_>, fields: &[Field<'_>], row: &Row) -> Result<(), Error> {
        self.out.push('[');
        match wire(row.kind) {
            None => {
                self.depth += 1;
                for (i, field) in fields.iter().enumerate() {
                    if i > 0 {
                        self.out.push(',');
                    }
                    self.line();
                    self.value(parent, field, row)?;
                }
                self.depth -= 1;
                self.line();
            }
            Some(wire) => {
                let mut all = Scalars::new(wire);
                fields.iter().try_for_each(|f| all.push(parent, f))?;
                for (i, bits) in all.iter().enumerate() {
                    if i > 0 {
                        self.out.push_str(", ");
                    }
                    self.scalar(bits?, row.kind);
                }
            }
        }
        self.out.push(']');
        Ok(())
    }

    fn value(&mut self, parent: &Message<'_>, field: &Field<'_>, row: &Row) -> Result<(), Error> {
        match row.kind {
            Kind::Message(table) => self.message(field.message()?, table),
            Kind::Text => {
                let text = text_from_bytes(field.message()?.bytes()).into_owned();
                self.quoted(&text);
                Ok(())
            }
            Kind::Bytes => {
                self.out.push('"');
                base64::encode(field.message()?.bytes(), &mut self.out);
                self.out.push('"');
                Ok(())
            }
            kind => {
                let mut one = Scalars::new(wire(kind).unwrap_or(WireType::Varint));
                one.push(parent, field)?;
                if let Some(bits) = one.iter().last() {
                    self.scalar(bits?, kind);
                }
                Ok(())
            }
        }
    }

    fn scalar(&mut self, bits: u64, kind: Kind) {
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let text = match kind {
            Kind::Int32 => low.cast_signed().to_string(),
            Kind::Int64 => format!("\"{}\"", bits.cast_signed()),
            Kind::Uint64 => format!("\"{bits}\""),
            Kind::Float => special(f32::from_bits(low).into()).unwrap_or_else(|| format!("{:?}", f32::from_bits(low))),
            Kind::Double => special(f64::from_bits(bits)).unwrap_or_else(|| format!("{:?}", f64::from_bits(bits))),
            Kind::Enum(names) => match usize::try_from(bits).ok().and_then(|i| names.get(i)) {
                Some(name) => format!("\"{name}\""),
                None => low.cast_signed().to_string(),
            },
            Kind::Text | Kind::Bytes | Kind::Message(_) => String::new(),
        };
        self.out.push_str(&text);
    }

    fn quoted(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                c if u32::from(c) < 0x20 || c == '\u{7f}' => self.out.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// How the elements of a repeated field lie in a file; `None` for what is a range of bytes each.
fn wire(kind: Kind) -> Option<WireType> {
    match kind {
        Kind::Int32 | Kind::Int64 | Kind::Uint64 | Kind::Enum(_) => Some(WireType::Varint),
        Kind::Float => Some(WireType::Fixed32),
        Kind::Double => Some(WireType::Fixed64),
        Kind::Text | Kind::Bytes | Kind::Message(_) => None,
    }
}

fn special(v: f64) -> Option<String> {
    match v {
        v if v.is_nan() => Some("\"NaN\"".into()),
        f64::INFINITY => Some("\"Infinity\"".into()),
        f64::NEG_INFINITY => Some("\"-Infinity\"".into()),
        _ => None,
    }
}
