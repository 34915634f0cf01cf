//! Checkpoints in several files with an index beside them: `{"metadata": {..}, "weight_map": {tensor: file}}`.

use crate::import::{Opened, open_any};
use modelsmith_format::{Artifact, Checkpoint, Error, Input, ReadOptions, Result};
use modelsmith_tensor::WeightExpr;
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// Bytes that an index may have.
const LARGEST: u64 = 100 << 20;

/// The map from tensors to files, where `input` is an index.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn weight_map(input: &Input) -> Result<Option<Vec<(String, String)>>> {
    let source = input.source();
    let mut first = [0];
    if source.len() > LARGEST || source.is_empty() || source.read_at(0, &mut first).is_err() || first != *b"{" {
        return Ok(None);
    }
    let mut text = vec![0; usize::try_from(source.len()).unwrap_or(0)];
    source.read_at(0, &mut text)?;
    let Ok(Value::Object(top)) = serde_json::from_slice(&text) else { return Ok(None) };
    let Some(Value::Object(map)) = top.get("weight_map") else { return Ok(None) };
    let pair = |(tensor, file): (&String, &Value)| Some((tensor.clone(), file.as_str()?.to_owned()));
    Ok(map.iter().map(pair).collect())
}

/// The tensors of the files in `map`, which lie beside `input`, in its order.
///
/// # Errors
/// When a file is missing or damaged, holds no checkpoint, or lacks a tensor that the map gives it.
pub(crate) fn read(input: &Input, map: Vec<(String, String)>, options: &ReadOptions) -> Result<Opened> {
    let mut files: HashMap<String, HashMap<String, Arc<WeightExpr>>> = HashMap::new();
    let (mut out, mut findings, mut format) = (Checkpoint::default(), Vec::new(), None);
    for (tensor, file) in map {
        if !files.contains_key(&file) {
            let part = Input::new(input.sibling(&file).map_err(|e| e.in_file(input.name()))?, None);
            let opened = open_any(&part, options)?;
            let Artifact::Checkpoint(c) = opened.artifact else {
                return Err(Error::damaged("the index names it, but it is no checkpoint")
                    .in_file(part.name())
                    .at_offset(0));
            };
            findings.extend(opened.findings);
            format.get_or_insert(opened.format);
            files.insert(file.clone(), c.tensors.into_iter().collect());
        }
        let lost = || Error::damaged(format!("`{file}` does not hold it, though the index says so"));
        let weight = files.get(&file).and_then(|f| f.get(&tensor));
        let weight = weight.ok_or_else(|| lost().in_file(input.name()).in_tensor(&tensor).at_offset(0))?;
        out.tensors.push((tensor, weight.clone()));
    }
    let nothing = || Error::damaged("the index names no files").in_file(input.name()).at_offset(0);
    Ok(Opened { format: format.ok_or_else(nothing)?, artifact: Artifact::Checkpoint(out), findings })
}
