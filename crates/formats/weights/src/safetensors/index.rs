//! The index of a set of files: `{"metadata": {..}, "weight_map": {tensor: file}}`.

use super::header::{Pairs, parse};
use super::{LARGEST_HEADER, read::file};
use crate::range;
use modelsmith_base::{DType, Diagnostic, Place, Severity};
use modelsmith_format::{Checkpoint, Error, Input, MetaValue, Probe, ReadOptions, Result};
use modelsmith_tensor::WeightExpr;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

#[derive(serde::Deserialize)]
struct Index {
    #[serde(default)]
    metadata: Option<Pairs<Json>>,
    weight_map: Pairs<String>,
}

/// True for an index of safetensors files.
pub(super) fn is_index(probe: &Probe<'_>) -> bool {
    let head = probe.bytes.get(..65_536).unwrap_or(probe.bytes);
    let has = |what: &[u8]| head.windows(what.len()).any(|w| w == what);
    head.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') && has(b"\"weight_map\"") && has(b".safetensors\"")
}

/// Reads the files that the index `input` names, tensors in the order of the index.
pub(super) fn read(input: &Input, options: &ReadOptions) -> Result<(Checkpoint, Vec<Diagnostic>)> {
    let source = input.source();
    if source.len() > LARGEST_HEADER {
        return Err(Error::damaged(format!("an index of {} bytes, at most {LARGEST_HEADER} are read", source.len())));
    }
    let text = range::bytes(source.as_ref(), 0, source.len(), &options.budget)?;
    let index: Index = parse(&text, 0).map_err(|e| e.in_file(input.name()))?;
    let mut out = Checkpoint::default();
    let given = index.metadata.map(|p| p.0).unwrap_or_default();
    out.meta.extend(given.into_iter().filter(|(key, _)| key != "total_size").map(|(key, value)| (key, meta(value))));
    let mut findings = Vec::new();
    let mut files: HashMap<String, HashMap<String, Arc<WeightExpr>>> = HashMap::new();
    let mut order = Vec::new();
    for (_, name) in &index.weight_map.0 {
        if !files.contains_key(name) {
            let (shard, found) = file(&input.sibling(name)?, &options.budget)?;
            findings.extend(found);
            for (key, value) in shard.meta {
                if out.meta(&key).is_none() {
                    out.meta.push((key, value));
                }
            }
            order.push(name.clone());
            files.insert(name.clone(), shard.tensors.into_iter().collect());
        }
    }
    for (tensor, name) in index.weight_map.0 {
        let weight = files.get_mut(&name).and_then(|f| f.remove(&tensor)).ok_or_else(|| {
            let message = format!("`{name}` does not hold it, though the index says so");
            Error::damaged(message).in_file(input.name()).in_tensor(&tensor).at_offset(0)
        })?;
        out.tensors.push((tensor, weight));
    }
    let listed = out.tensors.iter().map(|(name, _)| name.clone()).collect::<HashSet<_>>();
    for name in order {
        let mut left = files.remove(&name).unwrap_or_default().into_iter().collect::<Vec<_>>();
        left.sort_by(|a, b| a.0.cmp(&b.0));
        for (tensor, weight) in left.into_iter().filter(|(t, _)| !listed.contains(t)) {
            let message = format!("`{name}` holds a tensor that the index does not list");
            let found = Diagnostic::new(Severity::Warning, "safetensors.index", message);
            findings.push(found.at(Place::tensor(&tensor)));
            out.tensors.push((tensor, weight));
        }
    }
    Ok((out, findings))
}

fn meta(value: Json) -> MetaValue {
    match value {
        Json::Null => MetaValue::None,
        Json::Bool(b) => MetaValue::Bool(b),
        Json::String(text) => MetaValue::Text(text),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(value), _) => MetaValue::Int { dtype: DType::I64, value: i128::from(value) },
            (None, Some(value)) => MetaValue::Float { dtype: DType::F64, value },
            _ => MetaValue::Text(n.to_string()),
        },
        other => MetaValue::Text(other.to_string()),
    }
}
