//! Writing version 3, little-endian: metadata and tensors in the order of the checkpoint, every tensor padded.

use super::types::{ARRAY, BOOL, TEXT, meta_number, number_of, number_of_blocks};
use super::{ALIGNMENT, DEFAULT_ALIGNMENT, MAGIC};
use crate::{checkpoint, range::wide};
use modelsmith_base::{DType, Diagnostic, Place, Severity};
use modelsmith_format::{
    Artifact, Checkpoint, Error, Layout, MetaKind, MetaValue, Output, Result, WriteOptions, Written,
};
use modelsmith_tensor::{Form, Tensor, WeightExpr, stored_len};
use std::sync::Arc;

/// Writes a checkpoint.
///
/// # Errors
/// For element types and encodings that cannot be written, rows that are not whole blocks, and names that occur twice.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let found = checkpoint::wanted(artifact, "GGUF")?;
    checkpoint::distinct(found)?;
    let faults = found.tensors.iter().filter_map(|(name, w)| fault(name, w)).collect::<Vec<_>>();
    checkpoint::refuse(&faults, "GGUF cannot hold", "choose another type with --cast, --type or --tensor-type")?;
    let alignment = alignment(found)?;
    let (mut head, mut findings) = head(found);
    let mut at = 0u64;
    for (name, weight) in &found.tensors {
        let shape = weight.shape();
        text(&mut head, name.as_bytes());
        head.extend_from_slice(&u32::try_from(shape.len()).unwrap_or(u32::MAX).to_le_bytes());
        shape.iter().rev().for_each(|&d| head.extend_from_slice(&wide(d).to_le_bytes()));
        head.extend_from_slice(&number(weight).unwrap_or(0).to_le_bytes());
        head.extend_from_slice(&at.to_le_bytes());
        let len = stored_len(weight, Form::Stored)?;
        at = at.saturating_add(len).next_multiple_of(alignment);
        if shape.len() > 4 || name.len() > 63 {
            let message = "ggml reads names of at most 63 bytes and at most 4 dimensions";
            let found = Diagnostic::new(Severity::Warning, "gguf.limits", message);
            findings.push(found.at(Place::tensor(name)));
        }
    }
    let mut layout = Layout::new();
    layout.bytes(head);
    layout.align(alignment);
    for (_, weight) in &found.tensors {
        layout.weight(weight, Form::Stored)?;
        layout.align(alignment);
    }
    let done = output.emit("", &layout, options)?;
    Ok(Written { files: vec![(String::new(), done.bytes)], findings })
}

/// The number of the type that a weight is stored as.
fn number(weight: &WeightExpr) -> Option<u32> {
    match weight {
        WeightExpr::Blocks(b) => number_of_blocks(b.encoding),
        WeightExpr::Encode { encoding, .. } => number_of_blocks(encoding),
        other => number_of(other.dtype()),
    }
}

fn fault(name: &str, weight: &Arc<WeightExpr>) -> Option<String> {
    if number(weight).is_none() {
        return Some(format!("`{name}` of {}", weight.dtype()));
    }
    if let WeightExpr::Encode { encoding, .. } = weight.as_ref()
        && encoding.encode.is_none()
    {
        return Some(format!("`{name}` as {encoding:?}, which is read only"));
    }
    let error = stored_len(weight, Form::Stored).err()?;
    Some(format!("`{name}`: {error}"))
}

fn alignment(checkpoint: &Checkpoint) -> Result<u64> {
    match checkpoint.meta(ALIGNMENT) {
        None => Ok(DEFAULT_ALIGNMENT),
        Some(value) => {
            let found = match value {
                MetaValue::Int { dtype: DType::U32, value } => u64::try_from(*value).ok(),
                _ => None,
            };
            let wanted = || format!("{ALIGNMENT} is {}, a power of two as u32 is wanted", value.text());
            found.filter(|n| n.is_power_of_two()).ok_or_else(|| Error::unsupported(wanted()))
        }
    }
}

