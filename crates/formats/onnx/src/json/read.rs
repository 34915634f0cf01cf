//! JSON to a message.

use super::base64;
use crate::fields::{Kind, MODEL, Row, Table};
use modelsmith_format::{Error, Result};
use modelsmith_wire::proto::Rope;
use serde_json::{Map, Value};

/// The bytes of the model in `text`.
///
/// # Errors
/// When the text is no JSON, with line and column; when a key or value is none of a model, with the way to it.
pub(super) fn message(text: &[u8]) -> Result<Vec<u8>> {
    let value: Value = serde_json::from_slice(text).map_err(|e| Error::damaged(format!("this is no JSON: {e}")))?;
    let rope = object(&value, &MODEL, &mut Vec::new())?;
    rope.to_vec().map_err(|_| Error::damaged("a message with a hole"))
}

type Way = Vec<String>;

fn object(value: &Value, table: &'static Table, way: &mut Way) -> Result<Rope<'static>> {
    let Value::Object(map) = value else { return Err(wrong(way, &format!("an object, {}", table.name), value)) };
    for key in map.keys() {
        if !table.rows.iter().any(|r| r.name == key || camel(r.name) == *key) {
            let known = table.rows.iter().map(|r| r.name).collect::<Vec<_>>().join(", ");
            let place = spelled(way);
            return Err(Error::damaged(format!(
                "{place}: {} has no field {key:?}; its fields are {known}",
                table.name
            )));
        }
    }
    let mut out = Rope::new();
    for row in table.rows {
        let Some(value) = field(map, row) else { continue };
        way.push(row.name.to_owned());
        match (row.repeated, value) {
            (_, Value::Null) => {}
            (false, value) => put(&mut out, row, value, way)?,
            (true, Value::Array(items)) => many(&mut out, row, items, way)?,
            (true, other) => return Err(wrong(way, "a list", other)),
        }
        way.pop();
    }
    Ok(out)
}

fn field<'v>(map: &'v Map<String, Value>, row: &Row) -> Option<&'v Value> {
    map.get(row.name).or_else(|| map.get(&camel(row.name)))
}

/// `raw_data` as `rawData`.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        out.extend(chars.next().map(|c| c.to_ascii_uppercase()));
        out.push_str(chars.as_str());
    }
    out
}

fn many(out: &mut Rope<'static>, row: &Row, items: &[Value], way: &mut Way) -> Result<()> {
    let mut each = |out: &mut Rope<'static>, one: &dyn Fn(&mut Rope<'static>, &Value, &mut Way) -> Result<()>| {
        items.iter().enumerate().try_for_each(|(i, item)| {
            way.push(i.to_string());
            let done = one(out, item, way);
            way.pop();
            done
        })
    };
    match row.kind {
        Kind::Text | Kind::Bytes | Kind::Message(_) => each(out, &|out, item, way| put(out, row, item, way)),
        Kind::Float | Kind::Double => {
            let mut packed = Rope::new();
            each(&mut packed, &|packed, item, way| {
                let v = float(item, way)?;
                match row.kind {
                    Kind::Float => packed.raw(&narrow(v).to_le_bytes()),
                    _ => packed.raw(&v.to_le_bytes()),
                }
                Ok(())
            })?;
            out.message(row.number, packed);
            Ok(())
        }
        _ => {
            let mut packed = Rope::new();
            each(&mut packed, &|packed, item, way| {
                packed.varint(int(item, row, way)?);
                Ok(())
            })?;
            out.message(row.number, packed);
            Ok(())
        }
    }
}

fn put(out: &mut Rope<'static>, row: &Row, value: &Value, way: &mut Way) -> Result<()> {
    match row.kind {
        Kind::Message(table) => out.message(row.number, object(value, table, way)?),
        Kind::Text => out.text(row.number, value.as_str().ok_or_else(|| wrong(way, "a string", value))?),
        Kind::Bytes => {
            let bytes = value.as_str().and_then(base64::decode).ok_or_else(|| wrong(way, "bytes as base64", value))?;
            out.bytes(row.number, &bytes);
        }
        Kind::Float => out.float(row.number, narrow(float(value, way)?)),
        _ => out.int(row.number, int(value, row, way)?.cast_signed()),
    }
    Ok(())
}

/// Both notations of a number: a JSON number, and a string of it.
fn digits(value: &Value) -> Option<String> {
    match value {
        Value::Number(n) => Some(n.to_string()),
        Value::String(s) => Some(s.clone()),
        _ => None,
    }
}

fn float(value: &Value, way: &Way) -> Result<f64> {
    let text = digits(value);
    let found = match text.as_deref() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        Some(text) => text.parse().ok().filter(|v: &f64| v.is_finite()),
        None => None,
    };
    found.ok_or_else(|| wrong(way, "a number", value))
}

/// Rounded to the nearest single.
#[allow(clippy::as_conversions, reason = "rounding is what is wanted")]
fn narrow(v: f64) -> f32 {
    v as f32
}

/// The bits of a whole number or of a named one.
fn int(value: &Value, row: &Row, way: &Way) -> Result<u64> {
    let text = digits(value).unwrap_or_default();
    // A whole number may be written with a point.
    let text = text.strip_suffix(".0").unwrap_or(&text);
    let signed = |v: i64| v.cast_unsigned();
    let found = match row.kind {
        Kind::Uint64 => text.parse::<u64>().ok(),
        Kind::Int64 => text.parse::<i64>().ok().map(signed),
        Kind::Enum(names) => {
            let named = names.iter().position(|n| *n == text).and_then(|i| u64::try_from(i).ok());
            named.or_else(|| text.parse::<i32>().ok().map(|v| signed(v.into())))
        }
        _ => text.parse::<i32>().ok().map(|v| signed(v.into())),
    };
    let what = match row.kind {
        Kind::Enum(names) => format!("one of {}", names.join(", ")),
        Kind::Int32 => "a whole number of 32 bits".to_owned(),
        _ => "a whole number of 64 bits".to_owned(),
    };
    found.ok_or_else(|| wrong(way, &what, value))
}

fn spelled(way: &Way) -> String {
    if way.is_empty() { "the model".to_owned() } else { way.join(".") }
}

fn wrong(way: &Way, wanted: &str, found: &Value) -> Error {
    let mut text = found.to_string();
    if text.chars().count() > 40 {
        text = format!("{}...", text.chars().take(40).collect::<String>());
    }
    Error::damaged(format!("{}: {wanted} is expected, {text} is there", spelled(way)))
}
