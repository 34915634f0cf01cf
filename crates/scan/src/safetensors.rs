//! Safetensors: the header accounts for every byte, and its metadata is data.

use crate::report::Severity;
use crate::scanner::Scanner;
use crate::{text, wide};
use serde_json::Value;

pub(crate) fn scan(s: &mut Scanner<'_>, bytes: &[u8], member: &str, depth: usize) {
    let Some((head, rest)) = bytes.split_first_chunk::<8>() else { return };
    let length = usize::try_from(u64::from_le_bytes(*head)).unwrap_or(usize::MAX);
    let header = rest.get(..length).unwrap_or_default();
    let data = rest.get(length..).unwrap_or_default();
    let Ok(Value::Object(entries)) = serde_json::from_slice::<Value>(header) else {
        return s.unknown("safetensors.damaged", member, Some(8), "the header is not a JSON object");
    };
    let mut ranges = Vec::new();
    for (name, entry) in &entries {
        if name == "__metadata__" {
            metadata(s, entry, member, depth);
            continue;
        }
        let offsets = entry.get("data_offsets").and_then(Value::as_array).map(Vec::as_slice);
        match offsets {
            Some([from, to]) => match (from.as_u64(), to.as_u64()) {
                (Some(from), Some(to)) if from <= to => ranges.push((from, to)),
                _ => s.unknown("safetensors.damaged", member, None, format!("tensor `{name}` has no valid offsets")),
            },
            _ => s.unknown("safetensors.damaged", member, None, format!("tensor `{name}` has no offsets")),
        }
    }
    ranges.sort_unstable();
    let mut at = 0;
    for (from, to) in ranges {
        if from != at {
            let what = if from > at { "bytes that no tensor has" } else { "tensors that overlap" };
            s.unknown("safetensors.holes", member, Some(from), format!("{what}, at byte {from} of the data"));
        }
        at = at.max(to);
    }
    let whole = wide(data.len());
    if at > whole {
        s.unknown("safetensors.damaged", member, None, format!("the tensors take {at} bytes, {whole} are there"));
    }
    let behind = data.get(usize::try_from(at).unwrap_or(usize::MAX)..).unwrap_or_default();
    if !behind.is_empty() {
        let place = wide(length).saturating_add(8).saturating_add(at);
        s.rest(behind, member, place, depth);
        if behind.iter().all(|&b| b == 0) {
            s.unknown("safetensors.holes", member, Some(place), "bytes behind the last tensor");
        }
    }
}

fn metadata(s: &mut Scanner<'_>, entry: &Value, member: &str, depth: usize) {
    if entry.is_null() {
        return;
    }
    let Some(entries) = entry.as_object() else {
        return s.unknown("safetensors.metadata", member, None, "the metadata is no object");
    };
    for (key, value) in entries {
        match value.as_str() {
            Some(t) => text::value(s, t, &format!("metadata `{key}`"), member, None, depth),
            None => {
                s.find("safetensors.metadata", Severity::Low, member, None, format!("metadata `{key}` is not text"))
            }
        }
    }
}
