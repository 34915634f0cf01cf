//! Writing. The same checkpoint gives the same bytes.
//!
//! The header lists tensors in the order of the checkpoint. Their bytes are stored by falling width of the element type,
//! as the reference library does it, so that each begins at a multiple of its width; among equal widths the order of the
//! checkpoint stays. The header is padded with spaces to a multiple of 8, as there: the same tensors give the same file.

use super::LARGEST_HEADER;
use super::dtype::name_of;
use crate::{checkpoint, range};
use modelsmith_base::{Diagnostic, Severity};
use modelsmith_format::{Artifact, Checkpoint, Error, Layout, MetaValue, Output, Result, WriteOptions, Written};
use modelsmith_tensor::Form;
use serde_json::Value as Json;
use std::collections::HashMap;

/// Writes a checkpoint as one file.
///
/// # Errors
/// For element types that the format does not have, names that occur twice, and metadata beyond the size of a header.
pub fn write(artifact: &Artifact, output: &mut Output, options: &WriteOptions<'_>) -> Result<Written> {
    let checkpoint = checkpoint::wanted(artifact, "safetensors")?;
    check(checkpoint)?;
    let ties = checkpoint::ties(checkpoint);
    let (header, order) = header(checkpoint, &ties)?;
    let mut layout = Layout::new();
    layout.bytes(range::wide(header.len()).to_le_bytes().to_vec());
    layout.bytes(header);
    for (_, weight) in order.iter().filter_map(|&i| checkpoint.tensors.get(i)) {
        layout.weight(weight, Form::Dense)?;
    }
    let done = output.emit("", &layout, options)?;
    Ok(Written { files: vec![(String::new(), done.bytes)], findings: findings(checkpoint) })
}

fn check(checkpoint: &Checkpoint) -> Result<()> {
    checkpoint::distinct(checkpoint)?;
    let mut faults = Vec::new();
    for (name, weight) in &checkpoint.tensors {
        let dtype = weight.dtype();
        if name_of(dtype).is_none() {
            faults.push(format!("`{name}` of {dtype}"));
        } else if weight.len().checked_mul(dtype.bits()).is_none_or(|bits| bits % 8 != 0) {
            faults.push(format!("`{name}` of {dtype} {:?}, which does not fill whole bytes", weight.shape()));
        } else if name == "__metadata__" {
            faults.push("`__metadata__`, a name that the format keeps for itself".into());
        }
    }
    checkpoint::refuse(&faults, "safetensors cannot hold", "choose another element type with --cast")
}

/// The header and the order of the tensors that are stored.
fn header(checkpoint: &Checkpoint, ties: &[usize]) -> Result<(Vec<u8>, Vec<usize>)> {
    let numbered = checkpoint.tensors.iter().zip(ties).enumerate();
    let mut order = numbered.filter(|(i, (_, tie))| i == *tie).map(|(i, _)| i).collect::<Vec<_>>();
    let width = |i: &usize| checkpoint.tensors.get(*i).map_or(0, |(_, w)| w.dtype().bits());
    order.sort_by_key(|i| std::cmp::Reverse(width(i)));
    let mut at = 0u64;
    let mut ranges = vec![(0, 0); checkpoint.tensors.len()];
    for &i in &order {
        let Some(((_, weight), range)) = checkpoint.tensors.get(i).zip(ranges.get_mut(i)) else { continue };
        let end = at.saturating_add(weight.byte_len());
        *range = (at, end);
        at = end;
    }
    let mut parts = Vec::new();
    let meta = metadata(checkpoint, ties);
    if !meta.is_empty() {
        let pairs = meta.into_iter().map(|(k, v)| format!("{}:{}", Json::from(k), Json::from(v)));
        parts.push(format!("\"__metadata__\":{{{}}}", pairs.collect::<Vec<_>>().join(",")));
    }
    for (i, (((name, weight), tie), (from, to))) in checkpoint.tensors.iter().zip(ties).zip(&ranges).enumerate() {
        if i == *tie {
            let shape = weight.shape().iter().map(usize::to_string).collect::<Vec<_>>().join(",");
            let (name, dtype) = (Json::from(name.as_str()), name_of(weight.dtype()).unwrap_or_default());
            parts.push(format!("{name}:{{\"dtype\":\"{dtype}\",\"shape\":[{shape}],\"data_offsets\":[{from},{to}]}}"));
        }
    }
    let mut text = format!("{{{}}}", parts.join(",")).into_bytes();
    let padded = text.len().saturating_add(8).next_multiple_of(8).saturating_sub(8);
    text.resize(padded, b' ');
    if range::wide(text.len()) > LARGEST_HEADER {
        let message = format!("names and metadata take {} bytes, at most {LARGEST_HEADER} are allowed", text.len());
        return Err(Error::unsupported(message).help("write several files with --shard-size, or leave metadata out"));
    }
    Ok((text, order))
}

/// Metadata as text, then the other names of tied tensors with the name that is stored.
fn metadata(checkpoint: &Checkpoint, ties: &[usize]) -> Vec<(String, String)> {
    let own = checkpoint.meta.iter().map(|(key, value)| (key.clone(), text(value)));
    let stored = |tie: usize| checkpoint.tensors.get(tie).map(|(name, _)| name.clone()).unwrap_or_default();
    let numbered = checkpoint.tensors.iter().zip(ties).enumerate();
    let tied = numbered.filter(|(i, (_, tie))| i != *tie).map(|(_, ((name, _), tie))| (name.clone(), stored(*tie)));
    let (mut out, mut places): (Vec<(String, String)>, HashMap<String, usize>) = Default::default();
    for (key, value) in own.chain(tied) {
        match places.get(&key).and_then(|&i| out.get_mut(i)) {
            Some(pair) => pair.1 = value,
            None => {
                places.insert(key.clone(), out.len());
                out.push((key, value));
            }
        }
    }
    out
}

/// Text as it is, all else as JSON.
fn text(value: &MetaValue) -> String {
    match value {
        MetaValue::Text(text) => text.clone(),
        other => json(other).to_string(),
    }
}

fn json(value: &MetaValue) -> Json {
    match value {
        MetaValue::None => Json::Null,
        MetaValue::Bool(b) => Json::Bool(*b),
        MetaValue::Float { value, .. } if value.is_finite() => Json::from(*value),
        MetaValue::Int { value, .. } => match (i64::try_from(*value), u64::try_from(*value)) {
            (Ok(n), _) => Json::from(n),
            (_, Ok(n)) => Json::from(n),
            _ => Json::String(value.to_string()),
        },
        MetaValue::List { items, .. } => Json::Array(items.iter().map(json).collect()),
        other => Json::String(other.text()),
    }
}

fn findings(checkpoint: &Checkpoint) -> Vec<Diagnostic> {
    let typed = checkpoint.meta.iter().filter(|(_, v)| !matches!(v, MetaValue::Text(_))).count();
    let message = format!("{typed} metadata values are not text; safetensors has text only, they are written as JSON");
    match typed {
        0 => Vec::new(),
        _ => vec![Diagnostic::new(Severity::Note, "safetensors.meta", message)],
    }
}