/// Everything before the table of tensors.
fn head(checkpoint: &Checkpoint) -> (Vec<u8>, Vec<Diagnostic>) {
    let (mut pairs, mut count, mut findings) = (Vec::new(), 0u64, Vec::new());
    for (key, value) in &checkpoint.meta {
        match typed(value) {
            Some(kind) => {
                text(&mut pairs, key.as_bytes());
                pairs.extend_from_slice(&kind.to_le_bytes());
                put(&mut pairs, value, kind);
                count = count.saturating_add(1);
            }
            None => {
                let message = format!("the metadata `{key}` has no form in GGUF and is left out");
                findings.push(Diagnostic::new(Severity::Warning, "gguf.meta", message));
            }
        }
    }
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&3u32.to_le_bytes());
    out.extend_from_slice(&wide(checkpoint.tensors.len()).to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&pairs);
    (out, findings)
}

fn text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&wide(text.len()).to_le_bytes());
    out.extend_from_slice(text);
}

/// The number of the type of a value; `None` when it has none.
fn typed(value: &MetaValue) -> Option<u32> {
    match value {
        MetaValue::None => None,
        MetaValue::Bool(_) => Some(BOOL),
        MetaValue::Int { dtype, .. } => Some(meta_number(*dtype).unwrap_or(11)),
        MetaValue::Float { dtype, .. } => Some(meta_number(*dtype).unwrap_or(12)),
        MetaValue::Text(_) => Some(TEXT),
        MetaValue::Bytes(_) => Some(ARRAY),
        MetaValue::List { of, items } => items_type(*of, items).map(|_| ARRAY),
    }
}

/// The type that all items of a list can be written as.
fn items_type(of: Option<MetaKind>, items: &[MetaValue]) -> Option<u32> {
    let kind = match (of, items.first()) {
        (Some(MetaKind::Bool), _) => BOOL,
        (Some(MetaKind::Number(dtype)), _) => meta_number(dtype)?,
        (Some(MetaKind::Text), _) => TEXT,
        (Some(MetaKind::List), _) => ARRAY,
        (None, Some(first)) => typed(first)?,
        (None, None) => 5,
    };
    let fits = |item: &MetaValue| match item {
        // Text that is not UTF-8.
        MetaValue::Bytes(_) if kind == TEXT => true,
        other => typed(other) == Some(kind),
    };
    items.iter().all(fits).then_some(kind)
}

fn put(out: &mut Vec<u8>, value: &MetaValue, kind: u32) {
    match value {
        MetaValue::None => {}
        MetaValue::Bool(b) => out.push(u8::from(*b)),
        MetaValue::Int { dtype, value } => {
            let width = if meta_number(*dtype).is_some() { dtype.bits() / 8 } else { 8 };
            out.extend(value.to_le_bytes().into_iter().take(width));
        }
        MetaValue::Float { dtype: DType::F32, value } => out.extend_from_slice(&narrowed(*value)),
        MetaValue::Float { value, .. } => out.extend_from_slice(&value.to_le_bytes()),
        MetaValue::Text(found) => text(out, found.as_bytes()),
        MetaValue::Bytes(bytes) if kind == TEXT => text(out, bytes),
        MetaValue::Bytes(bytes) => {
            out.extend_from_slice(&0u32.to_le_bytes());
            text(out, bytes);
        }
        MetaValue::List { of, items } => {
            let kind = items_type(*of, items).unwrap_or(5);
            out.extend_from_slice(&kind.to_le_bytes());
            out.extend_from_slice(&wide(items.len()).to_le_bytes());
            items.iter().for_each(|item| put(out, item, kind));
        }
    }
}

/// The bytes of a value as `f32`, from which it came.
fn narrowed(value: f64) -> [u8; 4] {
    let tensor = Tensor::from_f64s(DType::F32, &[1], &[value]).ok();
    tensor.and_then(|t| t.bytes().first_chunk::<4>().copied()).unwrap_or_default()
}
