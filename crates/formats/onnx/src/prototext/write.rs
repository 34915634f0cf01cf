//! A message to protobuf text.

use crate::fields::{Kind, MODEL, Row, Table};
use modelsmith_wire::proto::{Error, Field, Message, Scalars, WireType};

/// The model in `message` as text, and how many fields of it have no name.
///
/// # Errors
/// When the message is damaged.
pub(super) fn text(message: Message<'_>) -> Result<(String, usize), Error> {
    let mut w = Writer { out: String::new(), lost: 0, depth: 0 };
    w.message(message, &MODEL)?;
    Ok((w.out, w.lost))
}

struct Writer {
    out: String,
    lost: usize,
    depth: usize,
}

impl Writer {
    fn name(&mut self, name: &str) {
        (0..self.depth).for_each(|_| self.out.push_str("  "));
        self.out.push_str(name);
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
        for (row, fields) in table.rows.iter().zip(&of) {
            match wire(row.kind) {
                Some(wire) => self.numbers(&message, fields, row, wire)?,
                None => {
                    let first = if row.repeated { 0 } else { fields.len().saturating_sub(1) };
                    fields.iter().skip(first).try_for_each(|field| self.part(field, row))?;
                }
            }
        }
        Ok(())
    }

    fn numbers(&mut self, parent: &Message<'_>, fields: &[Field<'_>], row: &Row, wire: WireType) -> Result<(), Error> {
        let mut all = Scalars::new(wire);
        fields.iter().try_for_each(|f| all.push(parent, f))?;
        let all = all.iter().collect::<Result<Vec<_>, _>>()?;
        let first = if row.repeated { 0 } else { all.len().saturating_sub(1) };
        for &bits in all.iter().skip(first) {
            self.name(row.name);
            self.out.push_str(": ");
            self.number(bits, row.kind);
            self.out.push('\n');
        }
        Ok(())
    }

    fn part(&mut self, field: &Field<'_>, row: &Row) -> Result<(), Error> {
        self.name(row.name);
        match row.kind {
            Kind::Message(table) => {
                self.out.push_str(" {\n");
                self.depth += 1;
                self.message(field.message()?, table)?;
                self.depth -= 1;
                self.name("}");
            }
            _ => {
                self.out.push_str(": ");
                self.quoted(field.message()?.bytes());
            }
        }
        self.out.push('\n');
        Ok(())
    }

    fn number(&mut self, bits: u64, kind: Kind) {
        let low = u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(0);
        let text = match kind {
            Kind::Int32 => low.cast_signed().to_string(),
            Kind::Int64 => bits.cast_signed().to_string(),
            Kind::Float => special(f32::from_bits(low).into()).unwrap_or_else(|| format!("{:?}", f32::from_bits(low))),
            Kind::Double => special(f64::from_bits(bits)).unwrap_or_else(|| format!("{:?}", f64::from_bits(bits))),
            Kind::Enum(names) => match usize::try_from(bits).ok().and_then(|i| names.get(i)) {
                Some(name) => (*name).to_owned(),
                None => low.cast_signed().to_string(),
            },
            _ => bits.to_string(),
        };
        self.out.push_str(&text);
    }

    /// Bytes in quotes: what ASCII shows as it is, the others as three octal digits.
    fn quoted(&mut self, bytes: &[u8]) {
        self.out.push('"');
        for &b in bytes {
            match b {
                b'"' => self.out.push_str("\\\""),
                b'\\' => self.out.push_str("\\\\"),
                b'\n' => self.out.push_str("\\n"),
                b'\r' => self.out.push_str("\\r"),
                b'\t' => self.out.push_str("\\t"),
                0x20..=0x7e => self.out.push(char::from(b)),
                b => self.out.push_str(&format!("\\{b:03o}")),
            }
        }
        self.out.push('"');
    }
}

/// How the elements of a field lie in a file; `None` for what is a range of bytes each.
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
        v if v.is_nan() => Some("nan".into()),
        f64::INFINITY => Some("inf".into()),
        f64::NEG_INFINITY => Some("-inf".into()),
        _ => None,
    }
}
